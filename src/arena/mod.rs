//! Blind battles between two models, and the ratings that follow from them.
//!
//! A question goes to two contestants ([`contestant`]), on sides drawn at random ([`pairing`]); the
//! battle ([`battle`]) waits for a vote of a person or of the reference judge ([`judge`]); a reply
//! that gives its model away does not count ([`blind`]); the votes become Bradley–Terry ratings with
//! intervals ([`ratings`]). [`exchange`] reads and writes the field's battle format.

pub mod battle;
pub mod blind;
pub mod contestant;
pub mod exchange;
pub mod judge;
pub mod pairing;
pub mod questions;
pub mod ratings;

pub use battle::{Battle, Question, Winner};
pub use contestant::Contestant;
