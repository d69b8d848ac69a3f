//! Tables: a header and rows of cells.

use super::super::delimited::{self, Table, TableRow};
use super::super::fields::{Field, Listener, Raw};
use super::super::roles::{Role, Slot};
use super::columns::Columns;
use super::heard::no_such_column;
use super::take::Records;
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde_json::{Map, Value};
use std::io::BufRead;

impl Records<'_> {
    /// All of a table, which `reader` gives from its first line on.
    pub fn table(&mut self, reader: impl BufRead, delimiter: u8, line: u64) -> Result<()> {
        let mut table = Table::new(reader, delimiter, line);
        let columns = match self.header(&mut table)? {
            Some(columns) => columns,
            None => return Ok(()),
        };
        self.heard.guessed(&columns.guessed);
        let count = columns.slots.len();
        let elsewhere = columns.has(Role::Text) || columns.has(Role::Messages);
        let mut rows = 0u64;
        while let Some(row) = table.next(self.file)? {
            rows += 1;
            let (line, cells, bytes) = match row {
                TableRow::Cells { line, cells, bytes } => (line, cells, bytes),
                TableRow::Bad { line, reason, bytes } => {
                    self.reject(line, reason, bytes)?;
                    continue;
                }
            };
            if cells.len() != count {
                let found = cells.len();
                let reason = tr!(
                    "{found} cells where the header names {count} columns",
                    "有 {found} 个单元格，表头有 {count} 列"
                );
                self.reject(line, reason, bytes)?;
                continue;
            }
            let Ok(text) = simdutf8::basic::from_utf8(cells.bytes()) else {
                self.not_text(line, cells.bytes())?;
                continue;
            };
            let mut raw = Raw::default();
            for (cell, (name, slot)) in cells.iter(text).zip(&columns.slots) {
                let Some((role, _)) = slot else { continue };
                let must = matches!(role, Role::Instruction | Role::Output) && !elsewhere;
                if must || !cell.is_empty() {
                    // What was guessed has been said for the whole table.
                    raw.put(name, *role, 0, Field::Text(cell.to_owned()));
                }
            }
            let mut heard = std::mem::take(&mut self.heard);
            let example = raw.row(&self.reading(), &mut heard);
            self.heard = heard;
            match example {
                Ok(example) => self.row(line, example)?,
                // With its columns' names, as a line of JSON: so it can be corrected and read again without a header.
                Err(refusal) => {
                    let object: Map<String, Value> = columns
                        .slots
                        .iter()
                        .zip(cells.iter(text))
                        .map(|((name, _), cell)| (name.clone(), cell.into()))
                        .collect();
                    self.refuse(line, refusal, false, Value::Object(object).to_string().as_bytes())?;
                }
            }
        }
        for (name, slot) in &columns.slots {
            if slot.is_none() && self.options.map.slot(name) != Slot::Aside && rows > 0 {
                self.heard.left_aside_times(name, rows);
            }
        }
        Ok(())
    }

    fn header(&mut self, table: &mut Table<impl BufRead>) -> Result<Option<Columns>> {
        loop {
            let cells = match table.next(self.file)? {
                None => return Ok(None),
                Some(TableRow::Bad { reason, .. }) => return Err(self.no_columns(&reason)),
                Some(TableRow::Cells { cells, .. }) => cells,
            };
            let Ok(text) = std::str::from_utf8(cells.bytes()) else {
                return Err(self.no_columns(&tr!("the first line is not text", "首行不是文本")));
            };
            let header: Vec<String> = cells.iter(text).map(str::to_owned).collect();
            let names_delimiter = matches!(header.first(), Some(cell) if cell.eq_ignore_ascii_case("sep=") || delimited::named_delimiter(cell.as_bytes()).is_some());
            if names_delimiter && self.first {
                self.first = false;
                continue;
            }
            let map = &self.options.map;
            let columns = Columns::new(&header, map);
            let met = header.iter().fold(0, |met, name| met | map.asks_for(name));
            self.heard.columns(map, met, || header.clone());
            if columns.suffice() {
                return Ok(Some(columns));
            }
            if let Some(column) = map.asked(!met).next() {
                return Err(no_such_column(self.file, column, &header));
            }
            let names: Vec<String> = header.iter().take(40).map(|name| name.escape_debug().to_string()).collect();
            return Err(self.no_columns(&tr!("the first line has: {}", "首行有：{}", names.join(", "))));
        }
    }

    fn no_columns(&self, what: &str) -> Error {
        let file = self.file;
        Error::new(
            Kind::InvalidInput,
            tr!(
                "{file}: no columns for a question and its answer ({what})",
                "{file}：没有问题列与回答列（{what}）"
            ),
        )
        .hint(tr!(
            "the first line names the columns; say which they are, for example --map instruction=COLUMN,output=COLUMN (or text=COLUMN)",
            "首行应为列名；请指明各列，例如 --map instruction=列,output=列（或 text=列）"
        ))
    }
}
