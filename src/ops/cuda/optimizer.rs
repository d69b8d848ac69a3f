//! AdamW on the card, over all trained values in two launches (three with the norm).

use super::device::{Buffer, Element, Launch};
use super::kernels::{Kernel, KernelFile};
use crate::error::Result;
use half::bf16;

/// Values of one block: never across a parameter.
const LONGEST: usize = 4096;

/// Values that are treated alike, as the kernel reads them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stretch {
    /// Where it begins in the buffer of all values.
    pub first: u64,
    /// Values in it.
    pub count: u32,
    /// The learning rate, divided by 1 − β₁^step.
    pub rate: f32,
    /// What values are multiplied by first: 1 − rate · weight decay.
    pub decay: f32,
    /// Fills the structure up to 24 bytes.
    pub unused: u32,
}

// SAFETY: plain numbers, 24 bytes without padding.
unsafe impl Element for Stretch {}

/// What is the same for all values of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepSettings {
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Which step it is, from 1.
    pub step: u64,
    /// Longest gradient; 0 for any.
    pub clip: f64,
}

/// Cuts parameters of these (size, rate, decay) into stretches: `rate` is the learning rate, `decay` the weight decay.
pub fn stretches(parameters: impl Iterator<Item = (usize, f64, f64)>, settings: StepSettings) -> Vec<Stretch> {
    let first_correction = 1.0 - settings.beta1.powf(settings.step as f64);
    let mut all = Vec::new();
    let mut start = 0;
    for (size, rate, decay) in parameters {
        for at in (0..size).step_by(LONGEST) {
            all.push(Stretch {
                first: (start + at) as u64,
                count: LONGEST.min(size - at) as u32,
                rate: (rate / first_correction) as f32,
                decay: (1.0 - rate * decay) as f32,
                unused: 0,
            });
        }
        start += size;
    }
    all
}

/// `norm` becomes (the gradients' length, the factor that clips it); `parts` `[stretches]` is scratch. Nothing waits for it.
///
/// # Errors
/// Buffers that are too short, and those of the card.
pub fn gradient_norm(
    gradients: &Buffer<f32>,
    stretches: &Buffer<Stretch>,
    parts: &Buffer<f64>,
    clip: f64,
    norm: &Buffer<f64>,
) -> Result<()> {
    parts.holds(stretches.len())?;
    norm.holds(2)?;
    let device = gradients.device();
    let file = KernelFile::Adamw;
    device.launch(
        Kernel { file, name: "gradient_squares" },
        &Launch::line(stretches.len(), 256),
        &[gradients.into(), stretches.into(), parts.into()],
    )?;
    device.launch(
        Kernel { file, name: "gradient_norm" },
        &Launch::line(1, 256),
        &[parts.into(), (stretches.len() as u32).into(), clip.into(), norm.into()],
    )
}

/// One step on `w` with moments `m` and `v`; `rounded`, where it is wanted, gets the values as bf16. `norm` as [`gradient_norm`] left it.
///
/// # Errors
/// As [`gradient_norm`].
#[allow(clippy::too_many_arguments)]
pub fn adamw(
    w: &Buffer<f32>,
    gradients: &Buffer<f32>,
    m: &Buffer<f32>,
    v: &Buffer<f32>,
    rounded: Option<&Buffer<bf16>>,
    stretches: &Buffer<Stretch>,
    norm: &Buffer<f64>,
    settings: StepSettings,
) -> Result<()> {
    for buffer in [gradients, m, v] {
        buffer.holds(w.len())?;
    }
    rounded.map_or(Ok(()), |rounded| rounded.holds(w.len()))?;
    norm.holds(2)?;
    let root = (1.0 - settings.beta2.powf(settings.step as f64)).sqrt() as f32;
    w.device().launch(
        Kernel { file: KernelFile::Adamw, name: "adamw" },
        &Launch::line(stretches.len(), 256),
        &[
            w.into(),
            gradients.into(),
            m.into(),
            v.into(),
            rounded.into(),
            stretches.into(),
            norm.into(),
            (settings.beta1 as f32).into(),
            // 1 − β is formed in f64, as on the CPU.
            ((1.0 - settings.beta1) as f32).into(),
            (settings.beta2 as f32).into(),
            ((1.0 - settings.beta2) as f32).into(),
            root.into(),
            (settings.eps as f32).into(),
        ],
    )
}
