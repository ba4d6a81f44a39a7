//! The usual packet, in one go.
//!
//! Nearly every packet is TCP in IP without options or extension headers, in one link header that is known. Here one
//! comparison of lengths is enough for all of its headers. [`Dissector::peel`](super::Dissector) finds the same in it, and
//! a test holds them together; everything else is left to it.

use super::bytes::{u16_at, u32_at};
use super::ip;
use super::link::ether_type;
use super::{Addresses, Ends, Flags, Segment};
use crate::packet::{InterfaceId, LinkType, Packet};
use crate::tcp::SeqNumber;

/// An IPv4 header without options, and a TCP header without them.
const V4: usize = 20 + 20;

/// An IPv6 header, and a TCP header without options.
const V6: usize = 40 + 20;

/// What the IP header says.
struct Datagram {
    addresses: Addresses,
    ttl: u8,
    id: u16,
    /// Its length, header included; 0 where it says none.
    length: usize,
}

/// Gives the segment in a usual packet to `take`; `None` when the packet is any other.
#[inline(always)]
pub(super) fn segment<'a, T>(packet: &Packet<'a>, take: impl FnOnce(&Segment<'a>) -> T) -> Option<T> {
    let (interface, ether_type, behind) = link(packet)?;
    let rest = packet.data.get(behind..)?;
    // Two calls rather than one with either header, and a segment that is lent: so all of it is written once, where it stays.
    match ether_type {
        ether_type::IPV4 => {
            let headers = rest.first_chunk::<V4>()?;
            let datagram = ipv4(headers)?;
            over_ip(packet, interface, behind, rest, datagram, headers.last_chunk()?, V4).as_ref().map(take)
        }
        ether_type::IPV6 => {
            let headers = rest.first_chunk::<V6>()?;
            let datagram = ipv6(headers)?;
            over_ip(packet, interface, behind, rest, datagram, headers.last_chunk()?, V6).as_ref().map(take)
        }
        _ => None,
    }
}

/// What is behind the link header: its EtherType, and where it begins. The packet's interface, or the one that the header
/// names.
#[inline(always)]
fn link(packet: &Packet<'_>) -> Option<(InterfaceId, u16, usize)> {
    let data = packet.data;
    let (interface, ether_type, behind) = match packet.link {
        LinkType::ETHERNET => (packet.interface, u16_at(data.first_chunk::<14>()?, 12), 14),
        LinkType::LINUX_SLL => (packet.interface, u16_at(data.first_chunk::<16>()?, 14), 16),
        LinkType::LINUX_SLL2 => {
            let header = data.first_chunk::<20>()?;
            (InterfaceId(u32_at(header, 4)), u16_at(header, 0), 20)
        }
        _ => return None,
    };
    if ether_type != ether_type::VLAN {
        return Some((interface, ether_type, behind));
    }
    let tag = data.get(behind..)?.first_chunk::<4>()?;
    Some((interface, u16_at(tag, 2), behind + 4))
}

/// An IPv4 header of a whole datagram that carries TCP (RFC 791 §3.1).
#[inline(always)]
fn ipv4(header: &[u8; V4]) -> Option<Datagram> {
    const MORE_FRAGMENTS_AND_OFFSET: u16 = 0x3FFF;
    let usual = header[0] == 0x45 && header[9] == ip::TCP && u16_at(header, 6) & MORE_FRAGMENTS_AND_OFFSET == 0;
    usual.then(|| Datagram {
        addresses: Addresses::V4([u32_at(header, 12), u32_at(header, 16)]),
        ttl: header[8],
        id: u16_at(header, 4),
        length: usize::from(u16_at(header, 2)),
    })
}

/// An IPv6 header before TCP (RFC 8200 §3).
#[inline(always)]
fn ipv6(header: &[u8; V6]) -> Option<Datagram> {
    if header[0] >> 4 != 6 || header[6] != ip::TCP {
        return None;
    }
    let (mut source, mut destination) = ([0; 16], [0; 16]);
    source.copy_from_slice(&header[8..24]);
    destination.copy_from_slice(&header[24..40]);
    let length = match usize::from(u16_at(header, 4)) {
        0 => 0,
        payload => 40 + payload,
    };
    Some(Datagram { addresses: Addresses::V6([source, destination]), ttl: header[7], id: 0, length })
}

/// The segment behind `fixed` bytes of headers, the last of which are those of TCP (RFC 9293 §3.1).
#[inline(always)]
fn over_ip<'a>(
    packet: &Packet<'a>,
    interface: InterfaceId,
    behind: usize,
    rest: &'a [u8],
    datagram: Datagram,
    tcp: &[u8; 20],
    fixed: usize,
) -> Option<Segment<'a>> {
    // On the wire; a length of 0 is that of a segment which the network card was to cut.
    let length = match datagram.length {
        0 => (packet.length as usize).max(packet.data.len()) - behind,
        length => length,
    };
    let captured = rest.get(..length.min(rest.len()))?;
    let payload_at = fixed - 20 + usize::from(tcp[12] >> 4) * 4;
    let payload_length = length.checked_sub(payload_at)?;
    let raw_options = captured.get(fixed..payload_at.min(captured.len()))?;
    Some(Segment {
        moment: packet.moment(),
        ends: Ends { addresses: datagram.addresses, ports: [u16_at(tcp, 0), u16_at(tcp, 2)] },
        seq: SeqNumber(u32_at(tcp, 4)),
        ack: SeqNumber(u32_at(tcp, 8)),
        flags: Flags(tcp[13]),
        window: u16_at(tcp, 14),
        raw_options,
        payload: captured.get(payload_at..).unwrap_or_default(),
        payload_length: u32::try_from(payload_length).unwrap_or(u32::MAX),
        ttl: datagram.ttl,
        ip_id: datagram.id,
        interface,
    })
}
