//! Drafts: a model writes new rows after the pattern of some that are there; a person decides which of them count.

use super::super::Workbench;
use super::super::speaker::{Ending, Hear, Speaker, Spoken};
use super::add::{Added, NewRow, add_rows, language_of};
use super::self_instruct;
use crate::data::Example;
use crate::data::quality::{NearDuplicates, Rule, inspect};
use crate::error::{Error, Kind, Result};
use crate::infer::Sampling;
use crate::job::CancelToken;
use crate::prompt::{Message, Role};
use crate::store::{DraftRecord, Like, Mark, RowQuery, no_draft};
use crate::tr;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;
use std::ops::ControlFlow;

/// Rows that examples are drawn from: a sample of this size stands for millions.
const POOL: usize = 1024;
/// Tokens that a new instruction may have.
const INSTRUCTION_TOKENS: usize = 96;
/// Attempts for each draft: a reply without an instruction is asked for again.
const ATTEMPTS: usize = 4;

/// What `data draft` was asked for.
#[derive(Clone, Debug)]
pub struct DraftRequest {
    /// Dataset.
    pub dataset: String,
    /// Drafts that are wanted.
    pub count: usize,
    /// Rows that are shown as examples, drawn anew for each draft.
    pub seed_rows: usize,
    /// Examples of this language only, `zh` or `en`; each draft's examples have one language in any case.
    pub lang: Option<String>,
    /// What the drafts are to be about; empty for whatever the examples are about.
    pub topic: String,
    /// Jaccard index of two questions from which they are nearly the same.
    pub near: f64,
    /// How both the instruction and the answer are drawn; the length is that of the answer.
    pub sampling: Sampling,
}

/// What [`write_drafts`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drafted {
    /// Drafts that were kept.
    pub drafts: usize,
    /// Those that ask nearly the same as a row or an earlier draft.
    pub near: usize,
    /// Those with findings of `data quality`.
    pub findings: usize,
    /// Replies that held no instruction, or instructions without an answer.
    pub without_text: usize,
}

/// Lets `speaker` write drafts; `on` hears of each when it is kept. What is kept stays, however the job ends.
///
/// # Errors
/// `NotFound`; `InvalidInput` for numbers that ask for nothing, a dataset without a question, and a model whose replies
/// hold no instruction; `Interrupted`; those of the speaker.
pub fn write_drafts(
    bench: &Workbench,
    request: &DraftRequest,
    speaker: &mut dyn Speaker,
    on: &mut dyn FnMut(&DraftRecord),
    cancel: &CancelToken,
) -> Result<Drafted> {
    check(request)?;
    let Known { pool, mut near, mut asked } = known(bench, request, cancel)?;
    // The same command again is to write others, also after those of before were discarded.
    let seed = request.sampling.seed.wrapping_add(bench.store.drafts_ever()?.wrapping_mul(1_000_003));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut done = Drafted::default();
    let (mut attempt, most) = (0, request.count.saturating_mul(ATTEMPTS));
    while done.drafts < request.count && attempt < most {
        let sampling = Sampling { seed: seed.wrapping_add(attempt as u64), ..request.sampling.clone() };
        attempt += 1;
        let seeds = drawn(&pool, request.seed_rows, &mut rng);
        let Some((seeds, mut example, cut)) = written(request, &seeds, speaker, &sampling, cancel)
            .map_err(|e| if cancel.is_cancelled() { interrupted(request, done.drafts) } else { e })?
        else {
            if cancel.is_cancelled() {
                return Err(interrupted(request, done.drafts));
            }
            done.without_text += 1;
            continue;
        };
        example.lang = language_of(&example);
        let (like, jaccard) = match near.add(&question(&example)) {
            Some(pair) => (asked.get(pair.first).copied(), pair.jaccard),
            None => (None, 0.0),
        };
        let mut draft = DraftRecord {
            id: 0,
            model: speaker.name().to_owned(),
            seed_rows: seeds,
            topic: request.topic.trim().to_owned(),
            near: like,
            jaccard,
            findings: findings(&example, cut),
            instruction: example.instruction,
            output: example.output,
            lang: example.lang,
            created_at: String::new(),
        };
        bench.store.add_draft(&request.dataset, &mut draft)?;
        asked.push(Like::Draft(draft.id));
        done.drafts += 1;
        done.near += usize::from(draft.near.is_some());
        done.findings += usize::from(!draft.findings.is_empty());
        on(&draft);
    }
    if done.drafts == 0 {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!(
                "{} wrote no instruction in {attempt} attempts",
                "{} 在 {attempt} 次尝试中没有写出任务",
                speaker.name()
            ),
        )
        .hint(tr!(
            "use a model that follows instructions, a higher --temperature, or fewer --seed-rows",
            "请换用能遵循指令的模型、提高 --temperature，或减少 --seed-rows"
        )));
    }
    Ok(done)
}

fn check(request: &DraftRequest) -> Result<()> {
    request.sampling.check()?;
    if request.count == 0 || request.seed_rows == 0 {
        return Err(Error::new(Kind::Usage, tr!("nothing is asked for", "没有要求任何内容"))
            .hint(tr!("--count and --seed-rows are 1 or more", "--count 与 --seed-rows 至少为 1")));
    }
    Ok(())
}

fn interrupted(request: &DraftRequest, kept: usize) -> Error {
    let name = &request.dataset;
    Error::new(Kind::Interrupted, tr!("interrupted; {kept} drafts are kept", "已中断；已保留 {kept} 条草稿"))
        .hint(tr!("see them: linly-bench data drafts {name}", "查看草稿：linly-bench data drafts {name}"))
}

/// What there is already.
struct Known {
    /// Rows that examples are drawn from, with their numbers.
    pool: Vec<(u64, Example)>,
    /// Every question of a row or draft.
    near: NearDuplicates,
    /// Whose question each of them is.
    asked: Vec<Like>,
}

fn known(bench: &Workbench, request: &DraftRequest, cancel: &CancelToken) -> Result<Known> {
    let name = &request.dataset;
    let marks = bench.store.marks(name)?;
    let bad = |hash: &str| marks.get(hash).is_some_and(|mark| mark.mark == Mark::Bad);
    let mut rng = ChaCha8Rng::seed_from_u64(request.sampling.seed);
    let (mut near, mut asked) = (NearDuplicates::new(request.near), Vec::new());
    let (mut pool, mut seen) = (Vec::new(), 0usize);
    bench.store.each_row(name, &RowQuery::default(), &mut |row| {
        if cancel.is_cancelled() {
            return Err(interrupted(request, 0));
        }
        near.add(&question(&row.example));
        asked.push(Like::Row(row.row));
        // What somebody called bad is no example, and a row that goes on from earlier turns does not stand alone.
        let e = row.example;
        if request.lang.as_ref().is_some_and(|lang| *lang != e.lang) {
            return Ok(());
        }
        if e.instruction.trim().is_empty() || !e.history.is_empty() || !e.tool_turns.is_empty() || bad(&row.hash) {
            return Ok(());
        }
        seen += 1;
        if pool.len() < POOL {
            pool.push((row.row, e));
            return Ok(());
        }
        // Vitter's algorithm R: each row is in the pool with the same probability.
        if let Some(place) = pool.get_mut(rng.random_range(0..seen)) {
            *place = (row.row, e);
        }
        Ok(())
    })?;
    for draft in bench.store.drafts(name)? {
        near.add(&draft.instruction);
        asked.push(Like::Draft(draft.id));
    }
    if pool.is_empty() {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("`{name}` has no row that can be an example", "`{name}` 没有可作示例的行"),
        )
        .hint(tr!(
            "add one: linly-bench data add {name} --set instruction=… --set output=…",
            "请先添加：linly-bench data add {name} --set instruction=… --set output=…"
        )));
    }
    Ok(Known { pool, near, asked })
}

fn question(e: &Example) -> String {
    if e.input.is_empty() { e.instruction.clone() } else { format!("{}\n{}", e.instruction, e.input) }
}

/// Examples of one language: those of two make small models mix both.
fn drawn<'p>(pool: &'p [(u64, Example)], count: usize, rng: &mut ChaCha8Rng) -> Vec<&'p (u64, Example)> {
    let lang = pool.get(rng.random_range(0..pool.len())).map(|(_, example)| &example.lang);
    let mut order: Vec<&(u64, Example)> = pool.iter().filter(|(_, example)| Some(&example.lang) == lang).collect();
    let count = count.min(order.len());
    let (some, _) = order.partial_shuffle(rng, count);
    some.to_vec()
}

/// A new row, the rows that it was written after, and whether its answer ran out of tokens; `None` without a text.
fn written(
    request: &DraftRequest,
    seeds: &[&(u64, Example)],
    speaker: &mut dyn Speaker,
    sampling: &Sampling,
    cancel: &CancelToken,
) -> Result<Option<(Vec<u64>, Example, bool)>> {
    // Examples that leave no room in the context are fewer.
    let mut shown = seeds.len();
    let ask = |shown: usize| {
        let examples: Vec<&Example> = seeds.iter().take(shown).map(|(_, example)| example).collect();
        let zh = examples.iter().all(|e| e.lang == "zh");
        vec![Message::new(Role::User, self_instruct::request(&examples, &request.topic, zh))]
    };
    while shown > 1 && !fits(speaker, &ask(shown), INSTRUCTION_TOKENS)? {
        shown -= 1;
    }
    let Some(instruction) = new_instruction(speaker, &ask(shown), sampling, cancel)? else { return Ok(None) };
    let question = [Message::new(Role::User, instruction.as_str())];
    let mut hear = |_: &str| ControlFlow::Continue(());
    let answer = said(speaker, &question, sampling.max_new_tokens, sampling, &mut hear, cancel)?;
    if cancel.is_cancelled() {
        return Ok(None);
    }
    let output = answer.text.trim().to_owned();
    if output.is_empty() {
        return Ok(None);
    }
    let rows = seeds.iter().take(shown).map(|(row, _)| *row).collect();
    Ok(Some((rows, Example { instruction, output, ..Example::default() }, answer.ending == Ending::Length)))
}

fn fits(speaker: &dyn Speaker, messages: &[Message], room: usize) -> Result<bool> {
    let Some(context) = speaker.context() else { return Ok(true) };
    Ok(speaker.prompt_tokens(messages)?.is_none_or(|tokens| tokens + room <= context))
}

/// The task that the speaker writes; `None` when its reply holds none. The reply ends with the task's line.
fn new_instruction(
    speaker: &mut dyn Speaker,
    messages: &[Message],
    sampling: &Sampling,
    cancel: &CancelToken,
) -> Result<Option<String>> {
    let (mut heard, mut found) = (String::new(), None);
    let mut hear = |piece: &str| {
        heard.push_str(piece);
        found = heard.rsplit_once('\n').and_then(|(lines, _)| self_instruct::instruction(lines));
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let reply = said(speaker, messages, INSTRUCTION_TOKENS, sampling, &mut hear, cancel)?;
    // A last line that ran out of tokens is no whole task.
    let last = || if reply.ending == Ending::Stop { self_instruct::instruction(&reply.text) } else { None };
    Ok(found.or_else(last).filter(|_| !cancel.is_cancelled()))
}

/// What the speaker says to `messages`, in at most `most` tokens and what the context has left.
fn said(
    speaker: &mut dyn Speaker,
    messages: &[Message],
    most: usize,
    sampling: &Sampling,
    hear: Hear<'_>,
    cancel: &CancelToken,
) -> Result<Spoken> {
    let left = match (speaker.context(), speaker.prompt_tokens(messages)?) {
        (Some(context), Some(tokens)) => context.saturating_sub(tokens),
        _ => most,
    };
    let sampling = Sampling { max_new_tokens: most.min(left.max(1)), ..sampling.clone() };
    speaker.speak(messages, &sampling, hear, cancel)
}

/// The rules that find something, each once.
fn findings(example: &Example, cut: bool) -> Vec<String> {
    let mut rules: Vec<Rule> = inspect(example, None).into_iter().map(|finding| finding.rule).collect();
    if cut {
        rules.push(Rule::CutOff);
    }
    rules.sort_unstable();
    rules.dedup();
    rules.into_iter().map(|rule| rule.name().to_owned()).collect()
}

/// Which drafts are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftChoice {
    /// Every one.
    All,
    /// Those that are nearly the same as nothing and have no findings.
    Clean,
    /// These.
    These(Vec<i64>),
}

impl DraftChoice {
    /// Reads `all`, `clean`, or numbers such as `3,7,10-12`.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub fn parse(text: &str) -> Result<DraftChoice> {
        match text.trim() {
            "all" => Ok(DraftChoice::All),
            "clean" => Ok(DraftChoice::Clean),
            numbers => {
                let ids = super::parse_rows(&[numbers.to_owned()]).map_err(|e| {
                    e.hint(tr!("all, clean, or numbers such as 3,7,10-12", "all、clean，或 3,7,10-12 这样的编号"))
                })?;
                Ok(DraftChoice::These(ids.into_iter().map(|id| id as i64).collect()))
            }
        }
    }

    /// The drafts of `all` that are meant.
    fn of(&self, dataset: &str, all: &[DraftRecord]) -> Result<Vec<DraftRecord>> {
        if let DraftChoice::These(ids) = self
            && let Some(missing) = ids.iter().find(|id| !all.iter().any(|draft| draft.id == **id))
        {
            return Err(no_draft(dataset, *missing));
        }
        let meant = |draft: &&DraftRecord| match self {
            DraftChoice::All => true,
            DraftChoice::Clean => draft.is_clean(),
            DraftChoice::These(ids) => ids.contains(&draft.id),
        };
        Ok(all.iter().filter(meant).cloned().collect())
    }
}

/// What was decided about drafts.
#[derive(Clone, Debug, Serialize)]
pub struct Decided {
    /// Drafts that became rows, or whose texts were rows already.
    pub accepted: Vec<i64>,
    /// What came of them; `None` when none was accepted.
    #[serde(flatten)]
    pub added: Option<Added>,
    /// Drafts that were thrown away.
    pub discarded: Vec<i64>,
    /// Drafts that are left.
    pub left: usize,
}

/// Makes rows of the drafts `accept`, as one version whose rows name their model and draft, then throws away those of
/// the rest that `discard` names.
///
/// # Errors
/// `NotFound` for a draft that is not there: then nothing was changed.
pub fn decide_drafts(
    bench: &Workbench,
    name: &str,
    accept: Option<&DraftChoice>,
    discard: Option<&DraftChoice>,
) -> Result<Decided> {
    let all = bench.store.drafts(name)?;
    let chosen = |choice: Option<&DraftChoice>| choice.map_or_else(|| Ok(Vec::new()), |choice| choice.of(name, &all));
    let (accepted, mut discarded) = (chosen(accept)?, chosen(discard)?);
    discarded.retain(|draft| !accepted.iter().any(|other| other.id == draft.id));
    let ids = |drafts: &[DraftRecord]| drafts.iter().map(|draft| draft.id).collect::<Vec<i64>>();
    let (accepted_ids, discarded_ids) = (ids(&accepted), ids(&discarded));
    let added = if accepted.is_empty() { None } else { Some(accepted_rows(bench, name, accepted)?) };
    bench.store.remove_drafts(name, &[&accepted_ids[..], &discarded_ids].concat())?;
    let left = all.len() - accepted_ids.len() - discarded_ids.len();
    Ok(Decided { accepted: accepted_ids, added, discarded: discarded_ids, left })
}

fn accepted_rows(bench: &Workbench, name: &str, drafts: Vec<DraftRecord>) -> Result<Added> {
    let mut models: Vec<String> = drafts.iter().map(|draft| draft.model.clone()).collect();
    models.sort_unstable();
    models.dedup();
    let (count, models) = (drafts.len(), models.join(", "));
    let message = match count {
        1 => tr!("accept 1 draft by {models}", "采纳 {models} 的 1 条草稿"),
        _ => tr!("accept {count} drafts by {models}", "采纳 {models} 的 {count} 条草稿"),
    };
    let row = |draft: DraftRecord| {
        let DraftRecord { id, model, instruction, output, lang, .. } = draft;
        let example = Example { instruction, output, lang, ..Example::default() };
        NewRow { example, file: format!("draft by {model}"), line: id as u64 }
    };
    add_rows(bench, name, drafts.into_iter().map(row).collect(), &message, "")
}
