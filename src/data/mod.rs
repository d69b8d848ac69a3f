//! Instruction data: reading it from files, and the plain types the rest of the program passes on.

mod example;

pub use example::{Example, Split};
