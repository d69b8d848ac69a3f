//! Templates, and the one rendering that gives both a model's tokens and the loss mask.

mod message;
mod tokenize;

pub use message::{Message, Role};
pub use tokenize::Tokenize;
