//! Templates, and the one rendering that gives both a model's tokens and the loss mask.

mod message;

pub use message::{Message, Role};
