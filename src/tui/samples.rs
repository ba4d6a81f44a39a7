//! Stores for tests: dialogues that went through an engine.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::engine::event::{MessageKind, Place};
use crate::engine::{Engine, EngineOptions, Sink};
use crate::limits::Limits;
use crate::packet::{Moment, PacketNumber};
use crate::script::{Script, close, ping, pong, text};
use crate::session::SessionId;
use crate::stream::Role;
use crate::time::Timestamp;
use crate::tui::feed::{Change, Feed, Heard, Shared};
use crate::tui::store::Store;
use crate::wire::Endpoint;

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

fn client() -> (SocketAddr, SocketAddr) {
    (([10, 0, 0, 9], 39_050).into(), ([10, 0, 0, 2], 8080).into())
}

fn backend() -> (SocketAddr, SocketAddr) {
    (([10, 0, 0, 2], 41_480).into(), ([10, 0, 0, 3], 9000).into())
}

trait Legs {
    fn front(self) -> Script;
    fn back(self) -> Script;
}

impl Legs for Script {
    fn front(self) -> Script {
        self.leg(client().0, client().1)
    }

    fn back(self) -> Script {
        self.leg(backend().0, backend().1)
    }
}

fn asked(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{KEY}\r\n")
}

/// A proxy that strips the upgrade, and a backend that says 426.
pub(super) fn proxied_failure() -> Store {
    let refusal = "HTTP/1.1 426 Upgrade Required\r\nServer: nginx/1.22.1\r\nContent-Length: 16\r\n\r\nUpgrade Required";
    let forwarded = format!("GET /ws/chat HTTP/1.0\r\nHost: 10.0.0.3:9000\r\nConnection: close\r\n{KEY}\r\n");
    let script = Script::new().front().connect().request(asked("/ws/chat?token=s3cr3t-value"));
    let script = script.back().connect().request(forwarded).response(refusal);
    let script = script.front().response(refusal).back().server_fin().client_fin();
    analysed(&script.front().server_fin().client_fin(), true)
}

/// A session through a proxy, up to its opening and a word each way.
fn opened() -> Script {
    let script = Script::new().front().connect().request(asked("/ws/chat"));
    let script = script.back().connect().request(asked("/ws/chat")).response(Script::RESPONSE);
    let script = script.front().response(Script::RESPONSE);
    let script = script.client(text(r#"{"join":"lobby"}"#)).back().client(text(r#"{"join":"lobby"}"#));
    let answer = r#"{"joined":true,"members":["日本語","e\u0301"]}"#;
    let script = script.after_ms(20).server(text(answer)).front().server(text(answer));
    script.after_ms(5).server(ping("a")).after_ms(12).client(pong("a"))
}

/// A session that is open: everything but the end of the capture.
pub(super) fn still_open() -> Store {
    analysed(&opened(), false)
}

/// A session through a proxy that was open before the capture began.
pub(super) fn mid_stream() -> Store {
    let mut script = Script::new().front().mid_stream().back().mid_stream();
    for n in 0..4 {
        let said = format!("message number {n}");
        script = script.front().client(text(&said)).back().client(text(&said));
        script = script.server(text("noted")).front().server(text("noted"));
    }
    analysed(&script, true)
}

/// A session that ends as it should.
pub(super) fn healthy() -> Store {
    let script = opened().after_ms(2_000).client(close(1000)).back().client(close(1000)).server(close(1000));
    let script = script.front().server(close(1000)).server_fin().client_fin();
    analysed(&script.back().server_fin().client_fin(), true)
}

/// A session that its proxy ends after a minute of silence.
pub(super) fn idle_timeout() -> Store {
    let script = opened().after_ms(60_010).back().client_fin().front().server_fin().client_fin();
    analysed(&script.back().server_fin(), true)
}

/// A direct session with so many messages of its client.
pub(super) fn talkative(messages: usize) -> Store {
    let script = (0..messages).fold(Script::new().opening_handshake(), |script, _| script.client(text("again")));
    analysed(&script, true)
}

/// What a dialogue looks like to an engine; with the end of the capture, or before it.
fn analysed(script: &Script, to_the_end: bool) -> Store {
    let shared = Arc::new(Shared::default());
    let mut feed = Feed::new(Arc::clone(&shared), false);
    let mut engine = Engine::new(&Limits::default(), EngineOptions::default(), feed.wants());
    for packet in script.packets() {
        engine.packet(&packet.packet(), &mut feed).expect("a queue takes everything");
    }
    feed.show(&mut engine, Vec::new());
    if to_the_end {
        engine.finish(&mut feed).expect("a queue takes everything");
        shared.push(Change::Ended(None), false);
    }
    let mut store = Store::default();
    shared.take().0.into_iter().for_each(|change| store.fold(change));
    store
}

/// So many open sessions of as many clients.
pub(super) fn many(sessions: u64) -> Store {
    let mut store = Store::default();
    more(&mut store, 1..sessions + 1);
    store
}

/// Open sessions of these numbers, each with a word.
pub(super) fn more(store: &mut Store, ids: std::ops::Range<u64>) {
    for id in ids {
        let client = Endpoint { ip: [10, 0, ((id >> 8) as u8).wrapping_add(1), id as u8].into(), port: 40_000 };
        let server = Endpoint { ip: [10, 0, 0, 2].into(), port: 80 };
        let place = Place { session: SessionId(id), client, server, leg: 0 };
        let moment = Moment { at: Timestamp::from_parts(1_767_225_600 + id, 0), packet: PacketNumber(id) };
        store.fold(Change::Adopted(place, moment));
        let heard = Heard {
            kind: MessageKind::Text,
            moment,
            bytes: 5,
            compressed: false,
            fragments: 1,
            preview: (*b"hello").into(),
            truncated: false,
            holes: false,
        };
        store.fold(Change::Message(place, Role::Client, heard));
    }
}
