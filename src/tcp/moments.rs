//! Moments of one connection, packed relative to its first packet: an idle connection keeps seven of them.

use crate::packet::{Moment, PacketNumber};
use crate::time::Timestamp;

/// A moment that updates all the time: 56 bits of nanoseconds (two years either way) and 40 bits of packets.
#[derive(Clone, Copy)]
pub(super) struct Later([u32; 3]);

impl Later {
    const NO_PACKETS: u64 = (1 << 40) - 1;

    /// There is no such moment yet.
    pub(super) const NONE: Later = Later([u32::MAX; 3]);

    /// Packs `moment`. What lies beyond the bounds stays at them.
    #[inline]
    pub(super) fn new(first: Moment, moment: Moment) -> Later {
        let nanos = moment.at.as_nanos().wrapping_sub(first.at.as_nanos()) as i64;
        let nanos = nanos.clamp(-(1 << 55), (1 << 55) - 1) as u64;
        let packets = moment.packet.0.saturating_sub(first.packet.0).min(Self::NO_PACKETS - 1);
        Later([nanos as u32, (nanos >> 32) as u32 & 0x00FF_FFFF | ((packets >> 32) as u32) << 24, packets as u32])
    }

    /// The moment, given the one that it is relative to.
    #[inline]
    pub(super) fn moment(self, first: Moment) -> Option<Moment> {
        let [low, middle, packets] = self.0.map(u64::from);
        let packets = (middle >> 24) << 32 | packets;
        let nanos = (((middle & 0x00FF_FFFF) << 32 | low) << 8) as i64 >> 8; // the sign comes back
        (packets != Self::NO_PACKETS).then(|| moved(first, nanos as u64, packets))
    }
}

/// A moment soon after the first: 36 bits of nanoseconds (a minute) and 28 bits of packets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Early(u64);

impl Early {
    const PACKET_BITS: u32 = 28;

    /// There is no such moment, or it came too late for this.
    pub(super) const NONE: Early = Early(u64::MAX);

    /// Packs `moment` if it comes soon enough.
    pub(super) fn new(first: Moment, moment: Moment) -> Option<Early> {
        let nanos = moment.at.as_nanos().checked_sub(first.at.as_nanos())?;
        let packets = moment.packet.0.checked_sub(first.packet.0)?;
        let fits = nanos < 1 << (64 - Self::PACKET_BITS) && packets < (1 << Self::PACKET_BITS) - 1;
        fits.then_some(Early(nanos << Self::PACKET_BITS | packets))
    }

    /// The moment, given the one that it is relative to.
    pub(super) fn moment(self, first: Moment) -> Option<Moment> {
        let packets = self.0 & ((1 << Self::PACKET_BITS) - 1);
        (self != Self::NONE).then(|| moved(first, self.0 >> Self::PACKET_BITS, packets))
    }
}

fn moved(first: Moment, nanos: u64, packets: u64) -> Moment {
    Moment {
        at: Timestamp::from_nanos(first.at.as_nanos().wrapping_add(nanos)),
        packet: PacketNumber(first.packet.0.saturating_add(packets)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(nanos: u64, packet: u64) -> Moment {
        Moment { at: Timestamp::from_nanos(nanos), packet: PacketNumber(packet) }
    }

    #[test]
    fn a_later_moment_comes_back_exactly() {
        let first = moment(1_700_000_000_000_000_000, 77);
        let year = 365 * 86_400 * 1_000_000_000;
        for (nanos, packets) in [(0, 0), (1, 1), (year, 1 << 39), (5_000_000_000, 5_000_000_000)] {
            let later = moment(first.at.as_nanos() + nanos, 77 + packets);
            assert_eq!(Later::new(first, later).moment(first), Some(later));
        }
        let before = moment(first.at.as_nanos() - 3, 78);
        assert_eq!(Later::new(first, before).moment(first), Some(before), "clocks go backwards");
        assert_eq!(Later::NONE.moment(first), None);
    }

    #[test]
    fn moments_out_of_bounds_stay_at_the_bound() {
        let far = Later::new(Moment::default(), moment(1 << 62, u64::MAX)).moment(Moment::default());
        assert_eq!(far, Some(moment((1 << 55) - 1, (1 << 40) - 2)));
    }

    #[test]
    fn an_early_moment_comes_back_exactly_or_not_at_all() {
        let first = moment(1_700_000_000_000_000_000, 77);
        let minute = moment(first.at.as_nanos() + 60_000_000_000, 77 + 200_000_000);
        assert_eq!(Early::new(first, minute).and_then(|early| early.moment(first)), Some(minute));
        assert!(Early::new(first, moment(first.at.as_nanos() + (1 << 36), 78)).is_none());
        assert!(Early::new(first, moment(first.at.as_nanos(), 77 + (1 << 28))).is_none());
        assert!(Early::new(first, moment(first.at.as_nanos() - 1, 78)).is_none());
        assert_eq!(Early::NONE.moment(first), None);
    }
}
