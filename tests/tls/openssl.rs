//! Recordings of OpenSSL: the suites that rustls does not have. `tests/data/tls/README.md` says how they were made.

use std::collections::BTreeSet;
use std::fs;

use wsflow::stream::{ByRole, Role};

use crate::seen::Watch;

#[derive(Default)]
struct Recording {
    keys: String,
    plain: ByRole<Vec<u8>>,
    sent: Vec<(Role, Vec<u8>)>,
}

fn recordings() -> Vec<(String, Recording)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), read(&fs::read_to_string(&path).unwrap())))
        .collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

fn read(text: &str) -> Recording {
    let mut recording = Recording::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (what, value) = line.split_once(' ').unwrap();
        match what {
            "key" => recording.keys.extend([value, "\n"]),
            "client" => recording.sent.push((Role::Client, bytes(value))),
            "server" => recording.sent.push((Role::Server, bytes(value))),
            "plain-client" => recording.plain.client = bytes(value),
            "plain-server" => recording.plain.server = bytes(value),
            _ => panic!("{what}"),
        }
    }
    recording
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap()).collect()
}

#[test]
fn every_recording_comes_out_as_it_was_said() {
    let mut suites = BTreeSet::new();
    for (name, recording) in recordings() {
        let mut watch = Watch::knowing(&recording.keys);
        let facts = watch.all(&recording.sent).finish().facts();
        if name.starts_with("tls11") {
            assert!(watch.seen.is_empty());
            assert_eq!(facts.not_decrypted.as_deref(), Some("TLS 1.1 is not decrypted here"));
            continue;
        }
        assert_eq!(facts.not_decrypted, None, "{name}");
        for role in Role::BOTH {
            let said = &recording.plain[role];
            let seen = watch.seen.whole(role);
            assert_eq!(String::from_utf8_lossy(seen), String::from_utf8_lossy(said), "{name}");
        }
        assert_eq!(facts.renegotiations, u32::from(name.contains("renegotiation")), "{name}");
        suites.insert(facts.cipher.unwrap());
    }
    assert!(suites.len() >= 12, "{suites:?}");
}

#[test]
fn late_secrets_serve_a_renegotiated_connection() {
    for (name, recording) in recordings() {
        if !name.contains("renegotiation") {
            continue;
        }
        let mut watch = Watch::new();
        watch.store.expect(wsflow::tls::Origin::KeyLog);
        watch.all(&recording.sent);
        for line in recording.keys.lines() {
            watch.store.feed(wsflow::tls::Origin::KeyLog, format!("{line}\n").as_bytes());
            watch.retry();
        }
        watch.finish();
        assert_eq!(watch.seen.whole(Role::Client), recording.plain.client, "{name}");
        assert_eq!(watch.seen.whole(Role::Server), recording.plain.server, "{name}");
    }
}
