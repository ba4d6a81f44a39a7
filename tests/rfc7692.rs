//! RFC 7692, section by section; and what is made of compressed messages when bytes are missing.

mod frames;

use flate2::{Compress, Compression, FlushCompress};
use frames::{Deflater, Direction, Heard, NO_TAKEOVER, PLAIN, TAKEOVER, UNSEEN, decode, frame, message, text};
use wsflow::limits::Limits;
use wsflow::stream::Role;
use wsflow::ws::facts::{Opcode, ViolationKind};
use wsflow::ws::{Decoder, Scratch};

/// "Hello" in a block with fixed Huffman codes, without the tail.
const HELLO: [u8; 7] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
/// "Hello" again, as a reference into the window.
const HELLO_AGAIN: [u8; 5] = [0xF2, 0x00, 0x11, 0x00, 0x00];

fn hello() -> Heard {
    message(Opcode::TEXT, "Hello").compressed()
}

// §7.2.3: the examples.

#[test]
fn s7_2_3_1_a_message_compressed_using_one_compressed_block() {
    let bytes = [&[0xC1, 0x07][..], &HELLO].concat();
    let (heard, facts) = decode(Role::Server, TAKEOVER, &bytes);
    assert_eq!(heard, [hello()]);
    assert_eq!(facts.messages.bytes, 5);
    assert_eq!(facts.largest_frame.map(|(length, _)| length), Some(7));
    assert_eq!(facts.largest_message.map(|(length, _)| length), Some(5));
}

#[test]
fn s7_2_3_1_the_same_in_fragments() {
    let bytes = [0x41, 0x03, 0xF2, 0x48, 0xCD, 0x80, 0x04, 0xC9, 0xC9, 0x07, 0x00];
    assert_eq!(decode(Role::Server, TAKEOVER, &bytes).0, [hello().fragments(2)]);
}

#[test]
fn s7_2_3_2_sharing_the_lz77_sliding_window() {
    let bytes = [&[0xC1, 0x07][..], &HELLO, &[0xC1, 0x05], &HELLO_AGAIN].concat();
    assert_eq!(decode(Role::Server, TAKEOVER, &bytes).0, [hello(), hello()]);
}

#[test]
fn s7_2_3_3_a_block_with_no_compression() {
    let bytes = [0xC1, 0x0B, 0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00];
    assert_eq!(decode(Role::Server, TAKEOVER, &bytes).0, [hello()]);
}

#[test]
fn s7_2_3_4_a_block_with_bfinal_set() {
    let ended = [0xC1, 0x08, 0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00];
    for agreed in [TAKEOVER, NO_TAKEOVER] {
        let (heard, facts) = decode(Role::Server, agreed, &[&ended[..], &ended].concat());
        assert_eq!((heard, facts.violations), (vec![hello(), hello()], vec![]));
    }
    // The window lives on behind a block with BFINAL, with and without the padding of the example.
    let again = [&[0xC1, 0x05][..], &HELLO_AGAIN].concat();
    assert_eq!(decode(Role::Server, TAKEOVER, &[&ended[..], &again].concat()).0, [hello(), hello()]);
    let bare = [0xC1, 0x07, 0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    assert_eq!(decode(Role::Server, TAKEOVER, &[&bare[..], &again].concat()).0, [hello(), hello()]);
}

#[test]
fn s7_2_3_5_two_blocks_in_one_message() {
    let bytes = [0xC1, 0x0D, 0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00];
    assert_eq!(decode(Role::Server, TAKEOVER, &bytes).0, [hello()]);
}

#[test]
fn s7_2_3_6_an_empty_message() {
    let (heard, facts) = decode(Role::Server, TAKEOVER, &[0xC1, 0x01, 0x00, 0xC1, 0x00, 0xC1, 0x07]);
    assert_eq!(heard, [message(Opcode::TEXT, "").compressed(), message(Opcode::TEXT, "").compressed()]);
    assert_eq!(facts.violations, []);
}

// §6: which frames say that a message is compressed.

#[test]
fn s6_1_rsv1_belongs_on_the_first_frame_only() {
    let mut direction = Direction::new(Role::Server, TAKEOVER);
    direction.packet(&[0x41, 0x03, 0xF2, 0x48, 0xCD, 0xC0, 0x04, 0xC9, 0xC9, 0x07, 0x00]);
    assert_eq!(direction.heard(), [Heard::Violation(ViolationKind::ReservedBits(4)), hello().fragments(2)]);
    direction.frame(frame(Opcode::PING, "").compressed());
    assert_eq!(direction.violations(), [ViolationKind::ReservedBits(4); 2]);
}

#[test]
fn s6_without_agreement_nothing_is_inflated() {
    let (heard, facts) = decode(Role::Server, PLAIN, &[&[0xC1, 0x07][..], &HELLO].concat());
    assert_eq!(facts.violations.len(), 1);
    assert!(matches!(&heard[1], Heard::Message { bytes: 7, compressed: false, .. }), "{heard:?}");
}

#[test]
fn s6_plain_messages_may_come_between_compressed_ones() {
    let mut deflater = Deflater::new();
    let mut direction = Direction::new(Role::Client, TAKEOVER);
    direction
        .frame(deflater.text("the same words"))
        .frame(text("plain"))
        .frame(deflater.text("the same words, and the same words"));
    assert_eq!(
        direction.heard(),
        [
            message(Opcode::TEXT, "the same words").compressed(),
            message(Opcode::TEXT, "plain"),
            message(Opcode::TEXT, "the same words, and the same words").compressed(),
        ]
    );
}

#[test]
fn s6_2_what_does_not_inflate() {
    for agreed in [TAKEOVER, NO_TAKEOVER] {
        let (heard, facts) = decode(Role::Server, agreed, &text(b"\xFF\xFF\xFF\xFF").compressed().bytes());
        assert_eq!(facts.violations[0].kind, ViolationKind::Inflate);
        assert_eq!((heard.len(), facts.messages.text), (2, 1), "the message is counted all the same");
    }
}

#[test]
fn s6_2_a_message_that_was_cut_short() {
    let whole = Deflater::new().payload("so many words that they fill a block of their own, words, words".as_bytes());
    let (_, facts) = decode(Role::Server, TAKEOVER, &text(&whole[..whole.len() - 8]).compressed().bytes());
    assert_eq!(facts.violations.first().map(|violation| violation.kind), Some(ViolationKind::Inflate));
}

#[test]
fn s6_2_inflated_text_is_checked() {
    let payload = Deflater::new().payload(b"caf\xE9");
    let (_, facts) = decode(Role::Server, TAKEOVER, &text(payload).compressed().bytes());
    assert_eq!(facts.violations[0].kind, ViolationKind::Utf8);
}

// §7.1.1: no_context_takeover.

#[test]
fn s7_1_1_without_takeover_each_message_stands_alone() {
    let bytes = [&[0xC1, 0x07][..], &HELLO, &[0xC1, 0x05], &HELLO_AGAIN].concat();
    let (heard, facts) = decode(Role::Server, NO_TAKEOVER, &bytes);
    assert_eq!(heard[0], hello());
    assert_eq!(facts.violations[0].kind, ViolationKind::Inflate);
    let twice = [&[0xC1, 0x07][..], &HELLO, &[0xC1, 0x07], &HELLO].concat();
    assert_eq!(decode(Role::Server, NO_TAKEOVER, &twice).0, [hello(), hello()]);
}

#[test]
fn many_directions_share_few_inflaters() {
    let limits = Limits { inflaters: 2, ..Limits::default() };
    let mut scratch = Scratch::new(&limits);
    let mut directions: Vec<_> = (0..5).map(|_| (Decoder::new(Role::Server, TAKEOVER), Deflater::new())).collect();
    let mut record = frames::Record { preview: 4096, ..frames::Record::default() };
    for round in 0..30 {
        for (number, (decoder, deflater)) in directions.iter_mut().enumerate() {
            let content = format!("direction {number} says what it always says, for the {round}th time");
            let bytes = deflater.text(&content).bytes();
            decoder.handle(&bytes, frames::when(1), &mut scratch, &mut record);
            assert_eq!(record.heard.pop(), Some(message(Opcode::TEXT, &content).compressed()));
        }
    }
}

#[test]
fn a_message_that_loses_its_inflater_is_only_counted() {
    let mut scratch = Scratch::new(&Limits { inflaters: 1, ..Limits::default() });
    let mut record = frames::Record { preview: 4096, ..frames::Record::default() };
    let mut directions = [(); 2].map(|()| Decoder::new(Role::Server, TAKEOVER));
    let begun = text(&HELLO[..3]).compressed().not_final().bytes();
    let ended = frame(Opcode::CONTINUATION, &HELLO[3..]).bytes();
    for bytes in [begun, ended] {
        for decoder in &mut directions {
            decoder.handle(&bytes, frames::when(1), &mut scratch, &mut record);
        }
    }
    assert_eq!(record.heard.len(), 2, "no violation: {:?}", record.heard);
    assert!(record.heard.iter().all(|heard| matches!(heard, Heard::Message { holes, preview, .. } if "Hello".starts_with(preview.as_str()) && (*holes || preview == "Hello"))));
    let stopped: u64 = directions.iter().map(|decoder| decoder.facts(frames::moment(0)).inflation_stopped).sum();
    assert_eq!(stopped, 1);
}

#[test]
fn a_window_is_kept_beyond_its_32_kib() {
    let limits = Limits { inflaters: 1, ..Limits::default() };
    let mut scratch = Scratch::new(&limits);
    let mut record = frames::Record { preview: 1 << 16, ..frames::Record::default() };
    let mut pairs = [(); 2].map(|()| (Decoder::new(Role::Server, TAKEOVER), Deflater::new()));
    let mut seed = 1u32;
    for round in 0..20 {
        for (decoder, deflater) in &mut pairs {
            let content: String = (0..3000 + round * 700)
                .map(|i| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    char::from(b'a' + if i % 7 < 5 { (i / 50 % 26) as u8 } else { (seed >> 24) as u8 % 26 })
                })
                .collect();
            let bytes = deflater.text(&content).bytes();
            decoder.handle(&bytes, frames::when(1), &mut scratch, &mut record);
            assert!(record.heard.pop() == Some(message(Opcode::TEXT, &content).compressed()), "round {round}");
        }
    }
}

// Bounds.

#[test]
fn a_bomb_is_only_counted() {
    let zeros = vec![0; 32 << 20];
    let mut compress = Compress::new(Compression::best(), false);
    let mut bomb = Vec::with_capacity(1 << 20);
    compress.compress_vec(&zeros, &mut bomb, FlushCompress::Sync).unwrap();
    let mut direction = Direction::new(Role::Client, TAKEOVER);
    direction.record.preview = 64;
    direction.frame(frame(Opcode::BINARY, &bomb).compressed()).frame(text("after"));
    let facts = direction.facts();
    assert_eq!((facts.messages.binary, facts.messages.text, facts.inflation_stopped), (1, 1, 1));
    assert_eq!(facts.violations, [], "it is legal");
    let bound = Limits::default().inflated_bytes;
    assert!((bound..bound + 8192).contains(&facts.largest_message.unwrap().0));
}

// What the capture lacks.

#[test]
fn a_stream_joined_late_shows_holes_for_what_came_before() {
    let mut direction = Direction::new(Role::Server, UNSEEN);
    direction.packet(&[&[0xC1, 0x05][..], &HELLO_AGAIN].concat());
    direction.packet(&[&[0xC1, 0x07][..], &HELLO].concat());
    direction.packet(&[&[0xC1, 0x05][..], &HELLO_AGAIN].concat());
    assert_eq!(
        direction.heard(),
        [Heard::Resynchronised, message(Opcode::TEXT, "H????").compressed().with_holes(), hello(), hello()]
    );
    assert_eq!(direction.violations(), []);
}

#[test]
fn after_a_gap_over_a_boundary_no_text_is_made_up() {
    let mut deflater = Deflater::new();
    let mut direction = Direction::new(Role::Client, TAKEOVER);
    direction.frame(deflater.text("{\"user\":\"alice\",\"text\":\"good morning\"}")).heard();
    let lost = deflater.text("{\"user\":\"bob\",\"text\":\"lost words\"}").masked().bytes();
    direction.gap(lost.len() as u64);
    let said = "{\"user\":\"alice\",\"text\":\"good morning, new words\"}";
    for _ in 0..4 {
        direction.frame(deflater.text(said));
    }
    let heard = direction.heard();
    let previews = heard.iter().filter_map(|heard| match heard {
        Heard::Message { preview, holes, .. } => Some((preview, *holes)),
        _ => None,
    });
    let mut count = 0;
    for (preview, holes) in previews {
        count += 1;
        assert_eq!(preview.len(), said.len());
        assert_eq!(holes, preview.contains('?'));
        assert!(preview.bytes().zip(said.bytes()).all(|(seen, sent)| seen == sent || seen == b'?'), "{preview}");
    }
    // The first may have been spent on finding the boundary.
    assert!(count >= 3, "{heard:?}");
    assert_eq!(direction.violations(), []);
}

#[test]
fn after_a_gap_without_takeover_the_next_message_is_whole() {
    let mut direction = Direction::new(Role::Server, NO_TAKEOVER);
    let hello_frame = [&[0xC1, 0x07][..], &HELLO].concat();
    direction.packet(&hello_frame).gap(9).packet(&hello_frame).packet(&hello_frame).packet(&hello_frame);
    assert_eq!(direction.heard(), [hello(), Heard::Resynchronised, hello(), hello(), hello()]);
}

#[test]
fn a_gap_inside_a_compressed_message_ends_what_can_be_read_of_it() {
    let mut deflater = Deflater::new();
    let first = deflater.text("one two three four five six seven").bytes();
    let second = deflater.text("eight").bytes();
    for cut in 3..first.len() - 1 {
        let mut direction = Direction::new(Role::Server, TAKEOVER);
        direction.packet(&first[..cut]).gap(1).packet(&first[cut + 1..]).packet(&second);
        let heard = direction.heard();
        let Heard::Message { preview, holes, .. } = &heard[0] else { panic!("{heard:?}") };
        assert!("one two three four five six seven".starts_with(preview.as_str()), "{preview}");
        assert!(holes);
        assert!(matches!(&heard[1], Heard::Message { preview, .. } if preview == "eight"), "{heard:?}");
        assert_eq!(direction.violations(), []);
    }
}

#[test]
fn the_history_is_known_again_after_32_kib() {
    let mut deflater = Deflater::new();
    let mut direction = Direction::new(Role::Server, TAKEOVER);
    direction.frame(deflater.text("first"));
    let lost = deflater.text("lost").bytes();
    direction.gap(lost.len() as u64);
    for number in 0u64..1000 {
        // Nothing that an earlier message has said, but for the digits.
        let digits: String = (1..6).map(|i| (number * 7919 + i).wrapping_pow(5).to_string()).collect();
        direction.frame(deflater.text(&digits));
    }
    direction.heard();
    let payload = deflater.payload(b"caf\xE9");
    direction.frame(text(payload).compressed());
    assert_eq!(direction.violations(), [ViolationKind::Utf8], "judged again");
}
