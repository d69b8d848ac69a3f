//! An answer of a server that is heard while it is written.

use super::echo;
use super::model::RemoteModel;
use crate::error::{Error, Kind, Result};
use crate::infer::{End, Sampling};
use crate::job::CancelToken;
use crate::prompt::StopWatch;
use crate::tr;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// What a server said of an answer beside its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streamed {
    /// How it ended; `None` when the listener had enough.
    pub end: Option<End>,
    /// Tokens of the prompt as the server counts them; 0 when it does not say.
    pub prompt_tokens: u64,
    /// Tokens of the answer; where the server does not say, the pieces that it came in.
    pub tokens: u64,
}

impl RemoteModel {
    /// Asks for the continuation of one prompt (see [`RemoteModel::asked_in_conversations`]); `heard` gets its text in
    /// pieces and may end it, and so does `cancel`: the connection is then closed, which tells the server.
    ///
    /// # Errors
    /// Those of the request; `Network` when the answer breaks off.
    pub fn stream(
        &self,
        prompt: &[u32],
        sampling: &Sampling,
        heard: &mut dyn FnMut(&str) -> ControlFlow<()>,
        cancel: &CancelToken,
    ) -> Result<Streamed> {
        let (path, mut body, stops) = self.asked(prompt, sampling)?;
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
        let (client, stop) = (Arc::clone(self.client()), Arc::new(AtomicBool::new(false)));
        let (sender, arrivals) = channel();
        let given_up = Arc::clone(&stop);
        // On a thread of its own, which is left behind when it is no longer wanted: a silent server must not hold up Ctrl-C.
        let request = move || {
            let pieces = sender.clone();
            let mut pass_on = |value: Value| match pieces.send(Ok(value)) {
                Ok(()) if !given_up.load(Ordering::Relaxed) => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            };
            if let Err(error) = client.stream(path, &body, &given_up, &mut pass_on) {
                _ = sender.send(Err(error));
            }
        };
        std::thread::Builder::new().spawn(request).map_err(|e| Error::internal(e.to_string()))?;
        let mut listening = Listening::new(StopWatch::new(&stops));
        let outcome = loop {
            if cancel.is_cancelled() {
                break Ok(None);
            }
            match arrivals.recv_timeout(Duration::from_millis(50)) {
                Ok(Ok(event)) => {
                    if listening.take(&event, heard).is_break() {
                        break Ok(listening.end);
                    }
                }
                Ok(Err(error)) => break Err(error),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => match listening.end {
                    Some(end) => {
                        let rest = std::mem::take(&mut listening.watch).finish();
                        if !rest.is_empty() {
                            _ = heard(&rest);
                        }
                        break Ok(Some(end));
                    }
                    None => break Err(broke_off(&self.name())),
                },
            }
        };
        stop.store(true, Ordering::Relaxed);
        Ok(Streamed { end: outcome?, prompt_tokens: listening.prompt_tokens, tokens: listening.tokens })
    }
}

/// What was heard so far.
struct Listening {
    watch: StopWatch,
    end: Option<End>,
    prompt_tokens: u64,
    tokens: u64,
}

impl Listening {
    fn new(watch: StopWatch) -> Listening {
        Listening { watch, end: None, prompt_tokens: 0, tokens: 0 }
    }

    fn take(&mut self, event: &Value, heard: &mut dyn FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
        let count = |name: &str| event.pointer("/usage").and_then(|u| u.get(name)).and_then(Value::as_u64);
        if let Some(n) = count("prompt_tokens") {
            self.prompt_tokens = n;
        }
        let choice = echo::choice(event);
        let piece = choice.and_then(|c| c.pointer("/delta/content").or_else(|| c.get("text"))).and_then(Value::as_str);
        if let Some(reason) = choice.and_then(|c| c.get("finish_reason")).and_then(Value::as_str) {
            self.end = Some(if reason == "length" { End::Length } else { End::Stopped });
        }
        let mut flow = ControlFlow::Continue(());
        if let Some(piece) = piece.filter(|p| !p.is_empty()) {
            self.tokens += 1;
            let sure = self.watch.push(piece);
            if !sure.is_empty() && heard(&sure).is_break() {
                self.end = None;
                return ControlFlow::Break(());
            }
            if self.watch.met() {
                self.end = Some(End::Stopped);
                flow = ControlFlow::Break(());
            }
        }
        if let Some(n) = count("completion_tokens") {
            self.tokens = n;
        }
        flow
    }
}

fn broke_off(name: &str) -> Error {
    Error::new(Kind::Network, tr!("{name}: the answer broke off", "{name}：回答中断"))
        .hint(tr!("look at the server's log and ask again", "请查看服务器日志后重试"))
}
