//! From a dataset's plain texts to the sequences of a continued pre-training.

use super::train::{HeldOut, TrainRequest};
use super::train_rows::{Fitting, Prepared, hold_out, spread};
use super::{LoadedModel, Workbench};
use crate::batch::fill;
use crate::data::Split;
use crate::error::{Error, Kind, Result};
use crate::store::{RowQuery, StoredRow};
use crate::tr;
use crate::train::TrainData;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

/// What the sequences of a pre-training hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Filling {
    /// Sequences trained on.
    pub sequences: usize,
    /// Their tokens, ends of documents included.
    pub text_tokens: usize,
}

/// The names in `--data`: one dataset, or several with commas between them.
pub(super) fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// Every dataset of a list with its version, as a run records them in two columns.
pub(super) fn pinned(list: &str, versions: &str) -> String {
    let pairs = names(list).zip(names(versions)).map(|(name, version)| format!("{name}@{version}"));
    pairs.collect::<Vec<_>>().join(",")
}

/// Reads the texts of `request` and fills sequences with them.
///
/// # Errors
/// As for instruction rows; `InvalidInput` for a row that has a question.
pub(super) fn prepare_text(bench: &Workbench, request: &TrainRequest, model: &LoadedModel) -> Result<Prepared> {
    let config = &request.config;
    let max_len = config.shape.max_len;
    config.lora.check_patterns(model.decoder.config().num_layers)?;
    if max_len < 3 {
        return Err(Error::new(Kind::Usage, tr!("--max-len must be ≥ 3", "--max-len 必须满足：≥ 3"))
            .hint(tr!("see linly-bench pretrain --help", "见 linly-bench pretrain --help")));
    }
    let records = request.datasets().into_iter().map(|name| bench.store.dataset(name)).collect::<Result<Vec<_>>>()?;
    let read = |name: &str, shown: &str, split: Option<Split>| -> Result<Vec<Vec<u32>>> {
        let mut documents = Vec::new();
        bench.store.each_row(name, &RowQuery { split, ..RowQuery::default() }, &mut |row| {
            documents.push(document(&row, shown, model)?);
            Ok(())
        })?;
        Ok(documents)
    };
    let mut train = Vec::new();
    let mut val = Vec::new();
    for record in &records {
        let exact = record.exact_name();
        train.extend(read(&exact, &record.name, Some(Split::Train))?);
        if request.held_out == HeldOut::Own {
            val.extend(read(&exact, &record.name, Some(Split::Val))?);
        }
    }
    match &request.held_out {
        HeldOut::Own => {}
        HeldOut::Dataset(list) => {
            for name in names(list) {
                val.extend(read(name, name, None)?);
            }
        }
        HeldOut::Share(share) => val = hold_out(&mut train, *share, config.seed)?,
    }
    if request.held_out_limit > 0 {
        val = spread(val, request.held_out_limit);
    }
    if !config.shape.in_order {
        // Otherwise the same texts would share a sequence in every run, whatever the seed.
        train.shuffle(&mut ChaCha8Rng::seed_from_u64(config.seed));
    }
    let (train_rows, val_rows) = (train.len(), val.len());
    let data = TrainData { train: fill(train, max_len), val: fill(val, max_len) };
    if data.train.iter().all(|sequence| sequence.ids.len() < 2) {
        return Err(Error::new(Kind::InvalidInput, tr!("there is no text to learn", "没有可学习的文本")).hint(tr!(
            "import some: linly-bench data import FILE.txt --name NAME --format text",
            "请先导入：linly-bench data import FILE.txt --name NAME --format text"
        )));
    }
    let text_tokens = data.train.iter().map(|sequence| sequence.ids.len()).sum();
    let joined =
        |part: fn(&crate::store::DatasetRecord) -> &str| records.iter().map(part).collect::<Vec<_>>().join(",");
    Ok(Prepared {
        filling: Some(Filling { sequences: data.train.len(), text_tokens }),
        data,
        train_rows,
        val_rows,
        dataset: joined(|record| &record.name),
        dataset_version: joined(|record| &record.version),
        template_hash: String::new(),
        dropped: Vec::new(),
        fitting: Fitting::default(),
    })
}

/// The tokens of a text: what the tokenizer puts before every text (BOS, for some), the text, its end.
fn document(row: &StoredRow, dataset: &str, model: &LoadedModel) -> Result<Vec<u32>> {
    if !row.example.is_text() {
        let number = row.row;
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("row {number} of {dataset} is no plain text", "{dataset} 第 {number} 行不是纯文本"),
        )
        .hint(tr!(
            "rows with a question are for `linly-bench train`; texts are imported with `data import --format text`, or from rows with a `text` field",
            "带提问的数据请用 `linly-bench train`；纯文本可用 `data import --format text`，或从带 `text` 字段的数据导入"
        )));
    }
    let mut ids = model.tokenizer.encode(&row.example.output, true)?;
    if ids.last() != Some(&model.tokenizer.eos()) {
        ids.push(model.tokenizer.eos());
    }
    Ok(ids)
}
