//! Sessions made by hand, for the tests of the outputs.

use std::borrow::Cow;
use std::time::Duration;

use crate::diagnosis::{Diagnosis, Evidence, Finding, Severity};
use crate::engine::event::{IgnoredCounts, Loss, Summary};
use crate::http::handshake::{Accept, Answer, Key, Offer, Upgrade};
use crate::http::head::{RequestHead, ResponseHead, Version};
use crate::packet::{Moment, PacketNumber};
use crate::session::leg::{Direction, Pings, Request, Response, TlsAlert, TlsFacts, Tunnel};
use crate::session::{Confidence, EndedBy, JoinReason, Leg, LegRole, Outcome, Phase, Session, SessionId, Via, Who};
use crate::stream::{ByRole, Pair, Role, Side};
use crate::tcp::{ConnectionFacts, ConnectionId, End, EndKind, HalfFacts};
use crate::time::Timestamp;
use crate::wire::Endpoint;
use crate::ws::facts::{Close, FrameCounts, MessageCounts};

/// So many microseconds after 2026-11-20T23:58:09.020Z, in that packet.
pub fn moment(packet: u64, micros: u64) -> Moment {
    Moment { at: Timestamp::from_nanos(1_795_219_089_020_000_000 + micros * 1000), packet: PacketNumber(packet) }
}

/// `127.0.0.1:8080`.
pub fn endpoint(text: &str) -> Endpoint {
    let socket: std::net::SocketAddr = text.parse().expect("an address and a port");
    Endpoint { ip: socket.ip(), port: socket.port() }
}

const CLIENT_FIELDS: &str = "Host: 127.0.0.1:8080\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: efFSUsyKKb34Vs3p7/BpLw==\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Cookie: sid=0123456789abcdef\r\n";
const STRIPPED_FIELDS: &str = "Host: 127.0.0.1:9000\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: efFSUsyKKb34Vs3p7/BpLw==\r\nCookie: sid=0123456789abcdef\r\n";

/// A proxy that strips the upgrade: two legs, rejected with 426. As nginx 1.22 without configuration does.
pub fn stripped() -> (Session, Diagnosis) {
    let mut front = leg("127.0.0.1:39050", "127.0.0.1:8080", 1);
    front.role = LegRole::ClientProxy;
    front.outcome = Outcome::Rejected;
    front.request = Some(request("/ws", Version::HTTP_11, CLIENT_FIELDS, offer(), moment(4, 7_000)));
    front.response = Some(response(426, "Upgrade Required", Answer::default(), moment(14, 30_600)));
    front.tcp.ends = vec![end(Side::Responder, EndKind::Fin, moment(15, 30_900))];
    let mut back = leg("127.0.0.1:41480", "127.0.0.1:9000", 2);
    back.role = LegRole::ProxyBackend;
    back.outcome = Outcome::Rejected;
    back.behind = Some(0);
    back.joined_by = Some(JoinReason::Key);
    let stripped = Offer { upgrade: Upgrade::Absent, connection_upgrade: false, ..offer() };
    back.request = Some(request("/ws", Version::HTTP_10, STRIPPED_FIELDS, stripped, moment(9, 7_400)));
    back.response = Some(response(426, "Upgrade Required", Answer::default(), moment(12, 30_500)));
    let session = Session {
        id: SessionId(1),
        legs: vec![front, back],
        start: moment(1, 0).at,
        end: moment(17, 185_912).at,
        outcome: Outcome::Rejected,
        ended_by: Some(EndedBy {
            who: Who::Proxy,
            via: Via::HttpStatus,
            phase: Phase::Opening,
            confidence: Confidence::High,
        }),
    };
    let evidence = Evidence::on(
        1,
        "client sent Upgrade: websocket, Connection: Upgrade; upstream got Connection: close, HTTP/1.0",
    )
    .packet(moment(4, 7_000), "request from the client")
    .packet(moment(9, 7_400), "request to the backend")
    .verdict(
        "the proxy 127.0.0.1:8080 did not forward Upgrade: its request to 127.0.0.1:9000 went out as HTTP/1.0 with \
                   Connection: close; the backend answered 426",
    );
    let finding = Finding {
        id: "upgrade-headers-stripped",
        severity: Severity::Error,
        title: "The proxy did not forward the upgrade headers",
        evidence,
        fix: "in the nginx location:\nproxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\n\
              proxy_set_header Connection \"upgrade\";"
            .into(),
        reference: "RFC 6455 §4.2.1",
    };
    (session, Diagnosis { findings: vec![finding], cause: Some(0) })
}

/// A healthy direct session: two messages each way, one ping, a complete closing handshake.
pub fn closed() -> (Session, Diagnosis) {
    let mut only = leg("10.0.0.7:50122", "[2001:db8::1]:443", 3);
    let answer =
        Answer { upgrade: Upgrade::WebSocket, connection_upgrade: true, accept: Accept::Valid, ..Answer::default() };
    only.outcome = Outcome::Closed;
    only.request =
        Some(request("/chat?token=s3cret&room=1", Version::HTTP_11, CLIENT_FIELDS, offer(), moment(24, 1_000)));
    only.response = Some(response(101, "Switching Protocols", answer, moment(25, 1_900)));
    only.tunnel = Some(Box::new(Tunnel {
        sides: ByRole { client: direction(moment(31, 900_000), true), server: direction(moment(32, 900_200), false) },
        first_close: Some(Role::Client),
        handshake_seen: true,
        opened: moment(25, 1_900),
        ..Tunnel::default()
    }));
    only.tcp.ends = vec![
        end(Side::Originator, EndKind::Fin, moment(33, 900_900)),
        end(Side::Responder, EndKind::Fin, moment(34, 901_000)),
    ];
    let session = Session {
        id: SessionId(2),
        legs: vec![only],
        start: moment(21, 0).at,
        end: moment(34, 901_000).at,
        outcome: Outcome::Closed,
        ended_by: Some(EndedBy {
            who: Who::Client,
            via: Via::CloseFrame,
            phase: Phase::Closing,
            confidence: Confidence::High,
        }),
    };
    (session, Diagnosis::default())
}

/// TLS without keys that ended with an alert: no request is known.
pub fn encrypted() -> (Session, Diagnosis) {
    let mut only = leg("10.0.0.8:51544", "192.0.2.1:443", 4);
    only.outcome = Outcome::Encrypted;
    only.tls = Some(Box::new(TlsFacts {
        version: Some("TLS 1.3"),
        sni: Some("chat.example\u{202e}".to_owned()),
        alpn: Some("http/1.1".to_owned()),
        cipher: Some("TLS_AES_128_GCM_SHA256".to_owned()),
        alerts: vec![TlsAlert { by: Role::Client, level: Some(2), description: Some(48), moment: moment(45, 40_000) }],
        client_hello: Some(moment(43, 200)),
        ..TlsFacts::default()
    }));
    let session = Session {
        id: SessionId(3),
        legs: vec![only],
        start: moment(41, 0).at,
        end: moment(46, 41_000).at,
        outcome: Outcome::Encrypted,
        ended_by: None,
    };
    let finding = Finding {
        id: "encrypted-no-keys",
        severity: Severity::Note,
        title: "TLS without keys",
        evidence: Evidence {
            packets: vec![(PacketNumber(43), Cow::Borrowed("ClientHello"))],
            ..Evidence::on(0, "nothing above TLS is known").not_cause()
        },
        fix: "give the secrets with --keylog".into(),
        reference: "RFC 9850",
    };
    (session, Diagnosis { findings: vec![finding], cause: None })
}

/// What a run over these sessions ends with.
pub fn summary() -> Summary {
    Summary {
        packets: 46,
        bytes: 5120,
        connections: 4,
        sessions: vec![("closed", 1), ("rejected", 1), ("encrypted", 1)],
        findings: vec![("upgrade-headers-stripped", 1), ("encrypted-no-keys", 1)],
        worst: Some(Severity::Error),
        ignored: IgnoredCounts { not_tcp: 3, ..IgnoredCounts::default() },
        loss: Loss::default(),
        limits: Vec::new(),
        forgotten: Vec::new(),
        first: Some(moment(1, 0).at),
        last: Some(moment(46, 1_000_000).at),
        duration: Duration::from_secs(1),
    }
}

/// A leg with a TCP handshake of 50 µs and nothing else.
pub fn leg(client: &str, server: &str, connection: u64) -> Leg {
    let (client, server) = (endpoint(client), endpoint(server));
    Leg::new(ConnectionFacts {
        id: ConnectionId(connection),
        endpoints: Pair { originator: client, responder: server },
        first: moment(1, 0),
        last: moment(2, 50),
        syn: Some(moment(1, 0)),
        syn_retransmissions: 0,
        syn_ack: Some(moment(2, 50)),
        established: Some(moment(3, 60)),
        refused: None,
        icmp: Vec::new(),
        ends: Vec::new(),
        halves: Pair { originator: half(), responder: half() },
    })
}

fn half() -> HalfFacts {
    HalfFacts { packets: 4, bytes: 200, acknowledged: 200, ..HalfFacts::default() }
}

fn offer() -> Offer {
    Offer {
        upgrade: Upgrade::WebSocket,
        connection_upgrade: true,
        key: Key::Valid,
        version_13: true,
        websocket_fields: true,
        deflate: false,
        extended_connect: false,
    }
}

fn request(target: &str, version: Version, fields: &str, offer: Offer, moment: Moment) -> Box<Request> {
    let head = RequestHead::new("GET", target, Some(version), fields);
    Box::new(Request { head, offer, begun: moment, moment, cut: false })
}

fn response(status: u16, reason: &str, answer: Answer, moment: Moment) -> Box<Response> {
    let (fields, body) = match status {
        101 => {
            ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "")
        }
        _ => ("Content-Type: text/plain\r\n", reason),
    };
    Box::new(Response {
        head: ResponseHead::new(Version::HTTP_11, status, reason, fields),
        answer,
        begun: moment,
        moment,
        body: body.into(),
        head_bytes: 120,
        cut: false,
    })
}

fn direction(close: Moment, pings: bool) -> Box<Direction> {
    let ping = Pings {
        sent: 1,
        answered: 1,
        min: Some(Duration::from_micros(300)),
        max: Some(Duration::from_micros(300)),
        total: Duration::from_micros(300),
        ..Pings::default()
    };
    Box::new(Direction {
        frames: FrameCounts {
            text: 2,
            ping: u32::from(pings),
            pong: u32::from(!pings),
            close: 1,
            ..FrameCounts::default()
        },
        messages: MessageCounts { text: 2, binary: 0, bytes: 54 },
        close: Some(Close { code: Some(1000), reason: "bye".into(), moment: close }),
        pings: if pings { ping } else { Pings::default() },
        first_frame: Some(moment(26, 2_000)),
        last_frame: Some(close),
        ..Direction::default()
    })
}

fn end(side: Side, kind: EndKind, moment: Moment) -> End {
    End { side, kind, moment, ttl: 64, ip_id: 0 }
}
