//! From a dataset's rows to the rows that a training uses: rendered, within the longest sequence, train and held out.

use super::text_rows::{Filling, prepare_text};
use super::train::{HeldOut, Objective, TrainRequest};
use super::{LoadedModel, Workbench};
use crate::batch::{Fitted, Unfit, fit, supervised_tokens};
use crate::data::Split;
use crate::error::{Error, Kind, Result};
use crate::prompt::{Rendered, Renderer, Template};
use crate::store::{RowQuery, Store, StoredRow};
use crate::tr;
use crate::train::TrainData;
use serde::Serialize;
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

/// A row that is not trained on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct DroppedRow {
    pub dataset: String,
    /// As the dataset numbers it.
    pub row: u64,
    pub tokens: usize,
    pub why: &'static str,
}

/// What `--overlong` did to rows that it did not leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fitting {
    /// Rows whose prompt was cut.
    pub cut_rows: usize,
    /// Tokens that were cut from them.
    pub cut_tokens: usize,
    /// Rows that were split.
    pub split_rows: usize,
    /// Pieces that they became.
    pub pieces: usize,
    /// Pieces that were left out, because they hold no supervised token.
    pub empty_pieces: usize,
}

/// Everything that a training reads of its data.
pub(super) struct Prepared {
    pub data: TrainData,
    /// Dataset rows behind `data.train` and `data.val`; a split row gives several of these.
    pub train_rows: usize,
    pub val_rows: usize,
    /// The dataset's name, without the version that was asked for.
    pub dataset: String,
    /// The version whose rows were read.
    pub dataset_version: String,
    pub template_hash: String,
    pub dropped: Vec<DroppedRow>,
    pub fitting: Fitting,
    /// Of plain texts: how they lie in sequences.
    pub filling: Option<Filling>,
}

/// Renders the rows of `request`.
///
/// # Errors
/// `NotFound` for its names, `InvalidInput` for a row that cannot be trained on (named with its dataset and number) or
/// a share that leaves nothing, `Usage` for patterns that name no module of the model.
pub(super) fn prepare(bench: &Workbench, request: &TrainRequest, model: &LoadedModel) -> Result<Prepared> {
    if request.objective == Objective::Text {
        return prepare_text(bench, request, model);
    }
    let config = &request.config;
    config.lora.check_patterns(model.decoder.config().num_layers)?;
    let record = bench.store.dataset(&request.dataset)?;
    // From here on this version, whatever is done to the dataset meanwhile.
    let exact = record.exact_name();
    let template: Template = request.template.parse()?;
    let renderer = Renderer::new(template, &*model.tokenizer)?.loss_on(config.loss_on);
    let mut reader = Reader { request, renderer: &renderer, dropped: Vec::new(), fitting: Fitting::default() };
    let mut rows = |dataset: &str, split: Option<Split>| reader.fitted(&bench.store, dataset, split);
    let mut train = rows(&exact, Some(Split::Train))?;
    let mut val = match &request.held_out {
        HeldOut::Own => rows(&exact, Some(Split::Val))?,
        HeldOut::Dataset(name) => rows(name, None)?,
        HeldOut::Share(share) => hold_out(&mut train, *share, config.seed)?,
    };
    if request.held_out_limit > 0 {
        val = spread(val, request.held_out_limit);
    }
    let Reader { mut dropped, fitting, .. } = reader;
    dropped.sort_unstable();
    let (train_rows, val_rows) = (train.len(), val.len());
    let flat = |rows: Vec<Vec<Rendered>>| rows.into_iter().flatten().collect();
    let data = TrainData { train: flat(train), val: flat(val) };
    let (dataset, dataset_version) = (record.name, record.version);
    Ok(Prepared {
        data,
        train_rows,
        val_rows,
        dataset,
        dataset_version,
        template_hash: renderer.hash(),
        dropped,
        fitting,
        filling: None,
    })
}

/// A dataset's name without a version's hash, for messages.
fn plain_name(words: &str) -> &str {
    words.rsplit_once('@').map_or(words, |(name, _)| name)
}

struct Reader<'a> {
    request: &'a TrainRequest,
    renderer: &'a Renderer<'a>,
    dropped: Vec<DroppedRow>,
    fitting: Fitting,
}

impl Reader<'_> {
    /// Each row of `words` that is kept, as the one or more sequences that it becomes. Its texts are not kept: a training
    /// needs tokens and mask, five bytes a token, for as long as it runs.
    fn fitted(&mut self, store: &Store, words: &str, split: Option<Split>) -> Result<Vec<Vec<Rendered>>> {
        let (dataset, query) = (plain_name(words), RowQuery { split, ..RowQuery::default() });
        let (max_len, rule) = (self.request.config.shape.max_len, self.request.config.overlong);
        let mut kept = Vec::new();
        let mut keep = |mut pieces: Vec<Rendered>| {
            pieces.iter_mut().for_each(without_text);
            kept.push(pieces);
        };
        store.each_row(words, &query, &mut |StoredRow { row, example, .. }| {
            let rendered = self.renderer.example(&example).map_err(|mut e| {
                e.message = tr!("row {row} of {dataset}: {}", "{dataset} 第 {row} 行：{}", e.message);
                e
            })?;
            if supervised_tokens(&rendered) == 0 {
                return Err(Error::new(
                    Kind::InvalidInput,
                    tr!("row {row} of {dataset} has no supervised token", "{dataset} 第 {row} 行没有监督词元"),
                )
                .hint(tr!(
                    "give it an answer or remove it; `data preview {dataset} --row {row}` shows what is learnt",
                    "请补上回答或删除该行；`data preview {dataset} --row {row}` 可查看所学内容"
                )));
            }
            let (tokens, leading) = (rendered.ids.len(), self.renderer.leading_tokens(&rendered)?);
            match fit(rendered, max_len, rule, leading) {
                Fitted::Whole(rendered) => keep(vec![rendered]),
                Fitted::Cut(rendered, gone) => {
                    self.fitting.cut_rows += 1;
                    self.fitting.cut_tokens += gone;
                    keep(vec![rendered]);
                }
                Fitted::Pieces(pieces, empty) => {
                    self.fitting.split_rows += 1;
                    self.fitting.pieces += pieces.len();
                    self.fitting.empty_pieces += empty;
                    keep(pieces);
                }
                Fitted::LeftOut(why) => {
                    let why = match why {
                        Unfit::TooLong => "too_long",
                        Unfit::AnswerTooLong => "answer_too_long",
                    };
                    self.dropped.push(DroppedRow { dataset: dataset.to_owned(), row, tokens, why });
                }
            }
            Ok(())
        })?;
        Ok(kept)
    }
}

/// Lets go of what only people read, and of room for tokens that will not come.
fn without_text(row: &mut Rendered) {
    row.text = String::new();
    row.ids.shrink_to_fit();
    row.mask.shrink_to_fit();
}

/// Takes `share` of the rows out of `train`. Whole rows: the pieces of a split row stay on one side.
pub(super) fn hold_out<T>(train: &mut Vec<T>, share: f64, seed: u64) -> Result<Vec<T>> {
    use rand::seq::SliceRandom;
    use rand_chacha::rand_core::SeedableRng;
    // Without a row the trainer says so, and why.
    if train.is_empty() {
        return Ok(Vec::new());
    }
    let mut order: Vec<usize> = (0..train.len()).collect();
    order.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
    let count = (train.len() as f64 * share).round() as usize;
    if !(0.0..1.0).contains(&share) || count >= train.len() {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!(
                "--val {share} leaves nothing to train on ({} rows)",
                "--val {share} 之后没有可训练的数据（共 {} 行）",
                train.len()
            ),
        )
        .hint(tr!("use a share such as 0.1", "请用 0.1 这样的比例")));
    }
    let held: std::collections::HashSet<usize> = order[..count].iter().copied().collect();
    let (mut kept, mut out) = (Vec::new(), Vec::new());
    for (i, row) in std::mem::take(train).into_iter().enumerate() {
        if held.contains(&i) { out.push(row) } else { kept.push(row) }
    }
    *train = kept;
    Ok(out)
}

impl Prepared {
    /// Writes one JSON line for every dropped row to `path`; without such a row there is no file.
    ///
    /// # Errors
    /// I/O.
    pub fn write_dropped(&self, path: &Path) -> Result<()> {
        if self.dropped.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for row in &self.dropped {
            serde_json::to_writer(&mut lines, row).map_err(|e| Error::internal(e.to_string()))?;
            lines.push(b'\n');
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, &e))?;
        }
        let mut file = std::fs::File::create(path).map_err(|e| Error::io(path, &e))?;
        file.write_all(&lines).map_err(|e| Error::io(path, &e))
    }

    /// What was done to over-long rows, a line each, for people. `list` is where the dropped ones are listed.
    pub fn notes(&self, max_len: usize, list: &Path) -> Vec<String> {
        let mut notes = Vec::new();
        // Only what is held out is remembered, which is the smaller part.
        let held: HashSet<&[u32]> = self.data.val.iter().map(|row| &row.ids[..]).collect();
        let trained: HashSet<&[u32]> =
            self.data.train.iter().map(|row| &row.ids[..]).filter(|ids| held.contains(ids)).collect();
        let both = self.data.val.iter().filter(|row| trained.contains(&row.ids[..])).count();
        if both > 0 {
            let all = self.data.val.len();
            notes.push(tr!(
                "{both} of {all} held-out rows are trained on too: their loss says nothing of rows that the model has not seen",
                "{all} 行留出数据中有 {both} 行也用于训练：其损失不能说明模型在未见数据上的表现"
            ));
        }
        if let Some(Filling { sequences, text_tokens }) = self.filling {
            let texts = self.train_rows;
            notes.push(tr!(
                "{texts} texts of {text_tokens} tokens fill {sequences} sequences of {max_len}",
                "{texts} 篇文本共 {text_tokens} 个词元，填满 {sequences} 个长 {max_len} 的序列"
            ));
        }
        if !self.dropped.is_empty() {
            let (count, list) = (self.dropped.len(), list.display());
            let first: Vec<String> = self.dropped.iter().take(10).map(|d| d.row.to_string()).collect();
            let more = if count > first.len() { " …" } else { "" };
            let first = first.join(", ");
            notes.push(tr!(
                "{count} rows are longer than {max_len} tokens and are left out (rows {first}{more}; all of them in {list}); --max-len raises the limit, --overlong cut or split keeps such rows",
                "{count} 行超过 {max_len} 个词元，未参与训练（行号 {first}{more}；全部列于 {list}）；可用 --max-len 调高上限，或用 --overlong cut、split 保留这些行"
            ));
        }
        let Fitting { cut_rows, cut_tokens, split_rows, pieces, empty_pieces } = self.fitting;
        if cut_rows > 0 {
            notes.push(tr!(
                "{cut_rows} rows are longer than {max_len} tokens: {cut_tokens} tokens were cut from the left of their prompts",
                "{cut_rows} 行超过 {max_len} 个词元：其提示左侧共截去 {cut_tokens} 个词元"
            ));
        }
        if split_rows > 0 {
            notes.push(tr!(
                "{split_rows} rows are longer than {max_len} tokens and became {pieces} pieces ({empty_pieces} more hold nothing to learn and are left out)",
                "{split_rows} 行超过 {max_len} 个词元，拆成 {pieces} 段（另有 {empty_pieces} 段没有可学内容，未使用）"
            ));
        }
        notes
    }
}

/// At most `limit` of `rows`, evenly spread, so that every part of the set is represented.
pub(super) fn spread<T>(rows: Vec<T>, limit: usize) -> Vec<T> {
    let n = rows.len();
    let taken = limit.min(n);
    // Row i is taken when the count of taken rows, (i+1)·taken/n, grows at it.
    rows.into_iter().enumerate().filter(|(i, _)| (i + 1) * taken / n > i * taken / n).map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_keeps_the_limit_and_reaches_both_ends() {
        let some = spread((0..97).collect(), 10);
        assert_eq!(some.len(), 10);
        assert!(some[0] < 10 && some[9] == 96);
        assert_eq!(spread(vec![1, 2], 10), [1, 2]);
        assert!(spread(Vec::<u8>::new(), 3).is_empty());
    }

    #[test]
    fn a_share_is_held_out_by_whole_rows_the_same_each_time() {
        // Every row is a list of its pieces.
        let rows: Vec<Vec<u32>> = (0..50).map(|row| vec![row; 1 + row as usize % 3]).collect();
        let (mut train, mut again) = (rows.clone(), rows.clone());
        let held = hold_out(&mut train, 0.2, 7).unwrap();
        assert_eq!((train.len(), held.len()), (40, 10));
        assert!(held.iter().all(|row| !train.contains(row)));
        let mut all = [train.clone(), held.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, rows);
        assert_eq!(hold_out(&mut again, 0.2, 7).unwrap(), held);
        assert_eq!(again, train);
        for share in [1.0, -0.1, f64::NAN, 0.999] {
            assert!(hold_out(&mut rows.clone(), share, 7).is_err(), "{share}");
        }
    }
}
