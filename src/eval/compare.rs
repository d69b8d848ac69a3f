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
    /// Items that only one run has, and items whose right answer changed in between: not compared.
    pub left_out: usize,
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
    /// Item.
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

/// Compares the outcomes of two runs of one benchmark on the items that both have.
///
/// # Errors
/// `Mismatch` when they have none in common.
pub fn compare_outcomes(a: &[ItemOutcome], b: &[ItemOutcome], seed: u64) -> Result<Comparison> {
    let second: HashMap<(&str, &str), &ItemOutcome> =
        b.iter().map(|o| ((o.subject.as_str(), o.id.as_str()), o)).collect();
    let pairs: Vec<(&ItemOutcome, &ItemOutcome)> = a
        .iter()
        .filter_map(|o| Some((o, *second.get(&(o.subject.as_str(), o.id.as_str()))?)))
        .filter(|(x, y)| x.gold == y.gold && !x.gold.is_empty())
        .collect();
    let right_a: Vec<bool> = pairs.iter().map(|(x, _)| x.correct).collect();
    let right_b: Vec<bool> = pairs.iter().map(|(_, y)| y.correct).collect();
    let Some(Paired { n, acc_a, acc_b, difference, ci95, mcnemar_p, gained, lost, items_needed }) =
        statistics::compare(&right_a, &right_b, seed)
    else {
        return Err(Error::new(Kind::Mismatch, tr!("the two runs have no item in common", "两次运行没有共同的题目"))
            .hint(tr!("compare two finished scores of the same benchmark", "请比较同一基准的两次已完成评测")));
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
        items_needed,
    })
}
