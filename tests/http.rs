//! Dialogues as people and machines speak them, and the events that an observer must make of them.

use wsflow::http::HeadStore;
use wsflow::http::dialogue::{Dialogue, Event, TunnelKind};
use wsflow::http::handshake::{Accept, Answer, Key, Offer};
use wsflow::limits::Limits;
use wsflow::packet::{Moment, PacketNumber};
use wsflow::stream::{GapCause, Role, StreamEvent};
use wsflow::time::Timestamp;

use Role::{Client, Server};

/// A dialogue with an observer who writes down what he is told, each event in a few words.
struct Talk {
    dialogue: Dialogue,
    heads: HeadStore,
    packet: u64,
    told: Vec<String>,
}

impl Talk {
    fn new() -> Talk {
        Talk::with(Dialogue::new(), &Limits::default())
    }

    fn mid_stream() -> Talk {
        Talk::with(Dialogue::mid_stream(), &Limits::default())
    }

    fn with(dialogue: Dialogue, limits: &Limits) -> Talk {
        Talk { dialogue, heads: HeadStore::new(limits), packet: 0, told: Vec::new() }
    }

    fn client(mut self, bytes: impl AsRef<[u8]>) -> Talk {
        self.say(Client, StreamEvent::Data(bytes.as_ref()));
        self
    }

    fn server(mut self, bytes: impl AsRef<[u8]>) -> Talk {
        self.say(Server, StreamEvent::Data(bytes.as_ref()));
        self
    }

    fn gap(mut self, role: Role, missing: u64) -> Talk {
        self.say(role, StreamEvent::Gap(missing, GapCause::NotCaptured));
        self
    }

    fn cut(mut self, role: Role, missing: u64) -> Talk {
        self.say(role, StreamEvent::Gap(missing, GapCause::Cut));
        self
    }

    /// The connection is forgotten.
    fn over(mut self) -> Talk {
        let Talk { dialogue, heads, told, .. } = &mut self;
        dialogue.give_up_waiting(heads, &mut |event| told.push(in_words(&event)));
        self
    }

    fn finish(mut self, role: Role) -> Talk {
        self.say(role, StreamEvent::Finished);
        self
    }

    /// One packet a call, one millisecond apart.
    fn say(&mut self, role: Role, event: StreamEvent<'_>) {
        self.packet += 1;
        let moment = Moment { at: Timestamp::from_nanos(self.packet * 1_000_000), packet: PacketNumber(self.packet) };
        let told = &mut self.told;
        self.dialogue.handle(role, event, moment, &mut self.heads, &mut |event| told.push(in_words(&event)));
    }

    #[track_caller]
    fn told(self, expected: &[&str]) {
        assert_eq!(self.over().told, expected);
    }
}

fn in_words(event: &Event<'_>) -> String {
    let bytes = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match event {
        Event::Request(request) => {
            let version = request.head.version().map_or("-".into(), |version| version.to_string());
            let (from, to) = (request.begun.packet, request.moment.packet);
            let cut = if request.cut { " cut" } else { "" };
            let (method, target) = (request.head.method(), request.head.target());
            format!("{from}-{to} request {} {method} {target} {version}{cut}", request.index)
        }
        Event::Response(response) => {
            let (from, to) = (response.begun.packet, response.moment.packet);
            let asked = response.request.map_or("?".into(), |index| index.to_string());
            let interim = if response.interim { " interim" } else { "" };
            let cut = if response.cut { " cut" } else { "" };
            format!("{from}-{to} response {asked} {} {}{interim}{cut}", response.head.status, response.head.reason())
        }
        Event::Body(role, body) => format!("{} body {}", role.name(), bytes(body)),
        Event::MessageEnd(role) => format!("{} end", role.name()),
        Event::Tunnel(TunnelKind::Upgrade) => "tunnel".into(),
        Event::Tunnel(TunnelKind::Connect) => "connect tunnel".into(),
        Event::TunnelStream(role, moment, event) => {
            let what = match event {
                StreamEvent::Data(data) => bytes(data),
                other => format!("{other:?}"),
            };
            format!("{} tunnel {} {what}", moment.packet, role.name())
        }
        Event::ProxyHeader(header) => match (header.source, header.destination) {
            (Some(source), Some(destination)) => format!("proxy v{} {source} {destination}", header.version),
            _ => format!("proxy v{}", header.version),
        },
        Event::NotHttp(role, kind, first, moment) => {
            format!("{} {} is {kind:?}: {}", moment.packet, role.name(), bytes(first))
        }
        Event::IncompleteHead(role, head) => {
            format!("{} incomplete {} bytes: {}", role.name(), head.bytes, head.preview.escape_default())
        }
        Event::Lost(role, moment) => format!("{} {} lost", moment.packet, role.name()),
        Event::Limit(role, bound) => format!("{} limit {bound:?}", role.name()),
    }
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

// Exchanges

#[test]
fn an_exchange() {
    Talk::new().client(GET).server(ok("hello")).told(&[
        "#1-#1 request 0 GET / HTTP/1.1",
        "client end",
        "#2-#2 response 0 200 OK",
        "server body hello",
        "server end",
    ]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let requests = [GET, "HEAD /b HTTP/1.1\r\n\r\n", "POST /c HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", GET].concat();
    let answers =
        [&*ok("1"), "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", "HTTP/1.1 204 \r\n\r\n", &*ok("4")].concat();
    Talk::new().client(requests).server(answers).told(&[
        "#1-#1 request 0 GET / HTTP/1.1",
        "client end",
        "#1-#1 request 1 HEAD /b HTTP/1.1",
        "client end",
        "#1-#1 request 2 POST /c HTTP/1.1",
        "client body abc",
        "client end",
        "#1-#1 request 3 GET / HTTP/1.1",
        "client end",
        "#2-#2 response 0 200 OK",
        "server body 1",
        "server end",
        "#2-#2 response 1 200 OK",
        "server end",
        "#2-#2 response 2 204 ",
        "server end",
        "#2-#2 response 3 200 OK",
        "server body 4",
        "server end",
    ]);
}

#[test]
fn interim_answers_do_not_answer() {
    let early_hints = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    Talk::new().client(GET).server(["HTTP/1.1 100 Continue\r\n\r\n", early_hints, &ok("x")].concat()).told(&[
        "#1-#1 request 0 GET / HTTP/1.1",
        "client end",
        "#2-#2 response 0 100 Continue interim",
        "server end",
        "#2-#2 response 0 103 Early Hints interim",
        "server end",
        "#2-#2 response 0 200 OK",
        "server body x",
        "server end",
    ]);
}

#[test]
fn a_body_that_ends_with_the_connection() {
    let answer = "HTTP/1.0 200 OK\r\n\r\n";
    Talk::new().client(GET).server(answer).server("part").server("HTTP/1.1 200 no head\r\n").finish(Server).told(&[
        "#1-#1 request 0 GET / HTTP/1.1",
        "client end",
        "#2-#2 response 0 200 OK",
        "server body part",
        "server body HTTP/1.1 200 no head\\r\\n",
        "server end",
    ]);
}

#[test]
fn a_chunked_body_with_extensions_and_trailers() {
    let body = "4;a=b\r\nWiki\r\n5 \r\npedia\r\n0\r\nExpires: never\r\n\r\n";
    let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{body}");
    Talk::new().client([GET, GET].concat()).server([&answer, &*ok("2")].concat()).told(&[
        "#1-#1 request 0 GET / HTTP/1.1",
        "client end",
        "#1-#1 request 1 GET / HTTP/1.1",
        "client end",
        "#2-#2 response 0 200 OK",
        "server body Wiki",
        "server body pedia",
        "server end",
        "#2-#2 response 1 200 OK",
        "server body 2",
        "server end",
    ]);
}

#[test]
fn an_answer_that_stands_before_its_request_waits_for_it() {
    Talk::new().server([SWITCHING, "first"].concat()).client(UPGRADE).client("second").told(&[
        "#2-#2 request 0 GET /ws HTTP/1.1",
        "client end",
        "#1-#1 response 0 101 Switching Protocols",
        "server end",
        "tunnel",
        "#1 tunnel server first",
        "#3 tunnel client second",
    ]);
}

#[test]
fn an_answer_whose_request_is_not_captured_waits_until_the_client_says_something_else() {
    let answer = ["#1-#1 response ? 101 Switching Protocols", "server end", "tunnel"];
    let other = Talk::new().server(SWITCHING).client("\u{81}\0");
    assert_eq!(other.told, [&answer[..], &["#2 tunnel client \\xc2\\x81\\x00"]].concat());
    let lost = Talk::new().server(SWITCHING).gap(Client, 100);
    assert_eq!(lost.told, [&answer[..], &["#2 tunnel client Gap(100, NotCaptured)"]].concat());
    assert_eq!(Talk::new().server(SWITCHING).over().told, answer);
}

#[test]
fn an_answer_whose_request_is_not_captured_does_not_wait_for_ever() {
    let talk = (0..200).fold(Talk::new().server(SWITCHING), |talk, _| talk.server("."));
    assert_eq!(talk.told.len(), 203);
}

#[test]
fn one_direction_alone() {
    Talk::new().server(ok("x")).server(SWITCHING).server("\u{1}frames").told(&[
        "#1-#1 response ? 200 OK",
        "server body x",
        "server end",
        "#2-#2 response ? 101 Switching Protocols",
        "server end",
        "tunnel",
        "#3 tunnel server \\x01frames",
    ]);
    let mut talk = Talk::new();
    for _ in 0..100 {
        talk = talk.client(GET);
    }
    assert!(talk.told.iter().all(|event| !event.contains("limit")), "nobody answers, so nothing is lost");
    assert_eq!(talk.dialogue.unanswered().count(), Limits::default().pipelined_requests);
}

// Heads in all their shapes

#[test]
fn heads_in_any_pieces() {
    for piece in 1..UPGRADE.len() {
        let mut talk = Talk::new();
        for bytes in UPGRADE.as_bytes().chunks(piece) {
            talk = talk.client(bytes);
        }
        let last = UPGRADE.len().div_ceil(piece);
        talk.told(&[&format!("#1-#{last} request 0 GET /ws HTTP/1.1"), "client end"]);
    }
}

#[test]
fn reasons_short_and_long() {
    let daphne =
        "HTTP/1.1 400 HTTP Connection headers do not include \"upgrade\" value (case-insensitive): \"close\"\r\n\r\n";
    Talk::new().server("HTTP/1.1 400 \r\nContent-Length: 0\r\n\r\n").server("HTTP/1.1 426\r\nContent-Length: 0\r\n\r\n").server(daphne).told(&[
        "#1-#1 response ? 400 ",
        "server end",
        "#2-#2 response ? 426 ",
        "server end",
        "#3-#3 response ? 400 HTTP Connection headers do not include \"upgrade\" value (case-insensitive): \"close\"",
    ]);
}

#[test]
fn odd_requests() {
    Talk::new()
        .client("\r\n\nGET http://example.com/ws HTTP/1.1\nhost: a\n\n")
        .client("FROB-IT * HTTP/1.7\r\n\r\n")
        .client(b"GET /\xff\xc3\xa9 HTTP/1.1\r\nX: \xff\r\n\r\n")
        .client("GET /old\r\n")
        .told(&[
            "#1-#1 request 0 GET http://example.com/ws HTTP/1.1",
            "client end",
            "#2-#2 request 1 FROB-IT * HTTP/1.7",
            "client end",
            "#3-#3 request 2 GET /\\xff\u{e9} HTTP/1.1",
            "client end",
            "#4-#4 request 3 GET /old -",
            "client end",
        ]);
}

#[test]
fn field_lines_as_they_come() {
    let head =
        b"GET / HTTP/1.1\r\nhost : a\r\nX-Long: one\r\n\ttwo\r\n  three\r\nno colon\r\nEmpty:\r\nBad: \xfe\n\r\n";
    let mut heads = HeadStore::new(&Limits::default());
    let mut fields = Vec::new();
    Dialogue::new().handle(Client, StreamEvent::Data(head), Moment::default(), &mut heads, &mut |event| {
        if let Event::Request(request) = event {
            assert_eq!(request.head_bytes as usize, head.len());
            fields = request.head.fields.iter().map(|field| (field.name.to_owned(), field.value.to_owned())).collect();
        }
    });
    let expected = [("host", "a"), ("X-Long", "one two three"), ("Empty", ""), ("Bad", "\\xfe")];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn heads_that_end_too_soon() {
    Talk::new()
        .client("GET /ws HTTP/1.1\r\nHost: a")
        .finish(Client)
        .told(&["client incomplete 25 bytes: GET /ws HTTP/1.1\\r\\nHost: a"]);
    Talk::new().client("GET /w").finish(Client).told(&["client incomplete 6 bytes: GET /w"]);
    Talk::new().client(GET).server("HTTP/1.1 2").finish(Server).told(&[
        "#1-#1 request 0 GET / HTTP/1.1",
        "client end",
        "server incomplete 10 bytes: HTTP/1.1 2",
    ]);
    let talk = Talk::new().client("GET /ws HTTP/1.1\r\n");
    let head = talk.dialogue.incomplete_head(Client).unwrap();
    assert_eq!((head.bytes, &*head.preview, head.begun.packet), (18, "GET /ws HTTP/1.1\r\n", PacketNumber(1)));
}

#[test]
fn heads_that_are_too_long() {
    let limits = Limits { head_bytes: 100, head_fields: 3, ..Limits::default() };
    let long = format!("GET / HTTP/1.1\r\nA: b\r\nCookie: {}\r\nC: d\r\n\r\n", "x".repeat(500));
    for piece in [1, 7, 64, 1000] {
        let mut talk = Talk::with(Dialogue::new(), &limits);
        for bytes in [&*long, GET].concat().as_bytes().chunks(piece) {
            talk = talk.client(bytes);
        }
        let told: Vec<&str> =
            talk.told.iter().map(|told| told.trim_start_matches(|c: char| !c.is_alphabetic())).collect();
        assert_eq!(
            told,
            [
                "client limit HeadBytes",
                "request 0 GET / HTTP/1.1",
                "client end",
                "request 1 GET / HTTP/1.1",
                "client end"
            ]
        );
    }
    Talk::with(Dialogue::new(), &limits).client("GET / HTTP/1.1\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n").told(&[
        "client limit HeadFields",
        "#1-#1 request 0 GET / HTTP/1.1",
        "client end",
    ]);
    Talk::with(Dialogue::new(), &limits)
        .client(format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(500)))
        .told(&["client limit HeadBytes", &format!("#1 client is Text: GET /{}", "x".repeat(95))]);
}

// Tunnels

#[test]
fn everything_behind_a_101_is_the_tunnels() {
    Talk::new()
        .client(UPGRADE)
        .client("early")
        .client("GET / HTTP/1.1\r\n")
        .server([SWITCHING, "with the answer"].concat())
        .server("HTTP/1.1 200 OK\r\n\r\n")
        .client("frames")
        .gap(Client, 7)
        .finish(Server)
        .told(&[
            "#1-#1 request 0 GET /ws HTTP/1.1",
            "client end",
            "#4-#4 response 0 101 Switching Protocols",
            "server end",
            "tunnel",
            "#2 tunnel client early",
            "#3 tunnel client GET / HTTP/1.1\\r\\n",
            "#4 tunnel server with the answer",
            "#5 tunnel server HTTP/1.1 200 OK\\r\\n\\r\\n",
            "#6 tunnel client frames",
            "#7 tunnel client Gap(7, NotCaptured)",
            "#8 tunnel server Finished",
        ]);
}

#[test]
fn bytes_behind_an_upgrade_request_that_is_refused_are_the_next_request() {
    Talk::new().client([UPGRADE, GET].concat()).finish(Client).server(ok("no")).server(ok("x")).told(&[
        "#1-#1 request 0 GET /ws HTTP/1.1",
        "client end",
        "#3-#3 response 0 200 OK",
        "#1-#1 request 1 GET / HTTP/1.1",
        "client end",
        "server body no",
        "server end",
        "#4-#4 response 1 200 OK",
        "server body x",
        "server end",
    ]);
}

#[test]
fn early_bytes_are_bounded() {
    let limits = Limits { early_bytes: 8, ..Limits::default() };
    Talk::with(Dialogue::new(), &limits).client(UPGRADE).client("0123456789").client("abc").server(SWITCHING).told(&[
        "#1-#1 request 0 GET /ws HTTP/1.1",
        "client end",
        "client limit EarlyBytes",
        "#4-#4 response 0 101 Switching Protocols",
        "server end",
        "tunnel",
        "#2 tunnel client 01234567",
        "#2 tunnel client Gap(5, GivenUp)",
    ]);
}

#[test]
fn a_connect_tunnel() {
    let connect = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
    Talk::new().client(connect).server("HTTP/1.1 200 Connection established\r\n\r\n").client("\u{16}\u{3}").told(&[
        "#1-#1 request 0 CONNECT a:443 HTTP/1.1",
        "client end",
        "#2-#2 response 0 200 Connection established",
        "server end",
        "connect tunnel",
        "#3 tunnel client \\x16\\x03",
    ]);
    Talk::new().client(connect).server("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n").client(connect).told(&[
        "#1-#1 request 0 CONNECT a:443 HTTP/1.1",
        "client end",
        "#2-#2 response 0 407 No",
        "server end",
        "#3-#3 request 1 CONNECT a:443 HTTP/1.1",
        "client end",
    ]);
}

#[test]
fn a_body_in_front_of_the_tunnel_and_an_offer_of_h2c() {
    let post = UPGRADE.replace("GET", "POST").replace("Host: a", "Content-Length: 4");
    Talk::new().client([&post, "bodyearly"].concat()).server(SWITCHING).told(&[
        "#1-#1 request 0 POST /ws HTTP/1.1",
        "client body body",
        "client end",
        "#2-#2 response 0 101 Switching Protocols",
        "server end",
        "tunnel",
        "#1 tunnel client early",
    ]);
    let h2c = UPGRADE.replace("Upgrade: websocket", "Upgrade: h2c");
    Talk::new().client(h2c).server(ok("")).client(GET).told(&[
        "#1-#1 request 0 GET /ws HTTP/1.1",
        "client end",
        "#2-#2 response 0 200 OK",
        "server end",
        "#3-#3 request 1 GET / HTTP/1.1",
        "client end",
    ]);
}

// Not HTTP

#[test]
fn what_is_not_http_is_said_once() {
    Talk::new()
        .client(b"\x16\x03\x01\x00\x05hello")
        .client("GET / HTTP/1.1\r\n\r\n")
        .server("HTTP/1.1 400 Bad\r\n\r\n")
        .told(&["#1 client is TlsHandshake: \\x16\\x03\\x01\\x00\\x05hello", "#3-#3 response ? 400 Bad"]);
    Talk::new().client(GET).server(b"\x15\x03\x03\x00\x02\x02\x16").told(&[
        "#1-#1 request 0 GET / HTTP/1.1",
        "client end",
        "#2 server is TlsAlert(2, 22): \\x15\\x03\\x03\\x00\\x02\\x02\\x16",
    ]);
    Talk::new()
        .client("EHLO mail.example\r\n")
        .server("220 mail.example ESMTP\r\n")
        .told(&["#1 client is Text: EHLO mail.example\\r\\n", "#2 server is Text: 220 mail.example ESMTP\\r\\n"]);
    Talk::new()
        .client("PRI * HT")
        .client("TP/2.0\r\n\r\nSM\r\n\r\n")
        .told(&["#2 client is Http2: PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n"]);
    Talk::new().client("QUIT").finish(Client).told(&["#2 client is Text: QUIT"]);
    let talk = Talk::new().client(b"\x01\x02").server(b"\xff");
    assert!(talk.dialogue.is_inert());
}

#[test]
fn a_proxy_header_in_front() {
    Talk::new().client("PROXY TCP4 192.0.2.1 203.0.113.9 5 80\r\n").client(GET).told(&[
        "proxy v1 192.0.2.1:5 203.0.113.9:80",
        "#2-#2 request 0 GET / HTTP/1.1",
        "client end",
    ]);
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    Talk::new()
        .client([local, b"\x16\x03\x01\x02\x00\x01".as_slice()].concat())
        .told(&["proxy v2", "#1 client is TlsHandshake: \\x16\\x03\\x01\\x02\\x00\\x01"]);
}

// Where bytes are missing

#[test]
fn a_gap_inside_a_body_does_no_harm() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n";
    Talk::new()
        .client([GET, GET].concat())
        .server([head, "01234"].concat())
        .gap(Server, 10)
        .server("56789")
        .server(ok("x"))
        .told(&[
            "#1-#1 request 0 GET / HTTP/1.1",
            "client end",
            "#1-#1 request 1 GET / HTTP/1.1",
            "client end",
            "#2-#2 response 0 200 OK",
            "server body 01234",
            "server end",
            "#5-#5 response 1 200 OK",
            "server body x",
            "server end",
        ]);
    Talk::new().server([head, "0"].concat()).gap(Server, 19).server(ok("y")).told(&[
        "#1-#1 response ? 200 OK",
        "server body 0",
        "server end",
        "#3-#3 response ? 200 OK",
        "server body y",
        "server end",
    ]);
}

#[test]
fn behind_a_gap_the_next_message_is_found_at_the_beginning_of_a_segment() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n";
    Talk::new()
        .client(GET)
        .server(head)
        .gap(Server, 100)
        .server("the rest of something")
        .client(GET)
        .server(ok("x"))
        .told(&[
            "#1-#1 request 0 GET / HTTP/1.1",
            "client end",
            "#2-#2 response 0 200 OK",
            "#3 server lost",
            "#5-#5 request 1 GET / HTTP/1.1",
            "client end",
            "#6-#6 response 1 200 OK",
            "server body x",
            "server end",
        ]);
}

#[test]
fn an_answer_that_was_missed_is_not_mistaken_for_the_next() {
    Talk::new().client(GET).gap(Server, 300).client(GET).server(ok("2")).told(&[
        "#1-#1 request 0 GET / HTTP/1.1",
        "client end",
        "#2 server lost",
        "#3-#3 request 1 GET / HTTP/1.1",
        "client end",
        "#4-#4 response 1 200 OK",
        "server body 2",
        "server end",
    ]);
}

#[test]
fn a_head_that_is_cut_is_told_as_far_as_it_came() {
    Talk::new()
        .client("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nHos")
        .cut(Client, 100)
        .client("early")
        .server(SWITCHING)
        .told(&[
            "#1-#2 request 0 GET /ws HTTP/1.1 cut",
            "#4-#4 response 0 101 Switching Protocols",
            "server end",
            "tunnel",
            "#3 tunnel client early",
        ]);
    Talk::new().server("HTTP/1.1 200 OK\r\nServ").gap(Server, 100).server("body").server(ok("x")).told(&[
        "#1-#2 response ? 200 OK cut",
        "#4-#4 response ? 200 OK",
        "server body x",
        "server end",
    ]);
    Talk::new().client("GET /w").gap(Client, 100).client(GET).told(&[
        "#2 client lost",
        "#3-#3 request 0 GET / HTTP/1.1",
        "client end",
    ]);
}

/// The snap length cuts to the end of the packet; what is lost on the way may end before the head does.
#[test]
fn behind_a_head_that_lost_bytes_nobody_knows_where_the_tunnel_begins() {
    let torn = ["tunnel", "#4 tunnel client Gap(1, Estimated)", "#3 tunnel client te: x\\r\\n\\r\\nearly"];
    let head = ["#1-#2 request 0 GET /ws HTTP/1.1 cut", "#4-#4 response 0 101 Switching Protocols", "server end"];
    Talk::new()
        .client("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nHos")
        .gap(Client, 100)
        .client("te: x\r\n\r\nearly")
        .server(SWITCHING)
        .told(&[&head[..], &torn].concat());
}

/// The answer shows that bytes are missing before the hole itself is told.
#[test]
fn nobody_switches_before_the_request_is_complete() {
    Talk::new().client("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nHos").server(SWITCHING).told(&[
        "#1-#2 request 0 GET /ws HTTP/1.1 cut",
        "#2-#2 response 0 101 Switching Protocols",
        "server end",
        "tunnel",
        "#2 tunnel client Gap(1, Estimated)",
    ]);
}

#[test]
fn joined_in_mid_stream() {
    Talk::mid_stream().server("...middle of a body").server(ok("x")).client("junk").client(GET).told(&[
        "#1 server is Text: ...middle of a body",
        "#2-#2 response ? 200 OK",
        "server body x",
        "server end",
        "#3 client is Text: junk",
        "#4-#4 request 0 GET / HTTP/1.1",
        "client end",
    ]);
    Talk::mid_stream().client(b"\x17\x03\x03\x00\x20").told(&["#1 client is TlsRecord: \\x17\\x03\\x03\\x00 "]);
}

#[test]
fn what_follows_a_message_must_be_one() {
    Talk::new().client(GET).client("\u{1}\u{2}").client(GET).told(&[
        "#1-#1 request 0 GET / HTTP/1.1",
        "client end",
        "#2 client lost",
        "#3-#3 request 1 GET / HTTP/1.1",
        "client end",
    ]);
}

#[test]
fn lengths_that_make_no_sense() {
    Talk::new().client("POST / HTTP/1.1\r\nContent-Length: many\r\n\r\nbody").client(GET).told(&[
        "#1-#1 request 0 POST / HTTP/1.1",
        "#1 client lost",
        "#2-#2 request 1 GET / HTTP/1.1",
        "client end",
    ]);
    Talk::new().server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n").server(ok("a")).told(&[
        "#1-#1 response ? 200 OK",
        "#1 server lost",
        "#2-#2 response ? 200 OK",
        "server body a",
        "server end",
    ]);
}

// Memory

#[test]
fn a_handshake_is_held_against_its_request() {
    let mut heads = HeadStore::new(&Limits::default());
    let mut answers = Vec::new();
    let mut requests = Vec::new();
    for key in ["dGhlIHNhbXBsZSBub25jZQ==", "x3JJHMbDL1EzLkh9GBhXDw=="] {
        let mut dialogue = Dialogue::new();
        let mut listen = |event: Event<'_>| match event {
            Event::Request(request) => {
                assert!(Offer::read(&request.head).key == Key::Valid);
                assert_eq!(request.head.fields.first("Sec-WebSocket-Key"), Some(key));
                requests.push(request.head);
            }
            Event::Response(response) => answers.push(Answer::read(&response.head, requests.last()).accept),
            _ => {}
        };
        let request = UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", key);
        let moment = Moment::default();
        dialogue.handle(Client, StreamEvent::Data(request.as_bytes()), moment, &mut heads, &mut listen);
        dialogue.handle(Server, StreamEvent::Data(SWITCHING.as_bytes()), moment, &mut heads, &mut listen);
        assert!(dialogue.is_tunnel());
    }
    assert_eq!(answers, [Accept::Valid, Accept::Wrong]);
    assert!(requests[0].fields.shares_with(&requests[1].fields));
}

#[test]
fn a_dialogue_is_small() {
    assert!(size_of::<Dialogue>() <= 160, "{} bytes", size_of::<Dialogue>());
}

#[test]
fn too_many_requests_at_once() {
    let limits = Limits { pipelined_requests: 2, ..Limits::default() };
    let talk = Talk::with(Dialogue::new(), &limits).client(GET).server(ok("")).client(GET.repeat(4));
    let talk = talk.server(ok("").repeat(4)).client(GET).server(ok(""));
    let told: Vec<&str> = talk
        .told
        .iter()
        .map(|told| &**told)
        .filter(|told| !told.contains("end") && !told.contains("request"))
        .collect();
    assert_eq!(
        told,
        [
            "#2-#2 response 0 200 OK",
            "client limit Pipeline",
            "#4-#4 response 1 200 OK",
            "#4-#4 response 2 200 OK",
            "#4-#4 response ? 200 OK",
            "#4-#4 response ? 200 OK",
            "#6-#6 response 5 200 OK",
        ]
    );
}
