//! Moments packed relative to another one: of what is open for long there are many, and each keeps several of them.

use super::{Moment, PacketNumber};
use crate::time::Timestamp;

/// A moment relative to another one: 56 bits of nanoseconds (a year either way) and 40 bits of packets (half a trillion
/// either way). What lies beyond these bounds stays at them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Later([u32; 3]);

impl Default for Later {
    fn default() -> Later {
        Later::NONE
    }
}

impl Later {
    const NANOS: i64 = 1 << 55;
    const PACKETS: i64 = 1 << 39;
    /// The least number of packets: those below it have the highest byte of [`Later::NONE`].
    const FEWEST: i64 = (1 << 32) - Self::PACKETS;

    /// There is no such moment.
    pub const NONE: Later = Later::pack(0, -Later::PACKETS);

    /// `moment`, relative to `base`.
    #[inline]
    pub fn new(base: Moment, moment: Moment) -> Later {
        let nanos = moment.at.as_nanos().wrapping_sub(base.at.as_nanos()) as i64;
        let packets = moment.packet.0.wrapping_sub(base.packet.0) as i64;
        let near = (-Self::NANOS..Self::NANOS).contains(&nanos) & (Self::FEWEST..Self::PACKETS).contains(&packets);
        if near { Later::pack(nanos, packets) } else { Later::far(nanos, packets) }
    }

    #[cold]
    fn far(nanos: i64, packets: i64) -> Later {
        let nanos = nanos.clamp(-Self::NANOS, Self::NANOS - 1);
        Later::pack(nanos, packets.clamp(Self::FEWEST, Self::PACKETS - 1))
    }

    #[inline]
    const fn pack(nanos: i64, packets: i64) -> Later {
        Later([nanos as u32, (nanos >> 32) as u32 & 0x00FF_FFFF | ((packets >> 32) as u32) << 24, packets as u32])
    }

    /// Whether there is such a moment.
    #[inline]
    pub fn is_some(self) -> bool {
        let [_, middle, _] = self.0;
        middle >> 24 != 0x80
    }

    /// The moment, given the one that it is relative to.
    #[inline]
    pub fn moment(self, base: Moment) -> Option<Moment> {
        self.is_some().then(|| Moment {
            at: Timestamp::from_nanos(base.at.as_nanos().wrapping_add(self.nanos() as u64)),
            packet: PacketNumber(base.packet.0.saturating_add_signed(self.packets())),
        })
    }

    /// Whether it comes behind another one that is relative to the same.
    #[inline]
    pub fn is_behind(self, other: Later) -> bool {
        self.nanos() > other.nanos() || (self.nanos() == other.nanos() && self.packets() > other.packets())
    }

    #[inline]
    fn packets(self) -> i64 {
        let [_, middle, packets] = self.0;
        // Shifted up and down again, so that the sign comes back.
        (i64::from(middle as i32) >> 24) << 32 | i64::from(packets)
    }

    /// How much later than that one it is, in nanoseconds.
    #[inline]
    pub fn nanos(self) -> i64 {
        let [low, middle, _] = self.0;
        ((u64::from(middle) << 32 | u64::from(low)) << 8) as i64 >> 8
    }
}

/// A moment, and the same relative to another one.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// The moment.
    pub moment: Moment,
    /// What it is relative to.
    pub base: Moment,
    /// The same, packed.
    pub later: Later,
}

impl When {
    /// `moment`, relative to `base`.
    #[inline]
    pub fn new(base: Moment, moment: Moment) -> When {
        When { moment, base, later: Later::new(base, moment) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(nanos: u64, packet: u64) -> Moment {
        Moment { at: Timestamp::from_nanos(nanos), packet: PacketNumber(packet) }
    }

    #[test]
    fn a_moment_comes_back_exactly() {
        let base = moment(1_700_000_000_000_000_000, 77_000);
        let year = 365 * 86_400 * 1_000_000_000;
        for (nanos, packets) in [(0, 0), (1, 1), (year, 1 << 38), (5_000_000_000, 5_000_000_000)] {
            let later = moment(base.at.as_nanos() + nanos, base.packet.0 + packets);
            assert_eq!(Later::new(base, later).moment(base), Some(later));
            assert_eq!(Later::new(base, later).nanos() as u64, nanos);
            let earlier = moment(base.at.as_nanos() - nanos, base.packet.0 - packets.min(77_000));
            assert_eq!(Later::new(base, earlier).moment(base), Some(earlier), "clocks go backwards, and so do packets");
        }
        assert_eq!(Later::NONE.moment(base), None);
    }

    #[test]
    fn moments_have_an_order() {
        let base = moment(1_000, 100);
        let [early, late, same_time] =
            [moment(990, 103), moment(1_010, 90), moment(1_010, 91)].map(|moment| Later::new(base, moment));
        assert!(late.is_behind(early) && same_time.is_behind(late));
        assert!(!early.is_behind(late) && !late.is_behind(same_time) && !late.is_behind(late));
    }

    #[test]
    fn moments_out_of_bounds_stay_at_the_bound() {
        let far = Later::new(Moment::default(), moment(1 << 62, 1 << 50)).moment(Moment::default());
        assert_eq!(far, Some(moment((1 << 55) - 1, (1 << 39) - 1)));
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Later>(), 12);
    }
}
