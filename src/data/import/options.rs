//! How files are to be read.

use super::super::conversation::Tags;
use super::super::example::Split;
use super::super::plain::Unit;
use super::super::roles::FieldMap;
use crate::error::{Error, Kind, Result};
use crate::tr;
use std::sync::Arc;

/// How a file's records are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Found out from the contents.
    #[default]
    Auto,
    /// JSON with `instruction`, `input`, `output`, `system`, `history`.
    Alpaca,
    /// JSON with a list of messages: `conversations` with `from` and `value` (sharegpt), or `messages` with `role` and
    /// `content`. Either is read under either name.
    Conversation,
    /// A table whose first line names the columns; commas, semicolons, tabs or bars separate them.
    Csv,
    /// The same, separated by tabs unless it shows otherwise.
    Tsv,
    /// A Parquet file.
    Parquet,
    /// TAT-QA's contexts, a row for each question.
    TatQa,
    /// ConvFinQA's conversations, a row for each.
    ConvFinQa,
    /// Plain text for pre-training, so much of it a row.
    Text(Unit),
}

/// The formats' names on the command line.
const FORMATS: [(&str, Format); 12] = [
    ("auto", Format::Auto),
    ("alpaca", Format::Alpaca),
    ("sharegpt", Format::Conversation),
    ("messages", Format::Conversation),
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("parquet", Format::Parquet),
    ("tatqa", Format::TatQa),
    ("convfinqa", Format::ConvFinQa),
    ("text", Format::Text(Unit::Paragraph)),
    ("text-lines", Format::Text(Unit::Line)),
    ("text-file", Format::Text(Unit::File)),
];

impl Format {
    /// The format called `name`.
    ///
    /// # Errors
    /// `InvalidInput` that lists the names.
    pub fn parse(name: &str) -> Result<Format> {
        FORMATS.iter().find(|(known, _)| *known == name).map(|(_, format)| *format).ok_or_else(|| {
            let names: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
            let name = name.escape_default();
            Error::new(Kind::InvalidInput, tr!("no format `{name}`", "没有格式 `{name}`")).hint(tr!(
                "use one of: {}",
                "可用：{}",
                names.join(", ")
            ))
        })
    }
}

/// How files are read.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Layout of the records.
    pub format: Format,
    /// Other names of fields.
    pub map: FieldMap,
    /// Other names of speakers and of a message's keys.
    pub tags: Option<Arc<Tags>>,
    /// `zh` or `en` for every row; `None`: each row's own `lang`, or by its share of Chinese characters.
    pub lang: Option<&'static str>,
    /// The split of rows that do not name one.
    pub split: Split,
    /// Entries of a `dataset_info.json` that are read; all of them when empty.
    pub entries: Vec<String>,
}
