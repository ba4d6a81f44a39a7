//! WebSockets that were open on both sides of a proxy before the capture began.

use wsflow::engine::EngineOptions;
use wsflow::script::{Script, switching_protocols, text};
use wsflow::session::LegRole::{ClientProxy, ProxyBackend};
use wsflow::session::leg::JoinReason;

use super::{Judged, judge, judge_with};

type Address = ([u8; 4], u16);

/// The proxy, from outside, and on its way to the backend.
const FRONT: Address = ([10, 0, 0, 1], 80);
const PROXY: [u8; 4] = [10, 0, 0, 1];
const BACKEND: Address = ([10, 0, 0, 9], 9000);
const HANDSHAKE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// One of several visitors: where the client and the proxy speak from.
#[derive(Clone, Copy)]
struct Visitor(u8);

impl Visitor {
    fn client(self) -> Address {
        ([10, 0, 0, 7], 40_000 + u16::from(self.0))
    }

    fn dial(self) -> Address {
        (PROXY, 50_000 + u16::from(self.0))
    }

    /// The masking key of its `n`-th frame.
    fn key(self, n: u8) -> [u8; 4] {
        [self.0, n, 0x5A, 0xC3]
    }
}

fn joined(script: Script, visitor: Visitor) -> Script {
    script.leg(visitor.client(), FRONT).mid_stream().leg(visitor.dial(), BACKEND).mid_stream()
}

/// The client says something, masked with `key`, and is answered; the proxy passes it on as it is.
fn said(script: Script, visitor: Visitor, n: u8, key: [u8; 4]) -> Script {
    let said = || text(format!("message number {n}")).masked_with(key);
    let script = script.leg(visitor.client(), FRONT).client(said()).leg(visitor.dial(), BACKEND).client(said());
    pushed(script, visitor)
}

/// The backend says something.
fn pushed(script: Script, visitor: Visitor) -> Script {
    let script = script.leg(visitor.dial(), BACKEND).server(text("something happened"));
    script.leg(visitor.client(), FRONT).server(text("something happened"))
}

fn left(script: Script, visitor: Visitor) -> Script {
    let script = script.leg(visitor.client(), FRONT).client_fin().leg(visitor.dial(), BACKEND).client_fin();
    script.server_fin().leg(visitor.client(), FRONT).server_fin()
}

/// The ports of clients of each session's legs.
fn ports(judged: &Judged) -> Vec<Vec<u16>> {
    judged.0.iter().map(|(session, _)| session.legs.iter().map(|leg| leg.client.port).collect()).collect()
}

#[test]
fn who_says_the_same_at_the_same_time_is_known_by_the_masking_keys() {
    let visitors = [1, 2, 3].map(Visitor);
    let mut script = visitors.into_iter().fold(Script::new(), joined);
    for n in 0..4 {
        script = visitors.into_iter().fold(script, |script, visitor| said(script, visitor, n, visitor.key(n)));
    }
    let script = visitors.into_iter().fold(script, left);
    for live in [false, true] {
        let judged = judge_with(EngineOptions { live, ..EngineOptions::default() }, &script.packets());
        assert_eq!(ports(&judged), [[40_001, 50_001], [40_002, 50_002], [40_003, 50_003]], "live: {live}");
    }
}

/// The last frame tells it when the capture is over, where there were too few while it went on.
#[test]
fn one_frame_is_enough_in_the_end() {
    let (one, other) = (Visitor(1), Visitor(2));
    let script = joined(joined(Script::new(), one), other);
    let script = said(said(script, one, 1, one.key(1)), other, 1, other.key(1));
    let script = pushed(pushed(script, one), other);
    assert_eq!(ports(&judge(&left(left(script, one), other))), [[40_001, 50_001], [40_002, 50_002]]);
}

/// The capture began when the first message was past the client's leg, and lost the last one before the proxy.
#[test]
fn one_frame_that_both_legs_have_is_enough() {
    let (one, other) = (Visitor(1), Visitor(2));
    let mut script = joined(joined(Script::new(), one), other);
    script = script.leg(one.dial(), BACKEND).client(text("before").masked_with(one.key(99)));
    for n in 0..3 {
        script = said(said(script, one, n, one.key(n)), other, n, other.key(n));
    }
    let judged = judge(&left(left(script, one), other));
    assert_eq!(ports(&judged), [[40_001, 50_001], [40_002, 50_002]]);
}

/// Four bytes: with many clients, two of them choose the same ones now and then.
#[test]
fn one_key_that_two_clients_share_is_chance() {
    let (one, other) = (Visitor(1), Visitor(2));
    let direct = |script: Script| script.leg(one.client(), FRONT).mid_stream().leg(other.dial(), BACKEND).mid_stream();
    let script = (0..4).fold(direct(Script::new()), |script, n| {
        let key = |visitor: Visitor| if n == 2 { [9; 4] } else { visitor.key(n) };
        let script = script.leg(one.client(), FRONT).client(text("hello").masked_with(key(one)));
        let script = script.leg(other.dial(), BACKEND).client(text("other").masked_with(key(other)));
        script.server(text("and so on")).leg(one.client(), FRONT).server(text("something happened"))
    });
    for live in [false, true] {
        let judged = judge_with(EngineOptions { live, ..EngineOptions::default() }, &script.packets());
        assert_eq!(ports(&judged), [[40_001], [50_002]], "live: {live}");
    }
}

/// Some clients mask with one key, or with one that changes nothing.
#[test]
fn where_the_keys_are_all_the_same_nobody_is_taken_for_another() {
    for key in [[1, 2, 3, 4], [0; 4]] {
        let visitors = [1, 2].map(Visitor);
        let mut script = visitors.into_iter().fold(Script::new(), joined);
        for n in 0..4 {
            script = visitors.into_iter().fold(script, |script, visitor| said(script, visitor, n, key));
        }
        let judged = judge(&visitors.into_iter().fold(script, left));
        assert_eq!(judged.0.len(), 4, "{key:?}: {:?}", ports(&judged));
    }
}

#[test]
fn a_client_that_only_listens_is_known_by_what_comes_when() {
    let (one, later) = (Visitor(1), Visitor(2));
    let ticks = |script: Script, visitor| (0..5).fold(script, |script, _| pushed(script.after_ms(200), visitor));
    let script = left(ticks(joined(Script::new(), one), one), one);
    let apart = judge(&left(ticks(joined(script.after_ms(500), later), later), later));
    assert_eq!(ports(&apart), [[40_001, 50_001], [40_002, 50_002]]);
    assert_eq!(apart.0[0].0.legs[1].joined_by, Some(JoinReason::TunnelBytes));

    let both = joined(joined(Script::new(), one), later);
    let both = (0..5).fold(both, |script, _| pushed(pushed(script.after_ms(200), one), later));
    assert_eq!(judge(&left(left(both, one), later)).0.len(), 4, "nothing tells which is whose");
}

/// It began between the requests and the answers, or the proxy asks its backend in another language than HTTP.
#[test]
fn an_answer_names_the_key_that_it_accepts() {
    let visitor = Visitor(1);
    let answer = switching_protocols(HANDSHAKE_KEY);
    let script = joined(Script::new(), visitor).leg(visitor.dial(), BACKEND).response(&answer);
    let script = script.leg(visitor.client(), FRONT).response(&answer);
    let judged = judge(&left(pushed(pushed(script, visitor), visitor), visitor));
    assert_eq!(judged.legs(), [(ClientProxy, None), (ProxyBackend, Some(JoinReason::Key))]);
    assert_eq!(ports(&judged), [[40_001, 50_001]]);
}

/// The address that the client calls is translated on the way to the proxy, and both sides of that were captured.
#[test]
fn a_connection_seen_before_and_behind_a_nat_is_told_once() {
    const CALLED: Address = ([192, 0, 2, 1], 80);
    let visitor = Visitor(1);
    let mut script = joined(Script::new().leg(visitor.client(), CALLED).mid_stream(), visitor);
    for n in 0..4 {
        let copy = text(format!("message number {n}")).masked_with(visitor.key(n));
        script = said(script.leg(visitor.client(), CALLED).client(copy), visitor, n, visitor.key(n));
        script = script.leg(visitor.client(), CALLED).server(text("something happened"));
    }
    let script = left(script.leg(visitor.client(), CALLED).client_fin(), visitor);
    let script = script.leg(visitor.client(), CALLED).server_fin();
    for live in [false, true] {
        let judged = judge_with(EngineOptions { live, ..EngineOptions::default() }, &script.packets());
        assert_eq!(ports(&judged), [[40_001, 50_001]], "live: {live}");
        assert_eq!(judged.only().0.legs[0].server.ip.to_string(), "192.0.2.1", "what was called first");
    }
}

/// Of what was open before, the capture has too little to know it: its end, while somebody else waits for an answer.
#[test]
fn what_ends_while_another_one_waits_was_not_dialled_for_it() {
    let waits = Visitor(1);
    let over = Script::new().leg(waits.client(), FRONT).request(Script::REQUEST).after_ms(5);
    let over = over.leg((PROXY, 50_002), BACKEND).mid_stream().server("bye").client("bye");
    let script = over.client_fin().server_fin().leg(waits.client(), FRONT).after_ms(2_000).client_fin().server_fin();
    assert_eq!(ports(&judge(&script)), [[40_001]]);
}
