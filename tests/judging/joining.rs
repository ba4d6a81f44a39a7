//! Which legs are found to belong together, and by what.

use wsflow::script::{OwnedPacket, Script, close, switching_protocols, text};
use wsflow::session::LegRole::{ClientProxy, ProxyBackend};
use wsflow::session::leg::JoinReason;

use super::{judge, judge_packets};

/// The proxy, from outside.
const FRONT: ([u8; 4], u16) = ([10, 0, 0, 1], 80);
const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 7], 40_001);
/// The proxy on its way to the backend.
const DIAL: ([u8; 4], u16) = ([10, 0, 0, 1], 50_001);
const BACKEND: ([u8; 4], u16) = ([10, 0, 0, 9], 9000);
const OTHER_BACKEND: ([u8; 4], u16) = ([10, 0, 0, 9], 9001);

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A request for `/ws` with this key field and these lines more.
fn asking(key: &str, more: &str) -> String {
    let key = if key.is_empty() { String::new() } else { format!("Sec-WebSocket-Key: {key}\r\n") };
    format!(
        "GET /ws HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\n{key}{more}\r\n"
    )
}

const REFUSED: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n";

/// Both legs of a refused handshake: what the client sent, and what the proxy made of it.
fn refused(asked: &str, forwarded: &str) -> Script {
    Script::new()
        .leg(CLIENT, FRONT)
        .request(asked)
        .leg(DIAL, BACKEND)
        .request(forwarded)
        .response(REFUSED)
        .client_fin()
        .server_fin()
        .leg(CLIENT, FRONT)
        .response(REFUSED)
        .client_fin()
        .server_fin()
}

/// A short session on the leg that is chosen, from its 101 on.
fn open(script: Script) -> Script {
    script.client(text("hello")).server(text("world"))
}

fn over(script: Script) -> Script {
    script.client(close(1000)).server(close(1000)).server_fin().client_fin()
}

#[test]
fn an_invalid_key_joins_by_the_request() {
    let judged = judge(&refused(&asking("test", ""), &asking("test", "X-Real-IP: 10.0.0.7\r\n")));
    assert_eq!(judged.legs(), [(ClientProxy, None), (ProxyBackend, Some(JoinReason::Request))]);
    assert_eq!(judged.cause(), Some("invalid-websocket-key"));
}

#[test]
fn a_stripped_key_is_missed_where_it_was() {
    let judged = judge(&refused(&asking(KEY, ""), &asking("", "")));
    assert_eq!(judged.legs(), [(ClientProxy, None), (ProxyBackend, Some(JoinReason::Request))]);
    assert_eq!(judged.cause(), Some("websocket-key-stripped"));
}

/// All on one host, so that addresses tell nothing; the answer to the request without Upgrade was not captured.
#[test]
fn a_proxy_makes_no_upgrade_of_a_request_that_has_none() {
    const HERE: [u8; 4] = [127, 0, 0, 1];
    let aside = format!("GET /verify HTTP/1.0\r\nHost: auth\r\nSec-WebSocket-Key: {KEY}\r\n\r\n");
    let script = Script::new()
        .leg((HERE, 40_001), (HERE, 80))
        .request(asking(KEY, ""))
        .leg((HERE, 50_001), (HERE, 9100))
        .request(&aside)
        .leg((HERE, 50_002), (HERE, 9000))
        .request(asking(KEY, ""))
        .response(switching_protocols(KEY))
        .leg((HERE, 40_001), (HERE, 80))
        .response(switching_protocols(KEY));
    let judged = judge(&over(open(script)));
    let (session, _) = judged.only();
    let behind: Vec<_> = session.legs.iter().map(|leg| (leg.server.port, leg.behind)).collect();
    assert_eq!(behind, [(80, None), (9100, Some(0)), (9000, Some(0))]);
}

#[test]
fn two_invalid_keys_are_two_clients() {
    let judged = judge(&refused(&asking("test", ""), &asking("another", "")));
    assert_eq!(judged.0.len(), 2);
}

#[test]
fn an_attempt_that_failed_before_the_one_that_worked_is_the_same_sessions() {
    let answer = switching_protocols(KEY);
    let asked = Script::new().leg(CLIENT, FRONT).request(asking(KEY, ""));
    let tried = asked.leg(([10, 0, 0, 1], 50_000), OTHER_BACKEND).refused();
    let worked = tried.leg(DIAL, BACKEND).request(asking(KEY, "")).response(&answer);
    let both = open(open(worked.leg(CLIENT, FRONT).response(&answer)).leg(DIAL, BACKEND));
    let judged = judge(&over(over(both).leg(CLIENT, FRONT)));
    assert_eq!(judged.legs().len(), 3);
    assert_eq!((judged.ids(), judged.cause()), (vec!["upstream-retried"], None));
}

/// Two ask at once, and one of them for a backend that is down: its answer needs that reason, the other has what it wanted. So
/// does the answer of who asks a moment later.
#[test]
fn a_refused_connection_is_that_of_who_was_sent_away() {
    const HERE: [u8; 4] = [127, 0, 0, 1];
    const DOWN: ([u8; 4], u16) = (HERE, 9001);
    let (sent_away, served) = (((HERE, 40_001), (HERE, 80)), ((HERE, 40_002), (HERE, 80)));
    let answer = switching_protocols(KEY);
    let asked = Script::new().leg(sent_away.0, sent_away.1).request(asking("AQIDBAUGBwgJCgsMDQ4PEA==", ""));
    let asked = asked.leg(served.0, served.1).request(asking(KEY, ""));
    let tried = asked.leg((HERE, 50_001), DOWN).refused();
    let worked = tried.leg((HERE, 50_002), (HERE, 9000)).request(asking(KEY, "")).response(&answer);
    let answered = worked.leg(sent_away.0, sent_away.1).response(BAD_GATEWAY).client_fin().server_fin();
    let later = answered.leg((HERE, 40_003), (HERE, 80)).request(asking("EBAPDg0MCwoJCAcGBQQDAg==", ""));
    let later = later.leg((HERE, 50_003), DOWN).refused().leg((HERE, 40_003), (HERE, 80)).response(BAD_GATEWAY);
    let judged = judge(&over(open(later.client_fin().server_fin().leg(served.0, served.1).response(&answer))));
    let clients: Vec<Vec<u16>> =
        judged.0.iter().map(|(session, _)| session.legs.iter().map(|leg| leg.client.port).collect()).collect();
    assert_eq!(clients, [[40_001, 50_001], [40_002, 50_002], [40_003, 50_003]], "{:?}", judged.verdicts());
}

#[test]
fn the_other_address_of_a_name_is_no_retry() {
    let answer = switching_protocols(KEY);
    let v6 = |port: u16| (std::net::Ipv6Addr::LOCALHOST, port);
    let v4 = |port: u16| ([127, 0, 0, 1], port);
    let asked = Script::new().leg(v4(40_001), v4(80)).request(asking(KEY, ""));
    let tried = asked.leg(v6(50_000), v6(9000)).refused();
    let worked = tried.leg(v4(50_001), v4(9000)).request(asking(KEY, "")).response(&answer);
    let judged = judge(&worked.leg(v4(40_001), v4(80)).response(&answer).client(text("a")));
    assert_eq!(judged.only().0.legs.len(), 2);
    assert_eq!(judged.alarms(), [""; 0]);
}

/// All packets of one connection, then all of the other: two captures, one put behind the other.
#[test]
fn files_that_stand_one_behind_the_other_join_by_key() {
    let answer = switching_protocols(KEY);
    let script = Script::new().leg(CLIENT, FRONT).request(asking(KEY, "")).leg(DIAL, BACKEND);
    let script = open(script.request(asking(KEY, "")).response(&answer));
    let script = over(open(script.leg(CLIENT, FRONT).response(&answer)).after_ms(400));
    let packets = over(script.leg(DIAL, BACKEND)).packets();
    let is_front = |packet: &&OwnedPacket| packet.data[30..34] == [10, 0, 0, 7] || packet.data[26..30] == [10, 0, 0, 7];
    let front: Vec<OwnedPacket> = packets.iter().filter(is_front).cloned().collect();
    let back: Vec<OwnedPacket> = packets.iter().filter(|packet| !is_front(packet)).cloned().collect();
    assert!(!front.is_empty() && !back.is_empty());
    let judged = judge_packets(&[front, back].concat());
    assert_eq!(judged.legs(), [(ClientProxy, None), (ProxyBackend, Some(JoinReason::Key))]);
}

#[test]
fn sessions_that_follow_each_other_with_one_key_stay_apart() {
    let answer = switching_protocols(KEY);
    let one = over(open(Script::new().leg(CLIENT, FRONT).request(asking(KEY, "")).response(&answer)));
    let other = one.after_ms(50).leg(DIAL, BACKEND).request(asking(KEY, "")).response(&answer);
    assert_eq!(judge(&over(open(other))).0.len(), 2);
}

/// Open before the capture began, on both sides of a proxy that then lets it run into its timer.
#[test]
fn a_tunnel_is_recognised_by_its_bytes() {
    let mut script = Script::new().leg(CLIENT, FRONT).mid_stream().leg(DIAL, BACKEND).mid_stream();
    for n in 0..4 {
        let said = format!("message number {n}");
        script = script.leg(CLIENT, FRONT).client(text(&said)).leg(DIAL, BACKEND).client(text(&said));
        script = script.server(text("noted")).leg(CLIENT, FRONT).server(text("noted"));
    }
    let script = script.after_ms(3000).leg(DIAL, BACKEND).client_fin().leg(CLIENT, FRONT).server_fin();
    let judged = judge(&script.client_fin().leg(DIAL, BACKEND).server_fin());
    assert_eq!(judged.legs(), [(ClientProxy, None), (ProxyBackend, Some(JoinReason::TunnelBytes))]);
    assert_eq!(judged.cause(), Some("idle-timeout"), "{:?}", judged.verdicts());
}

#[test]
fn a_pong_behind_a_hole_answers_its_ping() {
    let script = Script::new().opening_handshake().client(text("a")).server(text("b"));
    // The ping's segment comes again later, behind the pong that answered it.
    let script = script.server(wsflow::script::ping("x")).reordered().client(wsflow::script::pong("x"));
    let judged = judge(&script.after_ms(30_000).server(close(1011)).server_fin().client_fin());
    assert!(!judged.ids().contains(&"ping-unanswered"), "{:?}", judged.ids());
}

/// A client that tries one server and, as soon as it is answered, the other; the snap length cut the first request.
#[test]
fn a_cut_request_that_came_first_is_not_behind() {
    const HERE: [u8; 4] = [127, 0, 0, 1];
    const OTHER_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEA==";
    let script = Script::new()
        .leg((HERE, 40_001), (HERE, 80))
        .request(asking(KEY, ""))
        .snapped(14 + 20 + 20 + 40)
        .leg((HERE, 40_002), (HERE, 9000))
        .request(asking(OTHER_KEY, ""))
        .response(switching_protocols(OTHER_KEY))
        .leg((HERE, 40_001), (HERE, 80))
        .response(switching_protocols(KEY));
    let judged = judge(&script);
    assert_eq!(judged.0.len(), 2, "{:?}", judged.verdicts());
}

#[test]
fn a_proxy_that_leaves_its_backends_101_has_its_own_reason() {
    let asked = asking(KEY, "X-Forwarded-For: 10.0.0.7\r\n");
    let judged =
        judge(&Script::new().leg(DIAL, BACKEND).request(asked).response(switching_protocols(KEY)).client_fin());
    assert_eq!(judged.cause(), Some("client-rejected-answer"));
    let verdict = &judged.verdicts()[0];
    assert!(verdict.starts_with("the proxy") && verdict.ends_with("the reason is in the proxy"), "{verdict}");
}

const PAGE: &str = "GET /page HTTP/1.1\r\nHost: app.example\r\n\r\n";
const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
const VISITOR: ([u8; 4], u16) = ([10, 0, 0, 8], 40_002);

const GATEWAY_TIMEOUT: &str = "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n";

/// A page whose backend refuses, and what happens meanwhile.
fn page_in_vain(before: Script, meanwhile: impl FnOnce(Script) -> Script) -> Script {
    let asked = before.leg(VISITOR, FRONT).request(PAGE).leg(([10, 0, 0, 1], 50_000), OTHER_BACKEND).refused();
    meanwhile(asked).leg(VISITOR, FRONT).response(BAD_GATEWAY)
}

#[test]
fn a_refused_connection_for_a_page_is_no_session() {
    assert_eq!(judge(&page_in_vain(Script::new(), |script| script)).0.len(), 0);
    let alone = judge(&Script::new().leg(CLIENT, OTHER_BACKEND).refused());
    assert_eq!(alone.cause(), Some("connect-refused"));
}

#[test]
fn a_refused_connection_for_a_page_is_no_attempt_of_the_session_that_worked() {
    let answer = switching_protocols(KEY);
    let asked = Script::new().leg(CLIENT, FRONT).request(asking(KEY, ""));
    let both = page_in_vain(asked, |script| {
        script.leg(DIAL, BACKEND).request(asking(KEY, "")).response(&answer).leg(CLIENT, FRONT).response(&answer)
    });
    let judged = judge(&over(both.leg(CLIENT, FRONT)));
    assert_eq!(judged.legs().len(), 2);
    assert_eq!(judged.alarms(), [""; 0]);
}

#[test]
fn a_refused_connection_is_rather_that_of_an_attempt_that_failed() {
    let asked = Script::new().leg(CLIENT, FRONT).request(asking(KEY, ""));
    let judged = judge(&page_in_vain(asked, |script| script).leg(CLIENT, FRONT).response(BAD_GATEWAY));
    assert_eq!(judged.cause(), Some("upstream-refused"));
}

/// HAProxy dials again a second later for each of those that wait.
#[test]
fn attempts_that_wait_at_one_time_have_their_share_of_what_was_refused() {
    let key = |client: u16| format!("dGhlIHNhbXBsZSBub25j{client:04}"); // 24 characters, for the keys are not checked here
    let clients = [1001u16, 1002, 1003];
    let ask = |script: Script, client: u16| {
        let asked = script.leg((CLIENT.0, client), FRONT).request(asking(&key(client), ""));
        asked.leg((DIAL.0, client + 50_000), BACKEND).refused()
    };
    let asked = clients.into_iter().fold(Script::new(), ask).after_ms(1000);
    let again = |script: Script, client: u16| {
        let dialled = script.leg((DIAL.0, client + 51_000), BACKEND).refused();
        dialled.leg((CLIENT.0, client), FRONT).response(BAD_GATEWAY)
    };
    let judged = judge(&clients.into_iter().fold(asked, again));
    let causes: Vec<_> = judged.0.iter().map(|(_, diagnosis)| diagnosis.cause().map(|cause| cause.id)).collect();
    assert_eq!(causes, [Some("upstream-refused"); 3]);
    let legs: Vec<usize> = judged.0.iter().map(|(session, _)| session.legs.len()).collect();
    assert_eq!(legs, [3, 3, 3]);
}

#[test]
fn a_refused_connection_for_a_page_is_not_that_of_an_attempt_whose_backend_hangs() {
    let asked = Script::new().leg(CLIENT, FRONT).request(asking(KEY, "")).leg(DIAL, BACKEND).request(asking(KEY, ""));
    let vain = page_in_vain(asked.after_ms(10), |script| script).after_ms(990);
    let judged = judge(&vain.leg(DIAL, BACKEND).client_fin().leg(CLIENT, FRONT).response(GATEWAY_TIMEOUT));
    assert_eq!(judged.cause(), Some("upstream-response-timeout"));
}
