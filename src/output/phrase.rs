//! Small pieces of prose that the outputs share: numbers with their nouns, durations, what a request asks for.

use std::fmt::Write as _;
use std::time::Duration;

use crate::decimal;
use crate::diagnosis::wording::{Count, Span};
use crate::http::handshake::{Key, Upgrade};
use crate::http::head::{RequestHead, Version};
use crate::session::leg::Request;
use crate::session::{JoinReason, Session};
use crate::wire::Endpoint;

/// Appends a decimal number.
pub fn push_number(out: &mut String, number: u64) {
    decimal::write(out, number).expect("writing to a string cannot fail");
}

/// Appends `1 session`, `2 sessions`. The noun takes an `s`.
pub fn push_count(out: &mut String, number: u64, noun: &'static str) {
    write!(out, "{}", Count(number, noun)).expect("writing to a string cannot fail");
}

/// `1 session`, `2 sessions`.
pub fn count(number: u64, noun: &'static str) -> String {
    Count(number, noun).to_string()
}

/// Appends a duration, in the words of verdicts.
pub fn push_duration(out: &mut String, duration: Duration) {
    Span(duration).write(out).expect("writing to a string cannot fail");
}

/// `185 ms`.
pub fn duration(duration: Duration) -> String {
    Span(duration).to_string()
}

/// A number of `10^-places`, without zeros at its end.
fn push_fraction(out: &mut String, number: u64, places: u32, unit: &str) {
    let scale = 10u64.pow(places);
    push_number(out, number / scale);
    let (mut rest, mut place) = (number % scale, scale);
    if rest > 0 {
        out.push('.');
    }
    while rest > 0 {
        place /= 10;
        out.push(char::from(b'0' + (rest / place) as u8));
        rest %= place;
    }
    out.push_str(unit);
}

/// Bytes: `27 B`, `4.9 kB`, `2.1 MB`.
pub fn bytes(bytes: u64) -> String {
    let mut out = String::new();
    match bytes {
        0..10_000 => push_fraction(&mut out, bytes, 0, " B"),
        10_000..1_000_000 => push_fraction(&mut out, bytes / 100, 1, " kB"),
        1_000_000..1_000_000_000 => push_fraction(&mut out, bytes / 100_000, 1, " MB"),
        _ => push_fraction(&mut out, bytes / 100_000_000, 1, " GB"),
    }
    out
}

/// Appends an address and a port. IPv6 addresses stand in brackets.
pub fn push_endpoint(out: &mut String, endpoint: Endpoint) {
    endpoint.write(out).expect("writing to a string cannot fail");
}

/// The way of a session: its client, the proxies by the address they listen on, the last server that was tried.
pub fn path(session: &Session) -> impl Iterator<Item = Endpoint> {
    // From the last leg back to the first; the first leg has none in front of it.
    let mut servers = [None; 8];
    let (mut next, mut hops) = (session.legs.len().checked_sub(1), 0);
    while let Some(leg) = next.and_then(|index| session.legs.get(index)) {
        if hops == servers.len() {
            break;
        }
        servers[hops] = Some(leg.server);
        hops += 1;
        next = leg.behind;
    }
    let client = session.legs.first().map(|leg| leg.client);
    client.into_iter().chain(servers.into_iter().rev().flatten())
}

/// How HTTP versions are written: HTTP/2 and later have no minor version (RFC 9113 §3.1).
pub fn version(version: Version) -> &'static str {
    match (version.major, version.minor) {
        (0, 9) => "HTTP/0.9",
        (1, 0) => "HTTP/1.0",
        (1, 1) => "HTTP/1.1",
        (2, _) => "HTTP/2",
        (3, _) => "HTTP/3",
        _ => "HTTP/?",
    }
}

/// What a request asks for, and what it lacks to be an opening handshake: `asks for websocket`, or
/// `HTTP/1.0, Connection: close, no Upgrade`. Quotes the wire.
pub fn request(request: &Request) -> String {
    let (head, offer) = (&request.head, &request.offer);
    let is_http2 = head.version().is_some_and(|version| version.major >= 2);
    if is_http2 && head.method() == "CONNECT" {
        return "asks for websocket (extended CONNECT)".to_owned();
    }
    let mut parts = Vec::new();
    match head.version() {
        Some(Version::HTTP_11) => {}
        Some(other) => parts.push(version(other).to_owned()),
        None => parts.push("no HTTP version".to_owned()),
    }
    if offer.is_complete() && parts.is_empty() && head.method() == "GET" {
        return "asks for websocket".to_owned();
    }
    // What is missing may stand in the part that the capture lacks.
    let named = |name: &str| !request.cut || head.fields.first(name).is_some();
    if !offer.connection_upgrade && named("Connection") {
        parts.push(field_or_none(head, "Connection"));
    }
    match offer.upgrade {
        Upgrade::WebSocket => {}
        Upgrade::Absent if request.cut => {}
        Upgrade::Absent => parts.push("no Upgrade".to_owned()),
        Upgrade::Duplicate => parts.push("Upgrade: websocket twice".to_owned()),
        Upgrade::Other => parts.push(field_or_none(head, "Upgrade")),
    }
    if offer.is_attempt() {
        match offer.key {
            Key::Valid => {}
            Key::Absent if request.cut => {}
            Key::Absent => parts.push("no Sec-WebSocket-Key".to_owned()),
            Key::Malformed => parts.push("malformed Sec-WebSocket-Key".to_owned()),
            Key::Repeated => parts.push("Sec-WebSocket-Key twice".to_owned()),
        }
        if !offer.version_13 && named("Sec-WebSocket-Version") {
            parts.push(field_or_none(head, "Sec-WebSocket-Version"));
        }
    }
    if request.cut {
        parts.push("the capture lacks a part of it".to_owned());
    } else if parts.is_empty() || offer.is_complete() {
        parts.insert(0, "asks for websocket".to_owned());
    }
    parts.join(", ")
}

fn field_or_none(head: &RequestHead, name: &str) -> String {
    match head.fields.first(name) {
        Some(value) => format!("{name}: {value}"),
        None => format!("no {name}"),
    }
}

/// Why two legs are one session.
pub const fn join_reason(reason: JoinReason) -> &'static str {
    match reason {
        JoinReason::Key => "the same Sec-WebSocket-Key",
        JoinReason::ProxyHeader => "the PROXY header names the client's addresses",
        JoinReason::RequestId => "the same request id",
        JoinReason::TunnelBytes => "the same bytes in the tunnel",
        JoinReason::RecordSizes => "TLS record sizes that add up to the plain leg's bytes",
        JoinReason::Request => "the same request while the client waited",
        JoinReason::Time => "a connection from the proxy while the client waited",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn counts() {
        assert_eq!(count(1, "session"), "1 session");
        assert_eq!(count(0, "session"), "0 sessions");
        assert_eq!(count(u64::MAX, "packet"), "18446744073709551615 packets");
        assert_eq!(bytes(27), "27 B");
        assert_eq!(bytes(49_000), "49 kB");
        assert_eq!(bytes(2_150_000), "2.1 MB");
    }

    #[test]
    fn requests() {
        let (session, _) = samples::stripped();
        let ask = |leg: usize| request(session.legs[leg].request.as_deref().expect("the sample has requests"));
        assert_eq!(ask(0), "asks for websocket");
        assert_eq!(ask(1), "HTTP/1.0, Connection: close, no Upgrade");
    }

    #[test]
    fn a_path_names_proxies_by_their_listening_address() {
        let (session, _) = samples::stripped();
        let ports: Vec<u16> = path(&session).map(|endpoint| endpoint.port).collect();
        assert_eq!(ports, [39050, 8080, 9000]);
    }

    #[test]
    fn endpoints_read_like_their_display() {
        for text in ["10.0.0.7:80", "[2001:db8::1]:443"] {
            let socket: std::net::SocketAddr = text.parse().expect("an address");
            let endpoint = Endpoint { ip: socket.ip(), port: socket.port() };
            let mut out = String::new();
            push_endpoint(&mut out, endpoint);
            assert_eq!((out.as_str(), endpoint.to_string().as_str()), (text, text));
        }
    }
}
