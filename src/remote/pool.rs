//! Several requests under way at once.

use super::client::Client;
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::tr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// What is done for one job: requests by the client, given up when the flag is set.
pub(super) type Work<J, R> = fn(&Client, &J, &AtomicBool) -> Result<R>;

/// Does `work` for every job, as many at once as the client's options say, and gives the results in the jobs' order.
/// `heard` gets each result as it arrives, with its job's place. The threads are left behind at the first failure and
/// when `cancel` is set: a silent server must not hold up Ctrl-C.
///
/// # Errors
/// The first failure; `Interrupted`.
pub(super) fn all<J, R>(
    client: &Arc<Client>,
    jobs: Vec<J>,
    work: Work<J, R>,
    heard: &mut dyn FnMut(usize, &R),
    cancel: &CancelToken,
) -> Result<Vec<R>>
where
    J: Send + Sync + 'static,
    R: Send + 'static,
{
    let mut results: Vec<Option<R>> = jobs.iter().map(|_| None).collect();
    let (jobs, next, stop) = (Arc::new(jobs), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (sender, arrivals) = channel();
    for _ in 0..client.options.concurrency.clamp(1, results.len().max(1)) {
        let (client, jobs, next) = (Arc::clone(client), Arc::clone(&jobs), Arc::clone(&next));
        let (stop, sender) = (Arc::clone(&stop), sender.clone());
        let requests = move || {
            while !stop.load(Ordering::Relaxed) {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = jobs.get(place) else { break };
                let result = work(&client, job, &stop);
                // The others hear of it from the one who takes the results: they must not report that they were
                // stopped before the reason is known.
                let failed = result.is_err();
                if sender.send((place, result)).is_err() || failed {
                    break;
                }
            }
        };
        std::thread::Builder::new().spawn(requests).map_err(|e| Error::internal(e.to_string()))?;
    }
    drop(sender);
    let end = loop {
        if cancel.is_cancelled() {
            break Err(Error::new(Kind::Interrupted, tr!("interrupted", "已中断")));
        }
        match arrivals.recv_timeout(Duration::from_millis(50)) {
            Ok((place, Ok(result))) => {
                heard(place, &result);
                if let Some(slot) = results.get_mut(place) {
                    *slot = Some(result);
                }
            }
            Ok((_, Err(error))) => break Err(error),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break Ok(()),
        }
    };
    stop.store(true, Ordering::Relaxed);
    end?;
    let all: Option<Vec<R>> = results.into_iter().collect();
    all.ok_or_else(|| Error::internal("a request's thread ended without a word"))
}
