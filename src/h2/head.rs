//! Heads out of fields: pseudo-header fields say what a start line says in HTTP/1 (RFC 9113 §8.3).

use std::fmt::Write;

use crate::h2::hpack::Field;
use crate::http::head::{RequestHead, ResponseHead, Version};
use crate::http::text::text;

/// The fields of a block, while they come.
#[derive(Debug, Default)]
pub(super) struct OpenHead {
    /// As field lines, pseudo-header fields too.
    lines: String,
    fields: usize,
    method: Option<Box<str>>,
    path: Option<Box<str>>,
    authority: Option<Box<str>>,
    is_extended: bool,
    status: Option<u16>,
    /// Whether fields are missing: because they refer to what was not seen, or are beyond the bounds.
    pub(super) cut: bool,
    pub(super) too_many_bytes: bool,
    pub(super) too_many_fields: bool,
}

impl OpenHead {
    /// Takes the next field, as long as the head stays within `most_bytes` and `most_fields`.
    pub(super) fn field(&mut self, field: Field<'_>, most_bytes: usize, most_fields: usize) {
        let Field { name: Some(name), value: Some(value) } = field else {
            self.cut = true;
            return;
        };
        if self.lines.len() + name.len() + value.len() > most_bytes {
            (self.cut, self.too_many_bytes) = (true, true);
            return;
        }
        if self.fields >= most_fields {
            (self.cut, self.too_many_fields) = (true, true);
            return;
        }
        self.fields += 1;
        let start = self.lines.len();
        push(&mut self.lines, name);
        self.lines.push_str(": ");
        let value_start = self.lines.len();
        push(&mut self.lines, value);
        self.pseudo(start, value_start);
        self.lines.push_str("\r\n");
    }

    fn pseudo(&mut self, start: usize, value_start: usize) {
        let (name, value) = (&self.lines[start..value_start - 2], &self.lines[value_start..]);
        match name {
            ":method" => self.method = Some(value.into()),
            ":path" => self.path = Some(value.into()),
            ":authority" => self.authority = Some(value.into()),
            ":protocol" => self.is_extended = true,
            ":status" => self.status = value.parse().ok(),
            _ => {}
        }
    }

    /// The head of a request; `None` when the block has none that was seen: then these are trailers.
    pub(super) fn request(&self) -> Option<RequestHead> {
        // Only a CONNECT has :protocol (RFC 8441 §4).
        let extended = self.is_extended.then_some("CONNECT");
        let method = self.method.as_deref().or(extended)?;
        // A CONNECT that is not extended has no path (RFC 9113 §8.5).
        let target = self.path.as_deref().or(self.authority.as_deref()).unwrap_or_default();
        Some(RequestHead::new(method, target, Some(Version::HTTP_2), &self.lines))
    }

    /// The head of a response; likewise.
    pub(super) fn response(&self) -> Option<ResponseHead> {
        Some(ResponseHead::new(Version::HTTP_2, self.status?, "", &self.lines))
    }
}

/// Adds bytes as text. What would end a line is shown, not done: HTTP/2 forbids it, and does not keep anybody from it
/// (RFC 9113 §8.2.1).
fn push(lines: &mut String, bytes: &[u8]) {
    for character in text(bytes).chars() {
        match character {
            '\r' | '\n' | '\0' => {
                let _ = write!(lines, "\\x{:02x}", u32::from(character)); // writing to a string does not fail
            }
            _ => lines.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)]) -> OpenHead {
        let mut head = OpenHead::default();
        for (name, value) in fields {
            head.field(Field { name: Some(name.as_bytes()), value: Some(value.as_bytes()) }, 100, 5);
        }
        head
    }

    /// RFC 8441 §5.1.
    #[test]
    fn rfc8441_5_1_request() {
        let head = head(&[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":path", "/chat"),
            (":authority", "server.example.com"),
        ]);
        let request = head.request().unwrap();
        assert_eq!(
            (request.method(), request.target(), request.version()),
            ("CONNECT", "/chat", Some(Version::HTTP_2))
        );
        assert_eq!(request.host(), Some("server.example.com"));
        assert_eq!(request.fields.first(":protocol"), Some("websocket"));
        assert!(!head.cut && head.response().is_none());
    }

    #[test]
    fn a_method_that_was_not_seen_is_not_guessed() {
        assert!(head(&[(":path", "/")]).request().is_none());
        assert_eq!(head(&[(":protocol", "websocket")]).request().unwrap().method(), "CONNECT");
        assert_eq!(head(&[(":method", "CONNECT"), (":authority", "a:80")]).request().unwrap().target(), "a:80");
    }

    #[test]
    fn a_value_cannot_forge_a_field() {
        let response = head(&[(":status", "200"), ("a", "b\r\nsec-websocket-accept: x")]).response().unwrap();
        assert_eq!(response.fields.len(), 2);
        assert_eq!(response.fields.first("a"), Some("b\\x0d\\x0asec-websocket-accept: x"));
    }

    #[test]
    fn bounds_leave_fields_out() {
        let many = head(&[("a", ""), ("b", ""), ("c", ""), ("d", ""), ("e", ""), ("f", "")]);
        assert!(many.cut && many.too_many_fields && !many.too_many_bytes);
        let long = head(&[("a", &"x".repeat(99)), ("b", "y")]);
        assert!(long.cut && long.too_many_bytes && long.fields == 1);
        let mut unseen = OpenHead::default();
        unseen.field(Field { name: None, value: Some(b"x") }, 100, 5);
        assert!(unseen.cut);
    }
}
