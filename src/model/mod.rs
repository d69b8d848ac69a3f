//! Models: where they come from (catalogue, hub, files), what they are made of (config, decoder, LoRA),
//! and how adapters are written and read.

mod config;
mod config_hf;
mod gguf;
mod gguf_header;
mod gguf_weights;
mod safetensors;
mod weights;

pub use config::{Architecture, ModelConfig, RopeScaling};
pub use gguf::Gguf;
pub use gguf_header::TensorInfo;
pub use weights::{Format, ModelFiles, Tensor, WeightSource, open};
