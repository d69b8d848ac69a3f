//! The database: one SQLite file, `linly.db` in the home. The only place with SQL.
//!
//! Callers are ordinary threads: every method blocks until SQLite has answered. The pool's futures
//! run on a small runtime that the store owns, so nothing outside this folder is asynchronous.

mod arena;
mod dataset_changes;
mod dataset_rows;
mod dataset_versions;
mod dataset_writer;
mod datasets;
mod drafts;
mod files;
mod gram_index;
mod jobs;
mod marks;
mod outcomes;
mod rejects;
mod row_key;
mod runs;
mod search;
mod sqlite;

pub use arena::ArenaRecord;
pub use dataset_changes::RowChange;
pub use dataset_rows::{Matched, RowQuery, StoredRow};
pub use dataset_versions::{DiffRow, RowDiff, VersionRecord};
pub use dataset_writer::{DatasetWriter, Existing, Written, name_taken};
pub use datasets::{DatasetRecord, check_dataset_name};
pub use drafts::{DraftRecord, Like, no_draft};
pub use files::FileStamp;
pub use jobs::{JobEnd, JobRecord, JobState};
pub use marks::{Mark, Marks, RowMark};
pub use outcomes::SubjectCount;
pub use runs::{AdapterRecord, Lease, NewRun, RunRecord, RunStatus, StoreSink, code_version};

use crate::error::{Error, Kind, Result};
use crate::tr;
use sqlite::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Bytes of a page in a new file: a row of the usual size fits whole, and a small commit still writes little.
const PAGE_SIZE: u32 = 8192;

/// An open database. Cheap to share by reference between threads.
pub struct Store {
    pool: SqlitePool,
    runtime: tokio::runtime::Runtime,
    path: PathBuf,
    /// Folder of the lock files that tell a living run from a killed one.
    locks: PathBuf,
}

impl Store {
    /// Opens `linly.db` in `home`, creating and migrating it as needed.
    ///
    /// # Errors
    /// `NewerVersion` when the file holds a migration that this program does not know, `Corrupt`
    /// when it is not a database, `NoSpace`/`Io` when it cannot be written.
    pub fn open(home: &Path) -> Result<Store> {
        let locks = home.join("locks");
        std::fs::create_dir_all(&locks).map_err(|e| Error::io(&locks, &e))?;
        let path = home.join("linly.db");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Error::internal(e.to_string()))?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .page_size(PAGE_SIZE)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(30))
            .foreign_keys(true);
        let pool = runtime
            .block_on(SqlitePoolOptions::new().max_connections(4).connect_with(options))
            .map_err(|e| database_error(&path, e))?;
        runtime.block_on(MIGRATIONS.run(&pool)).map_err(|e| migration_error(&path, e))?;
        Ok(Store { pool, runtime, path, locks })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs one database future to its end and gives its failure this crate's form.
    fn wait<T>(&self, future: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T> {
        self.runtime.block_on(future).map_err(|e| database_error(&self.path, e))
    }

    /// A connection for what moves many rows.
    fn connection(&self) -> Result<Connection> {
        Connection::open(&self.path)
    }

    /// Runs `change` in a transaction: all of it happens, or nothing.
    fn change<T>(&self, change: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = self.connection()?;
        // IMMEDIATE: a reader that becomes a writer later can lose against another writer half-way.
        connection.execute("BEGIN IMMEDIATE")?;
        let done = change(&connection)?;
        connection.execute("COMMIT")?;
        Ok(done)
    }
}

/// Now, as the database writes it: RFC 3339, UTC, milliseconds.
pub fn now() -> String {
    let format =
        time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    time::OffsetDateTime::now_utc().format(&format).unwrap_or_default()
}

fn database_error(path: &Path, error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|e| e.code()?.parse().ok()).unwrap_or(0);
    error_of_code(path, code, &error.to_string())
}

/// The error behind a result code of SQLite and its `message`.
fn error_of_code(path: &Path, code: i32, message: &str) -> Error {
    let place = path.display();
    // The primary code is the low byte of the extended one.
    match code & 0xff {
        13 => Error::io(path, &std::io::ErrorKind::StorageFull.into()),
        11 | 26 => {
            Error::new(Kind::Corrupt, tr!("{place} is damaged or not a database", "{place} 已损坏，或不是数据库文件"))
                .hint(tr!(
                    "move it away and start anew, or choose another home with --home DIR",
                    "请把它移走后重新开始，或用 --home DIR 另选目录"
                ))
        }
        14 => Error::new(Kind::Io, tr!("cannot open the database {place}", "无法打开数据库 {place}"))
            .hint(tr!("check that the folder exists and can be written", "请检查目录存在且可写")),
        8 => Error::new(Kind::Io, tr!("the database {place} is read-only", "数据库 {place} 只读")).hint(tr!(
            "check the permissions, or choose another home with --home DIR",
            "请检查权限，或用 --home DIR 另选目录"
        )),
        5 | 6 => Error::new(
            Kind::Io,
            tr!("the database {place} is held by another program", "数据库 {place} 被其他程序占用"),
        )
        .hint(tr!("wait for it to finish and try again", "请等它结束后再试")),
        _ => Error::internal(tr!("database {place}: {message}", "数据库 {place}：{message}")),
    }
}

fn too_long(path: &Path) -> Error {
    let place = path.display();
    Error::new(
        Kind::Unsupported,
        tr!("a text is too long for the database {place}", "文本过长，数据库 {place} 无法保存"),
    )
    .hint(tr!("a row may have up to 1 GB", "每行最多 1 GB"))
}

fn damaged_text() -> Error {
    Error::new(Kind::Corrupt, tr!("a text in the database is not UTF-8", "数据库中有文本不是 UTF-8"))
        .hint(tr!("import the dataset again with --replace", "请用 --replace 重新导入该数据集"))
}

fn migration_error(path: &Path, error: sqlx::migrate::MigrateError) -> Error {
    use sqlx::migrate::MigrateError::{Execute, ExecuteMigration, VersionMissing};
    match error {
        VersionMissing(version) => Error::new(
            Kind::NewerVersion,
            tr!(
                "{} was written by a newer linly-bench (migration {version} is unknown here)",
                "{} 由更新版本的 linly-bench 写成（本程序不认识迁移 {version}）",
                path.display()
            ),
        )
        .hint(tr!(
            "update linly-bench, or use another home with --home DIR; nothing was changed",
            "请升级 linly-bench，或用 --home DIR 另选目录；没有改动任何内容"
        )),
        Execute(e) | ExecuteMigration(e, _) => database_error(path, e),
        other => Error::internal(tr!("database {}: {other}", "数据库 {}：{other}", path.display())),
    }
}
