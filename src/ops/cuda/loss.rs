//! The output layer's softmax and loss, and the choice of the likeliest token.

use super::device::{Buffer, Launch, Number, Rows};
use super::kernels::{Kernel, KernelFile};
use crate::error::{Error, Result};

/// Negative log-likelihoods `losses` `[n]` of `targets` in rows of `vocabulary` logits, and in `gradient`, where it is wanted, that of
/// `scale ×` their sum by the logits. The gradient may overwrite logits of its own type; it is f32 for f32 logits only. Targets lie in the vocabulary; the caller has
/// checked them.
///
/// # Errors
/// Shapes that do not fit, and those of the card.
pub fn cross_entropy<T: Number, G: Number>(
    logits: Rows<'_, T>,
    targets: &Buffer<u32>,
    losses: &Buffer<f32>,
    gradient: Option<Rows<'_, G>>,
    n: usize,
    vocabulary: usize,
    scale: f32,
) -> Result<()> {
    logits.hold(n, vocabulary)?;
    targets.holds(n)?;
    losses.holds(n)?;
    if let Some(gradient) = gradient {
        gradient.hold(n, vocabulary)?;
    }
    let name = match (T::choose("f", "b"), G::choose("f", "b")) {
        ("f", "f") => "cross_entropy_exact",
        ("f", _) => "cross_entropy_float",
        (_, "f") => return Err(Error::internal("an f32 gradient of bf16 logits")),
        _ => "cross_entropy_bf16",
    };
    logits.device().launch(
        Kernel { file: KernelFile::CrossEntropy, name },
        &Launch::line(n, vocabulary.div_ceil(32).clamp(1, 32) * 32),
        &[
            logits.into(),
            targets.into(),
            losses.into(),
            super::Argument::Address(gradient.map_or(0, Rows::address)),
            (vocabulary as u32).into(),
            logits.stride().into(),
            gradient.map_or(0, Rows::stride).into(),
            scale.into(),
        ],
    )
}

/// `total[0] += Σ values` of the first `n`, in f64.
///
/// # Errors
/// As [`cross_entropy`].
pub fn add_to_total(values: &Buffer<f32>, total: &Buffer<f64>, n: usize) -> Result<()> {
    values.holds(n)?;
    total.holds(1)?;
    values.device().launch(
        Kernel { file: KernelFile::CrossEntropy, name: "add_to_total" },
        &Launch::line(1, 256),
        &[values.into(), total.into(), (n as u32).into()],
    )
}

/// The index of the largest of `vocabulary` logits in each of `n` rows, the lowest of equals.
///
/// # Errors
/// As [`cross_entropy`].
pub fn argmax(logits: Rows<'_, f32>, best: &Buffer<u32>, n: usize, vocabulary: usize) -> Result<()> {
    logits.hold(n, vocabulary)?;
    best.holds(n)?;
    logits.device().launch(
        Kernel { file: KernelFile::CrossEntropy, name: "argmax_float" },
        &Launch::line(n, vocabulary.div_ceil(32).clamp(1, 32) * 32),
        &[logits.into(), best.into(), (vocabulary as u32).into(), logits.stride().into()],
    )
}
