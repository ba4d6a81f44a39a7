//! What TLS costs: records passed over without secrets, records decrypted, key logs read.
//!
//! `cargo bench --bench tls`; the numbers are bytes of the stream, headers included.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustls::CipherSuite;
use wsflow::limits::Limits;
use wsflow::packet::Moment;
use wsflow::stream::Role;
use wsflow::tls::{Observer, Origin, SecretStore, TlsOutput};

#[allow(dead_code, clippy::unwrap_used, reason = "the tests' peers; a benchmark uses some of them")]
#[path = "../tests/tls/peers.rs"]
mod peers;

use peers::{Dialogue, Setup};

/// What a segment carries on an Ethernet path, and over loopback with segmentation offload.
const SEGMENTS: [usize; 2] = [1448, 65_483];

/// A server that sends 4 MiB in records of 16 KiB, or in records of 100 bytes.
fn dialogue(suite: CipherSuite, record: usize) -> Dialogue {
    let tls13 = suite.as_str().is_some_and(|name| name.starts_with("TLS13"));
    let setup = if tls13 { Setup::tls13() } else { Setup::tls12() };
    let configured = Setup { suite: Some(suite), ..setup }.configure();
    let mut peers = configured.connect();
    peers.say(Role::Client, b"GET / HTTP/1.1\r\n\r\n");
    let text = vec![b'x'; record];
    for _ in 0..(4 << 20) / record {
        peers.say_without_reading(Role::Server, &text);
    }
    peers.shake_hands();
    peers.dialogue()
}

fn run(dialogue: &Dialogue, segment: usize, store: &SecretStore) -> u64 {
    let mut observer = Box::new(Observer::new(&Limits::default()));
    let mut plain = 0;
    for (role, bytes) in &dialogue.sent {
        for piece in bytes.chunks(segment) {
            observer.handle(*role, piece, Moment::default(), store, &mut |_, _, output| {
                if let TlsOutput::Plain(bytes) = output {
                    plain += black_box(bytes).len() as u64;
                }
            });
        }
    }
    plain
}

fn records(criterion: &mut Criterion) {
    let suites = [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ];
    let empty = SecretStore::new(&Limits::default());
    for (suite, record) in suites.into_iter().flat_map(|suite| [(suite, 16 << 10), (suite, 100)]) {
        let dialogue = dialogue(suite, record);
        let mut store = SecretStore::new(&Limits::default());
        store.feed(Origin::KeyLog, dialogue.keys.as_bytes());
        store.end(Origin::KeyLog);
        assert_eq!(run(&dialogue, SEGMENTS[0], &store) as usize, (4 << 20) / record * record + 18);
        let mut group = criterion.benchmark_group(format!("tls/{suite:?}/{record}"));
        let length: usize = dialogue.sent.iter().map(|(_, bytes)| bytes.len()).sum();
        group.throughput(Throughput::Bytes(length as u64)).sample_size(20);
        for segment in SEGMENTS {
            group
                .bench_function(format!("decrypted/{segment}"), |bench| bench.iter(|| run(&dialogue, segment, &store)));
            group.bench_function(format!("passed/{segment}"), |bench| bench.iter(|| run(&dialogue, segment, &empty)));
        }
        group.finish();
    }
}

fn key_log(criterion: &mut Criterion) {
    let lines: String =
        (0..10_000u64).map(|index| format!("CLIENT_TRAFFIC_SECRET_0 {index:064x} {}\n", "5c".repeat(48))).collect();
    let mut group = criterion.benchmark_group("tls/key_log");
    group.throughput(Throughput::Elements(10_000)).sample_size(20);
    group.bench_function("lines", |bench| {
        bench.iter(|| {
            let mut store = SecretStore::new(&Limits::default());
            for piece in lines.as_bytes().chunks(64 << 10) {
                store.feed(Origin::KeyLog, piece);
            }
            store.len()
        });
    });
    group.finish();
}

criterion_group!(benches, records, key_log);
criterion_main!(benches);
