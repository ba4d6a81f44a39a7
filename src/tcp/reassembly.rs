//! From segments to a stream: what is in order is delivered at once, what is not waits, and what is there already is
//! counted. What becomes of a hole stands in `holes`.

use std::time::Duration;

use crate::packet::Moment;
use crate::stream::{GapCause, Side, StreamEvent};
use crate::tcp::Listener;
use crate::tcp::connection::{Connection, Mark};
use crate::tcp::half::{self, Half};
use crate::tcp::reception::{FAR, Reception};
use crate::tcp::seq::SeqNumber;
use crate::tcp::trouble::Ahead;
use crate::wire::Segment;

/// Missing bytes that come within this time were only out of order (as Wireshark has it). Later they were sent again.
const OUT_OF_ORDER: Duration = Duration::from_millis(3);

/// Bytes of one direction, as a segment has them.
#[derive(Clone, Copy)]
struct Bytes<'a> {
    seq: SeqNumber,
    /// On the wire.
    length: u32,
    /// What was captured, from the beginning.
    captured: &'a [u8],
    moment: Moment,
}

impl<L: Listener> Reception<'_, L> {
    /// A segment with payload, on a connection that is up.
    pub(super) fn data(&mut self, side: Side, segment: &Segment<'_>) {
        let (half, peer) = self.halves(side);
        let in_order = segment.seq == half.next && half.flags & (Half::PINNED | Half::FINISHED) == Half::PINNED;
        if in_order && !peer.is(Half::SHUT) && !self.connection.is_waiting(side) {
            self.data_in_order(side, segment);
        } else {
            self.unusual_data(side, segment);
        }
    }

    /// A segment with the next payload, behind which nothing waits.
    #[inline]
    pub(super) fn data_in_order(&mut self, side: Side, segment: &Segment<'_>) {
        let bytes = Bytes::of(segment);
        self.note_sent(side, bytes.seq.plus(bytes.length), bytes.length, bytes.moment);
        self.note_data(side, bytes.moment);
        self.deliver(side, bytes);
    }

    /// Data that is not in order, or may have to do with what waits, or tries a window of zero.
    fn unusual_data(&mut self, side: Side, segment: &Segment<'_>) {
        if !self.half(side).is(Half::PINNED) && !self.begins(side, segment) {
            return;
        }
        let half = self.half(side);
        let ahead = segment.seq.distance(half.next);
        let end = i64::from(ahead) + i64::from(segment.payload_length);
        if self.is_out_of_window(side, ahead, end) {
            self.shared.counters.out_of_window += 1;
        } else if end <= 0 {
            self.repeated(side, segment, ahead);
        } else if half.is(Half::FINISHED) {
            self.late(side);
        } else if ahead > 0 {
            self.hold(side, segment);
        } else {
            self.next_bytes(side, segment, ahead.unsigned_abs());
        }
    }

    /// No payload, and not at the next sequence number.
    #[cold]
    pub(super) fn bare(&mut self, side: Side, segment: &Segment<'_>) {
        if !self.half(side).is(Half::PINNED) {
            self.begins(side, segment);
        } else if self.is_probe(side, segment) {
            self.keep_alive(side);
        }
    }

    /// The first segment of a half whose SYN was not seen. Returns whether its stream begins here.
    fn begins(&mut self, side: Side, segment: &Segment<'_>) -> bool {
        let half = &mut self.connection.halves[side];
        let known = half.is(Half::ACKED).then_some(half.acked);
        match known.map(|acked| segment.seq.distance(acked)) {
            // Before what the peer has: a keep-alive, or a retransmission from before the capture.
            Some(-1) if segment.payload_length <= 1 => half.pin(segment.seq.plus(1)),
            Some(behind) if i64::from(behind) + i64::from(segment.payload_length) < 0 => {
                let trouble = self.trouble(side);
                trouble.retransmissions = trouble.retransmissions.saturating_add(1);
                return false;
            }
            // What was under way when the capture began is not missed.
            Some(1..) => {
                half.acked = segment.seq;
                half.pin(segment.seq);
            }
            _ => half.pin(segment.seq),
        }
        true
    }

    /// Sequence numbers that cannot be meant for this connection. `ahead` and `end` count from the next one.
    fn is_out_of_window(&self, side: Side, ahead: i32, end: i64) -> bool {
        let (half, peer) = self.halves(side);
        if ahead.unsigned_abs() > FAR as u32 || end > i64::from(FAR) {
            return true;
        }
        let window = half::window(peer, half);
        let known = window.exact && half.is(Half::ACKED) && peer.packets > 0;
        known && i64::from(half.next.distance(half.acked)) + i64::from(ahead) > half::reach(window)
    }

    /// Bytes that begin at the next sequence number, or `overlap` before it.
    fn next_bytes(&mut self, side: Side, segment: &Segment<'_>, overlap: u32) {
        let bytes = Bytes::of(segment).from(overlap);
        let probes = self.halves(side).1.is(Half::SHUT) && overlap == 0 && segment.payload_length == 1;
        if overlap > 0 {
            self.overlapped(side, segment.seq, overlap, segment.moment);
        }
        if let Some(first) = self.connection.trouble(side).and_then(|trouble| trouble.first_waiting()) {
            self.fills_hole(side, first, segment.moment);
            if i64::from(first.seq.distance(bytes.seq)) < i64::from(bytes.length) {
                self.insert(side, bytes);
                return self.drain_behind(side, Some(bytes.moment));
            }
        }
        let end = bytes.seq.plus(bytes.length);
        if probes {
            // RFC 9293 §3.8.6.1: the byte may not be taken. It is a part of the stream, but no sign of life.
            self.trouble(side).probe = Some(bytes.seq);
            self.note_flight(side, end, 1, bytes.moment);
        } else {
            self.note_sent(side, end, bytes.length, bytes.moment);
            self.note_data(side, bytes.moment);
        }
        self.deliver(side, bytes);
        self.drain_behind(side, Some(segment.moment));
    }

    /// A segment that begins before the next byte and brings new ones behind it.
    fn overlapped(&mut self, side: Side, seq: SeqNumber, overlap: u32, moment: Moment) {
        let trouble = self.trouble(side);
        if overlap == 1 && trouble.probe == Some(seq) {
            return; // the byte that tried the window, now with company
        }
        trouble.retransmissions = trouble.retransmissions.saturating_add(1);
        self.resent(side, seq, overlap, moment);
    }

    /// A segment without a new byte.
    fn repeated(&mut self, side: Side, segment: &Segment<'_>, ahead: i32) {
        if self.is_probe(side, segment) {
            return self.keep_alive(side);
        }
        let seq = segment.seq;
        let missed = |(from, to): (SeqNumber, SeqNumber)| seq.distance(from) >= 0 && seq.distance(to) < 0;
        let trouble = self.trouble(side);
        if trouble.gap.is_some_and(missed) {
            return self.late(side);
        }
        trouble.retransmissions = trouble.retransmissions.saturating_add(1);
        debug_assert!(ahead < 0);
        self.resent(side, seq, segment.payload_length, segment.moment);
    }

    /// Bytes from `seq` on were sent again.
    fn resent(&mut self, side: Side, seq: SeqNumber, length: u32, moment: Moment) {
        let half = self.half(side);
        let end = seq.plus(length);
        if half.outstanding() == 0 || end.distance(half.acked) <= 0 {
            return;
        }
        let oldest = seq.distance(half.acked) <= 0;
        let first_sent = self.connection.first_sent(side, if oldest { half.acked } else { seq });
        let trouble = self.trouble(side);
        trouble.note_resent(seq, length, first_sent, moment.at);
        if oldest {
            trouble.unanswered = trouble.unanswered.saturating_add(1);
        }
    }

    /// A keep-alive (RFC 9293 §3.8.4) or a window probe looks like this: one byte or none, just before the next one, and
    /// nothing outstanding.
    fn is_probe(&self, side: Side, segment: &Segment<'_>) -> bool {
        let half = self.half(side);
        let before = segment.seq.distance(half.next) == -1 && segment.payload_length <= 1;
        let tried = self.connection.trouble(side).is_some_and(|trouble| trouble.probe == Some(segment.seq));
        before && (half.outstanding() == 0 || tried) && !half.is(Half::FINISHED)
    }

    fn keep_alive(&mut self, side: Side) {
        // With a window of zero it asks for the window, not for the peer.
        if !self.half(side.peer()).is(Half::SHUT) {
            let trouble = self.trouble(side);
            trouble.keep_alives = trouble.keep_alives.saturating_add(1);
        }
    }

    /// A segment of which nothing can be used any more.
    pub(super) fn late(&mut self, side: Side) {
        self.shared.counters.late += 1;
        let trouble = self.trouble(side);
        trouble.late = trouble.late.saturating_add(1);
    }

    /// The bytes before `first` have come. Long after it, they were sent again: the first time they were lost before
    /// they could be captured.
    fn fills_hole(&mut self, side: Side, first: Ahead, moment: Moment) {
        let waited = moment.at.since(first.moment.at);
        if waited > OUT_OF_ORDER && self.connection.is(Connection::UP) {
            let trouble = self.trouble(side);
            trouble.retransmissions = trouble.retransmissions.saturating_add(1);
            trouble.longest_recovery = trouble.longest_recovery.max(waited);
        }
    }

    /// Keeps the bytes of a segment until those before them have come.
    pub(super) fn hold(&mut self, side: Side, segment: &Segment<'_>) {
        self.insert(side, Bytes::of(segment));
        self.keep_bounds(side);
        self.watch_hole(side);
    }

    fn insert(&mut self, side: Side, bytes: Bytes<'_>) {
        let next = self.half(side).next;
        let held = &mut self.connection.trouble_mut(side).held;
        let before = held.weight();
        let inserted = held.insert(next, bytes.seq, bytes.captured, bytes.length, bytes.moment);
        self.shared.held_memory += held.weight() - before;
        if inserted.fresh {
            self.note_data(side, bytes.moment);
        }
        let trouble = self.trouble(side);
        trouble.conflicts = trouble.conflicts.saturating_add(u32::from(inserted.conflict));
        if inserted.repeated && !inserted.fresh {
            trouble.retransmissions = trouble.retransmissions.saturating_add(1);
        }
    }

    /// Delivers what has waited, as far as it is in order now.
    pub(super) fn drain(&mut self, side: Side) {
        self.drain_behind(side, None);
    }

    /// The same behind bytes of this packet, which have come after all: what has waited for them was out of order. What
    /// waits behind bytes that the capture lost was not.
    fn drain_behind(&mut self, side: Side, filler: Option<Moment>) {
        if self.connection.trouble(side).is_none() {
            return;
        }
        loop {
            let next = self.half(side).next;
            let trouble = self.connection.trouble_mut(side);
            let Some(piece) = trouble.held.pop_at(next) else { break };
            let disordered = filler.is_some_and(|filler| filler != piece.moment);
            trouble.out_of_order = trouble.out_of_order.saturating_add(u32::from(disordered));
            self.shared.held_memory -= piece.weight();
            self.note_flight(side, piece.seq.plus(piece.length), piece.length, piece.moment);
            let (length, captured) = (piece.length, &*piece.data);
            self.deliver(side, Bytes { seq: piece.seq, length, captured, moment: piece.moment });
        }
        self.finish_waiting(side);
    }

    /// The next bytes of the stream.
    #[inline]
    fn deliver(&mut self, side: Side, bytes: Bytes<'_>) {
        let half = &mut self.connection.halves[side];
        half.next = half.next.plus(bytes.length);
        half.bytes += u64::from(bytes.length);
        if !bytes.captured.is_empty() {
            self.tell(side, bytes.moment, StreamEvent::Data(bytes.captured));
        }
        if bytes.captured.len() < bytes.length as usize {
            self.cut(side, bytes);
        }
    }

    #[cold]
    fn cut(&mut self, side: Side, bytes: Bytes<'_>) {
        let missing = u64::from(bytes.length) - bytes.captured.len() as u64;
        self.trouble(side).cut_bytes += missing;
        self.shared.counters.cut_bytes += missing;
        self.tell(side, bytes.moment, StreamEvent::Gap(missing, GapCause::Cut));
    }

    /// The packet that was noted last, at this moment, has brought new payload.
    #[inline]
    fn note_data(&mut self, side: Side, moment: Moment) {
        let packet = self.connection.last_packed();
        let half = &mut self.connection.halves[side];
        half.last_data = packet;
        if !half.is(Half::DATA) {
            half.flags |= Half::DATA;
            self.connection.set_mark(Mark::FirstData(side), moment);
        }
    }
}

impl<'a> Bytes<'a> {
    #[inline]
    fn of(segment: &Segment<'a>) -> Bytes<'a> {
        let length = segment.payload_length;
        let captured = segment.payload.get(..length as usize).unwrap_or(segment.payload);
        Bytes { seq: segment.seq, length, captured, moment: segment.moment }
    }

    /// Without the first `skip` of them.
    fn from(self, skip: u32) -> Bytes<'a> {
        Bytes {
            seq: self.seq.plus(skip),
            length: self.length.saturating_sub(skip),
            captured: self.captured.get(skip as usize..).unwrap_or(&[]),
            moment: self.moment,
        }
    }
}
