//! How a connection ends: FIN, RST, and what comes after (RFC 9293 §3.6, §3.5.2).

use crate::packet::Moment;
use crate::stream::{Side, StreamEvent};
use crate::tcp::Listener;
use crate::tcp::connection::Connection;
use crate::tcp::deadlines::{Deadline, Due};
use crate::tcp::facts::{End, EndKind};
use crate::tcp::half::{self, Half};
use crate::tcp::handshake::NEAR;
use crate::tcp::reception::{FAR, Reception};
use crate::tcp::trouble::Ahead;
use crate::wire::{Flags, Segment};

impl<L: Listener> Reception<'_, L> {
    /// A FIN, behind the payload of its segment.
    #[cold]
    pub(super) fn fin(&mut self, side: Side, segment: &Segment<'_>) {
        let half = self.half(side);
        let seq = segment.seq.plus(segment.payload_length);
        let ahead = seq.distance(half.next);
        if half.is(Half::FINISHED) || !half.is(Half::PINNED) || !(0..=FAR).contains(&ahead) {
            return; // again, or one that contradicts what was sent behind it
        }
        self.note_end(side, EndKind::Fin, segment);
        if ahead == 0 {
            self.finish_half(side, segment.moment);
        } else {
            self.trouble(side).fin.get_or_insert(Ahead { seq, moment: segment.moment });
            self.watch_hole(side);
        }
    }

    /// A FIN that has waited for the bytes before it.
    pub(super) fn finish_waiting(&mut self, side: Side) {
        let next = self.half(side).next;
        let Some(fin) = self.trouble(side).fin else { return };
        let ahead = fin.seq.distance(next);
        if ahead <= 0 {
            self.trouble(side).fin = None;
        }
        if ahead == 0 && !self.half(side).is(Half::FINISHED) {
            self.finish_half(side, fin.moment);
        }
    }

    fn finish_half(&mut self, side: Side, moment: Moment) {
        let half = &mut self.connection.halves[side];
        half.flags |= Half::FINISHED;
        half.next = half.next.plus(1);
        self.discard(side); // nothing can be behind a FIN
        self.tell(side, moment, StreamEvent::Finished);
        let peer = self.half(side.peer());
        // Of a side that never appears no FIN can be awaited.
        if peer.is(Half::FINISHED) || peer.packets == 0 {
            self.end(moment);
        }
    }

    /// An RST.
    pub(super) fn reset(&mut self, side: Side, segment: &Segment<'_>) {
        if !self.is_valid_reset(side, segment) {
            self.shared.counters.invalid_resets += 1;
            return;
        }
        let first = !self.connection.has_end(side, EndKind::Rst);
        self.note_end(side, EndKind::Rst, segment);
        if self.connection.is(Connection::ENDED) {
            return;
        }
        if !self.connection.is(Connection::UP) {
            if side == Side::Responder && !self.half(side).is(Half::SYN) {
                self.connection.set(Connection::REFUSED);
            }
            return self.end(segment.moment);
        }
        self.flush(side);
        if first && !self.half(side).is(Half::FINISHED) {
            self.tell(side, segment.moment, StreamEvent::Reset);
        }
        self.flush(side.peer());
        self.end(segment.moment);
    }

    /// RFC 9293 §3.10.7.3 and .4, with room for what the capture does not know. An RST far away is forged, or of
    /// another connection.
    fn is_valid_reset(&self, side: Side, segment: &Segment<'_>) -> bool {
        let (half, peer) = self.halves(side);
        if peer.is(Half::SYN) && !half.is(Half::SYN) && !half.is(Half::PINNED) {
            // The answer to a SYN: it must acknowledge it.
            return segment.flags.has(Flags::ACK) && (0..NEAR).contains(&segment.ack.distance(peer.next));
        }
        let window = half::window(peer, half).bytes.clamp(u32::from(u16::MAX), 1 << 24);
        !half.is(Half::PINNED) || segment.seq.distance(half.next).unsigned_abs() <= window
    }

    fn note_end(&mut self, side: Side, kind: EndKind, segment: &Segment<'_>) {
        let end = End { side, kind, moment: segment.moment, ttl: segment.ttl, ip_id: segment.ip_id };
        let first = self.connection.first();
        self.connection.rare_mut().ends.note(first, end);
    }

    /// Nothing more can come.
    fn end(&mut self, moment: Moment) {
        if self.connection.is(Connection::ENDED) {
            return;
        }
        self.connection.set(Connection::ENDED);
        for side in Side::BOTH {
            self.discard(side);
        }
        let at = self.shared.now.plus(self.shared.limits.linger);
        let deadline = Deadline { at, id: self.connection.id(), due: Due::Forget, index: self.index };
        self.shared.deadlines.push_ended(deadline);
        self.listener.ended(self.connection, self.stream, moment);
    }

    /// A segment of a connection that has ended.
    #[cold]
    pub(super) fn after_the_end(&mut self, side: Side, segment: &Segment<'_>) {
        if segment.payload_length > 0 {
            self.late(side);
        }
        if segment.flags.has(Flags::FIN) && !self.half(side).is(Half::FINISHED) {
            self.note_end(side, EndKind::Fin, segment);
        }
    }

    /// Tells everything that waits, because nothing will fill the holes any more.
    pub(super) fn flush(&mut self, side: Side) {
        if self.connection.is(Connection::ENDED) {
            return;
        }
        let half = self.half(side);
        let until = Ahead { seq: half.acked, moment: self.connection.last() };
        let ahead = half.is(Half::ACKED) && until.seq.distance(half.next) > 0;
        if ahead && half.packets > 0 && self.connection.is(Connection::UP) {
            self.lost(side, until);
        }
        while self.connection.is_waiting(side) {
            self.give_up(side);
        }
    }
}
