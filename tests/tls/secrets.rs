//! Secrets that come late, never, wrong, in parts.

use wsflow::limits::Limits;
use wsflow::packet::Moment;
use wsflow::stream::Role::{Client, Server};
use wsflow::tls::{Observer, Origin, SecretStore};

use crate::peers::{Setup, usual};
use crate::seen::{Piece, Seen, Watch};

#[test]
fn late_secrets_give_the_same_in_the_same_order() {
    for setup in [Setup::tls13(), Setup::tls12()] {
        let dialogue = usual(&setup);
        let mut early = Watch::knowing(&dialogue.keys);
        early.all(&dialogue.sent).finish();
        for arrival in 0..=dialogue.sent.len() {
            let limits = Limits { tls_held_bytes: 1 << 20, ..Limits::default() };
            let mut late = Watch::with(&limits);
            late.store.expect(Origin::KeyLog);
            late.all(&dialogue.sent[..arrival]);
            // A part of the log, up to the middle of a line, is of no use yet.
            let (half, rest) = dialogue.keys.split_at(dialogue.keys.len() - 50);
            late.store.feed(Origin::KeyLog, half.as_bytes());
            late.retry();
            assert!(late.seen.is_empty() || setup.version.version == rustls::ProtocolVersion::TLSv1_3);
            late.store.feed(Origin::KeyLog, rest.as_bytes());
            late.retry().all(&dialogue.sent[arrival..]).finish();
            assert!(late.seen.order == early.seen.order, "arrival {arrival}");
            assert_eq!(late.facts().decrypted_by, Some("keylog"));
        }
    }
}

#[test]
fn what_waits_is_bounded_and_its_loss_is_exact() {
    for setup in [Setup::tls13(), Setup::tls12()] {
        let dialogue = usual(&setup);
        let limits = Limits { tls_held_bytes: 20 << 10, ..Limits::default() };
        let mut watch = Watch::with(&limits);
        watch.store.expect(Origin::KeyLog);
        // All but the last flights: what comes after the secrets shows that the place is not lost.
        let (before, after) = dialogue.sent.split_at(dialogue.sent.len() - 4);
        watch.all(before);
        watch.store.feed(Origin::KeyLog, dialogue.keys.as_bytes());
        watch.all(after).finish();
        for role in [Client, Server] {
            let plain = &dialogue.plain[role];
            let [Piece::Bytes(first), Piece::Hole { bytes, exact: true }, Piece::Bytes(last)] =
                &watch.seen.pieces[role][..]
            else {
                panic!("{:?}", watch.seen.pieces[role].len())
            };
            assert!(plain.starts_with(first) && plain.ends_with(last) && last == b"bye");
            assert_eq!(first.len() as u64 + bytes + last.len() as u64, plain.len() as u64);
            assert_eq!(watch.facts().unread_bytes[role], *bytes);
        }
    }
}

#[test]
fn all_connections_share_the_room() {
    let dialogue = usual(&Setup::tls13());
    let limits = Limits { tls_held_total: 100 << 10, ..Limits::default() };
    let mut store = SecretStore::new(&limits);
    store.expect(Origin::KeyLog);
    let pass = |observer: &mut Observer, store: &SecretStore, seen: &mut Seen| {
        for (role, bytes) in &dialogue.sent {
            observer.handle(*role, bytes, Moment::default(), store, &mut |role, _, output| seen.take(role, output));
        }
    };
    let mut first = Observer::new(&limits);
    let mut nothing = Seen::default();
    pass(&mut first, &store, &mut nothing);
    let (mut crowded, mut seen_by_crowded) = (Observer::new(&limits), Seen::default());
    pass(&mut crowded, &store, &mut seen_by_crowded);
    // The room of a connection that goes is free again.
    drop(first);
    let (mut roomy, mut seen_by_roomy) = (Observer::new(&limits), Seen::default());
    pass(&mut roomy, &store, &mut seen_by_roomy);
    store.feed(Origin::KeyLog, dialogue.keys.as_bytes());
    crowded.retry(&store, &mut |role, _, output| seen_by_crowded.take(role, output));
    roomy.retry(&store, &mut |role, _, output| seen_by_roomy.take(role, output));
    assert!(nothing.is_empty());
    let read = |seen: &Seen| -> usize { seen.order.iter().map(|(_, bytes)| bytes.len()).sum() };
    assert!(read(&seen_by_roomy) > 50_000 && read(&seen_by_crowded) < 10_000);
}

#[test]
fn wrong_secrets_give_nothing_and_say_so() {
    for setup in [Setup::tls13(), Setup::tls12()] {
        let dialogue = usual(&setup);
        // The last hexadecimal digit of every secret is another one.
        let wrong: String = dialogue
            .keys
            .lines()
            .map(|line| {
                let (secret, last) = line.split_at(line.len() - 1);
                format!("{secret}{}\n", if last == "0" { '1' } else { '0' })
            })
            .collect();
        let mut watch = Watch::knowing(&wrong);
        let facts = watch.all(&dialogue.sent).finish().facts();
        assert!(watch.seen.is_empty() && facts.decrypted_by.is_none());
        assert!(facts.not_decrypted.unwrap().contains("do not fit"));
        // Beside the right ones they do no harm, whichever come first.
        for keys in [format!("{wrong}{0}{0}", dialogue.keys), format!("{}{wrong}", dialogue.keys)] {
            let mut watch = Watch::knowing(&keys);
            watch.all(&dialogue.sent).finish();
            assert!(watch.seen.whole(Client) == dialogue.plain.client);
            assert!(watch.seen.whole(Server) == dialogue.plain.server);
        }
    }
}

#[test]
fn without_a_secret_nothing_comes_out_and_the_reason_is_told() {
    let dialogue = usual(&Setup::tls13());
    let other = usual(&Setup::tls13());
    let mut none = Watch::knowing("");
    assert_eq!(none.all(&dialogue.sent).finish().facts().not_decrypted, None);
    let mut foreign = Watch::knowing(&other.keys);
    let why = foreign.all(&dialogue.sent).finish().facts().not_decrypted;
    assert!(why.unwrap().contains("no secret for this connection"));
    assert!(none.seen.is_empty() && foreign.seen.is_empty());
    let mut waiting = Watch::new();
    waiting.store.expect(Origin::KeyLog);
    let why = waiting.all(&dialogue.sent).facts().not_decrypted;
    assert!(why.unwrap().contains("come yet"));
}

#[test]
fn a_connection_joined_in_its_middle_says_why_it_stays_dark() {
    let dialogue = usual(&Setup::tls13());
    let mut watch = Watch::knowing(&dialogue.keys);
    watch.observer = wsflow::tls::Observer::joined(&Limits::default());
    let sent: Vec<_> = dialogue.sent[5..].iter().map(|(role, bytes)| (*role, bytes[3..].to_vec())).collect();
    let facts = watch.all(&sent).finish().facts();
    assert!(watch.seen.is_empty());
    assert!(facts.not_decrypted.unwrap().contains("ClientHello was not captured"));
    assert!(facts.record_count.server > 0);
}

#[test]
fn half_of_the_secrets_gives_half_of_the_text() {
    let dialogue = usual(&Setup::tls13());
    let only = |label: &str| -> String {
        dialogue.keys.lines().filter(|line| line.starts_with(label)).map(|line| format!("{line}\n")).collect()
    };
    // Without the handshake's secrets the application data is found all the same.
    let mut watch = Watch::knowing(&only("CLIENT_TRAFFIC_SECRET_0"));
    watch.all(&dialogue.sent).finish();
    assert!(watch.seen.whole(Client) == dialogue.plain.client);
    let [Piece::Hole { bytes, exact: false }] = &watch.seen.pieces.server[..] else { panic!("the server's text") };
    assert!(*bytes >= dialogue.plain.server.len() as u64);
    // The handshake alone shows what was negotiated.
    let mut watch = Watch::knowing(&only("SERVER_HANDSHAKE_TRAFFIC_SECRET"));
    let facts = watch.all(&dialogue.sent).finish().facts();
    assert!(facts.certificate.is_some() && facts.alpn.is_some());
    assert!(!watch.seen.pieces.server.iter().any(|piece| matches!(piece, Piece::Bytes(_))));
}

#[test]
fn one_direction_is_enough_for_itself() {
    // The capture saw the client only: which suite the server chose is found by trying.
    let dialogue = usual(&Setup::tls13());
    let sent: Vec<_> = dialogue.sent.iter().filter(|(role, _)| *role == Client).cloned().collect();
    let mut watch = Watch::knowing(&dialogue.keys);
    watch.all(&sent).finish();
    assert!(watch.seen.whole(Client) == dialogue.plain.client);
}

#[test]
fn one_direction_of_tls_1_2_lacks_the_other_ones_hello() {
    let dialogue = usual(&Setup::tls12());
    let sent: Vec<_> = dialogue.sent.iter().filter(|(role, _)| *role == Client).cloned().collect();
    let mut watch = Watch::knowing(&dialogue.keys);
    let facts = watch.all(&sent).finish().facts();
    assert!(watch.seen.is_empty() && facts.decrypted_by.is_none());
    assert!(facts.not_decrypted.unwrap().contains("ServerHello was not captured"));
}

#[test]
fn the_origin_of_the_secret_is_told() {
    let dialogue = usual(&Setup::tls12());
    let mut watch = Watch::new();
    watch.store.feed(Origin::SecretsBlock, dialogue.keys.as_bytes());
    watch.store.end(Origin::SecretsBlock);
    assert_eq!(watch.all(&dialogue.sent).facts().decrypted_by, Some("secrets block"));
}
