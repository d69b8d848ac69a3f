//! What the arena's page asks for: two answers without names, a vote, and the names after it.

use super::http::Connection;
use super::models::Served;
use super::refusal::Refusal;
use super::reply::{Broken, Piece, Reply};
use super::{Shared, stream};
use crate::arena::Winner;
use crate::arena::ratings::Method;
use crate::error::Result;
use crate::infer::{Order, Sampling, Watch};
use crate::prompt::{Message, Role};
use crate::workbench::Workbench;
use crate::workbench::arena::{self, LiveSession};
use rand::seq::{IndexedRandom, SliceRandom};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard};

/// The arena that the page plays in. Its session begins with the first battle, so that a server which is only asked
/// for completions leaves no run behind.
pub(super) struct Arena {
    name: String,
    session: Mutex<Option<LiveSession>>,
}

impl Arena {
    pub(super) fn new(name: String) -> Arena {
        Arena { name, session: Mutex::default() }
    }

    /// Ends the session, if there is one.
    pub(super) fn close(&self, bench: &Workbench) -> Result<()> {
        match self.lock().take() {
            Some(session) => session.close(bench),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<LiveSession>> {
        self.session.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The longest question, in characters.
const LONGEST_QUESTION: usize = 4000;
/// The longest answer, in tokens.
const MAX_TOKENS: usize = 384;

/// How contestants answer.
fn sampling() -> Sampling {
    Sampling {
        temperature: 0.7,
        top_p: 0.95,
        repetition_penalty: 1.1,
        max_new_tokens: MAX_TOKENS,
        seed: rand::random(),
        ..Sampling::default()
    }
}

/// What the page shows at first.
pub(super) fn state(shared: &Shared, connection: &mut Connection) -> Result<(), Broken> {
    let contestants = shared.models.all().len();
    let state = json!({"arena": shared.arena.name, "contestants": contestants});
    super::send_json(connection, 200, &state);
    Ok(())
}

/// One of the arena's own questions, drawn; null when it has none.
pub(super) fn question(shared: &Shared, connection: &mut Connection) -> Result<(), Broken> {
    let questions = shared.bench.store.questions(&shared.arena.name)?;
    let question = questions.choose(&mut rand::rng()).map(|q| q.text.as_str());
    super::send_json(connection, 200, &json!({"question": question}));
    Ok(())
}

/// The ratings so far.
pub(super) fn ratings(shared: &Shared, connection: &mut Connection) -> Result<(), Broken> {
    let known = shared.bench.store.arenas()?.iter().any(|a| a.name == shared.arena.name);
    let rows: Vec<Value> = if known {
        let rated = arena::rate(&shared.bench, Some(&shared.arena.name), Method::Sandwich)?;
        let row = |r: &crate::arena::ratings::Rating| json!({"model": r.model, "rating": r.rating, "ci95": r.ci95, "rank": r.rank, "battles": r.battles});
        rated.ratings.rows.iter().map(row).collect()
    } else {
        Vec::new()
    };
    super::send_json(connection, 200, &json!({"ratings": rows}));
    Ok(())
}

#[derive(Deserialize)]
struct Asked {
    question: String,
}

/// Plays a battle: two of the models, drawn, on sides, drawn; pieces of `a` and `b` as they come, then the battle's id,
/// or why it cannot be voted on.
pub(super) fn battle(shared: &Shared, connection: &mut Connection, body: &[u8]) -> Result<(), Broken> {
    let Asked { question } = super::read_json(body)?;
    let question = question.trim();
    if question.is_empty() || question.chars().count() > LONGEST_QUESTION {
        let message = format!("ask something of at most {LONGEST_QUESTION} characters");
        return Err(Refusal::of("question", message).into());
    }
    let mut contestants: Vec<&Arc<Served>> = shared.models.all().iter().collect();
    if contestants.len() < 2 {
        return Err(Refusal::new(409, "a battle takes two models: start the server with --adapter NAME").into());
    }
    contestants.shuffle(&mut rand::rng());
    let mut sides = [begin(shared, contestants[0], question)?, begin(shared, contestants[1], question)?];
    stream::send(shared, connection, |events| {
        // Whoever has something next is heard next: the one that has fewer tokens.
        while let Some(side) = next_side(&sides) {
            let is_gone = || shared.is_closing() || events.is_gone();
            let (reply, text) = &mut sides[side];
            if let Some(Piece { text: piece, .. }) = reply.next(&is_gone)? {
                text.push_str(&piece);
                let side = if side == 0 { "a" } else { "b" };
                stream::event(events, &json!({"side": side, "text": piece}))?;
            }
        }
        let labels = [contestants[0].label.as_str(), contestants[1].label.as_str()];
        let answers = [sides[0].1.trim(), sides[1].1.trim()];
        let mut session = shared.arena.lock();
        let open = match session.take() {
            Some(open) => open,
            None => {
                let all: Vec<String> = shared.models.all().iter().map(|m| m.label.clone()).collect();
                let Sampling { temperature, top_p, repetition_penalty, .. } = sampling();
                let config = json!({"through": "web page", "temperature": temperature, "top_p": top_p,
                    "repetition_penalty": repetition_penalty, "max_new_tokens": MAX_TOKENS});
                LiveSession::open(&shared.bench, &shared.arena.name, &all, &config)?
            }
        };
        let open = session.insert(open);
        let known = shared.bench.store.questions(&shared.arena.name)?;
        let known = known.into_iter().find(|q| q.text == question);
        let asked = known.unwrap_or_else(|| arena::typed_question(question));
        let battle = open.record(&shared.bench, &asked, [(labels[0], answers[0]), (labels[1], answers[1])])?;
        let end = match battle.flagged.as_str() {
            "" => json!({"battle": battle.id}),
            why => json!({"flagged": why, "model_a": labels[0], "model_b": labels[1]}),
        };
        stream::event(events, &end)
    })
}

fn begin<'m>(shared: &Shared, model: &'m Arc<Served>, question: &str) -> Result<(Reply<'m>, String), Broken> {
    let prompt = model.renderer()?.prompt(&[Message::new(Role::User, question)])?.1;
    let mut sampling = sampling();
    sampling.max_new_tokens =
        super::fields::room(prompt.len(), None, model.engine.context())?.min(sampling.max_new_tokens);
    let order = Order { prompt, sampling, watch: Watch::default(), asker: shared.number() };
    Ok((Reply::order(&shared.scheduler, model, order)?, String::new()))
}

/// The side that goes on: the one with fewer tokens among those that have not ended.
fn next_side(sides: &[(Reply<'_>, String); 2]) -> Option<usize> {
    (0..2).filter(|i| sides[*i].0.end.is_none()).min_by_key(|i| sides[*i].0.tokens)
}

#[derive(Deserialize)]
struct Vote {
    battle: i64,
    winner: String,
}

/// Takes a vote; gives the names.
pub(super) fn vote(shared: &Shared, connection: &mut Connection, body: &[u8]) -> Result<(), Broken> {
    let Vote { battle, winner } = super::read_json(body)?;
    let winner = Winner::from_vote(&winner).ok_or_else(|| Refusal::of("winner", "vote A, B, tie or both_bad"))?;
    let battle = arena::vote(&shared.bench, &shared.arena.name, battle, winner)?;
    let names = json!({"model_a": battle.model_a, "model_b": battle.model_b, "winner": winner.label()});
    super::send_json(connection, 200, &names);
    Ok(())
}
