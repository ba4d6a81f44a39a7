//! The packets of a script, and the file that holds them.

use crate::packet::{InterfaceId, LinkType, Packet, PacketNumber};
use crate::time::Timestamp;

/// A packet with its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedPacket {
    /// Its number in the capture.
    pub number: PacketNumber,
    /// When it was captured.
    pub at: Timestamp,
    /// Its length on the wire.
    pub length: u32,
    /// Its bytes from the Ethernet header on, as far as they were captured.
    pub data: Vec<u8>,
}

impl OwnedPacket {
    /// As a source would yield it.
    pub fn packet(&self) -> Packet<'_> {
        Packet {
            number: self.number,
            at: self.at,
            interface: InterfaceId(0),
            link: LinkType::ETHERNET,
            length: self.length,
            data: &self.data,
        }
    }
}

/// A classic savefile with nanoseconds, in little-endian order.
pub(super) fn pcap(packets: &[OwnedPacket]) -> Vec<u8> {
    const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
    const SNAP_LENGTH: u32 = 262_144;
    let bytes = packets.iter().map(|packet| 16 + packet.data.len()).sum::<usize>();
    let mut file = Vec::with_capacity(24 + bytes);
    file.extend(MAGIC_NANOSECONDS.to_le_bytes());
    file.extend([2, 0, 4, 0]); // version 2.4
    file.extend([0; 8]); // time zone and accuracy: not used
    file.extend(SNAP_LENGTH.to_le_bytes());
    file.extend(u32::from(LinkType::ETHERNET.0).to_le_bytes());
    for packet in packets {
        let nanos = packet.at.as_nanos();
        for word in [nanos / 1_000_000_000, nanos % 1_000_000_000, packet.data.len() as u64, packet.length.into()] {
            file.extend((word as u32).to_le_bytes());
        }
        file.extend(&packet.data);
    }
    file
}
