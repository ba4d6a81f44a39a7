//! The line of a message or a control frame.
//!
//! ```json
//! {"type":"message","session":1,"leg":0,"by":"client","at":"...","packet":26,"kind":"text","bytes":27,
//!  "compressed":false,"fragments":1,"text":"{\"join\":1}","truncated":false,"holes":false}
//! ```
//!
//! Captures hold millions of messages, so this line is written by hand. `text` is there where the payload is text, else
//! `hex`; a Close frame has its `code` in front of them. `holes` says that bytes are missing from the capture, for which
//! `?` stands.

use crate::engine::event::{Message, MessageKind, Place};
use crate::output::clock::Rfc3339;
use crate::output::escape;
use crate::output::mask::Mask;
use crate::output::phrase::push_number;
use crate::stream::Role;

/// Writes message lines.
#[derive(Debug, Default)]
pub struct MessageWriter {
    at: Rfc3339,
}

impl MessageWriter {
    /// Appends the object, without a line feed.
    pub fn push(&mut self, out: &mut String, place: &Place, by: Role, message: &Message<'_>, mask: Mask) {
        out.push_str(r#"{"type":"message","session":"#);
        push_number(out, place.session.0);
        out.push_str(r#","leg":"#);
        push_number(out, place.leg as u64);
        out.push_str(r#","by":""#);
        out.push_str(by.name());
        out.push_str(r#"","at":""#);
        self.at.push(out, message.moment.at);
        out.push_str(r#"","packet":"#);
        push_number(out, message.moment.packet.0);
        out.push_str(r#","kind":""#);
        out.push_str(message.kind.name());
        out.push_str(r#"","bytes":"#);
        push_number(out, message.bytes);
        out.push_str(r#","compressed":"#);
        push_bool(out, message.compressed);
        out.push_str(r#","fragments":"#);
        push_number(out, message.fragments.into());
        push_payload(out, message, mask);
        out.push_str(r#","truncated":"#);
        push_bool(out, message.truncated);
        out.push_str(r#","holes":"#);
        push_bool(out, message.holes);
        out.push('}');
    }
}

fn push_payload(out: &mut String, message: &Message<'_>, mask: Mask) {
    let (code, payload) = close_code(message);
    if let Some(code) = code {
        out.push_str(r#","code":"#);
        push_number(out, code.into());
    }
    match (message.kind, whole_characters(payload)) {
        (MessageKind::Text | MessageKind::Close | MessageKind::Ping | MessageKind::Pong, Some(text)) => {
            out.push_str(r#","text":"#);
            push_string(out, &mask.text(text));
        }
        (MessageKind::Text | MessageKind::Close, None) => {
            let mut text = String::new();
            escape::escape_bytes(&mut text, payload);
            out.push_str(r#","text":"#);
            push_string(out, &mask.text(&text));
        }
        (MessageKind::Binary | MessageKind::Ping | MessageKind::Pong, _) => {
            out.push_str(r#","hex":""#);
            push_hex(out, payload);
            out.push('"');
        }
    }
}

/// The code of a Close frame, and what follows it (RFC 6455 §5.5.1).
fn close_code<'a>(message: &Message<'a>) -> (Option<u16>, &'a [u8]) {
    match (message.kind, message.preview) {
        (MessageKind::Close, &[high, low, ref reason @ ..]) => (Some(u16::from_be_bytes([high, low])), reason),
        (_, payload) => (None, payload),
    }
}

/// The text in `bytes`, without a character that was cut in two at the end; `None` when it is none.
fn whole_characters(bytes: &[u8]) -> Option<&str> {
    match str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => str::from_utf8(&bytes[..error.valid_up_to()]).ok(),
        Err(_) => None,
    }
}

/// Appends a JSON string (RFC 8259 §7). What a terminal would obey is escaped, too.
fn push_string(out: &mut String, text: &str) {
    let bytes = text.as_bytes();
    let (mut clean, mut at) = (0, 0);
    out.push('"');
    while let Some(skipped) = bytes[at..].iter().position(|&byte| MAY_NEED_ESCAPE[usize::from(byte)]) {
        at += skipped;
        if matches!(bytes[at], b'"' | b'\\') {
            out.push_str(&text[clean..at]);
            out.push('\\');
            (clean, at) = (at, at + 1); // it stands for itself behind that
            continue;
        }
        let character = text[at..].chars().next().unwrap_or_default();
        let end = at + character.len_utf8();
        if escape::is_unsafe(character) {
            out.push_str(&text[clean..at]);
            push_escape(out, character);
            clean = end;
        }
        at = end;
    }
    out.push_str(&text[clean..]);
    out.push('"');
}

/// All bytes but those of printable ASCII, and of that the two that end a string or escape.
const MAY_NEED_ESCAPE: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        table[byte as usize] = matches!(byte, b'"' | b'\\');
        byte += 1;
    }
    table
};

fn push_escape(out: &mut String, character: char) {
    match character {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                out.push_str("\\u");
                push_hex(out, &unit.to_be_bytes());
            }
        }
    }
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

fn push_bool(out: &mut String, value: bool) {
    out.push_str(if value { "true" } else { "false" });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::output::samples;
    use crate::session::SessionId;

    fn line(kind: MessageKind, preview: &[u8], truncated: bool) -> String {
        let place = Place {
            session: SessionId(2),
            client: samples::endpoint("10.0.0.7:50122"),
            server: samples::endpoint("192.0.2.1:80"),
            leg: 0,
        };
        let message = Message {
            kind,
            moment: samples::moment(26, 2_000),
            bytes: preview.len() as u64,
            compressed: false,
            fragments: 1,
            preview,
            truncated,
            holes: false,
        };
        let mut out = String::new();
        MessageWriter::default().push(&mut out, &place, Role::Client, &message, Mask::Secrets);
        out
    }

    fn parsed(kind: MessageKind, preview: &[u8]) -> Value {
        serde_json::from_str(&line(kind, preview, false)).expect("a JSON object")
    }

    #[test]
    fn every_key_in_its_order() {
        insta::assert_snapshot!(
            line(MessageKind::Text, b"{\"a\":\"\x1b[2J\"}", false),
            @r#"{"type":"message","session":2,"leg":0,"by":"client","at":"2026-11-20T23:58:09.022000000Z","packet":26,"kind":"text","bytes":12,"compressed":false,"fragments":1,"text":"{\"a\":\"\u001b[2J\"}","truncated":false,"holes":false}"#
        );
    }

    #[test]
    fn payloads() {
        let binary = parsed(MessageKind::Binary, &[0, 255]);
        assert_eq!((&binary["hex"], binary.get("text")), (&"00ff".into(), None));
        let close = parsed(MessageKind::Close, b"\x03\xe8bye");
        assert_eq!((&close["code"], &close["text"]), (&1000.into(), &"bye".into()));
        assert_eq!(parsed(MessageKind::Close, b"")["text"], "");
        assert_eq!(parsed(MessageKind::Ping, b"hb")["text"], "hb");
        assert_eq!(parsed(MessageKind::Pong, &[0x80])["hex"], "80");
        assert_eq!(parsed(MessageKind::Text, b"a\xffb")["text"], "a\\xffb");
        assert_eq!(parsed(MessageKind::Text, b"{\"token\":\"abc\"}")["text"], "{\"token\":\"[masked:3]\"}");
        let cut = line(MessageKind::Text, &"café".as_bytes()[..4], true);
        assert!(cut.contains(r#""text":"caf","truncated":true"#), "{cut}");
    }

    proptest! {
        #[test]
        fn a_reader_gets_what_was_on_the_wire(text: String) {
            let mut out = String::new();
            push_string(&mut out, &text);
            prop_assert!(!out.chars().any(escape::is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&out).expect("a JSON string"), text);
        }
    }
}
