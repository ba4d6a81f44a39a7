//! Packets for the tests of this folder, made byte by byte.

use super::{Dissected, Dissector, Ignored, ip};
use crate::limits::Limits;
use crate::packet::{InterfaceId, LinkType, Packet, PacketNumber};
use crate::time::Timestamp;

/// A packet that was captured whole.
pub(super) fn packet(link: LinkType, data: &[u8]) -> Packet<'_> {
    Packet {
        number: PacketNumber(1),
        at: Timestamp::from_parts(1_700_000_000, 0),
        interface: InterfaceId(0),
        link,
        length: data.len() as u32,
        data,
    }
}

/// What a fresh dissector finds in a packet.
pub(super) fn dissect(packet: &Packet<'_>, check: impl FnOnce(Dissected<'_>)) {
    check(Dissector::new(&Limits::default()).dissect(packet));
}

/// Why a packet holds nothing for us; `None` when it does.
pub(super) fn ignored_of(packet: &Packet<'_>) -> Option<Ignored> {
    match Dissector::new(&Limits::default()).dissect(packet) {
        Dissected::Ignored(ignored) => Some(ignored),
        _ => None,
    }
}

/// The same for bytes that were captured whole.
pub(super) fn ignored(link: LinkType, data: &[u8]) -> Option<Ignored> {
    ignored_of(&packet(link, data))
}

/// Checks that a segment with the payload `inner` is found when a packet of this link begins with `header`.
pub(super) fn check_link(link: LinkType, header: &[u8], rest: &[u8]) {
    let data = [header, rest].concat();
    dissect(&packet(link, &data), |dissected| match dissected {
        Dissected::Tcp(segment) => assert_eq!(segment.payload, b"inner", "{link:?} {header:02x?}"),
        other => panic!("{link:?} {header:02x?}: {other:?}"),
    });
}

/// A MAC header with these tags before an IP packet.
pub(super) fn ethernet(tags: &[u16], ip: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    for tag in tags {
        frame.extend_from_slice(&tag.to_be_bytes());
        frame.extend_from_slice(&[0, 42]);
    }
    let version = ip.first().map_or(4, |byte| byte >> 4);
    frame.extend_from_slice(if version == 6 { &[0x86, 0xDD] } else { &[0x08, 0x00] });
    frame.extend_from_slice(ip);
    frame
}

/// An IPv4 packet from 10.0.0.1 to 10.0.0.2. One that is too long for its length field has a length of 0 there.
pub(super) fn ip4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap_or(0).to_be_bytes();
    let header = [0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    [&header, payload].concat()
}

/// An IPv6 packet from fd00::1 to fd00::2. One that is too long for its length field has a length of 0 there.
pub(super) fn ip6(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let address = |last: u8| [0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    [&[0x60, 0, 0, 0, length[0], length[1], protocol, 64], &address(1)[..], &address(2), payload].concat()
}

/// A UDP datagram over IPv4.
pub(super) fn udp4(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16 + 8).to_be_bytes();
    ip4(ip::UDP, &[&source.to_be_bytes(), &destination.to_be_bytes(), &length[..], &[0; 2], payload].concat())
}

/// A TCP segment from port 40000 to port 80 over IPv4.
pub(super) fn tcp4(payload: &[u8]) -> Vec<u8> {
    ip4(ip::TCP, &tcp(&[], payload))
}

/// The same over IPv6.
pub(super) fn tcp6(payload: &[u8]) -> Vec<u8> {
    ip6(ip::TCP, &tcp(&[], payload))
}

/// A TCP segment over IPv4 with these options, whose length is a multiple of 4.
pub(super) fn tcp4_with_options(options: &[u8]) -> Vec<u8> {
    ip4(ip::TCP, &tcp(options, &[]))
}

fn tcp(options: &[u8], payload: &[u8]) -> Vec<u8> {
    let offset = (5 + options.len() as u8 / 4) << 4;
    let header = [0x9C, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, offset, 0x18, 0x10, 0, 0, 0, 0, 0];
    [&header, options, payload].concat()
}
