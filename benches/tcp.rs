//! The table of connections: what a packet costs, and what a connection costs.
//!
//! `cargo bench --profile profiling --bench tcp`
//!
//! With `WSFLOW_CAPTURES=FOLDER` also over the large captures of `benches/README.md`: `chat.pcap`, `short.pcap`,
//! `idle.pcap`. There a packet is dissected too; `dissect` shows what that costs alone.

#![allow(missing_docs)]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use wsflow::limits::Limits;
use wsflow::packet::{InterfaceId, Moment, PacketNumber};
use wsflow::source::{Input, Savefiles, Source};
use wsflow::stream::{Side, StreamEvent};
use wsflow::tcp::{Connection, Listener, SeqNumber, Table};
use wsflow::time::Timestamp;
use wsflow::wire::{Dissected, Dissector, Endpoint, Ends, Flags, Segment};

/// Hears everything and does next to nothing. Keeps 16 bytes beside each connection.
#[derive(Default)]
struct Count {
    bytes: u64,
}

impl Listener for Count {
    type Stream = [u64; 2];

    fn opened(&mut self, _: &Connection, _: &mut [u64; 2], _: Moment) {}

    fn established(&mut self, _: &Connection, _: &mut [u64; 2], _: Moment) {}

    #[inline]
    fn stream(&mut self, _: &Connection, _: &mut [u64; 2], _: Side, _: Moment, event: StreamEvent<'_>) {
        if let StreamEvent::Data(data) = event {
            self.bytes += data.len() as u64;
        }
    }

    fn ended(&mut self, _: &Connection, _: &mut [u64; 2], _: Moment) {}

    fn forgotten(&mut self, _: Connection, _: [u64; 2], _: Timestamp) {}
}

const PAYLOAD: &[u8] = &[0x5A; 100];
const OPTIONS: &[u8] = &[1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7];

/// Makes segments, each with its own time, number and identification.
#[derive(Default)]
struct Traffic {
    segments: Vec<Segment<'static>>,
}

impl Traffic {
    fn send(&mut self, connection: u32, side: Side, flags: u8, seq: u32, ack: u32, payload: &'static [u8]) {
        let client = Endpoint { ip: Ipv4Addr::from_bits(0x0A00_0000 + connection / 50_000).into(), port: 10_000 };
        let client = Endpoint { port: client.port + (connection % 50_000) as u16, ..client };
        let server = Endpoint { ip: Ipv4Addr::new(192, 0, 2, 1).into(), port: 8080 };
        let (source, destination) = match side {
            Side::Originator => (client, server),
            Side::Responder => (server, client),
        };
        let number = self.segments.len() as u64 + 1;
        self.segments.push(Segment {
            moment: Moment { at: Timestamp::from_nanos(number * 20_000), packet: PacketNumber(number) },
            ends: Ends::new(source, destination),
            seq: SeqNumber(seq),
            ack: SeqNumber(ack),
            flags: Flags(flags),
            window: 501,
            raw_options: OPTIONS,
            payload,
            payload_length: payload.len() as u32,
            ttl: 64,
            ip_id: number as u16 | 1,
            interface: InterfaceId(0),
        });
    }

    fn open(&mut self, connection: u32) {
        self.send(connection, Side::Originator, Flags::SYN, 0, 0, b"");
        self.send(connection, Side::Responder, Flags::SYN | Flags::ACK, 0, 1, b"");
        self.send(connection, Side::Originator, Flags::ACK, 1, 1, b"");
    }

    /// A request and its answer, which acknowledges it.
    fn exchange(&mut self, connection: u32, turn: u32) {
        let seq = 1 + turn * PAYLOAD.len() as u32;
        let behind = seq + PAYLOAD.len() as u32;
        self.send(connection, Side::Originator, Flags::ACK | Flags::PSH, seq, seq, PAYLOAD);
        self.send(connection, Side::Responder, Flags::ACK | Flags::PSH, seq, behind, PAYLOAD);
    }

    fn close(&mut self, connection: u32, turns: u32) {
        let seq = 1 + turns * PAYLOAD.len() as u32;
        self.send(connection, Side::Originator, Flags::ACK | Flags::FIN, seq, seq, b"");
        self.send(connection, Side::Responder, Flags::ACK | Flags::FIN, seq, seq + 1, b"");
        self.send(connection, Side::Originator, Flags::ACK, seq + 1, seq + 1, b"");
    }
}

fn play(segments: &[Segment<'_>]) -> Table<[u64; 2]> {
    let (mut table, mut count) = (Table::new(&Limits::default()), Count::default());
    for segment in segments {
        table.handle(black_box(segment), &mut count);
    }
    black_box(count.bytes);
    table
}

fn bench(c: &mut Criterion, name: &str, traffic: &Traffic) {
    let mut group = c.benchmark_group("tcp");
    group.throughput(Throughput::Elements(traffic.segments.len() as u64)).sample_size(20);
    group.bench_function(name, |b| b.iter_batched(|| (), |()| play(&traffic.segments), BatchSize::PerIteration));
    group.finish();
}

/// A few hundred connections that talk all the time.
fn chat(c: &mut Criterion) {
    let mut traffic = Traffic::default();
    (0..460).for_each(|connection| traffic.open(connection));
    for turn in 0..500 {
        (0..460).for_each(|connection| traffic.exchange(connection * 7 % 460, turn));
    }
    bench(c, "chat: 460 connections", &traffic);
}

/// Many connections that say something now and then, in an order that no cache can foresee.
fn idle(c: &mut Criterion) {
    let mut traffic = Traffic::default();
    (0..100_000).for_each(|connection| traffic.open(connection));
    for turn in 0..3 {
        (0..100_000u32).for_each(|i| traffic.exchange((i * 69_069 + turn) % 100_000, turn));
    }
    bench(c, "idle: 100,000 connections", &traffic);
}

/// Connections that come and go.
fn short(c: &mut Criterion) {
    let mut traffic = Traffic::default();
    for connection in 0..50_000 {
        traffic.open(connection);
        (0..4).for_each(|turn| traffic.exchange(connection, turn));
        traffic.close(connection, 4);
    }
    bench(c, "short: 50,000 connections", &traffic);
}

fn captures(c: &mut Criterion) {
    let Some(folder) = std::env::var_os("WSFLOW_CAPTURES").map(PathBuf::from) else { return };
    let mut group = c.benchmark_group("tcp");
    for name in ["chat", "short", "idle"] {
        let path = folder.join(name).with_extension("pcap");
        let mut packets = 0;
        each_packet(&path, |_| packets += 1);
        group.throughput(Throughput::Elements(packets)).sample_size(10);
        group.bench_function(format!("{name}.pcap: dissect"), |b| {
            b.iter(|| each_packet(&path, |dissected| drop(black_box(dissected))));
        });
        group.bench_function(format!("{name}.pcap: dissect, handle"), |b| {
            b.iter(|| {
                let (mut table, mut count) = (Table::new(&Limits::default()), Count::default());
                each_packet(&path, |dissected| match dissected {
                    Dissected::Tcp(segment) => table.handle(black_box(&segment), &mut count),
                    other => drop(black_box(other)),
                });
                table.connections()
            });
        });
    }
    group.finish();
}

fn each_packet(path: &std::path::Path, mut take: impl FnMut(Dissected<'_>)) {
    let mut dissector = Dissector::new(&Limits::default());
    let mut source = Savefiles::open(&[path.to_owned()], None).expect("a capture of that name");
    while let Ok(Some(input)) = source.next(usize::MAX) {
        let Input::Packets(packets) = input else { continue };
        packets.for_each(|(packet, _)| take(dissector.dissect(&packet)));
    }
}

criterion_group!(benches, chat, idle, short, captures);
criterion_main!(benches);
