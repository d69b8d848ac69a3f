//! A decoder on a card: [`ops::cuda`](crate::ops::cuda)'s operations put together as `block.rs` and `training_pass.rs` put the
//! CPU's, in bf16, or in f32 to be compared with the CPU number by number.

mod block;
mod decoder;
mod factors;
mod group;
mod inference;
mod pass;
#[cfg(test)]
mod tests;
mod training;

pub use decoder::{DeviceDecoder, check_card};
pub use inference::{CardInference, PoolRows, check_card_inference};
pub use pass::{logit_rows, logit_stride};
pub use training::{CardTraining, DeviceTraining};
