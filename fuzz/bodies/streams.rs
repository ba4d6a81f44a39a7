//! Bodies of what reads streams: reassembly, HTTP, WebSocket.

use std::net::Ipv4Addr;

use wsflow::h2;
use wsflow::http::{Dialogue, Event, HeadStore};
use wsflow::limits::Limits;
use wsflow::packet::{InterfaceId, Moment, PacketNumber, When};
use wsflow::stream::{GapCause, Role, Side, StreamEvent};
use wsflow::tcp::{Connection, Listener, SeqNumber, Table};
use wsflow::time::Timestamp;
use wsflow::wire::{Endpoint, Ends, Flags, Segment};
use wsflow::ws::facts::DirectionFacts;
use wsflow::ws::message::{FrameListener, Message, SHORT_TEXT};
use wsflow::ws::{Agreed, Decoder, DeflateDirection, Scratch};

/// The input is segments of one connection, seven bytes each: TCP flags (the highest bit: sent by the responder), the
/// sequence number, the acknowledgment (two bytes each), the length of the payload, the time since the segment before in
/// units of 100 ms. Payload is made so that each byte tells its sequence number: what comes out must be in order.
pub fn reassembly(mut data: &[u8]) {
    let limits = Limits { held_segments: 8, ..Limits::default() };
    let mut table = Table::new(&limits);
    let mut order = Order::default();
    let (mut now, mut number) = (0, 0);
    while let Some(([flags, a, b, c, d, length, time], rest)) = data.split_first_chunk::<7>() {
        let seq = u32::from(u16::from_be_bytes([*a, *b]));
        let payload: Vec<u8> =
            (0..u32::from(*length)).map(|index| told_by(seq + u32::from(flags & 2 != 0) + index)).collect();
        now += u64::from(*time) * 100_000_000;
        number += 1;
        let end = |last, port| Endpoint { ip: Ipv4Addr::new(192, 0, 2, last).into(), port };
        let (client, server) = (end(1, 40_000), end(2, 80));
        let (source, destination) = if flags & 0x80 == 0 { (client, server) } else { (server, client) };
        table.handle(
            &Segment {
                moment: Moment { at: Timestamp::from_nanos(now), packet: PacketNumber(number) },
                ends: Ends::new(source, destination),
                seq: SeqNumber(seq),
                ack: SeqNumber(u32::from(u16::from_be_bytes([*c, *d]))),
                flags: Flags(flags & 0x3F),
                window: 1000,
                raw_options: &[],
                payload: &payload,
                payload_length: u32::from(*length),
                ttl: 64,
                ip_id: number as u16,
                interface: InterfaceId(0),
            },
            &mut order,
        );
        assert!(table.held_memory() <= 8 * 2 * (255 + 64), "no more waits than may");
        data = rest;
    }
    table.finish(&mut order);
}

/// The byte that stands at a sequence number.
fn told_by(seq: u32) -> u8 {
    seq as u8
}

/// Hears whether bytes come in order.
#[derive(Default)]
struct Order {
    /// The byte that must come next, of each connection and side.
    next: std::collections::HashMap<(u64, Side), u8>,
}

impl Listener for Order {
    type Stream = ();

    fn opened(&mut self, _: &Connection, (): &mut (), _: Moment) {}
    fn established(&mut self, _: &Connection, (): &mut (), _: Moment) {}
    fn ended(&mut self, _: &Connection, (): &mut (), _: Moment) {}
    fn forgotten(&mut self, _: Connection, (): (), _: Timestamp) {}

    fn stream(&mut self, connection: &Connection, (): &mut (), side: Side, _: Moment, event: StreamEvent<'_>) {
        let place = (connection.id().0, side);
        match event {
            StreamEvent::Data(bytes) => {
                for &byte in bytes {
                    let next = self.next.entry(place).or_insert(byte);
                    assert_eq!(*next, byte, "bytes come in order");
                    *next = byte.wrapping_add(1);
                }
            }
            StreamEvent::Gap(missing, _) => {
                if let Some(next) = self.next.get_mut(&place) {
                    *next = next.wrapping_add(missing as u8);
                }
            }
            StreamEvent::Finished | StreamEvent::Reset => {}
        }
    }
}

/// Splits the input into steps: a byte of flags, a length of one byte, the bytes.
fn steps(mut data: &[u8], mut step: impl FnMut(u8, &[u8])) {
    while let Some(([flags, length], rest)) = data.split_first_chunk() {
        let (bytes, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        step(*flags, bytes);
        data = rest;
    }
}

/// The input is steps. Flags: 1 the server, 2 as many bytes are missing, 8 this side ends.
pub fn http(data: &[u8]) {
    let mut heads = HeadStore::new(&Limits::default());
    for mut dialogue in [Dialogue::new(), Dialogue::mid_stream()] {
        let (mut given, mut told, mut number) = (0, 0, 0);
        steps(data, |flags, bytes| {
            let role = if flags & 1 == 0 { Role::Client } else { Role::Server };
            number += 1;
            let moment = Moment { at: Timestamp::from_nanos(number), packet: PacketNumber(number) };
            let mut hear = |event: Event<'_>| {
                if let Event::Body(_, bytes) | Event::TunnelStream(_, _, StreamEvent::Data(bytes)) = event {
                    told += bytes.len();
                }
            };
            if flags & 2 != 0 && !bytes.is_empty() {
                let gap = StreamEvent::Gap(bytes.len() as u64, GapCause::NotCaptured);
                dialogue.handle(role, gap, moment, &mut heads, &mut hear);
            } else if !bytes.is_empty() {
                given += bytes.len();
                dialogue.handle(role, StreamEvent::Data(bytes), moment, &mut heads, &mut hear);
            }
            if flags & 8 != 0 {
                dialogue.handle(role, StreamEvent::Finished, moment, &mut heads, &mut hear);
            }
        });
        assert!(told <= given, "a body is part of what was sent");
    }
}

/// The input is steps, with flags as for [`http`]. Without gaps, single bytes must give the same as steps.
pub fn h2(data: &[u8]) {
    let limits = Limits { head_bytes: 256, head_fields: 8, early_bytes: 16, h2_streams: 4, ..Limits::default() };
    let limits = Limits { h2_table_bytes: 128, ..limits };
    let mut gaps = false;
    steps(data, |flags, _| gaps |= flags & 2 != 0);
    h2_told(data, &mut h2::Connection::mid_stream(&limits), usize::MAX);
    let whole = h2_told(data, &mut h2::Connection::new(&limits), usize::MAX);
    // Where frames are lost a segment tells where they begin again: then it matters how they are cut.
    if !gaps && whole.3.is_some() {
        assert_eq!(whole, h2_told(data, &mut h2::Connection::new(&limits), 1));
    }
}

/// Bytes that were told, requests, ends of streams, and whether frames were in sync all along.
fn h2_told(data: &[u8], connection: &mut h2::Connection, most: usize) -> (usize, u32, usize, Option<()>) {
    let (mut given, mut told, mut ends, mut number) = (0, 0, 0, 0);
    steps(data, |flags, bytes| {
        let role = if flags & 1 == 0 { Role::Client } else { Role::Server };
        number += 1;
        let moment = Moment { at: Timestamp::from_nanos(number), packet: PacketNumber(number) };
        let mut hear = |event: h2::Event<'_>| match event {
            h2::Event::Body(_, bytes)
            | h2::Event::TunnelStream(_, _, _, StreamEvent::Data(bytes))
            | h2::Event::Unknown(_, _, _, StreamEvent::Data(bytes)) => told += bytes.len(),
            h2::Event::End(..) => ends += 1,
            _ => {}
        };
        if flags & 2 != 0 && !bytes.is_empty() {
            let gap = StreamEvent::Gap(bytes.len() as u64, GapCause::NotCaptured);
            connection.handle(role, gap, moment, &mut hear);
        } else {
            given += bytes.len();
            for piece in bytes.chunks(most) {
                connection.handle(role, StreamEvent::Data(piece), moment, &mut hear);
            }
        }
        if flags & 8 != 0 {
            connection.handle(role, StreamEvent::Finished, moment, &mut hear);
        }
    });
    assert!(told <= given, "what is told was sent");
    let in_sync = connection.unread(Role::Client) + connection.unread(Role::Server) == 0 && given > 0;
    (told, connection.requests(), ends, in_sync.then_some(()))
}

/// The input is a byte of flags (1 the server, 2 permessage-deflate, 4 without context takeover, 8 the handshake was not
/// seen), then steps. Flags of a step: 2 as many bytes are missing. Without gaps, single bytes must give the same as steps.
pub fn ws(data: &[u8]) {
    let Some((&flags, data)) = data.split_first() else { return };
    let role = if flags & 1 == 0 { Role::Client } else { Role::Server };
    let deflate = (flags & 2 != 0).then_some(DeflateDirection { no_context_takeover: flags & 4 != 0 });
    let agreed = Agreed { deflate, handshake_seen: flags & 8 == 0 };
    let (whole, gaps) = decode(role, agreed, data, usize::MAX);
    if gaps == 0 && agreed.handshake_seen {
        let (single, _) = decode(role, agreed, data, 1);
        assert_eq!(format!("{whole:?}"), format!("{single:?}"));
    }
}

/// Decodes in pieces of at most so many bytes. Also how many gaps there were.
fn decode(role: Role, agreed: Agreed, data: &[u8], most: usize) -> (DirectionFacts, usize) {
    let mut decoder = Decoder::new(role, agreed);
    let mut scratch = Scratch::new(&Limits::default());
    let (mut bounded, mut gaps) = (Bounded, 0);
    let moment = Moment { at: Timestamp::ZERO, packet: PacketNumber(1) };
    steps(data, |flags, bytes| {
        if flags & 2 != 0 && !bytes.is_empty() {
            gaps += 1;
            decoder.gap(bytes.len() as u64, When::new(moment, moment), &mut scratch, &mut bounded);
            return;
        }
        for piece in bytes.chunks(most) {
            decoder.handle(piece, When::new(moment, moment), &mut scratch, &mut bounded);
        }
    });
    decoder.finish(moment, &mut scratch, &mut bounded);
    (decoder.facts(moment), gaps)
}

/// Wants short previews, and gets no longer ones.
struct Bounded;

impl FrameListener for Bounded {
    fn preview(&self) -> usize {
        SHORT_TEXT
    }

    fn message(&mut self, message: Message<'_>) {
        assert!(message.preview.len() <= SHORT_TEXT, "a preview is a beginning");
        assert!(message.holes || message.preview.len() as u64 <= message.bytes, "and no more than there is");
    }
}
