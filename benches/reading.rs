//! From the bytes of a savefile to TCP segments: what every packet pays before anything is known of it.

use std::hint::black_box;
use std::io::Cursor;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etherparse::PacketBuilder;
use wsflow::source::{Input, Savefiles, Source};

const PACKETS: u32 = 100_000;

/// A pcap file of small segments, as a chat makes them.
fn capture() -> Vec<u8> {
    let mut file = Vec::new();
    for number in [0xA1B2_C3D4u32, 0x0004_0002, 0, 0, 262_144, 1] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    for second in 0..PACKETS {
        let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
        let mut frame = Vec::new();
        ip.tcp(40000, 80, second, 1000).ack(1).write(&mut frame, &[b'x'; 70]).expect("a vector takes every packet");
        let length = frame.len() as u32;
        for number in [second, 0, length, length] {
            file.extend_from_slice(&number.to_le_bytes());
        }
        file.extend_from_slice(&frame);
    }
    file
}

fn reading(criterion: &mut Criterion) {
    let capture = capture();
    let source = || Savefiles::read("capture", Cursor::new(capture.clone()));
    let mut group = criterion.benchmark_group("reading");
    group.throughput(Throughput::Elements(PACKETS.into()));
    group.bench_function("records", |bencher| {
        bencher.iter_batched_ref(
            source,
            |source| {
                while let Ok(Some(input)) = source.next(usize::MAX) {
                    black_box(&input);
                }
            },
            criterion::BatchSize::PerIteration,
        );
    });
    group.bench_function("records and segments", |bencher| {
        bencher.iter_batched_ref(
            source,
            |source| {
                while let Ok(Some(input)) = source.next(usize::MAX) {
                    let Input::Packets(packets) = input else { continue };
                    for (packet, headers) in packets {
                        black_box(&headers.map(|headers| headers.segment(&packet)));
                    }
                }
            },
            criterion::BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
