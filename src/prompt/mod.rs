//! Templates, and the one rendering that gives both a model's tokens and the loss mask.

mod chat;
mod message;
mod preview;
mod python;
mod render;
mod stop;
mod template;
mod tokenize;
mod turns;

pub use chat::ChatTemplate;
pub use message::{Message, Role};
pub use preview::{Preview, PreviewToken, PreviewTurn};
pub use render::{LossOn, Rendered, Renderer};
pub use stop::{StopWatch, cut_at};
pub use template::Template;
pub use tokenize::Tokenize;
