//! Flags for a model that a server runs.

use crate::remote::{Options, is_address};
use std::time::Duration;

/// How a model of a server (`--model http://HOST:PORT/v1#NAME`) is asked.
#[derive(clap::Args, Clone, Debug)]
#[command(
    next_help_heading = "A server's model (http://HOST:PORT/v1#NAME; the key is read from LINLY_BENCH_API_KEY or OPENAI_API_KEY)"
)]
pub struct ServerFlags {
    /// Requests at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Most requests a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate_limit: Option<u32>,
    /// Seconds that one request may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// How often a request is repeated that was refused for being one too many, took too long or broke off
    #[arg(long, value_name = "N", default_value_t = 5)]
    retries: u32,
}

impl ServerFlags {
    /// The flags for the client.
    pub fn options(&self) -> Options {
        Options {
            concurrency: usize::from(self.concurrency),
            per_minute: self.rate_limit,
            timeout: Duration::from_secs(self.timeout),
            retries: self.retries,
            ..Options::default()
        }
    }
}

/// Whether any of `specs` is a server's model.
pub fn any_address<'a>(specs: impl IntoIterator<Item = &'a str>) -> bool {
    specs.into_iter().any(is_address)
}
