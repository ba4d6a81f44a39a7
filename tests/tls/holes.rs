//! Holes in the ciphertext cost the plaintext that they cover, and no more.

use proptest::prelude::*;
use wsflow::stream::Role::{self, Client, Server};
use wsflow::tls::Origin;

use crate::peers::{Dialogue, Peers, Setup, usual};
use crate::seen::{Piece, Watch};

/// A server that sends `count` messages, each in a record of its own, behind an exchange of greetings.
fn records(setup: &Setup, count: usize) -> Dialogue {
    records_with(setup, count, |_, _| {})
}

fn records_with(setup: &Setup, count: usize, mut between: impl FnMut(&mut Peers, usize)) -> Dialogue {
    let configured = setup.configure();
    let mut peers = configured.connect();
    peers.say(Client, b"hello").say(Server, b"hello");
    for index in 0..count {
        let message: Vec<u8> = format!("message {index} ").into_bytes().repeat(1 + index % 7);
        peers.say(Server, &message);
        between(&mut peers, index);
    }
    peers.dialogue()
}

/// Leaves out the bytes `from..to` of the flights from `first_flight` on, which all are of one side.
fn with_hole(dialogue: &Dialogue, first_flight: usize, from: usize, to: usize) -> Watch {
    let mut watch = Watch::knowing(&dialogue.keys);
    pass_with_hole(&mut watch, dialogue, first_flight, from, to);
    watch.finish();
    watch
}

fn pass_with_hole(watch: &mut Watch, dialogue: &Dialogue, first_flight: usize, from: usize, to: usize) {
    watch.all(&dialogue.sent[..first_flight]);
    let mut place = 0;
    for (role, bytes) in &dialogue.sent[first_flight..] {
        let cut = |position: usize| position.clamp(place, place + bytes.len()) - place;
        let (start, end) = (cut(from), cut(to));
        if start > 0 {
            watch.handle(*role, &bytes[..start]);
        }
        if end > start {
            watch.gap(*role, (end - start) as u64);
        }
        if end < bytes.len() {
            watch.handle(*role, &bytes[end..]);
        }
        place += bytes.len();
    }
}

/// Checks that `pieces` are `plain` with holes: exact ones have the right size. Returns the bytes missing.
fn fits(plain: &[u8], pieces: &[Piece]) -> Result<usize, String> {
    let mut place = 0;
    let mut missing = 0;
    let mut loose = false;
    for piece in pieces {
        match piece {
            Piece::Hole { bytes, exact } => {
                place += *bytes as usize;
                missing += *bytes as usize;
                loose = !exact;
            }
            Piece::Bytes(bytes) if loose => {
                let at = memchr::memmem::rfind(plain, bytes).ok_or("not in the text")?;
                place = at + bytes.len();
                loose = false;
            }
            Piece::Bytes(bytes) => {
                if !plain[place.min(plain.len())..].starts_with(bytes) {
                    return Err(format!("wrong text at {place}"));
                }
                place += bytes.len();
            }
        }
    }
    if !loose && place != plain.len() {
        return Err(format!("ends at {place} of {}", plain.len()));
    }
    Ok(missing)
}

/// The flight with which the messages of the server begin.
fn first_message(dialogue: &Dialogue) -> usize {
    dialogue.sent.iter().position(|(role, bytes)| *role == Server && bytes[0] == 23 && bytes.len() < 60).unwrap()
}

/// Whether the ciphertext of the server, which is random, holds a type and a version by chance: one dialogue in a thousand.
fn looks_like_a_header_inside(dialogue: &Dialogue) -> bool {
    let mut records = dialogue.sent.iter().filter(|(role, bytes)| *role == Server && bytes[0] == 23);
    records.any(|(_, bytes)| bytes[1..].windows(3).any(|three| matches!(three, [20..=24, 3, 0..=4])))
}

#[test]
fn whole_records_that_are_missing_are_counted_exactly() {
    for setup in [Setup::tls13(), Setup::tls12()] {
        let dialogue = records(&setup, 40);
        let first = first_message(&dialogue);
        let sizes: Vec<usize> = dialogue.sent[first..].iter().map(|(_, bytes)| bytes.len()).collect();
        for (skipped, count) in [(1, 1), (3, 5), (2, 20)] {
            let from: usize = sizes[..skipped].iter().sum();
            let to = from + sizes[skipped..skipped + count].iter().sum::<usize>();
            let watch = with_hole(&dialogue, first, from, to);
            let [Piece::Bytes(_), Piece::Hole { exact: true, .. }, Piece::Bytes(_)] = &watch.seen.pieces.server[..]
            else {
                panic!("{:?}", watch.seen.pieces.server)
            };
            fits(&dialogue.plain.server, &watch.seen.pieces.server).unwrap();
        }
    }
}

#[test]
fn a_long_hole_is_found_out_of_when_its_records_are_long_or_carry_a_nonce() {
    // 6 MB in records of 16 KiB: more records than are tried one by one, but their size gives the place away.
    for setup in [Setup::tls13(), Setup::tls12()] {
        let configured = setup.configure();
        let mut peers = configured.connect();
        peers.say(Client, b"hello").say(Server, b"hello");
        let long: Vec<u8> = (0..6_000_000u32).map(|index| (index ^ index >> 8) as u8).collect();
        peers.say(Server, &long).say(Server, b"the end");
        let dialogue = peers.dialogue();
        let first = dialogue.sent.iter().position(|(_, bytes)| bytes.len() > 5_000_000).unwrap();
        let watch = with_hole(&dialogue, first, 1_000, 5_900_000);
        fits(&dialogue.plain.server, &watch.seen.pieces.server).unwrap();
        assert!(watch.seen.pieces.server.len() >= 3);
    }
    // 500 short records with an explicit nonce.
    let dialogue = records(&Setup::tls12(), 500);
    let first = first_message(&dialogue);
    let watch = with_hole(&dialogue, first, 200, 20_000);
    fits(&dialogue.plain.server, &watch.seen.pieces.server).unwrap();
    assert_eq!(watch.seen.pieces.server.len(), 3);
}

#[test]
fn a_place_that_is_lost_for_good_is_told() {
    // 500 short records of TLS 1.3: nothing says how many they were, and more than 64 are not tried.
    let dialogue = records(&Setup::tls13(), 500);
    let first = first_message(&dialogue);
    let watch = with_hole(&dialogue, first, 200, 20_000);
    let facts = watch.facts();
    assert!(facts.not_decrypted.unwrap().contains("after a hole"));
    let [Piece::Bytes(bytes), Piece::Hole { exact: false, .. }] = &watch.seen.pieces.server[..] else {
        panic!("{:?}", watch.seen.pieces.server.len())
    };
    assert!(dialogue.plain.server.starts_with(bytes));
}

#[test]
fn a_key_update_inside_a_hole() {
    let dialogue = records_with(&Setup::tls13(), 20, |peers, index| {
        if index == 8 {
            peers.update_keys(Server);
        }
    });
    let first = first_message(&dialogue);
    let sizes: Vec<usize> = dialogue.sent[first..].iter().map(|(_, bytes)| bytes.len()).collect();
    let watch = with_hole(&dialogue, first, sizes[..6].iter().sum(), sizes[..13].iter().sum());
    let pieces = &watch.seen.pieces.server;
    let [Piece::Bytes(before), Piece::Hole { .. }, Piece::Bytes(after)] = &pieces[..] else { panic!("{pieces:?}") };
    assert!(dialogue.plain.server.starts_with(before) && dialogue.plain.server.ends_with(after));
}

#[test]
fn a_hole_in_the_handshake_does_not_cost_the_text_behind_it() {
    for setup in [Setup::tls13(), Setup::tls12()] {
        let dialogue = usual(&setup);
        // The last bytes of the server's first flight: in TLS 1.3 its Finished, in TLS 1.2 its ServerHelloDone.
        let (role, flight) = &dialogue.sent[1];
        assert_eq!(*role, Server);
        let mut watch = Watch::knowing(&dialogue.keys);
        watch.all(&dialogue.sent[..1]);
        watch.handle(Server, &flight[..flight.len() - 20]).gap(Server, 20);
        watch.all(&dialogue.sent[2..]).finish();
        assert!(watch.seen.whole(Client) == dialogue.plain.client);
        assert!(watch.seen.whole(Server) == dialogue.plain.server);
    }
}

#[test]
fn absurd_holes_do_no_harm() {
    let dialogue = usual(&Setup::tls13());
    for before in 0..dialogue.sent.len() {
        let mut watch = Watch::knowing(&dialogue.keys);
        watch.all(&dialogue.sent[..before]);
        for role in [Client, Server, Client, Server] {
            watch.gap(role, u64::MAX).gap(role, u64::MAX - 3);
        }
        watch.all(&dialogue.sent[before..]).finish();
        assert!(dialogue.plain.client.starts_with(match watch.seen.pieces.client.first() {
            Some(Piece::Bytes(bytes)) => bytes,
            _ => b"",
        }));
    }
}

#[test]
fn a_hello_that_the_snap_length_cuts_is_read_as_far_as_it_goes() {
    let dialogue = usual(&Setup::tls13());
    let mut hello = Watch::new();
    let mut first = hello.all(&dialogue.sent[..1]).facts();
    for length in (0..dialogue.sent[0].1.len()).rev() {
        let mut watch = Watch::knowing(&dialogue.keys);
        let (seen, cut) = dialogue.sent[0].1.split_at(length);
        if !seen.is_empty() {
            watch.handle(Client, seen);
        }
        let facts = watch.gap(Client, cut.len() as u64).facts();
        // Less and less is known; what is known stays right.
        assert!(facts.sni.is_none() || facts.sni == first.sni);
        assert!(facts.alpn_offered.is_empty() || facts.alpn_offered == first.alpn_offered);
        assert!(first.client_hello.is_some() || facts.client_hello.is_none());
        first = facts;
        if length == 5 + 4 + 2 + 32 {
            // The random value is there, and with it all that comes after.
            watch.all(&dialogue.sent[1..]).finish();
            assert!(watch.seen.whole(Client) == dialogue.plain.client);
        }
    }
    assert!(first.client_hello.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn one_hole_anywhere_costs_what_it_covers(
        tls13 in any::<bool>(), late in any::<bool>(), from in 0.0f64..1.0, length in 1usize..3000,
    ) {
        let dialogue = records(&if tls13 { Setup::tls13() } else { Setup::tls12() }, 60);
        // Where a record goes on behind a hole, what looks like a header is taken for one.
        prop_assume!(!looks_like_a_header_inside(&dialogue));
        let first = first_message(&dialogue);
        let all: usize = dialogue.sent[first..].iter().map(|(_, bytes)| bytes.len()).sum();
        let from = (all as f64 * from) as usize;
        let to = (from + length).min(all);
        let mut watch = if late { Watch::new() } else { Watch::knowing(&dialogue.keys) };
        if late {
            watch.store.expect(Origin::KeyLog);
        }
        pass_with_hole(&mut watch, &dialogue, first, from, to);
        if late {
            prop_assert!(watch.seen.is_empty());
            watch.store.feed(Origin::KeyLog, dialogue.keys.as_bytes());
        }
        watch.finish();
        let missing = fits(&dialogue.plain.server, &watch.seen.pieces.server);
        prop_assert!(missing.is_ok(), "{:?}", missing);
        // A record is lost as a whole: at most the hole, and the records that it touches at both ends.
        prop_assert!(missing.unwrap() <= length + 2 * 120);
        let role: Role = Client;
        prop_assert!(watch.seen.whole(role) == b"hello");
    }
}
