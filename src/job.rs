//! What a long job says while it runs, who listens, and how it is asked to stop.
//!
//! A job (training, scoring, battles) never prints: it sends [`JobEvent`]s to an [`EventSink`]. The
//! command line draws a bar or prints JSON lines from them, the store keeps them so that a dashboard
//! opened later replays the curve, and the terminal interface polls that store.

pub mod progress;

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

static CURRENT: OnceLock<String> = OnceLock::new();

/// Makes this process the worker of the background job `id`; runs that it starts carry that id.
pub fn set_current(id: &str) {
    let _ = CURRENT.set(id.to_owned());
}

/// The background job that this process works on, if it is a job's process.
pub fn current() -> Option<&'static str> {
    CURRENT.get().map(String::as_str)
}

/// One thing that a job reports. `Progress` may be lost; the others may not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JobEvent {
    /// The job began; `total` steps or items are planned.
    Started {
        /// Run id.
        run: String,
        /// `train`, `eval`, `arena`.
        kind: String,
        /// Planned number of steps or items.
        total: u64,
    },
    /// `done` of `total` are finished; drawn, never stored.
    Progress {
        /// Finished steps or items.
        done: u64,
        /// Planned steps or items.
        total: u64,
        /// What is being worked on (a subject, a phase).
        note: String,
    },
    /// An optimiser step.
    Step(StepMetrics),
    /// A validation pass after `step` steps.
    Eval {
        /// Optimiser steps so far.
        step: u64,
        /// Mean negative log-likelihood per supervised token, in nats.
        val_loss: f64,
        /// Whether this is the lowest so far (the adapter was saved).
        best: bool,
    },
    /// What the model in the making answers to a row's prompt.
    Sample {
        /// Optimiser steps so far.
        step: u64,
        /// The prompt's text.
        prompt: String,
        /// What the model wrote.
        answer: String,
    },
    /// A sign that something is wrong; the job goes on.
    Warning {
        /// Optimiser steps so far.
        step: u64,
        /// What is wrong and what helps.
        message: String,
    },
    /// A line for people.
    Log {
        /// The line.
        message: String,
    },
}

/// What one optimiser step measured. Fields with a default are 0 in events that an earlier version stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Optimiser steps so far, from 1.
    pub step: u64,
    /// Steps planned.
    pub total: u64,
    /// Mean negative log-likelihood per supervised token of this step's window, in nats.
    pub loss: f64,
    /// Exponential mean of the losses so far (see [`crate::train::SMOOTHING`]).
    #[serde(default)]
    pub smoothed_loss: f64,
    /// Learning rate used.
    pub lr: f64,
    /// Euclidean norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Tokens in the window.
    pub tokens: u64,
    /// Tokens in the window that carry loss.
    pub supervised_tokens: u64,
    /// Tokens per second of this step.
    pub tokens_per_second: f64,
    /// Supervised tokens per second of this step.
    #[serde(default)]
    pub supervised_tokens_per_second: f64,
    /// Memory held now, in MiB.
    #[serde(default)]
    pub rss_mb: f64,
    /// Seconds to the end, at the pace of this process so far (validations and samples included).
    #[serde(default)]
    pub eta_seconds: f64,
}

/// Where a job's events go. Called on the job's own thread; must not block for long.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: &JobEvent);
}

/// A sink that forgets everything.
pub struct Silent;

impl EventSink for Silent {
    fn emit(&self, _event: &JobEvent) {}
}

/// Hands every event to each of its sinks in order.
pub struct Fanout<'a>(pub Vec<&'a dyn EventSink>);

impl EventSink for Fanout<'_> {
    fn emit(&self, event: &JobEvent) {
        for sink in &self.0 {
            sink.emit(event);
        }
    }
}

/// A request to stop that all holders of a clone share. Jobs look at it at step boundaries.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the job to stop at its next boundary.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The flag itself, for a signal handler.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Whether someone asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_an_earlier_version_stored_is_still_read() {
        let old = r#"{"event":"step","step":3,"total":9,"loss":2.5,"lr":0.001,"grad_norm":0.5,"tokens":64,"supervised_tokens":20,"tokens_per_second":100.0}"#;
        let JobEvent::Step(m) = serde_json::from_str(old).unwrap() else { panic!("not a step") };
        assert_eq!((m.step, m.loss, m.smoothed_loss, m.eta_seconds), (3, 2.5, 0.0, 0.0));
    }
}
