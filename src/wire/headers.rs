//! The headers of a usual packet, read in one go.
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

/// What the headers of a usual packet say: small, so that many can wait beside their packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Headers {
    /// Source and destination of IPv4. Those of IPv6 are read where they lie.
    addresses: [u32; 2],
    ports: [u16; 2],
    seq: u32,
    ack: u32,
    payload_length: u32,
    window: u16,
    ip_id: u16,
    flags: u8,
    ttl: u8,
    version: Version,
    /// Where in the packet the options of TCP begin.
    options: u8,
    /// Where in the packet the payload begins.
    payload: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    V4,
    V6,
}

/// What the IP header says.
struct Datagram {
    version: Version,
    addresses: [u32; 2],
    ttl: u8,
    id: u16,
    /// Its length, header included; 0 where it says none.
    length: usize,
}

impl Headers {
    /// Reads the headers of a packet that begins with `link`, and had `length` bytes on the wire; `None` when it is not a
    /// usual one.
    #[inline(always)]
    pub fn read(link: LinkType, length: u32, data: &[u8]) -> Option<Headers> {
        let (ether_type, behind) = link_header(link, data)?;
        let rest = data.get(behind..)?;
        match ether_type {
            ether_type::IPV4 => {
                let headers = rest.first_chunk::<V4>()?;
                over_ip(ipv4(headers)?, headers.last_chunk()?, V4, behind, rest, length)
            }
            ether_type::IPV6 => {
                let headers = rest.first_chunk::<V6>()?;
                over_ip(ipv6(headers)?, headers.last_chunk()?, V6, behind, rest, length)
            }
            _ => None,
        }
    }

    /// The segment in the packet that these headers are of.
    #[inline(always)]
    pub fn segment<'a>(&self, packet: &Packet<'a>) -> Segment<'a> {
        let data = packet.data;
        let (options, payload) = (usize::from(self.options), usize::from(self.payload));
        let end = data.len().min(payload.saturating_add(self.payload_length as usize));
        Segment {
            moment: packet.moment(),
            ends: Ends { addresses: self.addresses(data), ports: self.ports },
            seq: SeqNumber(self.seq),
            ack: SeqNumber(self.ack),
            flags: Flags(self.flags),
            window: self.window,
            raw_options: data.get(options..payload.min(end)).unwrap_or_default(),
            payload: data.get(payload..end).unwrap_or_default(),
            payload_length: self.payload_length,
            ttl: self.ttl,
            ip_id: self.ip_id,
            interface: interface(packet),
        }
    }

    #[inline(always)]
    fn addresses(&self, data: &[u8]) -> Addresses {
        match self.version {
            Version::V4 => Addresses::V4(self.addresses),
            Version::V6 => {
                let at = usize::from(self.options).saturating_sub(V6);
                let header = data.get(at..).and_then(<[u8]>::first_chunk).unwrap_or(&[0; V6]);
                let (mut source, mut destination) = ([0; 16], [0; 16]);
                source.copy_from_slice(&header[8..24]);
                destination.copy_from_slice(&header[24..40]);
                Addresses::V6([source, destination])
            }
        }
    }
}

/// Where a packet was captured: its interface, or the one that its link header names.
#[inline(always)]
fn interface(packet: &Packet<'_>) -> InterfaceId {
    match packet.data.first_chunk::<20>() {
        Some(header) if packet.link == LinkType::LINUX_SLL2 => InterfaceId(u32_at(header, 4)),
        _ => packet.interface,
    }
}

/// What is behind the link header: its EtherType, and where it begins.
#[inline(always)]
fn link_header(link: LinkType, data: &[u8]) -> Option<(u16, usize)> {
    let (ether_type, behind) = match link {
        LinkType::ETHERNET => (u16_at(data.first_chunk::<14>()?, 12), 14),
        LinkType::LINUX_SLL => (u16_at(data.first_chunk::<16>()?, 14), 16),
        LinkType::LINUX_SLL2 => (u16_at(data.first_chunk::<20>()?, 0), 20),
        _ => return None,
    };
    if ether_type != ether_type::VLAN {
        return Some((ether_type, behind));
    }
    let tag = data.get(behind..)?.first_chunk::<4>()?;
    Some((u16_at(tag, 2), behind + 4))
}

/// An IPv4 header of a whole datagram that carries TCP (RFC 791 §3.1).
#[inline(always)]
fn ipv4(header: &[u8; V4]) -> Option<Datagram> {
    const MORE_FRAGMENTS_AND_OFFSET: u16 = 0x3FFF;
    let usual = header[0] == 0x45 && header[9] == ip::TCP && u16_at(header, 6) & MORE_FRAGMENTS_AND_OFFSET == 0;
    usual.then(|| Datagram {
        version: Version::V4,
        addresses: [u32_at(header, 12), u32_at(header, 16)],
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
    let length = match usize::from(u16_at(header, 4)) {
        0 => 0,
        payload => 40 + payload,
    };
    Some(Datagram { version: Version::V6, addresses: [0; 2], ttl: header[7], id: 0, length })
}

/// The headers whose last bytes are these of TCP (RFC 9293 §3.1): `fixed` of them in `rest`, which `behind` bytes of link
/// header stand before.
#[inline(always)]
fn over_ip(
    datagram: Datagram,
    tcp: &[u8; 20],
    fixed: usize,
    behind: usize,
    rest: &[u8],
    length: u32,
) -> Option<Headers> {
    // On the wire; a length of 0 is that of a segment which the network card was to cut.
    let length = match datagram.length {
        0 => (length as usize).saturating_sub(behind).max(rest.len()),
        length => length,
    };
    let payload_at = fixed - 20 + usize::from(tcp[12] >> 4) * 4;
    if payload_at < fixed {
        return None;
    }
    let payload_length = length.checked_sub(payload_at)?;
    Some(Headers {
        addresses: datagram.addresses,
        ports: [u16_at(tcp, 0), u16_at(tcp, 2)],
        seq: u32_at(tcp, 4),
        ack: u32_at(tcp, 8),
        payload_length: u32::try_from(payload_length).unwrap_or(u32::MAX),
        window: u16_at(tcp, 14),
        ip_id: datagram.id,
        flags: tcp[13],
        ttl: datagram.ttl,
        version: datagram.version,
        // A link header has 24 bytes at most, an IPv6 header 40, TCP's 60.
        options: (behind + fixed) as u8,
        payload: (behind + payload_at) as u8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_small() {
        assert_eq!(size_of::<Option<Headers>>(), 36);
    }
}
