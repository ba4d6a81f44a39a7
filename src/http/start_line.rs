//! Start lines: what a message begins with (RFC 9112 §3, §4).

use std::fmt;
use std::sync::Arc;

use crate::http::text::text;

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
    /// HTTP/2: it has no minor version (RFC 9113 §3).
    pub const HTTP_2: Version = Version { major: 2, minor: 0 };

    /// From `HTTP/1.1`: case matters, each number is one digit (RFC 9112 §2.3).
    pub fn read(bytes: &[u8]) -> Option<Version> {
        match *bytes {
            [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => {
                Some(Version { major: major - b'0', minor: minor - b'0' })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Version::HTTP_2 => f.write_str("HTTP/2"),
            Version { major, minor } => write!(f, "HTTP/{major}.{minor}"),
        }
    }
}

/// The first line of a request in one piece, as it is usually written: with one space between the words. Bytes that are
/// not UTF-8 are escaped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestLine(Arc<str>);

impl RequestLine {
    /// From its words.
    pub fn new(method: &str, target: &str, version: Option<Version>) -> RequestLine {
        // No method has a space (RFC 9110 §9.1), but HTTP/2 keeps nobody from sending one.
        let method = method.replace(' ', "\\x20");
        RequestLine(match version {
            Some(Version { major, minor }) => format!("{method} {target} HTTP/{major}.{minor}").into(),
            None => format!("{method} {target}").into(),
        })
    }

    /// The method, in its own case.
    pub fn method(&self) -> &str {
        &self.0[..self.method_length()]
    }

    /// The request target, as it was on the wire.
    pub fn target(&self) -> &str {
        let version_length = if self.version().is_some() { VERSION_LENGTH } else { 0 };
        self.0.get(self.method_length() + 1..self.0.len() - version_length).unwrap_or_default()
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        let target = self.target();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// The version; `None` for an HTTP/0.9 request line or one that names something else.
    pub fn version(&self) -> Option<Version> {
        let (words, version) = self.0.as_bytes().split_last_chunk::<VERSION_LENGTH>()?;
        let [b' ', version @ ..] = version else { return None };
        let version = Version::read(version)?;
        // Else it stands where the target should.
        (self.method_length() < words.len()).then_some(version)
    }

    fn method_length(&self) -> usize {
        self.0.bytes().position(|byte| byte == b' ').unwrap_or(self.0.len())
    }

    /// Whether this shares its memory with that.
    #[cfg(test)]
    pub(super) fn shares_with(&self, other: &RequestLine) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A version, and the space before it.
const VERSION_LENGTH: usize = " HTTP/1.1".len();

/// The first line of a response, in one piece like that of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusLine {
    /// The version.
    pub version: Version,
    /// The status code.
    pub status: u16,
    text: Box<str>,
    reason_length: usize,
}

impl StatusLine {
    /// From its words.
    pub fn new(version: Version, status: u16, reason: &str) -> StatusLine {
        let Version { major, minor } = version;
        let space = if reason.is_empty() { "" } else { " " };
        let text = format!("HTTP/{major}.{minor} {status:03}{space}{reason}").into();
        StatusLine { version, status, text, reason_length: reason.len() }
    }

    /// The reason phrase: some backends hide the truth in it.
    pub fn reason(&self) -> &str {
        &self.text[self.text.len() - self.reason_length..]
    }
}

/// What both kinds of start lines have in common: bytes are held against lines that are known.
pub(super) trait StartLine: Sized + Clone {
    /// Reads a line without its end. `None`: it is none.
    fn read(line: &[u8]) -> Option<Self>;

    /// Whether these bytes are this line, written as usual.
    fn is(&self, line: &[u8]) -> bool;
}

impl StartLine for RequestLine {
    fn read(line: &[u8]) -> Option<RequestLine> {
        let RequestParts { method, target, version, .. } = RequestParts::read(line)?;
        let version_length = if version.is_some() { VERSION_LENGTH } else { 0 };
        let target_end = line.len() - version_length;
        let is_usual = method.len() + 1 + target.len() == target_end
            && line[method.len()] == b' '
            && line.get(target_end).is_none_or(|&byte| byte == b' ');
        Some(if is_usual {
            RequestLine(text(line).into())
        } else {
            RequestLine::new(&text(method), &text(target), version)
        })
    }

    fn is(&self, line: &[u8]) -> bool {
        self.0.as_bytes() == line
    }
}

impl StartLine for Arc<StatusLine> {
    fn read(line: &[u8]) -> Option<Arc<StatusLine>> {
        let StatusParts { version, status, reason } = StatusParts::read(line)?;
        Some(Arc::new(StatusLine::new(version, status, &text(reason))))
    }

    fn is(&self, line: &[u8]) -> bool {
        self.text.as_bytes() == line
    }
}

/// The parts of a request line as they stand in its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RequestParts<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) version: Option<Version>,
    /// Whether there is no third word: HTTP/0.9, which has no fields.
    pub(super) simple: bool,
}

impl<'a> RequestParts<'a> {
    /// Reads a line without its end. `None`: no request line, not even a poor one.
    ///
    /// More white space than one space between the words is forgiven (RFC 9112 §3). A target may hold spaces: what
    /// stands between the first word and the version is the target.
    pub(super) fn read(line: &'a [u8]) -> Option<RequestParts<'a>> {
        let line = line.trim_ascii_end();
        let (method, rest) = split_word(line)?;
        if !is_known_method(method) && !is_token(method) {
            return None;
        }
        let last = rest.iter().rposition(|&byte| byte == b' ' || byte == b'\t');
        if let Some(space) = last {
            let (target, version) = (rest[..space].trim_ascii_end(), &rest[space + 1..]);
            let version = Version::read(version);
            if version.is_some() || is_known_method(method) {
                let target = if version.is_some() { target } else { split_word(rest).map_or(rest, |(word, _)| word) };
                return Some(RequestParts { method, target, version, simple: false });
            }
            return None;
        }
        is_known_method(method).then_some(RequestParts { method, target: rest, version: None, simple: true })
    }
}

/// The parts of a status line as they stand in its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StatusParts<'a> {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) reason: &'a [u8],
}

impl<'a> StatusParts<'a> {
    /// Reads a line without its end. The reason may be empty, and so may the space before it (RFC 9112 §4).
    pub(super) fn read(line: &'a [u8]) -> Option<StatusParts<'a>> {
        let version = Version::read(line.get(..8)?)?;
        let rest = line[8..].strip_prefix(b" ")?.trim_ascii_start();
        let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', reason @ ..] = rest else { return None };
        if reason.first().is_some_and(|&byte| byte != b' ' && byte != b'\t') {
            return None;
        }
        let status = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
        Some(StatusParts { version, status, reason: reason.trim_ascii() })
    }
}

/// Methods that RFC 9110 §9, RFC 5789 or WebDAV define, or that are common. Those of WebSockets and pages first.
const METHODS: [&str; 14] = [
    "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PROPFIND", "REPORT", "MKCOL",
    "LOCK", "PURGE",
];

/// Whether this is one of them.
pub(super) fn is_known_method(method: &[u8]) -> bool {
    METHODS.iter().any(|known| known.as_bytes() == method)
}

/// Whether these bytes are a token (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The first word and what follows the white space behind it.
fn split_word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = line.iter().position(|&byte| byte == b' ' || byte == b'\t')?;
    let rest = line[space..].trim_ascii_start();
    (!rest.is_empty()).then_some((&line[..space], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Option<(String, String, Option<Version>)> {
        let parts = RequestParts::read(line.as_bytes())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((text(parts.method), text(parts.target), parts.version))
    }

    fn is(method: &str, target: &str, version: Option<Version>) -> Option<(String, String, Option<Version>)> {
        Some((method.into(), target.into(), version))
    }

    #[test]
    fn request_lines() {
        let v11 = Some(Version::HTTP_11);
        assert_eq!(request("GET /ws?x=1 HTTP/1.1"), is("GET", "/ws?x=1", v11));
        assert_eq!(request("GET http://a/ws HTTP/1.1"), is("GET", "http://a/ws", v11));
        assert_eq!(request("FROB /  HTTP/1.0"), is("FROB", "/", Some(Version::HTTP_10)));
        assert_eq!(request("GET /a b HTTP/1.1"), is("GET", "/a b", v11));
        assert_eq!(request("GET /"), is("GET", "/", None));
        assert_eq!(request("GET / HTTP/1.x"), is("GET", "/", None));
        assert_eq!(request("PRI * HTTP/2.0"), is("PRI", "*", Some(Version { major: 2, minor: 0 })));
        for line in
            ["", "GET", "GET ", "EHLO mail.example", "SSH-2.0-OpenSSH_9.2", "+OK ready", "\u{1}\u{2} a HTTP/1.1"]
        {
            assert_eq!(request(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_request_line_is_its_words() {
        let read = |line: &[u8]| <RequestLine as StartLine>::read(line).unwrap();
        let v11 = Some(Version::HTTP_11);
        for (line, method, target, version) in [
            ("GET /a b HTTP/1.1", "GET", "/a b", v11),
            ("GET  /a b \tHTTP/1.1", "GET", "/a b", v11),
            ("GET\t/ HTTP/1.1 ", "GET", "/", v11),
            ("GET / HTTP/1.x", "GET", "/", None),
            ("GET /", "GET", "/", None),
            ("GET HTTP/1.1", "GET", "HTTP/1.1", None),
            ("FROB a\tb HTTP/1.0", "FROB", "a\tb", Some(Version::HTTP_10)),
        ] {
            let line = read(line.as_bytes());
            assert_eq!((line.method(), line.target(), line.version()), (method, target, version));
            assert_eq!(line, RequestLine::new(method, target, version));
            assert_eq!(read(line.0.as_bytes()), line);
        }
        assert_eq!(read(b"GET /\xff HTTP/1.1").target(), "/\\xff");
        let odd = RequestLine::new("A B", "", Some(Version::HTTP_2));
        assert_eq!((odd.method(), odd.target(), odd.version()), ("A\\x20B", "", Some(Version::HTTP_2)));
    }

    #[test]
    fn a_line_is_known_by_its_bytes() {
        let line = <RequestLine as StartLine>::read(b"GET /a b HTTP/1.1").unwrap();
        assert!(line.is(b"GET /a b HTTP/1.1"));
        for other in ["GET /a  b HTTP/1.1", "GET /a b HTTP/1.0", "GET /a b", "POST /a b HTTP/1.1", ""] {
            assert!(!line.is(other.as_bytes()), "{other}");
        }
        let line = <Arc<StatusLine> as StartLine>::read(b"HTTP/1.1 101 Switching Protocols").unwrap();
        assert!(line.is(b"HTTP/1.1 101 Switching Protocols"));
        for other in
            ["HTTP/1.1 101 Switching", "HTTP/1.0 101 Switching Protocols", "HTTP/1.1 201 Switching Protocols", "HTTP"]
        {
            assert!(!line.is(other.as_bytes()), "{other}");
        }
        let bare = <Arc<StatusLine> as StartLine>::read(b"HTTP/1.1 101").unwrap();
        assert!(bare.is(b"HTTP/1.1 101") && bare.reason().is_empty());
    }

    #[test]
    fn status_lines() {
        let read = |line: &'static str| {
            StatusParts::read(line.as_bytes()).map(|parts| (parts.status, std::str::from_utf8(parts.reason).unwrap()))
        };
        assert_eq!(read("HTTP/1.1 101 Switching Protocols"), Some((101, "Switching Protocols")));
        assert_eq!(read("HTTP/1.1 400 "), Some((400, "")));
        assert_eq!(read("HTTP/1.0 400"), Some((400, "")));
        assert_eq!(read("HTTP/1.1  999  x"), Some((999, "x")));
        for line in ["", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20", "HTTP/1.1 2000 x", "ICY 200 OK", "HTTP/1.1101 x"] {
            assert_eq!(read(line), None, "{line:?}");
        }
    }
}
