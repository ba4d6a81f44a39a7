//! RFC 6455, section by section.

mod frames;

use frames::{Direction, Heard, KEY, PLAIN, control, decode, frame, message, moment, stream, text};
use wsflow::stream::Role;
use wsflow::ws::facts::{MessageCounts, Opcode, OpenFrame, ViolationKind};

/// The violations of one packet with these bytes.
fn violations(role: Role, bytes: &[u8]) -> Vec<ViolationKind> {
    decode(role, PLAIN, bytes).1.violations.iter().map(|violation| violation.kind).collect()
}

// §5.7: the examples, byte by byte.

#[test]
fn s5_7_a_single_frame_unmasked_text_message() {
    let (heard, facts) = decode(Role::Server, PLAIN, &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    assert_eq!(heard, [message(Opcode::TEXT, "Hello")]);
    assert_eq!(facts.messages, MessageCounts { text: 1, binary: 0, bytes: 5 });
}

#[test]
fn s5_7_a_single_frame_masked_text_message() {
    let bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(decode(Role::Client, PLAIN, &bytes).0, [message(Opcode::TEXT, "Hello")]);
}

#[test]
fn s5_7_a_fragmented_unmasked_text_message() {
    let (heard, facts) = decode(Role::Server, PLAIN, &[0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f]);
    assert_eq!(heard, [message(Opcode::TEXT, "Hello").fragments(2)]);
    assert_eq!((facts.frames.text, facts.frames.continuation), (1, 1));
    assert_eq!(facts.messages, MessageCounts { text: 1, binary: 0, bytes: 5 });
}

#[test]
fn s5_7_unmasked_ping_and_masked_pong() {
    let (heard, _) = decode(Role::Server, PLAIN, &[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    assert_eq!(heard, [control(Opcode::PING, "Hello")]);
    let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(decode(Role::Client, PLAIN, &pong).0, [control(Opcode::PONG, "Hello")]);
}

#[test]
fn s5_7_256_bytes_in_a_single_unmasked_frame() {
    let bytes = [&[0x82, 0x7E, 0x01, 0x00][..], &[b'x'; 256]].concat();
    assert_eq!(decode(Role::Server, PLAIN, &bytes).0, [message(Opcode::BINARY, &"x".repeat(256))]);
}

#[test]
fn s5_7_64_kib_in_a_single_unmasked_frame() {
    let head = [0x82, 0x7F, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00];
    let (heard, facts) = decode(Role::Server, PLAIN, &[&head[..], &[b'x'; 65536]].concat());
    assert!(heard == [message(Opcode::BINARY, &"x".repeat(65536))]);
    assert_eq!(facts.largest_frame, Some((65536, moment(1))));
}

// §5.1: masking by role.

#[test]
fn s5_1_a_client_masks_and_a_server_does_not() {
    let hello = text("Hello");
    assert_eq!(violations(Role::Client, &hello.bytes()), [ViolationKind::Unmasked]);
    assert_eq!(violations(Role::Server, &hello.clone().masked().bytes()), [ViolationKind::Masked]);
    // It is decoded all the same: the receiver may have accepted it.
    assert_eq!(decode(Role::Client, PLAIN, &hello.bytes()).1.messages.text, 1);
}

// §5.2: the header.

#[test]
fn s5_2_reserved_bits_need_an_extension() {
    for bits in 1..=7 {
        assert_eq!(violations(Role::Server, &text("a").reserved(bits).bytes()), [ViolationKind::ReservedBits(bits)]);
    }
}

#[test]
fn s5_2_text_behind_reserved_bits_is_not_judged() {
    let bytes = text(b"\xF2\x48\xCD\xC9\xC9\x07\x00").compressed().bytes();
    assert_eq!(violations(Role::Server, &bytes), [ViolationKind::ReservedBits(4)]);
}

#[test]
fn s5_2_reserved_opcodes() {
    for opcode in [0x3, 0x7, 0xB, 0xF] {
        let (heard, facts) = decode(Role::Server, PLAIN, &stream(&[frame(Opcode(opcode), "abc"), text("on")]));
        assert_eq!(heard, [Heard::Violation(ViolationKind::ReservedOpcode(opcode)), message(Opcode::TEXT, "on")]);
        assert_eq!(facts.frames.other, 1);
    }
}

#[test]
fn s5_2_the_minimal_number_of_bytes_must_be_used() {
    assert_eq!(violations(Role::Server, &[0x82, 126, 0, 1, 7]), [ViolationKind::Length]);
    assert_eq!(violations(Role::Server, &[0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1, 7]), [ViolationKind::Length]);
}

#[test]
fn s5_2_a_length_of_64_bits_takes_no_memory() {
    let mut direction = Direction::new(Role::Server, PLAIN);
    direction.packet(&[0x82, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]).packet(&[0; 1000]);
    assert_eq!(direction.violations(), [ViolationKind::Length]);
    let open = OpenFrame { opcode: Opcode::BINARY, length: u64::MAX, seen: 1000, moment: moment(1) };
    assert_eq!(direction.facts().open_frame, Some(open));
}

// §5.4: fragmentation.

#[test]
fn s5_4_control_frames_may_come_between_fragments() {
    let bytes = stream(&[
        text("one ").not_final(),
        frame(Opcode::PING, "p"),
        frame(Opcode::CONTINUATION, "two ").not_final(),
        frame(Opcode::CONTINUATION, "three"),
    ]);
    let (heard, facts) = decode(Role::Server, PLAIN, &bytes);
    assert_eq!(heard, [control(Opcode::PING, "p"), message(Opcode::TEXT, "one two three").fragments(3)]);
    assert_eq!(facts.violations, []);
    assert_eq!(facts.largest_message.map(|(bytes, _)| bytes), Some(13));
}

#[test]
fn s5_4_a_fragment_may_be_empty() {
    let bytes = stream(&[
        text("").not_final(),
        frame(Opcode::CONTINUATION, "").not_final(),
        frame(Opcode::CONTINUATION, "x"),
        text(""),
    ]);
    let (heard, facts) = decode(Role::Server, PLAIN, &bytes);
    assert_eq!(heard, [message(Opcode::TEXT, "x").fragments(3), message(Opcode::TEXT, "")]);
    assert_eq!(facts.violations, []);
}

#[test]
fn s5_4_nothing_to_continue() {
    assert_eq!(
        violations(Role::Server, &frame(Opcode::CONTINUATION, "x").bytes()),
        [ViolationKind::ContinuationWithoutStart]
    );
}

#[test]
fn s5_4_fragments_of_messages_must_not_be_interleaved() {
    let bytes = stream(&[text("lost").not_final(), frame(Opcode::BINARY, "new"), text("next")]);
    let (heard, facts) = decode(Role::Server, PLAIN, &bytes);
    let interleaved = Heard::Violation(ViolationKind::DataInsideMessage);
    assert_eq!(heard, [interleaved, message(Opcode::BINARY, "new"), message(Opcode::TEXT, "next")]);
    assert_eq!(facts.frames.text, 2);
    assert_eq!(facts.messages, MessageCounts { text: 1, binary: 1, bytes: 7 });
}

#[test]
fn s5_4_a_message_that_does_not_end_is_open() {
    let (heard, facts) = decode(Role::Server, PLAIN, &text("begun").not_final().bytes());
    assert_eq!(heard, []);
    assert_eq!((facts.messages.text, facts.open_message, facts.open_frame), (0, Some(Opcode::TEXT), None));
}

// §5.5: control frames.

#[test]
fn s5_5_control_frames_must_not_be_fragmented() {
    assert_eq!(
        violations(Role::Server, &frame(Opcode::PING, "p").not_final().bytes()),
        [ViolationKind::FragmentedControl]
    );
}

#[test]
fn s5_5_control_frames_have_at_most_125_bytes() {
    assert_eq!(violations(Role::Server, &frame(Opcode::PING, [b'p'; 125]).bytes()), []);
    let (heard, facts) = decode(Role::Server, PLAIN, &frame(Opcode::PING, [b'p'; 126]).bytes());
    assert_eq!(facts.violations[0].kind, ViolationKind::ControlTooLong(126));
    let kept = Heard::Control { opcode: Opcode::PING, payload: "p".repeat(125), length: 126, whole: true };
    assert_eq!(heard[1..], [kept]);
}

#[test]
fn s5_5_1_close_carries_a_code_and_a_reason() {
    let bytes = frame(Opcode::CLOSE, b"\x03\xE8bye").masked().bytes();
    let (heard, facts) = decode(Role::Client, PLAIN, &bytes);
    let close = Heard::Control { opcode: Opcode::CLOSE, payload: "\u{3}\\xe8bye".into(), length: 5, whole: true };
    assert_eq!(heard, [close]);
    assert_eq!((facts.violations, facts.frames.close), (vec![], 1));
}

#[test]
fn s5_5_1_a_close_payload_of_one_byte_is_no_code() {
    assert_eq!(violations(Role::Server, &frame(Opcode::CLOSE, [3]).bytes()), [ViolationKind::CloseLength]);
    assert_eq!(violations(Role::Server, &frame(Opcode::CLOSE, []).bytes()), []);
}

#[test]
fn s5_5_1_the_reason_is_utf8() {
    assert_eq!(violations(Role::Server, &frame(Opcode::CLOSE, b"\x03\xE8\xC3").bytes()), [ViolationKind::ReasonUtf8]);
}

// §7.4: close codes.

#[test]
fn s7_4_codes_that_must_not_be_sent() {
    for code in [999u16, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
        let bytes = frame(Opcode::CLOSE, code.to_be_bytes()).bytes();
        assert_eq!(violations(Role::Server, &bytes), [ViolationKind::CloseCode(code)]);
    }
    for code in [1000u16, 1001, 1011, 1012, 1013, 3000, 4000, 4999] {
        assert_eq!(violations(Role::Server, &frame(Opcode::CLOSE, code.to_be_bytes()).bytes()), []);
    }
}

// §8.1: UTF-8.

#[test]
fn s8_1_text_is_utf8_and_binary_is_anything() {
    assert_eq!(violations(Role::Server, &text(b"\xCE\xBA\xE1\xBD\xB9").bytes()), []);
    assert_eq!(violations(Role::Server, &text(b"\xCE\xBA\xE1\xBD").bytes()), [ViolationKind::Utf8]);
    assert_eq!(violations(Role::Server, &frame(Opcode::BINARY, b"\xFF\xFE").bytes()), []);
}

#[test]
fn s8_1_a_character_may_be_cut_by_fragments_of_a_client() {
    for (end, expected) in [(&b"\x80"[..], vec![]), (b"\xFF", vec![ViolationKind::Utf8])] {
        let bytes = stream(&[
            text(b"\xF0\x9F").masked().not_final(),
            frame(Opcode::CONTINUATION, b"\x98").masked().not_final(),
            frame(Opcode::CONTINUATION, end).masked(),
        ]);
        assert_eq!(violations(Role::Client, &bytes), expected);
    }
}

#[test]
fn s8_1_the_violation_is_known_before_the_message_ends() {
    let mut direction = Direction::new(Role::Server, PLAIN);
    direction.frame(text(b"\xFF").not_final());
    assert_eq!(direction.violations(), [ViolationKind::Utf8]);
    direction.frame(frame(Opcode::CONTINUATION, b"\xFF"));
    assert_eq!(direction.violations(), [ViolationKind::Utf8], "once a message");
}

#[test]
fn s8_1_long_text_is_checked_to_its_end() {
    let mut long = "ä".repeat(5000).into_bytes();
    assert_eq!(violations(Role::Client, &text(&long).masked().bytes()), []);
    *long.last_mut().unwrap() = b'a';
    assert_eq!(violations(Role::Client, &text(&long).masked().bytes()), [ViolationKind::Utf8]);
}

// §1.2, §4: what follows the opening handshake is frames, and nothing else.

#[test]
fn http_where_a_frame_should_begin() {
    let answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
    for size in 1..=answer.len() {
        let mut direction = Direction::new(Role::Server, PLAIN);
        answer.chunks(size).for_each(|piece| {
            direction.packet(piece);
        });
        assert_eq!(direction.heard(), [Heard::Violation(ViolationKind::Http)], "in pieces of {size}");
        assert_eq!(direction.facts().first_bytes, answer);
        assert_eq!(direction.facts().frames.total(), 0);
    }
}

#[test]
fn a_request_on_an_upgraded_connection() {
    let mut direction = Direction::new(Role::Client, PLAIN);
    direction.frame(text("hi")).packet(b"GET /favicon.ico HTTP/1.1\r\n");
    assert_eq!(direction.violations(), [ViolationKind::Http]);
    assert_eq!(direction.facts().first_bytes, b"", "the direction began well");
}

#[test]
fn a_direction_that_begins_with_something_else_is_quoted() {
    let mut direction = Direction::new(Role::Server, PLAIN);
    direction.packet(b"\r\n").packet(b"welcome to the wrong port\r\n");
    assert!(!direction.violations().is_empty());
    assert_eq!(direction.facts().first_bytes, b"\r\nwelcome to the wrong port\r\n");
}

#[test]
fn the_masking_key_may_be_zero() {
    let mut plain = text("Hello").masked();
    plain.key = Some([0; 4]);
    assert_eq!(decode(Role::Client, PLAIN, &plain.bytes()).0, [message(Opcode::TEXT, "Hello")]);
    assert_ne!(KEY, [0; 4]);
}
