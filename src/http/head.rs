//! Heads: the start line and the fields of a message.

use std::ops::Deref;
use std::sync::Arc;

pub use crate::http::fields::{Field, Fields};
pub use crate::http::start_line::{RequestLine, StatusLine, Version};

/// The head of a request: reads as its [`RequestLine`], and has fields.
///
/// 56 bytes, whatever it says: line and fields are shared with all heads that say the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestHead {
    pub(super) line: RequestLine,
    /// The fields.
    pub fields: Fields,
}

impl RequestHead {
    /// From its parts; `lines` are the field lines.
    pub fn new(method: &str, target: &str, version: Option<Version>, lines: &str) -> RequestHead {
        RequestHead { line: RequestLine::new(method, target, version), fields: Fields::new(lines) }
    }

    /// The line.
    pub fn line(&self) -> &RequestLine {
        &self.line
    }

    /// Makes this the head with another line, and another value in the place of the one that is kept aside.
    pub fn put(&mut self, line: &RequestLine, aside: &[u8]) {
        self.line = line.clone();
        self.fields.put_aside(aside);
    }

    /// The query, without the question mark.
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// The Host field; in HTTP/2 `:authority`, which stands for it (RFC 9113 §8.3.1).
    pub fn host(&self) -> Option<&str> {
        match self.version() {
            Some(Version::HTTP_2) => self.fields.first(":authority").or_else(|| self.fields.first("Host")),
            _ => self.fields.first("Host"),
        }
    }

    /// Whether it asks for a WebSocket over HTTP/2, by an extended CONNECT (RFC 8441 §4).
    pub fn is_extended_connect(&self) -> bool {
        self.method() == "CONNECT"
            && self.version() == Some(Version::HTTP_2)
            && self.fields.first(":protocol").is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
    }
}

impl Deref for RequestHead {
    type Target = RequestLine;

    fn deref(&self) -> &RequestLine {
        &self.line
    }
}

/// The head of a response: reads as its [`StatusLine`], and has fields.
///
/// 48 bytes, whatever it says: line and fields are shared with all heads that say the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResponseHead {
    pub(super) line: Arc<StatusLine>,
    /// The fields.
    pub fields: Fields,
}

impl ResponseHead {
    /// From its parts; `lines` are the field lines.
    pub fn new(version: Version, status: u16, reason: &str, lines: &str) -> ResponseHead {
        ResponseHead { line: Arc::new(StatusLine::new(version, status, reason)), fields: Fields::new(lines) }
    }

    /// Whether this shares its memory with that: they say the same, but for the value that is kept aside.
    pub fn shares_with(&self, other: &ResponseHead) -> bool {
        Arc::ptr_eq(&self.line, &other.line) && self.fields.shares_with(&other.fields)
    }
}

impl Deref for ResponseHead {
    type Target = StatusLine;

    fn deref(&self) -> &StatusLine {
        &self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_its_line_and_its_fields() {
        let head = RequestHead::new("GET", "/ws?token=1", Some(Version::HTTP_11), "Host: a\r\n");
        assert_eq!((head.method(), head.path(), head.query(), head.host()), ("GET", "/ws", Some("token=1"), Some("a")));
        let head = ResponseHead::new(Version::HTTP_11, 101, "Switching Protocols", "");
        assert_eq!((head.status, head.reason()), (101, "Switching Protocols"));
        assert_eq!((size_of::<RequestHead>(), size_of::<ResponseHead>()), (56, 48));
    }
}
