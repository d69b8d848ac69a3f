//! What a report says beside accuracy: how answers were found, the values of every metric, and how many items were
//! left unanswered.

use super::asking::{Asks, Mode};
use super::plan::Plan;
use super::report::Ordered;
use super::rolling;
use super::runner::ItemOutcome;
use serde::{Deserialize, Serialize};

/// The score of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricScore {
    /// Its mean over the items, or the perplexity.
    pub value: f64,
    /// Sample standard deviation ÷ √n; `None` for one item and for perplexities.
    pub stderr: Option<f64>,
    /// Items in which the metric's filter found no answer: counted as wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<usize>,
}

/// What is said of written answers and of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How answers were found.
    #[serde(default)]
    pub mode: Mode,
    /// Items without an answer: counted as wrong. `None` where choices are scored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<usize>,
    /// Metrics by name, `metric,filter` where answers are taken in several ways.
    #[serde(default = "none", skip_serializing_if = "is_empty")]
    pub metrics: Ordered<MetricScore>,
}

fn none() -> Ordered<MetricScore> {
    Ordered(Vec::new())
}

fn is_empty(metrics: &Ordered<MetricScore>) -> bool {
    metrics.0.is_empty()
}

/// Sums up the outcomes of `plan`.
pub fn summary(plan: &Plan, outcomes: &[ItemOutcome]) -> Summary {
    let mode = plan.asks.mode();
    match &plan.asks {
        Asks::Choices => Summary { mode, unanswered: None, metrics: none() },
        Asks::Rolling(_) => Summary { mode, unanswered: None, metrics: rolling::summary(outcomes) },
        Asks::Written(_) => {
            let all: Vec<&ItemOutcome> = outcomes.iter().collect();
            Summary { mode, unanswered: Some(0), metrics: none() }.of(&all)
        }
    }
}

impl Summary {
    /// The same for other outcomes of the mode.
    pub fn of(&self, outcomes: &[&ItemOutcome]) -> Summary {
        if self.unanswered.is_none() {
            return self.clone();
        }
        let unanswered = outcomes.iter().filter(|o| o.pred.is_empty()).count();
        Summary { mode: self.mode, unanswered: Some(unanswered), metrics: written(outcomes) }
    }
}

/// The metrics of written answers. Items whose right answer nobody knows have none.
fn written(outcomes: &[&ItemOutcome]) -> Ordered<MetricScore> {
    let judged: Vec<_> = outcomes.iter().filter(|o| !o.gold.is_empty()).filter_map(|o| o.written.as_ref()).collect();
    let names: Vec<&String> =
        judged.first().map(|w| w.metrics.0.iter().map(|(name, _)| name).collect()).unwrap_or_default();
    let n = judged.len() as f64;
    let metrics = names.into_iter().map(|name| {
        let values: Vec<f64> = judged.iter().filter_map(|w| w.metrics.get(name)).copied().collect();
        let mean = values.iter().sum::<f64>() / n;
        let deviation = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let filter = name.split_once(',').map_or("", |(_, filter)| filter);
        let unanswered = judged.iter().filter(|w| matches!(w.extracted.get(filter), Some(None))).count();
        let stderr = Some((deviation / n).sqrt()).filter(|_| values.len() > 1);
        (name.clone(), MetricScore { value: mean, stderr, unanswered: Some(unanswered) })
    });
    Ordered(metrics.collect())
}
