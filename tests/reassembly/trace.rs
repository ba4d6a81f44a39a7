//! Packet traces as text, and what a listener hears of them.
//!
//! One packet a line: milliseconds, direction (`>` from the client, `<` from the server), flags as tcpdump prints them,
//! then words in any order:
//!
//!     0    >  S   seq 0                   sequence numbers count from each side's SYN
//!     0.1  <  S.  seq 0 ack 1
//!     0.2  >  .   seq 1 ack 1 "GET /"     payload
//!
//! `len N` payload of N bytes, `cut N` of which only N were captured, `win N`, `id N` (IP identification; else every
//! packet has its own), `ts N` (TCP timestamp), `ttl N`, `mss N`, `scale N`, `port N` (of the client), `swap` (the client
//! listens on the lower port), `isn N` (from here on this side's sequence numbers count from another SYN).

use std::net::Ipv4Addr;

use wsflow::limits::Limits;
use wsflow::packet::{InterfaceId, Moment, PacketNumber};
use wsflow::stream::{Side, StreamEvent};
use wsflow::tcp::{Connection, ConnectionFacts, Counters, HalfFacts, Listener, SeqNumber, Table};
use wsflow::time::Timestamp;
use wsflow::wire::{Endpoint, Ends, Flags, Segment};

/// The beginning of a connection: three packets in the first millisecond.
pub const HANDSHAKE: &str = "
    0    >  S   seq 0 mss 1460 scale 7
    0.1  <  S.  seq 0 ack 1 mss 1400 scale 7
    0.2  >  .   seq 1 ack 1
";

/// When a trace begins, in nanoseconds.
pub const START: u64 = 1_700_000_000_000_000_000;

/// One packet of a trace, with the bytes that a [`Segment`] borrows.
#[derive(Clone, Debug)]
pub struct Line {
    pub nanos: u64,
    pub side: Side,
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
    pub payload: Vec<u8>,
    pub length: u32,
    pub options: Vec<u8>,
    pub ttl: u8,
    pub ip_id: u16,
    pub port: u16,
    pub interface: u32,
}

impl Line {
    pub fn new(nanos: u64, side: Side, flags: u8) -> Line {
        Line {
            nanos,
            side,
            flags,
            seq: 0,
            ack: 0,
            window: 501,
            payload: Vec::new(),
            length: 0,
            options: Vec::new(),
            ttl: 64,
            ip_id: 0,
            port: 40_000,
            interface: 1,
        }
    }

    pub fn segment(&self, number: u64) -> Segment<'_> {
        let client = Endpoint { ip: Ipv4Addr::new(10, 0, 0, 1).into(), port: self.port };
        let server = Endpoint { ip: Ipv4Addr::new(10, 0, 0, 2).into(), port: 8080 };
        let (source, destination) = match self.side {
            Side::Originator => (client, server),
            Side::Responder => (server, client),
        };
        Segment {
            moment: Moment { at: Timestamp::from_nanos(START + self.nanos), packet: PacketNumber(number) },
            ends: Ends::new(source, destination),
            seq: SeqNumber(self.seq),
            ack: SeqNumber(self.ack),
            flags: Flags(self.flags),
            window: self.window,
            raw_options: &self.options,
            payload: &self.payload,
            payload_length: self.length,
            ttl: self.ttl,
            ip_id: self.ip_id,
            interface: InterfaceId(self.interface),
        }
    }
}

/// Reads a trace whose SYNs have these sequence numbers.
pub fn parse(text: &str, mut isn: [u32; 2]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (number, text) in text.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        let mut words = text.split_whitespace();
        let nanos = (words.next().unwrap().parse::<f64>().unwrap() * 1e6).round() as u64;
        let side = if words.next() == Some(">") { Side::Originator } else { Side::Responder };
        let flags = words.next().unwrap().chars().map(|flag| match flag {
            'S' => Flags::SYN,
            'F' => Flags::FIN,
            'R' => Flags::RST,
            'P' => Flags::PSH,
            '.' => Flags::ACK,
            other => panic!("{other} is no flag: {text}"),
        });
        let mut line = Line { ip_id: 1000 + number as u16, ..Line::new(nanos, side, flags.sum()) };
        let mine = usize::from(side == Side::Responder);
        let (mut seq, mut ack, mut cut) = (0, 0, None);
        while let Some(word) = words.next() {
            if let Some(payload) = word.strip_prefix('"') {
                line.payload = payload.strip_suffix('"').unwrap().as_bytes().to_vec();
                line.length = line.payload.len() as u32;
                continue;
            }
            let mut value = || words.next().unwrap().parse::<u32>().unwrap();
            match word {
                "seq" => seq = value(),
                "ack" => ack = value(),
                "win" => line.window = value() as u16,
                "len" => line.length = value(),
                "cut" => cut = Some(value()),
                "id" => line.ip_id = value() as u16,
                "ttl" => line.ttl = value() as u8,
                "port" => line.port = value() as u16,
                "if" => line.interface = value(),
                "isn" => isn[mine] = value(),
                "mss" => line.options.extend([&[2, 4][..], &(value() as u16).to_be_bytes()].concat()),
                "scale" => line.options.extend([3, 3, value() as u8]),
                "ts" => line.options.extend([&[8, 10][..], &value().to_be_bytes(), &[0; 4]].concat()),
                other => panic!("{other} is no word: {text}"),
            }
        }
        line.seq = isn[mine].wrapping_add(seq);
        line.ack = isn[1 - mine].wrapping_add(ack);
        if line.payload.is_empty() && line.length > 0 {
            line.payload = vec![b'x'; cut.unwrap_or(line.length) as usize];
        } else if let Some(cut) = cut {
            line.payload.truncate(cut as usize);
        }
        lines.push(line);
    }
    lines
}

/// What was heard of a trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// One line for each call, with the milliseconds of its moment where that says something.
    pub log: Vec<String>,
    /// The streams, `~` for each missing byte of a gap that is not huge, by connection and side.
    pub streams: Vec<[Vec<u8>; 2]>,
    /// How long the streams are.
    pub lengths: Vec<[u64; 2]>,
}

/// The last look at each connection.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub heard: Heard,
    pub facts: Vec<ConnectionFacts>,
    pub counters: Counters,
}

impl Seen {
    pub fn client(&self) -> &HalfFacts {
        &self.facts[0].halves.originator
    }

    pub fn server(&self) -> &HalfFacts {
        &self.facts[0].halves.responder
    }

    pub fn stream(&self, side: Side) -> &str {
        std::str::from_utf8(&self.heard.streams[0][usize::from(side == Side::Responder)]).unwrap()
    }

    /// The log without the packets' times.
    pub fn log(&self) -> String {
        self.heard.log.iter().map(|line| line.split(" @").next().unwrap()).collect::<Vec<_>>().join("\n")
    }
}

impl Seen {
    fn id(&mut self, connection: &Connection) -> usize {
        let index = connection.id().0 as usize - 1;
        let count = self.heard.streams.len().max(index + 1);
        self.heard.streams.resize(count, Default::default());
        self.heard.lengths.resize(count, [0; 2]);
        index
    }

    fn note(&mut self, connection: &Connection, what: &str, at: Timestamp) {
        let millis = at.as_nanos().wrapping_sub(START) as i64 as f64 / 1e6;
        self.heard.log.push(format!("{} {what} @{millis}", connection.id().0));
    }
}

impl Listener for Seen {
    type Stream = u64;

    fn opened(&mut self, connection: &Connection, stream: &mut u64, moment: Moment) {
        *stream = connection.id().0;
        self.id(connection);
        self.note(connection, "opened", moment.at);
    }

    fn established(&mut self, connection: &Connection, stream: &mut u64, moment: Moment) {
        assert_eq!(*stream, connection.id().0);
        self.note(connection, "up", moment.at);
    }

    fn stream(
        &mut self,
        connection: &Connection,
        stream: &mut u64,
        side: Side,
        moment: Moment,
        event: StreamEvent<'_>,
    ) {
        assert_eq!(*stream, connection.id().0);
        assert!(connection.established_seen());
        let id = self.id(connection);
        let side_index = usize::from(side == Side::Responder);
        let bytes = &mut self.heard.streams[id][side_index];
        self.heard.lengths[id][side_index] += match event {
            StreamEvent::Data(data) => data.len() as u64,
            StreamEvent::Gap(length, _) => length,
            StreamEvent::Finished | StreamEvent::Reset => 0,
        };
        let what = match event {
            StreamEvent::Data(data) => {
                assert!(!data.is_empty());
                bytes.extend(data);
                format!("{:?}", String::from_utf8_lossy(data))
            }
            StreamEvent::Gap(length, cause) => {
                assert!(length > 0);
                bytes.extend(std::iter::repeat_n(b'~', length.min(10_000) as usize));
                format!("gap {length} {cause:?}")
            }
            StreamEvent::Finished => "finished".to_owned(),
            StreamEvent::Reset => "reset".to_owned(),
        };
        let arrow = if side == Side::Originator { '>' } else { '<' };
        self.note(connection, &format!("{arrow} {what}"), moment.at);
    }

    fn ended(&mut self, connection: &Connection, _stream: &mut u64, moment: Moment) {
        self.note(connection, "ended", moment.at);
    }

    fn forgotten(&mut self, connection: Connection, stream: u64, now: Timestamp) {
        assert_eq!(stream, connection.id().0);
        self.note(&connection, "forgotten", now);
        let facts = connection.facts();
        for side in Side::BOTH {
            let bytes = self.heard.lengths[stream as usize - 1][usize::from(side == Side::Responder)];
            assert_eq!(facts.halves[side].bytes, bytes, "facts and stream agree");
            assert!(facts.halves[side].acknowledged <= bytes);
        }
        self.facts.push(facts);
    }
}

/// Plays lines through a table.
pub fn play(lines: &[Line], limits: &Limits) -> Seen {
    let mut seen = Seen::default();
    let mut table = Table::new(limits);
    for (number, line) in lines.iter().enumerate() {
        table.handle(&line.segment(number as u64 + 1), &mut seen);
    }
    table.finish(&mut seen);
    assert_eq!(table.connections(), 0);
    assert_eq!(table.held_memory(), 0);
    seen.counters = *table.counters();
    seen
}

/// Plays a trace, with SYNs at several places of the sequence space: it must not matter.
pub fn trace_with(text: &str, limits: &Limits) -> Seen {
    let mut first: Option<Seen> = None;
    for isn in [[0, 0], [u32::MAX, u32::MAX - 2], [u32::MAX - 5, 7], [0x7FFF_FFF0, 0x8000_0000]] {
        let seen = play(&parse(text, isn), limits);
        match &first {
            Some(first) => assert_eq!(first.heard, seen.heard, "the initial sequence numbers {isn:?} matter"),
            None => first = Some(seen),
        }
    }
    first.unwrap()
}

/// The same with the usual limits.
pub fn trace(text: &str) -> Seen {
    trace_with(text, &Limits::default())
}

/// A handshake, then this.
pub fn after_handshake(text: &str) -> Seen {
    trace(&format!("{HANDSHAKE}{text}"))
}
