use proptest::prelude::*;

use super::*;
use crate::h2::frame::PREFACE;
use crate::h2::frame::tests::frame;
use crate::h2::hpack::tests::literal;
use crate::packet::PacketNumber;

const CONNECT: [(&str, &str); 6] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "https"),
    (":path", "/chat"),
    (":authority", "server.example.com"),
    ("sec-websocket-version", "13"),
];

fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    frame(FrameType::HEADERS, flags, stream, &block)
}

fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        pairs.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(FrameType::SETTINGS, 0, 0, &payload)
}

fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(FrameType::DATA, 0, stream, bytes)
}

/// What both sides say on a connection with two WebSockets and a page.
fn dialogue() -> Vec<(Role, Vec<u8>)> {
    use Role::{Client, Server};
    let page = [(":method", "GET"), (":path", "/"), (":scheme", "https")];
    let connect = {
        let whole = headers(4, 3, &CONNECT);
        let (first, second) = whole[9..].split_at(30);
        [frame(FrameType::HEADERS, 0, 3, first), frame(FrameType::CONTINUATION, 4, 3, second)].concat()
    };
    vec![
        (Client, [PREFACE, &settings(&[])].concat()),
        (Server, settings(&[(8, 1), (4, 1_000_000)])),
        (Client, [headers(5, 1, &page), connect].concat()),
        (Server, [headers(4, 3, &[(":status", "200")]), headers(4, 1, &[(":status", "200")])].concat()),
        (Client, data(3, b"ab")),
        (Server, [data(1, b"page"), data(3, b"cd"), frame(FrameType::DATA, 1, 1, b"end")].concat()),
        (Client, headers(4, 5, &CONNECT)),
        (Client, data(5, b"early")),
        (Server, headers(4, 5, &[(":status", "200")])),
        (Client, frame(FrameType::RST_STREAM, 0, 5, &8_u32.to_be_bytes())),
        (Client, frame(FrameType::DATA, 1, 3, b"")),
        (Server, frame(FrameType::DATA, 1, 3, b"")),
    ]
}

const DIALOGUE: [&str; 18] = [
    "1 GET /",
    "1 Client EndStream",
    "3 CONNECT /chat",
    "3 200",
    "3 is a tunnel",
    "1 200",
    "3 Client: ab",
    "1 body page",
    "3 Server: cd",
    "1 body end",
    "1 Server EndStream",
    "5 CONNECT /chat",
    "5 200",
    "5 is a tunnel",
    "5 Client: early",
    "5 Client Reset(ErrorCode(8))",
    "3 Client EndStream",
    "3 Server EndStream",
];

fn tell(told: &mut Vec<String>, event: Event<'_>) {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let line = match event {
        Event::Request(id, request) => format!("{} {} {}", id.0, request.head.method(), request.head.target()),
        Event::Response(id, response) => format!("{} {}", id.0, response.head.status),
        Event::Tunnel(id) => format!("{} is a tunnel", id.0),
        Event::Body(id, bytes) => format!("{} body {}", id.0, text(bytes)),
        Event::TunnelStream(id, role, _, StreamEvent::Data(bytes)) => format!("{} {role:?}: {}", id.0, text(bytes)),
        Event::TunnelStream(id, role, _, StreamEvent::Gap(missing, cause)) => {
            format!("{} {role:?}: -{missing} {cause:?}", id.0)
        }
        Event::TunnelStream(..) => return,
        Event::Unknown(id, role, _, event) => format!("{} unknown {role:?} {event:?}", id.0),
        Event::End(id, role, end, _) => format!("{} {role:?} {end:?}", id.0),
        Event::Stalled(id, role, stall) => {
            format!("{} {role:?} stalled {} {:?}", id.0, stall.since.packet, stall.until.map(|until| until.packet))
        }
        Event::Limit(bound) => format!("{bound:?}"),
    };
    // Bytes of one stream that come in pieces are one.
    let pieces = line.split_once(": ").zip(told.last().and_then(|last| last.split_once(": ")));
    match pieces {
        Some(((who, more), (before, bytes))) if who == before => {
            let joined = format!("{who}: {bytes}{more}");
            told.pop();
            told.push(joined);
        }
        _ => told.push(line),
    }
}

fn listen(connection: &mut Connection, segments: &[(Role, Vec<u8>)]) -> Vec<String> {
    let mut told = Vec::new();
    for (packet, (role, bytes)) in segments.iter().enumerate() {
        let moment = Moment { packet: PacketNumber(packet as u64 + 1), ..Moment::default() };
        connection.handle(*role, StreamEvent::Data(bytes), moment, &mut |event| tell(&mut told, event));
    }
    told
}

fn new() -> Connection {
    Connection::new(&Limits::default())
}

#[test]
fn several_streams_at_once() {
    let mut connection = new();
    assert_eq!(listen(&mut connection, &dialogue()), DIALOGUE);
    assert_eq!((connection.connect_protocol_enabled(), connection.requests()), (Some(true), 3));
}

/// RFC 8441 §3: without the setting the server does not take it.
#[test]
fn rfc8441_3_setting() {
    let mut connection = new();
    assert_eq!(connection.connect_protocol_enabled(), None);
    listen(&mut connection, &[(Role::Server, settings(&[(3, 100)]))]);
    assert_eq!(connection.connect_protocol_enabled(), Some(false));
    listen(&mut connection, &[(Role::Server, frame(FrameType::SETTINGS, 1, 0, &[]))]);
    assert_eq!(connection.connect_protocol_enabled(), Some(false), "an answer has no settings");
}

#[test]
fn another_protocol_is_no_websocket() {
    let other = [(":method", "CONNECT"), (":protocol", "connect-udp"), (":path", "/")];
    let said = [
        (Role::Client, [PREFACE, &headers(4, 1, &other)].concat()),
        (Role::Server, headers(4, 1, &[(":status", "200")])),
        (Role::Client, data(1, b"x")),
    ];
    assert_eq!(listen(&mut new(), &said), ["1 CONNECT /", "1 200"]);
}

#[test]
fn a_refusal_has_a_body() {
    let said = [
        (Role::Client, [PREFACE, &settings(&[]), &headers(4, 1, &CONNECT)].concat()),
        (Role::Server, settings(&[])),
        (Role::Client, data(1, b"frames")),
        (Role::Server, [headers(4, 1, &[(":status", "400")]), frame(FrameType::DATA, 1, 1, b"no")].concat()),
        (Role::Server, frame(FrameType::RST_STREAM, 0, 1, &[0; 4])),
    ];
    let told = listen(&mut new(), &said);
    assert_eq!(told[1..], ["1 400", "1 body no", "1 Server EndStream", "1 Server Reset(ErrorCode(0))"]);
}

/// RFC 9113 §6.8.
#[test]
fn rfc9113_6_8_goaway() {
    let open = [(Role::Client, [PREFACE, &headers(4, 1, &CONNECT), &headers(4, 3, &CONNECT)].concat())];
    let go_away = |code: u8| (Role::Server, frame(FrameType::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, code]));
    let told = |code| listen(&mut new(), &[open[0].clone(), go_away(code)])[2..].to_vec();
    assert_eq!(told(0), ["3 Server GoAway(ErrorCode(0))"]);
    assert_eq!(told(2), ["1 Server GoAway(ErrorCode(2))", "3 Server GoAway(ErrorCode(2))"]);
}

#[test]
fn flow_control_that_lets_nothing_pass_is_told() {
    let update = |stream, bytes: u32| frame(FrameType::WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes());
    let said = [
        (Role::Client, [PREFACE, &settings(&[(4, 3)]), &headers(4, 1, &CONNECT)].concat()),
        (Role::Server, [headers(4, 1, &[(":status", "200")]), data(1, b"abc")].concat()),
        (Role::Client, update(0, 3)),
        (Role::Client, update(1, 3)),
        (Role::Server, data(1, b"abc")),
    ];
    let mut connection = new();
    let mut told = listen(&mut connection, &said);
    connection.handle(Role::Client, StreamEvent::Finished, Moment::default(), &mut |event| tell(&mut told, event));
    assert_eq!(
        told[3..],
        ["1 Server: abc", "1 Server stalled #2 Some(#4)", "1 Server: abc", "1 Server stalled #5 None"]
    );
}

#[test]
fn a_hole_over_frames_is_told_to_every_tunnel() {
    let mut connection = new();
    let mut told = listen(&mut connection, &dialogue()[..5]);
    let mut hear = |event: Event<'_>| tell(&mut told, event);
    connection.handle(Role::Client, StreamEvent::Gap(40, GapCause::NotCaptured), Moment::default(), &mut hear);
    connection.handle(Role::Client, StreamEvent::Data(&data(3, b"more")), Moment::default(), &mut hear);
    // The table was added to in the hole, perhaps: a field that refers to it is not seen.
    let unseen = frame(FrameType::HEADERS, 4, 7, &[0xbe, 0xbf, 0xc0]);
    connection.handle(Role::Client, StreamEvent::Data(&unseen), Moment::default(), &mut hear);
    connection.handle(Role::Client, StreamEvent::Data(&data(7, b"x")), Moment::default(), &mut hear);
    assert_eq!(told[6..], ["3 Client: ab-40 Estimatedmore", "7 unknown Client Data([120])"]);
}

#[test]
fn with_one_direction_alone_frames_may_be_anything() {
    let only = |role| dialogue().into_iter().filter(|(by, _)| *by == role).collect::<Vec<_>>();
    let server = listen(&mut new(), &only(Role::Server));
    assert_eq!(server[0], format!("1 unknown Server {:?}", StreamEvent::Data(b"page")));
    let client = listen(&mut new(), &only(Role::Client));
    assert!(client.contains(&format!("3 unknown Client {:?}", StreamEvent::Data(b"ab"))), "{client:?}");
}

#[test]
fn a_head_with_fields_that_were_not_seen_says_so() {
    let mut connection = Connection::mid_stream(&Limits::default());
    let mut block = literal(":protocol", "websocket");
    block.extend([0xff, 0x00]);
    let mut cut = None;
    let bytes = frame(FrameType::HEADERS, 4, 9, &block);
    connection.handle(Role::Client, StreamEvent::Data(&bytes), Moment::default(), &mut |event| {
        if let Event::Request(id, request) = event {
            cut = Some((id, request.cut, request.head.is_extended_connect()));
        }
    });
    assert_eq!(cut, Some((StreamId(9), true, true)));
}

#[test]
fn what_a_peer_can_make_us_keep_is_bounded() {
    let limits = Limits { head_bytes: 64, early_bytes: 8, h2_streams: 4, h2_table_bytes: 256, ..Limits::default() };
    let mut connection = Connection::new(&limits);
    let mut said = vec![(Role::Server, settings(&[]))];
    said.push((Role::Client, [PREFACE, &frame(FrameType::HEADERS, 0, 1, &[0; 60])].concat()));
    said.extend((0..10).map(|_| (Role::Client, frame(FrameType::CONTINUATION, 0, 1, &[0; 60]))));
    said.push((Role::Client, frame(FrameType::CONTINUATION, 4, 1, &[])));
    let connect = [(":method", "CONNECT"), (":protocol", "websocket")];
    said.extend((0..20).map(|n| (Role::Client, headers(4, 3 + 2 * n, &connect))));
    said.push((Role::Client, data(41, &[0; 100])));
    let told = listen(&mut connection, &said);
    for bound in ["HeadBytes", "Streams", "EarlyBytes", "TableBytes"] {
        assert!(told.iter().any(|line| line == bound), "{bound}: {told:?}");
    }
    assert_eq!(connection.speech.streams.ids().len(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_says_the_same(cut in 1_usize..200) {
        let pieces: Vec<(Role, Vec<u8>)> = dialogue()
            .into_iter()
            .flat_map(|(role, bytes)| bytes.chunks(cut).map(|piece| (role, piece.to_vec())).collect::<Vec<_>>())
            .collect();
        let told = listen(&mut new(), &pieces);
        let joined = |lines: &[String]| lines.concat().replace("1 body ", "").replace(": ", "");
        prop_assert_eq!(joined(&told), joined(&DIALOGUE.map(String::from)));
    }

    #[test]
    fn never_panics(steps: Vec<(bool, u8, Vec<u8>)>, frames: Vec<(u8, u8, u8, Vec<u8>)>) {
        let mut connection = new();
        for (client, what, bytes) in &steps {
            let role = if *client { Role::Client } else { Role::Server };
            let event = match what {
                0..20 => StreamEvent::Gap(u64::from(*what) + 1, GapCause::Cut),
                20 => StreamEvent::Finished,
                _ => StreamEvent::Data(bytes),
            };
            connection.handle(role, event, Moment::default(), &mut |_| {});
        }
        let mut connection = new();
        for (kind, flags, stream, payload) in &frames {
            let bytes = frame(FrameType(kind % 11), *flags, (stream % 8).into(), payload);
            let role = if stream & 0x80 == 0 { Role::Client } else { Role::Server };
            connection.handle(role, StreamEvent::Data(&bytes), Moment::default(), &mut |_| {});
        }
    }
}
