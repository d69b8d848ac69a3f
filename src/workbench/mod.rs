//! One function per verb: what both front ends (command line and terminal interface) call.
//! It brings the store together with the engines, which know nothing of each other.

pub mod answering;
pub mod arena;
pub mod assist;
pub mod bench;
pub mod bench_card;
pub mod bench_infer;
pub mod contamination;
pub mod convert;
pub mod data;
pub mod demo;
pub mod device;
pub mod doctor;
pub mod evals;
pub mod expand;
pub mod export;
pub mod family;
pub mod forecast;
pub mod gpu_check;
pub mod inputs;
pub mod inventory;
pub mod jobs;
pub mod leaderboard;
mod load;
pub mod memory_plan;
pub mod models;
mod permute;
mod pull;
mod remote;
pub mod report;
mod rescore;
mod runs;
mod samples;
mod score;
mod speaker;
mod stream_input;
mod talk;
mod text_rows;
pub mod together;
pub mod train;
mod train_publish;
mod train_rows;
mod train_run;
mod watched_weights;

pub use load::{LoadedAdapter, LoadedModel, LocalContestant};
pub use permute::permute;
pub use remote::{RemoteContestant, with_remote_examinee};
pub use rescore::{Extraction, RescoreNote, RescoreRequest, Rescored, rescore};
pub use runs::{ScoreDetail, compare_runs, score_detail};
pub use score::{
    Examinee, How, Provenance, ScoreReport, ScoreRequest, asked, check_score, finished_score, reads_choices,
    reads_probabilities, resumable, resume_score, score, with_examinee,
};
pub use speaker::{Ending, Hear, LocalSpeaker, RemoteSpeaker, Speaker, Spoken};
pub use talk::{Talk, Turn};

use crate::config::Settings;
use crate::error::Result;
use crate::store::Store;

/// An open home: settings and database.
pub struct Workbench {
    /// Where things are.
    pub settings: Settings,
    /// The database.
    pub store: Store,
}

impl Workbench {
    /// Opens the home, creating it on first use.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open(settings: Settings) -> Result<Workbench> {
        let store = Store::open(&settings.home)?;
        Ok(Workbench { settings, store })
    }
}
