//! Benchmarks: definitions, prompts, scoring and statistics.

mod benchmark;
mod calibration;
mod compare;
mod definition;
mod detail;
mod encode;
mod item;
mod permutation;
mod plan;
mod prompt;
mod report;
mod rescore;
mod runner;
mod several;
pub mod statistics;
mod table;
#[cfg(test)]
mod tests;

pub use benchmark::{Benchmark, GROUPS, built_in, find, resolve};
pub use calibration::{BINS, Calibration, ReliabilityBin, calibration, gold_position, softmax};
pub use compare::{Comparison, Flip, FlipCounts, compare_outcomes, pair};
pub use definition::{AnswerForm, ChoiceColumns, ChoiceStyle, Columns, Definition, Preset, Subject, TableFormat};
pub use detail::ItemDetail;
pub use encode::encode;
pub use item::{Item, Items, Skipped, load};
pub use permutation::{PermutationReport, permutation_report};
pub use plan::{Plan, PlanRequest, PlannedItem, PlannedSubject, Shuffle, plan};
pub use prompt::{ChatRenderer, Prompt, Prompter};
pub use report::{CategoryScore, Ordered, Report, SubjectScore, report};
pub use rescore::{Rescoring, Rule, rescore};
pub use runner::{ItemOutcome, Known, Scored, argmax, run};
pub use several::{GroupScore, PresetSpread, group_score, preset_spread};
