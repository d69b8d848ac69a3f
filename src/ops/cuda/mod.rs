//! The operations on a CUDA card: kernels in CUDA C (`kernels/*.cu`), compiled when they are first used, and the functions
//! that launch them.
//!
//! A function checks shapes, chooses grid and shared memory and hands the arguments to a [`Device`]. There are two: the
//! card, and in tests an emulator that runs the kernels' own text on the CPU. So shapes, arguments, index arithmetic,
//! barriers and tensor-core layouts are tested where no card is; what only a card can show is speed, and the few
//! instructions that the emulator stands in for (`tensor_core.cuh`).
//!
//! Activations are bf16 (f32 on the parity path), sums f32; nothing uses atomics, so a run repeats to the bit. docs/gpu.md has the table of
//! bytes, FLOPs and expected times, and how a training pass is put together from these.

mod attention;
mod card;
mod decoding;
mod device;
#[cfg(test)]
pub(crate) mod emulator;
mod factors;
#[cfg(feature = "cuda")]
mod gpu;
#[cfg(feature = "cuda")]
mod graph;
mod head_norm;
mod inference;
mod kernels;
mod loss;
#[cfg(feature = "cuda")]
mod machine_code;
#[cfg(feature = "cuda")]
mod matmul;
#[cfg(feature = "cuda")]
mod nccl;
mod nvrtc;
mod optimizer;
mod product;
mod quantised;
mod rows;
#[cfg(test)]
mod tests;

pub use attention::{Heads, Segments, attention, attention_backward};
pub use card::{Card, cards};
pub use decoding::{
    Around, CachedKeys, DecodeScratch, LowRank, MOST_ROWS, RowPlaces, Weight, attention_decode, low_rank,
    matrix_vector, matrix_vector_gated,
};
pub use device::{Argument, Buffer, CardGroup, Device, Element, Launch, Number, Recording, Rows};
pub use factors::{Placement, place_factors};
#[cfg(feature = "cuda")]
pub use gpu::Gpu;
pub use head_norm::{HeadRows, head_norm, head_norm_backward};
pub use inference::{CacheWriter, cache_rows, embed_rows, norm_rows, scale_columns, token_logprobs};
pub use kernels::{Kernel, KernelFile};
pub use loss::{add_to_total, argmax, cross_entropy};
pub use nvrtc::{Compiler, Target, library_folders};
pub use optimizer::{StepSettings, Stretch, adamw, gradient_norm, stretches};
pub use product::{AnyRows, Product};
pub use quantised::{CardRows, dequantise};
pub use rows::{
    Rotary, add_bias, cast, dropout, embedding_noise, gather_rows, rms_norm, rms_norm_again, rms_norm_backward, rope,
    scatter_rows, swiglu, swiglu_backward,
};
