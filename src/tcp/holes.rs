//! Holes: how long the bytes behind one wait, and the gap that it becomes when what is missing will not come.

use crate::stream::{GapCause, Side, StreamEvent};
use crate::tcp::Listener;
use crate::tcp::connection::Connection;
use crate::tcp::deadlines::Due;
use crate::tcp::half::Half;
use crate::tcp::reception::Reception;
use crate::tcp::trouble::Ahead;
use crate::time::Timestamp;

impl<L: Listener> Reception<'_, L> {
    /// Gives up holes until what waits is within its limits.
    pub(super) fn keep_bounds(&mut self, side: Side) {
        loop {
            let held = &self.connection.trouble_mut(side).held;
            let counters = &mut self.shared.counters;
            if held.len() == 0 {
                return;
            } else if held.len() > self.shared.limits.held_segments {
                counters.held_segments += 1;
            } else if held.weight() > self.shared.limits.held_bytes {
                counters.held_bytes += 1;
            } else if self.shared.held_memory > self.shared.limits.held_memory {
                counters.held_memory += 1;
            } else {
                return;
            }
            self.give_up(side);
        }
    }

    /// Sees to it that a hole does not stay open for ever.
    pub(super) fn watch_hole(&mut self, side: Side) {
        let Some(trouble) = self.connection.trouble(side).filter(|_| self.connection.is(Connection::UP)) else {
            return;
        };
        let Some(first) = trouble.first_waiting() else { return };
        let set = trouble.hole_timer;
        let half = self.half(side);
        if half.is(Half::ACKED) && half.acked.distance(first.seq) >= 0 {
            // The peer has what is missing: this is a loss of the capture, or disorder in it.
            let seq = half.acked;
            self.acknowledged_ahead(side, Ahead { seq, moment: first.moment });
        }
        if !set {
            self.trouble(side).hole_timer = true;
            self.set_deadline(Due::Hole(side.into()), self.shared.now.plus(self.shared.limits.held_time));
        }
    }

    /// The deadline of a hole.
    pub(super) fn wait_for_hole(&mut self, side: Side, now: Timestamp) {
        self.trouble(side).hole_timer = false;
        while let Some(first) = self.trouble(side).first_waiting() {
            let due = first.moment.at.plus(self.shared.limits.held_time);
            if due > now {
                self.trouble(side).hole_timer = true;
                return self.set_deadline(Due::Hole(side.into()), due);
            }
            self.shared.counters.held_time += 1;
            self.give_up(side);
        }
    }

    /// The capture lost what it lacks before `until`, because the peer has it.
    pub(super) fn lost(&mut self, side: Side, until: Ahead) {
        while !self.connection.is(Connection::ENDED) && !self.half(side).is(Half::FINISHED) {
            let next = self.half(side).next;
            let missing = until.seq.distance(next);
            let first = self.trouble(side).first_waiting();
            match first.filter(|first| first.seq.distance(next) <= missing) {
                _ if missing <= 0 => return,
                Some(first) => self.gap(side, first, GapCause::NotCaptured),
                // It may have been a FIN.
                None if missing == 1 => return,
                None => self.gap(side, until, GapCause::NotCaptured),
            }
            self.drain(side);
        }
    }

    /// Gives up the bytes before the first ones that wait.
    pub(super) fn give_up(&mut self, side: Side) {
        let Some(first) = self.trouble(side).first_waiting() else { return };
        if !self.connection.is(Connection::UP) {
            return self.discard(side);
        }
        let half = self.half(side);
        let acknowledged = half.is(Half::ACKED) && half.acked.distance(first.seq) >= 0;
        self.gap(side, first, if acknowledged { GapCause::NotCaptured } else { GapCause::GivenUp });
        self.drain(side);
    }

    /// Forgets what waits.
    pub(super) fn discard(&mut self, side: Side) {
        if let Some(rare) = &mut self.connection.rare
            && let Some(trouble) = &mut rare.halves[side]
        {
            self.shared.held_memory -= trouble.held.weight();
            trouble.held.clear();
            trouble.fin = None;
        }
    }

    /// The bytes before `until` are missing.
    fn gap(&mut self, side: Side, until: Ahead, cause: GapCause) {
        let half = self.half(side);
        let (from, length) = (half.next, until.seq.distance(half.next));
        if length <= 0 {
            return;
        }
        self.note_flight(side, until.seq, 0, until.moment);
        let trouble = self.trouble(side);
        trouble.gap = Some((from, until.seq));
        trouble.gap_bytes += length as u64;
        self.shared.counters.gap_bytes += length as u64;
        let half = &mut self.connection.halves[side];
        half.next = until.seq;
        half.bytes += length as u64;
        self.tell(side, until.moment, StreamEvent::Gap(length as u64, cause));
    }
}
