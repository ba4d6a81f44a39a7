//! Tunnels: headers behind which a packet begins anew.

use super::bytes::{Bytes, u16_at};
use super::link::{Layer, by_ether_type};
use super::{Ignored, ip, serial};

/// UDP ports of VXLAN: IANA's (RFC 7348 §5), and the one that Linux took before.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];
/// UDP port of Geneve (RFC 8926 §3.3).
const GENEVE_PORT: u16 = 6081;
/// UDP port of GTP-U (3GPP TS 29.281 §4.4.2).
const GTP_U_PORT: u16 = 2152;
/// UDP port of TZSP, in which routers send what they capture.
const TZSP_PORT: u16 = 37008;

/// What a UDP datagram to `port` carries, when that is a tunnel's.
pub(super) fn over_udp(port: u16, bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    match port {
        port if VXLAN_PORTS.contains(&port) => vxlan(bytes),
        GENEVE_PORT => geneve(bytes),
        GTP_U_PORT => gtp_u(bytes),
        TZSP_PORT => tzsp(bytes),
        _ => Err(Ignored::NotTcp),
    }
}

/// What an IP datagram carries, when its protocol is a tunnel's.
pub(super) fn over_ip(protocol: u8, bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    match protocol {
        ip::IPV4 | ip::IPV6 => Ok((Layer::Ip, bytes)),
        ip::GRE => gre(bytes),
        ip::MPLS => mpls(bytes),
        _ => Err(Ignored::NotTcp),
    }
}

/// MPLS labels down to the bottom of the stack (RFC 3032). Nothing says what is behind it: IP shows by its version,
/// Ethernet by the control word before it (RFC 4448 §4.6).
pub(super) fn mpls(mut bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    const LABELS: usize = 16;
    for _ in 0..LABELS {
        let (label, rest) = bytes.split::<4>()?;
        bytes = rest;
        let bottom_of_stack = label[2] & 1 != 0;
        if bottom_of_stack {
            return match bytes.captured().first().map(|byte| byte >> 4) {
                Some(4 | 6) => Ok((Layer::Ip, bytes)),
                Some(0) => Ok((Layer::Ethernet, bytes.skip(4)?)),
                Some(_) => Err(Ignored::NotIp),
                None => Err(bytes.lacks(1)),
            };
        }
    }
    Err(Ignored::Malformed)
}

/// A PPPoE session (RFC 2516 §4): version, type, code, session, length; then PPP's protocol.
pub(super) fn pppoe(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    let (header, rest) = bytes.split::<6>()?;
    serial::ppp(rest.limit(usize::from(u16_at(header, 4))))
}

/// VXLAN (RFC 7348 §5): its flag I must be set; anything else on its port is something else.
fn vxlan(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    const NETWORK_IS_VALID: u8 = 0x08;
    let (header, rest) = bytes.split::<8>()?;
    if header[0] & NETWORK_IS_VALID != 0 { Ok((Layer::Ethernet, rest)) } else { Err(Ignored::NotTcp) }
}

/// Geneve (RFC 8926 §3.4): options counted in 4 bytes, then what its protocol type says.
fn geneve(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    let (header, rest) = bytes.split::<8>()?;
    let version = header[0] >> 6;
    if version != 0 {
        return Err(Ignored::NotTcp);
    }
    let rest = rest.skip(usize::from(header[0] & 0x3F) * 4)?;
    Ok((by_ether_type(u16_at(header, 2)), rest))
}

/// GTP-U (3GPP TS 29.281 §5): a subscriber's packet, behind extension headers that are counted in 4 bytes.
fn gtp_u(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    const VERSION_AND_TYPE: u8 = 0xF0;
    const VERSION_1_GTP: u8 = 0x30;
    const EXTENSION: u8 = 0x04;
    const OPTIONAL_FIELDS: u8 = 0x07;
    const G_PDU: u8 = 0xFF;
    const EXTENSION_HEADERS: usize = 8;
    let (header, rest) = bytes.split::<8>()?;
    if header[0] & VERSION_AND_TYPE != VERSION_1_GTP || header[1] != G_PDU {
        return Err(Ignored::NotTcp);
    }
    let rest = rest.limit(usize::from(u16_at(header, 2)));
    if header[0] & OPTIONAL_FIELDS == 0 {
        return Ok((Layer::Ip, rest));
    }
    let (&[_, _, _, mut next], mut rest) = rest.split::<4>()?;
    for _ in 0..EXTENSION_HEADERS {
        if next == 0 || header[0] & EXTENSION == 0 {
            return Ok((Layer::Ip, rest));
        }
        let (&[length], _) = rest.split::<1>()?;
        let end = (usize::from(length) * 4).checked_sub(1).ok_or(Ignored::Malformed)?;
        let (&[type_of_next], behind) = rest.skip(end)?.split::<1>()?;
        (next, rest) = (type_of_next, behind);
    }
    Err(Ignored::Malformed)
}

/// TZSP, version 1: type and what is encapsulated; then fields up to the one that ends them.
fn tzsp(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    const VERSION: u8 = 1;
    const RECEIVED: u8 = 0;
    const SENT: u8 = 1;
    const ETHERNET: u16 = 1;
    const PADDING: u8 = 0;
    const END: u8 = 1;
    const FIELDS: usize = 32;
    let (header, mut rest) = bytes.split::<4>()?;
    if header[0] != VERSION || !matches!(header[1], RECEIVED | SENT) || u16_at(header, 2) != ETHERNET {
        return Err(Ignored::NotTcp);
    }
    for _ in 0..FIELDS {
        let (&[tag], behind) = rest.split::<1>()?;
        rest = match tag {
            END => return Ok((Layer::Ethernet, behind)),
            PADDING => behind,
            _ => {
                let (&[length], value) = behind.split::<1>()?;
                value.skip(usize::from(length))?
            }
        };
    }
    Err(Ignored::Malformed)
}

/// GRE (RFC 2784, key and sequence number of RFC 2890), and ERSPAN over it.
fn gre(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    const CHECKSUM: u8 = 0x80;
    const ROUTING: u8 = 0x40;
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    const ERSPAN: u16 = 0x88BE;
    const ERSPAN_TYPE_III: u16 = 0x22EB;
    let (header, rest) = bytes.split::<4>()?;
    let version = header[1] & 0x07;
    if version != 0 || header[0] & ROUTING != 0 {
        return Err(Ignored::NotTcp); // PPTP's GRE, or the source routes that RFC 2784 took out
    }
    let optional_fields = (header[0] & (CHECKSUM | KEY | SEQUENCE)).count_ones() as usize;
    let rest = rest.skip(optional_fields * 4)?;
    match u16_at(header, 2) {
        // Type I has no header of its own, and no sequence number either; type II has both.
        ERSPAN if header[0] & SEQUENCE == 0 => Ok((Layer::Ethernet, rest)),
        ERSPAN => Ok((Layer::Ethernet, rest.skip(8)?)),
        ERSPAN_TYPE_III => {
            let (erspan, rest) = rest.split::<12>()?;
            let has_subheader = erspan[11] & 1 != 0;
            Ok((Layer::Ethernet, if has_subheader { rest.skip(8)? } else { rest }))
        }
        other => Ok((by_ether_type(other), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Dissected;
    use super::super::samples::{self, dissect, ethernet, ip4, packet, tcp4, tcp6, udp4};
    use super::*;
    use crate::packet::LinkType;

    /// Checks that the TCP segment in an IP datagram is found.
    fn check(name: &str, datagram: &[u8]) {
        let data = ethernet(&[], datagram);
        dissect(&packet(LinkType::ETHERNET, &data), |dissected| match dissected {
            Dissected::Tcp(segment) => assert_eq!(segment.payload, b"inner", "{name}"),
            other => panic!("{name}: {other:?}"),
        });
    }

    fn vxlan_packet(frame: &[u8]) -> Vec<u8> {
        udp4(33333, 4789, &[&[8, 0, 0, 0, 0, 0, 42, 0], frame].concat())
    }

    #[test]
    fn tunnels_over_udp() {
        let frame = ethernet(&[0x8100], &tcp4(b"inner"));
        check("vxlan", &vxlan_packet(&frame));
        check("vxlan, old port", &udp4(33333, 8472, &[&[8, 0, 0, 0, 0, 0, 42, 0], &frame[..]].concat()));
        check("geneve", &udp4(33333, 6081, &[&[0, 0, 0x65, 0x58, 0, 0, 42, 0], &frame[..]].concat()));
        let with_option = [&[2, 0, 0x86, 0xDD, 0, 0, 42, 0], &[0u8; 8][..], &tcp6(b"inner")].concat();
        check("geneve with an option, IPv6 without Ethernet", &udp4(33333, 6081, &with_option));
        let no_flag = udp4(33333, 4789, &[&[0; 8], &frame[..]].concat());
        assert_eq!(samples::ignored(LinkType::RAW, &no_flag), Some(Ignored::NotTcp));
        let other_port = udp4(4789, 33333, &[&[8, 0, 0, 0, 0, 0, 42, 0], &frame[..]].concat());
        assert_eq!(samples::ignored(LinkType::RAW, &other_port), Some(Ignored::NotTcp));
    }

    #[test]
    fn packets_of_subscribers() {
        let over = |flags: u8, optional: &[u8], inner: &[u8]| {
            let length = (optional.len() + inner.len()) as u16;
            let header = [&[flags, 0xFF], &length.to_be_bytes()[..], &[0, 0, 0, 7], optional].concat();
            udp4(2152, 2152, &[header, inner.to_vec()].concat())
        };
        check("gtp-u", &over(0x30, &[], &tcp4(b"inner")));
        check("with a sequence number", &over(0x32, &[0, 1, 0, 0], &tcp6(b"inner")));
        check(
            "with two extensions",
            &over(0x34, &[0, 0, 0, 0x85, 1, 0x10, 9, 0x40, 2, 0, 0, 0, 0, 0, 0, 0], &tcp4(b"inner")),
        );
        let endless = over(0x34, &[0, 0, 0, 0x85, 0, 0, 0, 0x85], &tcp4(b"inner"));
        assert_eq!(samples::ignored(LinkType::RAW, &endless), Some(Ignored::Malformed));
        let echo = udp4(2152, 2152, &[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(samples::ignored(LinkType::RAW, &echo), Some(Ignored::NotTcp));
    }

    #[test]
    fn captures_that_routers_send() {
        let frame = ethernet(&[], &tcp4(b"inner"));
        for fields in [&[1][..], &[0, 0, 1], &[10, 1, 0xC8, 41, 2, 5, 220, 1]] {
            check("tzsp", &udp4(40000, 37008, &[&[1, 0, 0, 1], fields, &frame].concat()));
        }
        let keep_alive = udp4(40000, 37008, &[1, 4, 0, 0]);
        assert_eq!(samples::ignored(LinkType::RAW, &keep_alive), Some(Ignored::NotTcp));
        let endless = udp4(40000, 37008, &[&[1, 0, 0, 1][..], &[0; 200]].concat());
        assert_eq!(samples::ignored(LinkType::RAW, &endless), Some(Ignored::Malformed));
    }

    #[test]
    fn tunnels_over_ip() {
        check("IPv4 in IPv4", &ip4(ip::IPV4, &tcp4(b"inner")));
        check("IPv6 in IPv4", &ip4(ip::IPV6, &tcp6(b"inner")));
        check("MPLS in IPv4", &ip4(ip::MPLS, &[&[0, 0, 0x11, 64], &tcp4(b"inner")[..]].concat()));
    }

    #[test]
    fn gre_with_every_optional_field() {
        for flags in [0x00u8, 0x80, 0x20, 0x10, 0xA0, 0x30, 0xB0] {
            let fields = vec![9; flags.count_ones() as usize * 4];
            let over =
                |protocol: [u8; 2], inner: &[u8]| ip4(ip::GRE, &[&[flags, 0], &protocol[..], &fields, inner].concat());
            check("IPv4", &over([0x08, 0x00], &tcp4(b"inner")));
            check("IPv6", &over([0x86, 0xDD], &tcp6(b"inner")));
            check("transparent Ethernet", &over([0x65, 0x58], &ethernet(&[], &tcp4(b"inner"))));
        }
        let pptp = ip4(ip::GRE, &[&[0x20, 0x01, 0x88, 0x0B], &[0u8; 20][..]].concat());
        assert_eq!(samples::ignored(LinkType::RAW, &pptp), Some(Ignored::NotTcp));
    }

    #[test]
    fn mirrored_ports() {
        let frame = ethernet(&[], &tcp4(b"inner"));
        check("type I", &ip4(ip::GRE, &[&[0, 0, 0x88, 0xBE], &frame[..]].concat()));
        check("type II", &ip4(ip::GRE, &[&[0x10, 0, 0x88, 0xBE, 0, 0, 0, 1], &[0x10; 8][..], &frame].concat()));
        let type_iii = [&[0x10, 0, 0x22, 0xEB, 0, 0, 0, 1], &[0x20; 11][..], &[1], &[0; 8], &frame].concat();
        check("type III with its subheader", &ip4(ip::GRE, &type_iii));
    }

    #[test]
    fn tunnels_over_ethernet() {
        let over = |ether_type: u16, rest: &[u8]| [&[2; 12], &ether_type.to_be_bytes()[..], rest].concat();
        let labels = [[0, 1, 0x00, 64], [0, 2, 0x00, 64], [0, 3, 0x01, 64]].concat();
        let pseudowire = [&labels[..], &[0; 4], &ethernet(&[], &tcp4(b"inner"))].concat();
        let session = |protocol: [u8; 2], inner: &[u8]| {
            let length = (inner.len() as u16 + 2).to_be_bytes();
            [&[0x11, 0, 0, 7], &length[..], &protocol, inner, &[0; 9]].concat()
        };
        for (name, data) in [
            ("three labels", over(0x8847, &[&labels[..], &tcp4(b"inner")].concat())),
            ("multicast", over(0x8848, &[&labels[..], &tcp6(b"inner")].concat())),
            ("pseudowire", over(0x8847, &pseudowire)),
            ("PPPoE, IPv4", over(0x8864, &session([0, 0x21], &tcp4(b"inner")))),
            ("PPPoE, IPv6", over(0x8864, &session([0, 0x57], &tcp6(b"inner")))),
        ] {
            dissect(&packet(LinkType::ETHERNET, &data), |dissected| match dissected {
                Dissected::Tcp(segment) => assert_eq!(segment.payload, b"inner", "{name}"),
                other => panic!("{name}: {other:?}"),
            });
        }
        let control = over(0x8864, &session([0xC0, 0x21], &[1, 1, 0, 4]));
        assert_eq!(samples::ignored(LinkType::ETHERNET, &control), Some(Ignored::NotIp));
    }

    #[test]
    fn tunnels_in_tunnels_end_at_the_bound() {
        let mut data = tcp4(b"inner");
        for _ in 0..4 {
            data = vxlan_packet(&ethernet(&[], &data));
        }
        check("four", &data);
        for _ in 0..20 {
            data = ip4(ip::IPV4, &data);
        }
        assert_eq!(samples::ignored(LinkType::RAW, &data), Some(Ignored::Malformed));
    }
}
