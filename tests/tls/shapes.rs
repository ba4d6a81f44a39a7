//! What is told without any secret.

use std::time::Duration;

use wsflow::limits::Limits;
use wsflow::packet::{Moment, PacketNumber};
use wsflow::stream::Role::{self, Client, Server};
use wsflow::time::Timestamp;
use wsflow::tls::facts::{OpeningLooks, TlsAlert, TlsFacts};
use wsflow::tls::{Observer, SecretStore};

use crate::peers::{Configured, Peers, Setup};
use crate::seen::Watch;

const REQUEST: usize = 520;
const ANSWER: usize = 190;

/// Passes a dialogue by an observer without secrets, at chosen times.
struct Passing {
    peers: Peers,
    observer: Observer,
    store: SecretStore,
    at: Timestamp,
    passed: usize,
}

impl Passing {
    fn new(configured: &Configured) -> Passing {
        let limits = Limits::default();
        Passing {
            peers: configured.connect(),
            observer: Observer::new(&limits),
            store: SecretStore::new(&limits),
            at: Timestamp::from_parts(1_000, 0),
            passed: 0,
        }
    }

    fn after(&mut self, time: Duration) -> &mut Passing {
        self.at = self.at.plus(time);
        self
    }

    fn say(&mut self, role: Role, length: usize) -> &mut Passing {
        self.peers.say(role, &vec![b'x'; length]);
        self.pass()
    }

    fn pass(&mut self) -> &mut Passing {
        let dialogue = self.peers.dialogue();
        for (role, bytes) in &dialogue.sent[self.passed..] {
            let moment = self.moment();
            self.observer.handle(*role, bytes, moment, &self.store, &mut |_, _, _| panic!("no secrets"));
        }
        self.passed = dialogue.sent.len();
        self
    }

    fn finish(&mut self, role: Role) -> &mut Passing {
        let moment = self.moment();
        self.observer.finish(role, moment, &self.store, &mut |_, _, _| panic!("no secrets"));
        self
    }

    fn moment(&self) -> Moment {
        Moment { at: self.at, packet: PacketNumber(1) }
    }

    fn facts(&self) -> TlsFacts {
        self.observer.facts()
    }
}

#[test]
fn a_websocket_by_its_sizes_and_its_heartbeat() {
    for setup in [Setup::tls13(), Setup::tls12()] {
        let mut passing = Passing::new(&setup.configure());
        passing.say(Client, REQUEST).after(Duration::from_millis(20)).say(Server, ANSWER);
        for _ in 0..5 {
            passing.after(Duration::from_secs(20)).say(Server, 2);
            passing.after(Duration::from_millis(30)).say(Client, 6);
        }
        let facts = passing.facts();
        assert!(facts.handshake_done.is_some());
        let opening = facts.opening.unwrap();
        assert_eq!((opening.request, opening.reply), (REQUEST as u64, ANSWER as u64));
        assert_eq!(opening.looks, OpeningLooks::Accepted);
        let period = facts.heartbeat.unwrap();
        assert!(period.abs_diff(Duration::from_secs(20)) < Duration::from_millis(100), "{period:?}");
        assert_eq!(facts.heartbeat_by, Some(Server));
        assert_eq!(facts.likely_websocket.len(), 3, "{:?}", facts.likely_websocket);
        assert_eq!((facts.bytes.client, facts.bytes.server), (REQUEST as u64 + 30, ANSWER as u64 + 10));
        assert!(facts.longest_silence >= Duration::from_secs(19));
        let sizes: Vec<u32> = facts.records.client.iter().map(|&(_, size)| size).collect();
        assert_eq!(sizes, [REQUEST as u32, 6, 6, 6, 6, 6]);
    }
}

#[test]
fn a_refused_handshake_by_its_sizes() {
    for setup in [Setup::tls13(), Setup::tls12()] {
        let mut passing = Passing::new(&setup.configure());
        passing.say(Client, REQUEST).after(Duration::from_millis(20)).say(Server, 540);
        passing.peers.close(Server);
        passing.pass().finish(Server);
        let facts = passing.facts();
        assert_eq!(facts.opening.unwrap().looks, OpeningLooks::Refused);
        assert!(facts.close_notify.server.is_some() && facts.close_notify.client.is_none());
        assert_eq!(facts.bytes.server, 540);
    }
}

#[test]
fn ordinary_requests_on_one_connection_are_no_websocket() {
    let setup = Setup { protocols: vec![b"h2".to_vec(), b"http/1.1".to_vec()], ..Setup::tls12() };
    let mut passing = Passing::new(&setup.configure());
    for _ in 0..6 {
        passing.after(Duration::from_millis(700)).say(Client, REQUEST);
        passing.after(Duration::from_millis(20)).say(Server, 5_000);
    }
    let facts = passing.facts();
    assert_eq!(facts.likely_websocket, Vec::<String>::new());
    assert_eq!(facts.heartbeat, None);
    assert_eq!(facts.opening.unwrap().looks, OpeningLooks::Unclear);
}

#[test]
fn a_client_that_rejects_the_certificate_in_secret_has_one_shape() {
    // The server's flight, then one encrypted record of two bytes and the end.
    let dialogue = crate::peers::usual(&Setup { suite: None, ..Setup::tls13() });
    let mut watch = Watch::new();
    watch.all(&dialogue.sent[..2]);
    let alert: Vec<u8> = [23, 3, 3, 0, 19].into_iter().chain([0xAA; 19]).collect();
    watch.handle(Client, &alert).finish_one(Client);
    let facts = watch.facts();
    assert!(facts.client_left_after_server_flight && facts.handshake_done.is_none());
    let [TlsAlert { by: Client, level: None, description: None, .. }] = facts.alerts[..] else {
        panic!("{:?}", facts.alerts)
    };
    // A client that finishes the handshake has not left because of it.
    let mut watch = Watch::new();
    let facts = watch.all(&dialogue.sent[..3]).finish_one(Client).facts();
    assert!(!facts.client_left_after_server_flight && facts.handshake_done.is_some());
}

#[test]
fn alerts_in_clear_are_read() {
    let dialogue = crate::peers::usual(&Setup::tls12());
    let mut watch = Watch::new();
    watch.all(&dialogue.sent[..2]).handle(Client, &[21, 3, 3, 0, 2, 2, 48]).finish_one(Client);
    let facts = watch.facts();
    assert_eq!(facts.alerts.len(), 1);
    assert_eq!(
        (facts.alerts[0].by, facts.alerts[0].level, facts.alerts[0].name()),
        (Client, Some(2), Some("unknown_ca"))
    );
    assert!(facts.client_left_after_server_flight);
}

#[test]
fn what_is_not_tls_is_told() {
    let dialogue = crate::peers::usual(&Setup::tls13());
    let mut watch = Watch::new();
    watch.all(&dialogue.sent[..1]).handle(Server, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let facts = watch.facts();
    assert_eq!((facts.not_tls, facts.server_hello), (Some(Server), None));
    assert!(facts.client_hello.is_some());
}
