//! The frame decoder: what a frame costs, and what a byte.
//!
//! `cargo bench --profile profiling --bench ws`

#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::{Compress, Compression, FlushCompress};
use wsflow::limits::Limits;
use wsflow::packet::{Moment, PacketNumber, When};
use wsflow::stream::Role;
use wsflow::time::Timestamp;
use wsflow::ws::facts::Opcode;
use wsflow::ws::{Adoption, Agreed, Decoder, DeflateDirection, FrameListener, Message, Scratch, heartbeat};

const PLAIN: Agreed = Agreed { deflate: None, handshake_seen: true };

/// Looks for heartbeats, as the session tracker does.
#[derive(Default)]
struct Listener {
    heartbeats: u64,
}

impl FrameListener for Listener {
    #[inline]
    fn message(&mut self, message: Message<'_>) {
        if message.opcode == Opcode::TEXT && !message.truncated {
            self.heartbeats += u64::from(heartbeat::recognise(Role::Client, message.preview).is_some());
        }
    }
}

fn moment(number: usize) -> Moment {
    Moment { at: Timestamp::from_nanos(number as u64 * 20_000), packet: PacketNumber(number as u64 + 1) }
}

fn when(number: usize) -> When {
    When::new(moment(0), moment(number))
}

fn frame(first: u8, payload: &[u8], role: Role) -> Vec<u8> {
    let mask = if role == Role::Client { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(mask | short as u8),
        medium @ 126..=0xFFFF => {
            bytes.push(mask | 126);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(mask | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    if role == Role::Client {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        bytes.extend(key);
        bytes.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// Decodes packets with one decoder, which lives on from one round to the next.
fn decode(c: &mut Criterion, name: &str, role: Role, agreed: Agreed, packets: &[Vec<u8>], throughput: Throughput) {
    let mut group = c.benchmark_group("ws");
    group.throughput(throughput);
    group.bench_function(name, |b| {
        let mut decoder = Decoder::new(role, agreed);
        let mut scratch = Scratch::new(&Limits::default());
        let mut listener = Listener::default();
        b.iter(|| {
            for (number, packet) in packets.iter().enumerate() {
                decoder.handle(black_box(packet), when(number), &mut scratch, &mut listener);
            }
        });
        assert!(decoder.facts(moment(0)).violations.is_empty());
        black_box(listener.heartbeats);
    });
    group.finish();
}

/// 1,000 small text messages, each in its packet.
fn chat(c: &mut Criterion) {
    for (name, role) in [("chat, masked", Role::Client), ("chat, unmasked", Role::Server)] {
        let say = |i: usize| {
            frame(0x81, format!("{{\"t\":\"msg\",\"n\":{i},\"text\":\"hello there {i}\"}}").as_bytes(), role)
        };
        let packets: Vec<_> = (0..1000).map(say).collect();
        decode(c, name, role, PLAIN, &packets, Throughput::Elements(1000));
    }
    let packets: Vec<_> = (0..1000).map(|_| frame(0x89, b"", Role::Client)).collect();
    decode(c, "pings, masked", Role::Client, PLAIN, &packets, Throughput::Elements(1000));
}

/// Messages of one megabyte in segments of 1,448 bytes.
fn large(c: &mut Criterion) {
    let text = "some words of text, and some more; ".repeat(30_000);
    for (name, first, role) in [
        ("large binary, masked", 0x82, Role::Client),
        ("large text, masked", 0x81, Role::Client),
        ("large text, unmasked", 0x81, Role::Server),
    ] {
        let bytes = frame(first, text.as_bytes(), role);
        let packets: Vec<_> = bytes.chunks(1448).map(<[u8]>::to_vec).collect();
        decode(c, name, role, PLAIN, &packets, Throughput::Bytes(bytes.len() as u64));
    }
}

/// Compressed messages of about 256 bytes.
fn deflate(c: &mut Criterion) {
    for (name, no_context_takeover) in [("deflate, takeover", false), ("deflate, no takeover", true)] {
        let mut compress = Compress::new(Compression::default(), false);
        let packets: Vec<_> = (0..1000)
            .map(|i| {
                if no_context_takeover {
                    compress.reset();
                }
                let words = format!("{{\"number\":{i},\"text\":\"{}\"}}", "all the same words ".repeat(12));
                let mut payload = Vec::with_capacity(1024);
                compress.compress_vec(words.as_bytes(), &mut payload, FlushCompress::Sync).expect("there is room");
                payload.truncate(payload.len() - 4);
                frame(0xC1, &payload, Role::Client)
            })
            .collect();
        let agreed = Agreed { deflate: Some(DeflateDirection { no_context_takeover }), handshake_seen: true };
        // The window of the last round is not that of the first: a decoder lives for one round.
        let mut group = c.benchmark_group("ws");
        group.throughput(Throughput::Elements(1000));
        group.bench_function(name, |b| {
            let mut scratch = Scratch::new(&Limits::default());
            let mut listener = Listener::default();
            b.iter(|| {
                let mut decoder = Decoder::new(Role::Client, agreed);
                for (number, packet) in packets.iter().enumerate() {
                    decoder.handle(black_box(packet), when(number), &mut scratch, &mut listener);
                }
                assert!(decoder.facts(moment(0)).violations.is_empty());
            });
        });
        group.finish();
    }
}

/// Looking for a frame boundary where there is none, and watching a connection that is no WebSocket.
fn search(c: &mut Criterion) {
    let mut state = 1u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(1448)
    .collect();
    let mut group = c.benchmark_group("ws");
    group.throughput(Throughput::Bytes(1448 * 100));
    group.bench_function("seeking in noise", |b| {
        let mut scratch = Scratch::new(&Limits::default());
        let mut listener = Listener::default();
        b.iter(|| {
            let mut decoder = Decoder::new(Role::Client, PLAIN);
            decoder.gap(1, when(0), &mut scratch, &mut listener);
            for number in 0..100 {
                decoder.handle(black_box(&noise), when(number), &mut scratch, &mut listener);
            }
        });
    });
    let record = [&[0x17, 0x03, 0x03, 0x05, 0xA0][..], &noise[5..]].concat();
    group.throughput(Throughput::Elements(60));
    group.bench_function("adoption, TLS", |b| {
        b.iter(|| {
            let mut adoption = Adoption::new();
            for number in 0..60 {
                let side = wsflow::stream::Side::BOTH[number % 2];
                black_box(adoption.handle(side, black_box(&record), moment(number)));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, chat, large, deflate, search);
criterion_main!(benches);
