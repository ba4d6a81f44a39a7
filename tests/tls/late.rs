//! What the engine makes of secrets and of holes: late keys, keys that never come, places that are lost.

use wsflow::script::{Script, Spoken, text};
use wsflow::session::Outcome;
use wsflow::stream::Role::{Client, Server};
use wsflow::tls::Origin;

use crate::legs::{TlsLeg, Told, run, run_with};
use crate::peers::Setup;

const CLIENT: &str = "192.0.2.1:40001";
const SERVER: &str = "203.0.113.9:443";

/// An opening handshake over TLS and a few messages; the script, and the client's key log.
fn chat(setup: &Setup, messages: usize) -> (Script, String) {
    let mut leg = TlsLeg::new(&setup.configure(), CLIENT, SERVER);
    let mut script = leg.connect(Script::new());
    script = leg.say(script, Client, Script::REQUEST.as_bytes());
    script = leg.say(script, Server, Script::RESPONSE.as_bytes());
    for number in 0..messages {
        script = leg.say(script, Client, &text(format!("question {number}")).bytes(Client));
        script = leg.say(script, Server, &text(format!("answer {number}")).bytes(Server));
    }
    script = leg.close(script, Client);
    (leg.close(script, Server), leg.keys())
}

fn questions_and_answers(count: usize) -> Vec<String> {
    (0..count).flat_map(|number| [format!("question {number}"), format!("answer {number}")]).collect()
}

fn why_not_decrypted(told: &Told) -> Option<&str> {
    told.sessions[0].0.legs[0].tls.as_ref()?.not_decrypted.as_deref()
}

#[test]
fn secrets_may_come_at_any_time() {
    for setup in [Setup::tls13(), Setup::tls12()] {
        let (script, keys) = chat(&setup, 5);
        for arrival in 0..=script.packets().len() {
            let told = run_with(&script, false, |engine, told, index| {
                if index == 0 {
                    engine.secrets(Origin::KeyLog, b"", told).unwrap(); // a key log that is still empty
                }
                if index == arrival {
                    engine.secrets(Origin::KeyLog, keys.as_bytes(), told).unwrap();
                }
            });
            assert_eq!(told.messages, questions_and_answers(5), "arrival {arrival}");
            assert_eq!(told.sessions.len(), 1);
        }
    }
}

#[test]
fn secrets_that_never_come_are_said_to_be_missing() {
    let (script, _) = chat(&Setup::tls13(), 5);
    let (_, other_keys) = chat(&Setup::tls13(), 1);
    let last = script.packets().len();
    // As long as more may come, it says so; once the log is over, it says that too.
    for (end, why) in [(usize::MAX, "no secret for this connection has come yet"), (last, ""), (20, ""), (0, "")] {
        let told = run_with(&script, false, |engine, told, index| {
            if index == 0 {
                engine.secrets(Origin::KeyLog, other_keys.as_bytes(), told).unwrap();
            }
            if index == end {
                engine.secrets_end(Origin::KeyLog, told).unwrap();
            }
        });
        let why = if why.is_empty() { "the key log has no secret for this connection" } else { why };
        assert!(told.messages.is_empty());
        assert_eq!(told.sessions[0].0.outcome, Outcome::Encrypted);
        if end != usize::MAX {
            assert_eq!(why_not_decrypted(&told), Some(why), "end {end}");
        }
    }
}

#[test]
fn behind_a_hole_of_unknown_size_no_text_is_made_up() {
    // A message in four records; the keys change between two of them, and both changes and records are missing. A
    // KeyUpdate looks like five bytes of text, so what is missing cannot be counted.
    let long = text("x".repeat(20_000)).bytes(Server);
    let configured = Setup::tls13().configure();
    let mut leg = TlsLeg::new(&configured, CLIENT, SERVER);
    let mut script = leg.connect(Script::new());
    script = leg.say(script, Client, Script::REQUEST.as_bytes());
    script = leg.say(script, Server, Script::RESPONSE.as_bytes());
    script = leg.say(script, Server, &long[..5_000]);
    leg.peers.say(Server, &long[5_000..10_000]).update_keys(Server).say(Server, &long[10_000..15_000]);
    let before = leg.peers.dialogue().sent.len();
    assert!(before > 3);
    script = leg.pass_lost(script);
    script = leg.say(script, Server, &long[15_000..]);
    let said: Vec<String> = (0..12).map(|number| format!("and now number {number} of the messages")).collect();
    for message in &said {
        script = leg.say(script, Server, &text(message).bytes(Server));
    }
    script = leg.close(script, Server);
    let told = run(&leg.close(script, Client), &leg.keys());
    let whole: Vec<&String> = told.messages.iter().filter(|message| !message.contains('x')).collect();
    assert!(whole.iter().all(|message| said.contains(message)), "{whole:?}");
    assert!(whole.contains(&&said[11]), "{whole:?}");
    let (session, findings) = &told.sessions[0];
    let server = &session.legs[0].tunnel.as_ref().unwrap().sides.server;
    assert!(server.violations.is_empty(), "{:?}", server.violations);
    assert!(!findings.iter().any(|id| id.contains("opcode") || id.contains("utf8")), "{findings:?}");
}

#[test]
fn a_number_that_was_promised_is_given_once() {
    let mut leg = TlsLeg::new(&Setup::tls13().configure(), CLIENT, SERVER);
    let mut script = leg.connect(Script::new());
    script = leg.say(script, Client, Script::REQUEST.as_bytes());
    let start = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: ";
    let refusal = format!("{start}{:-<1$}\r\n\r\n", "", Script::RESPONSE.len() - start.len() - 4);
    script = leg.say(script, Server, refusal.as_bytes());
    script = leg.say(script, Client, Script::REQUEST.as_bytes());
    script = leg.say(script, Server, Script::RESPONSE.as_bytes());
    for number in 0..5 {
        script = leg.say(script, Client, &text(format!("question {number}")).bytes(Client));
        script = leg.say(script, Server, &text(format!("answer {number}")).bytes(Server));
    }
    let (last, keys) = (script.packets().len(), leg.keys());
    let mut promised = Vec::new();
    let told = run_with(&script, false, |engine, told, index| {
        if index == 0 {
            engine.secrets(Origin::KeyLog, b"", told).unwrap();
        }
        if index == last {
            promised = engine.snapshot(&[]).sessions.iter().map(|session| session.id).collect();
            engine.secrets(Origin::KeyLog, keys.as_bytes(), told).unwrap();
        }
    });
    let sessions: Vec<_> = told.sessions.iter().map(|(session, _)| (session.id.0, session.outcome)).collect();
    assert_eq!(promised.len(), 1, "by its sizes it is a WebSocket");
    assert_eq!(sessions, [(promised[0].0, Outcome::Rejected), (promised[0].0 + 1, Outcome::Open)]);
}
