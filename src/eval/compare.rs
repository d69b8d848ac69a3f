//! Two runs side by side, item by item.

use super::runner::ItemOutcome;
use super::statistics::{self, Paired};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::Serialize;
use std::collections::HashMap;

/// What two runs have in common and where they part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Items that both runs answered.
    pub n: usize,
    /// Accuracy of the first on them.
    pub acc_a: f64,
    /// Accuracy of the second on them.
    pub acc_b: f64,
    /// `acc_b` − `acc_a`.
    pub difference: f64,
    /// 95% interval of the difference: paired bootstrap.
    pub ci95: [f64; 2],
    /// McNemar's exact two-sided p.
    pub mcnemar_p: f64,
    /// How many items only one of them got right.
    pub flips: FlipCounts,
    /// Those items.
    pub items: Vec<Flip>,
    /// Items of `n` that the two were asked in different words.
    pub prompts_differ: usize,
    /// Answers of both runs that are not compared: `only_a` + `only_b`.
    pub left_out: usize,
    /// Answers of the first without a partner: the second did not have that question with those choices and that answer.
    pub only_a: usize,
    /// Answers of the second without a partner.
    pub only_b: usize,
    /// Pairs of `n` that rest on subject and number alone, because a run of an earlier version did not keep what its
    /// items were.
    pub paired_by_name: usize,
    /// Items that would show a difference of this size (80% power, 5% level); `None` for no difference.
    pub items_needed: Option<u64>,
}

/// How many items only one of two runs got right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FlipCounts {
    /// Only the second.
    pub gained: usize,
    /// Only the first.
    pub lost: usize,
}

/// An item that only one of two runs got right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// Subject.
    pub subject: String,
    /// Item, as the first run numbers it.
    pub id: String,
    /// `gained` or `lost`.
    pub flip: &'static str,
    /// What the first answered.
    pub pred_a: String,
    /// What the second answered.
    pub pred_b: String,
    /// The right answer.
    pub gold: String,
}

impl Comparison {
    /// Whether the difference may be chance: McNemar's exact p is not below 5%.
    pub fn is_indistinct(&self) -> bool {
        self.mcnemar_p >= 0.05
    }
}

/// Compares the outcomes of two runs on the items that both have.
///
/// # Errors
/// `Mismatch` when they have none in common.
pub fn compare_outcomes(a: &[ItemOutcome], b: &[ItemOutcome], seed: u64) -> Result<Comparison> {
    let pairs = pair(a, b);
    let right_a: Vec<bool> = pairs.iter().map(|(x, _)| x.correct).collect();
    let right_b: Vec<bool> = pairs.iter().map(|(_, y)| y.correct).collect();
    let Some(Paired { n, acc_a, acc_b, difference, ci95, mcnemar_p, gained, lost, items_needed }) =
        statistics::compare(&right_a, &right_b, seed)
    else {
        return Err(Error::new(Kind::Mismatch, tr!("the two runs have no item in common", "两次运行没有共同的题目"))
            .hint(tr!(
                "compare two finished scores of the same benchmark on the same split: items are found by question and choices, not by their number",
                "请比较同一基准、同一划分的两次已完成评测：题目按题干与选项配对，而不是按编号"
            )));
    };
    let items = pairs
        .iter()
        .filter(|(x, y)| x.correct != y.correct)
        .map(|(x, y)| Flip {
            subject: x.subject.clone(),
            id: x.id.clone(),
            flip: if y.correct { "gained" } else { "lost" },
            pred_a: x.pred.clone(),
            pred_b: y.pred.clone(),
            gold: x.gold.clone(),
        })
        .collect();
    let named_only = |o: &ItemOutcome| o.detail.content.is_empty();
    Ok(Comparison {
        n,
        acc_a,
        acc_b,
        difference,
        ci95,
        mcnemar_p,
        flips: FlipCounts { gained, lost },
        items,
        prompts_differ: pairs.iter().filter(|(x, y)| x.prompt_hash != y.prompt_hash).count(),
        left_out: a.len() + b.len() - 2 * n,
        only_a: a.len() - n,
        only_b: b.len() - n,
        paired_by_name: pairs.iter().filter(|(x, y)| named_only(x) || named_only(y)).count(),
        items_needed,
    })
}

/// The outcomes of the same items in both runs: same question, choices and right answer. A question that a benchmark
/// has twice is paired with the one of the same subject and number first. Where a run did not keep what its items were,
/// subject and number must do. An outcome is used once.
pub fn pair<'a>(a: &'a [ItemOutcome], b: &'a [ItemOutcome]) -> Vec<(&'a ItemOutcome, &'a ItemOutcome)> {
    let mut by_name: HashMap<(&str, &str), usize> = HashMap::new();
    let mut by_content: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, o) in b.iter().enumerate() {
        by_name.insert((o.subject.as_str(), o.id.as_str()), i);
        by_content.entry(o.detail.content.as_str()).or_default().push(i);
    }
    let mut used = vec![false; b.len()];
    let mut partner: Vec<Option<usize>> = vec![None; a.len()];
    // The same name first, for all, so that a twin elsewhere does not take its place.
    for (x, slot) in a.iter().zip(&mut partner) {
        let Some(&i) = by_name.get(&(x.subject.as_str(), x.id.as_str())) else { continue };
        let y = &b[i];
        let (cx, cy) = (&x.detail.content, &y.detail.content);
        let same = cx == cy || cx.is_empty() || cy.is_empty();
        if same && x.gold == y.gold && !x.gold.is_empty() && !used[i] {
            used[i] = true;
            *slot = Some(i);
        }
    }
    for (x, slot) in a.iter().zip(&mut partner) {
        if slot.is_some() || x.detail.content.is_empty() || x.gold.is_empty() {
            continue;
        }
        let twins = by_content.get(x.detail.content.as_str()).map_or(&[] as &[usize], Vec::as_slice);
        if let Some(&i) = twins.iter().find(|i| !used[**i] && b[**i].gold == x.gold) {
            used[i] = true;
            *slot = Some(i);
        }
    }
    a.iter().zip(partner).filter_map(|(x, i)| Some((x, b.get(i?)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::ItemDetail;

    fn outcome(id: &str, content: &str, correct: bool) -> ItemOutcome {
        ItemOutcome {
            subject: "s".into(),
            id: id.into(),
            pred: if correct { "A" } else { "B" }.into(),
            gold: "A".into(),
            correct,
            detail: ItemDetail { content: content.into(), ..ItemDetail::default() },
            ..ItemOutcome::default()
        }
    }

    #[test]
    fn items_are_found_by_what_they_are() {
        // A definition of the same name whose rows moved by one and whose first row is another question.
        let a = [outcome("0", "x", true), outcome("1", "y", false), outcome("2", "z", true)];
        let b = [outcome("0", "new", true), outcome("1", "x", true), outcome("2", "y", true)];
        let c = compare_outcomes(&a, &b, 1).unwrap();
        assert_eq!((c.n, c.only_a, c.only_b, c.left_out, c.paired_by_name), (2, 1, 1, 2, 0));
        assert_eq!((c.flips.gained, c.flips.lost), (1, 0));
        // Only names in common: nothing to compare.
        let other = [outcome("0", "p", true), outcome("1", "q", true)];
        assert_eq!(compare_outcomes(&a, &other, 1).unwrap_err().kind, Kind::Mismatch);
    }

    #[test]
    fn a_question_that_comes_twice_is_paired_with_its_namesake() {
        let a = [outcome("0", "x", true), outcome("1", "x", false)];
        let b = [outcome("1", "x", false), outcome("0", "x", true)];
        assert_eq!(compare_outcomes(&a, &b, 1).unwrap().flips, FlipCounts { gained: 0, lost: 0 });
        assert_eq!(compare_outcomes(&a, &b[..1], 1).unwrap().only_a, 1);
    }

    #[test]
    fn runs_of_earlier_versions_are_paired_by_name_and_it_is_said() {
        let (a, b) = ([outcome("0", "", true), outcome("1", "", true)], [outcome("0", "x", true)]);
        let c = compare_outcomes(&a, &b, 1).unwrap();
        assert_eq!((c.n, c.paired_by_name, c.only_a), (1, 1, 1));
    }
}
