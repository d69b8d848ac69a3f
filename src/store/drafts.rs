//! Drafts: rows that a model proposes for a dataset. They are part of no version until someone accepts them.

use super::{Store, now};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// What a draft asks nearly the same as.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Like {
    /// This row of the dataset.
    Row(u64),
    /// This earlier draft.
    Draft(i64),
}

/// A draft.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DraftRecord {
    /// Its number, never used again; 0 until it is stored.
    pub id: i64,
    /// The model that wrote it.
    pub model: String,
    /// Rows that it was shown as examples.
    pub seed_rows: Vec<u64>,
    /// What it was to be about; empty for whatever the examples are about.
    pub topic: String,
    /// The question.
    pub instruction: String,
    /// The answer.
    pub output: String,
    /// `zh` or `en`.
    pub lang: String,
    /// What it is nearly the same as.
    pub near: Option<Like>,
    /// Jaccard index of the two questions; 0 without such a one.
    pub jaccard: f64,
    /// Names of the rules of `data quality` that found something.
    pub findings: Vec<String>,
    /// When it was written, RFC 3339 UTC; empty until it is stored.
    pub created_at: String,
}

impl DraftRecord {
    /// Whether there is nothing to say against it.
    pub fn is_clean(&self) -> bool {
        self.near.is_none() && self.findings.is_empty()
    }
}

impl Store {
    /// Keeps a draft for the dataset that `words` name, and fills in its number and time.
    ///
    /// # Errors
    /// Those of [`Store::dataset`]; `NoSpace`.
    pub fn add_draft(&self, words: &str, draft: &mut DraftRecord) -> Result<()> {
        let dataset = self.dataset(words)?.id;
        let seeds = serde_json::to_string(&draft.seed_rows).map_err(|e| Error::internal(e.to_string()))?;
        let (row, other) = match draft.near {
            None => (None, None),
            Some(Like::Row(row)) => (Some(row as i64), None),
            Some(Like::Draft(id)) => (None, Some(id)),
        };
        draft.created_at = now();
        let done = self.wait(
            sqlx::query(
                "INSERT INTO drafts (dataset_id, model, seed_rows, topic, instruction, output, lang, near_row, near_draft,
                 jaccard, findings, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(dataset)
            .bind(&draft.model)
            .bind(seeds)
            .bind(&draft.topic)
            .bind(&draft.instruction)
            .bind(&draft.output)
            .bind(&draft.lang)
            .bind(row)
            .bind(other)
            .bind(draft.near.map(|_| draft.jaccard))
            .bind(draft.findings.join(" "))
            .bind(&draft.created_at)
            .execute(&self.pool),
        )?;
        draft.id = done.last_insert_rowid();
        Ok(())
    }

    /// The drafts for the dataset that `words` name, oldest first.
    ///
    /// # Errors
    /// Those of [`Store::dataset`].
    pub fn drafts(&self, words: &str) -> Result<Vec<DraftRecord>> {
        let dataset = self.dataset(words)?.id;
        let rows = self.wait(
            sqlx::query("SELECT * FROM drafts WHERE dataset_id = ? ORDER BY id").bind(dataset).fetch_all(&self.pool),
        )?;
        Ok(rows.iter().map(draft).collect())
    }

    /// How many drafts were ever kept, for whatever dataset.
    ///
    /// # Errors
    /// Those of the database.
    pub fn drafts_ever(&self) -> Result<u64> {
        let last = self.wait(
            sqlx::query_scalar::<_, i64>("SELECT seq FROM sqlite_sequence WHERE name = 'drafts'")
                .fetch_optional(&self.pool),
        )?;
        Ok(last.unwrap_or_default() as u64)
    }

    /// Removes drafts for the dataset that `words` name.
    ///
    /// # Errors
    /// `NotFound` for a draft that is not there: nothing is removed then.
    pub fn remove_drafts(&self, words: &str, ids: &[i64]) -> Result<()> {
        let dataset = self.dataset(words)?.id;
        let missing = self.wait(async {
            let mut tx = self.pool.begin().await?;
            for id in ids {
                let done = sqlx::query("DELETE FROM drafts WHERE dataset_id = ? AND id = ?")
                    .bind(dataset)
                    .bind(id)
                    .execute(&mut *tx)
                    .await?;
                if done.rows_affected() == 0 {
                    // Dropping the transaction undoes it.
                    return Ok(Some(*id));
                }
            }
            tx.commit().await?;
            Ok(None)
        })?;
        missing.map_or(Ok(()), |id| Err(no_draft(words, id)))
    }
}

/// The error of a draft that is not there.
pub fn no_draft(dataset: &str, id: i64) -> Error {
    Error::new(Kind::NotFound, tr!("`{dataset}` has no draft {id}", "`{dataset}` 没有草稿 {id}"))
        .hint(tr!("see them: linly-bench data drafts {dataset}", "查看草稿：linly-bench data drafts {dataset}"))
}

fn draft(row: &SqliteRow) -> DraftRecord {
    let near_row: Option<i64> = row.get("near_row");
    let near_draft: Option<i64> = row.get("near_draft");
    let seeds: String = row.get("seed_rows");
    let findings: String = row.get("findings");
    DraftRecord {
        id: row.get("id"),
        model: row.get("model"),
        seed_rows: serde_json::from_str(&seeds).unwrap_or_default(),
        topic: row.get("topic"),
        instruction: row.get("instruction"),
        output: row.get("output"),
        lang: row.get("lang"),
        near: near_row.map(|row| Like::Row(row as u64)).or(near_draft.map(Like::Draft)),
        jaccard: row.get::<Option<f64>, _>("jaccard").unwrap_or_default(),
        findings: findings.split_whitespace().map(str::to_owned).collect(),
        created_at: row.get("created_at"),
    }
}
