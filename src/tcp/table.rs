//! All connections that are being followed. First version: plain, to be replaced by the compact one.

use std::collections::{BTreeMap, HashMap};

use crate::limits::Limits;
use crate::packet::Moment;
use crate::stream::{GapCause, Pair, Side, StreamEvent};
use crate::tcp::facts::{ConnectionFacts, End, EndKind};
use crate::tcp::{ConnectionId, Listener, SeqNumber};
use crate::time::Timestamp;
use crate::wire::{Endpoint, Flags, IcmpError, Segment};

/// A connection as the table sees it.
#[derive(Debug)]
pub struct Connection {
    facts: ConnectionFacts,
    next: Pair<Option<SeqNumber>>,
    held: Pair<BTreeMap<u64, (Moment, Vec<u8>)>>,
    base: Pair<u64>,
    established: bool,
    ended: bool,
    finished: Pair<Option<u64>>,
}

impl Connection {
    /// Its serial number.
    pub fn id(&self) -> ConnectionId {
        self.facts.id
    }

    /// One of its ends.
    pub fn endpoint(&self, side: Side) -> Endpoint {
        self.facts.endpoints[side]
    }

    /// Whether the capture saw its SYN or SYN-ACK.
    pub fn syn_seen(&self) -> bool {
        self.facts.syn.is_some() || self.facts.syn_ack.is_some()
    }

    /// Whether it came up, as far as was seen.
    pub fn established_seen(&self) -> bool {
        self.established
    }

    /// All that is known of it.
    pub fn facts(&self) -> ConnectionFacts {
        self.facts.clone()
    }
}

/// All connections that are being followed, each with a value of the listener's.
#[derive(Debug)]
pub struct Table<S> {
    connections: BTreeMap<u64, (Connection, S)>,
    index: HashMap<(Endpoint, Endpoint), u64>,
    last: u64,
}

impl<S: Default> Table<S> {
    /// With these bounds.
    pub fn new(_limits: &Limits) -> Self {
        Table { connections: BTreeMap::new(), index: HashMap::new(), last: 0 }
    }

    /// Takes the next segment.
    pub fn handle<L: Listener<Stream = S>>(&mut self, segment: &Segment<'_>, listener: &mut L) {
        let key = if segment.source <= segment.destination {
            (segment.source, segment.destination)
        } else {
            (segment.destination, segment.source)
        };
        let pure_syn = segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::ACK);
        if pure_syn
            && let Some(id) = self.index.get(&key)
            && self.connections.get(id).is_some_and(|(c, _)| c.ended)
            && let Some((connection, stream)) = self.connections.remove(id)
        {
            listener.forgotten(&connection, stream, segment.moment.at);
            self.index.remove(&key);
        }
        let id = *self.index.entry(key).or_insert_with(|| {
            self.last += 1;
            let syn_ack = segment.flags.has(Flags::SYN | Flags::ACK);
            let from_responder = syn_ack || (!pure_syn && segment.source.port < segment.destination.port);
            let endpoints = if from_responder {
                Pair { originator: segment.destination, responder: segment.source }
            } else {
                Pair { originator: segment.source, responder: segment.destination }
            };
            let connection = Connection {
                facts: ConnectionFacts::nothing(ConnectionId(self.last), endpoints, segment.moment),
                next: Pair::default(),
                held: Pair::default(),
                base: Pair::default(),
                established: false,
                ended: false,
                finished: Pair::default(),
            };
            let mut stream = S::default();
            listener.opened(&connection, &mut stream, segment.moment);
            self.connections.insert(self.last, (connection, stream));
            self.last
        });
        let Some((connection, stream)) = self.connections.get_mut(&id) else { return };
        let side =
            if connection.facts.endpoints.originator == segment.source { Side::Originator } else { Side::Responder };
        step(connection, stream, side, segment, listener);
    }

    /// Takes an ICMP error.
    pub fn icmp<L: Listener<Stream = S>>(&mut self, error: &IcmpError, _listener: &mut L) {
        let key = if error.source <= error.destination {
            (error.source, error.destination)
        } else {
            (error.destination, error.source)
        };
        if let Some((connection, _)) = self.index.get(&key).and_then(|id| self.connections.get_mut(id)) {
            connection.facts.icmp.push(*error);
        }
    }

    /// Time goes by.
    pub fn advance<L: Listener<Stream = S>>(&mut self, _now: Timestamp, _listener: &mut L) {}

    /// The capture is over.
    pub fn finish<L: Listener<Stream = S>>(&mut self, listener: &mut L) {
        for (_, (connection, stream)) in std::mem::take(&mut self.connections) {
            let now = connection.facts.last.at;
            listener.forgotten(&connection, stream, now);
        }
    }

    /// Packets that the capture holds twice.
    pub fn duplicates(&self) -> u64 {
        0
    }

    /// Connections seen.
    pub fn connections_seen(&self) -> u64 {
        self.last
    }

    /// Bounds that were reached.
    pub fn bounds(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

fn step<S, L: Listener<Stream = S>>(
    connection: &mut Connection,
    stream: &mut S,
    side: Side,
    segment: &Segment<'_>,
    listener: &mut L,
) {
    let moment = segment.moment;
    connection.facts.last = moment;
    connection.facts.halves[side].packets += 1;
    let syn = segment.flags.has(Flags::SYN);
    if syn {
        let slot =
            if segment.flags.has(Flags::ACK) { &mut connection.facts.syn_ack } else { &mut connection.facts.syn };
        if slot.is_some() {
            connection.facts.syn_retransmissions += u32::from(!segment.flags.has(Flags::ACK));
        } else {
            *slot = Some(moment);
        }
        connection.next[side] = Some(segment.seq.plus(1));
        return;
    }
    if segment.flags.has(Flags::RST) {
        if connection.facts.syn.is_some() && connection.facts.syn_ack.is_none() && side == Side::Responder {
            connection.facts.refused.get_or_insert(moment);
        }
        end(connection, side, EndKind::Rst, segment);
        listener.stream(connection, stream, side, moment, StreamEvent::Reset);
        if !connection.ended {
            connection.ended = true;
            listener.ended(connection, stream, moment);
        }
        return;
    }
    if !connection.established {
        connection.established = true;
        connection.facts.established = Some(moment);
        listener.established(connection, stream, moment);
    }
    let start = segment.seq;
    let next = *connection.next[side].get_or_insert(start);
    let base = connection.base[side] as i64;
    let offset = base + i64::from(segment.seq.distance(next));
    if segment.flags.has(Flags::FIN) {
        end(connection, side, EndKind::Fin, segment);
        connection.finished[side] = Some((offset + i64::from(segment.payload_length)).max(0) as u64);
    }
    if !segment.payload.is_empty() && offset + segment.payload.len() as i64 > base {
        let skip = (base - offset).max(0) as usize;
        let at = (offset + skip as i64) as u64;
        connection.held[side].entry(at).or_insert_with(|| (moment, segment.payload[skip..].to_vec()));
        connection.facts.halves[side].first_data.get_or_insert(moment);
        connection.facts.halves[side].last_data = Some(moment);
    } else if segment.payload_length > 1 {
        connection.facts.halves[side].retransmissions += 1;
    }
    if segment.payload_length as usize > segment.payload.len() {
        connection.facts.halves[side].cut_bytes += u64::from(segment.payload_length) - segment.payload.len() as u64;
    }
    deliver(connection, stream, side, segment.payload_length as usize > segment.payload.len(), listener);
    if connection.finished[side].is_some_and(|at| at <= connection.base[side]) {
        connection.finished[side] = Some(u64::MAX);
        listener.stream(connection, stream, side, moment, StreamEvent::Finished);
        let both = connection.finished.originator == Some(u64::MAX) && connection.finished.responder == Some(u64::MAX);
        if both && !connection.ended {
            connection.ended = true;
            listener.ended(connection, stream, moment);
        }
    }
}

fn end(connection: &mut Connection, side: Side, kind: EndKind, segment: &Segment<'_>) {
    if !connection.facts.ends.iter().any(|end| end.side == side && end.kind == kind) {
        connection.facts.ends.push(End { side, kind, moment: segment.moment, ttl: segment.ttl, ip_id: segment.ip_id });
    }
}

fn deliver<S, L: Listener<Stream = S>>(
    connection: &mut Connection,
    stream: &mut S,
    side: Side,
    cut: bool,
    listener: &mut L,
) {
    loop {
        let base = connection.base[side];
        let Some((&at, _)) = connection.held[side].first_key_value() else { return };
        let many = connection.held[side].len() > 3;
        if at > base && !many && !cut {
            return;
        }
        let Some((at, (moment, bytes))) = connection.held[side].pop_first() else { return };
        if at > base {
            connection.facts.halves[side].gap_bytes += at - base;
            listener.stream(connection, stream, side, moment, StreamEvent::Gap(at - base, GapCause::NotCaptured));
            advance(connection, side, at - base);
        }
        let skip = (connection.base[side] - at) as usize;
        if let Some(rest) = bytes.get(skip..)
            && !rest.is_empty()
        {
            listener.stream(connection, stream, side, moment, StreamEvent::Data(rest));
            connection.facts.halves[side].bytes += rest.len() as u64;
            advance(connection, side, rest.len() as u64);
        }
    }
}

fn advance(connection: &mut Connection, side: Side, bytes: u64) {
    connection.base[side] += bytes;
    connection.next[side] = connection.next[side].map(|next| next.plus(bytes as u32));
}
