//! linly-bench: a workbench that turns a general language model into a domain expert and proves
//! whether it became one.
//!
//! The data's path, and the folders in its order:
//! [`data`] (rows) → [`prompt`] (text, tokens and loss mask from one rendering) → [`batch`] (micro-batches) →
//! [`ops`] and [`model`] (one decoder with LoRA) → [`train`] (an adapter) → [`infer`] (scores and text; [`remote`] asks a
//! server for them) → [`eval`] (benchmarks), [`arena`] (battles and ratings) → [`leaderboard`].
//! [`store`] keeps all of it, [`workbench`] has one function per verb, [`cli`], [`tui`]
//! and [`serve`] (HTTP) call those.

pub mod arena;
pub mod batch;
pub mod cli;
pub mod config;
pub mod data;
pub mod error;
pub mod eval;
pub mod infer;
pub mod job;
pub mod lang;
pub mod leaderboard;
pub mod machine;
pub mod model;
pub mod ops;
pub mod prompt;
pub mod remote;
pub mod serve;
pub mod store;
pub mod text;
pub mod train;
pub mod tui;
pub mod workbench;
