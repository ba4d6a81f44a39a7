//! Moments that come once and soon after the first packet of a connection. Those that come later are
//! [`Later`](crate::packet::Later).

use crate::packet::{Moment, PacketNumber};
use crate::time::Timestamp;

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
