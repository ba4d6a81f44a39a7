//! How a connection comes up (RFC 9293 §3.5), and when a segment begins another one on the same ports.

use crate::stream::Side;
use crate::tcp::Listener;
use crate::tcp::connection::{Connection, Mark};
use crate::tcp::half::{self, Half};
use crate::tcp::reception::{FAR, Reception};
use crate::tcp::seq::SeqNumber;
use crate::wire::{Flags, Segment};

/// An ACK may already be this far behind the SYN: data went with it, or was not captured.
pub(super) const NEAR: i32 = 1 << 20;

impl Connection {
    /// Whether a segment from `side` belongs to a new connection between the same endpoints.
    pub(super) fn is_replaced_by(&self, side: Side, segment: &Segment<'_>) -> bool {
        let syn = segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::RST);
        let acks = segment.flags.has(Flags::ACK);
        let half = &self.halves[side];
        if !syn {
            // Its SYN was not captured. Late packets of the old connection are near its sequence numbers.
            let known = half.is(Half::PINNED) && segment.payload_length > 0 && acks;
            return self.is(Self::ENDED) && known && segment.seq.distance(half.next).unsigned_abs() > NEAR as u32;
        }
        if half.initial_seq() == Some(segment.seq) {
            return false; // the SYN again
        }
        if self.is(Self::ENDED) {
            return true;
        }
        if !self.is(Self::UP) {
            // A second SYN from the other side is a simultaneous open; a SYN-ACK may be sent anew with another number.
            return !acks && half.is(Half::SYN);
        }
        // RFC 9293 §3.10.7.4 answers a SYN inside the window with an ACK, and nothing changes (RFC 5961 §4).
        half.is(Half::PINNED) && !self.receives(side, segment.seq)
    }

    /// Whether `seq` lies in the window that the peer of `side` offers it.
    fn receives(&self, side: Side, seq: SeqNumber) -> bool {
        let (half, peer) = (&self.halves[side], &self.halves[side.peer()]);
        let ahead = seq.distance(half.next);
        ahead >= 0 && ahead as u32 <= half::window(peer, half).bytes
    }
}

impl<L: Listener> Reception<'_, L> {
    /// A SYN, or a SYN-ACK.
    pub(super) fn syn(&mut self, side: Side, segment: &Segment<'_>) {
        if segment.flags.has(Flags::ACK) {
            return self.syn_ack(side, segment);
        }
        let half = self.half(side);
        if half.is(Half::SYN) {
            if side == Side::Originator && half.initial_seq() == Some(segment.seq) {
                let odd = self.connection.rare_mut().odd_mut();
                odd.syn_retransmissions = odd.syn_retransmissions.saturating_add(1);
            }
            return;
        }
        if self.connection.is(Connection::UP) {
            self.shared.counters.out_of_window += 1;
            return;
        }
        if side == Side::Originator && !self.connection.is(Connection::SYN_FIRST) {
            self.connection.rare_mut().odd_mut().syn = Some(segment.moment);
        }
        self.note_syn(side, segment);
    }

    fn syn_ack(&mut self, side: Side, segment: &Segment<'_>) {
        let (half, peer) = self.halves(side);
        if self.connection.is(Connection::UP) {
            let late = half.initial_seq() == Some(segment.seq);
            if late && !half.is(Half::SYN) {
                self.connection.set_mark(Mark::SynAck, segment.moment);
                self.note_options(side, segment);
            } else if !late {
                self.shared.counters.out_of_window += 1;
            }
            return;
        }
        // RFC 9293 §3.10.7.3: what it acknowledges must have been sent.
        if peer.is(Half::SYN) && !(0..=NEAR).contains(&segment.ack.distance(peer.next)) {
            self.shared.counters.strays += 1;
            return;
        }
        let pin_peer = !peer.is(Half::PINNED);
        // A simultaneous open (RFC 9293 §3.5, figure 7): the peer's SYN-ACK has answered this side's SYN.
        let simultaneous = half.is(Half::ACKED);
        self.connection.set_mark(Mark::SynAck, segment.moment);
        if pin_peer {
            self.connection.halves[side.peer()].pin(segment.ack);
        }
        self.note_syn(side, segment);
        self.acknowledge(side.peer(), segment.ack, segment.moment);
        if simultaneous {
            self.come_up(segment);
        }
    }

    fn note_syn(&mut self, side: Side, segment: &Segment<'_>) {
        if self.half(side).initial_seq() != Some(segment.seq) {
            self.discard(side);
            self.connection.halves[side].pin(segment.seq.plus(1));
        }
        self.note_options(side, segment);
        if segment.payload_length > 0 {
            // RFC 7413: data on a SYN. It is held until the connection is up.
            self.hold(side, &Segment { seq: segment.seq.plus(1), ..*segment });
        }
    }

    fn note_options(&mut self, side: Side, segment: &Segment<'_>) {
        let options = segment.options();
        let half = &mut self.connection.halves[side];
        half.flags |= Half::SYN;
        half.mss = options.mss.unwrap_or(0);
        half.window = segment.window;
        half.window_scale = options.window_scale.unwrap_or(Half::SCALE_ABSENT);
    }

    /// An ordinary segment on a connection that is not up: is it now?
    pub(super) fn comes_up(&mut self, side: Side, segment: &Segment<'_>) -> bool {
        if self.connection.is(Connection::ENDED) {
            return true; // refused, or reset while it came up: only to be counted
        }
        let (half, peer) = self.halves(side);
        let known = !peer.is(Half::PINNED) || (0..FAR).contains(&segment.ack.distance(peer.next));
        let credible = match side {
            // The ACK of the SYN-ACK. When that was not captured, it says where the responder's stream begins.
            Side::Originator => known,
            // Only after its SYN-ACK. An ACK of something else is from a connection that it still remembers (§3.5.1).
            Side::Responder => known && (half.is(Half::SYN) || (0..NEAR).contains(&segment.ack.distance(peer.next))),
        };
        if !credible {
            self.shared.counters.strays += 1;
            return false;
        }
        let (pin, peer_pin) = (!half.is(Half::PINNED), !peer.is(Half::PINNED));
        if pin {
            self.connection.halves[side].pin(segment.seq);
        }
        if peer_pin {
            self.connection.halves[side.peer()].pin(segment.ack);
        }
        if side == Side::Originator {
            self.connection.set_mark(Mark::Established, segment.moment);
        }
        self.come_up(segment);
        true
    }

    /// It is up: tells so, and delivers what came with the SYN.
    pub(super) fn come_up(&mut self, segment: &Segment<'_>) {
        self.connection.set(Connection::UP);
        if self.connection.is(Connection::SYN_FIRST) && self.connection.mark(Mark::SynAck).is_some() {
            self.connection.set_mark(Mark::Established, segment.moment);
        }
        self.listener.established(self.connection, self.stream, segment.moment);
        for side in Side::BOTH {
            self.drain(side);
            self.watch_hole(side);
        }
    }
}
