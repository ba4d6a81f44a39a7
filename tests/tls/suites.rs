//! Every suite and kind of handshake that rustls speaks comes out as it was said.

use proptest::prelude::*;
use rustls::CipherSuite;
use wsflow::stream::Role::{Client, Server};
use wsflow::tls::facts::EarlyData;

use crate::peers::{Setup, speak, usual};
use crate::seen::Watch;

#[test]
fn every_suite() {
    let suites = [
        (Setup::tls13(), CipherSuite::TLS13_AES_128_GCM_SHA256),
        (Setup::tls13(), CipherSuite::TLS13_AES_256_GCM_SHA384),
        (Setup::tls13(), CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
        (Setup::tls12(), CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        (Setup::tls12(), CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
        (Setup::tls12(), CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ];
    for (setup, suite) in suites {
        let dialogue = usual(&Setup { suite: Some(suite), ..setup });
        let mut watch = Watch::knowing(&dialogue.keys);
        let facts = watch.all(&dialogue.sent).finish().facts();
        assert!(watch.seen.whole(Client) == dialogue.plain.client, "{suite:?}");
        assert!(watch.seen.whole(Server) == dialogue.plain.server, "{suite:?}");
        assert_eq!((watch.seen.ends.client, watch.seen.ends.server), (1, 1));
        // The registry calls TLS_AES_128_GCM_SHA256 what rustls calls TLS13_AES_128_GCM_SHA256.
        let name = format!("{suite:?}").replace("TLS13_", "TLS_");
        assert_eq!(facts.cipher, Some(name));
        assert_eq!((facts.decrypted_by, facts.not_decrypted), (Some("keylog"), None));
        assert_eq!((facts.sni.as_deref(), facts.alpn.as_deref()), (Some("chat.test"), Some("http/1.1")));
        let certificate = facts.certificate.expect("seen");
        assert_eq!((&*certificate.subject, certificate.self_signed, certificate.chain), ("CN=chat.test", true, 1));
        assert_eq!(certificate.names, ["chat.test", "*.chat.test", "127.0.0.1"]);
        assert!(certificate.not_before < certificate.not_after);
        assert!(facts.handshake_done.is_some() && !facts.resumed);
        assert_eq!((facts.unread_bytes.client, facts.unread_bytes.server), (0, 0));
    }
}

#[test]
fn a_retried_hello() {
    let dialogue = usual(&Setup { retry: true, ..Setup::tls13() });
    let mut watch = Watch::knowing(&dialogue.keys);
    let facts = watch.all(&dialogue.sent).facts();
    assert!(facts.hello_retry && watch.seen.whole(Server) == dialogue.plain.server);
    assert_eq!(facts.renegotiations, 0);
}

#[test]
fn resumed_sessions() {
    for (setup, tickets) in [(Setup::tls13(), false), (Setup::tls12(), false), (Setup::tls12(), true)] {
        let configured = Setup { tickets, ..setup }.configure();
        speak(&mut configured.connect());
        let mut again = configured.connect();
        speak(&mut again);
        let dialogue = again.dialogue();
        let mut watch = Watch::knowing(&dialogue.keys);
        let facts = watch.all(&dialogue.sent).facts();
        assert!(facts.resumed && facts.certificate.is_none());
        assert!(watch.seen.whole(Client) == dialogue.plain.client);
        assert!(watch.seen.whole(Server) == dialogue.plain.server);
    }
}

#[test]
fn early_data_comes_once() {
    let setup = Setup { early_data: true, ..Setup::tls13() };
    let mut configured = setup.configure();
    for accepted in [true, false] {
        speak(&mut configured.connect());
        if !accepted {
            configured.forget_sessions(&setup);
        }
        let mut peers = configured.connect();
        assert!(peers.say_early(b"GET /early HTTP/1.1\r\n\r\n"));
        if accepted {
            peers.count_early(b"GET /early HTTP/1.1\r\n\r\n");
        }
        speak(&mut peers);
        let dialogue = peers.dialogue();
        let mut watch = Watch::knowing(&dialogue.keys);
        let facts = watch.all(&dialogue.sent).facts();
        let fate = if accepted { EarlyData::Accepted } else { EarlyData::Rejected };
        assert_eq!(facts.early_data, Some(fate));
        assert!(watch.seen.whole(Client) == dialogue.plain.client, "{accepted}");
        assert!(watch.seen.whole(Server) == dialogue.plain.server, "{accepted}");
    }
}

#[test]
fn early_data_without_its_secret_costs_nothing_else() {
    let configured = Setup { early_data: true, ..Setup::tls13() }.configure();
    speak(&mut configured.connect());
    let mut peers = configured.connect();
    assert!(peers.say_early(b"GET /early HTTP/1.1\r\n\r\n"));
    speak(&mut peers);
    let dialogue = peers.dialogue();
    let keys: Vec<&str> = dialogue.keys.lines().filter(|line| !line.contains("EARLY")).collect();
    let mut watch = Watch::knowing(&keys.join("\n"));
    watch.all(&dialogue.sent);
    assert!(watch.seen.whole(Client) == dialogue.plain.client);
    assert!(watch.seen.whole(Server) == dialogue.plain.server);
}

#[test]
fn key_updates_of_both_sides() {
    let configured = Setup::tls13().configure();
    let mut peers = configured.connect();
    for round in 0..5u8 {
        peers.say(Client, &[round; 20]).say(Server, &[round; 300]);
        peers.update_keys(if round % 2 == 0 { Client } else { Server });
        peers.say(Server, &[round; 7]).say(Client, &[round; 8]);
    }
    let dialogue = peers.dialogue();
    let mut watch = Watch::knowing(&dialogue.keys);
    watch.all(&dialogue.sent);
    assert!(watch.seen.whole(Client) == dialogue.plain.client);
    assert!(watch.seen.whole(Server) == dialogue.plain.server);
}

#[test]
fn a_client_certificate_that_is_asked_for_and_missing() {
    for setup in [Setup::tls13(), Setup::tls12()] {
        let dialogue = usual(&Setup { client_certificate: true, ..setup });
        let mut watch = Watch::knowing(&dialogue.keys);
        let facts = watch.all(&dialogue.sent).facts();
        assert!(facts.client_certificate_requested && facts.client_certificate_empty);
        assert!(watch.seen.whole(Client) == dialogue.plain.client);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_cutting_gives_the_same(cuts in prop::collection::vec(1usize..3000, 1..60), tls13 in any::<bool>()) {
        let dialogue = usual(&if tls13 { Setup::tls13() } else { Setup::tls12() });
        let mut whole = Watch::knowing(&dialogue.keys);
        whole.all(&dialogue.sent).finish();
        let mut cut = Watch::knowing(&dialogue.keys);
        let mut lengths = cuts.iter().cycle();
        for (role, bytes) in &dialogue.sent {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at((*lengths.next().unwrap()).min(rest.len()));
                cut.handle(*role, piece);
                rest = behind;
            }
        }
        cut.finish();
        prop_assert!(cut.seen.order == whole.seen.order);
        prop_assert!(cut.seen.whole(Client) == dialogue.plain.client);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        pieces in prop::collection::vec((any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..40),
    ) {
        let mut watch = Watch::knowing("");
        for (client, gap, bytes) in pieces {
            let role = if client { Client } else { Server };
            if gap { watch.gap(role, bytes.len() as u64); } else { watch.handle(role, &bytes); }
        }
        watch.finish();
        prop_assert!(watch.seen.is_empty());
    }

    #[test]
    fn damaged_dialogues_never_panic_and_never_give_wrong_text(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
        tls13 in any::<bool>(),
    ) {
        let dialogue = usual(&if tls13 { Setup::tls13() } else { Setup::tls12() });
        let mut sent = dialogue.sent.clone();
        for (flight, byte, value) in places {
            let flight = flight.index(sent.len());
            let byte = byte.index(sent[flight].1.len());
            sent[flight].1[byte] = value;
        }
        let mut watch = Watch::knowing(&dialogue.keys);
        watch.all(&sent).finish();
        for role in [Client, Server] {
            for piece in &watch.seen.pieces[role] {
                if let crate::seen::Piece::Bytes(bytes) = piece {
                    // A record whose type is damaged says that it carries no text: what is before and behind it may meet.
                    let mut said = dialogue.plain[role].iter();
                    prop_assert!(bytes.iter().all(|byte| said.any(|other| other == byte)));
                }
            }
        }
    }
}
