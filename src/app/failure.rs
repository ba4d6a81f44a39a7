//! Why a run failed, in one line that names the thing and the way out.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::cli::UsageError;
use crate::output::query::QueryError;
use crate::source::{FilterError, SourceError, without_code};

/// Why a run failed.
#[derive(Debug)]
pub(super) enum Failure {
    Usage(UsageError),
    Source(SourceError),
    /// A key log that somebody asked for.
    Keylog(PathBuf, io::Error),
    /// The file of `-w`.
    Write(PathBuf, io::Error),
    /// Standard output.
    Output(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(UsageError(text)) => f.write_str(text),
            Failure::Source(error) => error.fmt(f),
            Failure::Keylog(file, error) => {
                write!(f, "cannot read the key log {}: {}", file.display(), without_code(error))
            }
            Failure::Write(file, error) => write!(f, "cannot write {}: {}", file.display(), without_code(error)),
            Failure::Output(error) => write!(f, "cannot write to standard output: {}", without_code(error)),
        }
    }
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Failure {
        Failure::Usage(error)
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        Failure::Usage(UsageError(error.to_string()))
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Failure {
        Failure::Source(error)
    }
}

impl From<FilterError> for Failure {
    fn from(error: FilterError) -> Failure {
        Failure::Source(error.into())
    }
}
