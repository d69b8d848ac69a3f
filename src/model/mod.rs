//! Models: where they come from (catalogue, hub, files), what they are made of (config, decoder, LoRA),
//! and how adapters are written and read.

pub mod adapter;
mod block;
mod decoder;
mod lora;

pub use decoder::{Decoder, KvBlock, Stretch, Tape, TrainingRows, Workspace};
pub use lora::{BlockLora, Lora, LoraConfig, LoraGradients, Projection};
