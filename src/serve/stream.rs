//! Answers in server-sent events: JSON objects, and `[DONE]` when all is said.

use super::Shared;
use super::http::{Connection, Events};
use super::reply::Broken;
use serde_json::Value;

/// Sends what `say` says as events. A failure after the first of them is told as an event, because the status is sent.
pub(super) fn send(
    shared: &Shared,
    connection: &mut Connection,
    say: impl FnOnce(&mut Events<'_>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut events = connection.events().map_err(|_| Broken::Gone)?;
    match say(&mut events) {
        Ok(()) => {
            events.send("[DONE]").map_err(|_| Broken::Gone)?;
            events.finish();
            Ok(())
        }
        Err(Broken::Refused(refusal)) => {
            shared.say(&refusal.body().to_string());
            event(&mut events, &refusal.body())?;
            events.finish();
            Ok(())
        }
        Err(Broken::Gone) => Err(Broken::Gone),
    }
}

/// Sends one object.
pub(super) fn event(events: &mut Events<'_>, value: &Value) -> Result<(), Broken> {
    events.send(&value.to_string()).map_err(|_| Broken::Gone)
}
