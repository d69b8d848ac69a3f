//! What the made-up source says of rows, versions and masks.

use super::Fake;
use linly_bench::error::{Error, Kind, Result};
use linly_bench::tui::{
    DataAnswer, DataQuery, DiffView, MaskToken, MaskView, RowChangeView, RowFilter, RowPage, RowView, VersionView,
};

pub fn answer(fake: &mut Fake, query: &DataQuery) -> Result<DataAnswer> {
    Ok(match query {
        DataQuery::Rows { filter, offset, limit, .. } => {
            let hits: Vec<RowView> = fake.rows.iter().filter(|r| passes(r, filter)).cloned().collect();
            let total = hits.len() as u64;
            let rows = hits.into_iter().skip(*offset as usize).take(*limit as usize).collect();
            DataAnswer::Rows(RowPage { total, exact: true, rows })
        }
        DataQuery::Delete { name } => {
            fake.deleted.push(name.clone());
            let (gone, kept) = fake.datasets.drain(..).partition(|d| d.name == *name);
            (fake.bin, fake.datasets) = (gone, kept);
            DataAnswer::Done
        }
        DataQuery::Mark { row, mark, .. } => {
            fake.rows.iter_mut().filter(|r| r.row == *row).for_each(|r| r.mark = *mark);
            DataAnswer::Done
        }
        DataQuery::Save { row, text, .. } => {
            if text == "nonsense" {
                return Err(Error::new(Kind::InvalidInput, "this is no row"));
            }
            fake.rows.iter_mut().filter(|r| r.row == *row).for_each(|r| r.output = text.clone());
            DataAnswer::Changed { before: 1, after: 2 }
        }
        DataQuery::Add { text, .. } => {
            if text == "nonsense" {
                return Err(Error::new(Kind::InvalidInput, "this is no row"));
            }
            let row = fake.rows.len() as u64;
            fake.rows.push(RowView { row, output: text.clone(), ..RowView::default() });
            DataAnswer::Changed { before: 3, after: 4 }
        }
        DataQuery::Restore { version, .. } => {
            fake.restored.push(*version);
            DataAnswer::Changed { before: 2, after: 3 }
        }
        DataQuery::Undelete { .. } => {
            fake.datasets.append(&mut fake.bin);
            DataAnswer::Done
        }
        DataQuery::Mask { row, template, model, .. } => {
            if *template == "linly" {
                return Err(Error::new(Kind::InvalidInput, "the template linly has no system message")
                    .hint("choose another template"));
            }
            let row = fake.rows.iter().find(|r| r.row == *row);
            let Some(row) = row else { return Err(Error::new(Kind::NotFound, "no such row")) };
            DataAnswer::Mask(mask(row, template, model))
        }
        DataQuery::Versions { .. } => DataAnswer::Versions(versions()),
        DataQuery::Diff { from, to, .. } => DataAnswer::Diff(difference(*from, *to)),
    })
}

fn passes(row: &RowView, filter: &RowFilter) -> bool {
    row.instruction.contains(&filter.search)
        && filter.split.is_none_or(|split| row.split == split)
        && filter.lang.is_none_or(|lang| row.lang == lang)
        && filter.marked.is_none_or(|mark| row.mark == Some(mark))
}

/// A character is a token here; the answer is what is learnt.
fn mask(row: &RowView, template: &str, model: &str) -> MaskView {
    let prompt = format!("<|{template}|>user\n{}\n{}", row.instruction, row.input);
    let mut tokens = Vec::new();
    for (text, supervised) in [(prompt, false), (format!("{}\u{1b}[31m\u{202e}<|end|>\n", row.output), true)] {
        for c in text.chars() {
            let id = u32::from(c);
            tokens.push(MaskToken { id, text: c.to_string(), supervised });
        }
    }
    let supervised = tokens.iter().filter(|t| t.supervised).count();
    MaskView { tokens, supervised, warnings: vec![format!("the template {template} is not the model's own: {model}")] }
}

fn versions() -> Vec<VersionView> {
    let version = |number, rows, message: &str, tags: &[&str], created: &str| VersionView {
        number,
        version: format!("{number}fc3a8e07b51d92c4f6"),
        rows,
        val: rows / 11,
        message: message.into(),
        tags: tags.iter().map(|t| (*t).to_owned()).collect(),
        created: created.into(),
    };
    vec![
        version(3, 13_198, "dedup: 2 near duplicates", &[], "2026-11-24T11:59:00.000Z"),
        version(
            2,
            13_200,
            "修改第 7 行：把「年化收益率」改成税后口径，并补上计算过程",
            &["paper"],
            "2026-11-24T11:58:00.000Z",
        ),
        version(
            1,
            13_200,
            "import finance-zh.jsonl\u{1b}]0;owned\u{7}\u{202e}",
            &["v1", "baseline"],
            "2026-11-20T08:00:00.000Z",
        ),
    ]
}

fn difference(from: u64, to: u64) -> DiffView {
    let field = |name: &str, words: &str| (name.to_owned(), words.to_owned());
    DiffView {
        from,
        to,
        added: 1,
        removed: 70,
        changed: 1,
        moved: 12,
        rows: vec![
            RowChangeView {
                sign: '~',
                row: 7,
                fields: vec![field("output", "年化收益率为 [-3.2%-]{+2.6%（税后）+}，不构成投资建议。\u{1b}[2J")],
            },
            RowChangeView {
                sign: '-',
                row: 9,
                fields: vec![field("instruction", "What is a bond?"), field("output", "A loan that can be sold.")],
            },
        ],
    }
}
