//! Models: where they come from (catalogue, hub, files), what they are made of (config, decoder, LoRA),
//! and how adapters are written and read.

pub mod adapter;
mod block;
pub mod catalogue;
mod config;
mod config_hf;
mod decoder;
mod device;
pub mod download;
mod expanded;
pub mod folder_writer;
mod gguf;
pub mod gguf_export;
mod gguf_header;
mod gguf_weights;
mod gguf_writer;
pub mod hub;
mod inference;
mod lora;
mod lora_config;
mod memory;
mod memory_card;
mod merge;
pub mod pull;
mod pypi;
mod random_weights;
mod repository;
mod safetensors;
mod storage_type;
mod tokenizer;
mod tokenizer_gguf;
mod tokenizer_to_gguf;
mod training_pass;
mod weight_form;
mod weights;

pub use config::{Architecture, ModelConfig, RopeScaling};
pub use decoder::{Decoder, KvBlock, Stretch, Workspace};
pub use device::{CardInference, CardTraining, DeviceDecoder, DeviceTraining, check_card, check_card_inference};
pub use expanded::{ExpandedWeights, NewToken};
pub use gguf::Gguf;
pub use gguf_header::TensorInfo;
pub use inference::{CardWeights, Hidden, HostInference, Inference};
pub use lora::{BlockLora, Lora, LoraGradients, Projection, SavedModules};
pub use lora_config::{LoraConfig, SavedModule, parse_pattern};
pub use memory::{Checkpointing, MemoryEstimate, TrainingSizes, choose_plan, mib, plan_for_machine};
pub use memory_card::{CardDemand, choose_card_plan, plan_for_card};
pub use merge::MergedWeights;
pub use random_weights::RandomWeights;
pub use repository::{Hub, Repository};
pub use storage_type::StorageType;
pub use tokenizer::{DecodeStream, Tokenizer};
pub use training_pass::{MemoryPlan, Tape, TrainingRows};
pub use weight_form::{BaseStorage, WeightForm};
pub use weights::{Format, ModelFiles, Tensor, WeightSource, open};

/// Hexadecimal digits of a hash.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
