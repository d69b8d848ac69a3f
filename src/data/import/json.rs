//! Records of JSON and of Parquet: rows, conversations, and whole contexts of question sets.

use super::super::example::Split;
use super::super::fields::{self, Raw, RawSeed};
use super::super::records::{Piece, split_objects};
use super::super::{convfinqa, json_fault, tatqa};
use super::options::Format;
use super::take::Records;
use crate::error::Result;
use crate::tr;
use serde::de::{DeserializeSeed, IgnoredAny};
use serde_json::Value;
use std::collections::BTreeMap;

impl Records<'_> {
    /// What a file of JSON holds next.
    pub fn piece(&mut self, piece: Piece<'_>) -> Result<()> {
        match piece {
            Piece::Record { line, bytes } => self.json(line, bytes),
            Piece::Broken { line, reason } => self.reject(line, reason, b""),
            Piece::List(key) => {
                self.split = Split::parse(key).unwrap_or(self.options.split);
                Ok(())
            }
        }
    }

    fn json(&mut self, line: u64, bytes: &[u8]) -> Result<()> {
        let starts = std::mem::take(&mut self.first);
        let text = match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => return self.not_text(line, bytes),
        };
        let raw = match fields::parse_json(text, &self.options.map) {
            Ok(raw) => raw,
            Err(refusal) => {
                // `{…}{…}`: each object on a line is a record of its own, so that all are counted.
                let objects = split_objects(bytes);
                if objects.len() < 2 {
                    return self.refuse(line, refusal, starts, bytes);
                }
                self.first = starts;
                return objects.into_iter().try_for_each(|object| self.json(line, object));
            }
        };
        self.heard.columns(&self.options.map, raw.asked, || {
            let keys = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(text).unwrap_or_default();
            keys.into_keys().collect()
        });
        let contexts = matches!(self.options.format, Format::Auto | Format::TatQa);
        if contexts && !raw.unknown.is_empty() && tatqa::is_context(&raw.unknown) {
            return match serde_json::from_str::<Value>(text) {
                Ok(context) => self.context(line, &context, bytes),
                Err(e) => self.reject(line, json_fault::in_words(&e), bytes),
            };
        }
        let talks = matches!(self.options.format, Format::Auto | Format::ConvFinQa);
        if talks && !raw.unknown.is_empty() && convfinqa::is_conversation(&raw.unknown) {
            let row = serde_json::from_str::<Value>(text).map_err(|e| json_fault::in_words(&e));
            return match row.and_then(|record| convfinqa::row(&record)) {
                Ok(example) => self.unmarked(line, example),
                Err(reason) => self.reject(line, reason, bytes),
            };
        }
        if self.options.format == Format::ConvFinQa {
            let reason = tr!(
                "no conversation of ConvFinQA (doc and dialogue, or pre_text, table and annotation)",
                "不是 ConvFinQA 的对话（doc 与 dialogue，或 pre_text、table 与 annotation）"
            );
            return self.reject(line, reason, bytes);
        }
        if self.options.format == Format::TatQa {
            let reason = tr!(
                "no context of TAT-QA (table, paragraphs, questions)",
                "不是 TAT-QA 的上下文（table、paragraphs、questions）"
            );
            return self.reject(line, reason, bytes);
        }
        self.raw(line, raw, starts, bytes)
    }

    fn raw(&mut self, line: u64, raw: Raw, starts: bool, bytes: &[u8]) -> Result<()> {
        let mut heard = std::mem::take(&mut self.heard);
        let row = raw.row(&self.reading(), &mut heard);
        self.heard = heard;
        match row {
            Ok(example) => self.row(line, example),
            Err(refusal) => self.refuse(line, refusal, starts, bytes),
        }
    }

    fn context(&mut self, line: u64, context: &Value, bytes: &[u8]) -> Result<()> {
        match tatqa::rows(context) {
            Err(reason) => self.reject(line, reason, bytes),
            Ok(rows) => rows.into_iter().try_for_each(|row| match row {
                Ok(example) => self.unmarked(line, example),
                Err(reason) => self.reject(line, reason, bytes),
            }),
        }
    }

    /// A row of a Parquet file.
    pub fn parquet_row(&mut self, number: u64, row: Result<Value, String>) -> Result<()> {
        let starts = std::mem::take(&mut self.first);
        let row = match row {
            Ok(row) => row,
            Err(reason) => return self.reject(number, reason, b""),
        };
        let parsed = RawSeed(&self.options.map).deserialize(&row).map_err(|e| json_fault::in_words(&e));
        let mut heard = std::mem::take(&mut self.heard);
        if let Ok(raw) = &parsed {
            heard.columns(&self.options.map, raw.asked, || {
                row.as_object().into_iter().flat_map(|row| row.keys().cloned()).collect()
            });
        }
        let example = parsed.map(|raw| raw.row(&self.reading(), &mut heard));
        self.heard = heard;
        match example {
            Ok(Ok(example)) => self.row(number, example),
            // The row as a line of JSON: that can be corrected and read again.
            Ok(Err(refusal)) => self.refuse(number, refusal, starts, row.to_string().as_bytes()),
            Err(reason) => self.reject(number, reason, row.to_string().as_bytes()),
        }
    }
}
