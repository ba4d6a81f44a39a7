//! What must hold for every stream: however it is cut, whatever is missing, whatever it is.

mod frames;

use frames::{
    Deflater, Direction, Frame, Heard, NO_TAKEOVER, PLAIN, Record, TAKEOVER, UNSEEN, frame, message, moment, stream,
    text,
};
use proptest::collection::vec;
use proptest::prelude::*;
use wsflow::limits::Limits;
use wsflow::stream::{Pair, Role, Side};
use wsflow::ws::facts::{DirectionFacts, Opcode};
use wsflow::ws::{Adoption, Agreed, Decoder, Held, Judgement, Scratch, resync};

// Where other analysers stumble.

#[test]
fn both_sides_may_send_fragments_at_the_same_time() {
    let mut client = Direction::new(Role::Client, PLAIN);
    let mut server = Direction::new(Role::Server, PLAIN);
    client.frame(text("from the ").not_final());
    server.frame(frame(Opcode::BINARY, "answers ").not_final());
    client.frame(frame(Opcode::CONTINUATION, "client"));
    server.frame(frame(Opcode::CONTINUATION, "in binary"));
    assert_eq!(client.heard(), [message(Opcode::TEXT, "from the client").fragments(2)]);
    assert_eq!(server.heard(), [message(Opcode::BINARY, "answers in binary").fragments(2)]);
}

#[test]
fn a_lost_segment_inside_a_frame_costs_only_its_bytes() {
    for role in Role::BOTH {
        let bytes = stream(&[text("0123456789abcdef").by(role), text("next").by(role)]);
        let body = if role == Role::Client { 6 } else { 2 };
        let mut direction = Direction::new(role, PLAIN);
        direction.packet(&bytes[..body + 3]).gap(5).packet(&bytes[body + 8..]);
        assert_eq!(
            direction.heard(),
            [message(Opcode::TEXT, "012?????89abcdef").with_holes(), message(Opcode::TEXT, "next")]
        );
        let facts = direction.facts();
        assert_eq!((facts.messages.text, facts.messages.bytes, facts.violations, facts.lost_bytes), (2, 20, vec![], 0));
    }
}

#[test]
fn a_gap_may_end_where_the_frame_ends() {
    let bytes = stream(&[text("0123456789"), frame(Opcode::PING, "abc"), text("next")]);
    let mut direction = Direction::new(Role::Server, PLAIN);
    direction.packet(&bytes[..7]).gap(5).packet(&bytes[12..16]).gap(1).packet(&bytes[17..]);
    assert_eq!(
        direction.heard(),
        [
            message(Opcode::TEXT, "01234?????").with_holes(),
            Heard::Control { opcode: Opcode::PING, payload: "ab?".into(), length: 3, whole: false },
            message(Opcode::TEXT, "next"),
        ]
    );
}

#[test]
fn decoding_goes_on_behind_a_lost_boundary() {
    for role in Role::BOTH {
        let said = |number: usize| text(format!("message number {number} of a chat")).by(role).bytes();
        let mut direction = Direction::new(role, PLAIN);
        direction.packet(&said(0)).gap(2 * said(1).len() as u64);
        (3..6).for_each(|number| {
            direction.packet(&said(number));
        });
        let heard = direction.heard();
        assert_eq!(heard[1], Heard::Resynchronised);
        assert_eq!(heard[2..].len(), 3, "{heard:?}");
        let facts = direction.facts();
        assert_eq!((facts.messages.text, facts.lost_bytes, facts.violations), (4, 0, vec![]));
    }
}

#[test]
fn a_boundary_inside_a_segment_is_found_by_the_run_behind_it() {
    for role in Role::BOTH {
        let rest = stream(&[text("the end of something that was lost").by(role)]);
        let run: Vec<u8> = (0..8).flat_map(|i| text(format!("tick {i}, with a few words")).by(role).bytes()).collect();
        let mut direction = Direction::new(role, PLAIN);
        direction.gap(100).packet(&[&rest[20..], &run].concat());
        // The first frames of the run are spent on proving that it is one.
        let heard = direction.heard();
        assert_eq!(heard[1], Heard::Resynchronised);
        let ticks: Vec<_> = (2..8).map(|i| message(Opcode::TEXT, &format!("tick {i}, with a few words"))).collect();
        assert!(heard.ends_with(&ticks), "{heard:?}");
    }
}

#[test]
fn the_middle_of_a_large_frame_is_no_frame() {
    // The rest of a large binary message, then frames again; the payload is random and unmasked.
    let payload = random(60_000, 7);
    let mut direction = Direction::new(Role::Server, PLAIN);
    direction.gap(5000);
    payload.chunks(1448).for_each(|segment| {
        direction.packet(segment);
    });
    (0..4).for_each(|i| {
        direction.packet(&text(format!("{{\"tick\":{i},\"price\":100}}")).bytes());
    });
    direction.finish();
    let heard = direction.heard();
    assert_eq!(heard.last(), Some(&message(Opcode::TEXT, "{\"tick\":3,\"price\":100}")));
    assert_eq!(direction.facts().messages.text, 4, "{heard:?}");
    assert_eq!(direction.violations(), []);
}

#[test]
fn what_is_left_at_the_end_is_decoded_when_it_ends_with_a_frame() {
    let mut direction = Direction::new(Role::Client, PLAIN);
    direction.gap(10).packet(&frame(Opcode::CLOSE, b"\x03\xE9").masked().bytes());
    assert_eq!(direction.heard(), []);
    direction.finish();
    let close = Heard::Control { opcode: Opcode::CLOSE, payload: "\u{3}\\xe9".into(), length: 2, whole: true };
    assert_eq!(direction.heard(), [Heard::Resynchronised, close]);
}

#[test]
fn what_cannot_be_read_is_counted_as_lost() {
    let mut direction = Direction::new(Role::Client, PLAIN);
    direction.gap(10).packet(&[0x75; 1000]).finish();
    assert_eq!(direction.heard(), [Heard::Lost(1000)]);
    assert_eq!(direction.facts().lost_bytes, 1000);
}

// Connections that were open before the capture began.

/// Judges packets of a connection; the judgement and after how many packets it was made.
fn adopt(packets: &[(Side, Vec<u8>)]) -> (Judgement, usize, Pair<Held>) {
    let mut adoption = Adoption::new();
    for (count, (side, bytes)) in packets.iter().enumerate() {
        let judgement = adoption.handle(*side, bytes, moment(count as u64 + 1));
        if judgement != Judgement::Undecided {
            return (judgement, count + 1, adoption.into_held());
        }
    }
    (adoption.finish(), packets.len(), adoption.into_held())
}

#[test]
fn a_connection_that_was_open_before_the_capture_is_adopted() {
    // Packets 1, 2, 4 and 5 of the capture m01_mid_session_direct: "after the start 0", its echo, and again.
    let client_0 = b"\x81\x91\x83\x67\x82\x77\xe2\x01\xf6\x12\xf1\x47\xf6\x1f\xe6\x47\xf1\x03\xe2\x15\xf6\x57\xb3";
    let server_0 = b"\x81\x11after the start 0";
    let client_1 = b"\x81\x91\xf2\x06\x3b\x66\x93\x60\x4f\x03\x80\x26\x4f\x0e\x97\x26\x48\x12\x93\x74\x4f\x46\xc3";
    let server_1 = b"\x81\x11after the start 1";
    for client in Side::BOTH {
        let packets = [
            (client, client_0.to_vec()),
            (client.peer(), server_0.to_vec()),
            (client, client_1.to_vec()),
            (client.peer(), server_1.to_vec()),
        ];
        let (judgement, count, held) = adopt(&packets);
        assert_eq!((judgement, count), (Judgement::WebSocket { client }, 2));

        let mut direction = Direction::new(Role::Client, UNSEEN);
        direction.decoder.join(&held[client]);
        held[client].pieces().for_each(|(_, bytes)| {
            direction.packet(bytes);
        });
        assert_eq!(direction.heard(), [message(Opcode::TEXT, "after the start 0")]);
        assert_eq!(adopt(&packets[..1]).0, Judgement::WebSocket { client }, "one masked text, when nothing more comes");
    }
}

#[test]
fn adoption_begins_at_the_first_frame() {
    let large = frame(Opcode::BINARY, random(5000, 3)).bytes();
    let mut packets: Vec<(Side, Vec<u8>)> =
        large[700..].chunks(1448).map(|part| (Side::Responder, part.to_vec())).collect();
    let words = ["some words", "other words", "last words"];
    packets.extend(words.map(|words| (Side::Originator, text(words).masked().bytes())));
    let (judgement, _, held) = adopt(&packets);
    assert_eq!(judgement, Judgement::WebSocket { client: Side::Originator });
    assert_eq!((held.originator.lost, held.responder.lost), (0, large.len() as u64 - 700));
}

#[test]
fn pings_and_pongs_alone_are_enough() {
    let ping = |i: u8| (Side::Originator, frame(Opcode::PING, [i; 4]).masked().bytes());
    let pong = |i: u8| (Side::Responder, frame(Opcode::PONG, [i; 4]).bytes());
    let packets: Vec<_> = (0..2).flat_map(|i| [ping(i), pong(i)]).collect();
    let (judgement, _, held) = adopt(&packets);
    assert_eq!(judgement, Judgement::WebSocket { client: Side::Originator });
    assert_eq!((held.originator.lost, held.responder.lost), (0, 0));
}

#[test]
fn other_protocols_are_not_adopted() {
    let tls = [&[0x17, 0x03, 0x03, 0x00, 0x40][..], &random(64, 1)].concat();
    let http = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    let ssh = [&[0, 0, 0, 44, 6][..], &random(44, 2)].concat();
    let mysql = b"\x01\x00\x00\x01\x01\x17\x00\x00\x02\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00".to_vec();
    let redis = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n".to_vec();
    // A length of two bytes before each message, as DNS has it: looks like an unfinished fragment that fits exactly.
    let dns = [&[0x00, 0x2D][..], &random(45, 3)].concat();
    // SUBSCRIBE packets of MQTT: look like binary messages that fit exactly. Their answers do not.
    let subscribe = b"\x82\x0A\x00\x01\x00\x05topic\x00".to_vec();
    let suback = b"\x90\x03\x00\x01\x00".to_vec();
    // ISO 8583, Kafka and others: four bytes of length, many of them zero.
    let long = [&[0, 0, 0, 60][..], &[0; 60]].concat();
    for (name, sent, answered) in [
        ("TLS", &tls, &tls),
        ("HTTP", &http, &http),
        ("SSH", &ssh, &ssh),
        ("MySQL", &mysql, &mysql),
        ("Redis", &redis, &http),
        ("DNS", &dns, &dns),
        ("MQTT", &subscribe, &suback),
        ("lengths", &long, &long),
        ("zeros", &vec![0; 100], &vec![0; 100]),
    ] {
        let packets: Vec<_> = (0..200)
            .map(|i| if i % 2 == 0 { (Side::Originator, sent.clone()) } else { (Side::Responder, answered.clone()) })
            .collect();
        for count in [3, 8, 200] {
            assert_eq!(adopt(&packets[..count]).0, Judgement::Other, "{name}, {count} packets");
        }
    }
}

#[test]
fn random_connections_are_not_adopted() {
    let mut seed = 1;
    for _ in 0..200_000 {
        let mut adoption = Adoption::new();
        for number in 0..4u64 {
            seed += 1;
            // Headers are as likely as can be: the first byte is always a possible one.
            let mut segment = random(20 + (seed as usize % 100), seed);
            segment[0] = [0x81, 0x82, 0x01, 0x89][seed as usize % 4];
            let side = if number % 2 == 0 { Side::Originator } else { Side::Responder };
            assert_eq!(adoption.handle(side, &segment, moment(number)), Judgement::Undecided, "seed {seed}");
        }
    }
}

#[test]
fn evidence_grows_with_each_frame() {
    let frames = [text("hello, this is text").masked(), text("and more of it").masked()];
    let one = resync::credible(Role::Client, &stream(&frames[..1]));
    let two = resync::credible(Role::Client, &stream(&frames));
    assert!(two > one && one > 20, "{one} {two}");
    assert_eq!(resync::credible(Role::Server, &stream(&frames)), 0);
    assert_eq!(resync::credible(Role::Client, b"GET / HTTP/1.1\r\n"), 0);
}

// For every stream.

/// Bytes without a pattern (splitmix64).
fn random(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    (0..length).map(|_| next() as u8).collect()
}

fn opcodes() -> impl Strategy<Value = Opcode> {
    prop_oneof![
        6 => Just(Opcode::TEXT),
        3 => Just(Opcode::BINARY),
        3 => Just(Opcode::CONTINUATION),
        2 => Just(Opcode::PING),
        1 => Just(Opcode::PONG),
        1 => Just(Opcode::CLOSE),
        1 => (3u8..16).prop_map(Opcode),
    ]
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "\\PC{0,40}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..30),
        1 => vec(any::<u8>(), 120..300),
        1 => (4000usize..9000).prop_map(|length| "äb".repeat(length / 3).into_bytes()),
        1 => Just(vec![0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]),
    ]
}

/// Frames that keep most rules and break some.
fn any_frames() -> impl Strategy<Value = Vec<Frame>> {
    let frame = (opcodes(), payloads(), any::<Option<[u8; 4]>>(), 0u8..20, 0u8..20).prop_map(
        |(opcode, payload, key, odd, reserved)| {
            let mut frame = frame(opcode, payload);
            frame.key = key;
            if odd < 6 {
                frame = frame.not_final();
            }
            if reserved < 8 { frame.reserved(reserved) } else { frame }
        },
    );
    vec(frame, 0..12)
}

fn any_agreed() -> impl Strategy<Value = Agreed> {
    prop_oneof![Just(PLAIN), Just(TAKEOVER), Just(NO_TAKEOVER)]
}

fn any_role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

/// Decodes in pieces that end at these offsets; all at one moment, so that only the cutting differs.
fn in_pieces(role: Role, agreed: Agreed, bytes: &[u8], mut cuts: Vec<usize>) -> (Vec<Heard>, DirectionFacts) {
    let mut direction = Direction::new(role, agreed);
    direction.record.preview = 200;
    cuts.push(bytes.len());
    cuts.sort_unstable();
    let mut start = 0;
    for end in cuts {
        if end > start {
            direction.packet = 0;
            direction.packet(&bytes[start..end]);
            start = end;
        }
    }
    (direction.heard(), direction.facts())
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same(
        frames in any_frames(), tail in vec(any::<u8>(), 0..20), role in any_role(), agreed in any_agreed(),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let bytes = [stream(&frames), tail].concat();
        let cuts = cuts.iter().map(|cut| cut.index(bytes.len() + 1).min(bytes.len())).collect();
        prop_assert_eq!(in_pieces(role, agreed, &bytes, vec![]), in_pieces(role, agreed, &bytes, cuts));
    }

    #[test]
    fn single_bytes_give_the_same(frames in any_frames(), role in any_role(), agreed in any_agreed()) {
        let bytes = stream(&frames);
        let every = (0..bytes.len()).collect();
        prop_assert_eq!(in_pieces(role, agreed, &bytes, vec![]), in_pieces(role, agreed, &bytes, every));
    }

    /// A dialogue of text with one gap anywhere: every message that is heard is one that was sent, hole for hole.
    #[test]
    fn a_gap_never_makes_text_up(
        said in vec("[a-zA-Zäöü {}:\",0-9]{1,60}", 8..20), role in any_role(),
        from in any::<prop::sample::Index>(), length in 1usize..200, segment in 20usize..400,
    ) {
        let bytes: Vec<u8> = said.iter().flat_map(|words| text(words).by(role).bytes()).collect();
        let from = from.index(bytes.len());
        let to = (from + length).min(bytes.len());
        let mut direction = Direction::new(role, PLAIN);
        bytes[..from].chunks(segment).for_each(|piece| { direction.packet(piece); });
        direction.gap((to - from) as u64);
        bytes[to..].chunks(segment).for_each(|piece| { direction.packet(piece); });
        direction.finish();
        prop_assert!(direction.violations().is_empty(), "{:?}", direction.violations());
        let mut sent = said.iter();
        for heard in direction.heard() {
            match heard {
                Heard::Message { preview, holes: false, .. } => {
                    prop_assert!(sent.any(|words| *words == preview), "{preview:?} was never said");
                }
                Heard::Message { bytes, .. } => {
                    prop_assert!(sent.any(|words| words.len() as u64 == bytes), "nothing has {bytes} bytes");
                }
                Heard::Lost(_) | Heard::Resynchronised => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    /// The same where nobody knows how long the gap is: what is told of it may be wrong by any amount.
    #[test]
    fn a_gap_of_unknown_length_never_makes_text_up(
        said in vec("[a-zA-Zäöü {}:\",0-9]{1,60}", 8..20), role in any_role(),
        from in any::<prop::sample::Index>(), length in 0usize..200, told in 1u64..400, segment in 20usize..400,
    ) {
        let bytes: Vec<u8> = said.iter().flat_map(|words| text(words).by(role).bytes()).collect();
        let from = from.index(bytes.len());
        let to = (from + length).min(bytes.len());
        let mut direction = Direction::new(role, PLAIN);
        bytes[..from].chunks(segment).for_each(|piece| { direction.packet(piece); });
        direction.lose_place(told);
        bytes[to..].chunks(segment).for_each(|piece| { direction.packet(piece); });
        direction.finish();
        prop_assert!(direction.violations().is_empty(), "{:?}", direction.violations());
        let mut sent = said.iter();
        for heard in direction.heard() {
            match heard {
                Heard::Message { preview, holes: false, .. } => {
                    prop_assert!(sent.any(|words| *words == preview), "{preview:?} was never said");
                }
                Heard::Lost(_) | Heard::Resynchronised => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    /// The same with compressed messages: what cannot be known is a hole, byte for byte.
    #[test]
    fn a_gap_never_makes_compressed_text_up(
        said in vec("[a-f {}:\",0-9]{1,80}", 8..20), role in any_role(), agreed in prop_oneof![Just(TAKEOVER), Just(NO_TAKEOVER)],
        keys in vec(any::<[u8; 4]>(), 20),
        from in any::<prop::sample::Index>(), length in 1usize..200, segment in 20usize..400,
    ) {
        let mut deflater = Deflater::new();
        let mut bytes = Vec::new();
        for (words, key) in said.iter().zip(&keys) {
            let mut frame = deflater.text(words).by(role);
            frame.key = frame.key.map(|_| *key);
            bytes.extend(frame.bytes());
            if agreed == NO_TAKEOVER {
                deflater = Deflater::new();
            }
        }
        let from = from.index(bytes.len());
        let to = (from + length).min(bytes.len());
        let mut direction = Direction::new(role, agreed);
        bytes[..from].chunks(segment).for_each(|piece| { direction.packet(piece); });
        direction.gap((to - from) as u64);
        bytes[to..].chunks(segment).for_each(|piece| { direction.packet(piece); });
        direction.finish();
        prop_assert!(direction.violations().is_empty(), "{:?}", direction.violations());
        let mut sent = said.iter();
        for heard in direction.heard() {
            if let Heard::Message { preview, holes, .. } = heard {
                let fits = |words: &&String| {
                    let same = preview.bytes().zip(words.bytes()).all(|(seen, sent)| seen == sent || holes && seen == b'?');
                    same && (holes && preview.len() <= words.len() || preview.len() == words.len())
                };
                prop_assert!(sent.find(fits).is_some(), "{preview:?} was never said");
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        pieces in vec((vec(any::<u8>(), 0..300), any::<bool>(), 0u64..500), 0..12),
        role in any_role(), agreed in prop_oneof![any_agreed(), Just(UNSEEN)],
    ) {
        let mut direction = Direction::new(role, agreed);
        direction.record.preview = 64;
        let mut total = 0;
        for (bytes, gap, length) in &pieces {
            if *gap && *length > 0 {
                direction.gap(*length);
                total += length;
            }
            if !bytes.is_empty() {
                direction.packet(bytes);
                total += bytes.len() as u64;
            }
        }
        direction.finish();
        prop_assert_eq!(direction.facts().bytes, total);
    }

    /// The same with bytes that look like frames, so that resynchronisation has something to find.
    #[test]
    fn frames_with_gaps_never_panic(
        frames in vec((any_frames(), any::<bool>(), 1u64..300), 0..6),
        role in any_role(), agreed in prop_oneof![any_agreed(), Just(UNSEEN)],
    ) {
        let mut direction = Direction::new(role, agreed);
        for (frames, gap, length) in &frames {
            if *gap {
                direction.gap(*length);
            }
            let bytes = stream(frames);
            bytes.chunks(97).for_each(|piece| { direction.packet(piece); });
        }
        direction.finish();
    }
}

#[test]
fn a_gigabyte_message_takes_no_memory() {
    let mut scratch = Scratch::new(&Limits::default());
    let mut record = Record { preview: 256, ..Record::default() };
    let mut decoder = Decoder::new(Role::Server, PLAIN);
    let piece = [b'x'; 1 << 16];
    let head = [&[0x81, 127][..], &(1u64 << 30).to_be_bytes()].concat();
    decoder.handle(&head, frames::when(1), &mut scratch, &mut record);
    for number in 0..1 << 14 {
        decoder.handle(&piece, frames::when(2 + number), &mut scratch, &mut record);
    }
    let Heard::Message { bytes, preview, truncated, .. } = &record.heard[0] else { panic!("{:?}", record.heard) };
    assert_eq!((*bytes, preview.len(), *truncated), (1 << 30, 256, true));
}
