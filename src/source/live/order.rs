//! Packets of several devices in order of time.
//!
//! The kernel gathers packets for each device by itself, and hands out what it has gathered [`LATE`] later at most. Read one device
//! behind the other, the answer would come before the request. So the first packet of each is held until no other device
//! can have an earlier one.

use std::time::Duration;

use super::device::GATHER_MS;
use crate::time::Timestamp;

/// After so long a packet was handed out. The kernel looks once in [`GATHER_MS`] whether what it gathers was there the last
/// time; the third is for who is late.
pub(super) const LATE: Duration = Duration::from_millis(3 * GATHER_MS as u64);

/// What is known of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Front {
    /// Its next packet was captured then.
    Packet(Timestamp),
    /// It had none when it was asked, which was then.
    Silent(Timestamp),
    /// None will come.
    Gone,
}

/// Who comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// The device of this number.
    Of(usize),
    /// Nobody yet: this one has the first packet, and others may still have something from before that time.
    Held(usize, Timestamp),
    /// Nobody has a packet.
    Nobody,
}

/// Who comes next of these devices. Of equal times the first one.
pub(super) fn turn(fronts: impl Iterator<Item = Front> + Clone) -> Turn {
    let packets = fronts.clone().enumerate().filter_map(|(index, front)| match front {
        Front::Packet(at) => Some((at, index)),
        _ => None,
    });
    let Some((at, index)) = packets.min() else { return Turn::Nobody };
    let has_nothing_earlier = |front| match front {
        Front::Silent(asked) => asked >= at.plus(LATE),
        Front::Packet(_) | Front::Gone => true,
    };
    if fronts.clone().all(has_nothing_earlier) { Turn::Of(index) } else { Turn::Held(index, at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    fn turn_of(fronts: &[Front]) -> Turn {
        turn(fronts.iter().copied())
    }

    #[test]
    fn the_earliest_packet_comes_first() {
        assert_eq!(turn_of(&[Front::Packet(ms(5)), Front::Packet(ms(3)), Front::Gone]), Turn::Of(1));
        assert_eq!(turn_of(&[Front::Packet(ms(3)), Front::Packet(ms(3))]), Turn::Of(0));
    }

    #[test]
    fn a_packet_waits_for_who_may_have_an_earlier_one() {
        let late = LATE.as_millis() as u64;
        let silent = |asked| turn_of(&[Front::Silent(ms(asked)), Front::Packet(ms(1000))]);
        assert_eq!(silent(0), Turn::Held(1, ms(1000)));
        assert_eq!(silent(1000 + late - 1), Turn::Held(1, ms(1000)));
        assert_eq!(silent(1000 + late), Turn::Of(1));
    }

    #[test]
    fn where_there_is_none_nobody_has_his_turn() {
        assert_eq!(turn_of(&[Front::Silent(ms(1)), Front::Gone]), Turn::Nobody);
        assert_eq!(turn_of(&[]), Turn::Nobody);
    }
}
