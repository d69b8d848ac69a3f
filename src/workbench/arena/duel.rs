//! Two contestants that answer one question at once, on threads of their own, while someone watches without knowing who
//! is who. Whoever watches never waits: a [`Duel`] takes orders and tells how far it is.

use super::{LiveSession, typed_question};
use crate::arena::pairing;
use crate::error::{Error, Kind, Result};
use crate::infer::Sampling;
use crate::job::CancelToken;
use crate::model::WeightForm;
use crate::remote::{self, is_address};
use crate::tr;
use crate::workbench::{Ending, Speaker, Spoken, Talk, Workbench};
use serde_json::json;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest answer that is asked for when nothing is said, in tokens.
pub const LONGEST_ANSWER: usize = 384;

/// How long the end of a duel is waited for, so that its run is closed and not found broken off.
const FAREWELL: Duration = Duration::from_secs(2);

/// Who meets whom, and where it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuelPlan {
    /// Arena; made with the first battle if need be.
    pub arena: String,
    /// `MODEL`, `MODEL+ADAPTER` or a server's address.
    pub contestants: [String; 2],
    /// Tokens of the longest answer.
    pub longest: usize,
}

/// How far a duel is.
#[derive(Clone, Debug, PartialEq)]
pub enum DuelStage {
    /// A contestant is being loaded.
    Loading {
        /// Who.
        label: String,
        /// 1 or 2.
        number: usize,
        /// Weights that were read.
        read: usize,
        /// All weights; 0 while that is not known.
        total: usize,
    },
    /// It waits for a question.
    Ready,
    /// The contestants answer.
    Writing,
    /// Both have ended.
    Over(Outcome),
    /// The contestants could not be loaded; there will be no battle.
    Failed(Error),
}

/// What became of a battle.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is stored under this number and waits for a vote.
    Votable(i64),
    /// It is stored and an answer gave its model away, so that nobody is asked.
    NotBlind {
        /// What gave it away.
        why: String,
        /// Left and right.
        names: [String; 2],
    },
    /// A side has no answer, so there is nothing to vote on.
    Unanswered,
    /// It could not be stored.
    NotStored(Error),
}

/// How a side's answer ended.
#[derive(Clone, Debug, PartialEq)]
pub enum SideEnd {
    /// The model ended it.
    Whole,
    /// It was as long as it may be.
    Longest,
    /// Whoever watched stopped it.
    Stopped,
    /// It failed.
    Failed(Error),
}

/// What there is to hear since the last time.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// How far the duel is.
    pub stage: DuelStage,
    /// What was added to the answers, left and right.
    pub more: [String; 2],
    /// How the answers ended.
    pub ends: [Option<SideEnd>; 2],
}

/// How fast a contestant wrote.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pace {
    /// Tokens after each answer's first.
    pub tokens: usize,
    /// Seconds that these took.
    pub seconds: f64,
}

/// What is known of the battles of this sitting: their numbers with the paces of left and right.
pub type Paces = HashMap<i64, [Pace; 2]>;

/// Two contestants, loaded and asked on threads of their own. Dropped, it stops, and closes its run.
pub struct Duel {
    plan: DuelPlan,
    shared: Arc<Shared>,
    orders: Option<Sender<String>>,
    gone: Receiver<()>,
}

struct Shared {
    state: Mutex<State>,
    /// Set when nobody watches any more.
    leave: CancelToken,
}

struct State {
    stage: DuelStage,
    sides: [Side; 2],
    cancel: CancelToken,
    paces: Paces,
    run: Option<String>,
}

#[derive(Default)]
struct Side {
    text: String,
    end: Option<SideEnd>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Duel {
    /// Begins to load the contestants.
    ///
    /// # Errors
    /// `InvalidInput` for an arena's name that cannot be and for a contestant against itself; `Io` when the system has
    /// no thread to give. What goes wrong with loading is a [`DuelStage::Failed`].
    pub fn open(bench: &Arc<Workbench>, plan: DuelPlan) -> Result<Duel> {
        let (workbench, wanted) = (Arc::clone(bench), plan.contestants.clone());
        Duel::with(bench, plan, move |watch| {
            // A person waits: a server that is away is told soon.
            let server = remote::Options { retries: 1, ..remote::Options::default() };
            let mut models = Vec::new();
            let mut load = |number: usize| {
                let told = |read: usize, total: usize| watch(number, read, total);
                workbench.speaker(&wanted[number], &mut models, WeightForm::F32, &server, &told)
            };
            Ok([load(0)?, load(1)?])
        })
    }

    /// The same with contestants that `load` gives; it is handed what hears which (0 or 1) has read how many of how many
    /// weights, and says whether to go on.
    ///
    /// # Errors
    /// As [`Duel::open`].
    pub fn with<L>(bench: &Arc<Workbench>, plan: DuelPlan, load: L) -> Result<Duel>
    where
        L: FnOnce(&(dyn Fn(usize, usize, usize) -> bool + Sync)) -> Result<[Box<dyn Speaker>; 2]> + Send + 'static,
    {
        super::check_name(&plan.arena)?;
        check_different(&plan.contestants)?;
        let stage = DuelStage::Loading { label: plan.contestants[0].clone(), number: 1, read: 0, total: 0 };
        let state =
            State { stage, sides: Default::default(), cancel: CancelToken::default(), paces: Paces::new(), run: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), leave: CancelToken::default() });
        let (orders, incoming) = channel();
        let (farewell, gone) = channel();
        let host = Host { bench: Arc::clone(bench), plan: plan.clone(), shared: Arc::clone(&shared) };
        std::thread::Builder::new()
            .name("duel".into())
            .spawn(move || {
                host.run(load, &incoming);
                drop(farewell);
            })
            .map_err(|e| Error::new(Kind::Io, e.to_string()))?;
        Ok(Duel { plan, shared, orders: Some(orders), gone })
    }

    /// Who meets whom.
    pub fn plan(&self) -> &DuelPlan {
        &self.plan
    }

    /// Asks both contestants, who change sides as chance has it.
    ///
    /// # Errors
    /// `InvalidInput` for an empty question, and while the contestants are not ready for another.
    pub fn ask(&self, question: &str) -> Result<()> {
        if question.trim().is_empty() {
            return Err(Error::new(Kind::InvalidInput, tr!("the question is empty", "问题是空的")));
        }
        let mut state = self.shared.state();
        if !matches!(state.stage, DuelStage::Ready | DuelStage::Over(_)) {
            return Err(Error::new(Kind::InvalidInput, tr!("the contestants are not ready", "参赛者尚未就绪")));
        }
        state.stage = DuelStage::Writing;
        state.sides = Default::default();
        state.cancel = CancelToken::default();
        let sent = self.orders.as_ref().map(|orders| orders.send(question.to_owned()));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(Error::internal(tr!("the contestants' thread is gone", "参赛者的线程已退出"))),
        }
    }

    /// What there is beyond the first `heard` bytes of the answers, left and right.
    pub fn hear(&self, heard: [usize; 2]) -> Heard {
        let state = self.shared.state();
        let more = |side: usize| state.sides[side].text.get(heard[side]..).unwrap_or_default().to_owned();
        let end = |side: usize| state.sides[side].end.clone();
        Heard { stage: state.stage.clone(), more: [more(0), more(1)], ends: [end(0), end(1)] }
    }

    /// Stops the answers; what was written of them stays and can be voted on.
    pub fn stop(&self) {
        self.shared.state().cancel.cancel();
    }

    /// How fast the battles of this sitting were written.
    pub fn paces(&self) -> Paces {
        self.shared.state().paces.clone()
    }

    /// The run that the battles of this sitting belong to; `None` before the first.
    pub fn run(&self) -> Option<String> {
        self.shared.state().run.clone()
    }
}

impl Drop for Duel {
    fn drop(&mut self) {
        self.shared.leave.cancel();
        self.stop();
        self.orders = None;
        // A model that is being loaded has no run that would have to be closed.
        let waits = !matches!(self.shared.state().stage, DuelStage::Loading { .. });
        if waits {
            _ = self.gone.recv_timeout(FAREWELL);
        }
    }
}

fn check_different(names: &[String; 2]) -> Result<()> {
    if names[0] != names[1] {
        return Ok(());
    }
    let name = &names[0];
    Err(Error::new(Kind::InvalidInput, tr!("{name} cannot battle itself", "{name} 不能与自己对战"))
        .hint(tr!("choose another model or adapter", "请选择另一个模型或适配器")))
}

/// The thread that loads, asks and stores.
struct Host {
    bench: Arc<Workbench>,
    plan: DuelPlan,
    shared: Arc<Shared>,
}

impl Host {
    fn run<L>(&self, load: L, orders: &Receiver<String>)
    where
        L: FnOnce(&(dyn Fn(usize, usize, usize) -> bool + Sync)) -> Result<[Box<dyn Speaker>; 2]>,
    {
        let watch = |number: usize, read: usize, total: usize| {
            let label = self.plan.contestants.get(number).cloned().unwrap_or_default();
            self.shared.state().stage = DuelStage::Loading { label, number: number + 1, read, total };
            !self.shared.leave.is_cancelled()
        };
        let talks = load(&watch).and_then(|speakers| {
            let names = speakers.each_ref().map(|s| s.name().to_owned());
            check_different(&names)?;
            Ok((speakers.map(|speaker| self.talk(speaker)), names))
        });
        let (mut talks, names) = match talks {
            Ok(loaded) => loaded,
            Err(error) => {
                self.shared.state().stage = DuelStage::Failed(error);
                return;
            }
        };
        self.shared.state().stage = DuelStage::Ready;
        // A seed of its own for each sitting: whoever has seen one does not know the sides of the next.
        let seed: u64 = rand::random();
        let mut session = None;
        for number in 0u64.. {
            let Ok(question) = orders.recv() else { break };
            if self.shared.leave.is_cancelled() {
                break;
            }
            let asked = format!("{number} {question}");
            let turned = pairing::is_turned(&asked, [&names[0], &names[1]], seed);
            let outcome = self.play(&mut talks, &names, turned, seed, &question, &mut session);
            self.shared.state().stage = DuelStage::Over(outcome);
        }
        if let Some(session) = session {
            // Without it the run is found broken off, which is the truth when the database is gone.
            _ = session.close(&self.bench);
        }
    }

    fn talk(&self, speaker: Box<dyn Speaker>) -> Talk {
        // The protocol of servers has no such penalty.
        let penalty = if is_address(speaker.name()) { 1.0 } else { 1.1 };
        let sampling = Sampling {
            temperature: 0.7,
            top_p: 0.95,
            repetition_penalty: penalty,
            max_new_tokens: self.plan.longest.max(1),
            ..Sampling::default()
        };
        Talk::new(speaker, "", sampling)
    }

    /// One battle: both answer at once, and what they wrote is stored. `turned`: the second contestant stands left.
    fn play(
        &self,
        talks: &mut [Talk; 2],
        names: &[String; 2],
        turned: bool,
        seed: u64,
        question: &str,
        session: &mut Option<LiveSession>,
    ) -> Outcome {
        let cancel = &self.shared.state().cancel.clone();
        let [first, second] = talks;
        let (left, right) = if turned { (second, first) } else { (first, second) };
        let spoken = std::thread::scope(|scope| {
            let answers = [(0, left), (1, right)]
                .map(|(side, talk)| scope.spawn(move || self.answer(side, talk, question, cancel)));
            answers.map(|answer| answer.join().ok().flatten())
        });
        let [Some(left), Some(right)] = spoken else { return Outcome::Unanswered };
        let unheard = |s: &Spoken| s.ending == Ending::Interrupted && s.text.trim().is_empty();
        if unheard(&left) || unheard(&right) {
            return Outcome::Unanswered;
        }
        let labels = if turned { [&names[1], &names[0]] } else { [&names[0], &names[1]] };
        let stored = self.store(session, seed, question, [(labels[0], &left), (labels[1], &right)]);
        match stored {
            Ok(outcome) => outcome,
            Err(error) => Outcome::NotStored(error),
        }
    }

    /// Lets one side answer; `None` when it could not.
    fn answer(&self, side: usize, talk: &mut Talk, question: &str, cancel: &CancelToken) -> Option<Spoken> {
        talk.begin_anew(rand::random());
        let mut hear = |piece: &str| {
            self.shared.state().sides[side].text.push_str(piece);
            ControlFlow::Continue(())
        };
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| talk.ask(question, &mut hear, cancel)));
        let answer = answer.unwrap_or_else(|_| Err(Error::internal(tr!("the answer's thread failed", "回答线程出错"))));
        let (end, spoken) = match answer {
            Ok(turn) => {
                let end = match turn.spoken.ending {
                    Ending::Stop => SideEnd::Whole,
                    Ending::Length => SideEnd::Longest,
                    Ending::Interrupted => SideEnd::Stopped,
                };
                (end, Some(turn.spoken))
            }
            // A server that was not waited for any longer says so as a failure.
            Err(error) if error.kind == Kind::Interrupted => (SideEnd::Stopped, None),
            Err(error) => (SideEnd::Failed(error), None),
        };
        self.shared.state().sides[side].end = Some(end);
        spoken
    }

    fn store(
        &self,
        session: &mut Option<LiveSession>,
        seed: u64,
        question: &str,
        sides: [(&String, &Spoken); 2],
    ) -> Result<Outcome> {
        let open = match session.take() {
            Some(open) => open,
            None => {
                let config = json!({"through": "terminal", "temperature": 0.7, "top_p": 0.95,
                    "repetition_penalty": 1.1, "max_new_tokens": self.plan.longest, "seed": seed});
                let names = [sides[0].0.clone(), sides[1].0.clone()];
                LiveSession::open(&self.bench, &self.plan.arena, &sorted(names), &config)?
            }
        };
        let open = session.insert(open);
        let known = self.bench.store.questions(&self.plan.arena)?.into_iter().find(|q| q.text == question);
        let asked = known.unwrap_or_else(|| typed_question(question));
        let answers = sides.map(|(name, spoken)| (name.as_str(), spoken.text.trim()));
        let battle = open.record(&self.bench, &asked, answers)?;
        let pace = |spoken: &Spoken| Pace {
            tokens: spoken.tokens.saturating_sub(1),
            seconds: spoken.total.saturating_sub(spoken.first).as_secs_f64(),
        };
        let mut state = self.shared.state();
        state.run = Some(battle.run_id.clone());
        state.paces.insert(battle.id, sides.map(|(_, spoken)| pace(spoken)));
        Ok(if battle.flagged.is_empty() {
            Outcome::Votable(battle.id)
        } else {
            Outcome::NotBlind { why: battle.flagged, names: [battle.model_a, battle.model_b] }
        })
    }
}

/// In an order that tells nothing of the sides.
fn sorted(mut names: [String; 2]) -> [String; 2] {
    names.sort();
    names
}
