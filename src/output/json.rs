//! JSON Lines: one object a line, as the schema says.

pub mod message;
pub mod schema;

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::engine::event::{Event, Sink, Wants};
use crate::output::escape;
use crate::output::json::message::MessageWriter;
use crate::output::mask::Mask;

/// Prints sessions, findings, messages on demand, and the summary.
#[derive(Debug)]
pub struct Json<W> {
    out: W,
    line: Vec<u8>,
    mask: Mask,
    messages: bool,
    message: MessageWriter,
    message_line: String,
}

impl<W: Write> Json<W> {
    /// Prints to `out`; also every message and control frame with `messages`.
    pub fn new(out: W, mask: Mask, messages: bool) -> Json<W> {
        Json {
            out,
            line: Vec::with_capacity(4096),
            mask,
            messages,
            message: MessageWriter::default(),
            message_line: String::with_capacity(1024),
        }
    }

    fn print(&mut self, object: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        object.serialize(&mut Serializer::with_formatter(&mut self.line, Escaping))?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }
}

impl<W: Write> Sink for Json<W> {
    fn wants(&self) -> Wants {
        Wants { messages: self.messages, progress: false }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Session(session, diagnosis) => self.print(&schema::Session::new(session, diagnosis, self.mask)),
            Event::Message(place, by, message) => {
                self.message_line.clear();
                self.message.push(&mut self.message_line, place, *by, message, self.mask);
                self.message_line.push('\n');
                self.out.write_all(self.message_line.as_bytes())
            }
            Event::Finding(finding) => self.print(&schema::Finding::of_group(finding, self.mask)),
            Event::Summary(summary) => {
                self.print(&schema::Summary::new(summary))?;
                self.out.flush()
            }
            _ => Ok(()),
        }
    }
}

/// Compact JSON, in which no string can hold what a terminal obeys: such characters become JSON escapes, which any reader
/// turns back into what was on the wire.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if escape::is_plain(fragment) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut clean = 0;
        for (at, character) in fragment.char_indices().filter(|&(_, character)| escape::is_unsafe(character)) {
            writer.write_all(&fragment.as_bytes()[clean..at])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            clean = at + character.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[clean..])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::diagnosis::{Evidence, Finding, GroupFinding, Severity};
    use crate::output::samples;
    use crate::session::SessionId;

    fn printed(mask: Mask, event: &Event<'_>) -> String {
        let mut out = Vec::new();
        Json::new(&mut out, mask, true).event(event).expect("a vector takes everything");
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    fn parsed(event: &Event<'_>) -> Value {
        let line = printed(Mask::Secrets, event);
        assert_eq!(line.matches('\n').count(), 1, "one object is one line");
        serde_json::from_str(&line).expect("a JSON object")
    }

    fn pretty(object: &impl Serialize) -> String {
        serde_json::to_string_pretty(object).expect("a vector takes everything")
    }

    #[test]
    fn a_session_of_two_legs() {
        let (session, diagnosis) = samples::stripped();
        insta::assert_snapshot!(pretty(&schema::Session::new(&session, &diagnosis, Mask::Secrets)));
    }

    #[test]
    fn a_session_that_closed() {
        let (session, diagnosis) = samples::closed();
        insta::assert_snapshot!(pretty(&schema::Session::new(&session, &diagnosis, Mask::Secrets)));
    }

    #[test]
    fn an_encrypted_session() {
        let (session, diagnosis) = samples::encrypted();
        let value = parsed(&Event::Session(&session, &diagnosis));
        let leg = &value["legs"][0];
        assert_eq!(leg["tls"]["sni"], "chat.example\u{202e}", "a reader gets what was on the wire");
        for unknown in ["request", "response", "websocket", "frames", "messages", "close"] {
            assert!(leg[unknown].is_null(), "{unknown} cannot be told");
        }
        assert!(value["target"].is_null() && value["ended_by"].is_null());
        assert!(printed(Mask::Secrets, &Event::Session(&session, &diagnosis)).is_ascii(), "no terminal gets it");
    }

    #[test]
    fn the_first_key_is_the_type() {
        let (session, diagnosis) = samples::closed();
        let line = printed(Mask::Secrets, &Event::Session(&session, &diagnosis));
        assert!(line.starts_with(r#"{"type":"session","schema":1,"id":2,"start":""#), "{line}");
        let line = printed(Mask::Secrets, &Event::Summary(&samples::summary()));
        assert!(line.starts_with(r#"{"type":"summary","packets":46,"#), "{line}");
    }

    #[test]
    fn every_key_of_a_session_is_there() {
        let (session, diagnosis) = samples::stripped();
        let value = parsed(&Event::Session(&session, &diagnosis));
        let keys =
            |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        assert_keys(
            &keys(&value),
            "type schema id start end duration_ms outcome cause verdict target host ended_by legs findings",
        );
        assert_keys(&keys(&value["ended_by"]), "who via phase confidence");
        let leg = &value["legs"][0];
        assert_keys(
            &keys(leg),
            "role client server joined_by outcome request response websocket frames messages close ping_rtt_ms tls h2 tcp process",
        );
        assert_keys(&keys(&leg["request"]), "packet at method target version headers");
        assert_keys(&keys(&leg["response"]), "packet at status reason version headers body latency_ms");
        assert_keys(
            &keys(&leg["websocket"]),
            "key accept accept_valid version subprotocols_offered subprotocol extensions_offered extensions",
        );
        assert_keys(&keys(&leg["frames"]["client"]), "text binary continuation ping pong close other");
        assert_keys(&keys(&leg["messages"]["server"]), "text binary bytes");
        assert_keys(&keys(&leg["tcp"]), "ends handshake_rtt_ms retransmissions out_of_order gap_bytes zero_window_ms");
        assert_keys(&keys(&leg["tcp"]["ends"][0]), "by flag at packet");
        assert_keys(&keys(&value["findings"][0]), "id severity title detail leg evidence fix reference confidence");
        let (session, diagnosis) = samples::closed();
        let value = parsed(&Event::Session(&session, &diagnosis));
        assert_keys(&keys(&value["legs"][0]["close"]), "client server first");
        assert_keys(&keys(&value["legs"][0]["close"]["client"]), "code reason at packet");
        assert_keys(&keys(&value["legs"][0]["ping_rtt_ms"]), "min avg max unanswered");
        let (session, diagnosis) = samples::encrypted();
        let value = parsed(&Event::Session(&session, &diagnosis));
        assert_keys(&keys(&value["legs"][0]["tls"]), "version sni alpn cipher decrypted_by alerts");
        assert_eq!(value["legs"][0]["tls"]["alerts"][0]["description"], "unknown_ca");
    }

    /// The keys of an object are these; a JSON map of this crate does not keep their order.
    fn assert_keys(keys: &[String], expected: &str) {
        let mut expected: Vec<&str> = expected.split(' ').collect();
        let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        expected.sort_unstable();
        keys.sort_unstable();
        assert_eq!(keys, expected);
    }

    #[test]
    fn a_finding_of_several_sessions() {
        let finding = Finding {
            id: "mass-close",
            severity: Severity::Error,
            title: "Many sessions ended together",
            evidence: Evidence { leg: None, ..Evidence::on(0, "12 sessions within 0.1 s") },
            fix: "look for a reload".into(),
            reference: "RFC 6455 §7.4.1",
        };
        let group = GroupFinding { finding, sessions: vec![SessionId(1), SessionId(2)] };
        insta::assert_snapshot!(pretty(&schema::Finding::of_group(&group, Mask::Secrets)));
    }

    #[test]
    fn a_summary() {
        insta::assert_snapshot!(pretty(&schema::Summary::new(&samples::summary())));
    }

    #[test]
    fn secrets_are_shown_on_demand_only() {
        let (session, diagnosis) = samples::closed();
        let event = Event::Session(&session, &diagnosis);
        let masked = printed(Mask::Secrets, &event);
        assert!(!masked.contains("s3cret") && !masked.contains("0123456789abcdef"), "{masked}");
        let shown = printed(Mask::Nothing, &event);
        assert!(shown.contains("/chat?token=s3cret&room=1") && shown.contains("sid=0123456789abcdef"), "{shown}");
    }
}
