//! Benchmarks: definitions, prompts, scoring and statistics.

mod answer;
mod asking;
mod benchmark;
mod compare;
mod definition;
mod encode;
mod extract;
mod import_task;
mod item;
mod metric;
mod plan;
mod prompt;
mod pull;
mod python_random;
mod report;
mod rolling;
mod runner;
mod shots;
pub mod statistics;
mod summary;
mod table;
mod tatqa;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Written};
pub use asking::{Asks, GenerationKwargs, Mode, Output, Reading, Writing, WrittenWording, asking};
pub use benchmark::{Benchmark, GROUPS, built_in, find, resolve};
pub use compare::{Comparison, Flip, FlipCounts, compare_outcomes};
pub use definition::{AnswerForm, ChoiceColumns, ChoiceStyle, Columns, Definition, Preset, Subject, TableFormat};
pub use encode::encode;
pub use extract::{Extractor, Filter, LetterPattern, Letters, Patterns, Step, Take};
pub use import_task::{Imported, import_task};
pub use item::{Item, Items, Skipped, load};
pub use metric::{Aggregation, Expected, Metric, MetricFields, MetricName};
pub use plan::{Plan, PlanRequest, PlannedItem, PlannedSubject, plan};
pub use prompt::{ChatRenderer, Opening, Prompt, Prompter};
pub use pull::Source;
pub use report::{CategoryScore, Ordered, Report, SubjectScore, report};
pub use rolling::windows;
pub use runner::{ItemOutcome, Known, Scored, argmax, run};
pub use shots::FewshotSampler;
pub use summary::{MetricScore, Summary};
