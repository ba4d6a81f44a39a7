//! What is in flight, and the acknowledgments of it.

use std::time::Duration;

use crate::packet::Moment;
use crate::stream::Side;
use crate::tcp::Listener;
use crate::tcp::connection::Connection;
use crate::tcp::deadlines::Due;
use crate::tcp::flight::Flights;
use crate::tcp::half::{self, Half};
use crate::tcp::handshake::NEAR;
use crate::tcp::reception::{FAR, Reception};
use crate::tcp::seq::SeqNumber;
use crate::tcp::trouble::Ahead;
use crate::time::Timestamp;
use crate::wire::Segment;

/// An acknowledgment may be captured this much before the bytes that it is for: on another interface, or by another
/// queue of the same one.
const DISORDER: Duration = Duration::from_millis(1);

impl<L: Listener> Reception<'_, L> {
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

    /// The peer of `side` tells of pieces behind what it lacks: no segment in them was larger than they are.
    #[cold]
    pub(super) fn acknowledge_selectively(&mut self, side: Side, segment: &Segment<'_>) {
        let largest = segment.largest_sack_block();
        if largest > 0 {
            let half = &mut self.connection.halves[side];
            half.largest_acknowledged = half.largest_acknowledged.max(largest);
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

    pub(super) fn wait_for_acknowledged(&mut self, side: Side, now: Timestamp) {
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
}
