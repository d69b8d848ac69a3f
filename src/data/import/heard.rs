//! What is heard of a file beside its records: columns that are left aside, guessed, or asked for.

use super::super::fields::Listener;
use super::super::roles::{FieldMap, Role};
use super::record::ReadReport;
use crate::error::{Error, Kind};
use crate::text::nearest;
use crate::tr;
use std::collections::BTreeMap;

/// Remarks on guessed columns; more would only repeat themselves.
const MAPPINGS: usize = 8;

#[derive(Default)]
pub(super) struct Heard {
    left_aside: BTreeMap<String, u64>,
    mappings: Vec<String>,
    /// Which of the columns that the user named were met, a bit each.
    met: u64,
    /// The names that the header or the first record has, where the user named any.
    columns: Vec<String>,
}

impl Heard {
    /// Records of the user's own columns: `met` are those that a record has. `names` gives all its names and is asked once.
    pub fn columns(&mut self, map: &FieldMap, met: u64, names: impl FnOnce() -> Vec<String>) {
        self.met |= met;
        if self.columns.is_empty() && map.asks() {
            self.columns = names();
        }
    }

    /// All that there is to say of the file.
    pub fn report(self, map: &FieldMap) -> ReadReport {
        let Heard { left_aside, mut mappings, met, columns } = self;
        // Columns with the fields' own names need no word.
        mappings.retain(|mapping| !mapping.trim().is_empty());
        for mapping in &mut mappings {
            *mapping = tr!(
                "columns taken by their names: {mapping} (--map FIELD=COLUMN corrects that)",
                "按列名认定：{mapping}（可用 --map 字段=列 更正）"
            );
        }
        let unmet = map.asked(!met).map(str::to_owned).collect();
        ReadReport { left_aside, remarks: mappings, unmet, columns }
    }

    pub fn left_aside_times(&mut self, name: &str, times: u64) {
        match self.left_aside.get_mut(name) {
            Some(count) => *count += times,
            None => _ = self.left_aside.insert(name.to_owned(), times),
        }
    }
}

impl Listener for Heard {
    fn left_aside(&mut self, name: &str) {
        self.left_aside_times(name, 1);
    }

    fn guessed(&mut self, columns: &[(Role, String)]) {
        if self.mappings.len() < MAPPINGS {
            let mapping: Vec<String> =
                columns.iter().map(|(role, name)| format!("{}={}", role.name(), name.escape_debug())).collect();
            let mapping = mapping.join(",");
            if !self.mappings.contains(&mapping) {
                self.mappings.push(mapping);
            }
        }
    }
}

/// Names that an error lists.
const LISTED: usize = 40;

/// The error of a column that `--map` names and no record has: `columns` are those that are there.
pub fn no_such_column(file: &str, column: &str, columns: &[String]) -> Error {
    let (file, asked) = (file.escape_debug(), column.escape_debug());
    let error = Error::new(
        Kind::InvalidInput,
        tr!("{file}: --map names `{asked}`, and there is no such column", "{file}：--map 指定的列 `{asked}` 不存在"),
    );
    if columns.is_empty() {
        return error.hint(tr!("this file has no columns: leave out --map", "该文件没有列：请去掉 --map"));
    }
    let names: Vec<String> = columns.iter().take(LISTED).map(|name| name.escape_debug().to_string()).collect();
    let more = if columns.len() > LISTED { ", …" } else { "" };
    let names = names.join(", ");
    error.hint(match nearest(column, columns.iter().map(String::as_str)) {
        Some(name) => {
            let name = name.escape_debug();
            tr!("did you mean `{name}`? There are: {names}{more}", "是否为 `{name}`？现有列：{names}{more}")
        }
        None => tr!("there are: {names}{more}", "现有列：{names}{more}"),
    })
}
