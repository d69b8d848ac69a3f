//! What a long job says while it runs, who listens, and how it is asked to stop.
//!
//! A job (training, scoring, battles) never prints: it sends [`JobEvent`]s to an [`EventSink`]. The
//! command line draws a bar or prints JSON lines from them, the store keeps them so that a dashboard
//! opened later replays the curve, and the terminal interface polls that store.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// A line for people.
    Log {
        /// The line.
        message: String,
    },
}

/// What one optimiser step measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Optimiser steps so far, from 1.
    pub step: u64,
    /// Steps planned.
    pub total: u64,
    /// Mean negative log-likelihood per supervised token of this step's window, in nats.
    pub loss: f64,
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
