//! What holds for every stream, every capture and every order of packets.

use proptest::prelude::*;

use wsflow::limits::Limits;
use wsflow::stream::Side::{self, Originator, Responder};
use wsflow::tcp::Table;
use wsflow::time::Timestamp;
use wsflow::wire::Flags;

use crate::trace::{HANDSHAKE, Line, START, Seen, parse, play};

/// A sequence number near the wrap, more often than not.
fn isn() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), (0u32..2000).prop_map(|below| u32::MAX - below), 0x7FFF_FF00..0x8000_0100u32]
}

/// A handshake with these initial sequence numbers, then room for a millisecond.
fn handshake(isn: [u32; 2]) -> Vec<Line> {
    parse(HANDSHAKE, isn)
}

fn segment(isn: [u32; 2], micros: u64, at: usize, data: &[u8]) -> Line {
    Line {
        seq: isn[0].wrapping_add(1).wrapping_add(at as u32),
        ack: isn[1].wrapping_add(1),
        payload: data.to_vec(),
        length: data.len() as u32,
        ip_id: micros as u16,
        ..Line::new(1_000_000 + micros * 1000, Originator, Flags::ACK)
    }
}

fn acknowledgment(isn: [u32; 2], micros: u64, upto: usize) -> Line {
    Line {
        seq: isn[1].wrapping_add(1),
        ack: isn[0].wrapping_add(1).wrapping_add(upto as u32),
        ip_id: micros as u16,
        ..Line::new(1_000_000 + micros * 1000, Responder, Flags::ACK)
    }
}

/// A stream, cut into segments, some of them sent again with other boundaries, in any order.
fn transmission() -> impl Strategy<Value = (Vec<u8>, Vec<(usize, usize)>)> {
    prop::collection::vec(any::<u8>(), 1..600).prop_flat_map(|stream| {
        let length = stream.len();
        let cuts = prop::collection::btree_set(0..length, 0..20);
        let again = prop::collection::vec((0..length, 1..80usize), 0..12);
        (Just(stream), cuts, again).prop_flat_map(move |(stream, cuts, again)| {
            let mut edges: Vec<usize> = cuts.into_iter().filter(|cut| *cut > 0).collect();
            edges.insert(0, 0);
            edges.push(length);
            let mut parts: Vec<(usize, usize)> = edges.windows(2).map(|edge| (edge[0], edge[1])).collect();
            parts.extend(again.into_iter().map(|(from, size)| (from, (from + size).min(length))));
            (Just(stream), Just(parts).prop_shuffle())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any cutting, reordering, repetition and consistent overlap gives the same bytes, wherever the numbers begin.
    #[test]
    fn the_same_bytes((stream, parts) in transmission(), isn in [isn(), isn()]) {
        let mut lines = handshake(isn);
        for (i, (from, to)) in parts.iter().enumerate() {
            lines.push(segment(isn, i as u64 * 10, *from, &stream[*from..*to]));
        }
        let mut fin = segment(isn, 9_000, stream.len(), b"");
        fin.flags |= Flags::FIN;
        let place = lines.len() - parts.len() / 2;
        lines.insert(place, Line { nanos: lines[place - 1].nanos, ..fin });
        let seen = play(&lines, &Limits::default());
        prop_assert_eq!(&seen.heard.streams[0][0], &stream);
        let ends: Vec<usize> = seen.heard.log.iter().enumerate().filter(|(_, line)| line.contains("finished")).map(|(i, _)| i).collect();
        prop_assert_eq!(ends.len(), 1);
        prop_assert!(seen.heard.log[ends[0]..].iter().all(|line| !line.contains('"')), "nothing behind the FIN");
        prop_assert_eq!((seen.client().gap_bytes, seen.client().conflicts), (0, 0));
        prop_assert_eq!(seen.client().bytes, stream.len() as u64);
    }

    /// A segment that was acknowledged and never captured is one gap of its length.
    #[test]
    fn one_lost_segment_is_one_gap((stream, _) in transmission(), size in 1..50usize, lost in any::<prop::sample::Index>(), isn in [isn(), isn()]) {
        let parts: Vec<&[u8]> = stream.chunks(size).collect();
        let lost = lost.index(parts.len());
        // One byte at the very end cannot be told from a FIN.
        prop_assume!(lost + 1 < parts.len() || parts[lost].len() > 1);
        let mut lines = handshake(isn);
        let mut expected = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            let micros = i as u64 * 300;
            if i == lost {
                expected.extend(vec![b'~'; part.len()]);
            } else {
                lines.push(segment(isn, micros, i * size, part));
                expected.extend(*part);
            }
            lines.push(acknowledgment(isn, micros + 100, i * size + part.len()));
        }
        let seen = play(&lines, &Limits::default());
        prop_assert_eq!(&seen.heard.streams[0][0], &expected);
        let gaps: Vec<&String> = seen.heard.log.iter().filter(|line| line.contains("gap")).collect();
        prop_assert_eq!(gaps.len(), 1);
        let gap = format!("gap {} NotCaptured", parts[lost].len());
        prop_assert!(gaps[0].contains(&gap));
    }

    /// Of copies that differ the first one captured wins, byte by byte.
    #[test]
    fn the_first_copy_wins(
        parts in prop::collection::vec((0..60usize, prop::collection::vec(any::<u8>(), 1..20)), 1..25),
        isn in [isn(), isn()],
    ) {
        let mut model: Vec<Option<u8>> = Vec::new();
        let mut lines = handshake(isn);
        for (i, (at, data)) in parts.iter().enumerate() {
            model.resize(model.len().max(at + data.len()), None);
            for (cell, byte) in model[*at..].iter_mut().zip(data) {
                cell.get_or_insert(*byte);
            }
            lines.push(segment(isn, i as u64 * 10, *at, data));
        }
        let expected: Vec<u8> = model.iter().map(|cell| cell.unwrap_or(b'~')).collect();
        let seen = play(&lines, &Limits::default());
        prop_assert_eq!(&seen.heard.streams[0][0], &expected);
        let missing = model.iter().filter(|cell| cell.is_none()).count();
        prop_assert_eq!(seen.client().gap_bytes, missing as u64);
    }

    /// Time that goes by in more steps changes nothing: a deadline fires at its deadline.
    #[test]
    fn more_steps_of_time_change_nothing(
        lines in segments(60),
        steps in prop::collection::vec(0u64..100, 60),
        finish_early in any::<bool>(),
    ) {
        let limits = Limits { held_time: std::time::Duration::from_millis(40), linger: std::time::Duration::from_millis(25), connections: 3, ..Limits::default() };
        let run = |steps: Option<&[u64]>| {
            let (mut seen, mut table) = (Seen::default(), Table::new(&limits));
            let mut now = 0;
            for (i, line) in lines.iter().enumerate() {
                if let Some(steps) = steps {
                    for part in 0..3 {
                        let between = line.nanos.saturating_sub(now) * (steps[i] + part) / 102;
                        table.advance(Timestamp::from_nanos(START + now + between), &mut seen);
                    }
                }
                now = now.max(line.nanos);
                table.handle(&line.segment(i as u64 + 1), &mut seen);
            }
            if finish_early {
                table.finish(&mut seen);
            } else {
                table.advance(Timestamp::from_nanos(START + now + 3_600_000_000_000), &mut seen);
            }
            (seen.heard, format!("{:?}", seen.facts), *table.counters())
        };
        prop_assert_eq!(run(None), run(Some(&steps)));
    }

    /// Nothing that can be written into a segment makes the table panic, or take more memory than it may.
    #[test]
    fn hostile_segments(lines in segments(200), held_segments in 0..20usize) {
        let limits = Limits { held_segments, held_bytes: 1500, held_memory: 4000, connections: 4, ..Limits::default() };
        let (mut seen, mut table) = (Seen::default(), Table::new(&limits));
        for (i, line) in lines.iter().enumerate() {
            table.handle(&line.segment(i as u64), &mut seen);
            prop_assert!(table.connections() <= 4);
            prop_assert!(table.held_memory() <= 4000);
        }
        table.finish(&mut seen);
        prop_assert_eq!((table.connections(), table.held_memory()), (0, 0));
        prop_assert_eq!(seen.facts.len() as u64, table.connections_seen(), "each one is forgotten once");
    }
}

/// Segments of a few connections, near one another in the sequence space or anywhere in it.
fn segments(count: usize) -> impl Strategy<Value = Vec<Line>> {
    let number = || prop_oneof![8 => 0u32..120, 1 => any::<u32>(), 2 => (0u32..90).prop_map(|below| u32::MAX - below)];
    let flags = prop_oneof![
        12 => Just(Flags::ACK),
        2 => Just(Flags::SYN),
        2 => Just(Flags::SYN | Flags::ACK),
        2 => Just(Flags::FIN | Flags::ACK),
        1 => Just(Flags::RST | Flags::ACK),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![3 => 0..40usize, 1 => Just(0), 1 => 1000..1500usize];
    let length = prop_oneof![8 => Just(None), 1 => any::<u32>().prop_map(Some), 2 => (0u32..80).prop_map(Some)];
    let time = prop_oneof![6 => 0u64..3_000_000, 1 => 0u64..90_000_000];
    let options =
        prop_oneof![4 => Just(Vec::new()), 1 => Just(vec![3, 3, 7]), 1 => prop::collection::vec(any::<u8>(), 0..40)];
    let line = (any::<bool>(), flags, number(), number(), payload, length, time, 0u16..5, options, 0u16..3).prop_map(
        |(client, flags, seq, ack, payload, length, time, port, options, window)| Line {
            seq,
            ack,
            window: window * 200,
            payload: vec![seq as u8; payload],
            length: length.unwrap_or(payload as u32),
            options,
            port,
            ip_id: time as u16 % 3,
            ..Line::new(time, if client { Side::Originator } else { Side::Responder }, flags)
        },
    );
    prop::collection::vec(line, 1..count).prop_map(|mut lines| {
        let mut now = 0;
        for line in &mut lines {
            now += line.nanos;
            line.nanos = now;
        }
        lines
    })
}
