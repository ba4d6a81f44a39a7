//! Packets as a source has them: several at once, with their headers read.

use std::slice;

use crate::packet::{InterfaceId, LinkType, Packet, PacketNumber};
use crate::time::Timestamp;
use crate::wire::Headers;

/// Packets that come one behind the other: with each its headers, where they are those of a usual packet.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    pub(super) records: slice::Iter<'a, Record>,
    /// What the places in `records` are places in.
    pub(super) bytes: &'a [u8],
    /// The number of the first one.
    pub(super) number: u64,
    /// The interfaces that `records` name by their index.
    pub(super) interfaces: &'a [InterfaceId],
    /// By how many nanoseconds the clock of `records` is ahead.
    pub(super) ahead: i64,
}

/// A packet, without its bytes: 64 bytes itself, and all that the most frequent packet, an acknowledgment, is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// When it was captured.
    pub(super) at: Timestamp,
    /// Where its bytes are.
    pub(super) begin: u32,
    pub(super) end: u32,
    /// Its length on the wire.
    pub(super) length: u32,
    /// The index of its interface.
    pub(super) interface: u32,
    pub(super) link: LinkType,
    pub(super) headers: Option<Headers>,
}

impl<'a> Iterator for Packets<'a> {
    type Item = (Packet<'a>, Option<&'a Headers>);

    #[inline]
    fn next(&mut self) -> Option<(Packet<'a>, Option<&'a Headers>)> {
        let record = self.records.next()?;
        let packet = Packet {
            number: PacketNumber(self.number),
            at: if self.ahead == 0 { record.at } else { record.at.moved(self.ahead.saturating_neg()) },
            interface: self.interfaces.get(record.interface as usize).copied().unwrap_or_default(),
            link: record.link,
            length: record.length,
            data: self.bytes.get(record.begin as usize..record.end as usize).unwrap_or_default(),
        };
        self.number += 1;
        Some((packet, record.headers.as_ref()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

impl ExactSizeIterator for Packets<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_small() {
        assert_eq!(size_of::<Record>(), 64);
    }
}
