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

/// The longest heartbeat, with room for white space: Phoenix names topic, event, payload and reference.
const LONGEST: usize = 128;

/// Recognises a heartbeat in the whole text of a message that `sender` sent.
///
/// Nothing but the text is looked at: an application without one of these protocols may send the same.
#[inline]
pub fn recognise(sender: Role, text: &[u8]) -> Option<Heartbeat> {
    match text {
        [b'2' | b'3', ..] => engine_io(text),
        b"\n" | b"\r\n" => beat(HeartbeatProtocol::Stomp),
        // Behind a key that is nobody's, as most are, there is nothing to look for.
        [b'{', b'"', key, ..] if !FIRST_OF_KEYS.contains(key) => None,
        [b'{', ..] if text.len() <= LONGEST => object(sender, text),
        [b'[', ..] if text.len() <= LONGEST => array(sender, text),
        _ => None,
    }
}

/// What the first key in an object of any of these protocols begins with: type, topic, event, payload, ref, join_ref.
const FIRST_OF_KEYS: &[u8] = b"teprj";

/// Packet types 2 (ping) and 3 (pong). In version 4 the server pings, in version 3 the client; `probe` goes with the first
/// ones on a new transport.
fn engine_io(text: &[u8]) -> Option<Heartbeat> {
    match text {
        b"2" | b"2probe" => ping(HeartbeatProtocol::EngineIo),
        b"3" | b"3probe" => pong(HeartbeatProtocol::EngineIo),
        _ => None,
    }
}

/// A JSON object. Its first key tells whose it may be, and that it is nobody's for most messages.
#[inline]
fn object(sender: Role, text: &[u8]) -> Option<Heartbeat> {
    let key = match text {
        [b'{', b'"', key @ ..] => key,
        spaced => skip(spaced, b"{\"")?,
    };
    match key {
        [b't', b'y', ..] => typed(sender, skip(key, b"type\":")?),
        [b't', b'o', ..] | [b'e' | b'p' | b'r' | b'j', ..] => phoenix_object(sender, text),
        _ => None,
    }
}

/// Behind `{"type":`.
fn typed(sender: Role, kind: &[u8]) -> Option<Heartbeat> {
    match kind.trim_ascii_start() {
        [b'6', ..] if skip(kind, b"6}") == Some(b"\x1E") => beat(HeartbeatProtocol::SignalR),
        [b'"', name @ ..] => match name.trim_ascii_start().first()? {
            b'k' if skip(kind, b"\"ka\"}") == Some(b"") => beat(HeartbeatProtocol::GraphqlWs),
            b'p' => typed_ping_or_pong(sender, kind),
            _ => None,
        },
        _ => None,
    }
}

fn typed_ping_or_pong(sender: Role, kind: &[u8]) -> Option<Heartbeat> {
    if let Some(rest) = skip(kind, b"\"ping\"") {
        // Only ActionCable puts a time into its ping, and only its server sends it.
        if let Some(time) = skip(rest, b",\"message\":") {
            let is_number = time.strip_suffix(b"}").is_some_and(|time| time.iter().all(u8::is_ascii_digit));
            return if is_number && sender == Role::Server { beat(HeartbeatProtocol::ActionCable) } else { None };
        }
        return if ends_or_has_payload(rest) { ping(HeartbeatProtocol::GraphqlWs) } else { None };
    }
    let rest = skip(kind, b"\"pong\"")?;
    if ends_or_has_payload(rest) { pong(HeartbeatProtocol::GraphqlWs) } else { None }
}

fn ends_or_has_payload(rest: &[u8]) -> bool {
    skip(rest, b"}") == Some(b"") || skip(rest, b",\"payload\":").is_some()
}

/// Phoenix, serializer 1: event `heartbeat` on topic `phoenix`, or the reply to it. The keys (`topic`, `event`, `payload`,
/// `ref`, `join_ref`) come in any order.
fn phoenix_object(sender: Role, text: &[u8]) -> Option<Heartbeat> {
    let keys = [&b"{\"topic\":"[..], b"{\"event\":", b"{\"payload\":", b"{\"ref\":", b"{\"join_ref\":"];
    if !keys.iter().any(|key| skip(text, key).is_some()) {
        return None;
    }
    let has = |word: &[u8]| memchr::memmem::find(text, word).is_some();
    match sender {
        _ if !has(b"\"phoenix\"") => None,
        Role::Client if has(b"\"heartbeat\"") => ping(HeartbeatProtocol::Phoenix),
        Role::Server if has(b"\"phx_reply\"") => pong(HeartbeatProtocol::Phoenix),
        _ => None,
    }
}

/// Phoenix, serializer 2: no join reference, a reference, topic, event, payload.
fn array(sender: Role, text: &[u8]) -> Option<Heartbeat> {
    let reference = skip(text, b"[null,\"")?;
    let end = reference.iter().position(|byte| *byte == b'"')?;
    let event = skip(&reference[end..], b"\",\"phoenix\",")?;
    match sender {
        Role::Client if skip(event, b"\"heartbeat\"").is_some() => ping(HeartbeatProtocol::Phoenix),
        Role::Server if skip(event, b"\"phx_reply\"").is_some() => pong(HeartbeatProtocol::Phoenix),
        _ => None,
    }
}

/// What follows `json` in the text, whatever white space a serializer has put between the tokens.
fn skip<'a>(mut text: &'a [u8], json: &[u8]) -> Option<&'a [u8]> {
    if let Some(rest) = text.strip_prefix(json) {
        return Some(rest);
    }
    for expected in json {
        if text.first() != Some(expected) {
            text = text.trim_ascii_start();
        }
        text = text.strip_prefix(&[*expected])?;
    }
    Some(text)
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
            (Role::Server, "{ \"type\": \"ka\" }", GraphqlWs, HeartbeatKind::Beat),
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
