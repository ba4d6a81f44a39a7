//! What holds of every dialogue: pieces do not matter, junk does no harm, another reader agrees.

use proptest::collection::vec;
use proptest::prelude::*;
use wsflow::http::head::{RequestHead, ResponseHead};
use wsflow::http::{Dialogue, Event, HeadStore};
use wsflow::limits::Limits;
use wsflow::packet::Moment;
use wsflow::stream::{GapCause, Role, StreamEvent};

/// What was told, without what pieces may change: neighbouring bytes are joined.
#[derive(Default, Debug, PartialEq)]
struct Told {
    events: Vec<Plain>,
}

#[derive(Debug, PartialEq)]
enum Plain {
    Request(u32, RequestHead, u32),
    Response(Option<u32>, bool, ResponseHead, u32),
    Bytes(Role, &'static str, Vec<u8>),
    Other(String),
}

impl Told {
    fn note(&mut self, event: Event<'_>) {
        match event {
            Event::Request(request) => {
                self.events.push(Plain::Request(request.index, request.head, request.head_bytes));
            }
            Event::Response(response) => {
                self.events.push(Plain::Response(
                    response.request,
                    response.interim,
                    response.head,
                    response.head_bytes,
                ));
            }
            Event::Body(role, bytes) => self.bytes(role, "body", bytes),
            Event::TunnelStream(role, _, StreamEvent::Data(bytes)) => self.bytes(role, "tunnel", bytes),
            Event::NotHttp(role, kind, _, _) => self.events.push(Plain::Other(format!("{role:?} {kind:?}"))),
            other => self.events.push(Plain::Other(format!("{other:?}"))),
        }
    }

    fn bytes(&mut self, role: Role, what: &'static str, bytes: &[u8]) {
        match self.events.last_mut() {
            Some(Plain::Bytes(last, name, before)) if (*last, *name) == (role, what) => before.extend_from_slice(bytes),
            _ => self.events.push(Plain::Bytes(role, what, bytes.to_vec())),
        }
    }
}

/// Turns of a conversation, each cut into pieces of these lengths, over and over.
fn hear(turns: &[(Role, Vec<u8>)], pieces: &[usize], limits: &Limits) -> Told {
    let (mut dialogue, mut heads, mut told) = (Dialogue::new(), HeadStore::new(limits), Told::default());
    let mut pieces = pieces.iter().copied().cycle();
    for (role, bytes) in turns {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(pieces.next().unwrap_or(usize::MAX).clamp(1, rest.len()));
            rest = after;
            dialogue
                .handle(*role, StreamEvent::Data(piece), Moment::default(), &mut heads, &mut |event| told.note(event));
        }
    }
    for role in Role::BOTH {
        dialogue.handle(role, StreamEvent::Finished, Moment::default(), &mut heads, &mut |event| told.note(event));
    }
    // Where messages are lost, they are found again at the beginning of a segment: there pieces do matter.
    if let Some(lost) =
        told.events.iter().position(|event| matches!(event, Plain::Other(other) if other.starts_with("Lost")))
    {
        told.events.truncate(lost + 1);
    }
    told
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Za-z-]{1,12} ?: [ -~]{0,30}\r?\n",
        1 => "X-Folded: [a-z]{1,5}\r\n [a-z]{1,5}\r\n",
        1 => "Sec-WebSocket-Key: [A-Za-z0-9+/]{22}==\r\n",
        1 => Just("Upgrade: websocket\r\nConnection: Upgrade\r\n".to_owned()),
        1 => Just("no colon here\r\n".to_owned()),
    ]
}

/// One that strict parsers take.
fn tidy_field() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9-]{1,20}:[ \t]{0,2}[ -~]{0,60}\r?\n", "[Ss]ec-[Ww]eb[Ss]ocket-[Kk]ey: ?[ -~]{0,30}\r\n"]
}

fn body() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z\r\n]{0,40}".prop_map(|body| format!("Content-Length: {}\r\n\r\n{body}", body.len())),
        vec("[a-z]{1,20}", 0..4).prop_map(|chunks| {
            let chunks: String = chunks.iter().map(|chunk| format!("{:x};x=y\r\n{chunk}\r\n", chunk.len())).collect();
            format!("Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\nTrailer: x\r\n\r\n")
        }),
        Just("\r\n".to_owned()),
    ]
}

fn request() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "(GET|POST|HEAD|CONNECT|FROB) /[!-~]{0,20} HTTP/1\\.[01]\r?\n",
        Just("\r\nGET / HTTP/1.1\r\n".to_owned())
    ];
    (line, vec(field(), 0..5), body()).prop_map(|(line, fields, body)| format!("{line}{}{body}", fields.concat()))
}

fn response() -> impl Strategy<Value = String> {
    let line = "HTTP/1\\.[01] (100|101|200|204|304|400|426) ?[ -~]{0,20}\r\n";
    (line, vec(field(), 0..5), body()).prop_map(|(line, fields, body)| format!("{line}{}{body}", fields.concat()))
}

fn turn() -> impl Strategy<Value = (Role, Vec<u8>)> {
    prop_oneof![
        4 => vec(request(), 1..3).prop_map(|said| (Role::Client, said.concat().into_bytes())),
        4 => vec(response(), 1..3).prop_map(|said| (Role::Server, said.concat().into_bytes())),
        1 => Just((Role::Client, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec())),
    ]
}

/// What may happen to a stream: bytes, or an event that has none.
fn anything() -> impl Strategy<Value = Result<Vec<u8>, StreamEvent<'static>>> {
    prop_oneof![
        3 => vec(any::<u8>(), 1..60).prop_map(Ok),
        6 => "[GETHP/1. 0\r\n:a;]{1,60}".prop_map(|text| Ok(text.into_bytes())),
        6 => request().prop_map(|text| Ok(text.into_bytes())),
        6 => response().prop_map(|text| Ok(text.into_bytes())),
        2 => (1..100u64).prop_map(|missing| Err(StreamEvent::Gap(missing, GapCause::NotCaptured))),
        1 => Just(Err(StreamEvent::Gap(u64::MAX, GapCause::Cut))),
        1 => Just(Err(StreamEvent::Finished)),
        1 => Just(Err(StreamEvent::Reset)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_do_not_matter(
        turns in vec(turn(), 0..6),
        pieces in vec(1..50usize, 1..8),
        head_bytes in prop_oneof![Just(64 << 10), 60..200usize],
    ) {
        let limits = Limits { head_bytes, early_bytes: 64 << 10, ..Limits::default() };
        let whole = hear(&turns, &[usize::MAX], &limits);
        prop_assert_eq!(&whole, &hear(&turns, &pieces, &limits));
        prop_assert_eq!(&whole, &hear(&turns, &[1], &limits));
    }

    #[test]
    fn junk_does_no_harm(
        events in vec((any::<bool>(), anything()), 0..40),
        mid_stream in any::<bool>(),
    ) {
        let limits = Limits { head_bytes: 100, head_fields: 4, early_bytes: 20, pipelined_requests: 3, ..Limits::default() };
        let mut dialogue = if mid_stream { Dialogue::mid_stream() } else { Dialogue::new() };
        let mut heads = HeadStore::new(&limits);
        for (client, event) in events {
            let role = if client { Role::Client } else { Role::Server };
            let event = event.as_ref().map_or_else(|event| *event, |bytes| StreamEvent::Data(bytes));
            dialogue.handle(role, event, Moment::default(), &mut heads, &mut |event| {
                if let Event::Request(request) = &event {
                    assert!(request.head.fields.len() <= 4);
                }
            });
            prop_assert!(dialogue.unanswered().count() <= 3);
            prop_assert!(dialogue.early().map(|(_, bytes)| bytes.len()).sum::<usize>() <= 20);
            for role in Role::BOTH {
                prop_assert!(dialogue.incomplete_head(role).is_none_or(|head| head.preview.len() <= 400));
            }
        }
    }

    /// What httparse takes for a request is read as the same request here.
    #[test]
    fn httparse_agrees_on_requests(
        line in "(\r\n)?(GET|POST|FROB-IT) [!-~]{1,20} HTTP/1\\.[01]\r?\n",
        fields in vec(tidy_field(), 0..20),
    ) {
        let head = format!("{line}{}\r\n", fields.concat());
        let mut room = [httparse::EMPTY_HEADER; 64];
        let mut other = httparse::Request::new(&mut room);
        prop_assert_eq!(other.parse(head.as_bytes()), Ok(httparse::Status::Complete(head.len())));
        let told = hear(&[(Role::Client, head.clone().into_bytes())], &[usize::MAX], &Limits::default());
        let Some(Plain::Request(_, read, _)) = told.events.first() else { panic!("{told:?}") };
        prop_assert_eq!(Some(read.method()), other.method);
        prop_assert_eq!(Some(read.target()), other.path);
        prop_assert_eq!(read.version().map(|version| version.minor), other.version);
        let fields: Vec<_> = read.fields.iter().map(|field| (field.name, field.value.as_bytes())).collect();
        let others: Vec<_> = other.headers.iter().map(|header| (header.name, header.value)).collect();
        prop_assert_eq!(fields, others);
    }

    /// The same for responses.
    #[test]
    fn httparse_agrees_on_responses(
        line in "HTTP/1\\.[01] [1-9][0-9]{2}( [!-~][ -~]{0,20})?\r\n",
        fields in vec(prop_oneof![4 => tidy_field(), 1 => "[a-z]{1,5} : [a-z]{1,5}\r\n"], 0..20),
    ) {
        let head = format!("{line}{}\r\n", fields.concat());
        let mut room = [httparse::EMPTY_HEADER; 64];
        let mut other = httparse::Response::new(&mut room);
        let mut lenient = httparse::ParserConfig::default();
        lenient.allow_spaces_after_header_name_in_responses(true);
        let parsed = lenient.parse_response(&mut other, head.as_bytes());
        prop_assert_eq!(parsed, Ok(httparse::Status::Complete(head.len())));
        let told = hear(&[(Role::Server, head.clone().into_bytes())], &[usize::MAX], &Limits::default());
        let Some(Plain::Response(_, _, read, _)) = told.events.first() else { panic!("{told:?}") };
        prop_assert_eq!(Some(read.status), other.code);
        prop_assert_eq!(Some(read.reason()), other.reason.map(str::trim));
        let fields: Vec<_> = read.fields.iter().map(|field| (field.name, field.value.as_bytes())).collect();
        let others: Vec<_> = other.headers.iter().map(|header| (header.name, header.value)).collect();
        prop_assert_eq!(fields, others);
    }
}
