//! Heartbeats that application protocols send as text messages.
//!
//! They are short: [`SHORT_TEXT`](crate::ws::message::SHORT_TEXT) bytes show each of them whole.

use crate::stream::Role;
use crate::ws::facts::HeartbeatProtocol;

/// One heartbeat.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Heartbeat {
    /// Whose.
    pub protocol: HeartbeatProtocol,
    /// Whether it asks for an answer, is one, or neither.
    pub kind: HeartbeatKind,
}

/// What a heartbeat is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HeartbeatKind {
    /// The peer has to answer.
    Ping,
    /// The answer.
    Pong,
    /// A sign of life that nobody answers.
    Beat,
}

/// Recognises a heartbeat in the whole text of a message that `sender` sent.
///
/// Nothing but the text is looked at: an application without one of these protocols may send the same.
#[inline]
pub fn recognise(sender: Role, text: &[u8]) -> Option<Heartbeat> {
    // Nearly all messages fail here.
    match text {
        [b'2' | b'3', ..] => engine_io(text),
        [b'\n'] | b"\r\n" => beat(HeartbeatProtocol::Stomp),
        [b'{', .., b'}' | 0x1E] | [b'[', .., b']'] if text.len() <= LONGEST => json(sender, text),
        _ => None,
    }
}

/// The longest heartbeat, with room for white space: Phoenix names topic, event, payload and references.
const LONGEST: usize = 128;

/// Packet types 2 (ping) and 3 (pong). In version 4 the server pings, in version 3 the client; `probe` goes with the first
/// ones on a new transport.
fn engine_io(text: &[u8]) -> Option<Heartbeat> {
    match text {
        b"2" | b"2probe" => ping(HeartbeatProtocol::EngineIo),
        b"3" | b"3probe" => pong(HeartbeatProtocol::EngineIo),
        _ => None,
    }
}

fn json(sender: Role, text: &[u8]) -> Option<Heartbeat> {
    let compact = Compact::of(text);
    let text = compact.bytes();
    match text {
        b"{\"type\":6}\x1E" => return beat(HeartbeatProtocol::SignalR),
        b"{\"type\":\"ka\"}" => return beat(HeartbeatProtocol::GraphqlWs),
        _ => {}
    }
    // Only ActionCable puts a time into its ping, and only its server sends it.
    if let Some(message) = text.strip_prefix(b"{\"type\":\"ping\",\"message\":")
        && sender == Role::Server
        && matches!(message, [digits @ .., b'}'] if digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'))
    {
        return beat(HeartbeatProtocol::ActionCable);
    }
    for (beginning, heartbeat) in [
        (&b"{\"type\":\"ping\""[..], ping(HeartbeatProtocol::GraphqlWs)),
        (b"{\"type\":\"pong\"", pong(HeartbeatProtocol::GraphqlWs)),
    ] {
        match text.strip_prefix(beginning) {
            Some(b"}") => return heartbeat,
            Some(rest) if rest.starts_with(b",\"payload\":") => return heartbeat,
            _ => {}
        }
    }
    phoenix(sender, text)
}

/// A push `heartbeat` on topic `phoenix`, and the reply to it; as an object (serializer 1) or as an array (serializer 2).
fn phoenix(sender: Role, text: &[u8]) -> Option<Heartbeat> {
    let has = |word: &[u8]| memchr::memmem::find(text, word).is_some();
    let on_topic = match text {
        [b'[', ..] => has(b",\"phoenix\",\""),
        _ => has(b"\"topic\":\"phoenix\""),
    };
    match sender {
        Role::Client if on_topic && has(b"\"heartbeat\"") => ping(HeartbeatProtocol::Phoenix),
        Role::Server if on_topic && has(b"\"phx_reply\"") => pong(HeartbeatProtocol::Phoenix),
        _ => None,
    }
}

fn ping(protocol: HeartbeatProtocol) -> Option<Heartbeat> {
    Some(Heartbeat { protocol, kind: HeartbeatKind::Ping })
}

fn pong(protocol: HeartbeatProtocol) -> Option<Heartbeat> {
    Some(Heartbeat { protocol, kind: HeartbeatKind::Pong })
}

fn beat(protocol: HeartbeatProtocol) -> Option<Heartbeat> {
    Some(Heartbeat { protocol, kind: HeartbeatKind::Beat })
}

/// JSON without the white space that some serializers add.
struct Compact {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Compact {
    fn of(text: &[u8]) -> Compact {
        let mut compact = Compact { bytes: [0; LONGEST], length: 0 };
        let solid = text.iter().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        for (to, from) in compact.bytes.iter_mut().zip(solid) {
            *to = *from;
            compact.length += 1;
        }
        compact
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use HeartbeatProtocol::{ActionCable, EngineIo, GraphqlWs, Phoenix, SignalR, Stomp};

    fn seen(sender: Role, text: &str) -> Option<(HeartbeatProtocol, HeartbeatKind)> {
        recognise(sender, text.as_bytes()).map(|heartbeat| (heartbeat.protocol, heartbeat.kind))
    }

    #[test]
    fn engine_io_of_both_versions() {
        for sender in Role::BOTH {
            assert_eq!(seen(sender, "2"), Some((EngineIo, HeartbeatKind::Ping)));
            assert_eq!(seen(sender, "3"), Some((EngineIo, HeartbeatKind::Pong)));
        }
        assert_eq!(seen(Role::Client, "2probe"), Some((EngineIo, HeartbeatKind::Ping)));
        assert_eq!(seen(Role::Server, "3probe"), Some((EngineIo, HeartbeatKind::Pong)));
        assert_eq!(seen(Role::Client, "42[\"2\"]"), None);
        assert_eq!(seen(Role::Client, "20"), None);
    }

    #[test]
    fn the_others_as_their_libraries_write_them() {
        let cases = [
            (Role::Server, "{\"type\":6}\u{1e}", SignalR, HeartbeatKind::Beat),
            (Role::Client, "{\"type\":\"ping\"}", GraphqlWs, HeartbeatKind::Ping),
            (Role::Server, "{\"type\":\"pong\",\"payload\":{}}", GraphqlWs, HeartbeatKind::Pong),
            (Role::Server, "{\"type\": \"ka\"}", GraphqlWs, HeartbeatKind::Beat),
            (Role::Client, "\n", Stomp, HeartbeatKind::Beat),
            (Role::Server, "{\"type\":\"ping\",\"message\":1763637489}", ActionCable, HeartbeatKind::Beat),
            (Role::Client, "[null,\"4\",\"phoenix\",\"heartbeat\",{}]", Phoenix, HeartbeatKind::Ping),
            (
                Role::Server,
                "[null,\"4\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]",
                Phoenix,
                HeartbeatKind::Pong,
            ),
            (
                Role::Client,
                "{\"topic\":\"phoenix\",\"event\":\"heartbeat\",\"payload\":{},\"ref\":\"12\"}",
                Phoenix,
                HeartbeatKind::Ping,
            ),
        ];
        for (sender, text, protocol, kind) in cases {
            assert_eq!(seen(sender, text), Some((protocol, kind)), "{text}");
            assert!(text.len() <= crate::ws::message::SHORT_TEXT);
        }
    }

    #[test]
    fn messages_that_only_look_like_one() {
        for text in [
            "",
            "{}",
            "{\"type\":\"pinged\"}",
            "{\"type\":6}",
            "hello",
            "[\"phoenix\"]",
            "{\"type\":\"ping\",\"message\":\"x\"}",
        ] {
            assert_eq!(seen(Role::Server, text), None, "{text}");
        }
        assert_eq!(seen(Role::Client, "{\"type\":\"ping\",\"message\":1}"), None, "not ActionCable's server");
    }
}
