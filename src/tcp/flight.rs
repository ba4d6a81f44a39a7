//! What was sent and not yet acknowledged: so that an acknowledgment, or its absence, can be told of a packet.
//!
//! One segment in flight needs no entry: it is the half's last data. Only from the second on is there a [`Flight`], and
//! it goes when everything is acknowledged, so that a connection that rests has none.

use crate::packet::{Later, Moment};
use crate::stream::Pair;
use crate::tcp::SeqNumber;

/// The flights of both directions of a connection.
pub(super) type Flights = Pair<Flight>;

/// One segment, or a run of segments.
#[derive(Clone, Copy)]
struct Entry {
    /// Behind its last byte. It begins where the entry before it ends.
    end: SeqNumber,
    /// The largest payload of one segment in it; 0 when that is not known.
    largest: u32,
    /// Its first packet.
    sent: Later,
}

const NONE: Entry = Entry { end: SeqNumber(0), largest: 0, sent: Later::NONE };

/// The segments of one direction in order of the stream, oldest first.
pub(super) struct Flight {
    entries: [Entry; Flight::CAPACITY],
    first: u8,
    length: u8,
}

impl Default for Flight {
    fn default() -> Flight {
        Flight { entries: [NONE; Flight::CAPACITY], first: 0, length: 0 }
    }
}

impl Flight {
    /// Segments told apart. In a larger flight the newest are one entry: they were sent in one burst.
    const CAPACITY: usize = 16;

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A segment was sent that ends at `end`.
    pub(super) fn push(&mut self, end: SeqNumber, length: u32, sent: Later) {
        if usize::from(self.length) == Self::CAPACITY {
            let newest = &mut self.entries[self.slot(Self::CAPACITY - 1)];
            newest.end = end;
            newest.largest = newest.largest.max(length);
        } else {
            self.entries[self.slot(usize::from(self.length))] = Entry { end, largest: length, sent };
            self.length += 1;
        }
    }

    /// Everything before `ack` has arrived. Returns the largest payload that was acknowledged whole.
    pub(super) fn acknowledge(&mut self, ack: SeqNumber) -> u32 {
        let mut largest = 0;
        while self.length > 0 && ack.distance(self.entries[self.slot(0)].end) >= 0 {
            largest = largest.max(self.entries[self.slot(0)].largest);
            self.first = (self.first + 1) % Self::CAPACITY as u8;
            self.length -= 1;
        }
        largest
    }

    /// When the byte at `seq` was first sent.
    pub(super) fn sent(&self, seq: SeqNumber, first: Moment) -> Option<Moment> {
        let entries = (0..usize::from(self.length)).map(|i| self.entries[self.slot(i)]);
        entries.into_iter().find(|entry| entry.end.distance(seq) > 0).and_then(|entry| entry.sent.moment(first))
    }

    fn slot(&self, index: usize) -> usize {
        (usize::from(self.first) + index) % Self::CAPACITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PacketNumber;
    use crate::time::Timestamp;

    const FIRST: Moment = Moment { at: Timestamp::ZERO, packet: PacketNumber(1) };

    fn sent(packet: u64) -> Later {
        Later::new(FIRST, Moment { at: Timestamp::ZERO, packet: PacketNumber(packet) })
    }

    fn packet(flight: &Flight, seq: u32) -> Option<u64> {
        flight.sent(SeqNumber(seq), FIRST).map(|moment| moment.packet.0)
    }

    #[test]
    fn each_segment_is_known_until_it_is_acknowledged() {
        let mut flight = Flight::default();
        flight.push(SeqNumber(u32::MAX), 100, sent(2));
        flight.push(SeqNumber(49), 50, sent(3));
        flight.push(SeqNumber(1049), 1000, sent(4));
        assert_eq!(
            (packet(&flight, u32::MAX - 1), packet(&flight, u32::MAX), packet(&flight, 48)),
            (Some(2), Some(3), Some(3))
        );
        assert_eq!(flight.acknowledge(SeqNumber(48)), 100, "the second only in part");
        assert_eq!(flight.acknowledge(SeqNumber(1049)), 1000);
        assert!(flight.is_empty());
        assert_eq!(packet(&flight, 1048), None);
    }

    #[test]
    fn a_large_flight_keeps_its_oldest_segments_apart() {
        let mut flight = Flight::default();
        for i in 1..=40 {
            flight.push(SeqNumber(i * 10), 10 + i, sent(u64::from(i)));
        }
        assert_eq!((packet(&flight, 0), packet(&flight, 149), packet(&flight, 399)), (Some(1), Some(15), Some(16)));
        assert_eq!(flight.acknowledge(SeqNumber(399)), 10 + 15);
        assert_eq!(flight.acknowledge(SeqNumber(400)), 50);
    }
}
