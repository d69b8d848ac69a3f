//! What a live battle can be made of: contestants of this home, and questions that are there already.

use crate::arena::battle::Question;
use crate::error::Result;
use crate::remote::is_address;
use crate::store::RowQuery;
use crate::workbench::{Workbench, models};
use rand::RngExt;
use rand::seq::IndexedRandom;
use serde_json::Value;

use super::typed_question;

/// Rows of a dataset that are looked at for one that is a question: plain texts for pre-training are none.
const ATTEMPTS: usize = 20;

/// Specs of contestants: the models of this machine, each adapter on its base, and the servers' models that were asked
/// before, the last one first.
///
/// # Errors
/// Those of the store.
pub fn contestants(bench: &Workbench) -> Result<Vec<String>> {
    let mut specs: Vec<String> = models::list(bench).into_iter().filter(|m| m.pulled).map(|m| m.name).collect();
    specs.extend(bench.store.adapters()?.into_iter().map(|a| format!("{}+{}", a.base, a.name)));
    for run in bench.store.runs(None)? {
        let of_arena = run.config.get("contestants").and_then(Value::as_array);
        let of_arena = of_arena.into_iter().flatten().filter_map(Value::as_str);
        specs.extend(
            std::iter::once(run.model.as_str())
                .chain(of_arena)
                .filter(|s| is_address(s) && !s.contains(' '))
                .map(str::to_owned),
        );
    }
    let mut seen = std::collections::HashSet::new();
    specs.retain(|spec| seen.insert(spec.clone()));
    Ok(specs)
}

/// A question drawn from the rows of `dataset`, or of the arena's own when that is `None`; `None` when there is none.
///
/// # Errors
/// `NotFound` for a dataset that is not there.
pub fn draw_question(bench: &Workbench, arena: &str, dataset: Option<&str>) -> Result<Option<Question>> {
    let mut rng = rand::rng();
    let Some(dataset) = dataset else {
        if let Some(question) = bench.store.questions(arena)?.choose(&mut rng) {
            return Ok(Some(question.clone()));
        }
        // An arena that was imported has battles and no list of questions.
        return Ok(bench.store.battles(arena)?.choose(&mut rng).map(|battle| typed_question(&battle.question)));
    };
    let rows = bench.store.dataset(dataset)?.rows;
    for _ in 0..if rows == 0 { 0 } else { ATTEMPTS } {
        let query = RowQuery { offset: rng.random_range(0..rows), limit: Some(1), ..RowQuery::default() };
        let Some(row) = bench.store.rows(dataset, &query)?.pop() else { continue };
        let (asked, input) = (row.example.instruction.trim(), row.example.input.trim());
        if asked.is_empty() || !row.example.history.is_empty() {
            continue;
        }
        let text = if input.is_empty() { asked.to_owned() } else { format!("{asked}\n{input}") };
        return Ok(Some(typed_question(&text)));
    }
    Ok(None)
}
