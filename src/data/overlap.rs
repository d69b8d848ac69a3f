//! Whether instruction rows hold test items: shared n-grams, and near-duplicates.
//!
//! A text becomes tokens: each ideograph is one, each run of other letters and digits is one, in lower case and with
//! full-width forms made narrow; punctuation and white space only separate. So 13 tokens are 13 words of English or 13
//! characters of Chinese, and layout does not hide a copy.
//!
//! A row holds an item when
//! - shared runs of [`NGRAM`] tokens cover at least a given share of its question (the usual 13-gram test, with the
//!   share of Llama 2's report instead of a single hit, because 13 Chinese characters can be a phrase), or
//! - the question is shorter than that and occurs as a whole, or
//! - the row's prompt is nearly the question, or the question with its choices: the Jaccard index of their runs of
//!   [`SHINGLE`] tokens reaches [`NEAR`].
//!
//! A question that says little by itself (it is short, or several items share it: 下列说法正确的是) counts only
//! together with its right choice, or where that is not known, half of its choices; a prompt that is exactly such a short
//! question, of 8 tokens or more, counts without.

use super::example::Example;
pub use super::shingles::SHINGLE;
use super::shingles::{common, mix, run_hash, shingle_set, tokens};
use std::collections::{HashMap, HashSet};

/// Tokens of a run that is hardly shared by chance.
pub const NGRAM: usize = 13;
/// Jaccard index from which two prompts are near-duplicates.
pub const NEAR: f64 = 0.7;
/// Share of a question's tokens that shared runs must cover, unless another is asked for.
pub const SHARE: f64 = 0.5;
/// A whole question of fewer tokens occurs everywhere: its right choice must be long enough to make up for it.
const SHORTEST: usize = 5;
/// Fewer tokens have too few shingles for the Jaccard index to mean anything.
const SHORTEST_NEAR: usize = 8;
/// A shingle of more items than this finds nothing: it is a set phrase.
const COMMON: usize = 400;

/// A test item, as far as overlap is concerned.
#[derive(Clone, Debug, Default)]
pub struct TestItem {
    /// The question.
    pub question: String,
    /// Its choices; empty for a question with a written answer.
    pub choices: Vec<String>,
    /// Which choice is right, where it is known.
    pub gold: Option<usize>,
}

/// Why a row counts as holding an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlapKind {
    /// Shared runs of tokens.
    Ngram,
    /// A prompt that is nearly the item.
    NearDuplicate,
}

/// An item that a row holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// Position of the item in the list that the index was made of.
    pub item: usize,
    /// Share of the question's tokens that shared runs cover.
    pub share: f64,
    /// Jaccard index of the prompts; 0 where it was not needed.
    pub jaccard: f64,
    /// The stronger reason.
    pub kind: OverlapKind,
}

struct Indexed {
    question: Vec<u64>,
    choices: Vec<Vec<u64>>,
    gold: Option<usize>,
    /// Other items have the same question with other choices.
    shared: bool,
}

/// Many items, ready to be looked for in many rows.
pub struct OverlapIndex {
    items: Vec<Indexed>,
    /// Run of tokens → (item, where in its question).
    runs: HashMap<u64, Vec<(u32, u32)>>,
    /// Length and hash of a short whole question → items.
    whole: HashMap<(usize, u64), Vec<u32>>,
    whole_lengths: Vec<usize>,
    /// Sorted shingles of a document: each item is two, its question (2i) and that with its choices (2i + 1).
    documents: Vec<Vec<u64>>,
    /// Shingle → documents.
    shingles: HashMap<u64, Vec<u32>>,
    share: f64,
}

impl OverlapIndex {
    /// An index of `items`; `share` of a question's tokens must be covered by shared runs (see [`SHARE`]).
    pub fn new(items: &[TestItem], share: f64) -> OverlapIndex {
        let indexed: Vec<Indexed> = items
            .iter()
            .map(|item| Indexed {
                question: tokens(&item.question),
                choices: item.choices.iter().map(|c| tokens(c)).collect(),
                gold: item.gold,
                shared: false,
            })
            .collect();
        let mut index = OverlapIndex {
            items: indexed,
            runs: HashMap::new(),
            whole: HashMap::new(),
            whole_lengths: Vec::new(),
            documents: Vec::new(),
            shingles: HashMap::new(),
            share,
        };
        let mut same_question: HashMap<u64, HashSet<u64>> = HashMap::new();
        for item in &index.items {
            let choices = item.choices.iter().fold(0, |h, c| mix(h, run_hash(c)));
            same_question.entry(run_hash(&item.question)).or_default().insert(choices);
        }
        for item in &mut index.items {
            item.shared = same_question.get(&run_hash(&item.question)).is_some_and(|variants| variants.len() > 1);
        }
        let mut lengths = HashSet::new();
        for (i, item) in index.items.iter().enumerate() {
            let number = i as u32;
            let question = &item.question;
            if question.len() >= NGRAM {
                for (at, run) in question.windows(NGRAM).enumerate() {
                    index.runs.entry(run_hash(run)).or_default().push((number, at as u32));
                }
            } else if question.len() > 1 {
                lengths.insert(question.len());
                index.whole.entry((question.len(), run_hash(question))).or_default().push(number);
            }
            let mut all = question.clone();
            item.choices.iter().for_each(|c| all.extend(c));
            for document in [question, &all] {
                let set = if document.len() >= SHORTEST_NEAR { shingle_set(document) } else { Vec::new() };
                let at = index.documents.len() as u32;
                set.iter().for_each(|s| index.shingles.entry(*s).or_default().push(at));
                index.documents.push(set);
            }
        }
        index.whole_lengths = lengths.into_iter().collect();
        index
    }

    /// The items that `row` holds, in their order.
    pub fn held_by(&self, row: &Example) -> Vec<Overlap> {
        let turns = row.history.iter().flat_map(|(q, a)| [q, a]);
        let mut text = Vec::new();
        for part in turns.chain([&row.system, &row.tools, &row.instruction, &row.input, &row.output]) {
            text.extend(tokens(part));
            // A border that no item has, so that no run goes across it.
            text.push(BORDER);
        }
        let mut found: HashMap<usize, Overlap> = HashMap::new();
        self.by_runs(&text, &mut found);
        let own = tokens(&format!("{}\n{}", row.instruction, row.input));
        for prompt in row.history.iter().map(|(q, _)| tokens(q)).chain([own]) {
            self.by_likeness(&prompt, &text, &mut found);
        }
        let mut found: Vec<Overlap> = found.into_values().collect();
        found.sort_by_key(|o| o.item);
        found
    }

    fn by_runs(&self, text: &[u64], found: &mut HashMap<usize, Overlap>) {
        let mut covered: HashMap<u32, Vec<bool>> = HashMap::new();
        for run in text.windows(NGRAM) {
            for (item, at) in self.runs.get(&run_hash(run)).into_iter().flatten() {
                let length = self.items.get(*item as usize).map_or(0, |i| i.question.len());
                let marks = covered.entry(*item).or_insert_with(|| vec![false; length]);
                marks.iter_mut().skip(*at as usize).take(NGRAM).for_each(|m| *m = true);
            }
        }
        for length in &self.whole_lengths {
            for run in text.windows(*length) {
                for item in self.whole.get(&(*length, run_hash(run))).into_iter().flatten() {
                    covered.insert(*item, vec![true; *length]);
                }
            }
        }
        for (item, marks) in covered {
            let share = marks.iter().filter(|m| **m).count() as f64 / marks.len().max(1) as f64;
            let item = item as usize;
            if share >= self.share && self.items.get(item).is_some_and(|i| i.is_told_by(text)) {
                found.insert(item, Overlap { item, share, jaccard: 0.0, kind: OverlapKind::Ngram });
            }
        }
    }

    fn by_likeness(&self, prompt: &[u64], text: &[u64], found: &mut HashMap<usize, Overlap>) {
        let own = shingle_set(prompt);
        let mut shared: HashMap<u32, usize> = HashMap::new();
        for shingle in &own {
            let documents = self.shingles.get(shingle).filter(|d| d.len() <= COMMON);
            documents.into_iter().flatten().for_each(|d| *shared.entry(*d).or_insert(0) += 1);
        }
        for (document, count) in shared {
            let Some(theirs) = self.documents.get(document as usize) else { continue };
            let (small, large) = (own.len().min(theirs.len()), own.len().max(theirs.len()));
            // Without the common shingles the count is too low, so this only drops what cannot be.
            if (small as f64) < NEAR * large as f64 || count * 4 < small {
                continue;
            }
            let both = common(&own, theirs);
            let jaccard = both as f64 / (own.len() + theirs.len() - both) as f64;
            let item = document as usize / 2;
            // A prompt that is the question and nothing else is a copy, however short.
            let told = |i: &Indexed| (jaccard >= 1.0 && !i.shared) || i.is_told_by(text);
            let only_question = document % 2 == 0;
            if jaccard < NEAR || (only_question && !self.items.get(item).is_some_and(told)) {
                continue;
            }
            let entry =
                found.entry(item).or_insert(Overlap { item, share: 0.0, jaccard, kind: OverlapKind::NearDuplicate });
            entry.jaccard = entry.jaccard.max(jaccard);
        }
    }
}

impl Indexed {
    /// Whether `text`, which has the question, has what makes it this item: nothing more where the question says enough,
    /// else the right choice, or half of the choices where that is not known or says nothing itself.
    fn is_told_by(&self, text: &[u64]) -> bool {
        let vague = self.shared || self.question.len() < NGRAM;
        if !vague {
            return true;
        }
        if self.choices.is_empty() {
            return self.question.len() >= SHORTEST_NEAR;
        }
        let has = |choice: &[u64]| !choice.is_empty() && text.windows(choice.len()).any(|w| w == choice);
        match self.gold.and_then(|g| self.choices.get(g)).filter(|c| c.len() > 1) {
            Some(right) => {
                let long = self.question.len() >= SHORTEST || self.question.len() + right.len() >= SHORTEST_NEAR;
                long && has(right)
            }
            None => {
                self.question.len() >= SHORTEST
                    && 2 * self.choices.iter().filter(|c| has(c)).count() >= self.choices.len()
            }
        }
    }
}

/// Stands between the parts of a row.
const BORDER: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn item(question: &str, choices: &[&str], gold: usize) -> TestItem {
        let choices = choices.iter().map(|c| (*c).to_owned()).collect();
        TestItem { question: question.to_owned(), choices, gold: Some(gold) }
    }

    fn row(instruction: &str, output: &str) -> Example {
        Example { instruction: instruction.to_owned(), output: output.to_owned(), ..Example::default() }
    }

    fn held(items: &[TestItem], row: &Example) -> Vec<(usize, OverlapKind)> {
        OverlapIndex::new(items, SHARE).held_by(row).iter().map(|o| (o.item, o.kind)).collect()
    }

    const ENGLISH: &str =
        "Which of the following instruments does a central bank use when it wants to drain liquidity?";
    const CHINESE: &str = "商业银行在计算资本充足率时，对个人住房抵押贷款适用的风险权重通常为多少？";

    #[test]
    fn tokens_are_words_or_ideographs_whatever_the_layout() {
        assert_eq!(tokens("GDP增长 5.2%"), tokens("ＧＤＰ 增长，5 2"));
        assert_eq!(tokens("货币政策").len(), 4);
        assert_eq!(tokens("a central bank").len(), 3);
        assert_ne!(tokens("ab c"), tokens("a bc"));
        assert!(tokens(" ，。!? \n").is_empty());
    }

    #[test]
    fn a_copied_question_is_found_in_any_wrapping_and_language() {
        let items = [item(ENGLISH, &["Reverse repo", "Repo"], 0), item(CHINESE, &["50%", "100%"], 0)];
        let wrapped = row(&format!("Answer, please: {}\nA. x B. y", ENGLISH.to_uppercase()), "A");
        assert_eq!(held(&items, &wrapped), [(0, OverlapKind::Ngram)]);
        let chinese = row("解释", &format!("曾有题目问“{}”，答案见下。", CHINESE.replace('，', " , ")));
        assert_eq!(held(&items, &chinese), [(1, OverlapKind::Ngram)]);
        let in_history =
            Example { history: vec![(CHINESE.into(), "50%".into())], ..row("那么企业贷款呢？", "100%") };
        assert_eq!(held(&items, &in_history), [(1, OverlapKind::Ngram)]);
        assert!(held(&items, &row("Which instruments does a central bank use?", "Many.")).is_empty());
        assert!(held(&items, &row("", "")).is_empty());
    }

    #[test]
    fn the_share_is_that_of_the_question() {
        let words: Vec<String> = (0..40).map(|i| format!("w{i}")).collect();
        let items = [item(&words.join(" "), &[], 0)];
        let half = OverlapIndex::new(&items, 0.4).held_by(&row(&words[..20].join(" "), "x"));
        assert_eq!(half.len(), 1);
        assert!((half[0].share - 0.5).abs() < 1e-12);
        assert!(OverlapIndex::new(&items, 0.6).held_by(&row(&words[..20].join(" "), "x")).is_empty());
        // Twelve words in a row are no evidence, thirteen are.
        let at = |n: usize| OverlapIndex::new(&items, 0.1).held_by(&row(&words[..n].join(" "), "x")).len();
        assert_eq!((at(12), at(13)), (0, 1));
    }

    #[test]
    fn a_reworded_question_is_a_near_duplicate() {
        let changed = ENGLISH.replace("when it wants to", "in order to");
        let index = OverlapIndex::new(&[item(ENGLISH, &["Reverse repo", "Repo"], 0)], 0.9);
        // One word of a long question exchanged in the middle breaks every run of 13.
        let long = format!("{ENGLISH} Assume that the policy rate stays where it is and banks hold large reserves");
        let items = [item(&long, &["Reverse repo", "Repo"], 0)];
        let found = held(&items, &row(&long.replace("Assume", "Suppose"), "x"));
        assert_eq!(found.len(), 1);
        assert!(
            index.held_by(&row("A wholly different question about taxes on land and houses in towns", "x")).is_empty()
        );
        assert!(index.held_by(&row(&changed, "x")).iter().all(|o| o.jaccard >= NEAR));
    }

    #[test]
    fn a_stem_that_many_items_share_needs_its_choice() {
        let stem = "下列关于货币政策工具的说法，正确的是哪一项";
        let items = [
            item(stem, &["公开市场操作最灵活", "税收是货币政策工具"], 0),
            item(stem, &["存款准备金率由银行自定", "再贴现属于货币政策"], 1),
        ];
        assert!(held(&items, &row(stem, "要看情况。")).is_empty());
        assert_eq!(held(&items, &row(stem, "再贴现属于货币政策。")), [(1, OverlapKind::Ngram)]);
        // Short questions likewise; letters alone say nothing.
        let short = [item("什么是通货膨胀？", &["物价普遍上涨", "物价下跌"], 0)];
        assert!(held(&short, &row("请问什么是通货膨胀？请举例。", "钱不值钱了。")).is_empty());
        assert_eq!(held(&short, &row("什么是通货膨胀？", "物价普遍上涨。")), [(0, OverlapKind::Ngram)]);
        // Without choices there is only the question, which then must not be too short.
        let written = [item("What is it?", &[], 0), item("How many eggs does the farmer sell every day?", &[], 0)];
        assert!(held(&written, &row("What is it? Explain.", "x")).is_empty());
        assert_eq!(held(&written, &row("Say: how many eggs does the farmer sell every day?", "9")).len(), 1);
        // A very short one needs a long choice.
        let tiny = [item("音位是____。", &["能区别意义的最小语音单位", "音节"], 0), item("德是", &["善行", "恶行"], 0)];
        assert_eq!(held(&tiny, &row("音位是什么", "能区别意义的最小语音单位")), [(0, OverlapKind::Ngram)]);
        assert!(held(&tiny, &row("德是什么", "善行")).is_empty());
        // A prompt that is such a question and nothing else was copied.
        let copied = [item("我国的中央银行是哪一家？", &["甲", "乙"], 0)];
        assert_eq!(held(&copied, &row("我国的中央银行是哪一家", "A")), [(0, OverlapKind::NearDuplicate)]);
        assert!(held(&copied, &row("请说明：我国的中央银行是哪一家，它与国库有何关系？", "A")).is_empty());
    }
}
