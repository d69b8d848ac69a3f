//! Ctrl-C and SIGTERM: they ask a verb to stop at its next safe point, a second one ends the process at once. The process of
//! a background job hears them from its first moment on.

use super::Ui;
use crate::error::{Error, Result};
use crate::job::CancelToken;
use crate::tr;
use crate::workbench::jobs;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::OnceLock;

/// What the signals set in the process of a job, where they are heard before there is a verb.
static OF_JOB: OnceLock<CancelToken> = OnceLock::new();

/// Where the verb that comes to safe points speaks; empty while none does.
static HEEDED: OnceLock<Ui> = OnceLock::new();

/// A token that Ctrl-C and SIGTERM set. A second signal ends the process at once.
///
/// # Errors
/// Internal.
pub(super) fn cancel_on_signals(ui: &Ui) -> Result<CancelToken> {
    let _ = HEEDED.set(ui.clone());
    if let Some(cancel) = OF_JOB.get() {
        return Ok(cancel.clone());
    }
    let (cancel, mut heard) = listen()?;
    let ui = ui.clone();
    std::thread::spawn(move || {
        if heard.forever().next().is_some() {
            say_heard(&ui);
        }
    });
    Ok(cancel)
}

/// Makes this process, a job's, hear the signals from now on: as long as no verb heeds them, the first one does `record` and
/// ends the process.
///
/// # Errors
/// Internal.
pub(super) fn hear_in_job(record: impl Fn() + Send + 'static) -> Result<()> {
    let (cancel, mut heard) = listen()?;
    let _ = OF_JOB.set(cancel);
    jobs::hear_stops()?;
    std::thread::spawn(move || {
        if heard.forever().next().is_some() {
            match HEEDED.get() {
                Some(ui) => say_heard(ui),
                None => {
                    record();
                    signal_hook::low_level::exit(130);
                }
            }
        }
    });
    Ok(())
}

/// Work stops at its next boundary, which may be a long step away: says that the key was heard.
fn say_heard(ui: &Ui) {
    ui.note(&tr!("stopping at the next safe point; once more stops at once", "将在下一个安全点停止；再按一次立即停止"));
}

fn listen() -> Result<(CancelToken, Signals)> {
    let cancel = CancelToken::default();
    let failed = |e: std::io::Error| Error::internal(e.to_string());
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag not set yet.
        signal_hook::flag::register_conditional_shutdown(signal, 130, cancel.flag()).map_err(failed)?;
        signal_hook::flag::register(signal, cancel.flag()).map_err(failed)?;
    }
    Ok((cancel, Signals::new([SIGINT, SIGTERM]).map_err(failed)?))
}
