//! A model behind an OpenAI-compatible server: llama-cpp-python, vLLM, SGLang and whatever else speaks that protocol.
//!
//! Such a model is asked in text; which tokens it makes of the text is the server's affair. Here a text is therefore
//! a list of characters ([`PlainText`]), so that everything above works as it does with a local model, and the
//! server's own tokens are met only where its answers are read ([`echo`]).

mod address;
mod client;
mod echo;
mod model;
mod plain_text;
mod pool;
mod stream;

pub use address::{Address, is_address};
pub use client::Options;
pub use model::{Method, RemoteModel};
pub use plain_text::PlainText;
pub use stream::Streamed;
