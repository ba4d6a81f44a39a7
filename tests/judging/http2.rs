//! WebSockets over HTTP/2 (RFC 8441): several on one connection, how they end, what refuses them, what is behind a proxy.

use wsflow::http::head::Version;
use wsflow::script::{Script, Spoken, close, text};
use wsflow::session::leg::JoinReason;
use wsflow::session::{LegRole, Outcome, Via, Who};
use wsflow::stream::Role;

use crate::judge;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// HEADERS, each field a literal that is not added to the table (RFC 7541 §6.2.2).
fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let literal = |text: &str| [&[u8::try_from(text.len()).expect("a short text")][..], text.as_bytes()].concat();
    let block: Vec<u8> =
        fields.iter().flat_map(|(name, value)| [vec![0], literal(name), literal(value)].concat()).collect();
    frame(1, 4 | flags, stream, &block)
}

fn connect(stream: u32, path: &str) -> Vec<u8> {
    let fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "server.example.com"),
        ("sec-websocket-version", "13"),
        ("origin", "http://server.example.com"),
    ];
    headers(stream, 0, &fields)
}

fn data(stream: u32, by: Role, what: impl Spoken) -> Vec<u8> {
    frame(0, 0, stream, &what.bytes(by))
}

const ENABLE_CONNECT_PROTOCOL: &[u8] = &[0, 8, 0, 0, 0, 1];
const OK: [(&str, &str); 1] = [(":status", "200")];

/// Both have said how they want it.
fn begun(settings: &[u8]) -> Script {
    let script = Script::new().connect().client([PREFACE, &frame(4, 0, 0, &[])].concat());
    script.server([frame(4, 0, 0, settings), frame(4, 1, 0, &[])].concat()).client(frame(4, 1, 0, &[]))
}

/// A WebSocket is open on stream 1.
fn open() -> Script {
    begun(ENABLE_CONNECT_PROTOCOL).client(connect(1, "/chat")).server(headers(1, 0, &OK))
}

#[test]
fn rfc8441_5_1_one_that_goes_well() {
    let judged = judge(
        &open()
            .client(data(1, Role::Client, text("hello")))
            .server([data(1, Role::Server, text("hello")), frame(6, 0, 0, &[0; 8])].concat())
            .client(data(1, Role::Client, close(1000)))
            .server([data(1, Role::Server, close(1000)), frame(0, 1, 1, &[])].concat())
            .client([frame(0, 1, 1, &[]), frame(7, 0, 0, &[0; 8])].concat())
            .client_fin()
            .server_fin(),
    );
    let (session, _) = judged.only();
    let leg = session.first_leg();
    let request = leg.request.as_deref().expect("the extended CONNECT");
    assert_eq!((session.outcome, leg.status(), judged.ids()), (Outcome::Closed, Some(200), vec![]));
    assert_eq!((request.head.version(), request.head.path(), request.head.host()), {
        (Some(Version::HTTP_2), "/chat", Some("server.example.com"))
    });
    let h2 = leg.h2.as_deref().expect("a stream");
    assert_eq!((h2.stream_id, h2.connect_protocol_enabled, h2.reset), (1, Some(true), None));
    let sides = &leg.tunnel.as_ref().expect("a WebSocket").sides;
    assert_eq!((sides.client.messages.text, sides.server.messages.text), (1, 1));
}

#[test]
fn several_on_one_connection_beside_a_page() {
    let page = [(":method", "GET"), (":path", "/"), (":scheme", "http")];
    let script = open()
        .client([headers(3, 1, &page), connect(5, "/feed")].concat())
        .server([headers(5, 0, &OK), headers(3, 0, &OK), frame(0, 1, 3, b"page")].concat())
        .client([data(5, Role::Client, text("five")), data(1, Role::Client, text("one"))].concat())
        .server([data(1, Role::Server, text("1")), data(5, Role::Server, text("5"))].concat())
        .client([data(1, Role::Client, close(1000)), data(5, Role::Client, close(1001))].concat())
        .server([data(1, Role::Server, close(1000)), data(5, Role::Server, close(1001))].concat())
        .client_fin()
        .server_fin();
    let judged = judge(&script);
    let told: Vec<_> = judged
        .0
        .iter()
        .map(|(session, _)| {
            let leg = session.first_leg();
            let code = leg.tunnel.as_ref().and_then(|tunnel| tunnel.sides.client.close.as_ref()?.code);
            let target = leg.request.as_ref().map(|request| request.head.target().to_string());
            (leg.h2.as_ref().map(|h2| h2.stream_id), target, session.outcome, code)
        })
        .collect();
    let expected = [(1, "/chat", 1000), (5, "/feed", 1001)]
        .map(|(stream, path, code)| (Some(stream), Some(path.to_owned()), Outcome::Closed, Some(code)));
    assert_eq!(told, expected);
    assert!(judged.alarms().is_empty(), "{:?}", judged.alarms());
}

/// However the bytes are packed, it is the same session.
#[test]
fn segments_may_be_cut_anywhere() {
    for size in [1, 2, 3, 7, 20] {
        let script = begun(ENABLE_CONNECT_PROTOCOL).client(connect(1, "/chat")).in_pieces_of(size);
        let script = script.server(headers(1, 0, &OK)).in_pieces_of(size);
        let script = script.client(data(1, Role::Client, text("in pieces"))).in_pieces_of(size);
        let judged = judge(&script.server(data(1, Role::Server, text("so is this"))).in_pieces_of(size));
        let (session, _) = judged.only();
        let sides = &session.first_leg().tunnel.as_ref().expect("a WebSocket").sides;
        assert_eq!((sides.client.messages.bytes, sides.server.messages.bytes), (9, 10), "{size}");
    }
}

/// RFC 8441 §5: RST_STREAM is what an RST is.
#[test]
fn rfc8441_5_a_stream_that_is_reset() {
    let reset = frame(3, 0, 1, &8_u32.to_be_bytes());
    let judged = judge(&open().client(data(1, Role::Client, text("x"))).server(reset).after_ms(5_000).client_fin());
    let (session, _) = judged.only();
    let ended = session.ended_by.expect("it has ended");
    assert_eq!((session.outcome, ended.who, ended.via), (Outcome::Aborted, Who::Server, Via::H2Reset));
    assert_eq!(judged.cause(), Some("reset-without-close"));
    assert!(judged.verdicts()[0].contains("RST_STREAM (CANCEL)"), "{:?}", judged.verdicts());
}

#[test]
fn a_server_that_has_none() {
    let refused = |settings, answer: Vec<u8>| {
        let script = begun(settings).client(connect(1, "/chat")).server(answer).client_fin().server_fin();
        judge(&script).cause()
    };
    let status = |status| headers(1, 1, &[(":status", status)]);
    assert_eq!(refused(&[], status("400")), Some("extended-connect-unsupported"));
    assert_eq!(refused(&[], frame(3, 0, 1, &[0, 0, 0, 1])), Some("extended-connect-unsupported"));
    assert_eq!(refused(ENABLE_CONNECT_PROTOCOL, status("403")), Some("forbidden"));
    assert_eq!(refused(ENABLE_CONNECT_PROTOCOL, status("404")), Some("endpoint-not-found"));
}

#[test]
fn an_answer_that_never_comes() {
    let asked = || begun(ENABLE_CONNECT_PROTOCOL).client(connect(1, "/chat"));
    let closed = judge(&asked().after_ms(2_000).server_fin().client_fin());
    assert_eq!((closed.only().0.outcome, closed.cause()), (Outcome::Unanswered, Some("no-answer")));
    let cancelled = asked().after_ms(10_000).client(frame(3, 0, 1, &8_u32.to_be_bytes()));
    assert_eq!(judge(&cancelled).cause(), Some("client-gave-up"));
}

/// An Upgrade has no place in HTTP/2 (RFC 9113 §8.2.2): who sends one is told what came of it.
#[test]
fn an_upgrade_as_in_http1() {
    let request = [
        (":method", "GET"),
        (":path", "/chat"),
        (":scheme", "http"),
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    let script = begun(&[]).client(headers(1, 1, &request)).server(headers(1, 1, &[(":status", "400")]));
    let judged = judge(&script.client_fin().server_fin());
    assert_eq!(judged.only().0.outcome, Outcome::Rejected);
    assert_eq!(judged.cause(), Some("handshake-rejected"));
    assert!(judged.verdicts()[0].contains("Upgrade, which has no place in HTTP/2"), "{:?}", judged.verdicts());
}

/// A proxy that speaks HTTP/2 in front and HTTP/1.1 behind makes a key of its own.
#[test]
fn a_proxy_between_two_versions() {
    let (client, proxy, backend) = (([192, 0, 2, 1], 40_001), [203, 0, 113, 9], ([203, 0, 113, 10], 9000));
    let (front, back) =
        (|script: Script| script.leg(client, (proxy, 80)), |script: Script| script.leg((proxy, 50_000), backend));
    let script = begun(ENABLE_CONNECT_PROTOCOL).client(connect(1, "/chat"));
    let script = back(script).connect().request(Script::REQUEST).response(Script::RESPONSE);
    let script = front(script).server(headers(1, 0, &OK)).client(data(1, Role::Client, text("hello")));
    let script = back(script).client(text("hello")).client(close(1000)).server(close(1000)).server_fin().client_fin();
    let script = front(script).client(data(1, Role::Client, close(1000))).server(data(1, Role::Server, close(1000)));
    let judged = judge(&script.client_fin().server_fin());
    let expected = [(LegRole::ClientProxy, None), (LegRole::ProxyBackend, Some(JoinReason::Request))];
    assert_eq!((judged.legs(), judged.alarms()), (expected.to_vec(), vec![]));
}

/// Where a proxy changes the target, the same visitor must do, and nobody else may wait.
#[test]
fn a_proxy_that_changes_the_target() {
    let visitor = [("user-agent", "browser"), ("origin", "http://server.example.com")];
    let ask = |stream, path| {
        let fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path)];
        headers(stream, 0, &[&fields[..], &visitor].concat())
    };
    let request = "GET /app/chat HTTP/1.1\r\nUser-Agent: browser\r\nOrigin: http://server.example.com\r\n\
        Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    let legs = |asked: Vec<u8>| {
        let script = begun(ENABLE_CONNECT_PROTOCOL).client(asked);
        let script = script.leg(([203, 0, 113, 9], 50_000), ([203, 0, 113, 10], 9000));
        judge(&script.connect().request(request).response(Script::RESPONSE)).0.len()
    };
    assert_eq!(legs(ask(1, "/chat")), 1);
    assert_eq!(legs([ask(1, "/one"), ask(3, "/two")].concat()), 3, "it may belong to either");
}

/// What a peer did not take for more than a second is told, as a TCP window of zero is.
#[test]
fn a_stream_whose_window_stays_shut() {
    let script = begun(ENABLE_CONNECT_PROTOCOL)
        .client([frame(4, 0, 0, &[0, 4, 0, 0, 0, 4]), connect(1, "/chat")].concat())
        .server([headers(1, 0, &OK), data(1, Role::Server, text("ab"))].concat())
        .after_ms(3_000)
        .client([frame(8, 0, 1, &[0, 0, 1, 0]), data(1, Role::Client, text("at last"))].concat())
        .server(data(1, Role::Server, text("cd")));
    assert!(judge(&script).ids().contains(&"slow-consumer"));
}

/// A 101 that upgrades to HTTP/2 in clear is no WebSocket, and may carry one (RFC 7540 §3.2).
#[test]
fn an_upgrade_to_h2c() {
    let script = Script::new()
        .connect()
        .request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n")
        .response("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        .client([PREFACE, &frame(4, 0, 0, &[])].concat())
        .server(frame(4, 0, 0, ENABLE_CONNECT_PROTOCOL))
        .client(connect(3, "/chat"))
        .server(headers(3, 0, &OK))
        .client(data(3, Role::Client, text("x")));
    let judged = judge(&script);
    assert_eq!((judged.only().0.outcome, judged.alarms()), (Outcome::Open, vec![]));
}
