//! Where a model answers: on the processor, or on a card that is there and does it.

use super::device::{Wish, form_beside_card, open_card, why_not};
use super::{LoadedModel, Workbench, models};
use crate::error::{Error, Kind, Result};
use crate::job::{EventSink, JobEvent};
use crate::model::{
    BaseStorage, CardInference, CardWeights, Decoder, WeightForm, WeightSource, check_card_inference, open,
};
use crate::ops::Arithmetic;
use crate::ops::cuda::Device;
use crate::tr;
use half::bf16;
use std::sync::Arc;

/// Where a model is to answer, and in which numbers.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// What `--device` asks for.
    pub wish: Wish,
    /// On a card: f32 throughout, as `--dtype f32` asks, instead of bf16.
    pub exact: bool,
    /// Hears where it is computed, and why not on the card.
    pub hear: &'a dyn EventSink,
}

impl Place<'_> {
    fn say(&self, message: String) {
        self.hear.emit(&JobEvent::Log { message });
    }
}

/// Reads `--dtype` and `--quantize`: the form of the weights, and whether f32 was asked for. A card has bf16, whatever this
/// processor has.
///
/// # Errors
/// `Usage` for unknown names; `Unsupported` for bf16 where nothing has it.
pub fn weight_form(wish: Wish, dtype: &str, quantize: &str) -> Result<(WeightForm, bool)> {
    let arithmetic = match WeightForm::parse_arithmetic(dtype) {
        Err(e) if e.kind == Kind::Unsupported && wish.may_use_card() => Arithmetic::Bf16,
        parsed => parsed?,
    };
    Ok((WeightForm { arithmetic, storage: BaseStorage::parse(quantize)? }, dtype == "f32"))
}

/// Copies a decoder to a card to answer there: in f32 if `exact`, else in bf16 with blocks left as they are.
///
/// # Errors
/// What the card does not compute; `OutOfMemory`.
pub fn put_on_card(device: &Arc<dyn Device>, decoder: &Decoder, exact: bool) -> Result<Arc<dyn CardWeights>> {
    if exact {
        Ok(Arc::new(CardInference::<f32>::new(device, decoder, true)?))
    } else {
        Ok(Arc::new(CardInference::<bf16>::new(device, decoder, true)?))
    }
}

/// The same from a source, a block at a time.
///
/// # Errors
/// As [`put_on_card`], and those of the source.
pub fn read_to_card(
    device: &Arc<dyn Device>,
    config: &crate::model::ModelConfig,
    source: &(dyn WeightSource + Send + Sync),
    form: WeightForm,
    exact: bool,
) -> Result<Arc<dyn CardWeights>> {
    if exact {
        Ok(Arc::new(CardInference::<f32>::load(device, config, source, form)?))
    } else {
        Ok(Arc::new(CardInference::<bf16>::load(device, config, source, form)?))
    }
}

impl Workbench {
    /// Loads a model that is to answer at `place`; on the processor its weights have the form `form`.
    ///
    /// # Errors
    /// As [`Workbench::load_model`]; why a card that was asked for by name cannot do it.
    pub fn load_to_answer(&self, spec: &str, form: WeightForm, place: Place<'_>) -> Result<LoadedModel> {
        let ordinal = match place.wish {
            Wish::Cpu => return self.load_model_as(spec, form),
            Wish::Card(ordinal) => ordinal,
            Wish::Auto if place.wish.may_use_card() => 0,
            Wish::Auto => {
                why_not().into_iter().for_each(|note| place.say(note));
                return self.load_model_as(spec, form);
            }
        };
        match self.load_on_card(spec, form, ordinal, place.exact) {
            Ok((model, card)) => {
                place.say(tr!("computing on {card}", "在 {card} 上计算"));
                Ok(model)
            }
            Err(e) if place.wish == Wish::Auto && is_of_the_card(&e) => {
                let reason = e.message;
                place.say(tr!("computing on the processor: {reason}", "在处理器上计算：{reason}"));
                self.load_model_as(spec, form)
            }
            Err(e) => Err(e),
        }
    }

    fn load_on_card(&self, spec: &str, form: WeightForm, ordinal: usize, exact: bool) -> Result<(LoadedModel, String)> {
        // Asked before anything is read: what the card does not compute need not be loaded for it.
        check_card_inference(&open(&models::resolve(self, spec)?)?.config)?;
        let device = open_card(ordinal)?;
        let arithmetic = if form.arithmetic.available() { form.arithmetic } else { Arithmetic::fastest() };
        let model = self.load_model_as(spec, form_beside_card(WeightForm { arithmetic, ..form }, true))?;
        let weights = put_on_card(&device, &model.decoder, exact)?;
        Ok((model.answering_on(weights, exact), device.name()))
    }
}

/// Whether an error says that a card cannot do something, rather than that there is no such model.
fn is_of_the_card(error: &Error) -> bool {
    matches!(error.kind, Kind::OutOfMemory | Kind::Unsupported | Kind::Internal | Kind::NotFound)
}
