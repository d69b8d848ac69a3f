//! One error type: what went wrong (kind and message) and what to do about it (hint).

use std::fmt;
use std::path::Path;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is; the word in `--json` output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that was named does not exist.
    NotFound,
    /// Input that cannot be understood: a malformed file, an unknown name, a missing column.
    InvalidInput,
    /// A file that is damaged or not what its name says.
    Corrupt,
    /// Two things that do not belong together (an adapter and another base).
    Mismatch,
    /// Something that this build or machine cannot do.
    Unsupported,
    /// The database was written by a newer program.
    NewerVersion,
    /// The disk is full.
    NoSpace,
    /// Memory does not suffice.
    OutOfMemory,
    /// A download failed from every source.
    Network,
    /// Any other failure of the operating system.
    Io,
    /// The user stopped it (Ctrl-C); exit code 130.
    Interrupted,
    /// The command line lacks something or contradicts itself; exit code 2.
    Usage,
    /// A fault of this program.
    Internal,
}

impl Kind {
    /// The kind as `--json` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::NotFound => "not_found",
            Kind::InvalidInput => "invalid_input",
            Kind::Corrupt => "corrupt",
            Kind::Mismatch => "mismatch",
            Kind::Unsupported => "unsupported",
            Kind::NewerVersion => "newer_version",
            Kind::NoSpace => "no_space",
            Kind::OutOfMemory => "out_of_memory",
            Kind::Network => "network",
            Kind::Io => "io",
            Kind::Interrupted => "interrupted",
            Kind::Usage => "usage",
            Kind::Internal => "internal",
        }
    }
}

/// A failure with a way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What sort of failure it is.
    pub kind: Kind,
    /// What happened, where (file, line, name), in the language in force.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Error {
    /// A failure of `kind`, described by `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hint: None }
    }

    /// The same failure with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An I/O failure on `path`; a full disk, a missing file and a refused permission get their own words.
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        let place = path.display();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::new(
                Kind::NoSpace,
                crate::tr!("no space left on the disk while writing {place}", "写入 {place} 时磁盘空间已满"),
            )
            .hint(crate::tr!(
                "free some space, or put the home on another disk with --home DIR; nothing half-written was left",
                "请清理磁盘，或用 --home DIR 换到另一块盘；没有留下写了一半的文件"
            )),
            std::io::ErrorKind::NotFound => {
                Error::new(Kind::NotFound, crate::tr!("{place}: no such file or folder", "{place}：没有这个文件或目录"))
            }
            std::io::ErrorKind::PermissionDenied => {
                Error::new(Kind::Io, crate::tr!("{place}: permission denied", "{place}：没有权限"))
                    .hint(crate::tr!("check the owner and the mode of that path", "请检查该路径的属主与权限"))
            }
            _ => Error::new(Kind::Io, format!("{place}: {error}")),
        }
    }

    /// A fault of this program: something that cannot happen did.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(Kind::Internal, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
