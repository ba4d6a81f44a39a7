//! One direction of a connection: 56 bytes that every packet of it touches.

use crate::packet::Later;
use crate::tcp::SeqNumber;
use crate::tcp::duplicates::Recent;

/// What one side sent, as far as every connection needs to know it.
pub(super) struct Half {
    /// How much of the stream was delivered, gaps included.
    pub(super) bytes: u64,
    /// The next sequence number to deliver, once [`Half::PINNED`]. Behind a FIN that was delivered.
    pub(super) next: SeqNumber,
    /// What the peer expects next, once [`Half::ACKED`]. It may be ahead of `next`: then the capture lacks bytes.
    pub(super) acked: SeqNumber,
    /// Packets modulo 2^32. The carry is in [`Trouble`](super::trouble::Trouble).
    pub(super) packets: u32,
    /// The largest payload that was acknowledged whole.
    pub(super) largest_acknowledged: u32,
    /// The last packets, to recognise those that come twice.
    pub(super) recent: Recent,
    /// The last packet with new payload.
    pub(super) last_data: Later,
    /// The last window field.
    pub(super) window: u16,
    /// The maximum segment size, 0 when none was named.
    pub(super) mss: u16,
    /// The usual time to live, by majority vote (Boyer and Moore).
    pub(super) ttl: u8,
    pub(super) ttl_votes: u8,
    /// The window scale option, or [`Half::SCALE_ABSENT`] or [`Half::SCALE_UNKNOWN`].
    pub(super) window_scale: u8,
    /// Those below.
    pub(super) flags: u8,
}

impl Half {
    /// It sent a SYN.
    pub(super) const SYN: u8 = 1;
    /// `next` is known.
    pub(super) const PINNED: u8 = 1 << 1;
    /// `acked` is known.
    pub(super) const ACKED: u8 = 1 << 2;
    /// Its FIN was delivered.
    pub(super) const FINISHED: u8 = 1 << 3;
    /// Its window is shut.
    pub(super) const SHUT: u8 = 1 << 4;
    /// It sent payload.
    pub(super) const DATA: u8 = 1 << 5;
    /// The capture holds packets of it twice.
    pub(super) const DUPLICATED: u8 = 1 << 6;

    /// Of the flags, those that say whether anything but the ordinary may come.
    pub(super) const STATE: u8 = Half::STEADY | Half::FINISHED | Half::SHUT | Half::DUPLICATED;

    /// Nothing but the ordinary: both its numbers are known, and it is not about to end.
    pub(super) const STEADY: u8 = Half::PINNED | Half::ACKED;

    /// The SYN had no window scale option.
    pub(super) const SCALE_ABSENT: u8 = 0xFE;
    /// The SYN was not seen.
    pub(super) const SCALE_UNKNOWN: u8 = 0xFF;

    pub(super) const NEW: Half = Half {
        bytes: 0,
        next: SeqNumber(0),
        acked: SeqNumber(0),
        packets: 0,
        largest_acknowledged: 0,
        recent: Recent::NONE,
        last_data: Later::NONE,
        window: 0,
        mss: 0,
        ttl: 0,
        ttl_votes: 0,
        window_scale: Half::SCALE_UNKNOWN,
        flags: 0,
    };

    /// Whether a flag is set.
    #[inline]
    pub(super) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether it goes its ordinary way.
    #[inline]
    pub(super) fn is_steady(&self) -> bool {
        self.flags & Half::STATE == Half::STEADY
    }

    /// The stream goes on at `next`.
    pub(super) fn pin(&mut self, next: SeqNumber) {
        self.next = next;
        self.flags |= Half::PINNED;
    }

    /// Behind the last byte that was delivered: `next`, but for a FIN.
    #[inline]
    pub(super) fn end_of_data(&self) -> SeqNumber {
        self.next.plus(if self.is(Half::FINISHED) { u32::MAX } else { 0 })
    }

    /// The sequence number of its SYN; on a connection that was joined in mid-stream: the one before its first byte.
    pub(super) fn initial_seq(&self) -> Option<SeqNumber> {
        let first = self.end_of_data().plus((self.bytes as u32).wrapping_neg());
        self.is(Half::PINNED).then(|| first.plus(u32::MAX))
    }

    /// Bytes that were delivered and not acknowledged. Meaningful only when anything ever was.
    #[inline]
    pub(super) fn outstanding(&self) -> u32 {
        if self.is(Half::ACKED) { self.end_of_data().distance(self.acked).max(0) as u32 } else { 0 }
    }

    /// One more packet. Returns whether the counter overflowed.
    #[inline]
    pub(super) fn count(&mut self) -> bool {
        self.packets = self.packets.wrapping_add(1);
        self.packets == 0
    }

    /// A packet had this time to live.
    #[inline]
    pub(super) fn vote(&mut self, ttl: u8) {
        if ttl == self.ttl {
            self.ttl_votes = self.ttl_votes.saturating_add(1);
        } else if self.ttl_votes > 0 {
            self.ttl_votes -= 1;
        } else {
            (self.ttl, self.ttl_votes) = (ttl, 1);
        }
    }
}

/// The windows that two halves offer each other, from the scale options of both.
pub(super) fn window(of: &Half, peer: &Half) -> Window {
    let field = u32::from(of.window);
    match (of.window_scale, peer.window_scale) {
        (Half::SCALE_UNKNOWN, _) | (_, Half::SCALE_UNKNOWN) => Window { bytes: field << 14, exact: false },
        // RFC 7323 §2.2: both sides must send the option for the scale to be used.
        (Half::SCALE_ABSENT, _) | (_, Half::SCALE_ABSENT) => Window { bytes: field, exact: true },
        (scale, _) => Window { bytes: field << scale.min(14), exact: true },
    }
}

/// How far from the last acknowledgment anything may be that has to do with the connection: windows grow unseen.
pub(super) fn reach(window: Window) -> i64 {
    i64::from(window.bytes.max(u32::from(u16::MAX))) * 2 + (1 << 20)
}

/// A receive window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window {
    pub(super) bytes: u32,
    /// Else the scale is not known, and `bytes` is as large as it can be.
    pub(super) exact: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_is_small() {
        assert_eq!(size_of::<Half>(), 56);
    }

    #[test]
    fn the_usual_ttl_is_that_of_most_packets() {
        let mut half = Half::NEW;
        for ttl in [64, 64, 64, 63, 64, 128, 64] {
            half.vote(ttl);
        }
        assert_eq!(half.ttl, 64);
    }

    #[test]
    fn the_initial_sequence_number_is_remembered_across_the_wrap() {
        let mut half = Half::NEW;
        half.pin(SeqNumber(u32::MAX).plus(1));
        assert_eq!(half.initial_seq(), Some(SeqNumber(u32::MAX)));
        (half.bytes, half.next) = (5_000_000_000, SeqNumber(5_000_000_000u64 as u32));
        assert_eq!(half.initial_seq(), Some(SeqNumber(u32::MAX)));
        half.next = half.next.plus(1);
        half.flags |= Half::FINISHED;
        assert_eq!(half.initial_seq(), Some(SeqNumber(u32::MAX)));
    }

    #[test]
    fn a_window_is_scaled_only_when_both_agree() {
        let with = |window_scale| Half { window: 100, window_scale, ..Half::NEW };
        assert_eq!(window(&with(3), &with(0)), Window { bytes: 800, exact: true });
        assert_eq!(window(&with(3), &with(Half::SCALE_ABSENT)), Window { bytes: 100, exact: true });
        assert!(!window(&with(3), &with(Half::SCALE_UNKNOWN)).exact);
    }
}
