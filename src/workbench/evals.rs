//! Benchmarks themselves: which there are, what is known of them, and whether a definition is sound.

use super::Workbench;
use crate::error::Result;
use crate::eval::{self, Benchmark, Definition, PlanRequest, Reference, Skipped, TableFormat};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use super::pull::{PulledData, pull};

/// A benchmark in the list.
#[derive(Clone, Debug, Serialize)]
pub struct ListedBenchmark {
    /// What `run` takes.
    pub name: String,
    /// For people.
    pub title: String,
    /// `zh`, `en` or `mixed`.
    pub lang: String,
    /// Groups beside the language.
    pub tags: Vec<String>,
    /// How it is asked where nothing else is said.
    pub mode: &'static str,
    /// Wordings.
    pub presets: Vec<String>,
    /// Whether its data is here.
    pub present: bool,
    /// Whether `evals pull` knows where its data is to be had.
    pub pullable: bool,
    /// Licence of the data.
    pub licence: String,
    /// Where the data comes from.
    pub source: String,
}

/// The benchmarks that come with the program.
///
/// # Errors
/// Those of [`eval::built_in`].
pub fn list(bench: &Workbench) -> Result<Vec<ListedBenchmark>> {
    let each = |definition: Definition| listed(&eval::find(&definition.name, bench.settings.data_dir.as_deref())?);
    eval::built_in()?.into_iter().map(each).collect()
}

fn listed(benchmark: &Benchmark) -> Result<ListedBenchmark> {
    let definition = &benchmark.definition;
    let (_, asks) = eval::asking(definition, None, None)?;
    Ok(ListedBenchmark {
        mode: asks.mode().name(),
        presets: definition.presets.keys().cloned().collect(),
        present: benchmark.is_present(),
        pullable: !definition.download.is_empty(),
        name: definition.name.clone(),
        title: definition.title.clone(),
        lang: definition.lang.clone(),
        tags: definition.tags.clone(),
        licence: definition.licence.clone(),
        source: definition.source.clone(),
    })
}

/// What a definition tells of its benchmark.
#[derive(Clone, Debug, Serialize)]
pub struct AboutBenchmark {
    /// As in the list.
    #[serde(flatten)]
    pub listed: ListedBenchmark,
    /// Groups it belongs to.
    pub groups: Vec<String>,
    /// How its tables are written.
    pub format: TableFormat,
    /// Path of each split's table, below its folder.
    pub splits: BTreeMap<String, String>,
    /// The split that is scored.
    pub split: String,
    /// The split that few-shots come from; none: there are none.
    pub fewshot_split: Option<String>,
    /// Few-shots where no number is asked for.
    pub num_fewshot: usize,
    /// The wording where none is asked for.
    pub default_preset: String,
    /// Subjects; 0 while their list is not here.
    pub subjects: usize,
    /// Places that `evals pull` fetches from.
    pub places: Vec<String>,
    /// Published figures.
    pub reference: Vec<Reference>,
}

/// Everything that is told of the benchmark `name` (a name, or the path of a definition).
///
/// # Errors
/// Those of [`eval::find`].
pub fn about(bench: &Workbench, name: &str) -> Result<AboutBenchmark> {
    let benchmark = eval::find(name, bench.settings.data_dir.as_deref())?;
    let definition = &benchmark.definition;
    Ok(AboutBenchmark {
        listed: listed(&benchmark)?,
        groups: eval::GROUPS.iter().filter(|g| definition.is_in(g)).map(|g| (*g).to_owned()).collect(),
        format: definition.format,
        splits: definition.files.clone(),
        split: definition.split.clone(),
        fewshot_split: definition.fewshot_split.clone(),
        num_fewshot: definition.num_fewshot,
        default_preset: definition.default_preset.clone(),
        subjects: benchmark.subjects(&[]).map_or(0, |subjects| subjects.len()),
        places: definition.download.iter().flat_map(|source| source.from.iter().cloned()).collect(),
        reference: definition.references.clone(),
    })
}

/// What a look at a definition found.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// The benchmark's name.
    pub name: String,
    /// What its definition tells.
    pub about: AboutBenchmark,
    /// How it is asked where nothing else is said.
    pub mode: &'static str,
    /// Wordings.
    pub presets: Vec<String>,
    /// Folder of the data, where it is a folder and was found.
    pub folder: Option<PathBuf>,
    /// Files that are not there, below that folder.
    pub missing: Vec<String>,
    /// Number of subjects; 0 while their list is missing.
    pub subjects: usize,
    /// The first prompts.
    pub samples: Vec<SamplePrompt>,
    /// Items among the first of every subject that cannot be scored, and why.
    pub skipped: Vec<Skipped>,
}

/// A prompt as the model will get it.
#[derive(Clone, Debug, Serialize)]
pub struct SamplePrompt {
    /// Subject.
    pub subject: String,
    /// Item.
    pub id: String,
    /// What the model is asked.
    pub prompt: String,
    /// What is scored after it.
    pub continuations: Vec<String>,
    /// What is right; empty where it is not known.
    pub gold: String,
}

/// Prompts that a check shows.
const SAMPLES: usize = 3;

/// Reads the definition `name` (a name, or the path of a file) and makes its first prompts. Data that is not there is
/// told, not refused.
///
/// # Errors
/// Those of [`eval::find`] and, where the data is there, of [`eval::plan`].
pub fn check(bench: &Workbench, name: &str, shots: usize, preset: Option<&str>) -> Result<Checked> {
    let benchmark = eval::find(name, bench.settings.data_dir.as_deref())?;
    let definition = &benchmark.definition;
    // Every wording, not only the one that is shown.
    for preset in definition.presets.keys() {
        eval::asking(definition, Some(preset), None)?;
    }
    let (_, asks) = eval::asking(definition, preset, None)?;
    let missing = if benchmark.is_present() { benchmark.missing_files()? } else { all_files(definition) };
    let mut checked = Checked {
        name: definition.name.clone(),
        about: about(bench, name)?,
        mode: asks.mode().name(),
        presets: definition.presets.keys().cloned().collect(),
        folder: benchmark.folder().map(Path::to_owned),
        subjects: 0,
        missing,
        samples: Vec::new(),
        skipped: Vec::new(),
    };
    if checked.missing.is_empty() {
        let preset = preset.map(str::to_owned);
        let request = PlanRequest { shots, preset, limit: Some(SAMPLES), ..PlanRequest::default() };
        let plan = eval::plan(&benchmark, &request, None)?;
        checked.subjects = plan.subjects.len();
        let items = plan.subjects.iter().flat_map(|part| part.items.iter().map(|item| (&part.subject.handle, item)));
        checked.samples = items
            .take(SAMPLES)
            .map(|(subject, item)| SamplePrompt {
                subject: subject.clone(),
                id: item.id.clone(),
                prompt: item.prompt.text.clone(),
                continuations: item.prompt.continuations.clone(),
                gold: item.gold.map_or_else(|| item.expected.text(), |gold| plan.label(gold)),
            })
            .collect();
        checked.skipped = plan.skipped;
    }
    Ok(checked)
}

/// The files of a benchmark of which nothing is there.
fn all_files(definition: &Definition) -> Vec<String> {
    let files = definition.subjects.file.iter().chain(definition.files.values());
    files.map(|file| format!("{}/{file}", definition.folder)).collect()
}
