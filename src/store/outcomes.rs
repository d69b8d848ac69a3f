//! What models made of benchmark items: kept as they arrive, so that an interrupted score goes on
//! where it stopped and two runs can be compared item by item.

use super::Store;
use crate::error::{Error, Result};
use crate::eval::ItemOutcome;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// How a run stands in one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectCount {
    /// Subject.
    pub subject: String,
    /// Items answered.
    pub n: u64,
    /// Items answered rightly.
    pub correct: u64,
}

impl Store {
    /// Keeps the outcomes of a batch, all or none. An item that the run already has is replaced.
    pub fn put_outcomes(&self, run: &str, task: &str, outcomes: &[ItemOutcome]) -> Result<()> {
        let json = |value: &[String]| serde_json::to_string(value).map_err(|e| Error::internal(e.to_string()));
        let written = |o: &ItemOutcome| {
            o.written.as_ref().map(serde_json::to_string).transpose().map_err(|e| Error::internal(e.to_string()))
        };
        let rows = outcomes
            .iter()
            .map(|o| Ok((o, json(&o.choices)?, detail_json(o)?, written(o)?)))
            .collect::<Result<Vec<_>>>()?;
        self.wait(async {
            let mut transaction = self.pool.begin().await?;
            for (o, choices, detail, written) in &rows {
                sqlx::query(
                    "INSERT OR REPLACE INTO outcomes (run_id, task, subject, item, prompt, prompt_hash, choices, loglikelihoods,
                     pred, gold, correct, detail, mode, written) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )
                    .bind(run)
                    .bind(task)
                    .bind(&o.subject)
                    .bind(&o.id)
                    .bind(&o.prompt)
                    .bind(&o.prompt_hash)
                    .bind(choices)
                    .bind(write_numbers(&o.loglikelihoods))
                    .bind(&o.pred)
                    .bind(&o.gold)
                    .bind(o.correct)
                    .bind(detail)
                    .bind(o.mode.name())
                    .bind(written)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await
        })
    }

    /// The outcomes of a run, by subject and item; those of shuffled choices are not among them.
    pub fn outcomes(&self, run: &str) -> Result<Vec<ItemOutcome>> {
        let rows = self.wait(
            sqlx::query("SELECT * FROM outcomes WHERE run_id = ? AND NOT instr(task, ?) ORDER BY task, subject, item")
                .bind(run)
                .bind(SHUFFLED)
                .fetch_all(&self.pool),
        )?;
        Ok(rows.iter().map(outcome).collect())
    }

    /// How many items of each subject a run has answered, and how many of them rightly, in the order of [`Store::outcomes`].
    pub fn subject_counts(&self, run: &str) -> Result<Vec<SubjectCount>> {
        let rows = self.wait(
            sqlx::query(
                "SELECT subject, count(*) AS n, sum(correct) AS correct FROM outcomes
                 WHERE run_id = ? AND NOT instr(task, ?) GROUP BY task, subject ORDER BY task, subject",
            )
            .bind(run)
            .bind(SHUFFLED)
            .fetch_all(&self.pool),
        )?;
        let count = |row: &SqliteRow, column: &str| row.get::<i64, _>(column).unsigned_abs();
        Ok(rows
            .iter()
            .map(|r| SubjectCount { subject: r.get("subject"), n: count(r, "n"), correct: count(r, "correct") })
            .collect())
    }

    /// The outcomes of one subject of a run, by item.
    pub fn outcomes_of_subject(&self, run: &str, subject: &str) -> Result<Vec<ItemOutcome>> {
        let rows = self.wait(
            sqlx::query(
                "SELECT * FROM outcomes WHERE run_id = ? AND subject = ? AND NOT instr(task, ?) ORDER BY task, item",
            )
            .bind(run)
            .bind(subject)
            .bind(SHUFFLED)
            .fetch_all(&self.pool),
        )?;
        Ok(rows.iter().map(outcome).collect())
    }

    /// What an examinee made of the items of `task` in all its runs, the oldest first; none for an empty `examinee`.
    pub fn outcomes_of_examinee(&self, examinee: &str, task: &str) -> Result<Vec<ItemOutcome>> {
        let rows = self.wait(
            sqlx::query(
                "SELECT o.* FROM outcomes o JOIN runs r ON r.id = o.run_id
                 WHERE r.examinee = ?1 AND ?1 <> '' AND o.task = ?2 ORDER BY r.started_at, r.id, o.subject, o.item",
            )
            .bind(examinee)
            .bind(task)
            .fetch_all(&self.pool),
        )?;
        Ok(rows.iter().map(outcome).collect())
    }

    /// The outcomes of a run whose choices were shown in the random order number `round`, by subject and item.
    pub fn shuffled_outcomes(&self, run: &str, task: &str, round: u64) -> Result<Vec<ItemOutcome>> {
        let rows = self.wait(
            sqlx::query("SELECT * FROM outcomes WHERE run_id = ? AND task = ? ORDER BY subject, item")
                .bind(run)
                .bind(shuffled_key(task, round))
                .fetch_all(&self.pool),
        )?;
        Ok(rows.iter().map(outcome).collect())
    }

    /// Keeps outcomes of the random order number `round`, beside those of the file's order.
    pub fn put_shuffled_outcomes(&self, run: &str, task: &str, round: u64, outcomes: &[ItemOutcome]) -> Result<()> {
        self.put_outcomes(run, &shuffled_key(task, round), outcomes)
    }

    /// How many outcomes a run has in the file's order of choices.
    pub fn count_outcomes(&self, run: &str) -> Result<u64> {
        let row = self.wait(
            sqlx::query("SELECT count(*) AS n FROM outcomes WHERE run_id = ? AND NOT instr(task, ?)")
                .bind(run)
                .bind(SHUFFLED)
                .fetch_one(&self.pool),
        )?;
        Ok(row.get::<i64, _>("n").unsigned_abs())
    }
}

/// Marks the task of outcomes whose choices were shuffled. No benchmark has it in its name.
const SHUFFLED: &str = "#order-";

fn shuffled_key(task: &str, round: u64) -> String {
    format!("{task}{SHUFFLED}{round}")
}

fn detail_json(outcome: &ItemOutcome) -> Result<String> {
    serde_json::to_string(&outcome.detail).map_err(|e| Error::internal(e.to_string()))
}

fn outcome(row: &SqliteRow) -> ItemOutcome {
    let text = |column: &str| row.get::<String, _>(column);
    ItemOutcome {
        subject: text("subject"),
        id: text("item"),
        prompt: text("prompt"),
        choices: serde_json::from_str(&text("choices")).unwrap_or_default(),
        loglikelihoods: read_numbers(&text("loglikelihoods")),
        pred: text("pred"),
        gold: text("gold"),
        correct: row.get("correct"),
        mode: serde_json::from_value(text("mode").into()).unwrap_or_default(),
        written: row.get::<Option<String>, _>("written").and_then(|w| serde_json::from_str(&w).ok()),
        prompt_hash: text("prompt_hash"),
        detail: serde_json::from_str(&text("detail")).unwrap_or_default(),
    }
}

/// Numbers as a JSON array. −∞ has no JSON form and is written as null.
fn write_numbers(values: &[f64]) -> String {
    let parts: Vec<String> =
        values.iter().map(|v| if v.is_finite() { format!("{v:?}") } else { "null".to_owned() }).collect();
    format!("[{}]", parts.join(","))
}

/// The exact numbers that [`write_numbers`] wrote: `str::parse` rounds correctly, a JSON reader may
/// be off in the last bit and turn a tie into a winner.
fn read_numbers(text: &str) -> Vec<f64> {
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    inner.split(',').filter(|p| !p.is_empty()).map(|p| p.trim().parse().unwrap_or(f64::NEG_INFINITY)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{ItemDetail, Mode, Ordered, Written};
    use crate::store::NewRun;

    #[test]
    fn numbers_come_back_to_the_bit() {
        let values = vec![-0.1, -1.0 / 3.0, -1e-300, f64::NEG_INFINITY, -123_456.789, 0.0];
        assert_eq!(read_numbers(&write_numbers(&values)), values);
        assert!(read_numbers("[]").is_empty());
    }

    #[test]
    fn outcomes_come_back_as_they_were_kept() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let (run, _lease) = store.start_run(&NewRun { kind: "eval", ..NewRun::default() }).unwrap();
        let one = ItemOutcome {
            subject: "s".into(),
            id: "0".into(),
            prompt: "问\r\n\"题\"".into(),
            choices: vec![" A".into(), " B".into()],
            loglikelihoods: vec![-1.5, f64::NEG_INFINITY],
            pred: "A".into(),
            gold: "B".into(),
            correct: false,
            prompt_hash: "h".into(),
            detail: ItemDetail {
                content: "c".into(),
                lengths: vec![1, 1],
                tokens: vec![2, 3],
                ..ItemDetail::default()
            },
            ..ItemOutcome::default()
        };
        let written = Written {
            answer: "所以\n答案是A。".into(),
            extracted: Ordered(vec![("z".into(), Some("A".into())), ("a".into(), None)]),
            metrics: Ordered(vec![("f1".into(), 1.0 / 3.0)]),
        };
        let two = ItemOutcome { id: "1".into(), correct: true, mode: Mode::Cot, written: Some(written), ..one.clone() };
        store.put_outcomes(&run, "t", &[one.clone(), two.clone()]).unwrap();
        store.put_outcomes(&run, "t", std::slice::from_ref(&one)).unwrap();
        assert_eq!(store.outcomes(&run).unwrap(), [one, two]);
        assert_eq!(store.count_outcomes(&run).unwrap(), 2);
        assert!(store.outcomes("other").unwrap().is_empty());
        // Shuffled ones stand beside them and do not count as the run's own.
        let kept = store.outcomes(&run).unwrap();
        let turned = ItemOutcome { pred: "B".into(), ..kept[0].clone() };
        store.put_shuffled_outcomes(&run, "t", 1, std::slice::from_ref(&turned)).unwrap();
        assert_eq!((store.outcomes(&run).unwrap(), store.count_outcomes(&run).unwrap()), (kept, 2));
        assert_eq!(store.shuffled_outcomes(&run, "t", 1).unwrap(), [turned]);
        assert!(store.shuffled_outcomes(&run, "t", 2).unwrap().is_empty());
    }
}
