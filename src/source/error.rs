//! What can be wrong with a source, in one line that names the thing and the way out.

use std::fmt;
use std::io;

use super::FilterError;

/// Why a source cannot go on.
#[derive(Debug)]
pub enum SourceError {
    /// It cannot be opened.
    Open {
        /// The file, or `standard input`.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// It is there, and it is no capture file.
    NotCapture {
        /// The file, or `standard input`.
        name: String,
        /// What it looks like, and what to do about it.
        appearance: String,
    },
    /// It is a capture file up to some place. All packets before that were yielded; of a compressed file, all that
    /// could be unpacked.
    Damaged {
        /// The file, or `standard input`.
        name: String,
        /// The beginning of what cannot be read, in bytes; of a compressed file, after unpacking.
        offset: u64,
        /// Packets of this file before it.
        packets: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The filter cannot be used.
    Filter(FilterError),
    /// An interface cannot be captured on: why, and what to do.
    Live(String),
    /// An interface went away while it was captured on.
    Gone {
        /// The interface.
        name: String,
        /// What libpcap says.
        reason: String,
        /// Whether the capture goes on: others are captured on, or it is waited for.
        goes_on: bool,
    },
    /// What packets are recorded to cannot be written any more; reading goes on.
    Recording {
        /// The file.
        name: String,
        /// Why.
        error: io::Error,
    },
}

impl SourceError {
    /// Whether the source has more to give all the same.
    pub const fn goes_on(&self) -> bool {
        matches!(self, SourceError::Damaged { .. } | SourceError::Gone { .. } | SourceError::Recording { .. })
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::Open { name, error } => {
                write!(f, "cannot open {name}: {}", without_code(error))?;
                match error.kind() {
                    io::ErrorKind::PermissionDenied => write!(f, "; it may need sudo, as its capture did"),
                    _ => Ok(()),
                }
            }
            SourceError::NotCapture { name, appearance } => write!(f, "{name} is not a capture file: {appearance}"),
            SourceError::Damaged { name, offset, packets, reason } => {
                let plural = if *packets == 1 { "" } else { "s" };
                write!(f, "{name} is damaged at byte {offset}, after {packets} packet{plural}: {reason}")
            }
            SourceError::Filter(error) => error.fmt(f),
            SourceError::Live(text) => f.write_str(text),
            SourceError::Gone { name, reason, goes_on } => {
                let rest = match goes_on {
                    true => "nothing is captured on it until it is back",
                    false => "the capture ends with what it has; with -i any, interfaces may come and go",
                };
                write!(f, "the interface {name} is gone ({reason}): {rest}")
            }
            SourceError::Recording { name, error } => {
                write!(
                    f,
                    "cannot write {name}: {}; it is whole as far as it goes, and the analysis goes on",
                    without_code(error)
                )
            }
        }
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SourceError::Open { error, .. } | SourceError::Recording { error, .. } => Some(error),
            SourceError::Filter(error) => Some(error),
            SourceError::NotCapture { .. }
            | SourceError::Damaged { .. }
            | SourceError::Live(_)
            | SourceError::Gone { .. } => None,
        }
    }
}

impl From<FilterError> for SourceError {
    fn from(error: FilterError) -> SourceError {
        SourceError::Filter(error)
    }
}

/// An error of the system in its own words, without `(os error 2)`.
pub(crate) fn without_code(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
