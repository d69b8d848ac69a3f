//! What there is to choose from when a form asks for a name.

use crate::tui::verbs::Naming;

/// The names of this home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// Models: on this machine, then in the catalogue.
    pub models: Vec<String>,
    /// Adapters.
    pub adapters: Vec<String>,
    /// Datasets.
    pub datasets: Vec<String>,
    /// Benchmarks and groups.
    pub benchmarks: Vec<String>,
    /// Arenas.
    pub arenas: Vec<String>,
    /// Runs, the newest first.
    pub runs: Vec<String>,
}

impl Choices {
    /// Those that a value of this kind may have.
    pub fn of(&self, naming: Naming) -> &[String] {
        match naming {
            Naming::Nothing => &[],
            Naming::Model => &self.models,
            Naming::Adapter | Naming::NewAdapter => &self.adapters,
            Naming::Dataset | Naming::HeldOut => &self.datasets,
            Naming::Benchmark => &self.benchmarks,
            Naming::Arena => &self.arenas,
            Naming::Run => &self.runs,
        }
    }
}
