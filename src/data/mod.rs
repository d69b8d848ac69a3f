//! Instruction data: reading it from files, and the plain types the rest of the program passes on.

mod conversation;
mod example;
mod fields;
mod import;
mod language;
pub mod mixture;
mod overlap;
pub mod quality;
mod records;
mod shingles;
mod split;

pub use example::{Example, RowHash, Split, Version, hex, parse_hash};
pub use fields::FieldMap;
pub use import::{Format, ImportOptions, Record, Reject, Row, read};
pub use language::detect as detect_language;
pub use overlap::{NEAR, NGRAM, Overlap, OverlapIndex, OverlapKind, SHARE, SHINGLE, TestItem};
pub use split::{HoldOut, hold_out, hold_out_groups};
