//! Runs (trainings, scores, arena sessions), their events, and the adapters they made.

use super::{Store, now};
use crate::error::{Error, Kind, Result};
use crate::job::{self, EventSink, JobEvent, progress};
use crate::tr;
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::fs::File;
use std::sync::Mutex;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Its process is alive and working.
    Running,
    /// It came to its end.
    Done,
    /// It ended with an error.
    Failed,
    /// The user stopped it.
    Cancelled,
    /// Its process vanished (killed, power cut). Never stored: it is seen from the run's lock.
    Interrupted,
}

impl RunStatus {
    /// The word in the database and in `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Running => "running",
            RunStatus::Done => "done",
            RunStatus::Failed => "failed",
            RunStatus::Cancelled => "cancelled",
            RunStatus::Interrupted => "interrupted",
        }
    }
}

/// What is known of a run before it starts. Fields that do not apply stay empty.
#[derive(Clone, Debug, Default)]
pub struct NewRun {
    /// `train`, `eval` or `arena`.
    pub kind: &'static str,
    /// Catalogue name or path of the model.
    pub model: String,
    /// Hash of the model's weights.
    pub model_hash: String,
    /// Adapter name or folder.
    pub adapter: String,
    /// Hash of the adapter's weights.
    pub adapter_hash: String,
    /// Dataset name.
    pub dataset: String,
    /// Dataset version (content hash).
    pub dataset_version: String,
    /// Benchmark.
    pub task: String,
    /// Prompt template.
    pub template: String,
    /// Everything that was asked for.
    pub config: serde_json::Value,
    /// What decides, together with a prompt, what a scored model answers; empty where that is not known.
    pub examinee: String,
}

/// A run as the database holds it.
#[derive(Clone, Debug, Serialize)]
pub struct RunRecord {
    /// Run id.
    #[serde(rename = "run")]
    pub id: String,
    /// `train`, `eval` or `arena`.
    pub kind: String,
    /// How it stands; a killed run reads `interrupted`.
    pub status: RunStatus,
    /// Catalogue name or path of the model.
    pub model: String,
    /// Hash of the model's weights.
    pub model_hash: String,
    /// Adapter name or folder; empty for none.
    pub adapter: String,
    /// Hash of the adapter's weights.
    pub adapter_hash: String,
    /// Dataset name.
    pub dataset: String,
    /// Dataset version.
    pub dataset_version: String,
    /// Benchmark.
    pub task: String,
    /// Prompt template.
    pub template: String,
    /// Everything that was asked for.
    pub config: serde_json::Value,
    /// Everything that came out; `null` until the end.
    pub result: serde_json::Value,
    /// Version and commit of the program.
    pub code_version: String,
    /// Start, RFC 3339 UTC.
    pub started: String,
    /// End, RFC 3339 UTC.
    pub finished: Option<String>,
    /// `{kind, message, hint}` of a failure.
    pub error: serde_json::Value,
    /// The background job that works or worked on it.
    pub job: Option<String>,
}

/// An adapter that this program trained (or was given a name for).
#[derive(Clone, Debug, Serialize)]
pub struct AdapterRecord {
    /// Its name on the command line.
    pub name: String,
    /// Its PEFT folder.
    pub dir: String,
    /// Hash of its weights.
    pub hash: String,
    /// The base model it belongs to.
    pub base: String,
    /// Hash of that base's weights.
    pub base_hash: String,
    /// The prompt template it was trained with.
    pub template: String,
    /// The dataset it was trained on.
    pub dataset: String,
    /// That dataset's version.
    pub dataset_version: String,
    /// The run that made it.
    pub run_id: String,
    /// When, RFC 3339 UTC.
    pub created_at: String,
}

/// Held by the process that works on a run. The operating system drops the lock when the process
/// dies, however it dies: that is how an interrupted run is told from a living one.
pub struct Lease {
    _lock: File,
}

/// The program's version and commit, stamped on every run.
pub fn code_version() -> String {
    match option_env!("LINLY_BENCH_COMMIT") {
        Some(commit) if !commit.is_empty() => format!("{}+{commit}", env!("CARGO_PKG_VERSION")),
        _ => env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// A new id of a run or job: `<kind>-<date>-<time>-<4 hex>`: sortable by time and short enough to type.
pub(super) fn new_id(kind: &str) -> String {
    let format = time::macros::format_description!("[year][month][day]-[hour][minute][second]");
    let stamp = time::OffsetDateTime::now_utc().format(&format).unwrap_or_default();
    format!("{kind}-{stamp}-{:04x}", rand::random::<u16>())
}

impl Store {
    /// Records a run as running and takes its lease.
    pub fn start_run(&self, new: &NewRun) -> Result<(String, Lease)> {
        let id = new_id(new.kind);
        let lease = self.lease(&id)?;
        self.wait(
            sqlx::query(
                "INSERT INTO runs (id, kind, status, model, model_hash, adapter, adapter_hash, dataset, dataset_version,
                 task, template, config, examinee, code_version, started_at, job)
                 VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(&id)
            .bind(new.kind)
            .bind(&new.model)
            .bind(&new.model_hash)
            .bind(&new.adapter)
            .bind(&new.adapter_hash)
            .bind(&new.dataset)
            .bind(&new.dataset_version)
            .bind(&new.task)
            .bind(&new.template)
            .bind(new.config.to_string())
            .bind(&new.examinee)
            .bind(code_version())
            .bind(now())
            .bind(job::current())
            .execute(&self.pool),
        )?;
        Ok((id, lease))
    }

    /// Takes up an interrupted, failed or cancelled run again.
    ///
    /// # Errors
    /// `InvalidInput` when another process is working on it.
    pub fn restart_run(&self, id: &str) -> Result<Lease> {
        let lease = self.lease(id)?;
        self.wait(
            sqlx::query(
                "UPDATE runs SET status = 'running', finished_at = NULL, error = NULL, job = coalesce(?, job)
                 WHERE id = ?",
            )
            .bind(job::current())
            .bind(id)
            .execute(&self.pool),
        )?;
        Ok(lease)
    }

    /// Records how a run ended: `Ok(result)` as done, `Interrupted` as cancelled, any other error as failed.
    pub fn finish_run(&self, id: &str, outcome: Result<&serde_json::Value, &Error>) -> Result<()> {
        let (status, result, error) = match outcome {
            Ok(result) => ("done", Some(result.to_string()), None),
            Err(e) => {
                let status = if e.kind == Kind::Interrupted { "cancelled" } else { "failed" };
                let detail = serde_json::json!({"kind": e.kind.as_str(), "message": e.message, "hint": e.hint});
                (status, None, Some(detail.to_string()))
            }
        };
        self.wait(
            sqlx::query("UPDATE runs SET status = ?, result = ?, error = ?, finished_at = ? WHERE id = ?")
                .bind(status)
                .bind(result)
                .bind(error)
                .bind(now())
                .bind(id)
                .execute(&self.pool),
        )?;
        Ok(())
    }

    /// Records the hash of the adapter that a training wrote.
    pub fn set_adapter_hash(&self, run: &str, hash: &str) -> Result<()> {
        self.wait(
            sqlx::query("UPDATE runs SET adapter_hash = ? WHERE id = ?").bind(hash).bind(run).execute(&self.pool),
        )?;
        Ok(())
    }

    /// All runs, the newest first; `kind` narrows them.
    pub fn runs(&self, kind: Option<&str>) -> Result<Vec<RunRecord>> {
        let rows = self.wait(
            sqlx::query("SELECT * FROM runs WHERE ?1 IS NULL OR kind = ?1 ORDER BY started_at DESC, id DESC")
                .bind(kind)
                .fetch_all(&self.pool),
        )?;
        rows.iter().map(|row| self.run_record(row)).collect()
    }

    /// The finished scores of an examinee on `task`, the newest first; none for an empty `examinee`.
    pub fn runs_of_examinee(&self, examinee: &str, task: &str) -> Result<Vec<RunRecord>> {
        let rows = self.wait(
            sqlx::query(
                "SELECT * FROM runs WHERE examinee = ?1 AND ?1 <> '' AND task = ?2 AND status = 'done'
                 ORDER BY started_at DESC, id DESC",
            )
            .bind(examinee)
            .bind(task)
            .fetch_all(&self.pool),
        )?;
        rows.iter().map(|row| self.run_record(row)).collect()
    }

    /// One run by its id or by an unambiguous beginning of it.
    ///
    /// # Errors
    /// `NotFound`, or `InvalidInput` when several runs begin so.
    pub fn run(&self, id: &str) -> Result<RunRecord> {
        let rows = self.wait(
            sqlx::query(
                "SELECT * FROM runs WHERE id = ?1 OR substr(id, 1, length(?1)) = ?1 ORDER BY id = ?1 DESC, id LIMIT 3",
            )
            .bind(id)
            .fetch_all(&self.pool),
        )?;
        let Some(first) = rows.first().filter(|_| !id.is_empty()) else {
            return Err(Error::new(Kind::NotFound, tr!("no run `{id}`", "没有运行 `{id}`"))
                .hint(tr!("`linly-bench runs list` shows them all", "用 `linly-bench runs list` 查看全部")));
        };
        let record = self.run_record(first)?;
        if rows.len() > 1 && record.id != id {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("several runs begin with `{id}`", "有多个运行以 `{id}` 开头"),
            )
            .hint(tr!("give more of the id", "请多写几位")));
        }
        Ok(record)
    }

    /// The events of a run after `seq`, in order, each with its number.
    pub fn events(&self, run: &str, after: i64) -> Result<Vec<(i64, JobEvent)>> {
        let rows = self.wait(
            sqlx::query("SELECT seq, payload FROM events WHERE run_id = ? AND seq > ? ORDER BY seq")
                .bind(run)
                .bind(after)
                .fetch_all(&self.pool),
        )?;
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let payload: String = row.get("payload");
            // An event of a later program version that this one cannot read is passed over, not fatal.
            if let Ok(event) = serde_json::from_str(&payload) {
                events.push((row.get("seq"), event));
            }
        }
        Ok(events)
    }

    /// At most `limit` events of a run, the newest first.
    pub fn recent_events(&self, run: &str, limit: u64) -> Result<Vec<JobEvent>> {
        let rows = self.wait(
            sqlx::query("SELECT payload FROM events WHERE run_id = ? ORDER BY seq DESC LIMIT ?")
                .bind(run)
                .bind(limit as i64)
                .fetch_all(&self.pool),
        )?;
        Ok(rows.iter().filter_map(|row| serde_json::from_str(&row.get::<String, _>("payload")).ok()).collect())
    }

    /// Forgets the step and validation events after `step`: a resumed run writes them again.
    pub fn truncate_events(&self, run: &str, step: u64) -> Result<()> {
        self.wait(
            sqlx::query("DELETE FROM events WHERE run_id = ? AND json_extract(payload, '$.step') > ?")
                .bind(run)
                .bind(step as i64)
                .execute(&self.pool),
        )?;
        Ok(())
    }

    fn append_event(&self, run: &str, event: &JobEvent) -> Result<()> {
        let payload = serde_json::to_string(event).map_err(|e| Error::internal(e.to_string()))?;
        self.wait(
            sqlx::query(
                "INSERT INTO events (run_id, seq, at, payload)
                 SELECT ?1, coalesce(max(seq), 0) + 1, ?2, ?3 FROM events WHERE run_id = ?1",
            )
            .bind(run)
            .bind(now())
            .bind(payload)
            .execute(&self.pool),
        )?;
        Ok(())
    }

    /// Names an adapter; a name that exists is given to the new one.
    pub fn put_adapter(&self, a: &AdapterRecord) -> Result<()> {
        self.wait(
            sqlx::query("INSERT OR REPLACE INTO adapters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(&a.name)
                .bind(&a.dir)
                .bind(&a.hash)
                .bind(&a.base)
                .bind(&a.base_hash)
                .bind(&a.template)
                .bind(&a.dataset)
                .bind(&a.dataset_version)
                .bind(&a.run_id)
                .bind(&a.created_at)
                .execute(&self.pool),
        )?;
        Ok(())
    }

    /// All named adapters, the newest first.
    pub fn adapters(&self) -> Result<Vec<AdapterRecord>> {
        let rows =
            self.wait(sqlx::query("SELECT * FROM adapters ORDER BY created_at DESC, name").fetch_all(&self.pool))?;
        Ok(rows
            .iter()
            .map(|row| AdapterRecord {
                name: row.get("name"),
                dir: row.get("dir"),
                hash: row.get("hash"),
                base: row.get("base"),
                base_hash: row.get("base_hash"),
                template: row.get("template"),
                dataset: row.get("dataset"),
                dataset_version: row.get("dataset_version"),
                run_id: row.get("run_id"),
                created_at: row.get("created_at"),
            })
            .collect())
    }

    fn lease(&self, id: &str) -> Result<Lease> {
        let path = self.locks.join(id);
        let lock = File::create(&path).map_err(|e| Error::io(&path, &e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Lease { _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::new(
                Kind::InvalidInput,
                tr!("run {id} is being worked on by another process", "运行 {id} 正由另一个进程处理"),
            )
            .hint(tr!("wait for it, or stop it first", "请等待它结束，或先停止它"))),
            Err(std::fs::TryLockError::Error(e)) => Err(Error::io(&path, &e)),
        }
    }

    fn is_alive(&self, id: &str) -> bool {
        let path = self.locks.join(id);
        match File::open(&path) {
            Ok(lock) => matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)),
            Err(_) => false,
        }
    }

    fn run_record(&self, row: &SqliteRow) -> Result<RunRecord> {
        let id: String = row.get("id");
        let status = match row.get::<String, _>("status").as_str() {
            "running" if self.is_alive(&id) => RunStatus::Running,
            "running" => RunStatus::Interrupted,
            "done" => RunStatus::Done,
            "cancelled" => RunStatus::Cancelled,
            _ => RunStatus::Failed,
        };
        let json = |column: &str| -> serde_json::Value {
            row.get::<Option<String>, _>(column)
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or(serde_json::Value::Null)
        };
        Ok(RunRecord {
            kind: row.get("kind"),
            status,
            model: row.get("model"),
            model_hash: row.get("model_hash"),
            adapter: row.get("adapter"),
            adapter_hash: row.get("adapter_hash"),
            dataset: row.get("dataset"),
            dataset_version: row.get("dataset_version"),
            task: row.get("task"),
            template: row.get("template"),
            config: json("config"),
            result: json("result"),
            code_version: row.get("code_version"),
            started: row.get("started_at"),
            finished: row.get("finished_at"),
            error: json("error"),
            job: row.get("job"),
            id,
        })
    }
}

/// A sink that keeps a run's events in the database. The first failure to write is kept and can be
/// asked for: a job must not go on for hours while its record is being lost.
pub struct StoreSink<'a> {
    store: &'a Store,
    run: String,
    failure: Mutex<Option<Error>>,
}

impl<'a> StoreSink<'a> {
    /// A sink for the run `run`.
    pub fn new(store: &'a Store, run: &str) -> Self {
        StoreSink { store, run: run.to_owned(), failure: Mutex::new(None) }
    }

    /// The first failure to write, if any.
    pub fn failure(&self) -> Option<Error> {
        self.failure.lock().map_or(None, |f| f.clone())
    }
}

impl EventSink for StoreSink<'_> {
    fn emit(&self, event: &JobEvent) {
        progress::observe(event);
        if matches!(event, JobEvent::Progress { .. }) {
            return;
        }
        if let (Err(e), Ok(mut failure)) = (self.store.append_event(&self.run, event), self.failure.lock()) {
            failure.get_or_insert(e);
        }
    }
}
