//! Heads: the start line and the fields of a message, in the order and case of the wire.

use std::fmt;
use std::sync::Arc;

/// The HTTP version of a start line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Version {
    /// Before the dot.
    pub major: u8,
    /// After it.
    pub minor: u8,
}

impl Version {
    /// HTTP/1.0.
    pub const HTTP_10: Version = Version { major: 1, minor: 0 };
    /// HTTP/1.1.
    pub const HTTP_11: Version = Version { major: 1, minor: 1 };
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP/{}.{}", self.major, self.minor)
    }
}

/// One field line, as it was on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// The name, in its own case.
    pub name: &'a str,
    /// The value without the white space around it.
    pub value: &'a str,
}

/// The field lines of a head. Bytes that are not UTF-8 were escaped as `\xff` when the head was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fields(Arc<str>);

impl Fields {
    /// From the lines behind the start line.
    pub fn new(lines: &str) -> Fields {
        Fields(Arc::from(lines))
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.0.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some(Field { name: name.trim(), value: value.trim() })
        })
    }

    /// The values of all fields of that name (case does not matter), in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// The value of the first field of that name.
    pub fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Whether there is a field of that name.
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// The elements of the comma-separated list that all fields of that name form together (RFC 9110 §5.6.1).
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|value| value.split(',')).map(str::trim).filter(|element| !element.is_empty())
    }

    /// Whether that list has this element, whatever its case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(token))
    }
}

/// The head of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestHead {
    /// The method, in its own case.
    pub method: Arc<str>,
    /// The request target, as it was on the wire.
    pub target: Arc<str>,
    /// The version; `None` for an HTTP/0.9 request line or one that names something else.
    pub version: Option<Version>,
    /// The fields.
    pub fields: Fields,
}

impl RequestHead {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&*self.target, |(path, _)| path)
    }

    /// The query, without the question mark.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The Host field.
    pub fn host(&self) -> Option<&str> {
        self.fields.first("Host")
    }
}

/// The head of a response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// The reason phrase: some backends hide the truth in it.
    pub reason: Arc<str>,
    /// The version.
    pub version: Version,
    /// The fields.
    pub fields: Fields,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_lists_over_several_lines() {
        let fields = Fields::new("Connection: keep-alive\r\nHost: a\r\nconnection: Upgrade , x\r\n");
        assert!(fields.has_token("Connection", "upgrade"));
        assert!(!fields.has_token("Host", "upgrade"));
        assert_eq!(fields.list("connection").collect::<Vec<_>>(), ["keep-alive", "Upgrade", "x"]);
    }
}
