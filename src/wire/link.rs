//! The link layer: from a captured packet down to IP.

use super::bytes::{Bytes, u16_at, u32_at};
use super::{Ignored, pseudo, serial, tunnel, wifi};
use crate::packet::{InterfaceId, LinkType, Packet};

/// What the next bytes of a packet are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layer {
    /// A MAC header.
    Ethernet,
    /// What this EtherType stands for. Up to 1500 it is a length.
    EtherType(u16),
    /// IEEE 802.2.
    Llc,
    /// An IP header of either version; the first four bits tell.
    Ip,
}

/// EtherTypes, from the registry of IEEE 802.
pub(super) mod ether_type {
    /// What is not greater is the length of what follows, and that is LLC (IEEE 802.3 §3.2.6).
    pub const LONGEST: u16 = 1500;
    pub const IPV4: u16 = 0x0800;
    pub const IPV6: u16 = 0x86DD;
    /// An Ethernet frame bridged through a tunnel (RFC 1701).
    pub const TRANSPARENT_ETHERNET: u16 = 0x6558;
    /// IEEE 802.1Q.
    pub const VLAN: u16 = 0x8100;
    /// IEEE 802.1ad, the outer of two tags.
    pub const PROVIDER_VLAN: u16 = 0x88A8;
    /// The outer of two tags before 802.1ad.
    pub const OLD_PROVIDER_VLAN: u16 = 0x9100;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    /// PPPoE in its session stage (RFC 2516).
    pub const PPPOE_SESSION: u16 = 0x8864;
}

/// What a packet begins with, by its link type; and the interface that it names itself.
#[inline]
pub(super) fn first<'a>(packet: &Packet<'a>) -> Result<(InterfaceId, Layer, Bytes<'a>), Ignored> {
    let bytes = Bytes::new(packet.data, packet.length as usize);
    let (layer, bytes) = match packet.link {
        LinkType::LINUX_SLL2 => return linux_sll2(bytes),
        LinkType::PKTAP => pseudo::pktap(bytes).and_then(|(link, bytes)| behind(link, bytes))?,
        link => behind(link, bytes)?,
    };
    Ok((packet.interface, layer, bytes))
}

/// What is behind the header of a link.
fn behind(link: LinkType, bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    match link {
        LinkType::ETHERNET => Ok((Layer::Ethernet, bytes)),
        LinkType::LINUX_SLL => linux_sll(bytes),
        LinkType::NULL | LinkType::LOOP => loopback(bytes),
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD | LinkType::IPV4 | LinkType::IPV6 => {
            Ok((Layer::Ip, bytes))
        }
        LinkType::PPP => serial::ppp(bytes),
        LinkType::PPP_WITH_DIRECTION => serial::ppp(bytes.skip(1)?),
        LinkType::PPP_HDLC => serial::hdlc(bytes),
        LinkType::CISCO_HDLC => serial::cisco_hdlc(bytes),
        LinkType::ENC => pseudo::enc(bytes),
        LinkType::PFLOG => pseudo::pflog(bytes),
        LinkType::NFLOG => pseudo::nflog(bytes),
        LinkType::IEEE802_11 => wifi::frame(bytes),
        LinkType::RADIOTAP => wifi::radiotap(bytes).and_then(wifi::frame),
        _ => Err(Ignored::UnknownLink),
    }
}

/// One header off: a MAC header, a VLAN tag, or what else an EtherType stands for.
#[inline]
pub(super) fn peel(layer: Layer, bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    match layer {
        Layer::Ip => Ok((layer, bytes)),
        Layer::Ethernet => {
            let (header, rest) = bytes.split::<14>()?;
            Ok((by_ether_type(u16_at(header, 12)), rest))
        }
        Layer::EtherType(ether_type::VLAN | ether_type::PROVIDER_VLAN | ether_type::OLD_PROVIDER_VLAN) => {
            let (tag, rest) = bytes.split::<4>()?;
            Ok((by_ether_type(u16_at(tag, 2)), rest))
        }
        Layer::EtherType(ether_type::MPLS | ether_type::MPLS_MULTICAST) => tunnel::mpls(bytes),
        Layer::EtherType(ether_type::PPPOE_SESSION) => tunnel::pppoe(bytes),
        Layer::EtherType(..=ether_type::LONGEST) | Layer::Llc => wifi::llc(bytes),
        Layer::EtherType(_) => Err(Ignored::NotIp),
    }
}

/// The layer that an EtherType announces.
#[inline]
pub(super) fn by_ether_type(number: u16) -> Layer {
    match number {
        ether_type::IPV4 | ether_type::IPV6 => Layer::Ip,
        ether_type::TRANSPARENT_ETHERNET => Layer::Ethernet,
        other => Layer::EtherType(other),
    }
}

/// Linux cooked capture: packet type, ARPHRD type, address length, address, protocol.
fn linux_sll(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    let (header, rest) = bytes.split::<16>()?;
    Ok((by_ether_type(u16_at(header, 14)), rest))
}

/// Linux cooked capture, version 2: protocol, reserved, interface index, ARPHRD type, packet type, address.
fn linux_sll2(bytes: Bytes<'_>) -> Result<(InterfaceId, Layer, Bytes<'_>), Ignored> {
    let (header, rest) = bytes.split::<20>()?;
    Ok((InterfaceId(u32_at(header, 4)), by_ether_type(u16_at(header, 0)), rest))
}

/// BSD loopback: an address family.
fn loopback(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    let (header, rest) = bytes.split::<4>()?;
    family(u32_at(header, 0)).map(|layer| (layer, rest))
}

/// What an address family announces: in the byte order of whoever captured, or in network byte order. The number of IPv6 is
/// another on every system.
pub(super) fn family(number: u32) -> Result<Layer, Ignored> {
    const INET: u32 = 2;
    const INET6: [u32; 4] = [24, 28, 30, 10]; // NetBSD and OpenBSD, FreeBSD, Darwin, Linux
    let family = if number > 0xFFFF { number.swap_bytes() } else { number };
    if family == INET || INET6.contains(&family) { Ok(Layer::Ip) } else { Err(Ignored::NotIp) }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, dissect, packet, tcp4, tcp6};
    use super::super::{Dissected, Ignored};
    use super::*;

    /// Checks that both versions of IP are found behind `header`.
    fn check(link: LinkType, header: &[u8]) {
        samples::check_link(link, header, &tcp4(b"inner"));
        samples::check_link(link, header, &tcp6(b"inner"));
    }

    #[test]
    fn raw_ip() {
        for number in [12, 14, 101, 228, 229] {
            check(LinkType(number), &[]);
        }
    }

    #[test]
    fn loopback_in_both_byte_orders_with_the_numbers_of_every_system() {
        for family in [2u32, 24, 28, 30, 10] {
            check(LinkType::NULL, &family.to_le_bytes());
            check(LinkType::NULL, &family.to_be_bytes());
            check(LinkType::LOOP, &family.to_be_bytes());
        }
        let appletalk = [&16u32.to_le_bytes()[..], &tcp4(b"")].concat();
        assert_eq!(samples::ignored(LinkType::NULL, &appletalk), Some(Ignored::NotIp));
    }

    #[test]
    fn cooked_capture() {
        for ip in [tcp4(b"x"), tcp6(b"x")] {
            let protocol = if ip[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xDD] };
            let sll = [&[0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0], &protocol[..], &ip].concat();
            dissect(&packet(LinkType::LINUX_SLL, &sll), |dissected| {
                assert!(matches!(dissected, Dissected::Tcp(segment) if segment.payload == b"x"));
            });
            let header = [0, 0, 0, 0, 1, 2, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
            let sll2 = [&protocol[..], &header, &ip].concat();
            dissect(&packet(LinkType::LINUX_SLL2, &sll2), |dissected| match dissected {
                Dissected::Tcp(segment) => assert_eq!(segment.interface, InterfaceId(0x0102)),
                other => panic!("{other:?}"),
            });
        }
    }

    #[test]
    fn vlan_tags_up_to_the_bound() {
        for tags in [0, 1, 2, 5, 20] {
            let data = samples::ethernet(&[0x8100; 20][..tags], &tcp4(b"x"));
            dissect(&packet(LinkType::ETHERNET, &data), |dissected| {
                assert!(matches!(dissected, Dissected::Tcp(segment) if segment.payload == b"x"), "{tags} tags");
            });
        }
        let qinq = samples::ethernet(&[0x88A8, 0x8100], &tcp4(b"x"));
        assert_eq!(samples::ignored(LinkType::ETHERNET, &qinq), None);
        let endless = samples::ethernet(&[0x9100; 200], &tcp4(b"x"));
        assert_eq!(samples::ignored(LinkType::ETHERNET, &endless), Some(Ignored::Malformed));
    }

    #[test]
    fn what_is_not_ip_is_named_so() {
        let arp = [&[0xFF; 12][..], &[0x08, 0x06], &[0; 28]].concat();
        assert_eq!(samples::ignored(LinkType::ETHERNET, &arp), Some(Ignored::NotIp));
        let llc = [&[0xFF; 12][..], &[0x00, 0x26, 0x42, 0x42, 0x03], &[0; 35]].concat();
        assert_eq!(samples::ignored(LinkType::ETHERNET, &llc), Some(Ignored::NotIp));
        assert_eq!(samples::ignored(LinkType(147), &arp), Some(Ignored::UnknownLink));
        assert_eq!(samples::ignored(LinkType::ETHERNET, &arp[..9]), Some(Ignored::Malformed));
    }
}
