//! Proxies that speak WebSocket themselves: the handshake and the frames behind them are their own.

use wsflow::script::{Script, close, close_with, switching_protocols, text};
use wsflow::session::LegRole::{ClientProxy, Direct, ProxyBackend};
use wsflow::session::leg::JoinReason;

use super::judge;

type Address = ([u8; 4], u16);

const CLIENT: Address = ([10, 0, 0, 7], 40_001);
const FRONT: Address = ([10, 0, 0, 1], 80);
const DIAL: Address = ([10, 0, 0, 1], 50_001);
const BACKEND: Address = ([10, 0, 0, 9], 9000);

const KEYS: [&str; 2] = ["dGhlIHNhbXBsZSBub25jZQ==", "AQIDBAUGBwgJCgsMDQ4PEA=="];

/// What a browser asks for.
fn asked(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUser-Agent: Browser\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\r\n",
        KEYS[0]
    )
}

/// What the proxy's library makes of it.
fn remade(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nHost: backend:9000\r\n\r\n",
        KEYS[1]
    )
}

const BOTH: [(wsflow::session::LegRole, Option<JoinReason>); 2] =
    [(ClientProxy, None), (ProxyBackend, Some(JoinReason::Request))];

/// Each says something, and each hears it from the proxy.
fn talk(script: Script) -> Script {
    let there = script.leg(CLIENT, FRONT).client(text("hello")).leg(DIAL, BACKEND).client(text("hello"));
    there.server(text("hello to you")).leg(CLIENT, FRONT).server(text("hello to you"))
}

fn front(target: &str) -> Script {
    Script::new().leg(CLIENT, FRONT).request(asked(target))
}

/// The proxy asks its backend first.
fn established(target: &str) -> Script {
    let back = front("/ws").leg(DIAL, BACKEND).request(remade(target)).response(switching_protocols(KEYS[1]));
    back.leg(CLIENT, FRONT).response(switching_protocols(KEYS[0]))
}

#[test]
fn the_legs_join_by_their_course() {
    let judged =
        judge(&talk(established("/ws")).leg(DIAL, BACKEND).server_rst().leg(CLIENT, FRONT).server(close(1011)));
    assert_eq!(judged.legs(), BOTH);
    assert_eq!(judged.cause(), Some("reset-without-close"), "{:?}", judged.verdicts());
}

#[test]
fn another_target_is_another_session() {
    assert_eq!(judge(&talk(established("/other"))).0.len(), 2);
}

#[test]
fn who_says_more_than_he_heard_is_no_proxy() {
    let script = talk(established("/ws")).leg(DIAL, BACKEND).client(text("nobody asked for this"));
    assert_eq!(judge(&script).0.len(), 2);
}

/// A test program that asks one server after the other for the same.
#[test]
fn sessions_that_follow_each_other_stay_apart() {
    let local = |port: u16| ([127, 0, 0, 1], port);
    let one = |script: Script, key: &str| {
        let script = script.request(asked("/ws").replace(KEYS[0], key)).response(switching_protocols(key));
        script
            .client(text("hello"))
            .server(text("hello"))
            .client(close(1000))
            .server(close(1000))
            .server_fin()
            .client_fin()
    };
    let script = one(Script::new().leg(local(40_001), local(8080)), KEYS[0]);
    assert_eq!(judge(&one(script.leg(local(40_002), local(8081)), KEYS[1])).0.len(), 2);
}

#[test]
fn two_that_fit_alike_are_both_left_alone() {
    let other: Address = ([10, 0, 0, 8], 40_001);
    let script = front("/ws").leg(other, FRONT).request(asked("/ws").replace(KEYS[0], "EBESExQVFhcYGRobHB0eHw=="));
    let script = script.leg(DIAL, BACKEND).request(remade("/ws")).response(switching_protocols(KEYS[1]));
    let script = script.leg(CLIENT, FRONT).response(switching_protocols(KEYS[0]));
    let judged = judge(&script.leg(other, FRONT).response(switching_protocols("EBESExQVFhcYGRobHB0eHw==")));
    assert_eq!(judged.0.len(), 3);
}

/// The client has its 101 before the proxy knows whether there is a backend.
#[test]
fn a_promise_that_cannot_be_kept_is_the_backends_refusal() {
    let script = front("/ws").response(switching_protocols(KEYS[0])).leg(DIAL, BACKEND).request(remade("/ws"));
    let script = script.response("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n").server_fin();
    let judged =
        judge(&script.leg(CLIENT, FRONT).server(close_with(1011, "upstream")).client(close(1011)).client_fin());
    assert_eq!(judged.legs(), BOTH);
    assert_eq!(judged.cause(), Some("endpoint-not-found"), "{:?}", judged.verdicts());
}

#[test]
fn a_backend_that_is_not_there_is_found_behind_the_promise() {
    let script = front("/ws").response(switching_protocols(KEYS[0])).leg(DIAL, BACKEND).refused();
    let judged = judge(&script.leg(CLIENT, FRONT).server(close_with(1014, "no backend")).client(close(1014)));
    assert_eq!(judged.cause(), Some("upstream-refused"));
    assert!(judged.verdicts()[0].ends_with("it had opened its client's WebSocket before, and closed it with 1014"));
}

#[test]
fn a_promise_that_was_kept_looks_for_no_backend() {
    let script = front("/ws").response(switching_protocols(KEYS[0])).leg(DIAL, BACKEND).refused();
    let judged = judge(&script.leg(CLIENT, FRONT).server(text("served here")).client(close(1000)).server(close(1000)));
    assert_eq!((judged.legs(), judged.cause()), (vec![(Direct, None)], None));
}

/// The last message was on its way when the backend died.
#[test]
fn a_dialogue_that_breaks_off_goes_through_a_proxy_that_promised_too_early() {
    let early = |rounds: usize| {
        let promised = front("/ws").response(switching_protocols(KEYS[0])).after_ms(40);
        let back = promised.leg(DIAL, BACKEND).request(remade("/ws")).response(switching_protocols(KEYS[1]));
        let talked = (0..rounds).fold(back, |script, _| talk(script.leg(CLIENT, FRONT)));
        let cut = talked.leg(CLIENT, FRONT).client(text("too late")).leg(DIAL, BACKEND).server_fin();
        judge(&cut.leg(CLIENT, FRONT).server(close(4006)).client(close(4006)).server_fin())
    };
    let judged = early(4);
    assert_eq!((judged.legs().as_slice(), judged.cause()), (BOTH.as_slice(), Some("fin-without-close")));
    assert_eq!(early(1).0.len(), 2, "that may be chance");
}

/// An application server says in its own way that its route found nobody.
#[test]
fn a_refusal_is_told_in_the_proxys_own_words() {
    let told_after = |milliseconds: u64| {
        let refused = front("/ws").leg(DIAL, BACKEND).request(remade("/ws")).response(NOT_FOUND).server_fin();
        judge(&refused.after_ms(milliseconds).leg(CLIENT, FRONT).response(FORBIDDEN).server_fin())
    };
    assert_eq!(
        (told_after(10).legs().as_slice(), told_after(10).cause()),
        (BOTH.as_slice(), Some("endpoint-not-found"))
    );
    assert_eq!(told_after(900).0.len(), 2);
}

const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nNot Found";
const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";

#[test]
fn what_it_negotiates_behind_is_its_own_affair() {
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let offering = |request: String| request.trim_end().to_owned() + "\r\n" + deflate;
    let back = Script::new().leg(CLIENT, FRONT).request(offering(asked("/ws")));
    let back = back.leg(DIAL, BACKEND).request(offering(remade("/ws")));
    let agreed = switching_protocols(KEYS[1]).trim_end().to_owned() + "\r\n" + deflate;
    let script = talk(back.response(agreed).leg(CLIENT, FRONT).response(switching_protocols(KEYS[0])));
    let judged = judge(&script);
    assert_eq!(judged.legs(), BOTH);
    assert_eq!(judged.alarms(), [""; 0]);
}

/// A proxy that passes bytes on dials when it is dialled, before there is a request.
#[test]
fn a_connection_that_was_refused_before_the_request_is_counted() {
    let script = Script::new().leg(CLIENT, FRONT).connect().after_ms(5).leg(([10, 0, 0, 1], 50_000), BACKEND).refused();
    let script = script.after_ms(5).leg(CLIENT, FRONT).request(asked("/ws")).after_ms(900).leg(DIAL, BACKEND).refused();
    let judged = judge(&script.leg(CLIENT, FRONT).server_fin().client_fin());
    assert_eq!((judged.cause(), judged.legs().len()), (Some("upstream-refused"), 3));
}
