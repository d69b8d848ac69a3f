//! Several answers at once from one thread: whoever asks gets a place as soon as one is free, prompts are read in
//! turns of a few tokens, and answers of the same engine are written side by side, which reads the weights once for all.

use super::engine::Engine;
use super::request::Sampling;
use super::stepwise::{Chosen, End, Session, Watch, Writing};
use crate::error::{Error, Result};
use crate::job::CancelToken;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

/// Tokens of one prompt that are read before others get their turn. Each such turn is the longest that an answer in the
/// making waits for its next token.
const READ_AT_ONCE: usize = 256;

/// What is asked of an engine.
#[derive(Clone, Debug)]
pub struct Order {
    /// Tokens before the answer.
    pub prompt: Vec<u32>,
    /// How it is drawn and how long it may be.
    pub sampling: Sampling,
    /// Which log-probabilities are told.
    pub watch: Watch,
    /// Who asks. Among those who wait, the one who has the fewest places comes first.
    pub asker: u64,
}

/// What is told about an order.
#[derive(Clone, Debug)]
pub enum Told {
    /// The prompt is read; `scored` are its tokens from the second on when they are watched.
    Read {
        /// Tokens that an earlier answer's memory spared.
        reused: usize,
        /// Tokens with their log-probabilities.
        scored: Vec<Chosen>,
    },
    /// The next token.
    Token(Chosen),
    /// The answer is complete.
    Ended(End),
    /// It failed.
    Failed(Error),
}

/// An order under way. Dropping it gives it up.
pub struct Answering {
    told: Receiver<Told>,
    cancel: CancelToken,
}

impl Answering {
    /// The next thing that is told, waiting `patience` for it: `Ok(None)` when there was nothing in that time.
    ///
    /// # Errors
    /// `Internal` when the scheduler is gone.
    pub fn next(&self, patience: Duration) -> Result<Option<Told>> {
        match self.told.recv_timeout(patience) {
            Ok(told) => Ok(Some(told)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Error::internal("the inference thread is gone")),
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Takes orders; the thread behind it ends when this and all clones are gone.
#[derive(Clone)]
pub struct Scheduler {
    orders: Sender<Job>,
}

impl Scheduler {
    /// Starts the thread. `places` answers are worked on at once; what finished ones have read is kept for the next
    /// prompts, the oldest given up when it takes more than `keep` bytes.
    ///
    /// # Errors
    /// `Internal` when the system gives no thread.
    pub fn start(places: usize, keep: usize) -> Result<Scheduler> {
        let (orders, arrivals) = channel();
        let mut desk = Desk { places: places.max(1), keep, ..Desk::default() };
        std::thread::Builder::new()
            .name("inference".to_owned())
            .spawn(move || desk.work(&arrivals))
            .map_err(|e| Error::internal(e.to_string()))?;
        Ok(Scheduler { orders })
    }

    /// Hands in an order.
    ///
    /// # Errors
    /// `Internal` when the thread is gone.
    pub fn submit(&self, engine: &Arc<Engine>, order: Order) -> Result<Answering> {
        let (teller, told) = channel();
        let cancel = CancelToken::default();
        let job = Job { engine: Arc::clone(engine), order, teller, cancel: cancel.clone() };
        self.orders.send(job).map_err(|_| Error::internal("the inference thread is gone"))?;
        Ok(Answering { told, cancel })
    }
}

struct Job {
    engine: Arc<Engine>,
    order: Order,
    teller: Sender<Told>,
    cancel: CancelToken,
}

/// A job that has a place.
struct Live {
    engine: Arc<Engine>,
    asker: u64,
    writing: Writing,
    teller: Sender<Told>,
    cancel: CancelToken,
}

impl Live {
    /// Tells the newest token and the end; whether the answer goes on.
    fn tell_newest(&self) -> bool {
        let token = self.writing.last().map(|chosen| Told::Token(chosen.clone()));
        let end = self.writing.end().map(Told::Ended);
        let goes_on = end.is_none();
        token.into_iter().chain(end).all(|told| self.teller.send(told).is_ok()) && goes_on
    }
}

/// Memory of an answer that is finished.
struct Kept {
    engine: Arc<Engine>,
    session: Session,
}

#[derive(Default)]
struct Desk {
    places: usize,
    keep: usize,
    waiting: Vec<Job>,
    live: Vec<Live>,
    /// The newest last.
    kept: Vec<Kept>,
}

impl Desk {
    fn work(&mut self, arrivals: &Receiver<Job>) {
        loop {
            if self.live.is_empty() && self.waiting.is_empty() {
                match arrivals.recv() {
                    Ok(job) => self.waiting.push(job),
                    Err(_) => return,
                }
            }
            loop {
                match arrivals.try_recv() {
                    Ok(job) => self.waiting.push(job),
                    Err(TryRecvError::Empty) => break,
                    // Nobody is left to be told anything.
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.drop_cancelled();
            self.give_places();
            self.read_a_little();
            self.write_one_token();
        }
    }

    fn drop_cancelled(&mut self) {
        self.waiting.retain(|job| !job.cancel.is_cancelled());
        let (gone, live) = self.live.drain(..).partition(|l| l.cancel.is_cancelled());
        self.live = live;
        self.keep_all(gone);
    }

    fn give_places(&mut self) {
        while self.live.len() < self.places {
            let has = |asker: u64| self.live.iter().filter(|l| l.asker == asker).count();
            // The first of those with the fewest places.
            let Some(next) = (0..self.waiting.len()).min_by_key(|i| (has(self.waiting[*i].order.asker), *i)) else {
                return;
            };
            let Job { engine, order, teller, cancel } = self.waiting.remove(next);
            let session = self.best_kept(&engine, &order);
            match engine.begin(session, order.prompt, &order.sampling, order.watch) {
                Ok(writing) => self.live.push(Live { engine, asker: order.asker, writing, teller, cancel }),
                Err(error) => _ = teller.send(Told::Failed(error)),
            }
        }
    }

    /// The kept memory that spares the most of the prompt; a new one when none spares anything.
    fn best_kept(&mut self, engine: &Arc<Engine>, order: &Order) -> Session {
        if order.watch.prompt.is_some() {
            return Session::default();
        }
        let shared = |k: &Kept| if Arc::ptr_eq(&k.engine, engine) { k.session.shared(&order.prompt) } else { 0 };
        let best = self.kept.iter().enumerate().max_by_key(|(_, k)| shared(k));
        match best.filter(|(_, k)| shared(k) > 0).map(|(i, _)| i) {
            Some(i) => self.kept.remove(i).session,
            None => Session::default(),
        }
    }

    /// Reads a stretch of one prompt, and lets the next one be first next time.
    fn read_a_little(&mut self) {
        let Some(i) = self.live.iter().position(|l| l.writing.is_reading()) else { return };
        let mut live = self.live.remove(i);
        let engine = Arc::clone(&live.engine);
        if let Err(error) = engine.read(&mut live.writing, READ_AT_ONCE) {
            _ = live.teller.send(Told::Failed(error));
            return;
        }
        if live.writing.is_reading() {
            self.live.push(live);
            return;
        }
        let read = Told::Read { reused: live.writing.reused(), scored: live.writing.take_read() };
        if live.teller.send(read).is_ok() && live.tell_newest() {
            self.live.push(live);
        } else {
            self.keep_all(vec![live]);
        }
    }

    /// One more token for every answer whose prompt is read, those of the same engine together.
    fn write_one_token(&mut self) {
        let (mut writing, reading): (Vec<Live>, Vec<Live>) = self.live.drain(..).partition(|l| !l.writing.is_reading());
        self.live = reading;
        while let Some(engine) = writing.first().map(|l| Arc::clone(&l.engine)) {
            let (mut group, others): (Vec<Live>, Vec<Live>) =
                writing.drain(..).partition(|l| Arc::ptr_eq(&l.engine, &engine));
            writing = others;
            let mut all: Vec<&mut Writing> = group.iter_mut().map(|l| &mut l.writing).collect();
            if let Err(error) = engine.step(&mut all) {
                group.iter().for_each(|l| _ = l.teller.send(Told::Failed(error.clone())));
                continue;
            }
            let (go_on, ended) = group.into_iter().partition(Live::tell_newest);
            self.live.extend::<Vec<Live>>(go_on);
            self.keep_all(ended);
        }
    }

    /// Keeps what finished answers have read, the newest as far as the memory goes.
    fn keep_all(&mut self, ended: Vec<Live>) {
        self.kept.extend(ended.into_iter().map(|l| Kept { engine: l.engine, session: l.writing.into_session() }));
        let mut bytes: usize = self.kept.iter().map(|k| k.session.bytes()).sum();
        let mut given_up = 0;
        while bytes > self.keep && given_up < self.kept.len() {
            bytes -= self.kept[given_up].session.bytes();
            given_up += 1;
        }
        self.kept.drain(..given_up);
    }
}
