//! Datasets beyond their list: rows, versions, masks and what can be changed, as the screens see them.

use crate::data::Split;
use crate::store::Mark;

/// Which rows of a dataset are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowFilter {
    /// Only rows with this text.
    pub search: String,
    /// Only this part.
    pub split: Option<Split>,
    /// Only this language: `zh` or `en`.
    pub lang: Option<&'static str>,
    /// Only rows with this mark.
    pub marked: Option<Mark>,
}

impl RowFilter {
    /// Whether every row passes.
    pub fn is_open(&self) -> bool {
        *self == RowFilter::default()
    }
}

/// One row of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowView {
    /// Its number, from 0.
    pub row: u64,
    /// Trained on or held out.
    pub split: Split,
    /// `zh` or `en`.
    pub lang: String,
    /// System message; usually empty.
    pub system: String,
    /// The row as an editor shows it: JSON.
    pub editable: String,
    /// Descriptions of tools; usually empty.
    pub tools: String,
    /// Earlier turns, oldest first: (question, answer).
    pub history: Vec<(String, String)>,
    /// Turns whose question is what a tool returned; the row's own comes after the history.
    pub tool_turns: Vec<usize>,
    /// What is asked.
    pub instruction: String,
    /// Material the question refers to; usually empty.
    pub input: String,
    /// The answer that is learnt.
    pub output: String,
    /// The file and line it was imported from.
    pub origin: String,
    /// What somebody marked it as.
    pub mark: Option<Mark>,
    /// Why.
    pub note: String,
}

/// A stretch of a dataset's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowPage {
    /// How many rows pass the filter in all; of a search at least so many.
    pub total: u64,
    /// Whether there are no more than that.
    pub exact: bool,
    /// The rows from the place that was asked for.
    pub rows: Vec<RowView>,
}

/// Where a stretch of rows begins: so many matching rows after the first with this number or a larger one. Reading
/// begins at that number, so a place near one that is known costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Row number to begin at.
    pub from: u64,
    /// Matching rows to leave out from there.
    pub skip: u64,
}

/// A token of a row as a training reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskToken {
    /// Its id.
    pub id: u32,
    /// Its text. Of tokens that share a character the first has it, the others have `~`.
    pub text: String,
    /// Whether it is learnt.
    pub supervised: bool,
}

/// A row as a training reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskView {
    /// Its tokens.
    pub tokens: Vec<MaskToken>,
    /// How many of them are learnt.
    pub supervised: usize,
    /// What deserves a second look.
    pub warnings: Vec<String>,
}

/// A version of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionView {
    /// Its number, from 1.
    pub number: u64,
    /// Hash over its rows.
    pub version: String,
    /// All rows.
    pub rows: u64,
    /// Rows held out.
    pub val: u64,
    /// What made it.
    pub message: String,
    /// Names that were given to it.
    pub tags: Vec<String>,
    /// When, RFC 3339 UTC.
    pub created: String,
}

/// A row that differs between two versions: the fields with what they were and are, the differing words between
/// `[-` `-]` and `{+` `+}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowChangeView {
    /// `+` added, `-` removed, `~` changed.
    pub sign: char,
    /// Its number.
    pub row: u64,
    /// Field and text.
    pub fields: Vec<(String, String)>,
}

/// What lies between two versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiffView {
    /// The earlier one.
    pub from: u64,
    /// The later one.
    pub to: u64,
    /// Rows only in the later.
    pub added: u64,
    /// Rows only in the earlier.
    pub removed: u64,
    /// Rows with another content.
    pub changed: u64,
    /// Rows that only stand at another number.
    pub moved: u64,
    /// The first of the differing rows.
    pub rows: Vec<RowChangeView>,
}

/// A question about a dataset's rows, or an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataQuery {
    /// At most `limit` rows that pass `filter` from `place` on; `offset` of them come before.
    Rows {
        /// Dataset.
        dataset: String,
        /// Which rows.
        filter: RowFilter,
        /// Where to begin.
        place: Place,
        /// The place of the first, counted among those that pass.
        offset: u64,
        /// At most so many.
        limit: u64,
        /// How many pass, and whether that is all, if it was counted before.
        known: Option<(u64, bool)>,
    },
    /// Hide a dataset.
    Delete {
        /// Dataset.
        name: String,
    },
    /// Bring a hidden dataset back.
    Undelete {
        /// Dataset.
        name: String,
    },
    /// Mark a row, or take its mark away.
    Mark {
        /// Dataset.
        dataset: String,
        /// Row number.
        row: u64,
        /// The mark; none to take it away.
        mark: Option<Mark>,
        /// Why.
        note: String,
    },
    /// Save a row that was changed in an editor.
    Save {
        /// Dataset.
        dataset: String,
        /// Row number.
        row: u64,
        /// The text that the editor was given.
        given: String,
        /// What came back.
        text: String,
    },
    /// A row that was written in an editor, behind the others.
    Add {
        /// Dataset.
        dataset: String,
        /// What the editor left: a JSON object.
        text: String,
    },
    /// Make the rows of a version the newest ones.
    Restore {
        /// Dataset.
        dataset: String,
        /// Number of the version.
        version: u64,
        /// Only this row.
        row: Option<u64>,
        /// Whether this takes another change back, and is none of its own.
        undoes: bool,
    },
    /// A row as a training with this template and this model's tokenizer reads it.
    Mask {
        /// Dataset.
        dataset: String,
        /// Row number.
        row: u64,
        /// Template.
        template: &'static str,
        /// Model.
        model: String,
    },
    /// All versions of a dataset.
    Versions {
        /// Dataset.
        dataset: String,
    },
    /// What lies between two versions.
    Diff {
        /// Dataset.
        dataset: String,
        /// Number of the earlier.
        from: u64,
        /// Number of the later.
        to: u64,
    },
}

/// What a question about a dataset's rows is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataAnswer {
    /// The rows.
    Rows(RowPage),
    /// It was done.
    Done,
    /// The number of the newest version before and after a change; the same where nothing differed.
    Changed {
        /// Before.
        before: u64,
        /// After.
        after: u64,
    },
    /// The tokens.
    Mask(MaskView),
    /// The versions, the newest first.
    Versions(Vec<VersionView>),
    /// What differs.
    Diff(DiffView),
}
