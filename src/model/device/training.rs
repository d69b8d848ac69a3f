//! A training on a card: passes, clipping and AdamW, all of it there. Factors and moments come to the machine when they are
//! asked for: to be stored, shown, or compared.

use super::decoder::DeviceDecoder;
use super::pass::DevicePass;
use crate::error::Result;
use crate::model::lora::{Lora, LoraGradients};
use crate::model::training_pass::{MemoryPlan, TrainingRows};
use crate::ops::DropoutMask;
use crate::ops::cuda::{Buffer, Device, Number, StepSettings};
use std::sync::Arc;

/// What a training asks of a card, whichever numbers it computes with.
pub trait CardTraining: Send {
    /// How much of a batch is on the card at a time.
    fn set_plan(&mut self, plan: MemoryPlan);

    /// Forgets gradients and losses.
    ///
    /// # Errors
    /// Those of the card.
    fn clear(&mut self) -> Result<()>;

    /// Adds a batch's losses to the total and the gradient of `scale ×` their sum to the gradients. Nothing waits for it.
    ///
    /// # Errors
    /// As [`Decoder::loss`](crate::model::Decoder::loss), and those of the card.
    fn add(&mut self, batch: &TrainingRows, dropout: Option<DropoutMask>, scale: f32) -> Result<()>;

    /// Sum of a batch's losses, in nats, without gradients.
    ///
    /// # Errors
    /// As [`CardTraining::add`].
    fn loss(&mut self, batch: &TrainingRows) -> Result<f64>;

    /// The sum of the losses since [`CardTraining::clear`], once all is done.
    ///
    /// # Errors
    /// Those of the card.
    fn total(&mut self) -> Result<f64>;

    /// The gradient's length, and how far a step shortens it for `clip`.
    ///
    /// # Errors
    /// Those of the card.
    fn norm(&mut self, clip: f64) -> Result<f64>;

    /// A step of AdamW after [`CardTraining::norm`]; `rates` has learning rate and weight decay of every factor.
    ///
    /// # Errors
    /// Those of the card.
    fn step(&mut self, rates: &[(f64, f64)], settings: StepSettings) -> Result<()>;

    /// Brings factors and moments to the card.
    ///
    /// # Errors
    /// Those of the card.
    fn write(&mut self, lora: &Lora, moments: [&[Vec<f32>]; 2]) -> Result<()>;

    /// Brings them back.
    ///
    /// # Errors
    /// Those of the card.
    fn read(&self, lora: &mut Lora, moments: [&mut [Vec<f32>]; 2]) -> Result<()>;

    /// The gradients, as the machine has them.
    ///
    /// # Errors
    /// Those of the card.
    fn read_gradients(&self, gradients: &mut LoraGradients) -> Result<()>;

    /// All gradients in one buffer on the card: what several processes add up.
    fn gradients(&self) -> &Buffer<f32>;

    /// The card.
    fn device(&self) -> &Arc<dyn Device>;
}

/// A decoder on a card and the buffers of a pass.
pub struct DeviceTraining<T: Number> {
    decoder: DeviceDecoder<T>,
    pass: DevicePass<T>,
}

impl<T: Number> DeviceTraining<T> {
    /// With the usual plan.
    ///
    /// # Errors
    /// Those of the card.
    pub fn new(decoder: DeviceDecoder<T>) -> Result<DeviceTraining<T>> {
        let pass = DevicePass::new(&decoder, MemoryPlan { tokens_at_once: usize::MAX, checkpointing: false })?;
        Ok(DeviceTraining { decoder, pass })
    }

    /// Rows of logits that exist at once: fewer show a chunk's border in short batches.
    #[cfg(test)]
    pub fn set_logit_rows(&mut self, rows: usize) {
        self.pass.logit_rows = rows;
    }
}

impl<T: Number> CardTraining for DeviceTraining<T> {
    fn set_plan(&mut self, plan: MemoryPlan) {
        self.pass.plan = plan;
    }

    fn clear(&mut self) -> Result<()> {
        self.pass.take_total()?;
        self.decoder.factors.gradients.clear()
    }

    fn add(&mut self, batch: &TrainingRows, dropout: Option<DropoutMask>, scale: f32) -> Result<()> {
        self.pass.run(&mut self.decoder, batch, dropout, Some(scale))
    }

    fn loss(&mut self, batch: &TrainingRows) -> Result<f64> {
        self.pass.take_total()?;
        self.pass.run(&mut self.decoder, batch, None, None)?;
        self.pass.take_total()
    }

    fn total(&mut self) -> Result<f64> {
        self.pass.take_total()
    }

    fn norm(&mut self, clip: f64) -> Result<f64> {
        self.decoder.factors.norm(clip)
    }

    fn step(&mut self, rates: &[(f64, f64)], settings: StepSettings) -> Result<()> {
        self.decoder.factors.step(rates, settings)?;
        self.decoder.place()
    }

    fn write(&mut self, lora: &Lora, moments: [&[Vec<f32>]; 2]) -> Result<()> {
        self.decoder.factors.write_values(lora)?;
        self.decoder.factors.write_moments(moments)?;
        self.decoder.place()
    }

    fn read(&self, lora: &mut Lora, moments: [&mut [Vec<f32>]; 2]) -> Result<()> {
        self.decoder.factors.read_values(lora)?;
        self.decoder.factors.read_moments(moments)
    }

    fn read_gradients(&self, gradients: &mut LoraGradients) -> Result<()> {
        self.decoder.factors.read_gradients(gradients.parts_mut().into_iter())
    }

    fn gradients(&self) -> &Buffer<f32> {
        &self.decoder.factors.gradients
    }

    fn device(&self) -> &Arc<dyn Device> {
        &self.decoder.device
    }
}
