//! What a stream begins with, told from its bytes alone: ports say nothing.

use crate::http::proxy_header::{self, Addresses};
use crate::http::start_line::{is_known_method, is_token};
use crate::stream::Role;

/// What the first bytes of one direction are, where they are not the HTTP that a leg should carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FirstBytes {
    /// An HTTP/1 message.
    Http,
    /// A TLS record: handshake.
    TlsHandshake,
    /// A TLS record: alert, with level and description.
    TlsAlert(u8, u8),
    /// A TLS record of another kind: application data, change cipher spec. The handshake was before the capture.
    TlsRecord,
    /// The HTTP/2 connection preface or a SETTINGS frame.
    Http2,
    /// A PROXY header and nothing else yet.
    Proxy,
    /// Frames of a WebSocket that was open before the capture began.
    WebSocket,
    /// Text that is not HTTP.
    Text,
    /// Anything else.
    Other,
}

/// What can be told of a stream by its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Beginning {
    /// Nothing yet: more bytes are needed.
    Unclear,
    /// HTTP/1, as far as it came: a start line that is none may still turn up.
    Http,
    /// A PROXY header of so many bytes, with its version and what it says. What follows it is another beginning.
    Proxy(usize, u8, Addresses),
    /// Something else.
    Else(FirstBytes),
}

/// Tells what the stream of `role` begins with, by all bytes that have come.
pub(super) fn tell(role: Role, bytes: &[u8]) -> Beginning {
    // What begins as nearly all heads do is nothing else.
    match (role, bytes) {
        (Role::Client, [b'G', b'E', b'T', b' ', ..]) | (Role::Server, [b'H', b'T', b'T', b'P', b'/', ..]) => {
            return Beginning::Http;
        }
        _ => {}
    }
    if role == Role::Client {
        match proxy_header::read(bytes) {
            proxy_header::Read::Incomplete => return Beginning::Unclear,
            proxy_header::Read::Header(length, version, addresses) => {
                return Beginning::Proxy(length, version, addresses);
            }
            proxy_header::Read::None => {}
        }
    }
    tls(bytes).or_else(|| http2(bytes)).unwrap_or_else(|| http(role, bytes))
}

/// The same when nothing more comes, or when the beginning was not captured: then there is no `Unclear`.
pub(super) fn guess(bytes: &[u8]) -> FirstBytes {
    match tls(bytes).or_else(|| http2(bytes)) {
        Some(Beginning::Else(kind)) => kind,
        _ => text_or_other(bytes),
    }
}

/// Whether a segment begins like a message of this side, beyond doubt.
pub(super) fn is_message_start(role: Role, bytes: &[u8]) -> bool {
    match role {
        Role::Client => {
            let word = bytes.iter().take(12).position(|&byte| byte == b' ');
            word.is_some_and(|end| {
                is_known_method(&bytes[..end]) && bytes.get(end + 1).is_some_and(u8::is_ascii_graphic)
            })
        }
        Role::Server => matches!(bytes, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', b'1'..=b'9', ..]),
    }
}

/// Whether these bytes, which hold no whole line, may be the beginning of a start line of this side.
pub(super) fn may_be_message(role: Role, bytes: &[u8]) -> bool {
    const VERSION: &[u8] = b"HTTP/";
    match role {
        Role::Client => bytes.first().is_none_or(|&first| is_token(&[first])),
        Role::Server => bytes.starts_with(VERSION) || VERSION.starts_with(bytes),
    }
}

/// A TLS record (RFC 8446 §5.1): type, version, length.
fn tls(bytes: &[u8]) -> Option<Beginning> {
    let (&kind, rest) = bytes.split_first()?;
    let kind = match kind {
        0x14 | 0x17 => FirstBytes::TlsRecord,
        0x15 => FirstBytes::TlsAlert(0, 0),
        0x16 => FirstBytes::TlsHandshake,
        _ => return None,
    };
    match (kind, rest) {
        (_, [] | [3]) => Some(Beginning::Unclear),
        // An alert in clear has two bytes: level and description (RFC 8446 §6).
        (FirstBytes::TlsAlert(..), [3, 0..=4, 0, 2, level, description, ..]) => {
            Some(Beginning::Else(FirstBytes::TlsAlert(*level, *description)))
        }
        (FirstBytes::TlsAlert(..), [3, 0..=4] | [3, 0..=4, 0] | [3, 0..=4, 0, 2] | [3, 0..=4, 0, 2, _]) => {
            Some(Beginning::Unclear)
        }
        (FirstBytes::TlsAlert(..), [3, 0..=4, ..]) => Some(Beginning::Else(FirstBytes::TlsRecord)),
        (kind, [3, 0..=4, ..]) => Some(Beginning::Else(kind)),
        _ => None,
    }
}

/// The HTTP/2 connection preface, or a SETTINGS frame on stream 0 (RFC 9113 §3.4, §6.5).
fn http2(bytes: &[u8]) -> Option<Beginning> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0";
    const SETTINGS: usize = 9;
    if bytes.starts_with(PREFACE) {
        return Some(Beginning::Else(FirstBytes::Http2));
    }
    if PREFACE.starts_with(bytes) {
        return Some(Beginning::Unclear);
    }
    let is_settings = |index: usize, byte: u8| match index {
        0 => byte == 0,
        1 => byte < 0x40, // no larger than the largest frame that needs no leave: 16 KiB
        2 => true,
        3 => byte == 4,
        4 => byte <= 1,
        _ => byte == 0,
    };
    let head = &bytes[..bytes.len().min(SETTINGS)];
    if !head.iter().enumerate().all(|(index, &byte)| is_settings(index, byte)) {
        return None;
    }
    match *head {
        [_, high, low, _, _, _, _, _, _] => {
            (u16::from_be_bytes([high, low]) % 6 == 0).then_some(Beginning::Else(FirstBytes::Http2))
        }
        _ => Some(Beginning::Unclear),
    }
}

/// What is neither TLS nor HTTP/2. Empty lines before a message are forgiven (RFC 9112 §2.2).
fn http(role: Role, bytes: &[u8]) -> Beginning {
    const LONGEST_METHOD: usize = 32;
    let empty = bytes.len() - skip_empty_lines(bytes).len();
    let bytes = &bytes[empty..];
    let otherwise = || Beginning::Else(text_or_other(bytes));
    match role {
        // Two empty lines may still begin a PROXY header.
        Role::Client if bytes.is_empty() && empty <= 4 => Beginning::Unclear,
        _ if bytes.is_empty() => Beginning::Http,
        Role::Server if bytes.starts_with(b"HTTP/") => Beginning::Http,
        Role::Server if b"HTTP/".starts_with(bytes) => Beginning::Unclear,
        Role::Server => otherwise(),
        Role::Client => {
            let word = bytes.iter().take(LONGEST_METHOD).position(|byte| matches!(byte, b' ' | b'\t'));
            match word {
                Some(end) if is_token(&bytes[..end]) => Beginning::Http,
                None if bytes.len() < LONGEST_METHOD && is_token(bytes) => Beginning::Unclear,
                _ => otherwise(),
            }
        }
    }
}

/// The rest behind empty lines.
pub(super) fn skip_empty_lines(bytes: &[u8]) -> &[u8] {
    let empty = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    &bytes[empty..]
}

/// Text or not, by the first bytes: text has no control characters but white space.
pub(super) fn text_or_other(bytes: &[u8]) -> FirstBytes {
    const ENOUGH: usize = 64;
    const SHORTEST_LINE: usize = 4;
    let bytes = &bytes[..bytes.len().min(ENOUGH)];
    // A greeting is a line, and bytes of any kind may follow at once (RFC 4253 §4.2).
    let line = bytes.iter().position(|&byte| byte == b'\n').filter(|&end| end >= SHORTEST_LINE).unwrap_or(bytes.len());
    let bytes = &bytes[..line];
    let valid = match str::from_utf8(bytes) {
        Ok(text) => text,
        // The last character may be cut.
        Err(error) if error.error_len().is_none() => str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        Err(_) => return FirstBytes::Other,
    };
    let is_text = |character: char| !character.is_control() || matches!(character, '\t' | '\r' | '\n' | '\x1b');
    if !valid.is_empty() && valid.chars().all(is_text) { FirstBytes::Text } else { FirstBytes::Other }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FirstBytes::*;

    /// What is told at last, and that every shorter beginning told the same or nothing.
    fn told(role: Role, bytes: &[u8]) -> Beginning {
        let last = tell(role, bytes);
        for length in 1..bytes.len() {
            let shorter = tell(role, &bytes[..length]);
            assert!(shorter == Beginning::Unclear || shorter == last, "{:?} at {length}: {shorter:?}", bytes);
        }
        last
    }

    #[test]
    fn beginnings() {
        use Role::{Client, Server};
        let cases: &[(Role, &[u8], Beginning)] = &[
            (Client, b"GET / HTTP/1.1\r\n", Beginning::Http),
            (Client, b"\r\n\r\nFROB-IT / HTTP/1.1\r\n", Beginning::Http),
            (Client, b"PUT /", Beginning::Http),
            (Client, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Beginning::Else(Http2)),
            (Client, b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03", Beginning::Else(Http2)),
            (Server, b"\x00\x00\x00\x04\x01\x00\x00\x00\x00", Beginning::Else(Http2)),
            (Client, b"\x16\x03\x01\x02\x00\x01", Beginning::Else(TlsHandshake)),
            (Server, b"\x15\x03\x03\x00\x02\x02\x28", Beginning::Else(TlsAlert(2, 40))),
            (Server, b"\x17\x03\x03\x00\x20", Beginning::Else(TlsRecord)),
            (Server, b"HTTP/1.1 400 \r\n", Beginning::Http),
            (Server, b"HTT", Beginning::Unclear),
            (Server, b"-ERR unknown command", Beginning::Else(Text)),
            (Client, b"SSH-2.0-OpenSSH_9.2p1 Debian", Beginning::Http), // its line will tell
            (Client, b"{\"hello\":1}", Beginning::Else(Text)),
            (Client, b"\x81\x85\x01\x02\x03\x04", Beginning::Else(Other)),
            (Server, b"\x15\x00\x00", Beginning::Else(Other)),
            (Client, b"\x00\x00\x06\x04\x00\x00\x00\x00\x01", Beginning::Else(Other)),
        ];
        for (role, bytes, expected) in cases {
            assert_eq!(tell(*role, bytes), *expected, "{:?}", String::from_utf8_lossy(bytes));
            if !matches!(expected, Beginning::Else(Text | Other)) {
                assert_eq!(told(*role, bytes), *expected);
            }
        }
    }

    #[test]
    fn the_end_decides_what_is_left_open() {
        assert_eq!(guess(b"\x16\x03"), Other);
        assert_eq!(guess(b"HELO"), Text);
        assert_eq!(guess(b"\x17\x03\x03\x12\x34\x56"), TlsRecord);
        assert_eq!(guess("é".repeat(40).as_bytes()), Text);
        assert_eq!(guess(b"\x88\x02\x03\xe8"), Other);
    }

    #[test]
    fn messages_in_mid_stream() {
        assert!(is_message_start(Role::Client, b"GET /ws HTTP/1.1\r\n"));
        assert!(is_message_start(Role::Server, b"HTTP/1.1 101 S"));
        for junk in ["GET", "GET ", "GETS /", "hello world", "HTTP/1.1 200 OK", ""] {
            assert!(!is_message_start(Role::Client, junk.as_bytes()), "{junk}");
        }
        assert!(!is_message_start(Role::Server, b"HTTP/1.1 spoken here"));
    }
}
