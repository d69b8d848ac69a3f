//! Instruction data: reading it from files, and the plain types the rest of the program passes on.

mod arrow_stream;
mod conversation;
mod convfinqa;
mod delimited;
mod example;
mod export;
mod fields;
mod import;
mod language;
mod llama_factory;
pub mod mixture;
mod overlap;
mod parquet;
mod parquet_writer;
mod plain;
pub mod quality;
mod records;
mod roles;
mod shingles;
mod source;
mod split;
mod tatqa;
mod token_files;

pub use arrow_stream::TokenStream;
pub use conversation::Tags;
pub use example::{Example, RowHash, Split, Version, hex, parse_hash};
pub use export::{RowFormat, RowShape, RowWriter, json_of};
pub use import::{Format, ImportOptions, RAW, ReadReport, Record, Reject, Row, no_such_column, read};
pub use language::detect as detect_language;
pub use llama_factory::{ListedSet, listed_sets};
pub use overlap::{NEAR, NGRAM, Overlap, OverlapIndex, OverlapKind, SHARE, SHINGLE, TestItem};
pub use parquet_writer::{RowTable, TableColumn, write_table};
pub use plain::Unit;
pub use roles::FieldMap;
pub use split::{HoldOut, hold_out, hold_out_groups};
pub use token_files::{TokenRow, TokenTable};
