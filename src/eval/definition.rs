//! A benchmark's definition: a TOML file that says where the items are, which column is what, and how
//! a prompt is worded. A new benchmark is such a file and no code.

use super::asking::{self, GenerationKwargs, Output, WrittenWording};
use super::extract::Filter;
use super::metric::MetricFields;
use super::reference::Reference;
use super::shots::FewshotSampler;
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a definition file holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Name on the command line and in results.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Where the data comes from.
    pub source: String,
    /// Licence of the data.
    pub licence: String,
    /// `zh`, `en`, or `mixed` when each subject has its own.
    pub lang: String,
    /// Groups it belongs to beside its language (`finance`).
    #[serde(default)]
    pub tags: Vec<String>,
    /// Folder of the data, below the definition's own folder or the data folder.
    pub folder: String,
    /// How the tables are written.
    pub format: TableFormat,
    /// What an item wants of a model.
    #[serde(default, alias = "output_type")]
    pub output: Output,
    /// A column that holds a list of objects: each is an item, and the other columns are theirs too.
    pub explode: Option<String>,
    /// The split that is scored.
    pub split: String,
    /// The split that few-shots are taken from. None: only 0 shots.
    pub fewshot_split: Option<String>,
    /// Which of its rows are taken.
    #[serde(default)]
    pub fewshot_sampler: FewshotSampler,
    /// Seed of a random sample; lm-evaluation-harness's without.
    #[serde(default = "harness_seed")]
    pub fewshot_seed: u64,
    /// Few-shots where no number is asked for.
    #[serde(default)]
    pub num_fewshot: usize,
    /// Path of each split's table; `{subject}` stands for a subject's handle.
    pub files: BTreeMap<String, String>,
    /// Which column is what.
    pub columns: Columns,
    /// What the benchmark consists of.
    #[serde(default)]
    pub subjects: Subjects,
    /// Named selections of subjects that get a score of their own.
    #[serde(default)]
    pub subsets: BTreeMap<String, Vec<String>>,
    /// How written answers are made.
    #[serde(default)]
    pub generation_kwargs: GenerationKwargs,
    /// How an answer is taken from what was written; without any, all of it is the answer.
    #[serde(default)]
    pub filter_list: Vec<Filter>,
    /// How answers are judged; without any, by exact match. The first of the first filter decides what is right.
    #[serde(default)]
    pub metric_list: Vec<MetricFields>,
    /// The longest window of a perplexity, in tokens; without it the model's.
    pub max_length: Option<usize>,
    /// Where `evals pull` finds the data.
    #[serde(default)]
    pub download: Vec<super::pull::Source>,
    /// Published figures.
    #[serde(default, rename = "reference")]
    pub references: Vec<Reference>,
    /// The preset in force when none is asked for; the others take from it what they leave out.
    pub default_preset: String,
    /// Named wordings of the prompt.
    pub presets: BTreeMap<String, PresetFields>,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableFormat {
    /// Comma-separated, with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// A JSON list of objects, or one object.
    Json,
    /// The whole file is one row with the column `text`.
    Txt,
}

impl TableFormat {
    /// Its name in a definition.
    pub fn name(self) -> &'static str {
        match self {
            TableFormat::Csv => "csv",
            TableFormat::Jsonl => "jsonl",
            TableFormat::Json => "json",
            TableFormat::Txt => "txt",
        }
    }
}

/// What lm-evaluation-harness draws few-shots with when nothing else is said.
fn harness_seed() -> u64 {
    1234
}

/// Which column of a table is what. In JSON a name that begins with `/` is a JSON pointer. `choices` and `answer` may
/// also be Jinja templates over the row's columns (they hold `{{`): a single `{{…}}` gives its value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// Identifies an item within its subject; without it the row number does, from 0.
    pub id: Option<String>,
    /// The question, or the text whose perplexity is measured. Named, it must be there and not be empty.
    pub question: Option<String>,
    /// One column per choice, or the one column that holds all of them as a list (JSON). None where answers are written.
    pub choices: Option<ChoiceColumns>,
    /// The right choice or answer. None for a perplexity.
    pub answer: Option<String>,
    /// How the right choice is written.
    #[serde(default)]
    pub answer_is: AnswerForm,
    /// Puts an item in a category of its own instead of its subject's.
    pub category: Option<String>,
}

/// Where the choices of an item stand.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum ChoiceColumns {
    /// One column each.
    Each(Vec<String>),
    /// One column that holds a list.
    List(String),
}

/// How a table writes the right choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerForm {
    /// `A`, `B`, …
    #[default]
    Letter,
    /// A number from 0.
    Index,
    /// A number from 0, or the text of a choice.
    Choice,
    /// `A`, `B`, …, or a number from 0.
    #[serde(rename = "letter_or_index")]
    LetterOrIndex,
}

/// The subjects: listed, or read from a JSON file of the benchmark, or neither (one table).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subjects {
    /// Listed here.
    pub list: Vec<Subject>,
    /// A JSON object in the data folder: handle → anything.
    pub file: Option<String>,
    /// JSON pointer to the title within such a value; without it the handle with `_` as spaces.
    pub title: Option<String>,
    /// JSON pointer to the category within such a value (empty: the value itself).
    pub category: Option<String>,
}

/// A part of a benchmark with a table and few-shots of its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its name in files, on the command line and in results.
    pub handle: String,
    /// Its name in prompts and for people; empty: the handle.
    #[serde(default)]
    pub title: String,
    /// The category it counts for; empty for none.
    #[serde(default)]
    pub category: String,
    /// Its language; empty: the definition's.
    #[serde(default)]
    pub lang: String,
}

/// A preset as a file writes it. What it leaves out is the default preset's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PresetFields {
    description: Option<String>,
    body: Option<String>,
    target_delimiter: Option<String>,
    fewshot_delimiter: Option<String>,
    labels: Option<Vec<String>>,
    choice_style: Option<ChoiceStyle>,
    chat: Option<bool>,
    target: Option<String>,
    generate: Option<WrittenWording>,
    cot: Option<WrittenWording>,
}

/// What stands after the body and is scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChoiceStyle {
    /// The choice's label.
    #[default]
    Letter,
    /// The choice's whole text.
    Text,
}

/// One wording of the prompt, complete.
#[derive(Clone, Debug)]
pub struct Preset {
    /// Its name.
    pub name: String,
    /// Jinja template of the text before everything, over the subject (`subject`, `handle`, `category`, `lang`).
    pub description: String,
    /// Jinja template of an item, over its columns, `choices` (a list) and the subject.
    pub body: String,
    /// Stands between body and answer in plain text.
    pub target_delimiter: String,
    /// Stands after each shot in plain text.
    pub fewshot_delimiter: String,
    /// Labels of the choices.
    pub labels: Vec<String>,
    /// What is scored.
    pub choice_style: ChoiceStyle,
    /// Whether the prompt is a conversation by default.
    pub chat: bool,
    /// Jinja template of a right answer, as shots show it; without it the answer's column, or the choice.
    pub target: Option<String>,
    /// Follows the body of the asked item alone.
    pub lead: String,
    /// What a written answer changes.
    pub generate: Option<WrittenWording>,
    /// What a chain of thought changes.
    pub cot: Option<WrittenWording>,
}

impl Definition {
    /// Reads a definition. `place` names it in messages.
    ///
    /// # Errors
    /// `InvalidInput` naming the file, the field and what is wrong with it.
    pub fn parse(text: &str, place: &str) -> Result<Definition> {
        let definition: Definition = toml::from_str(text).map_err(|e| invalid(place, e.to_string().trim_end()))?;
        definition.check(place)?;
        Ok(definition)
    }

    /// The wording called `name`, or the default one.
    ///
    /// # Errors
    /// `InvalidInput` listing the presets there are.
    pub fn preset(&self, name: Option<&str>) -> Result<Preset> {
        let name = name.unwrap_or(&self.default_preset);
        let base = self.presets.get(&self.default_preset);
        let (Some(own), Some(base)) = (self.presets.get(name), base) else {
            let known: Vec<&str> = self.presets.keys().map(String::as_str).collect();
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("{} has no preset `{name}`", "{} 没有预设 `{name}`", self.name),
            )
            .hint(tr!("it has: {}", "可用的有：{}", known.join(", "))));
        };
        let text = |pick: fn(&PresetFields) -> &Option<String>, default: &str| {
            pick(own).clone().or_else(|| pick(base).clone()).unwrap_or_else(|| default.to_owned())
        };
        Ok(Preset {
            name: name.to_owned(),
            description: text(|p| &p.description, ""),
            body: text(|p| &p.body, ""),
            target_delimiter: text(|p| &p.target_delimiter, " "),
            fewshot_delimiter: text(|p| &p.fewshot_delimiter, "\n\n"),
            labels: own
                .labels
                .clone()
                .or_else(|| base.labels.clone())
                .unwrap_or_else(|| ('A'..='Z').map(String::from).collect()),
            choice_style: own.choice_style.or(base.choice_style).unwrap_or_default(),
            chat: own.chat.or(base.chat).unwrap_or(false),
            target: own.target.clone().or_else(|| base.target.clone()),
            lead: String::new(),
            // These belong to one wording of the question and are not handed on.
            generate: own.generate.clone(),
            cot: own.cot.clone(),
        })
    }

    /// The presets that word a chain of thought.
    pub fn cot_presets(&self) -> impl Iterator<Item = &str> {
        self.presets.iter().filter(|(_, fields)| fields.cot.is_some()).map(|(name, _)| name.as_str())
    }

    /// The preset for a chain of thought where none is named: the default one, or the first that has one.
    ///
    /// # Errors
    /// Those of [`Definition::preset`].
    pub fn cot_preset(&self) -> Result<Preset> {
        let default = self.cot_presets().find(|name| *name == self.default_preset);
        self.preset(default.or_else(|| self.cot_presets().next()))
    }

    /// The split that is scored: `name`, or the one the definition says.
    ///
    /// # Errors
    /// `InvalidInput` listing the splits there are.
    pub fn scored_split<'a>(&'a self, name: Option<&'a str>) -> Result<&'a str> {
        let split = name.unwrap_or(&self.split);
        if self.files.contains_key(split) {
            return Ok(split);
        }
        let known: Vec<&str> = self.files.keys().map(String::as_str).collect();
        Err(Error::new(Kind::InvalidInput, tr!("{} has no split `{split}`", "{} 没有划分 `{split}`", self.name))
            .hint(tr!("it has: {}", "可用的有：{}", known.join(", "))))
    }

    /// Whether it belongs to the group `group`: `all`, its language, or one of its tags.
    pub fn is_in(&self, group: &str) -> bool {
        let lang = matches!(group, "zh" | "en") && (self.lang == group || self.lang == "mixed");
        group == "all" || lang || self.tags.iter().any(|t| t == group)
    }

    /// What the types do not say.
    fn check(&self, place: &str) -> Result<()> {
        if self.name.trim().is_empty() {
            return Err(invalid(place, &tr!("`name` is empty", "`name` 为空")));
        }
        let defined: Vec<&str> = self.files.keys().map(String::as_str).collect();
        for (field, split) in [("split", Some(&self.split)), ("fewshot_split", self.fewshot_split.as_ref())] {
            if let Some(split) = split.filter(|s| !self.files.contains_key(*s)) {
                return Err(invalid(
                    place,
                    &tr!(
                        "`{field} = \"{split}\"`, but [files] has only: {}",
                        "`{field} = \"{split}\"`，但 [files] 里只有：{}",
                        defined.join(", ")
                    ),
                ));
            }
        }
        if !matches!(self.lang.as_str(), "zh" | "en" | "mixed") {
            return Err(invalid(
                place,
                &tr!("`lang = \"{}\"` is not zh, en or mixed", "`lang = \"{}\"` 不是 zh、en 或 mixed", self.lang),
            ));
        }
        if matches!(&self.columns.choices, Some(ChoiceColumns::Each(names)) if names.len() < 2) {
            return Err(invalid(
                place,
                &tr!("`columns.choices` names fewer than two columns", "`columns.choices` 少于两列"),
            ));
        }
        let columns = &self.columns;
        for (field, missing) in [
            ("columns.choices", columns.choices.is_none() && self.output == Output::Choices),
            ("columns.answer", columns.answer.is_none() && self.output != Output::Perplexity),
        ] {
            if missing {
                return Err(invalid(place, &tr!("`{field}` is missing", "缺少 `{field}`")));
            }
        }
        asking::extractors(&self.filter_list).map_err(|e| invalid(place, &format!("`filter_list`: {e}")))?;
        asking::metrics(&self.metric_list).map_err(|e| invalid(place, &format!("`metric_list`: {e}")))?;
        if self.subjects.file.is_some() && !self.subjects.list.is_empty() {
            return Err(invalid(
                place,
                &tr!(
                    "[subjects] has both `file` and `list`: keep one",
                    "[subjects] 同时有 `file` 和 `list`：请只留一个"
                ),
            ));
        }
        let many = self.subjects.file.is_some() || self.subjects.list.len() > 1;
        for (split, path) in &self.files {
            if many && !path.contains("{subject}") {
                return Err(invalid(
                    place,
                    &tr!(
                        "`files.{split}` is the same for every subject: put {{subject}} in it",
                        "`files.{split}` 对每个科目都相同：请在其中写 {{subject}}"
                    ),
                ));
            }
        }
        let preset = self.preset(None).map_err(|_| {
            invalid(
                place,
                &tr!(
                    "`default_preset = \"{0}\"`, but there is no [presets.{0}]",
                    "`default_preset = \"{0}\"`，但没有 [presets.{0}]",
                    self.default_preset
                ),
            )
        })?;
        if preset.body.is_empty() {
            return Err(invalid(
                place,
                &tr!("`presets.{}.body` is missing", "缺少 `presets.{}.body`", self.default_preset),
            ));
        }
        if let Some(problem) = self.references.iter().find_map(|r| r.problem(self)) {
            return Err(invalid(place, &format!("[[reference]]: {problem}")));
        }
        for (name, fields) in &self.presets {
            let none = WrittenWording::default();
            let (generate, cot) = (fields.generate.as_ref().unwrap_or(&none), fields.cot.as_ref().unwrap_or(&none));
            for (field, template) in [
                ("description", &fields.description),
                ("body", &fields.body),
                ("target", &fields.target),
                ("generate.description", &generate.description),
                ("generate.body", &generate.body),
                ("generate.target", &generate.target),
                ("cot.description", &cot.description),
                ("cot.body", &cot.body),
                ("cot.target", &cot.target),
            ] {
                if let Some(Err(e)) = template.as_deref().map(super::prompt::check_template) {
                    return Err(invalid(place, &format!("`presets.{name}.{field}`: {e}")));
                }
            }
        }
        Ok(())
    }
}

fn invalid(place: &str, problem: &str) -> Error {
    Error::new(Kind::InvalidInput, format!("{place}: {problem}")).hint(tr!(
        "correct that line; docs/benchmark-definitions.md in the source explains every field",
        "请改正该处；源码中的 docs/benchmark-definitions.md 说明了每个字段"
    ))
}
