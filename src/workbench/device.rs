//! `--device`: where to compute, and what to say where the wish cannot be fulfilled.

use super::together::Seat;
use super::train::TrainRequest;
use super::{LoadedModel, Workbench, models};
use crate::error::{Error, Kind, Result};
use crate::model::{BaseStorage, WeightForm, check_card, open};
use crate::ops::cuda::{self, Device};
use crate::tr;
use crate::train::{OnCard, TrainConfig};
use std::sync::Arc;

/// What `--device` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A card where there is one that can do it, else the processor.
    Auto,
    /// The processor.
    Cpu,
    /// This card, or an error.
    Card(usize),
}

impl Wish {
    /// Reads `--device` without looking whether the card is there.
    ///
    /// # Errors
    /// `Usage` for an unknown word.
    pub fn named(device: &str) -> Result<Wish> {
        match device {
            "auto" => return Ok(Wish::Auto),
            "cpu" => return Ok(Wish::Cpu),
            "cuda" => return Ok(Wish::Card(0)),
            _ => {}
        }
        let ordinal = device.strip_prefix("cuda:").and_then(|n| n.parse::<usize>().ok());
        ordinal.map(Wish::Card).ok_or_else(|| {
            let device = device.escape_default();
            Error::new(Kind::Usage, tr!("unknown device `{device}`", "未知的设备 `{device}`"))
                .hint(tr!("use auto, cpu, cuda or cuda:N", "可用 auto、cpu、cuda 或 cuda:N"))
        })
    }

    /// The same; a card that is asked for by name must be there and fit.
    ///
    /// # Errors
    /// As [`Wish::named`]; why the card cannot be used.
    pub fn parse(device: &str) -> Result<Wish> {
        let wish = Wish::named(device)?;
        let Wish::Card(ordinal) = wish else { return Ok(wish) };
        let card = cuda::cards()?.into_iter().nth(ordinal).ok_or_else(|| {
            Error::new(Kind::NotFound, tr!("there is no GPU number {ordinal}", "没有编号为 {ordinal} 的 GPU")).hint(
                tr!(
                    "`linly-bench doctor` lists them; --device cpu needs none",
                    "`linly-bench doctor` 会列出；--device cpu 不需要 GPU"
                ),
            )
        })?;
        card.check()?;
        Ok(wish)
    }

    /// The wish of a process that takes card `local` of its machine.
    #[must_use]
    pub fn of_seat(self, local: usize) -> Wish {
        match self {
            Wish::Card(_) => Wish::Card(local),
            other => other,
        }
    }

    /// Refuses a card for what has nothing to compute on one.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn on_processor_only(self) -> Result<()> {
        match self {
            Wish::Auto | Wish::Cpu => Ok(()),
            Wish::Card(_) => Err(Error::new(
                Kind::Unsupported,
                tr!(
                    "the GPU trains and answers (train, pretrain, run, chat, serve, arena, data draft, bench); this is done on the processor",
                    "GPU 用于训练与作答（train、pretrain、run、chat、serve、arena、data draft、bench）；此命令在处理器上执行"
                ),
            )
            .hint(tr!("use --device auto or cpu", "请用 --device auto 或 cpu"))),
        }
    }

    /// Whether a card may be used: one was asked for, or there is one.
    pub fn may_use_card(self) -> bool {
        match self {
            Wish::Cpu => false,
            Wish::Card(_) => true,
            Wish::Auto => cuda::cards().is_ok_and(|cards| cards.first().is_some_and(|card| card.check().is_ok())),
        }
    }
}

/// Where a training computes, and why not on the card that is there.
pub struct Chosen {
    /// The card; `None` is the processor.
    pub card: Option<OnCard>,
    /// To be said.
    pub note: Option<String>,
}

/// Opens the card for a training.
///
/// # Errors
/// Of [`Wish::Card`]: why it cannot; with [`Wish::Auto`] that is a note, and the processor computes. Those of finding the
/// model.
pub fn choose(bench: &Workbench, wish: Wish, seat: Option<&Seat>, request: &TrainRequest) -> Result<Chosen> {
    let TrainRequest { model, form, exact, config: TrainConfig { lora, .. }, .. } = request;
    let local = seat.map_or(0, |seat| seat.local);
    let wish = if seat.is_some() { wish.of_seat(local) } else { wish };
    let ordinal = match wish {
        Wish::Cpu => return Ok(Chosen { card: None, note: None }),
        Wish::Card(ordinal) => ordinal,
        Wish::Auto if !wish.may_use_card() => return Ok(Chosen { card: None, note: why_not() }),
        Wish::Auto => local,
    };
    let config = open(&models::resolve(bench, model)?)?.config;
    let opened = check_card(&config, lora).and_then(|()| open_card(ordinal));
    match (opened, wish) {
        (Ok(device), _) => Ok(Chosen {
            card: Some(OnCard { device, exact: *exact, blocks: form.storage != BaseStorage::Full }),
            note: None,
        }),
        (Err(e), Wish::Auto) => {
            let reason = e.message;
            let note = tr!("computing on the processor: {reason}", "在处理器上计算：{reason}");
            Ok(Chosen { card: None, note: Some(note) })
        }
        (Err(e), _) => Err(e),
    }
}

/// Why a card that is there is not used; nothing where there is none.
pub(super) fn why_not() -> Option<String> {
    let reason = match cuda::cards() {
        Err(e) if e.kind == Kind::NotFound || !cfg!(feature = "cuda") => return None,
        Err(e) => e.message,
        Ok(cards) => cards.first()?.check().err()?.message,
    };
    Some(tr!("computing on the processor: {reason}", "在处理器上计算：{reason}"))
}

/// Opens card number `ordinal`.
///
/// # Errors
/// Why it cannot be used.
#[cfg(feature = "cuda")]
pub fn open_card(ordinal: usize) -> Result<Arc<dyn Device>> {
    // Kernels are compiled when they are first used: without a compiler a card is of no use.
    cuda::Compiler::find()?;
    Ok(Arc::new(cuda::Gpu::open(ordinal)?))
}

/// Opens card number `ordinal`: this build has no CUDA.
///
/// # Errors
/// Always.
#[cfg(not(feature = "cuda"))]
pub fn open_card(_ordinal: usize) -> Result<Arc<dyn Device>> {
    cuda::cards().map(|_| ()).and_then(|()| Err(Error::internal("a card without CUDA")))
}

/// The form in which the machine holds the weights of a model that a card trains: as its file has them where they are to be held
/// in full, since the card gets a copy of its own.
pub fn form_beside_card(form: WeightForm, card: bool) -> WeightForm {
    match form.storage {
        BaseStorage::Full if card => WeightForm { storage: BaseStorage::Keep, ..form },
        _ => form,
    }
}

impl LoadedModel {
    /// The same, trained on `card`, and by processes that train together.
    #[must_use]
    pub fn on(self, card: Option<OnCard>, seat: Option<Arc<Seat>>) -> LoadedModel {
        LoadedModel { card, seat, ..self }
    }
}
