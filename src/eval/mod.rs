//! Benchmarks: definitions, prompts, scoring and statistics.

mod benchmark;
mod compare;
mod definition;
mod encode;
mod item;
mod plan;
mod prompt;
mod report;
mod runner;
pub mod statistics;
mod table;
#[cfg(test)]
mod tests;

pub use benchmark::{Benchmark, GROUPS, built_in, find, resolve};
pub use compare::{Comparison, Flip, FlipCounts, compare_outcomes};
pub use definition::{AnswerForm, ChoiceColumns, ChoiceStyle, Columns, Definition, Preset, Subject, TableFormat};
pub use encode::encode;
pub use item::{Item, Items, Skipped, load};
pub use plan::{Plan, PlanRequest, PlannedItem, PlannedSubject, plan};
pub use prompt::{ChatRenderer, Prompt, Prompter};
pub use report::{CategoryScore, Ordered, Report, SubjectScore, report};
pub use runner::{ItemOutcome, Known, Scored, argmax, run};
