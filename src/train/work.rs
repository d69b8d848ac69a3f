//! Where a training's arithmetic is done: on the processor, or on a card. The loop above asks for the same things of both.

use super::checkpoint::Checkpoint;
use super::optimizer::{clip_coefficient, global_norm};
use super::peers::Peers;
use crate::error::Result;
use crate::model::{
    CardTraining, Decoder, DeviceDecoder, DeviceTraining, LoraGradients, MemoryPlan, Tape, TrainingRows,
};
use crate::ops::DropoutMask;
use crate::ops::cuda::{Device, StepSettings};
use half::bf16;
use std::sync::Arc;

/// A card to train on.
#[derive(Clone)]
pub struct OnCard {
    /// The card.
    pub device: Arc<dyn Device>,
    /// f32 throughout, to be compared with the processor, instead of bf16.
    pub exact: bool,
    /// Whether weights that are in blocks here (int4, int8) stay so on the card; else they are whole numbers there.
    pub blocks: bool,
}

impl OnCard {
    /// Its name in a checkpoint: a run that goes on elsewhere is rounded otherwise.
    pub(super) fn place(&self) -> &'static str {
        if self.exact { "card f32" } else { "card bf16" }
    }

    /// Copies the model and the factors of `state` to the card.
    pub(super) fn open(&self, decoder: &Decoder, state: &Checkpoint) -> Result<Box<dyn CardTraining>> {
        let lora = &state.lora;
        let mut card: Box<dyn CardTraining> = if self.exact {
            Box::new(DeviceTraining::new(DeviceDecoder::<f32>::new(&self.device, decoder, lora, false)?)?)
        } else {
            Box::new(DeviceTraining::new(DeviceDecoder::<bf16>::new(&self.device, decoder, lora, self.blocks)?)?)
        };
        card.write(lora, [&state.optimizer.m, &state.optimizer.v])?;
        Ok(card)
    }
}

/// What one step found before it was taken.
pub(super) struct Sums {
    /// Sum of the losses, in nats.
    pub loss: f64,
    /// Length of the gradient.
    pub norm: f64,
    /// Whether a process was asked to stop.
    pub stop: bool,
}

/// The arithmetic of a training.
pub(super) enum Work {
    /// On the processor, which works on the state itself.
    Cpu {
        /// Gradients so far.
        gradients: LoraGradients,
        /// What a pass keeps.
        tape: Box<Tape>,
        /// Losses so far.
        loss: f64,
    },
    /// On a card, which holds factors and moments of its own.
    Card(Box<dyn CardTraining>),
}

impl Work {
    /// On the processor.
    pub fn cpu(state: &Checkpoint, plan: MemoryPlan) -> Work {
        Work::Cpu { gradients: state.lora.zero_gradients(), tape: Box::new(Tape::new(plan)), loss: 0.0 }
    }

    /// Forgets gradients and losses.
    pub fn clear(&mut self) -> Result<()> {
        match self {
            Work::Cpu { gradients, loss, .. } => {
                gradients.clear();
                *loss = 0.0;
                Ok(())
            }
            Work::Card(card) => card.clear(),
        }
    }

    /// Adds a batch's losses and the gradient of `scale ×` their sum.
    pub fn add(
        &mut self,
        decoder: &Decoder,
        state: &Checkpoint,
        batch: &TrainingRows,
        dropout: Option<DropoutMask>,
        scale: f32,
    ) -> Result<()> {
        match self {
            Work::Cpu { gradients, tape, loss } => {
                *loss += decoder.loss(batch, Some(&state.lora), dropout, Some((gradients, scale)), tape)?;
                Ok(())
            }
            Work::Card(card) => card.add(batch, dropout, scale),
        }
    }

    /// Sum of a batch's losses with the factors as they are.
    pub fn loss(&mut self, decoder: &Decoder, state: &Checkpoint, batch: &TrainingRows) -> Result<f64> {
        match self {
            Work::Cpu { tape, .. } => decoder.loss(batch, Some(&state.lora), None, None, tape),
            Work::Card(card) => card.loss(batch),
        }
    }

    /// Losses and gradients of all processes together.
    pub fn sums(&mut self, peers: Option<&dyn Peers>, stop: bool, clip: f64) -> Result<Sums> {
        let mut wide = [
            match self {
                Work::Cpu { loss, .. } => *loss,
                Work::Card(card) => card.total()?,
            },
            f64::from(u8::from(stop)),
        ];
        if let Some(peers) = peers {
            peers.sum_wide(&mut wide)?;
            match self {
                Work::Cpu { gradients, .. } => {
                    let mut all = gradients.parts().concat();
                    peers.sum(&mut all)?;
                    let mut rest = &all[..];
                    for part in gradients.parts_mut() {
                        let (mine, after) = rest.split_at(part.len());
                        part.copy_from_slice(mine);
                        rest = after;
                    }
                }
                Work::Card(card) => peers.sum_on_card(card.gradients())?,
            }
        }
        let norm = match self {
            Work::Cpu { gradients, .. } => global_norm(&gradients.parts()),
            Work::Card(card) => card.norm(clip)?,
        };
        Ok(Sums { loss: wide[0], norm, stop: wide[1] > 0.0 })
    }

    /// A step of the optimiser at rate `lr` after [`Work::sums`], which found the gradient's length.
    pub fn step(&mut self, state: &mut Checkpoint, lr: f64, norm: f64, clip: f64) -> Result<()> {
        let Checkpoint { lora, optimizer, .. } = state;
        match self {
            Work::Cpu { gradients, .. } => {
                optimizer.update(lora.parameters_mut(), &gradients.parts(), lr, clip_coefficient(norm, clip));
                Ok(())
            }
            Work::Card(card) => {
                optimizer.step += 1;
                let settings = StepSettings {
                    beta1: optimizer.beta1,
                    beta2: optimizer.beta2,
                    eps: optimizer.eps,
                    step: optimizer.step,
                    clip,
                };
                card.step(&optimizer.rates(lr), settings)
            }
        }
    }

    /// Brings factors and moments into `state`, where they are not there already.
    pub fn settle(&self, state: &mut Checkpoint) -> Result<()> {
        match self {
            Work::Cpu { .. } => Ok(()),
            Work::Card(card) => card.read(&mut state.lora, [&mut state.optimizer.m, &mut state.optimizer.v]),
        }
    }
}
