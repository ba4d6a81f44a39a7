//! What one segment does to its connection.
//!
//! [`Reception`] has the connection and everybody who must hear of it in its hands while a segment, a deadline or the
//! end of the capture is dealt with. Here: the usual segment, duplicates, windows. The rest stands beside it:
//! `handshake`, `acknowledgment`, `reassembly`, `holes`, `closing`.

use crate::limits::Limits;
use crate::packet::Moment;
use crate::stream::{Pair, Side, StreamEvent};
use crate::tcp::Listener;
use crate::tcp::connection::Connection;
use crate::tcp::deadlines::{Deadline, Deadlines, Due};
use crate::tcp::duplicates::Fingerprint;
use crate::tcp::half::Half;
use crate::tcp::table::Counters;
use crate::tcp::trouble::Trouble;
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
        } else if segment.may_have_sack() {
            self.acknowledge_selectively(side.peer(), segment);
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
        if segment.may_have_sack() {
            self.acknowledge_selectively(side.peer(), segment);
        }
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
