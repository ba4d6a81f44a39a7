//! The pcap format (draft-ietf-opsawg-pcap): a header of 24 bytes, then records.

use super::block::{Block, Captured, Other};
use super::buffer::ByteOrder;
use super::file::{Lack, RECORD_BYTES};
use crate::packet::LinkType;
use crate::source::{Drops, Interface};
use crate::time::Timestamp;

/// No capture program keeps more of a packet than this, unless the file's snap length says so.
const USUAL_SNAP_LENGTH: usize = 262_144;

/// A pcap file behind its header.
pub(super) struct Pcap {
    order: ByteOrder,
    /// What one unit of a record's fraction of a second is.
    nanos: u32,
    /// The length of a record's header.
    record_header: usize,
    /// More in one packet is damage.
    max_captured: usize,
    link: LinkType,
    /// A pcap file has one interface, without a name. It is told once.
    interface: Option<Interface>,
}

impl Pcap {
    /// The length of the file's header.
    pub(super) const HEADER: usize = 24;

    /// Reads the file's header, if it is one.
    pub(super) fn recognise(header: &[u8]) -> Option<Pcap> {
        let magic = header.get(..Pcap::HEADER)?.first_chunk()?;
        let (order, nanos, record_header) = match magic {
            [0xD4, 0xC3, 0xB2, 0xA1] => (ByteOrder::Little, 1000, 16),
            [0xA1, 0xB2, 0xC3, 0xD4] => (ByteOrder::Big, 1000, 16),
            [0x4D, 0x3C, 0xB2, 0xA1] => (ByteOrder::Little, 1, 16),
            [0xA1, 0xB2, 0x3C, 0x4D] => (ByteOrder::Big, 1, 16),
            // The "modified" format of old Linux patches: interface index, protocol and packet type in every record.
            [0x34, 0xCD, 0xB2, 0xA1] => (ByteOrder::Little, 1000, 24),
            [0xA1, 0xB2, 0xCD, 0x34] => (ByteOrder::Big, 1000, 24),
            _ => return None,
        };
        let snap_length = order.u32(header, 16);
        let link = LinkType(order.u32(header, 20) as u16); // the upper half says what the frame check sequence is
        Some(Pcap {
            order,
            nanos,
            record_header,
            max_captured: (snap_length as usize).clamp(USUAL_SNAP_LENGTH, RECORD_BYTES),
            link,
            interface: Some(Interface { name: None, link, snap_length, drops: Drops::default() }),
        })
    }

    /// Finds all packets that are whole in `bytes`, from `at` on. Where the first one begins that is not, and what it lacks.
    pub(super) fn find(&mut self, bytes: &[u8], mut at: usize, block: &mut Block) -> (usize, Lack) {
        if let Some(interface) = self.interface.take() {
            block.other(Other::Interface(interface));
        }
        loop {
            match self.length_of(bytes.get(at..).unwrap_or_default()) {
                Ok((whole, [seconds, fraction, _, on_the_wire])) => {
                    let nanos = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * u64::from(self.nanos);
                    let (link, length) = (self.link, on_the_wire);
                    let captured = Captured { at: Timestamp::from_nanos(nanos), interface: 0, link, length };
                    block.packet(captured, bytes, at + self.record_header, at + whole);
                    at += whole;
                }
                Err(lack) => return (at, lack),
            }
        }
    }

    /// The length of the record that these bytes begin with, and the numbers in its header.
    #[inline(always)]
    fn length_of(&self, bytes: &[u8]) -> Result<(usize, [u32; 4]), Lack> {
        let header = bytes.first_chunk().filter(|_| bytes.len() >= self.record_header);
        let Some(header) = header else { return Err(Lack::Bytes(self.record_header)) };
        let numbers = self.order.four(header);
        let captured = numbers[2] as usize;
        if captured > self.max_captured {
            return Err(Lack::Sense("a packet longer than the snap length allows; the bytes are no record"));
        }
        if numbers == [0; 4] {
            let reason = "only zeros; the disk was full, or the machine went down while capturing";
            return Err(Lack::Sense(reason));
        }
        let length = self.record_header + captured;
        if length <= bytes.len() { Ok((length, numbers)) } else { Err(Lack::Bytes(length)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Writer, lines_of, savefiles, yields};
    use super::*;

    #[test]
    fn both_byte_orders_and_both_resolutions() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let mut micro = Writer::pcap(order, 0xA1B2_C3D4);
            micro.record(1_700_000_000, 999_999, b"abc");
            assert_eq!(lines_of(&micro.bytes), ["#1 1700000000.999999000 @0 link 1 3: abc"]);
            let mut nano = Writer::pcap(order, 0xA1B2_3C4D);
            nano.record(1_700_000_000, 999_999_999, b"abc");
            assert_eq!(lines_of(&nano.bytes), ["#1 1700000000.999999999 @0 link 1 3: abc"]);
        }
    }

    #[test]
    fn the_modified_format_has_longer_records() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let mut file = Writer::pcap(order, 0xA1B2_CD34);
            for second in [5, 6] {
                file.u32(second).u32(7).u32(3).u32(60).u32(2).u16(8).u16(0);
                file.bytes.extend_from_slice(b"abc");
            }
            let expected = ["#1 5.000007000 @0 link 1 60: abc", "#2 6.000007000 @0 link 1 60: abc"];
            assert_eq!(lines_of(&file.bytes), expected);
        }
    }

    #[test]
    fn a_packet_that_is_too_long_is_damage_and_takes_no_memory() {
        let mut file = Writer::pcap(ByteOrder::Little, 0xA1B2_C3D4);
        file.record(1, 0, b"good").u32(2).u32(0).u32(u32::MAX).u32(60);
        let (lines, errors) = yields(&mut savefiles(&[&file.bytes]));
        assert_eq!((lines.len(), errors.len()), (1, 1));
        assert!(errors[0].to_string().starts_with("0 is damaged at byte 44, after 1 packet: a packet longer"));
    }

    #[test]
    fn zeros_at_the_end_are_no_packets() {
        let mut file = Writer::pcap(ByteOrder::Little, 0xA1B2_C3D4);
        file.record(1, 0, b"good").bytes.extend_from_slice(&[0; 4096]);
        let (lines, errors) = yields(&mut savefiles(&[&file.bytes]));
        assert_eq!((lines.len(), errors.len()), (1, 1));
        assert!(errors[0].to_string().contains("after 1 packet: only zeros"), "{}", errors[0]);
    }

    #[test]
    fn a_header_without_packets_is_a_capture_of_nothing() {
        assert_eq!(lines_of(&Writer::pcap(ByteOrder::Big, 0xA1B2_C3D4).bytes), [""; 0]);
    }
}
