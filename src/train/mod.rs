//! LoRA fine-tuning: settings, optimiser, schedule, the loop, and checkpoints that resume exactly.

mod checkpoint;
mod config;
mod optimizer;
mod schedule;
mod trainer;

pub use checkpoint::{Checkpoint, Progress};
pub use config::{Length, TrainConfig};
pub use optimizer::{AdamW, clip_coefficient, global_norm};
pub use schedule::Schedule;
pub use trainer::{TrainData, TrainOutcome, Trainer, mean_loss};
