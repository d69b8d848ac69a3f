//! Records of background jobs. Whether a job's process still lives is seen from its lock, not from here
//! (`workbench/jobs`).

use super::runs::new_id;
use super::{Store, now};
use crate::error::{Error, Kind, Result};
use crate::job::progress::Progress;
use crate::tr;
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its process is alive.
    Running,
    /// It ended with exit code 0.
    Finished,
    /// It ended with another exit code.
    Failed,
    /// It was stopped (exit code 130), or its process was killed without a request to stop (no exit code).
    Interrupted,
}

impl JobState {
    /// The word in the database and in `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Running => "running",
            JobState::Finished => "finished",
            JobState::Failed => "failed",
            JobState::Interrupted => "interrupted",
        }
    }
}

/// A job as the database holds it.
#[derive(Clone, Debug, Serialize)]
pub struct JobRecord {
    /// Job id: `job-<date>-<time>-<4 hex>`.
    #[serde(rename = "job")]
    pub id: String,
    /// Arguments after the program's name, without `--home`.
    pub argv: Vec<String>,
    /// Folder that relative paths in `argv` start from.
    pub cwd: String,
    /// What it does, in one line.
    pub title: String,
    /// How it stands.
    pub state: JobState,
    /// When it was asked for, RFC 3339 UTC.
    pub created: String,
    /// When its process began to work, RFC 3339 UTC.
    pub started: Option<String>,
    /// When it ended, RFC 3339 UTC; unknown for a killed one.
    pub ended: Option<String>,
    /// Exit code of the command; `None` while it runs and for a killed one.
    pub exit_code: Option<u8>,
    /// Its process; meaningful while it runs.
    pub pid: Option<u32>,
    /// How often it was asked to stop.
    pub stops: u32,
    /// Why it did not finish; the hint is on a line of its own.
    pub message: Option<String>,
    /// The job that went on with its work.
    pub resumed_as: Option<String>,
    /// How far it was when it ended; of a running one its progress file tells.
    #[serde(skip)]
    pub progress: Option<Progress>,
}

/// How a job ended.
#[derive(Clone, Debug)]
pub struct JobEnd {
    /// Any state but `Running`.
    pub state: JobState,
    /// Exit code of the command; `None` for a killed one.
    pub exit_code: Option<u8>,
    /// Why it did not finish; the hint on a line of its own.
    pub message: Option<String>,
    /// How far it was.
    pub progress: Option<Progress>,
    /// Whether it ended just now; when a killed one died is not known.
    pub now: bool,
}

impl Store {
    /// An id for a job that is about to be recorded.
    pub fn new_job_id(&self) -> String {
        new_id("job")
    }

    /// Records the job `id` as running.
    pub fn insert_job(&self, id: &str, argv: &[String], cwd: &str, title: &str) -> Result<()> {
        let argv = serde_json::to_string(argv).map_err(|e| Error::internal(e.to_string()))?;
        self.wait(
            sqlx::query("INSERT INTO jobs (id, argv, cwd, title, state, created_at) VALUES (?, ?, ?, ?, 'running', ?)")
                .bind(id)
                .bind(argv)
                .bind(cwd)
                .bind(title)
                .bind(now())
                .execute(&self.pool),
        )?;
        Ok(())
    }

    /// Records the process that works on a job.
    pub fn set_job_pid(&self, id: &str, pid: u32) -> Result<()> {
        self.wait(sqlx::query("UPDATE jobs SET pid = ? WHERE id = ?").bind(pid).bind(id).execute(&self.pool))?;
        Ok(())
    }

    /// Records that a job's process, `pid`, began to work.
    pub fn set_job_started(&self, id: &str, pid: u32) -> Result<()> {
        self.wait(
            sqlx::query("UPDATE jobs SET started_at = ?, pid = ? WHERE id = ?")
                .bind(now())
                .bind(pid)
                .bind(id)
                .execute(&self.pool),
        )?;
        Ok(())
    }

    /// Notes that the job `next` goes on with the work of `id`. False when another one does already: of several that
    /// try at the same time one succeeds.
    pub fn claim_job(&self, id: &str, next: &str) -> Result<bool> {
        let done = self.wait(
            sqlx::query("UPDATE jobs SET resumed_as = ? WHERE id = ? AND resumed_as IS NULL AND state <> 'running'")
                .bind(next)
                .bind(id)
                .execute(&self.pool),
        )?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes the note back: `next` did not come to be.
    pub fn release_job(&self, next: &str) -> Result<()> {
        self.wait(
            sqlx::query("UPDATE jobs SET resumed_as = NULL WHERE resumed_as = ?").bind(next).execute(&self.pool),
        )?;
        Ok(())
    }

    /// Counts one more request to stop and gives how many there were, this one included.
    pub fn count_job_stop(&self, id: &str) -> Result<u32> {
        let row = self.wait(
            sqlx::query("UPDATE jobs SET stops = stops + 1 WHERE id = ? RETURNING stops")
                .bind(id)
                .fetch_optional(&self.pool),
        )?;
        Ok(row.map_or(1, |row| row.get("stops")))
    }

    /// Records how a job ended. What was recorded first stays.
    pub fn end_job(&self, id: &str, end: &JobEnd) -> Result<()> {
        let progress = end.progress.as_ref().map(serde_json::to_string).transpose();
        let progress = progress.map_err(|e| Error::internal(e.to_string()))?;
        self.wait(
            sqlx::query(
                "UPDATE jobs SET state = ?, exit_code = ?, message = ?, progress = ?, ended_at = ?
                 WHERE id = ? AND state = 'running'",
            )
            .bind(end.state.as_str())
            .bind(end.exit_code)
            .bind(&end.message)
            .bind(progress)
            .bind(end.now.then(now))
            .bind(id)
            .execute(&self.pool),
        )?;
        Ok(())
    }

    /// All jobs, the newest first.
    pub fn jobs(&self) -> Result<Vec<JobRecord>> {
        let rows =
            self.wait(sqlx::query("SELECT * FROM jobs ORDER BY created_at DESC, id DESC").fetch_all(&self.pool))?;
        Ok(rows.iter().map(job_record).collect())
    }

    /// One job by its id or by an unambiguous beginning of it.
    ///
    /// # Errors
    /// `NotFound`, or `InvalidInput` when several jobs begin so.
    pub fn job(&self, id: &str) -> Result<JobRecord> {
        let rows = self.wait(
            sqlx::query(
                "SELECT * FROM jobs WHERE id = ?1 OR substr(id, 1, length(?1)) = ?1 ORDER BY id = ?1 DESC, id LIMIT 3",
            )
            .bind(id)
            .fetch_all(&self.pool),
        )?;
        let Some(first) = rows.first().filter(|_| !id.is_empty()) else {
            return Err(Error::new(Kind::NotFound, tr!("no job `{id}`", "没有任务 `{id}`"))
                .hint(tr!("`linly-bench jobs list` shows them all", "用 `linly-bench jobs list` 查看全部")));
        };
        let record = job_record(first);
        if rows.len() > 1 && record.id != id {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("several jobs begin with `{id}`", "有多个任务以 `{id}` 开头"),
            )
            .hint(tr!("give more of the id", "请多写几位")));
        }
        Ok(record)
    }

    /// Pairs of job and run, the runs of a job in the order in which they began.
    pub fn runs_of_jobs(&self) -> Result<Vec<(String, String)>> {
        let rows = self.wait(
            sqlx::query("SELECT job, id FROM runs WHERE job IS NOT NULL ORDER BY started_at, id").fetch_all(&self.pool),
        )?;
        Ok(rows.iter().map(|row| (row.get("job"), row.get("id"))).collect())
    }

    /// Forgets a job; the runs that it started stay. Those that it took over from another job are that one's again, which
    /// can be resumed unless this one finished.
    pub fn delete_job(&self, id: &str) -> Result<()> {
        for change in [
            "UPDATE runs SET job = (SELECT id FROM jobs WHERE resumed_as = ?1) WHERE job = ?1",
            "UPDATE jobs SET resumed_as = NULL WHERE resumed_as = ?1
             AND (SELECT state FROM jobs WHERE id = ?1) <> 'finished'",
            "DELETE FROM jobs WHERE id = ?1",
        ] {
            self.wait(sqlx::query(change).bind(id).execute(&self.pool))?;
        }
        Ok(())
    }
}

fn job_record(row: &SqliteRow) -> JobRecord {
    let state = match row.get::<String, _>("state").as_str() {
        "running" => JobState::Running,
        "finished" => JobState::Finished,
        "interrupted" => JobState::Interrupted,
        _ => JobState::Failed,
    };
    JobRecord {
        id: row.get("id"),
        argv: serde_json::from_str(&row.get::<String, _>("argv")).unwrap_or_default(),
        cwd: row.get("cwd"),
        title: row.get("title"),
        state,
        created: row.get("created_at"),
        started: row.get("started_at"),
        ended: row.get("ended_at"),
        exit_code: row.get("exit_code"),
        pid: row.get("pid"),
        stops: row.get("stops"),
        message: row.get("message"),
        resumed_as: row.get("resumed_as"),
        progress: row.get::<Option<String>, _>("progress").and_then(|text| serde_json::from_str(&text).ok()),
    }
}
