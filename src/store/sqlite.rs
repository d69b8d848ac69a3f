//! A connection of its own to the database file, for what moves many rows: an import binds fourteen values a row, and
//! handing each of them to the pool's worker thread costs more than SQLite takes to store them (docs/lab-notes.md).
//! The store's only unsafe code; everything outside this file is safe Rust over SQLite's documented C interface.

use crate::error::{Error, Result};
use libsqlite3_sys as ffi;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::ptr::{NonNull, null, null_mut};

/// A value that is bound to a statement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'v> {
    Null,
    Int(i64),
    Text(&'v str),
    Blob(&'v [u8]),
}

/// An open connection. What was begun and not committed is undone when it is dropped.
pub(super) struct Connection {
    handle: NonNull<ffi::sqlite3>,
    path: PathBuf,
    /// Statements that are not in use, by their text.
    idle: RefCell<Vec<(Box<str>, Statement)>>,
}

// SAFETY: the library is compiled for threads and the handle is opened for use by one thread at a time (NOMUTEX), which
// is what ownership of a value that is Send but not Sync means.
unsafe impl Send for Connection {}

impl Connection {
    /// Opens the file, which exists.
    pub fn open(path: &Path) -> Result<Connection> {
        let name = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|e| Error::internal(e.to_string()))?;
        let flags = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_NOMUTEX | ffi::SQLITE_OPEN_EXRESCODE;
        let mut handle = null_mut();
        // SAFETY: `name` ends with a zero byte and outlives the call; `handle` receives a pointer.
        let code = unsafe { ffi::sqlite3_open_v2(name.as_ptr(), &mut handle, flags, null()) };
        let handle = NonNull::new(handle).ok_or_else(|| Error::internal("SQLite has no memory for a connection"))?;
        let connection = Connection { handle, path: path.to_owned(), idle: RefCell::default() };
        connection.check(code)?;
        // SAFETY: the handle is open.
        unsafe { ffi::sqlite3_busy_timeout(handle.as_ptr(), 30_000) };
        connection.execute("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -32768")?;
        Ok(connection)
    }

    /// Runs statements that give no rows and take no values.
    pub fn execute(&self, sql: &str) -> Result<()> {
        let sql = CString::new(sql).map_err(|e| Error::internal(e.to_string()))?;
        // SAFETY: the handle is open, the text ends with a zero byte, and there is no callback.
        let code = unsafe { ffi::sqlite3_exec(self.handle.as_ptr(), sql.as_ptr(), None, null_mut(), null_mut()) };
        self.check(code)
    }

    /// Runs one statement.
    pub fn run(&self, sql: &str, values: &[Value<'_>]) -> Result<()> {
        self.each(sql, values, |_| Ok(true))
    }

    /// Runs one statement and hands its rows to `on` until that gives `false`.
    pub fn each(&self, sql: &str, values: &[Value<'_>], mut on: impl FnMut(&Row<'_>) -> Result<bool>) -> Result<()> {
        // Taken out of the list while it is in use, so that `on` may use the same text again.
        let mut statement = self.statement(sql)?;
        let result = (|| {
            statement.bind(self, values)?;
            loop {
                // SAFETY: the statement is valid, and what is bound to it lives until this function returns.
                match unsafe { ffi::sqlite3_step(statement.0.as_ptr()) } {
                    ffi::SQLITE_ROW => {
                        let row = Row { statement: statement.0, connection: PhantomData };
                        if !on(&row)? {
                            return Ok(());
                        }
                    }
                    ffi::SQLITE_DONE => return Ok(()),
                    code => return self.check(code),
                }
            }
        })();
        statement.clear();
        self.idle.borrow_mut().push((Box::from(sql), statement));
        result
    }

    /// The number in the first column of the first row; `None` when there is no row or it is null.
    pub fn number(&self, sql: &str, values: &[Value<'_>]) -> Result<Option<i64>> {
        let mut found = None;
        self.each(sql, values, |row| {
            found = row.number(0);
            Ok(false)
        })?;
        Ok(found)
    }

    /// The id of the row that was inserted last.
    pub fn last_id(&self) -> i64 {
        // SAFETY: the handle is open.
        unsafe { ffi::sqlite3_last_insert_rowid(self.handle.as_ptr()) }
    }

    fn statement(&self, sql: &str) -> Result<Statement> {
        {
            let mut idle = self.idle.borrow_mut();
            if let Some(at) = idle.iter().rposition(|(text, _)| **text == *sql) {
                return Ok(idle.swap_remove(at).1);
            }
        }
        let len = c_int::try_from(sql.len()).map_err(|e| Error::internal(e.to_string()))?;
        let mut statement = null_mut();
        // SAFETY: the handle is open and the text has `len` bytes.
        let code = unsafe {
            let text = sql.as_ptr().cast::<c_char>();
            let flags = ffi::SQLITE_PREPARE_PERSISTENT;
            ffi::sqlite3_prepare_v3(self.handle.as_ptr(), text, len, flags, &mut statement, null_mut())
        };
        self.check(code)?;
        NonNull::new(statement).map(Statement).ok_or_else(|| Error::internal("a statement without words"))
    }

    fn check(&self, code: c_int) -> Result<()> {
        if code == ffi::SQLITE_OK {
            return Ok(());
        }
        // SAFETY: the handle is open; the message is a C string that lives until the next call, and it is copied.
        let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(self.handle.as_ptr())) }.to_string_lossy();
        Err(super::error_of_code(&self.path, code, &message))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Statements first: a connection with statements does not close.
        self.idle.borrow_mut().clear();
        // SAFETY: the handle is open, and nothing uses it afterwards. An open transaction is rolled back.
        unsafe { ffi::sqlite3_close(self.handle.as_ptr()) };
    }
}

/// A prepared statement. Lives no longer than its connection, which holds it.
struct Statement(NonNull<ffi::sqlite3_stmt>);

impl Statement {
    fn bind(&mut self, connection: &Connection, values: &[Value<'_>]) -> Result<()> {
        let statement = self.0.as_ptr();
        for (value, at) in values.iter().zip(1..) {
            let length = |bytes: usize| c_int::try_from(bytes).map_err(|_| super::too_long(&connection.path));
            // SAFETY: the statement is valid. Texts and blobs are not copied (no destructor): they outlive the
            // stepping, because `Connection::each` borrows them and clears the bindings before it returns.
            let code = unsafe {
                match value {
                    Value::Null => ffi::sqlite3_bind_null(statement, at),
                    Value::Int(number) => ffi::sqlite3_bind_int64(statement, at, *number),
                    Value::Text("") => ffi::sqlite3_bind_text(statement, at, c"".as_ptr(), 0, ffi::SQLITE_STATIC()),
                    Value::Text(text) => {
                        let start = text.as_ptr().cast::<c_char>();
                        ffi::sqlite3_bind_text(statement, at, start, length(text.len())?, ffi::SQLITE_STATIC())
                    }
                    Value::Blob([]) => ffi::sqlite3_bind_zeroblob(statement, at, 0),
                    Value::Blob(bytes) => {
                        let start = bytes.as_ptr().cast();
                        ffi::sqlite3_bind_blob(statement, at, start, length(bytes.len())?, ffi::SQLITE_STATIC())
                    }
                }
            };
            connection.check(code)?;
        }
        Ok(())
    }

    fn clear(&mut self) {
        // SAFETY: the statement is valid. A failure of the last step is given again here and was reported there.
        unsafe {
            ffi::sqlite3_reset(self.0.as_ptr());
            ffi::sqlite3_clear_bindings(self.0.as_ptr());
        }
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        // SAFETY: the statement is valid, and its connection is still open.
        unsafe { ffi::sqlite3_finalize(self.0.as_ptr()) };
    }
}

/// The row that a statement stands at. Columns are counted from 0.
pub(super) struct Row<'c> {
    statement: NonNull<ffi::sqlite3_stmt>,
    connection: PhantomData<&'c Connection>,
}

impl Row<'_> {
    /// A number; 0 for null.
    pub fn int(&self, column: c_int) -> i64 {
        // SAFETY: the statement stands at a row. A column that is not there reads as null.
        unsafe { ffi::sqlite3_column_int64(self.statement.as_ptr(), column) }
    }

    /// A number that may be missing.
    pub fn number(&self, column: c_int) -> Option<i64> {
        // SAFETY: as above.
        let kind = unsafe { ffi::sqlite3_column_type(self.statement.as_ptr(), column) };
        (kind != ffi::SQLITE_NULL).then(|| self.int(column))
    }

    /// Bytes: those of a blob, or of a text in UTF-8; empty for null.
    pub fn bytes(&self, column: c_int) -> &[u8] {
        // SAFETY: the statement stands at a row, and the bytes live until it is stepped or reset, which needs the borrow
        // of this row to have ended. SQLite gives a null pointer for an empty blob.
        unsafe {
            let start = ffi::sqlite3_column_blob(self.statement.as_ptr(), column).cast::<u8>();
            let length = usize::try_from(ffi::sqlite3_column_bytes(self.statement.as_ptr(), column)).unwrap_or(0);
            if start.is_null() { &[] } else { std::slice::from_raw_parts(start, length) }
        }
    }

    /// A text; empty for null.
    pub fn text(&self, column: c_int) -> Result<&str> {
        std::str::from_utf8(self.bytes(column)).map_err(|_| super::damaged_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        std::fs::write(&path, "").unwrap();
        (dir, Connection::open(&path).unwrap())
    }

    #[test]
    fn values_come_back_as_they_were_bound() {
        let (_dir, c) = open();
        c.execute("CREATE TABLE t (a INTEGER, b TEXT, c BLOB)").unwrap();
        let insert = "INSERT INTO t VALUES (?, ?, ?)";
        c.run(insert, &[Value::Int(i64::MIN), Value::Text("宝\0盆"), Value::Blob(&[0, 255])]).unwrap();
        c.run(insert, &[Value::Null, Value::Text(""), Value::Blob(&[])]).unwrap();
        let mut rows = Vec::new();
        c.each("SELECT a, b, c FROM t ORDER BY rowid", &[], |row| {
            rows.push((row.number(0), row.text(1)?.to_owned(), row.bytes(2).to_vec()));
            Ok(true)
        })
        .unwrap();
        let expected = [(Some(i64::MIN), "宝\0盆".to_owned(), vec![0, 255]), (None, String::new(), Vec::new())];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_statement_may_be_used_inside_itself_and_after_a_failure() {
        let (_dir, c) = open();
        c.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)").unwrap();
        let insert = "INSERT INTO t VALUES (?)";
        for n in [1, 2] {
            c.run(insert, &[Value::Int(n)]).unwrap();
        }
        assert!(c.run(insert, &[Value::Int(1)]).is_err());
        c.run(insert, &[Value::Int(3)]).unwrap();
        let (select, mut pairs) = ("SELECT a FROM t", 0);
        c.each(select, &[], |_| {
            c.each(select, &[], |_| {
                pairs += 1;
                Ok(true)
            })?;
            Ok(true)
        })
        .unwrap();
        assert_eq!(pairs, 9);
        assert!(c.execute("SELEKT 1").is_err());
        assert_eq!(c.number("SELECT max(a) FROM t WHERE a > 9", &[]).unwrap(), None);
    }

    #[test]
    fn what_is_not_committed_is_undone() {
        let (dir, c) = open();
        c.execute("CREATE TABLE t (a INTEGER); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
        drop(c);
        let c = Connection::open(&dir.path().join("t.db")).unwrap();
        assert_eq!(c.number("SELECT count(*) FROM t", &[]).unwrap(), Some(0));
    }
}
