//! An hour of healthy traffic of every kind, through a proxy and without one: nothing in it is worth a warning.

use std::time::Duration;

use wsflow::script::{Compressor, Frame, Script, binary, close, ping, pong, switching_protocols, text};
use wsflow::stream::Role;

use super::judge;

/// One thing that one side of a session says, in milliseconds from the beginning of the hour.
struct Said {
    at: u64,
    session: u16,
    what: What,
}

#[derive(Clone)]
enum What {
    Opens(&'static str),
    Says(Role, Vec<Frame>),
    Leaves(u16),
}

/// Sessions below this number go through the proxy.
const THROUGH_PROXY: u16 = 100;

const HOUR: u64 = 3_600_000;

const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// What is said in an hour.
fn hour() -> Vec<Said> {
    let mut all = Vec::new();
    let mut add = |at, session, what| all.push(Said { at, session, what });
    let says = |role, frame| What::Says(role, vec![frame]);
    for base in [0, THROUGH_PROXY] {
        // Chat, at a person's pace, with the server's pings.
        add(1_000, base, What::Opens(""));
        for n in 0..240_u64 {
            let at = 2_000 + n * 14_870 + n % 7 * 310;
            let role = if n % 3 == 0 { Role::Server } else { Role::Client };
            add(at, base, says(role, text(format!("line {n} of a chat"))));
        }
        // A game: short binary messages both ways for ten minutes, then a normal goodbye.
        add(60_000, base + 1, What::Opens(""));
        for n in 0..1_200_u64 {
            add(61_000 + n * 500, base + 1, says(Role::Client, binary([n as u8; 24])));
            add(61_040 + n * 500, base + 1, says(Role::Server, binary([n as u8; 80])));
        }
        add(662_000, base + 1, What::Leaves(1000));
        // Compressed, with a dictionary that goes on from message to message.
        let mut compressor = Compressor::default();
        add(120_000, base + 2, What::Opens(DEFLATE));
        for n in 0..120_u64 {
            let news =
                text(format!("{{\"price\": {n}, \"name\": \"the same name again\"}}")).compressed_by(&mut compressor);
            add(121_000 + n * 20_000, base + 2, says(Role::Server, news));
        }
        // Nothing but the heartbeats of both sides, for the whole hour.
        add(500, base + 3, What::Opens(""));
        for n in 1..HOUR / 30_000 {
            add(n * 30_000, base + 3, says(Role::Server, ping(format!("{n}"))));
            add(n * 30_000 + 20, base + 3, says(Role::Client, pong(format!("{n}"))));
        }
        // A page that is loaded again every five minutes: it leaves with 1001 and comes back.
        for n in 0..11_u64 {
            let page = base + 10 + n as u16;
            add(10_000 + n * 300_000, page, What::Opens(""));
            add(10_500 + n * 300_000, page, says(Role::Server, text("hello again")));
            add(200_000 + n * 300_000, page, says(Role::Client, text("still here")));
            add(309_000 + n * 300_000, page, What::Leaves(1001));
        }
        // An upload of 2 MB in fragments, thanked for.
        add(1_800_000, base + 4, What::Opens(""));
        let upload = binary(vec![0x5a; 2 << 20]).fragmented_at(&(1..32).map(|n| n << 16).collect::<Vec<_>>());
        add(1_801_000, base + 4, What::Says(Role::Client, upload));
        add(1_802_000, base + 4, says(Role::Server, text("got it")));
        add(1_803_000, base + 4, What::Leaves(1000));
    }
    all.sort_by_key(|said| said.at);
    all
}

/// A key of its own for each session: any 16 bytes in base64 are one.
fn key(session: u16) -> String {
    let digit = |n: u16| char::from(b'A' + (n % 26) as u8);
    format!("AAAAAAAAAAAAAAAAAAA{}{}A==", digit(session / 26), digit(session))
}

#[test]
fn an_hour_of_healthy_traffic_raises_no_alarm() {
    let (mut script, mut now) = (Script::new(), 0);
    for said in hour() {
        script = script.after_ms(said.at - now);
        now = said.at;
        let number = said.session;
        let proxied = number < THROUGH_PROXY;
        let server = if proxied { ([10, 0, 0, 1], 80) } else { ([10, 0, 0, 2], 8080) };
        let mut legs = vec![(([10, 0, 1, (number % 100) as u8], 40_000 + number), server)];
        if proxied {
            legs.push((([10, 0, 0, 1], 50_000 + number), ([10, 0, 0, 9], 9000)));
        }
        script = speak(script, &legs, &said.what, number);
    }
    let judged = judge(&script.after(Duration::from_millis(HOUR - now)));
    assert_eq!(judged.0.len(), 2 * (5 + 11));
    assert_eq!(judged.alarms(), [""; 0]);
    assert!(
        judged.0.iter().all(|(session, _)| session.legs.len() == if session.legs[0].server.port == 80 { 2 } else { 1 })
    );
}

type Leg = (([u8; 4], u16), ([u8; 4], u16));

/// What is said on one leg is said on the other at once: from the client on, or from the server on.
fn speak(script: Script, legs: &[Leg], what: &What, number: u16) -> Script {
    let on = |script: Script, leg: &Leg| script.leg(leg.0, leg.1);
    match what {
        What::Opens(lines) => {
            let key = key(number);
            let request = format!(
                "GET /live/{number} HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Origin: http://app.example\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{lines}\r\n"
            );
            let answer = switching_protocols(&key);
            let answer = format!("{}{lines}\r\n", &answer[..answer.len() - 2]);
            let asked = legs.iter().fold(script, |script, leg| on(script, leg).request(&request));
            legs.iter().rev().fold(asked, |script, leg| on(script, leg).response(&answer))
        }
        What::Says(Role::Client, frames) => frames.iter().fold(script, |script, frame| {
            legs.iter().fold(script, |script, leg| on(script, leg).client(frame.clone()))
        }),
        What::Says(Role::Server, frames) => frames.iter().fold(script, |script, frame| {
            legs.iter().rev().fold(script, |script, leg| on(script, leg).server(frame.clone()))
        }),
        What::Leaves(code) => {
            let closing = legs.iter().fold(script, |script, leg| on(script, leg).client(close(*code)));
            let closed = legs.iter().rev().fold(closing, |script, leg| on(script, leg).server(close(*code)));
            legs.iter().rev().fold(closed, |script, leg| on(script, leg).server_fin().client_fin())
        }
    }
}
