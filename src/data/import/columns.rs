//! The columns of a table, and what separates them.

use super::super::delimited;
use super::super::roles::{FieldMap, GUESS, Role, Slot};
use super::options::Format;

/// The columns of a table.
pub(super) struct Columns {
    /// The name, the field and the rank of each column; `None` for those that are not read.
    pub slots: Vec<(String, Option<(Role, u8)>)>,
    /// Those that are known by usual names only.
    pub guessed: Vec<(Role, String)>,
}

impl Columns {
    pub fn new(header: &[String], map: &FieldMap) -> Columns {
        let mut slots: Vec<(String, Option<(Role, u8)>)> = Vec::with_capacity(header.len());
        for name in header {
            let slot = match map.slot(name) {
                Slot::Field(role, rank) => Some((role, rank)),
                Slot::Aside | Slot::Unknown => None,
            };
            // Of two columns for one field the surer one is read, and of two equal ones the first.
            let rival = slots.iter_mut().find(|(_, other)| matches!((other, slot), (Some(a), Some(b)) if a.0 == b.0));
            let slot = match (rival, slot) {
                (Some((_, held)), Some((_, rank))) if held.is_some_and(|(_, other)| other <= rank) => None,
                (Some((_, held)), slot) => {
                    *held = None;
                    slot
                }
                (None, slot) => slot,
            };
            slots.push((name.clone(), slot));
        }
        let guessed = slots.iter().filter_map(|(name, slot)| match slot {
            Some((role, rank)) if *rank >= GUESS => Some((*role, name.clone())),
            _ => None,
        });
        let guessed = guessed.collect();
        Columns { slots, guessed }
    }

    /// Whether one of them is for `role`.
    pub fn has(&self, role: Role) -> bool {
        self.slots.iter().any(|(_, slot)| slot.is_some_and(|(found, _)| found == role))
    }

    /// Whether rows can come of these columns.
    pub fn suffice(&self) -> bool {
        let answered = self.has(Role::Output) && (self.has(Role::Instruction) || self.has(Role::Input));
        answered || self.has(Role::Messages) || self.has(Role::Text)
    }
}

/// The separator when the file is a table; `head` is its first line.
pub(super) fn delimiter(file: &str, format: Format, map: &FieldMap, head: &[u8]) -> Option<u8> {
    let name = file.to_ascii_lowercase();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    let usual = match format {
        Format::Csv => Some(b','),
        Format::Tsv => Some(b'\t'),
        Format::Auto if name.ends_with(".csv") => Some(b','),
        Format::Auto if name.ends_with(".tsv") || name.ends_with(".tab") => Some(b'\t'),
        Format::Auto => None,
        _ => return None,
    };
    let suffices = |delimiter: &u8| {
        let cells = delimited::cells_of(head, *delimiter);
        cells.is_some_and(|header| Columns::new(&header, map).suffice())
    };
    let found = delimited::delimiters_of(head);
    let named = delimited::named_delimiter(head);
    let usable = found.iter().copied().find(suffices);
    // A file that nothing calls a table is one when its first line names a question and an answer.
    usual.map_or(named.or(usable), |usual| named.or(usable).or_else(|| found.first().copied()).or(Some(usual)))
}
