//! Legs that no key names because one of them is encrypted, or both: sizes and times say which belong together.

use wsflow::http::handshake::accept_value;
use wsflow::script::{Script, Spoken, close, text};
use wsflow::session::{JoinReason, Outcome};
use wsflow::stream::Role::{self, Client, Server};
use wsflow::tls::Origin;

use crate::legs::{TlsLeg, Told, run, run_with};
use crate::peers::Setup;

/// One side of a proxy: TLS, or in clear.
enum Leg {
    Tls(Box<TlsLeg>),
    Clear { client: String, server: &'static str },
}

impl Leg {
    fn connect(&mut self, script: Script) -> Script {
        match self {
            Leg::Tls(leg) => leg.connect(script),
            Leg::Clear { client, server } => script.leg(address(client), address(server)).connect(),
        }
    }

    fn say(&mut self, script: Script, role: Role, bytes: &[u8]) -> Script {
        match self {
            Leg::Tls(leg) => leg.say(script, role, bytes),
            Leg::Clear { client, server } => {
                let script = script.leg(address(client), address(server));
                if role == Client { script.client(bytes.to_vec()) } else { script.server(bytes.to_vec()) }
            }
        }
    }

    fn keys(&self) -> Option<String> {
        match self {
            Leg::Tls(leg) => Some(leg.keys()),
            Leg::Clear { .. } => None,
        }
    }

    fn end(&mut self, script: Script, role: Role) -> Script {
        match self {
            Leg::Tls(leg) => leg.close(script, role),
            Leg::Clear { client, server } => {
                let script = script.leg(address(client), address(server));
                if role == Client { script.client_fin() } else { script.server_fin() }
            }
        }
    }
}

fn address(text: &str) -> std::net::SocketAddr {
    text.parse().unwrap()
}

/// One client, its proxy and its backend.
struct Relay {
    number: usize,
    front: Leg,
    back: Leg,
}

const PROXY: &str = "203.0.113.9:443";
const BACKEND: &str = "198.51.100.7:9000";

impl Relay {
    /// `front` and `back` say whether these legs are encrypted, and how.
    fn new(number: usize, front: Option<&Setup>, back: Option<&Setup>) -> Relay {
        let leg = |setup: Option<&Setup>, client: String, server: &'static str| match setup {
            Some(setup) => Leg::Tls(Box::new(TlsLeg::new(&setup.configure(), &client, server))),
            None => Leg::Clear { client, server },
        };
        Relay {
            number,
            front: leg(front, format!("192.0.2.{}:{}", number + 1, 40_000 + number), PROXY),
            back: leg(back, format!("203.0.113.9:{}", 50_000 + number), BACKEND),
        }
    }

    fn key(&self) -> String {
        // Sixteen bytes in base64, another one for each.
        format!("AAAAAAAAAAAAAAAAAAAA{}A==", char::from(b'A' + self.number as u8))
    }

    fn request(&self, lines: &str) -> String {
        format!(
            "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n{lines}Sec-WebSocket-Key: {}\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n",
            self.key()
        )
    }

    fn ask(&mut self, script: Script) -> Script {
        let request = self.request("Upgrade: websocket\r\nConnection: Upgrade\r\n");
        self.front.say(script, Client, request.as_bytes())
    }

    /// The proxy asks its backend, with a field more.
    fn forward(&mut self, script: Script, upgrade: &str) -> Script {
        let script = self.back.connect(script);
        let request = self.request(&format!("{upgrade}X-Forwarded-For: 192.0.2.{}\r\n", self.number + 1));
        self.back.say(script, Client, request.as_bytes())
    }

    fn accept(&mut self, script: Script) -> Script {
        let answer = |more: &str| {
            let accept = accept_value(&self.key());
            format!(
                "HTTP/1.1 101 Switching Protocols\r\n{more}Upgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )
        };
        let (theirs, ours) = (answer(""), answer("Server: nginx\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n"));
        let script = self.back.say(script, Server, theirs.as_bytes());
        self.front.say(script, Server, ours.as_bytes())
    }

    /// One side says something, and the proxy passes it on.
    fn pass(&mut self, script: Script, by: Role, what: &impl Spoken) -> Script {
        let bytes = what.bytes(by);
        let (first, second) = match by {
            Client => (&mut self.front, &mut self.back),
            Server => (&mut self.back, &mut self.front),
        };
        let script = first.say(script, by, &bytes);
        second.say(script, by, &bytes)
    }

    fn end(&mut self, mut script: Script) -> Script {
        script = self.pass(script, Client, &close(1000));
        script = self.pass(script, Server, &close(1000));
        script = self.back.end(script, Server);
        script = self.front.end(script, Server);
        script = self.front.end(script, Client);
        self.back.end(script, Client)
    }
}

/// Sessions at the same time, whose proxy asks its backend in another order than it was asked.
fn crowd(count: usize, front: Option<&Setup>, back: Option<&Setup>) -> (Script, Vec<Relay>) {
    let mut relays: Vec<Relay> = (0..count).map(|number| Relay::new(number, front, back)).collect();
    let mut script = relays.iter_mut().fold(Script::new(), |script, relay| relay.front.connect(script));
    script = relays.iter_mut().fold(script, |script, relay| relay.ask(script));
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    script = relays.iter_mut().rev().fold(script, |script, relay| relay.forward(script, upgrade));
    script = relays.iter_mut().fold(script, |script, relay| relay.accept(script));
    (script, relays)
}

/// They talk: each says as much as all others in number, and something else in length.
fn talk(mut script: Script, relays: &mut [Relay], rounds: usize) -> Script {
    for round in 0..rounds {
        for relay in &mut *relays {
            let words = "word ".repeat(1 + (relay.number * 3 + round) % 7);
            script = relay.pass(script.after_ms(3), Client, &text(words));
            script = relay.pass(script, Server, &text("yes ".repeat(1 + (relay.number + round * 5) % 9)));
        }
    }
    script
}

/// The legs of sessions by the last part of their clients' ports, and what ties them.
fn pairs(told: &Told) -> Vec<(usize, usize, Option<JoinReason>)> {
    let mut pairs: Vec<_> = told
        .sessions
        .iter()
        .map(|(session, _)| {
            let [front, back] = &session.legs[..] else {
                let legs: Vec<_> =
                    session.legs.iter().map(|leg| (leg.client.port, leg.behind, leg.joined_by)).collect();
                panic!("{legs:?}")
            };
            (usize::from(front.client.port) % 1000, usize::from(back.client.port) % 1000, back.joined_by)
        })
        .collect();
    pairs.sort_unstable_by_key(|pair| pair.0);
    pairs
}

fn matched(count: usize) -> Vec<(usize, usize, Option<JoinReason>)> {
    (0..count).map(|number| (number, number, Some(JoinReason::RecordSizes))).collect()
}

#[test]
fn of_sessions_at_the_same_time_sizes_tell_which_legs_belong_together() {
    let (tls13, tls12) = (Setup::tls13(), Setup::tls12());
    for (front, back) in [
        (Some(&tls13), None),
        (Some(&tls12), None),
        (None, Some(&tls13)),
        (None, Some(&tls12)),
        (Some(&tls13), Some(&tls12)),
        (Some(&tls12), Some(&tls13)),
    ] {
        let (script, mut relays) = crowd(7, front, back);
        let mut script = talk(script, &mut relays, 6);
        for relay in &mut relays {
            script = relay.end(script);
        }
        for live in [false, true] {
            let told = run_with(&script, live, |_, _, _| {});
            assert_eq!(pairs(&told), matched(7), "{live} {} {}", front.is_some(), back.is_some());
            if front.is_some() && back.is_none() {
                assert_eq!(told.joined, 7, "while they go on");
            }
            assert!(told.sessions.iter().all(|(_, findings)| !findings.contains(&"upstream-leg-not-seen")));
        }
    }
}

#[test]
fn sessions_that_say_the_same_are_told_apart_by_their_times() {
    let mut script = Script::new();
    let mut relays: Vec<Relay> = (0..4).map(|number| Relay::new(number, Some(&Setup::tls13()), None)).collect();
    for relay in &mut relays {
        script = relay.front.connect(script.after_ms(20));
        script = relay.ask(script);
        script = relay.forward(script, "Upgrade: websocket\r\nConnection: Upgrade\r\n");
        script = relay.accept(script);
    }
    for _ in 0..3 {
        for relay in &mut relays {
            script = relay.pass(script.after_ms(5), Client, &text("the same"));
            script = relay.pass(script, Server, &text("the same"));
        }
    }
    for relay in &mut relays {
        script = relay.end(script);
    }
    assert_eq!(pairs(&run(&script, "")), matched(4));
}

#[test]
fn frames_that_a_proxy_puts_together_or_apart_are_the_same_bytes() {
    let (mut script, mut relays) = crowd(3, Some(&Setup::tls13()), None);
    for round in 0..5 {
        for relay in &mut relays {
            let long = text("x".repeat(40_000 + 1_000 * relay.number)).bytes(Server);
            let (one, other) = long.split_at(7_000 + round);
            script = relay.back.say(script, Server, one);
            script = relay.back.say(script, Server, other);
            script = relay.front.say(script, Server, &long);
            let [first, second] = [text("one").bytes(Client), text("two".repeat(relay.number)).bytes(Client)];
            script = relay.front.say(script, Client, &first);
            script = relay.front.say(script, Client, &second);
            script = relay.back.say(script, Client, &[first, second].concat());
        }
    }
    for relay in &mut relays {
        script = relay.end(script);
    }
    assert_eq!(pairs(&run(&script, "")), matched(3));
}

#[test]
fn legs_whose_sizes_do_not_match_are_not_joined() {
    for count in [1, 4] {
        let (mut script, mut relays) = crowd(count, Some(&Setup::tls13()), None);
        // What is said behind the proxy is not what is said in front of it: another service on the same hosts.
        for round in 0..6 {
            for relay in &mut relays {
                script = relay.front.say(script, Client, &text("to the front ".repeat(1 + round)).bytes(Client));
                script = relay.back.say(script, Client, &text("to the back, something else").bytes(Client));
                script = relay.back.say(script, Server, &text("from the back").bytes(Server));
                script = relay.front.say(script, Server, &text("from the front, at length").bytes(Server));
            }
        }
        for relay in &mut relays {
            script = relay.end(script);
        }
        for live in [false, true] {
            let told = run_with(&script, live, |_, _, _| {});
            assert!(told.sessions.iter().all(|(session, _)| session.legs.len() == 1));
            assert_eq!((told.sessions.len(), told.joined), (2 * count, 0), "{count}");
        }
    }
}

#[test]
fn a_stripped_upgrade_behind_tls_is_named_without_a_key() {
    let refusal = "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 16\r\nConnection: close\r\n\r\nUpgrade Required";
    for others in [0, 3] {
        // Others at the same proxy go well meanwhile.
        let (mut script, mut relays) = crowd(others, Some(&Setup::tls13()), None);
        script = talk(script, &mut relays, 2);
        let mut stripped = Relay::new(20, Some(&Setup::tls13()), None);
        script = stripped.front.connect(script);
        script = stripped.ask(script);
        script = stripped.forward(script, "Connection: close\r\n");
        script = stripped.back.say(script, Server, refusal.as_bytes());
        script = stripped.front.say(script, Server, refusal.as_bytes());
        script = stripped.back.end(script, Server);
        script = stripped.back.end(script, Client);
        script = stripped.front.end(script, Server);
        script = stripped.front.end(script, Client);
        script = talk(script, &mut relays, 2);
        for relay in &mut relays {
            script = relay.end(script);
        }
        let told = run(&script, "");
        let (session, findings) =
            told.sessions.iter().find(|(session, _)| session.first_leg().client.port == 40_020).unwrap();
        assert!(findings.contains(&"upgrade-headers-stripped"), "{findings:?}");
        assert_eq!(session.legs.len(), 2);
        assert_eq!(session.legs[1].joined_by, Some(JoinReason::Time));
        assert_eq!(session.legs[0].outcome, Outcome::Encrypted);
        assert_eq!(told.sessions.len(), others + 1);
    }
}

#[test]
fn secrets_that_come_late_join_all_the_same() {
    for (front, back) in
        [(Some(Setup::tls13()), None), (None, Some(Setup::tls12())), (Some(Setup::tls13()), Some(Setup::tls13()))]
    {
        let (script, mut relays) = crowd(3, front.as_ref(), back.as_ref());
        let mut script = talk(script, &mut relays, 2);
        for relay in &mut relays {
            script = relay.end(script);
        }
        let keys: String = relays.iter().flat_map(|relay| [&relay.front, &relay.back]).filter_map(Leg::keys).collect();
        let packets = script.packets().len();
        for arrival in (0..=packets).step_by(9).chain([packets]) {
            let told = run_with(&script, false, |engine, told, index| {
                if index == 0 {
                    engine.secrets(Origin::KeyLog, b"", told).unwrap();
                }
                if index == arrival {
                    engine.secrets(Origin::KeyLog, keys.as_bytes(), told).unwrap();
                }
            });
            let ports: Vec<_> = pairs(&told).into_iter().map(|(front, back, _)| (front, back)).collect();
            assert_eq!(ports, [(0, 0), (1, 1), (2, 2)], "arrival {arrival} of {packets}");
            assert!(told.sessions.iter().all(|(session, _)| session.legs.iter().all(|leg| leg.tunnel.is_some())));
        }
    }
}

#[test]
fn when_times_alone_fit_several_none_is_taken() {
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let mut relays: Vec<Relay> = (0..2).map(|number| Relay::new(number, Some(&Setup::tls13()), None)).collect();
    let mut script = relays.iter_mut().fold(Script::new(), |script, relay| relay.front.connect(script));
    script = relays.iter_mut().fold(script, |script, relay| relay.ask(script));
    script = relays.iter_mut().fold(script, |script, relay| relay.forward(script, "Upgrade: websocket\r\n"));
    for relay in &mut relays {
        script = relay.back.say(script, Server, refusal.as_bytes());
        script = relay.front.say(script, Server, refusal.as_bytes());
    }
    for relay in &mut relays {
        script = relay.back.end(script, Server);
        script = relay.back.end(script, Client);
        script = relay.front.end(script, Client);
        script = relay.front.end(script, Server);
    }
    let told = run(&script, "");
    assert!(told.sessions.iter().all(|(session, _)| session.legs.len() == 1));
    assert!(told.sessions.iter().all(|(session, _)| session.legs[0].joined_by.is_none()));
}

#[test]
fn pages_beside_make_no_session() {
    // Ordinary requests behind TLS, passed on in clear: nobody asks for a WebSocket.
    let mut relays: Vec<Relay> = (0..3).map(|number| Relay::new(number, Some(&Setup::tls13()), None)).collect();
    let mut script = relays.iter_mut().fold(Script::new(), |script, relay| relay.front.connect(script));
    for relay in &mut relays {
        let request =
            format!("GET /page/{} HTTP/1.1\r\nHost: x\r\nAccept: {}\r\n\r\n", relay.number, "*/* ".repeat(40));
        let page = format!("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{}", "p".repeat(900));
        script = relay.front.say(script, Client, request.as_bytes());
        script = relay.back.connect(script);
        script = relay.back.say(script, Client, request.as_bytes());
        script = relay.back.say(script, Server, page.as_bytes());
        script = relay.front.say(script, Server, page.as_bytes());
    }
    let told = run(&script, "");
    assert!(told.sessions.iter().all(|(session, _)| session.legs.len() == 1 && session.legs[0].tls.is_some()));
}

/// On one host, where any address may be the proxy's: a request that its backend leaves unanswered waits while others talk
/// through the same proxy to the same backend.
#[test]
fn no_server_is_asked_twice_on_the_way() {
    const FRONT: &str = "127.0.0.1:8443";
    const BACK: &str = "127.0.0.1:9000";
    let clear = |port: u16| Leg::Clear { client: format!("127.0.0.1:{port}"), server: BACK };
    let tls = Leg::Tls(Box::new(TlsLeg::new(&Setup::tls13().configure(), "127.0.0.1:40001", FRONT)));
    let mut relay = Relay { number: 1, front: tls, back: clear(50_001) };
    let mut unanswered = Relay { number: 2, front: clear(50_002), back: clear(50_003) };
    let mut script = unanswered.front.connect(Script::new());
    script = unanswered.ask(script);
    script = relay.front.connect(script);
    script = relay.ask(script);
    script = relay.forward(script, "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    script = relay.accept(script);
    script = talk(script, std::slice::from_mut(&mut relay), 3);
    script = relay.end(script);
    script = unanswered.front.end(script, Server);
    script = unanswered.front.end(script, Client);
    let told = run(&script, "");
    let mut servers: Vec<Vec<u16>> =
        told.sessions.iter().map(|(session, _)| session.legs.iter().map(|leg| leg.server.port).collect()).collect();
    servers.sort_unstable();
    assert_eq!(servers, [vec![8443, 9000], vec![9000]]);
}
