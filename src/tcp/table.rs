//! All connections that are being followed.

use foldhash::fast::RandomState;

use crate::limits::Limits;
use crate::packet::Moment;
use crate::stream::Side;
use crate::tcp::connection::Connection;
use crate::tcp::deadlines::{Deadline, Due};
use crate::tcp::eviction::{Candidate, Candidates};
use crate::tcp::places::Places;
use crate::tcp::reception::{Reception, Shared};
use crate::tcp::slab::Slab;
use crate::tcp::tuple::Key;
use crate::tcp::{ConnectionId, Listener};
use crate::time::Timestamp;
use crate::wire::{Endpoint, Ends, Flags, IcmpError, Segment};

/// What the table saw, and which bounds it reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Packets that the capture holds twice.
    pub duplicates: u64,
    /// Segments that belong to no connection, or make no sense in theirs.
    pub strays: u64,
    /// Segments that came too late to be of use.
    pub late: u64,
    /// Sequence or acknowledgment numbers far outside of their connection.
    pub out_of_window: u64,
    /// RSTs that no receiver would believe.
    pub invalid_resets: u64,
    /// Bytes that the capture lacks.
    pub gap_bytes: u64,
    /// Bytes that the snap length cut off.
    pub cut_bytes: u64,
    /// Holes given up: too many segments waited.
    pub held_segments: u64,
    /// Holes given up: too many bytes waited.
    pub held_bytes: u64,
    /// Holes given up: too many bytes waited on all connections together.
    pub held_memory: u64,
    /// Holes given up: they were open for too long.
    pub held_time: u64,
    /// Connections forgotten soon after their end, because room was needed.
    pub evicted_ended: u64,
    /// Connections forgotten that had been silent for long, because room was needed.
    pub evicted_idle: u64,
    /// Connections forgotten that were in use, because room was needed.
    pub evicted_active: u64,
}

/// A connection, and what the listener keeps of it.
#[repr(C)] // so that what the listener needs for every packet stands beside what the table needs
struct Slot<S> {
    stream: S,
    connection: Connection,
}

impl<S: Default> Slot<S> {
    fn new(connection: Connection) -> Slot<S> {
        Slot { connection, stream: S::default() }
    }

    /// No connection has the number 0.
    fn vacant() -> Slot<S> {
        Slot::new(Connection::new(ConnectionId(0), Key::V4(0, 0), true, Moment::default()))
    }

    fn is_vacant(&self) -> bool {
        self.connection.id() == ConnectionId(0)
    }
}

/// All connections that are being followed, each with a value of the listener's.
pub struct Table<S> {
    slots: Slab<Slot<S>>,
    places: Places,
    seed: RandomState,
    /// The connection of the last segment: packets come in trains.
    recent: u32,
    shared: Shared,
    candidates: Candidates,
    /// Numbers given so far.
    serial: u64,
}

impl<S: Default> Table<S> {
    /// Places are numbered with 32 bits, and the last number says that there is none.
    const MOST: usize = u32::MAX as usize - 1;

    /// With these bounds.
    pub fn new(limits: &Limits) -> Table<S> {
        Table {
            slots: Slab::new(),
            places: Places::new(),
            seed: RandomState::default(),
            recent: u32::MAX,
            shared: Shared::new(limits),
            candidates: Candidates::default(),
            serial: 0,
        }
    }

    /// Takes the next segment.
    #[inline]
    pub fn handle<L: Listener<Stream = S>>(&mut self, segment: &Segment<'_>, listener: &mut L) {
        self.advance(segment.moment.at, listener);
        let (key, source_is_lower) = Key::of(&segment.ends);
        let Some(index) = self.find(&key) else {
            return self.begin(key, source_is_lower, segment, listener);
        };
        self.recent = index;
        let Slot { connection, stream } = &mut self.slots[index];
        let side = connection.side(source_is_lower);
        if (segment.flags.has(Flags::SYN) || connection.has_ended()) && connection.is_replaced_by(side, segment) {
            self.forget(index, listener);
            return self.begin(key, source_is_lower, segment, listener);
        }
        Reception { index, connection, stream, shared: &mut self.shared, listener }.segment(side, segment);
    }

    /// Takes an ICMP error.
    pub fn icmp<L: Listener<Stream = S>>(&mut self, error: &IcmpError, listener: &mut L) {
        self.advance(error.moment.at, listener);
        let (key, _) = Key::of(&Ends::new(error.source, error.destination));
        match self.find(&key) {
            Some(index) => self.slots[index].connection.rare_mut().odd_mut().note_icmp(error),
            None => self.shared.counters.strays += 1,
        }
    }

    /// Time goes by: whatever is due by `now` happens.
    #[inline]
    pub fn advance<L: Listener<Stream = S>>(&mut self, now: Timestamp, listener: &mut L) {
        if now > self.shared.now {
            while let Some(deadline) = self.shared.deadlines.pop(now) {
                self.fire(deadline, listener);
            }
            self.shared.now = self.shared.now.max(now);
        }
    }

    /// The capture is over: what waits is told, and every connection is forgotten, in order of its number.
    pub fn finish<L: Listener<Stream = S>>(&mut self, listener: &mut L) {
        for place in self.places() {
            self.finish_one(place, listener);
        }
    }

    /// Where all connections are that are being followed, in order of their numbers.
    pub fn places(&self) -> Vec<Place> {
        let mut all = Vec::with_capacity(self.connections());
        all.extend(self.live().map(|(index, _)| Place(index)));
        all.sort_unstable_by_key(|place| self.slots[place.0].connection.id());
        all
    }

    /// The capture is over for one connection: what waits is told, and it is forgotten.
    pub fn finish_one<L: Listener<Stream = S>>(&mut self, Place(index): Place, listener: &mut L) {
        if self.slots.get(index).is_some_and(|slot| !slot.is_vacant()) {
            self.forget(index, listener);
        }
    }

    /// Connections that are being followed now, those that ended a moment ago included.
    pub fn connections(&self) -> usize {
        self.places.len()
    }

    /// Connections that are being followed now, in no useful order.
    pub fn iter(&self) -> impl Iterator<Item = (&Connection, &S)> {
        self.live().map(|(_, slot)| (&slot.connection, &slot.stream))
    }

    /// The connection between these two that is being followed now.
    pub fn connection(&self, one: &Endpoint, other: &Endpoint) -> Option<&Connection> {
        let (key, _) = Key::of(&Ends::new(*one, *other));
        self.find(&key).map(|index| &self.slots[index].connection)
    }

    /// Connections seen so far.
    pub fn connections_seen(&self) -> u64 {
        self.serial
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Memory that is taken by bytes which wait for a hole to fill, in bytes.
    pub fn held_memory(&self) -> usize {
        self.shared.held_memory
    }

    /// Packets that the capture holds twice.
    pub fn duplicates(&self) -> u64 {
        self.shared.counters.duplicates
    }

    /// Bounds that were reached at the cost of something: which, how often.
    pub fn bounds(&self) -> Vec<(&'static str, u64)> {
        let counters = &self.shared.counters;
        let all = [
            ("silent TCP connections forgotten", counters.evicted_idle),
            ("active TCP connections forgotten", counters.evicted_active),
            ("TCP holes given up: segments", counters.held_segments),
            ("TCP holes given up: bytes", counters.held_bytes),
            ("TCP holes given up: memory", counters.held_memory),
            ("TCP holes given up: time", counters.held_time),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    fn live(&self) -> impl Iterator<Item = (u32, &Slot<S>)> {
        self.slots.iter().filter(|(_, slot)| !slot.is_vacant())
    }

    #[inline]
    fn find(&self, key: &Key) -> Option<u32> {
        // A vacant place has a key that no segment has: both ports are 0 at one address 0.
        if self.slots.get(self.recent).is_some_and(|slot| slot.connection.is_between(key)) {
            return Some(self.recent);
        }
        self.look_up(key)
    }

    #[inline]
    fn look_up(&self, key: &Key) -> Option<u32> {
        self.places.find(key.hash(&self.seed), |index| self.slots[index].connection.is_between(key))
    }

    /// The first segment of a connection, if it is one that can begin one.
    #[cold]
    fn begin<L: Listener<Stream = S>>(
        &mut self,
        key: Key,
        source_is_lower: bool,
        segment: &Segment<'_>,
        listener: &mut L,
    ) {
        let Some(beginning) = Beginning::of(segment) else {
            self.shared.counters.strays += 1;
            return;
        };
        self.make_room(listener);
        self.serial += 1;
        let side = beginning.side(segment);
        let originator_is_lower = (side == Side::Originator) == source_is_lower;
        let mut connection = Connection::new(ConnectionId(self.serial), key, originator_is_lower, segment.moment);
        match beginning {
            Beginning::Syn => connection.set(Connection::SYN_FIRST),
            Beginning::SynAck => {}
            Beginning::MidStream => connection.set(Connection::UP),
        }
        let index = self.slots.insert(Slot::new(connection));
        self.places.insert(key.hash(&self.seed), index);
        self.recent = index;

        let mut reception = self.reception(index, listener);
        reception.listener.opened(reception.connection, reception.stream, segment.moment);
        if let Beginning::MidStream = beginning {
            reception.listener.established(reception.connection, reception.stream, segment.moment);
        }
        reception.segment(side, segment);
    }

    fn reception<'a, L: Listener<Stream = S>>(&'a mut self, index: u32, listener: &'a mut L) -> Reception<'a, L> {
        let Slot { connection, stream } = &mut self.slots[index];
        Reception { index, connection, stream, shared: &mut self.shared, listener }
    }

    #[cold]
    fn fire<L: Listener<Stream = S>>(&mut self, deadline: Deadline, listener: &mut L) {
        self.shared.now = self.shared.now.max(deadline.at);
        if !self.is_at(deadline.id, deadline.index) {
            return;
        }
        match deadline.due {
            Due::Forget => self.forget(deadline.index, listener),
            Due::AcknowledgedAhead(_) | Due::Hole(_) => self.reception(deadline.index, listener).fire(deadline),
        }
    }

    /// Whether a connection still is where it was.
    fn is_at(&self, id: ConnectionId, index: u32) -> bool {
        self.slots[index].connection.id() == id
    }

    /// Forgets one connection if there are as many as may be: one that has ended, else the one that was silent longest.
    fn make_room<L: Listener<Stream = S>>(&mut self, listener: &mut L) {
        if self.places.len() < self.shared.limits.connections.clamp(1, Self::MOST) {
            return;
        }
        while let Some(deadline) = self.shared.deadlines.pop_ended() {
            if self.is_at(deadline.id, deadline.index) {
                self.shared.counters.evicted_ended += 1;
                return self.forget(deadline.index, listener);
            }
        }
        let Some(candidate) = self.longest_silent() else { return };
        if self.shared.now.since(candidate.last) >= self.shared.limits.idle {
            self.shared.counters.evicted_idle += 1;
        } else {
            self.shared.counters.evicted_active += 1;
        }
        self.forget(candidate.index, listener);
    }

    fn longest_silent(&mut self) -> Option<Candidate> {
        for _ in 0..2 {
            while let Some(candidate) = self.candidates.pop() {
                let connection = &self.slots[candidate.index].connection;
                if connection.id() == candidate.id && connection.last().at == candidate.last {
                    return Some(candidate);
                }
            }
            self.candidates.collect(
                self.slots.iter().filter(|(_, slot)| !slot.is_vacant()).map(|(index, slot)| Candidate {
                    last: slot.connection.last().at,
                    id: slot.connection.id(),
                    index,
                }),
            );
        }
        None
    }

    fn forget<L: Listener<Stream = S>>(&mut self, index: u32, listener: &mut L) {
        let mut reception = self.reception(index, listener);
        for side in Side::BOTH {
            reception.flush(side);
        }
        for side in Side::BOTH {
            reception.discard(side);
        }
        self.places.remove(self.slots[index].connection.key().hash(&self.seed), index);
        let Slot { connection, stream } = self.slots.remove(index, Slot::vacant());
        listener.forgotten(connection, stream, self.shared.now);
    }
}

/// Where a connection is, until it is forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(u32);

/// How a connection begins for us.
#[derive(Clone, Copy)]
enum Beginning {
    Syn,
    SynAck,
    /// It was open before the capture began.
    MidStream,
}

impl Beginning {
    /// What a segment begins. Only payload shows that a connection was open before: FIN, RST and ACK alone are the last
    /// words of one that nothing will be said of.
    fn of(segment: &Segment<'_>) -> Option<Beginning> {
        let flags = segment.flags;
        if flags.has(Flags::RST) {
            None
        } else if flags.has(Flags::SYN) {
            Some(if flags.has(Flags::ACK) { Beginning::SynAck } else { Beginning::Syn })
        } else {
            (flags.has(Flags::ACK) && segment.payload_length > 0).then_some(Beginning::MidStream)
        }
    }

    /// Which side sent its first segment. In mid-stream it is a guess: servers have the lower port.
    fn side(self, segment: &Segment<'_>) -> Side {
        match self {
            Beginning::Syn => Side::Originator,
            Beginning::SynAck => Side::Responder,
            Beginning::MidStream if segment.ends.ports[0] < segment.ends.ports[1] => Side::Responder,
            Beginning::MidStream => Side::Originator,
        }
    }
}
