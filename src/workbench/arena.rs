//! The arena's verbs: new, battle, vote, judge, rate, import, export.

mod duel;
mod live;
mod offers;
mod tally;
mod transfer;

pub use duel::{Duel, DuelPlan, DuelStage, Heard, LONGEST_ANSWER, Outcome, Pace, Paces, SideEnd};
pub use live::{LiveSession, typed_question};
pub use offers::{contestants, draw_question};
pub use tally::{ContestantTally, Tally, tally};
pub use transfer::{Exported, Imported, export, import};

use super::Workbench;
use crate::arena::battle::{Battle, Question, Winner};
use crate::arena::contestant::Contestant;
use crate::arena::judge::{self, Judge};
use crate::arena::questions::{self, Reject};
use crate::arena::ratings::{self, Method, Ratings};
use crate::arena::{blind, pairing};
use crate::error::{Error, Kind, Result};
use crate::job::{CancelToken, EventSink, Fanout, JobEvent};
use crate::store::{NewRun, StoreSink, now};
use crate::tr;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

/// What [`new`] did.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    /// The arena.
    pub arena: String,
    /// Whether it was made now; false when it was there and only got questions.
    pub created: bool,
    /// Questions with an id that was not there before.
    pub questions: usize,
    /// Lines of the file that were not taken.
    pub rejects: Vec<Reject>,
}

/// Makes an arena, or adds questions to one, from a file (JSON lines or one question a line).
///
/// # Errors
/// `InvalidInput` for an unusable name, for a file without one good line, and when the arena is there and no file is given.
pub fn new(bench: &Workbench, name: &str, file: Option<&Path>) -> Result<Made> {
    check_name(name)?;
    let (questions, rejects) = match file {
        None => (Vec::new(), Vec::new()),
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|e| Error::io(path, &e))?;
            questions::read(&path.display().to_string(), &bytes)
        }
    };
    if let (Some(path), true) = (file, questions.is_empty()) {
        return Err(no_good_line(path, &rejects));
    }
    let created = bench.store.create_arena(name)?;
    if !created && file.is_none() {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("there is an arena `{name}` already", "竞技场 `{name}` 已存在"),
        )
        .hint(tr!(
            "add questions to it with --questions FILE, or choose another name",
            "用 --questions FILE 添加问题，或换个名字"
        )));
    }
    let questions = bench.store.put_questions(name, &questions)?;
    Ok(Made { arena: name.to_owned(), created, questions, rejects })
}

/// Adds questions to an arena, which is made if need be. Gives the number of new ids.
///
/// # Errors
/// `InvalidInput` for an unusable name.
pub fn ask(bench: &Workbench, name: &str, questions: &[Question]) -> Result<usize> {
    check_name(name)?;
    bench.store.create_arena(name)?;
    bench.store.put_questions(name, questions)
}

fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() || name.contains(char::is_control) {
        return Err(Error::new(Kind::InvalidInput, tr!("`{}` is no name", "`{}` 不能作为名字", name.escape_debug()))
            .hint(tr!("use letters, digits or characters, like `finance`", "请使用文字或数字，例如 `finance`")));
    }
    Ok(())
}

fn no_good_line(path: &Path, rejects: &[Reject]) -> Error {
    let place = path.display();
    match rejects.first() {
        None => Error::new(Kind::InvalidInput, tr!("{place} is empty", "{place} 是空文件")),
        Some(Reject { line, reason, .. }) => Error::new(
            Kind::InvalidInput,
            tr!("{place} has no usable line; line {line}: {reason}", "{place} 没有可用的行；第 {line} 行：{reason}"),
        ),
    }
    .hint(tr!("`linly-bench arena --help` shows the formats", "用 `linly-bench arena --help` 查看格式"))
}

/// How many battles, in which order.
#[derive(Clone, Debug)]
pub struct Session {
    /// At most so many battles; `None` for one of each pair on each question.
    pub limit: Option<usize>,
    /// Seed of sides and order.
    pub seed: u64,
    /// Questions that a contestant answers in one go. Battles are stored after each such batch, so this is also the
    /// most that a killed session loses.
    pub batch: usize,
    /// What else is worth knowing of the session (sampling, template), kept with the run.
    pub config: Value,
}

/// What [`battle`] did.
#[derive(Clone, Debug, Serialize)]
pub struct Played {
    /// The run.
    pub run: String,
    /// The arena.
    pub arena: String,
    /// Battles played now.
    pub battles: usize,
    /// Of those, battles that a reply gave away; they are not put to the vote.
    pub flagged: usize,
    /// Battles of this arena that wait for a vote, from this session and from earlier ones.
    pub pending: usize,
}

/// Lets `contestants` (two or more, with different names) battle over the arena's questions. Battles that exist are
/// not played again, so the same call takes up an interrupted session. Each battle waits for its vote in the store.
///
/// # Errors
/// `NotFound` without the arena, `InvalidInput` without questions or with a contestant twice, `Interrupted` when
/// `cancel` is set (what was played is kept), and whatever a contestant fails with.
pub fn battle(
    bench: &Workbench,
    name: &str,
    contestants: &mut [Box<dyn Contestant>],
    session: &Session,
    sink: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<Played> {
    bench.store.arena(name)?;
    let questions = bench.store.questions(name)?;
    if questions.is_empty() {
        return Err(Error::new(Kind::InvalidInput, tr!("arena `{name}` has no questions", "竞技场 `{name}` 没有问题"))
            .hint(tr!(
                "add some with `linly-bench arena new {name} --questions FILE`",
                "用 `linly-bench arena new {name} --questions FILE` 添加"
            )));
    }
    let names: Vec<String> = contestants.iter().map(|c| c.name().to_owned()).collect();
    if let Some(twice) = names.iter().enumerate().find_map(|(i, n)| names[..i].contains(n).then_some(n)) {
        return Err(Error::new(Kind::InvalidInput, tr!("{twice} cannot battle itself", "{twice} 不能与自己对战"))
            .hint(tr!("name another model or adapter with --against", "请用 --against 指定另一个模型或适配器")));
    }
    if names.len() < 2 {
        return Err(Error::new(Kind::InvalidInput, tr!("a battle takes two contestants", "对战需要两个参赛者"))
            .hint(tr!("name the second with --against MODEL[+ADAPTER]", "请用 --against MODEL[+ADAPTER] 指定第二个")));
    }
    let fought = bench.store.battles(name)?;
    let fought = fought.iter().map(|b| (&*b.question_id, &*b.model_a, &*b.model_b));
    let mut planned = pairing::plan(&questions, &names, fought, session.seed);
    planned.truncate(session.limit.unwrap_or(usize::MAX));
    let run = NewRun {
        kind: "arena",
        model: names.join(" vs "),
        task: name.to_owned(),
        config: json!({
            "arena": name,
            "contestants": names,
            "seed": session.seed,
            "limit": session.limit,
            "planned": planned.len(),
            "session": session.config,
        }),
        ..NewRun::default()
    };
    recorded(bench, &run, |id| {
        // The store keeps the session's events next to whoever else listens.
        let kept = StoreSink::new(&bench.store, id);
        let sink = Fanout(vec![&kept, sink]);
        sink.emit(&JobEvent::Started { run: id.to_owned(), kind: "arena".to_owned(), total: planned.len() as u64 });
        let mut flagged = 0;
        let mut played = 0;
        for batch in planned.chunks(session.batch.max(1)) {
            if cancel.is_cancelled() {
                return Err(stopped(played, planned.len()));
            }
            let battles = play(contestants, &names, &questions, batch, id)?;
            // An answer that was cut short by Ctrl-C is no answer.
            if cancel.is_cancelled() {
                return Err(stopped(played, planned.len()));
            }
            bench.store.add_battles(name, &battles)?;
            flagged += battles.iter().filter(|b| !b.flagged.is_empty()).count();
            played += battles.len();
            sink.emit(&JobEvent::Progress { done: played as u64, total: planned.len() as u64, note: String::new() });
        }
        let pending = pending(bench, name)?.len();
        Ok(Played { run: id.to_owned(), arena: name.to_owned(), battles: played, flagged, pending })
    })
}

/// Plays one batch: every contestant answers all of its questions at once.
fn play(
    contestants: &mut [Box<dyn Contestant>],
    names: &[String],
    questions: &[Question],
    batch: &[pairing::Planned],
    run: &str,
) -> Result<Vec<Battle>> {
    let mut answers: HashMap<(usize, usize), String> = HashMap::new();
    for (who, contestant) in contestants.iter_mut().enumerate() {
        let mut asked: Vec<usize> =
            batch.iter().filter(|p| p.left == who || p.right == who).map(|p| p.question).collect();
        asked.sort_unstable();
        asked.dedup();
        if asked.is_empty() {
            continue;
        }
        let texts: Vec<String> = asked.iter().map(|&q| questions[q].text.clone()).collect();
        let given = contestant.answers(&texts)?;
        if given.len() != asked.len() {
            let name = &names[who];
            return Err(Error::internal(tr!("{name} left questions unanswered", "{name} 有问题未作答")));
        }
        answers.extend(asked.into_iter().map(|q| (who, q)).zip(given));
    }
    let answer = |who: usize, question: usize| answers.get(&(who, question)).cloned().unwrap_or_default();
    Ok(batch
        .iter()
        .map(|p| {
            let question = &questions[p.question];
            let (a, b) = (answer(p.left, p.question), answer(p.right, p.question));
            let flagged = blind::leak(&question.text, [&names[p.left], &names[p.right]], [&a, &b]);
            Battle {
                run_id: run.to_owned(),
                question_id: question.id.clone(),
                question: question.text.clone(),
                model_a: names[p.left].clone(),
                model_b: names[p.right].clone(),
                answer_a: a,
                answer_b: b,
                anony: true,
                language: question.language.clone(),
                turn: 1,
                flagged: flagged.unwrap_or_default(),
                tstamp: now(),
                ..Battle::default()
            }
        })
        .collect())
}

fn stopped(played: usize, planned: usize) -> Error {
    Error::new(
        Kind::Interrupted,
        tr!(
            "stopped after {played} of {planned} battles; they are kept",
            "已停止：完成 {played}/{planned} 场对战，均已保存"
        ),
    )
    .hint(tr!("the same command goes on with the rest", "再次执行同一命令即可继续"))
}

/// Runs `work` as an arena run: its id, its end and its failure are recorded.
fn recorded<T: Serialize>(bench: &Workbench, run: &NewRun, work: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let (id, _lease) = bench.store.start_run(run)?;
    let outcome = work(&id);
    let result = outcome.as_ref().map(|done| serde_json::to_value(done).unwrap_or(Value::Null));
    bench.store.finish_run(&id, result.as_ref().map_err(|e| *e))?;
    outcome
}

/// Battles of an arena that can be voted on: no vote yet, and no reply that gave its model away.
///
/// # Errors
/// `NotFound` without the arena.
pub fn pending(bench: &Workbench, name: &str) -> Result<Vec<Battle>> {
    bench.store.arena(name)?;
    let battles = bench.store.battles(name)?;
    Ok(battles.into_iter().filter(|b| b.winner.is_none() && b.flagged.is_empty()).collect())
}

/// Gives a person's vote on a battle, and the battle with its names.
///
/// # Errors
/// `NotFound` when there is no such battle in the arena, `InvalidInput` when it has a vote or cannot be voted on.
pub fn vote(bench: &Workbench, name: &str, id: i64, winner: Winner) -> Result<Battle> {
    let (arena, battle) = bench.store.battle(id)?;
    if arena != name {
        return Err(Error::new(
            Kind::NotFound,
            tr!("no battle {id} in arena `{name}`", "竞技场 `{name}` 中没有对战 {id}"),
        )
        .hint(tr!("it belongs to `{arena}`", "它属于 `{arena}`")));
    }
    if !battle.flagged.is_empty() {
        let why = &battle.flagged;
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("battle {id} cannot be blind: {why}", "对战 {id} 无法盲评：{why}"),
        ));
    }
    if !bench.store.vote(id, winner, "human")? {
        return Err(Error::new(Kind::InvalidInput, tr!("battle {id} has its vote already", "对战 {id} 已经投过票"))
            .hint(tr!("votes stay as they were given", "投票一经给出不再更改")));
    }
    Ok(Battle { winner: Some(winner), judge: "human".to_owned(), ..battle })
}

/// Takes a person's vote on a battle back. It waits for a vote again, but the names have been seen: the next vote is
/// kept and does not rate.
///
/// # Errors
/// `NotFound` when there is no such battle in the arena, `InvalidInput` when no person voted on it.
pub fn take_back(bench: &Workbench, name: &str, id: i64) -> Result<()> {
    let (arena, _) = bench.store.battle(id)?;
    if arena != name {
        return Err(Error::new(
            Kind::NotFound,
            tr!("no battle {id} in arena `{name}`", "竞技场 `{name}` 中没有对战 {id}"),
        ));
    }
    if !bench.store.take_vote_back(id)? {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("battle {id} has no vote of a person", "对战 {id} 没有人工投票"),
        ));
    }
    Ok(())
}

/// What [`judge()`] did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Judged {
    /// The arena.
    pub arena: String,
    /// The judge's name.
    pub judge: String,
    /// Battles judged now.
    pub judged: usize,
    /// Battles left because their question has no reference answer.
    pub without_reference: usize,
    /// Judged battles in which both orders of the answers gave the same outcome.
    pub consistent: usize,
    /// Share of the decided single verdicts that went to the answer shown first; ½ is free of position bias. `None`
    /// when none was decided.
    pub first_share: Option<f64>,
}

/// Lets `judge` vote on every battle that waits for a vote and whose question has a reference answer.
///
/// # Errors
/// `NotFound` without the arena; those of the judge.
pub fn judge(bench: &Workbench, name: &str, judge: &mut dyn Judge) -> Result<Judged> {
    let waiting = pending(bench, name)?;
    let references: HashMap<String, String> =
        bench.store.questions(name)?.into_iter().map(|q| (q.id, q.reference)).collect();
    let mut done = Judged { arena: name.to_owned(), judge: judge.name().to_owned(), ..Judged::default() };
    let (mut first, mut decided) = (0usize, 0usize);
    for battle in waiting {
        let Some(reference) = references.get(&battle.question_id).filter(|r| !r.trim().is_empty()) else {
            done.without_reference += 1;
            continue;
        };
        let verdict = judge::both_orders(judge, &battle.question, reference, &battle.answer_a, &battle.answer_b)?;
        // Someone may have voted in the meantime; the earlier vote stays.
        if bench.store.vote(battle.id, verdict.winner, judge.name())? {
            done.judged += 1;
            done.consistent += usize::from(verdict.is_consistent());
            for (outcome, shown_first) in [(verdict.forward, Winner::A), (verdict.backward, Winner::B)] {
                decided += usize::from(matches!(outcome, Winner::A | Winner::B));
                first += usize::from(outcome == shown_first);
            }
        }
    }
    done.first_share = (decided > 0).then(|| first as f64 / decided as f64);
    Ok(done)
}

/// Ratings, and the battles that did not enter them.
#[derive(Clone, Debug)]
pub struct Rated {
    /// The arenas whose battles were used.
    pub arenas: Vec<String>,
    /// The ratings.
    pub ratings: Ratings,
    /// Battles that rated.
    pub used: usize,
    /// Battles that wait for a vote.
    pub pending: usize,
    /// Battles that a reply gave away.
    pub flagged: usize,
    /// Votes of someone who knew the names.
    pub not_blind: usize,
}

/// Rates the models of an arena; without a name, those of all arenas together.
///
/// # Errors
/// `NotFound` without the arena (or without any).
pub fn rate(bench: &Workbench, name: Option<&str>, method: Method) -> Result<Rated> {
    let arenas: Vec<String> = match name {
        Some(name) => vec![bench.store.arena(name)?.name],
        None => bench.store.arenas()?.into_iter().map(|a| a.name).collect(),
    };
    if arenas.is_empty() {
        return Err(Error::new(Kind::NotFound, tr!("there is no arena yet", "还没有竞技场"))
            .hint(tr!("`linly-bench arena new NAME` makes one", "用 `linly-bench arena new NAME` 创建")));
    }
    let mut battles = Vec::new();
    for arena in &arenas {
        battles.extend(bench.store.battles(arena)?);
    }
    let count = |is: &dyn Fn(&Battle) -> bool| battles.iter().filter(|b| is(b)).count();
    let flagged = count(&|b| !b.flagged.is_empty());
    let not_blind = count(&|b| b.flagged.is_empty() && b.winner.is_some() && !b.anony);
    let pending = count(&|b| b.flagged.is_empty() && b.winner.is_none());
    let itself = count(&|b| b.model_a == b.model_b && b.winner.is_some() && b.anony && b.flagged.is_empty());
    let votes =
        battles.iter().filter(|b| b.rates()).filter_map(|b| Some((b.model_a.as_str(), b.model_b.as_str(), b.winner?)));
    let used = count(&|b| b.rates());
    let mut ratings = ratings::rate(votes, method)?;
    ratings.with_itself = itself;
    Ok(Rated { arenas, ratings, used, pending, flagged, not_blind })
}

#[cfg(test)]
mod tests;
