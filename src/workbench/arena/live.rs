//! Battles that are played while someone watches: a question of the moment, two answers, a vote.

use super::check_name;
use crate::arena::battle::{Battle, Question, language_of};
use crate::arena::blind;
use crate::error::Result;
use crate::store::{Lease, NewRun, now};
use crate::workbench::Workbench;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A session of live battles: one run in the database, from its first battle to [`LiveSession::close`].
pub struct LiveSession {
    arena: String,
    run: String,
    _lease: Lease,
}

impl LiveSession {
    /// Begins a session in `arena`, which is made if need be.
    ///
    /// # Errors
    /// `InvalidInput` for an unusable name; those of the store.
    pub fn open(bench: &Workbench, arena: &str, contestants: &[String], config: &Value) -> Result<LiveSession> {
        check_name(arena)?;
        bench.store.create_arena(arena)?;
        let run = NewRun {
            kind: "arena",
            model: contestants.join(" vs "),
            task: arena.to_owned(),
            config: json!({"arena": arena, "contestants": contestants, "session": config}),
            ..NewRun::default()
        };
        let (run, lease) = bench.store.start_run(&run)?;
        Ok(LiveSession { arena: arena.to_owned(), run, _lease: lease })
    }

    /// Stores a battle between `sides` (label and answer, left and right), which waits for its vote like those of
    /// [`super::battle`]. An answer that names its model flags it.
    ///
    /// # Errors
    /// Those of the store.
    pub fn record(&self, bench: &Workbench, question: &Question, sides: [(&str, &str); 2]) -> Result<Battle> {
        let [(model_a, answer_a), (model_b, answer_b)] = sides;
        let mut battle = Battle {
            run_id: self.run.clone(),
            question_id: question.id.clone(),
            question: question.text.clone(),
            model_a: model_a.to_owned(),
            model_b: model_b.to_owned(),
            answer_a: answer_a.to_owned(),
            answer_b: answer_b.to_owned(),
            anony: true,
            language: language_of(&question.text).to_owned(),
            turn: 1,
            flagged: blind::leak(&question.text, [model_a, model_b], [answer_a, answer_b]).unwrap_or_default(),
            tstamp: now(),
            ..Battle::default()
        };
        bench.store.add_battles(&self.arena, std::slice::from_ref(&battle))?;
        // The newest of this run: only this session writes to it.
        let stored = bench.store.battles(&self.arena)?;
        battle.id = stored.iter().rev().find(|b| b.run_id == self.run).map_or(0, |b| b.id);
        Ok(battle)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// Those of the store.
    pub fn close(self, bench: &Workbench) -> Result<()> {
        let battles = bench.store.battles(&self.arena)?.iter().filter(|b| b.run_id == self.run).count();
        bench.store.finish_run(&self.run, Ok(&json!({"arena": self.arena, "battles": battles})))
    }
}

/// A question that someone typed. The same text has the same id.
pub fn typed_question(text: &str) -> Question {
    let hash = Sha256::digest(text.as_bytes());
    let id = hash.iter().take(6).map(|b| format!("{b:02x}")).collect::<String>();
    Question {
        id: format!("typed-{id}"),
        text: text.to_owned(),
        reference: String::new(),
        language: language_of(text).to_owned(),
    }
}
