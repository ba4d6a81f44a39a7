//! What one segment does to its connection.
//!
//! [`Reception`] has the connection and everybody who must hear of it in its hands while a segment, a deadline or the
//! end of the capture is dealt with. Here: the usual segment, duplicates, acknowledgments, windows. The rest stands beside
//! it: `handshake`, `reassembly`, `closing`.

use std::time::Duration;

use crate::limits::Limits;
use crate::packet::Moment;
use crate::stream::{Pair, Side, StreamEvent};
use crate::tcp::Listener;
use crate::tcp::connection::Connection;
use crate::tcp::deadlines::{Deadline, Deadlines, Due};
use crate::tcp::duplicates::Fingerprint;
use crate::tcp::flight::Flights;
use crate::tcp::half::{self, Half};
use crate::tcp::handshake::NEAR;
use crate::tcp::seq::SeqNumber;
use crate::tcp::table::Counters;
use crate::tcp::trouble::{Ahead, Trouble};
use crate::time::Timestamp;
use crate::wire::{Flags, Segment};

/// What all connections of a table share.
pub(super) struct Shared {
    /// The latest instant that is known.
    pub(super) now: Timestamp,
    pub(super) deadlines: Deadlines,
    pub(super) counters: Counters,
    /// What all held pieces weigh.
    pub(super) held_memory: usize,
    pub(super) limits: Limits,
}

impl Shared {
    pub(super) fn new(limits: &Limits) -> Shared {
        Shared {
            now: Timestamp::ZERO,
            deadlines: Deadlines::new(),
            counters: Counters::default(),
            held_memory: 0,
            limits: limits.clone(),
        }
    }
}

/// Further ahead of what is known than this, a sequence number has nothing to do with the connection.
pub(super) const FAR: i32 = 1 << 30;

/// An acknowledgment may be captured this much before the bytes that it is for: on another interface, or by another
/// queue of the same one.
const DISORDER: Duration = Duration::from_millis(1);

/// A connection, and everybody who must hear of it.
pub(super) struct Reception<'a, L: Listener> {
    pub(super) index: u32,
    pub(super) connection: &'a mut Connection,
    pub(super) stream: &'a mut L::Stream,
    pub(super) shared: &'a mut Shared,
    pub(super) listener: &'a mut L,
}

impl<L: Listener> Reception<'_, L> {
    /// Takes the next segment, sent by `side`.
    #[inline]
    pub(super) fn segment(&mut self, side: Side, segment: &Segment<'_>) {
        if self.is_usual(side, segment) { self.usual(side, segment) } else { self.any(side, segment) }
    }

    /// Whether it is a segment as nearly all are: in order, on a connection that is up and well.
    #[inline]
    fn is_usual(&self, side: Side, segment: &Segment<'_>) -> bool {
        let (half, peer) = self.halves(side);
        segment.flags.0 & (Flags::SYN | Flags::RST | Flags::FIN | Flags::ACK) == Flags::ACK
            && segment.seq == half.next
            && segment.window > 0
            && half.is_steady()
            && peer.is_steady()
            && self.connection.is_well()
    }

    /// Takes such a segment: what [`Reception::any`] comes to, with little to ask.
    #[inline]
    fn usual(&mut self, side: Side, segment: &Segment<'_>) {
        let print = Fingerprint::of(segment);
        let half = &mut self.connection.halves[side];
        if segment.payload_length == 0 && half.recent.contains(print) {
            return self.duplicated(side, print);
        }
        half.recent.push(print);
        half.vote(segment.ttl);
        half.window = segment.window;
        let overflow = half.count();
        self.connection.touch(segment.moment);
        if overflow {
            self.connection.trouble_mut(side).packets_carry += 1;
        }
        self.acknowledge(side.peer(), segment.ack, segment.moment);
        if segment.payload_length > 0 {
            self.data_in_order(side, segment);
        }
    }

    /// Takes any segment.
    #[inline(never)]
    fn any(&mut self, side: Side, segment: &Segment<'_>) {
        if self.is_duplicate(side, segment) {
            return;
        }
        self.note_packet(side, segment);
        let ack_alone = segment.flags.0 & (Flags::SYN | Flags::RST | Flags::ACK) == Flags::ACK;
        let ordinary = ack_alone && self.connection.is(Connection::UP);
        if !ordinary && !self.control(side, segment) {
            return;
        }
        self.window(side, segment);
        self.acknowledge(side.peer(), segment.ack, segment.moment);
        if self.connection.is(Connection::ENDED) {
            return self.after_the_end(side, segment);
        }
        if segment.payload_length > 0 {
            self.data(side, segment);
        } else if segment.seq != self.connection.halves[side].next {
            self.bare(side, segment);
        }
        if segment.flags.has(Flags::FIN) {
            self.fin(side, segment);
        }
    }

    /// SYN, RST, no ACK, or a connection that is not up yet. Returns whether the segment also is an ordinary one.
    #[cold]
    fn control(&mut self, side: Side, segment: &Segment<'_>) -> bool {
        if segment.flags.has(Flags::RST) {
            self.reset(side, segment);
            false
        } else if segment.flags.has(Flags::SYN) {
            self.syn(side, segment);
            false
        } else if !segment.flags.has(Flags::ACK) {
            // RFC 9293 §3.10.7.4: once there is a connection, a segment without ACK is dropped.
            self.shared.counters.strays += 1;
            false
        } else {
            self.connection.is(Connection::UP) || self.comes_up(side, segment)
        }
    }

    /// Whether the capture holds this packet already. What brings news cannot be a duplicate.
    fn is_duplicate(&mut self, side: Side, segment: &Segment<'_>) -> bool {
        let print = Fingerprint::of(segment);
        let half = &mut self.connection.halves[side];
        let new_bytes = segment.payload_length > 0 && segment.seq == half.next;
        if !new_bytes && half.recent.contains(print) {
            self.duplicated(side, print);
            return true;
        }
        if half.is(Half::DUPLICATED) {
            return self.is_older_duplicate(side, print, new_bytes);
        }
        half.recent.push(print);
        false
    }

    #[cold]
    fn is_older_duplicate(&mut self, side: Side, print: Fingerprint, new_bytes: bool) -> bool {
        let trouble = self.connection.trouble_mut(side);
        if !new_bytes && trouble.recent.contains(print) {
            self.duplicated(side, print);
            return true;
        }
        trouble.recent.push(print);
        self.connection.halves[side].recent.push(print);
        false
    }

    #[cold]
    fn duplicated(&mut self, side: Side, print: Fingerprint) {
        self.shared.counters.duplicates += 1;
        let half = &mut self.connection.halves[side];
        let known = half.recent;
        let first = !half.is(Half::DUPLICATED);
        half.flags |= Half::DUPLICATED;
        let trouble = self.connection.trouble_mut(side);
        trouble.duplicates = trouble.duplicates.saturating_add(1);
        if first {
            known.both().into_iter().filter(|recent| *recent != print).for_each(|recent| trouble.recent.push(recent));
            trouble.recent.push(print);
        }
    }

    fn note_packet(&mut self, side: Side, segment: &Segment<'_>) {
        let half = &mut self.connection.halves[side];
        let overflow = half.count();
        if !segment.flags.has(Flags::RST) {
            half.vote(segment.ttl);
        }
        self.connection.touch(segment.moment);
        if overflow {
            self.connection.trouble_mut(side).packets_carry += 1;
        }
        if let Some(rare) = &mut self.connection.rare
            && let Some(trouble) = &mut rare.halves[side.peer()]
        {
            trouble.unanswered = 0;
        }
    }

    /// The window that `side` offers.
    fn window(&mut self, side: Side, segment: &Segment<'_>) {
        let half = &mut self.connection.halves[side];
        half.window = segment.window;
        if (segment.window == 0) != half.is(Half::SHUT) {
            self.window_turns(side, segment.moment);
        }
    }

    #[cold]
    fn window_turns(&mut self, side: Side, moment: Moment) {
        let shuts = !self.connection.halves[side].is(Half::SHUT);
        // Who has received a FIN needs no window.
        if shuts && self.connection.halves[side.peer()].is(Half::FINISHED) {
            return;
        }
        self.connection.halves[side].flags ^= Half::SHUT;
        let trouble = self.connection.trouble_mut(side);
        if shuts {
            trouble.zero_window.count = trouble.zero_window.count.saturating_add(1);
            trouble.zero_window.first.get_or_insert(moment);
            trouble.shut_at = moment.at;
        } else {
            trouble.zero_window.add(moment.at.since(trouble.shut_at));
        }
    }

    /// The peer of `side` has received everything before `ack`.
    #[inline]
    pub(super) fn acknowledge(&mut self, side: Side, ack: SeqNumber, moment: Moment) {
        let half = &mut self.connection.halves[side];
        if half.is(Half::ACKED) && ack.distance(half.acked) <= 0 {
            return;
        }
        if ack == half.next && half.is_steady() && self.connection.flights.is_none() && self.connection.rare.is_none() {
            // One segment was in flight, if any, and has arrived.
            let before = std::mem::replace(&mut half.acked, ack);
            half.largest_acknowledged = half.largest_acknowledged.max(ack.distance(before) as u32);
            return;
        }
        self.acknowledge_any(side, ack, moment);
    }

    #[inline(never)]
    fn acknowledge_any(&mut self, side: Side, ack: SeqNumber, moment: Moment) {
        let half = &mut self.connection.halves[side];
        if half.flags & (Half::ACKED | Half::PINNED) != Half::ACKED | Half::PINNED {
            return self.first_acknowledgment(side, ack);
        }
        let ahead = ack.distance(half.next);
        if ahead > 0 && !self.is_credible(side, ack) {
            self.shared.counters.out_of_window += 1;
            return;
        }
        let half = &mut self.connection.halves[side];
        let before = std::mem::replace(&mut half.acked, ack);
        let end = half.end_of_data();
        if self.connection.flights.is_none() && ack.distance(end) >= 0 {
            // One segment was in flight, if any.
            half.largest_acknowledged = half.largest_acknowledged.max(end.distance(before).max(0) as u32);
        } else {
            self.acknowledge_flight(side, before, ack);
        }
        if self.connection.rare.is_some() || ahead > 0 {
            self.acknowledge_trouble(side, ack, ahead, moment);
        }
    }

    /// Whether an acknowledgment of bytes that were not captured may be true. Nobody can acknowledge more than it has
    /// offered to take, unless the capture missed that too: then the next acknowledgment is near this one.
    #[cold]
    fn is_credible(&mut self, side: Side, ack: SeqNumber) -> bool {
        let (half, peer) = self.halves(side);
        let step = ack.distance(half.acked);
        if i64::from(step) <= half::reach(half::window(peer, half)) {
            return true;
        }
        let doubted = self.trouble(side).doubted.replace(ack);
        step <= FAR && doubted.is_some_and(|doubted| ack.distance(doubted).unsigned_abs() <= NEAR as u32)
    }

    #[cold]
    fn first_acknowledgment(&mut self, side: Side, ack: SeqNumber) {
        let half = &mut self.connection.halves[side];
        half.acked = ack;
        half.flags |= Half::ACKED;
        if half.is(Half::PINNED) && half.outstanding() > 0 {
            // Nobody knows in how many segments.
            let (end, sent) = (half.end_of_data(), half.last_data);
            self.connection.flights.get_or_insert_default()[side].push(end, 0, sent);
        }
    }

    fn acknowledge_flight(&mut self, side: Side, before: SeqNumber, ack: SeqNumber) {
        let half = &mut self.connection.halves[side];
        let flights = self.connection.flights.get_or_insert_default();
        let flight = &mut flights[side];
        if flight.is_empty() {
            // One segment, acknowledged in part: it may be the sum of many that were sent.
            let end = half.end_of_data();
            flight.push(end, end.distance(before).max(0) as u32, half.last_data);
        }
        half.largest_acknowledged = half.largest_acknowledged.max(flight.acknowledge(ack));
        if flights.originator.is_empty() && flights.responder.is_empty() {
            self.connection.flights = None;
        }
    }

    fn acknowledge_trouble(&mut self, side: Side, ack: SeqNumber, ahead: i32, moment: Moment) {
        if let Some(rare) = &mut self.connection.rare
            && let Some(trouble) = &mut rare.halves[side]
        {
            trouble.recover(ack);
        }
        let open = self.connection.is(Connection::UP) && !self.connection.is(Connection::ENDED);
        // Of a side that never appears nothing is missed.
        if ahead > 0 && open && self.connection.halves[side].packets > 0 {
            self.acknowledged_ahead(side, Ahead { seq: ack, moment });
        }
    }

    /// The peer has bytes that the capture does not have, or not yet.
    pub(super) fn acknowledged_ahead(&mut self, side: Side, ahead: Ahead) {
        let trouble = self.connection.trouble_mut(side);
        trouble.ahead = Some([trouble.ahead.map_or(ahead, |[first, _]| first), ahead]);
        if !std::mem::replace(&mut trouble.ahead_timer, true) {
            self.set_deadline(Due::AcknowledgedAhead(side.into()), self.shared.now.plus(DISORDER));
        }
    }

    pub(super) fn set_deadline(&mut self, due: Due, at: Timestamp) {
        let deadline = Deadline { at, id: self.connection.id(), due, index: self.index };
        self.shared.deadlines.push(deadline);
    }

    /// A deadline has come.
    pub(super) fn fire(&mut self, deadline: Deadline) {
        match deadline.due {
            Due::AcknowledgedAhead(half) => self.wait_for_acknowledged(half.into(), deadline.at),
            Due::Hole(half) => self.wait_for_hole(half.into(), deadline.at),
            Due::Forget => {}
        }
    }

    fn wait_for_acknowledged(&mut self, side: Side, now: Timestamp) {
        self.connection.trouble_mut(side).ahead_timer = false;
        while let Some([first, last]) = self.connection.trouble_mut(side).ahead {
            let due = first.moment.at.plus(DISORDER);
            if due > now {
                self.connection.trouble_mut(side).ahead_timer = true;
                return self.set_deadline(Due::AcknowledgedAhead(side.into()), due);
            }
            self.lost(side, first);
            let caught_up = last.seq.distance(self.connection.halves[side].next) <= 0 || last.seq == first.seq;
            self.connection.trouble_mut(side).ahead = (!caught_up).then_some([last, last]);
        }
    }

    /// `side` sent `length` bytes that end at its `next`. To be called before its last data is noted.
    #[inline]
    pub(super) fn note_sent(&mut self, side: Side, end: SeqNumber, length: u32, moment: Moment) {
        let half = &self.connection.halves[side];
        if half.is(Half::ACKED) && half.acked != half.next && self.connection.halves[side.peer()].packets > 0 {
            self.note_flight(side, end, length, moment);
        }
    }

    /// The same when the half's last data will not tell of it.
    pub(super) fn note_flight(&mut self, side: Side, end: SeqNumber, length: u32, moment: Moment) {
        let sent = self.connection.packed(moment);
        let half = &self.connection.halves[side];
        if !half.is(Half::ACKED) || end.distance(half.acked) <= 0 {
            return;
        }
        let outstanding = half.outstanding();
        let (before, last) = (half.next, half.last_data);
        let flight = &mut self.connection.flights.get_or_insert_with(Box::<Flights>::default)[side];
        if flight.is_empty() && outstanding > 0 {
            flight.push(before, outstanding, last);
        }
        flight.push(end, length, sent);
    }

    #[inline]
    pub(super) fn tell(&mut self, side: Side, moment: Moment, event: StreamEvent<'_>) {
        self.listener.stream(self.connection, self.stream, side, moment, event);
    }

    #[inline]
    pub(super) fn half(&self, side: Side) -> &Half {
        &self.connection.halves[side]
    }

    /// Both halves, that of `side` first.
    #[inline]
    pub(super) fn halves(&self, side: Side) -> (&Half, &Half) {
        let Pair { originator, responder } = &self.connection.halves;
        match side {
            Side::Originator => (originator, responder),
            Side::Responder => (responder, originator),
        }
    }

    pub(super) fn trouble(&mut self, side: Side) -> &mut Trouble {
        self.connection.trouble_mut(side)
    }
}
