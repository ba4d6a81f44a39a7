//! IP: one datagram, its extension headers, and UDP over it (RFC 791, RFC 8200, RFC 768).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Ignored;
use super::bytes::{Bytes, u16_at, u32_at};

// Protocol numbers, from IANA's registry.
pub(super) const ICMP: u8 = 1;
pub(super) const IPV4: u8 = 4;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const IPV6: u8 = 41;
pub(super) const GRE: u8 = 47;
pub(super) const ICMPV6: u8 = 58;
pub(super) const MPLS: u8 = 137;

/// Extension headers of one datagram. RFC 8200 §4.1 knows of six kinds, of which one may come twice.
const EXTENSION_HEADERS: usize = 8;

/// One IP datagram, or one fragment of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Time to live, or hop limit.
    pub(super) ttl: u8,
    /// IPv4 identification; 0 for IPv6.
    pub(super) id: u16,
    /// What the payload is. Of a later fragment of an IPv6 datagram: what its first fragment's payload begins with.
    pub(super) protocol: u8,
    pub(super) payload: Bytes<'a>,
    /// Which part of its datagram it is, when it is not the whole.
    pub(super) fragment: Option<Fragment>,
}

/// The place of a fragment in its datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fragment {
    /// The datagram's identification, alike in all its fragments.
    pub(super) id: u32,
    /// Where it begins, in bytes.
    pub(super) offset: usize,
    /// Whether others follow.
    pub(super) more: bool,
}

impl<'a> Datagram<'a> {
    /// Reads a header of either version with all of its options and extension headers.
    pub(super) fn parse(bytes: Bytes<'a>) -> Result<Datagram<'a>, Ignored> {
        let mut datagram = match bytes.captured().first().map(|byte| byte >> 4) {
            Some(4) => Datagram::v4(bytes)?,
            Some(6) => Datagram::v6(bytes)?,
            Some(_) => return Err(Ignored::Malformed),
            None => return Err(bytes.lacks(1)),
        };
        if datagram.fragment.is_none() {
            datagram.skip_extension_headers()?;
        }
        Ok(datagram)
    }

    /// Makes a fragment the whole datagram that it completes.
    pub(super) fn join(&mut self, protocol: u8, payload: Bytes<'a>) -> Result<(), Ignored> {
        (self.protocol, self.payload, self.fragment) = (protocol, payload, None);
        self.skip_extension_headers()?;
        if self.fragment.is_some() { Err(Ignored::Malformed) } else { Ok(()) }
    }

    /// Reads an IPv4 header with its options.
    pub(super) fn v4(bytes: Bytes<'a>) -> Result<Datagram<'a>, Ignored> {
        let (header, rest) = bytes.split::<20>()?;
        let options = (usize::from(header[0] & 0x0F) * 4).checked_sub(20).ok_or(Ignored::Malformed)?;
        let rest = rest.skip(options)?;
        // RFC 791 has no total length of 0: that is a segment that the network card was to cut (TSO, BIG TCP).
        let payload = match usize::from(u16_at(header, 2)) {
            0 => rest,
            total => rest.limit(total.checked_sub(20 + options).ok_or(Ignored::Malformed)?),
        };
        let (id, place) = (u16_at(header, 4), u16_at(header, 6));
        Ok(Datagram {
            source: IpAddr::V4(Ipv4Addr::new(header[12], header[13], header[14], header[15])),
            destination: IpAddr::V4(Ipv4Addr::new(header[16], header[17], header[18], header[19])),
            ttl: header[8],
            id,
            protocol: header[9],
            payload,
            // RFC 791 §3.1: "don't fragment" is 0x4000, "more fragments" is 0x2000, the offset counts 8 bytes.
            fragment: (place & 0x3FFF != 0).then(|| Fragment {
                id: u32::from(id),
                offset: usize::from(place & 0x1FFF) * 8,
                more: place & 0x2000 != 0,
            }),
        })
    }

    /// Reads an IPv6 header without its extension headers.
    pub(super) fn v6(bytes: Bytes<'a>) -> Result<Datagram<'a>, Ignored> {
        let (header, rest) = bytes.split::<40>()?;
        // 0 stands for a jumbogram (RFC 2675), and for a segment that the network card was to cut.
        let payload = match usize::from(u16_at(header, 4)) {
            0 => rest,
            length => rest.limit(length),
        };
        let address = |at: usize| {
            let mut octets = [0; 16];
            octets.copy_from_slice(&header[at..at + 16]);
            IpAddr::V6(Ipv6Addr::from(octets))
        };
        Ok(Datagram {
            source: address(8),
            destination: address(24),
            ttl: header[7],
            id: 0,
            protocol: header[6],
            payload,
            fragment: None,
        })
    }

    /// Walks to what is behind the extension headers, or to the part of it that a fragment carries. IPv4 has
    /// one of them, for authentication.
    fn skip_extension_headers(&mut self) -> Result<(), Ignored> {
        for _ in 0..EXTENSION_HEADERS {
            let length = match self.protocol {
                extension::HOP_BY_HOP
                | extension::ROUTING
                | extension::DESTINATION_OPTIONS
                | extension::MOBILITY
                | extension::HIP
                | extension::SHIM6 => |octet: u8| 8 + usize::from(octet) * 8,
                // RFC 4302 §2.2 counts 4 bytes, without the first 8.
                extension::AUTHENTICATION => |octet: u8| 8 + usize::from(octet) * 4,
                extension::FRAGMENT => |_: u8| 8,
                _ => return Ok(()),
            };
            let (header, _) = self.payload.split::<8>()?;
            self.payload = self.payload.skip(length(header[1]))?;
            let is_fragment = self.protocol == extension::FRAGMENT;
            self.protocol = header[0];
            if is_fragment {
                let place = u16_at(header, 2);
                let (offset, more) = (usize::from(place & !7), place & 1 != 0);
                // RFC 6946: offset 0 without more is a whole datagram.
                if offset != 0 || more {
                    self.fragment = Some(Fragment { id: u32_at(header, 4), offset, more });
                    return Ok(());
                }
            }
        }
        Err(Ignored::Malformed)
    }
}

/// Extension headers, by their protocol numbers (RFC 8200 §4, RFC 4302, RFC 6275, RFC 7401, RFC 5533).
mod extension {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION_OPTIONS: u8 = 60;
    pub(super) const MOBILITY: u8 = 135;
    pub(super) const HIP: u8 = 139;
    pub(super) const SHIM6: u8 = 140;
}

/// Source and destination port of a UDP datagram, and its payload.
pub(super) fn udp(bytes: Bytes<'_>) -> Result<([u16; 2], Bytes<'_>), Ignored> {
    let (header, rest) = bytes.split::<8>()?;
    let payload = match usize::from(u16_at(header, 4)) {
        0 => rest, // segments that the network card was to cut, here too
        length => rest.limit(length.checked_sub(8).ok_or(Ignored::Malformed)?),
    };
    Ok(([u16_at(header, 0), u16_at(header, 2)], payload))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, dissect, packet, tcp4, tcp6};
    use super::super::{Dissected, Segment};
    use super::*;
    use crate::packet::{LinkType, Packet};

    fn with_segment(packet: &Packet<'_>, check: impl FnOnce(&Segment<'_>)) {
        dissect(packet, |dissected| match dissected {
            Dissected::Tcp(segment) => check(&segment),
            other => panic!("{other:?}"),
        });
    }

    /// An IPv6 packet with these headers between the fixed one and TCP.
    fn with_extensions(headers: &[(u8, &[u8])]) -> Vec<u8> {
        let plain = tcp6(b"hello");
        let mut data = plain[..40].to_vec();
        let kinds: Vec<u8> = headers.iter().map(|(kind, _)| *kind).chain([TCP]).collect();
        data[6] = kinds[0];
        for ((_, body), next) in headers.iter().zip(&kinds[1..]) {
            data.push(*next);
            data.extend_from_slice(body);
        }
        data.extend_from_slice(&plain[40..]);
        let length = (data.len() - 40) as u16;
        data[4..6].copy_from_slice(&length.to_be_bytes());
        data
    }

    #[test]
    fn ethernet_padding_is_no_payload() {
        let padded = samples::ethernet(&[], &[&tcp4(b"")[..], &[0; 6]].concat());
        with_segment(&packet(LinkType::ETHERNET, &padded), |segment| {
            assert_eq!((segment.payload, segment.payload_length), (&[][..], 0));
        });
    }

    #[test]
    fn a_total_length_of_zero_means_all_there_is() {
        for (mut data, length_at) in [(tcp4(&[7; 90_000]), 2), (tcp6(&[7; 90_000]), 4)] {
            data[length_at..length_at + 2].fill(0);
            with_segment(&packet(LinkType::RAW, &data), |segment| assert_eq!(segment.payload, [7; 90_000]));
        }
    }

    #[test]
    fn a_snap_length_cuts_the_payload_and_not_its_length() {
        for (data, headers) in [(tcp4(&[7; 1000]), 40), (tcp6(&[7; 1000]), 60)] {
            let mut cut = packet(LinkType::RAW, &data);
            cut.data = &data[..headers + 16];
            with_segment(&cut, |segment| assert_eq!((segment.payload, segment.payload_length), (&[7; 16][..], 1000)));
            cut.data = &data[..headers - 1];
            assert_eq!(samples::ignored_of(&cut), Some(Ignored::CutHeader));
        }
    }

    #[test]
    fn options_and_extension_headers_are_walked_over() {
        let mut data = tcp4(b"hello");
        data.splice(20..20, [1, 1, 1, 0]);
        (data[0], data[3]) = (0x46, data[3] + 4);
        with_segment(&packet(LinkType::RAW, &data), |segment| assert_eq!(segment.payload, b"hello"));

        let all: &[(u8, &[u8])] = &[
            (extension::HOP_BY_HOP, &[0, 1, 4, 0, 0, 0, 0]),
            (extension::DESTINATION_OPTIONS, &[1; 15]),
            (extension::ROUTING, &[0; 7]),
            (extension::FRAGMENT, &[0; 7]), // alone: offset 0, no more
            (extension::AUTHENTICATION, &[4; 23]),
        ];
        let data = with_extensions(all);
        with_segment(&packet(LinkType::RAW, &data), |segment| assert_eq!(segment.payload, b"hello"));

        let endless = with_extensions(&[(extension::DESTINATION_OPTIONS, &[0u8; 7][..]); 9]);
        assert_eq!(samples::ignored(LinkType::RAW, &endless), Some(Ignored::Malformed));
    }

    #[test]
    fn headers_that_contradict_themselves_are_malformed() {
        for (at, value) in [(0, 0x44), (0, 0x75), (3, 19)] {
            let mut data = tcp4(b"");
            data[at] = value;
            assert_eq!(samples::ignored(LinkType::RAW, &data), Some(Ignored::Malformed), "byte {at}");
        }
        assert_eq!(samples::ignored(LinkType::RAW, &[]), Some(Ignored::Malformed));
    }

    #[test]
    fn addresses_ttl_and_identification() {
        let mut data = tcp4(b"");
        (data[4], data[5], data[8]) = (0x12, 0x34, 61);
        with_segment(&packet(LinkType::RAW, &data), |segment| {
            assert_eq!(segment.ends.source().to_string(), "10.0.0.1:40000");
            assert_eq!(segment.ends.destination().to_string(), "10.0.0.2:80");
            assert_eq!((segment.ttl, segment.ip_id), (61, 0x1234));
        });
        with_segment(&packet(LinkType::RAW, &tcp6(b"")), |segment| {
            assert_eq!(segment.ends.source().to_string(), "[fd00::1]:40000");
            assert_eq!((segment.ttl, segment.ip_id), (64, 0));
        });
    }
}
