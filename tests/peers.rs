//! What other tools get wrong, one test each: `tcpdump -A | grep` by the way it works, Wireshark 4.4 as its dissectors
//! were seen to fail on such packets.

use std::io;

use wsflow::diagnosis::Diagnosis;
use wsflow::engine::event::Message;
use wsflow::engine::{Engine, EngineOptions, Event, Sink, Wants};
use wsflow::limits::Limits;
use wsflow::script::{Script, binary, close, close_with, continuation, ping, text};
use wsflow::session::{JoinReason, Outcome, Session};
use wsflow::stream::Role;

/// Everything that was told of a capture.
#[derive(Default)]
struct Seen {
    sessions: Vec<(Session, Diagnosis)>,
    messages: Vec<String>,
}

impl Sink for Seen {
    fn wants(&self) -> Wants {
        Wants { messages: true, progress: true }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Session(session, diagnosis) => self.sessions.push(((*session).clone(), (*diagnosis).clone())),
            Event::Message(place, by, message) => self.messages.push(in_words(place.session.0, *by, message)),
            _ => {}
        }
        Ok(())
    }
}

/// `s1 client text 2 "ab"`: session, sender, kind, number of frames, content.
fn in_words(session: u64, by: Role, message: &Message<'_>) -> String {
    let (by, content) = (by.name(), String::from_utf8_lossy(message.preview));
    let holes = if message.holes { " with holes" } else { "" };
    format!("s{session} {by} {} {} {content:?}{holes}", message.kind.name(), message.fragments)
}

fn see(script: &Script) -> Seen {
    let mut seen = Seen::default();
    let mut engine = Engine::new(&Limits::default(), EngineOptions::default(), seen.wants());
    for packet in script.packets() {
        engine.packet(&packet.packet(), &mut seen).expect("this sink takes everything");
    }
    engine.finish(&mut seen).expect("this sink takes everything");
    seen
}

fn the_session(seen: &Seen) -> &Session {
    assert_eq!(seen.sessions.len(), 1);
    &seen.sessions[0].0
}

/// Says hello and goodbye around what a test is about.
fn goodbye(script: Script) -> Script {
    script.client(close(1000)).server(close(1000)).server_fin().client_fin()
}

mod tcpdump_and_grep {
    use super::*;

    #[test]
    fn field_names_in_lower_case() {
        let request = Script::REQUEST.replace("Upgrade: ", "upgrade: ").replace("Sec-WebSocket", "sec-websocket");
        let response = Script::RESPONSE.replace("Upgrade: ", "upgrade: ").replace("Sec-WebSocket", "sec-websocket");
        let seen = see(&goodbye(Script::new().request(request).response(response)));
        assert_eq!(the_session(&seen).outcome, Outcome::Closed);
    }

    /// A packet at a time, no line of the head is whole.
    #[test]
    fn a_request_over_many_segments() {
        let script = Script::new().request(Script::REQUEST).in_pieces_of(5).response(Script::RESPONSE).in_pieces_of(3);
        let seen = see(&goodbye(script));
        let session = the_session(&seen);
        assert_eq!(session.outcome, Outcome::Closed);
        let target = session.first_leg().request.as_ref().map(|request| request.head.target().to_string());
        assert_eq!(target.as_deref(), Some("/chat"));
    }

    /// Grep shows nothing at all where a proxy took the fields out: the leg behind it is a plain request.
    #[test]
    fn an_upgrade_that_a_proxy_stripped() {
        let forwarded = "GET /chat HTTP/1.0\r\nHost: backend\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Version: 13\r\nConnection: close\r\n\r\n";
        let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        let (client, proxy, backend) = (([192, 0, 2, 1], 40_001), [203, 0, 113, 9], ([203, 0, 113, 20], 9000));
        let script = Script::new()
            .leg(client, (proxy, 80))
            .request(Script::REQUEST)
            .leg((proxy, 50_000), backend)
            .request(forwarded)
            .response(refusal)
            .server_fin()
            .client_fin()
            .leg(client, (proxy, 80))
            .response(refusal);
        let seen = see(&script);
        let (session, diagnosis) = &seen.sessions[0];
        assert_eq!((seen.sessions.len(), session.legs.len()), (1, 2));
        assert_eq!(session.legs[1].joined_by, Some(JoinReason::Key));
        assert_eq!(diagnosis.cause().map(|cause| cause.id), Some("upgrade-headers-stripped"));
    }

    /// Grep mixes the lines of both.
    #[test]
    fn two_sessions_at_once() {
        let (one, two) = (([192, 0, 2, 1], 40_001), ([192, 0, 2, 1], 40_002));
        let server = ([203, 0, 113, 9], 80);
        let other = Script::REQUEST.replace("/chat", "/feed");
        let script = Script::new()
            .leg(one, server)
            .request(Script::REQUEST)
            .leg(two, server)
            .request(other)
            .response(Script::RESPONSE)
            .leg(one, server)
            .response("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        let seen = see(&goodbye(script.leg(two, server)));
        let told = seen.sessions.iter().map(|(session, _)| {
            let leg = session.first_leg();
            (leg.request.as_ref().map(|request| request.head.target().to_string()), leg.status(), session.outcome)
        });
        let told: Vec<_> = told.collect();
        assert_eq!(
            told,
            [
                (Some("/chat".to_owned()), Some(403), Outcome::Rejected),
                (Some("/feed".to_owned()), Some(101), Outcome::Closed),
            ]
        );
    }

    /// Lines of a head never show how it ended; a Close frame of a client is masked.
    #[test]
    fn the_status_and_the_close() {
        let script = Script::new().opening_handshake().client(close_with(4001, "token expired"));
        let seen = see(&script.server(close(4001)).server_fin().client_fin());
        let session = the_session(&seen);
        let leg = session.first_leg();
        assert_eq!(leg.status(), Some(101));
        let close = leg.tunnel.as_ref().and_then(|tunnel| tunnel.sides.client.close.clone());
        let close = close.expect("the client's Close was decoded");
        assert_eq!((close.code, &*close.reason), (Some(4001), "token expired"));
    }
}

mod wireshark {
    use super::*;

    /// Its reassembly keeps one message in the making for both directions.
    fn fragments_of_both_sides(script: Script) {
        let script = script
            .opening_handshake()
            .client(text("from the ").not_final())
            .server(binary("answer of ").not_final())
            .client(continuation("cli").not_final())
            .server(ping("p"))
            .server(continuation("the server"))
            .client(continuation("ent"));
        let seen = see(&goodbye(script));
        assert_eq!(
            seen.messages[..3],
            [
                "s1 server ping 1 \"p\"",
                "s1 server binary 2 \"answer of the server\"",
                "s1 client text 3 \"from the client\"",
            ]
        );
        assert_eq!(seen.sessions[0].1.findings.len(), 0);
    }

    #[test]
    fn fragmented_messages_of_both_sides_at_once() {
        fragments_of_both_sides(Script::new());
    }

    /// Both ends have one address there: what is told apart by addresses alone is one.
    #[test]
    fn fragmented_messages_of_both_sides_at_once_on_one_host() {
        let localhost = [127, 0, 0, 1];
        fragments_of_both_sides(Script::new().leg((localhost, 40_001), (localhost, 9000)));
    }

    /// Its out-of-order reassembly is off unless it is asked for.
    #[test]
    fn out_of_order_with_overlap() {
        let script = Script::new()
            .opening_handshake()
            .client(text("a message that is cut into segments").not_final())
            .in_pieces_of(9)
            .client(continuation(", out of order and one on top of the other"))
            .in_pieces_of(11)
            .overlapping()
            .reordered()
            .client(text("next"));
        let seen = see(&goodbye(script));
        assert_eq!(
            seen.messages[..2],
            [
                "s1 client text 2 \"a message that is cut into segments, out of order and one on top of the other\"",
                "s1 client text 1 \"next\"",
            ]
        );
        assert_eq!(the_session(&seen).outcome, Outcome::Closed);
    }

    /// It takes the bytes behind the hole for the rest of the frame, and is out of step from there on.
    #[test]
    fn a_lost_segment_inside_a_frame() {
        let long = "x".repeat(3000);
        let script = Script::new()
            .opening_handshake()
            .server(text(&long[..1400]).announcing(3000).unmasked())
            .server(&long.as_bytes()[..1000])
            .lost()
            .server(&long.as_bytes()[..600])
            .server(text("behind it"));
        let seen = see(&goodbye(script));
        let told: Vec<_> = seen.messages.iter().filter(|message| message.starts_with("s1 server text")).collect();
        assert!(told[0].starts_with("s1 server text 1 \"xxx") && told[0].ends_with(" with holes"));
        assert_eq!(told[1..], ["s1 server text 1 \"behind it\""]);
        let session = the_session(&seen);
        let server = &session.first_leg().tunnel.as_ref().expect("it was established").sides.server;
        assert_eq!((server.frames.text, server.violations.len(), server.lost_bytes), (2, 0, 0));
    }

    /// Without the 101 it calls all of it data.
    #[test]
    fn a_start_in_mid_stream() {
        let mut script = Script::new().mid_stream();
        for number in 0..4 {
            script = script.client(text(format!("question {number}"))).server(text(format!("answer {number}")));
        }
        let seen = see(&goodbye(script));
        assert_eq!(seen.messages[..2], ["s1 client text 1 \"question 0\"", "s1 server text 1 \"answer 0\""]);
        assert_eq!(the_session(&seen).outcome, Outcome::Closed);
    }

    /// RFC 9110 §7.8: Upgrade is a list. It compares the whole value.
    #[test]
    fn a_list_in_the_upgrade_field() {
        let request = Script::REQUEST.replace("Upgrade: websocket", "Upgrade: h2c, websocket");
        let script = Script::new().request(request).response(Script::RESPONSE).client(text("hello"));
        let seen = see(&goodbye(script));
        assert_eq!(seen.messages[0], "s1 client text 1 \"hello\"");
        assert_eq!(the_session(&seen).outcome, Outcome::Closed);
    }

    /// RFC 6455 §9.1: extension fields may be repeated. It looks at one of them.
    #[test]
    fn repeated_extension_fields() {
        let mut compressor = wsflow::script::Compressor::default();
        let fields = "Sec-WebSocket-Extensions: x-unknown\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
        let script = Script::new()
            .opening_handshake_with(fields, fields)
            .server(text("compressed, compressed").compressed_by(&mut compressor));
        let seen = see(&goodbye(script));
        assert_eq!(seen.messages[0], "s1 server text 1 \"compressed, compressed\"");
    }

    /// Some clients do not wait for the answer. It looks for frames behind the 101 only.
    #[test]
    fn a_frame_in_the_segment_of_the_request() {
        let script = Script::new()
            .request(Script::REQUEST)
            .client(text("early"))
            .coalesced()
            .response(Script::RESPONSE)
            .server(text("late"));
        let seen = see(&goodbye(script));
        assert_eq!(seen.messages[..2], ["s1 client text 1 \"early\"", "s1 server text 1 \"late\""]);
    }
}
