//! Differentiable operations, each a forward and an explicit backward.
//!
//! candle has no backward for RMSNorm, RoPE or fused attention and computes weight gradients that LoRA
//! does not want, so training on its graph is slow and, worse, silently loses gradients. Here every
//! operation is a pair of plain functions over row-major `f32` slices: `[tokens, features]`. All rows
//! of a batch lie one after another without padding; only attention knows where one sequence ends.
//!
//! The same forward functions serve training and inference.

mod attention;
mod buffer;
mod cross_entropy;
pub mod cuda;
mod dora;
mod dropout;
mod elementwise;
mod embedding_noise;
mod few_rows;
mod frozen;
mod lora;
mod matmul;
mod packed;
pub mod quantised;
mod rms_norm;
mod rope;
mod simd;
mod skinny;

pub use attention::{Attended, HeadLayout, Qkv, Span, attention, attention_backward};
pub use buffer::sized;
pub use cross_entropy::{Head, HeadScratch, linear_cross_entropy, log_sum_exp};
pub use dora::{adapted_norms, column_factors, magnitude_gradient, scale_columns};
pub use dropout::DropoutMask;
pub use elementwise::{add_assign, add_bias, exp, swiglu, swiglu_backward};
pub use embedding_noise::EmbeddingNoise;
pub use frozen::{Arithmetic, Frozen, Input, Operand, StoredRows};
pub use lora::{LoraGradient, LoraPair, LoraScratch};
pub use matmul::{Threads, View, ViewMut, matmul};
pub use packed::Start;
pub use rms_norm::{rms_norm, rms_norm_again, rms_norm_backward};
pub use rope::{RopeTable, rope_scaled_frequencies};
