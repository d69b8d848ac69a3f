//! What becomes of a row that is longer than the longest sequence. Whatever the rule, no answer loses a token unnoticed.

use super::supervised_tokens;
use crate::error::{Error, Kind, Result};
use crate::prompt::Rendered;
use crate::tr;
use serde::{Deserialize, Serialize};

/// The rule for over-long rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlong {
    /// The row is left out and listed.
    #[default]
    Drop,
    /// Tokens go from the left of the prompt, that is, of what stands before the first supervised token; the token
    /// that begins the sequence (BOS) stays. Of the answers and their ends nothing goes: a row whose answers do not fit
    /// is left out and listed.
    Cut,
    /// The row becomes consecutive pieces. Each begins with the last token of the piece before, which is only read
    /// there, so that every token is predicted exactly once, as in the whole row; a piece without a supervised token
    /// is left out.
    Split,
}

impl Overlong {
    /// Reads `--overlong`.
    ///
    /// # Errors
    /// `Usage` that lists the names.
    pub fn parse(name: &str) -> Result<Overlong> {
        [Overlong::Drop, Overlong::Cut, Overlong::Split].into_iter().find(|rule| rule.name() == name).ok_or_else(|| {
            let name = name.escape_default();
            Error::new(Kind::Usage, tr!("unknown --overlong `{name}`", "未知的 --overlong `{name}`"))
                .hint(tr!("use drop, cut or split", "可用 drop、cut 或 split"))
        })
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Overlong::Drop => "drop",
            Overlong::Cut => "cut",
            Overlong::Split => "split",
        }
    }
}

/// Why a row cannot be trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unfit {
    /// It is longer than the longest sequence.
    TooLong,
    /// Its supervised part alone, from the first to the last of its tokens, is longer than the longest sequence.
    AnswerTooLong,
}

/// A row after the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fitted {
    /// It fits as it is.
    Whole(Rendered),
    /// So many tokens of its prompt are gone.
    Cut(Rendered, usize),
    /// Its pieces, and how many more taught nothing.
    Pieces(Vec<Rendered>, usize),
    /// It is left out.
    LeftOut(Unfit),
}

/// Applies `rule` to `row`, whose first `leading` tokens begin every sequence of the model (BOS).
pub fn fit(row: Rendered, max_len: usize, rule: Overlong, leading: usize) -> Fitted {
    if row.ids.len() <= max_len {
        return Fitted::Whole(row);
    }
    match rule {
        Overlong::Drop => Fitted::LeftOut(Unfit::TooLong),
        Overlong::Cut => cut(row, max_len, leading),
        Overlong::Split => split(&row, max_len),
    }
}

fn cut(mut row: Rendered, max_len: usize, leading: usize) -> Fitted {
    let gone = row.ids.len() - max_len;
    let prompt = row.mask.iter().position(|supervised| *supervised).unwrap_or(row.mask.len());
    // Something has to stand before the first supervised token, or nothing would predict it.
    let keep = leading.min(prompt);
    if keep + gone > prompt || keep + gone == prompt && keep == 0 {
        return Fitted::LeftOut(Unfit::AnswerTooLong);
    }
    row.ids.drain(keep..keep + gone);
    row.mask.drain(keep..keep + gone);
    Fitted::Cut(row, gone)
}

fn split(row: &Rendered, max_len: usize) -> Fitted {
    let (mut pieces, mut empty) = (Vec::new(), 0);
    // A piece of one token would predict nothing.
    let length = max_len.max(2);
    let mut start = 0;
    while start + 1 < row.ids.len() {
        let end = (start + length).min(row.ids.len());
        let mut piece =
            Rendered { ids: row.ids[start..end].to_vec(), mask: row.mask[start..end].to_vec(), text: String::new() };
        piece.mask[0] = false;
        if supervised_tokens(&piece) == 0 {
            empty += 1
        } else {
            pieces.push(piece)
        }
        start = end - 1;
    }
    Fitted::Pieces(pieces, empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    const EOS: u32 = 2;
    const BOS: u32 = 1;

    /// A conversation: BOS, then prompts (unsupervised) and answers with EOS (supervised). Every other token is unique.
    fn conversation(rng: &mut ChaCha8Rng) -> Rendered {
        let (mut row, mut next) = (Rendered { ids: vec![BOS], mask: vec![false], text: String::new() }, 100);
        for _ in 0..rng.random_range(1..4) {
            for (most, supervised) in [(40, false), (30, true)] {
                for _ in 0..rng.random_range(1..most) {
                    next += 1;
                    row.ids.push(next);
                    row.mask.push(supervised);
                }
            }
            row.ids.push(EOS);
            row.mask.push(true);
        }
        row
    }

    /// What a row teaches: each supervised token with the token before it.
    fn lessons(row: &Rendered) -> Vec<(u32, u32)> {
        (1..row.ids.len()).filter(|i| row.mask[*i]).map(|i| (row.ids[i - 1], row.ids[i])).collect()
    }

    #[test]
    fn pieces_teach_exactly_what_the_row_teaches() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut pieces_seen = 0;
        for _ in 0..500 {
            let (row, max_len) = (conversation(&mut rng), rng.random_range(2..50));
            match fit(row.clone(), max_len, Overlong::Split, 1) {
                Fitted::Whole(same) => assert!(same == row && row.ids.len() <= max_len),
                Fitted::Pieces(pieces, empty) => {
                    assert!(row.ids.len() > max_len);
                    assert!(pieces.iter().all(|p| p.ids.len() <= max_len && !lessons(p).is_empty()));
                    assert_eq!(pieces.iter().flat_map(lessons).collect::<Vec<_>>(), lessons(&row));
                    assert_eq!(pieces.len() + empty, (row.ids.len() - 1).div_ceil(max_len - 1));
                    pieces_seen += pieces.len();
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(pieces_seen > 500);
    }

    #[test]
    fn a_cut_row_loses_prompt_tokens_only() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (mut cuts, mut left_out) = (0, 0);
        for _ in 0..500 {
            let (row, max_len) = (conversation(&mut rng), rng.random_range(2..100));
            let prompt = row.mask.iter().position(|m| *m).unwrap();
            match fit(row.clone(), max_len, Overlong::Cut, 1) {
                Fitted::Whole(same) => assert!(same == row && row.ids.len() <= max_len),
                Fitted::Cut(cut, gone) => {
                    assert_eq!(cut.ids.len(), max_len);
                    assert_eq!(gone, row.ids.len() - max_len);
                    assert_eq!(cut.ids[0], BOS);
                    assert_eq!((cut.ids.last(), cut.mask.last()), (Some(&EOS), Some(&true)));
                    let supervised = |r: &Rendered| -> Vec<u32> {
                        r.ids.iter().zip(&r.mask).filter(|(_, m)| **m).map(|(id, _)| *id).collect()
                    };
                    assert_eq!(supervised(&cut), supervised(&row));
                    // What is left is a tail of the row behind BOS.
                    assert!(row.ids.ends_with(&cut.ids[1..]));
                    cuts += 1;
                }
                Fitted::LeftOut(Unfit::AnswerTooLong) => {
                    assert!(1 + row.ids.len() - prompt > max_len);
                    left_out += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(cuts > 20 && left_out > 20, "{cuts} {left_out}");
    }

    #[test]
    fn without_bos_a_prompt_token_stays_to_predict_the_answer() {
        let row = Rendered { ids: vec![7, 8, 9, EOS], mask: vec![false, false, true, true], text: String::new() };
        let Fitted::Cut(cut, 1) = fit(row.clone(), 3, Overlong::Cut, 0) else { panic!("not cut") };
        assert_eq!(cut.ids, [8, 9, EOS]);
        assert_eq!(fit(row.clone(), 2, Overlong::Cut, 0), Fitted::LeftOut(Unfit::AnswerTooLong));
        assert_eq!(fit(row, 3, Overlong::Drop, 0), Fitted::LeftOut(Unfit::TooLong));
    }
}
