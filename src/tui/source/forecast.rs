//! What a training would take, as its form shows it.

/// Memory and time of a training that is not started yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForecastView {
    /// Where it would compute: `cpu`, or a card.
    pub place: String,
    /// Bytes that it would take there; none where that cannot be told.
    pub memory: Option<u64>,
    /// Bytes that are free there, if known.
    pub free: Option<u64>,
    /// Whether it fits.
    pub fits: bool,
    /// Optimiser steps; none while no dataset is named.
    pub steps: Option<u64>,
    /// Seconds; none where no training of this model was measured here.
    pub seconds: Option<f64>,
    /// Tokens per second, and the run that had that speed.
    pub speed: Option<(f64, String)>,
}
