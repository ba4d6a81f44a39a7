//! The usual packet, in one go.
//!
//! Nearly every packet is TCP in IP without options or extension headers, in one link header that is known. Here that
//! costs a few nanoseconds. [`Dissector::peel`](super::Dissector) finds the same in it, and a test holds them together;
//! everything else is left to it.

use super::bytes::{Bytes, u16_at, u32_at};
use super::ip::{self, Datagram};
use super::link::ether_type;
use super::{Ignored, Origin, Segment, tcp};
use crate::packet::{InterfaceId, LinkType, Packet};

/// The segment in a usual packet; `None` when the packet is any other.
#[inline]
pub(super) fn segment<'a>(packet: &Packet<'a>) -> Option<Segment<'a>> {
    let (interface, ether_type, bytes) = link(packet)?;
    let origin = Origin { moment: packet.moment(), interface };
    // Two calls rather than one with either datagram: so an address is written once, where it stays.
    match ether_type {
        ether_type::IPV4 if bytes.captured().first() == Some(&0x45) => over_ip(Datagram::v4(bytes), origin),
        ether_type::IPV6 if bytes.captured().first().is_some_and(|byte| byte >> 4 == 6) => {
            over_ip(Datagram::v6(bytes), origin)
        }
        _ => None,
    }
}

#[inline(always)]
fn over_ip<'a>(datagram: Result<Datagram<'a>, Ignored>, origin: Origin) -> Option<Segment<'a>> {
    let datagram = datagram.ok().filter(|datagram| datagram.protocol == ip::TCP && datagram.fragment.is_none())?;
    tcp::segment(&datagram, origin).ok()
}

/// What is behind the link header: its EtherType, and its bytes.
#[inline]
fn link<'a>(packet: &Packet<'a>) -> Option<(InterfaceId, u16, Bytes<'a>)> {
    let bytes = Bytes::new(packet.data, packet.length as usize);
    let (interface, ether_type, bytes) = match packet.link {
        LinkType::ETHERNET => {
            let (header, rest) = bytes.split::<14>().ok()?;
            (packet.interface, u16_at(header, 12), rest)
        }
        LinkType::LINUX_SLL => {
            let (header, rest) = bytes.split::<16>().ok()?;
            (packet.interface, u16_at(header, 14), rest)
        }
        LinkType::LINUX_SLL2 => {
            let (header, rest) = bytes.split::<20>().ok()?;
            (InterfaceId(u32_at(header, 4)), u16_at(header, 0), rest)
        }
        _ => return None,
    };
    if ether_type != ether_type::VLAN {
        return Some((interface, ether_type, bytes));
    }
    let (tag, bytes) = bytes.split::<4>().ok()?;
    Some((interface, u16_at(tag, 2), bytes))
}
