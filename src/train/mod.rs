//! LoRA fine-tuning: settings, optimiser, schedule, the loop, and checkpoints that resume exactly.

#[cfg(test)]
mod card_tests;
mod checkpoint;
mod checkpoint_folder;
mod config;
mod optimizer;
mod peers;
mod peers_tcp;
mod preflight;
mod schedule;
mod trainer;
mod watch;
mod work;

pub use checkpoint::{Checkpoint, Progress, Stored};
pub use checkpoint_folder::{CheckpointFolder, Found};
pub use config::{Length, TrainConfig};
pub use optimizer::{AdamW, Group, clip_coefficient, global_norm};
pub use peers::Peers;
pub use peers_tcp::{Still, TcpPeers};
pub use schedule::Schedule;
pub use trainer::{Ending, Sampler, TrainData, TrainOutcome, Trainer, mean_loss};
pub use watch::{SMOOTHING, Sign, Watch};
pub use work::OnCard;
