//! Published figures: what others got on a benchmark, and how they asked.

use super::asking::Mode;
use super::definition::Definition;
use crate::tr;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One `[[reference]]` entry: figures of one table, all got in the same way. What is not told is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Where they were published.
    pub source: String,
    /// Few-shots per prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shots: Option<usize>,
    /// The wording, by the name that it has in the definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The split; the definition's without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// How answers were found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Over what the figures are a mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
    /// What they are.
    #[serde(default = "accuracy")]
    pub metric: String,
    /// Model → figure in per cent.
    pub scores: BTreeMap<String, f64>,
}

/// Over what a figure is a mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Average {
    /// All items.
    Micro,
    /// The subjects' accuracies.
    Macro,
}

fn accuracy() -> String {
    "acc".to_owned()
}

impl Reference {
    /// Whether a score of `preset` and `shots` on `split` was asked as these were.
    fn is_beside(&self, definition: &Definition, preset: &str, shots: usize, split: &str) -> bool {
        self.shots == Some(shots)
            && self.preset.as_deref() == Some(preset)
            && self.split.as_deref().unwrap_or(&definition.split) == split
    }

    /// How the figures were got, in words.
    pub fn how(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        parts.extend((self.metric != "acc").then(|| self.metric.clone()));
        parts.extend(self.shots.map(|n| format!("{n}-shot")));
        parts.extend(self.preset.as_ref().map(|name| tr!("preset {name}", "预设 {name}")));
        parts.extend(self.split.as_ref().map(|name| tr!("split {name}", "划分 {name}")));
        parts.extend(self.mode.map(|mode| mode.name().to_owned()));
        parts.extend(self.average.map(|average| match average {
            Average::Micro => tr!("mean of items", "按题平均"),
            Average::Macro => tr!("mean of subjects", "按科目平均"),
        }));
        parts.join(", ")
    }

    /// Models and figures, the best first.
    pub fn ranked(&self) -> Vec<(&str, f64)> {
        let mut all: Vec<(&str, f64)> = self.scores.iter().map(|(model, score)| (model.as_str(), *score)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all
    }

    /// Models and figures in one line.
    pub fn figures(&self) -> String {
        self.ranked().iter().map(|(model, score)| format!("{model} {score:.2}")).collect::<Vec<_>>().join(", ")
    }

    /// What is wrong with it, where anything is.
    pub(super) fn problem(&self, definition: &Definition) -> Option<String> {
        if let Some(preset) = self.preset.as_ref().filter(|name| !definition.presets.contains_key(*name)) {
            return Some(tr!("there is no [presets.{preset}]", "没有 [presets.{preset}]"));
        }
        if self.source.trim().is_empty() || self.scores.is_empty() {
            return Some(tr!("it needs a `source` and `scores`", "需要 `source` 与 `scores`"));
        }
        let odd = self.scores.iter().find(|(_, score)| !(0.0..=100.0).contains(*score));
        odd.map(|(model, score)| tr!("{model}: {score} is no per cent", "{model}：{score} 不是百分数"))
    }
}

/// The published figures that a score of `preset` and `shots` on `split` (the definition's without) may stand beside.
pub fn published<'a>(
    definition: &'a Definition,
    preset: &str,
    shots: usize,
    split: Option<&str>,
) -> Vec<&'a Reference> {
    let split = split.unwrap_or(&definition.split);
    definition.references.iter().filter(|r| r.is_beside(definition, preset, shots, split)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_figures_that_were_got_in_the_same_way_stand_beside_a_score() {
        let definition = crate::eval::find("financeiq", None).unwrap().definition;
        let five = published(&definition, "fineval", 5, None);
        let [five] = five.as_slice() else { panic!("{five:?}") };
        // FinanceIQ's own table.
        assert_eq!(five.scores.get("LLaMA-2-7B"), Some(&31.49));
        assert_eq!(five.average, Some(Average::Macro));
        assert_eq!(five.ranked().first().map(|(model, _)| *model), Some("XuanYuan-70B"));
        assert!(published(&definition, "fineval", 3, None).is_empty());
        assert!(published(&definition, "lm-eval", 5, None).is_empty());
        assert!(published(&definition, "fineval", 5, Some("dev")).is_empty());
        // Figures whose wording or shots nobody told stand beside nothing.
        let definition = crate::eval::find("fineval", None).unwrap().definition;
        assert!(definition.references.iter().any(|r| r.shots.is_none()));
        assert!(published(&definition, "fineval", 5, Some("test")).is_empty());
    }

    #[test]
    fn every_definition_tells_where_its_figures_come_from() {
        for definition in crate::eval::built_in().unwrap() {
            assert!(!definition.source.is_empty() && !definition.licence.is_empty(), "{}", definition.name);
            for reference in &definition.references {
                let at = reference.source.starts_with("https://");
                assert!(at && reference.problem(&definition).is_none(), "{}: {reference:?}", definition.name);
            }
        }
    }
}
