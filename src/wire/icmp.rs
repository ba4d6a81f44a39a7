//! ICMP and ICMPv6 errors that quote a TCP segment (RFC 792, RFC 1191, RFC 4443).

use super::bytes::{u16_at, u32_at};
use super::ip::{self, Datagram};
use super::{Endpoint, IcmpError, IcmpKind, Ignored, Origin};

/// The error in a datagram, when it is one and quotes a TCP segment.
pub(super) fn error(datagram: &Datagram<'_>, origin: Origin) -> Result<IcmpError, Ignored> {
    let (header, quote) = datagram.payload.split::<8>()?;
    let kind = if datagram.protocol == ip::ICMP { icmp(header) } else { icmpv6(header) }.ok_or(Ignored::NotTcp)?;
    // A quote is a beginning, at least of the ports (RFC 792, RFC 1812 §4.3.2.3): what it lacks does not matter.
    let quoted = Datagram::parse(quote)?;
    let first = quoted.fragment.is_none_or(|fragment| fragment.offset == 0);
    if quoted.protocol != ip::TCP || !first {
        return Err(Ignored::NotTcp);
    }
    let (ports, _) = quoted.payload.split::<4>()?;
    Ok(IcmpError {
        moment: origin.moment,
        from: datagram.source,
        source: Endpoint { ip: quoted.source, port: u16_at(ports, 0) },
        destination: Endpoint { ip: quoted.destination, port: u16_at(ports, 2) },
        kind,
    })
}

/// What an ICMP message says, when it is an error (RFC 1122 §3.2.2).
fn icmp(header: &[u8; 8]) -> Option<IcmpKind> {
    match (header[0], header[1]) {
        (3, 4) => Some(IcmpKind::PacketTooBig(u32::from(u16_at(header, 6)))), // RFC 1191 §4
        (3, code) => Some(IcmpKind::Unreachable(code)),
        (11, _) => Some(IcmpKind::TimeExceeded),
        (kind @ (4 | 5 | 12), code) => Some(IcmpKind::Other(kind, code)),
        _ => None,
    }
}

/// What an ICMPv6 message says, when it is an error: its type is below 128 (RFC 4443 §2.1).
fn icmpv6(header: &[u8; 8]) -> Option<IcmpKind> {
    match (header[0], header[1]) {
        (1, code) => Some(IcmpKind::Unreachable(code)),
        (2, _) => Some(IcmpKind::PacketTooBig(u32_at(header, 4))),
        (3, _) => Some(IcmpKind::TimeExceeded),
        (kind @ 0..128, code) => Some(IcmpKind::Other(kind, code)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Dissected;
    use super::super::samples::{dissect, ignored, ip4, ip6, packet, tcp4, tcp6, udp4};
    use super::*;
    use crate::packet::LinkType;

    fn error_of(data: &[u8]) -> IcmpError {
        let mut error = None;
        dissect(&packet(LinkType::RAW, data), |dissected| match dissected {
            Dissected::Icmp(found) => error = Some(found),
            other => panic!("{other:?}"),
        });
        error.unwrap()
    }

    #[test]
    fn kinds() {
        let quote = &tcp4(b"GET / HTTP/1.1")[..28]; // RFC 792: the header and eight bytes
        for (head, kind) in [
            ([3, 1, 0, 0, 0, 0, 0, 0], IcmpKind::Unreachable(1)),
            ([3, 13, 0, 0, 0, 0, 0, 0], IcmpKind::Unreachable(13)),
            ([3, 4, 0, 0, 0, 0, 0x05, 0x78], IcmpKind::PacketTooBig(1400)),
            ([11, 0, 0, 0, 0, 0, 0, 0], IcmpKind::TimeExceeded),
            ([5, 1, 0, 0, 10, 0, 0, 9], IcmpKind::Other(5, 1)),
        ] {
            let error = error_of(&ip4(ip::ICMP, &[&head, quote].concat()));
            assert_eq!(error.kind, kind);
            assert_eq!(error.source.to_string(), "10.0.0.1:40000");
            assert_eq!(error.destination.to_string(), "10.0.0.2:80");
            assert_eq!(error.from.to_string(), "10.0.0.1");
        }
    }

    #[test]
    fn kinds_of_version_6() {
        for (head, kind) in [
            ([1, 4, 0, 0, 0, 0, 0, 0], IcmpKind::Unreachable(4)),
            ([2, 0, 0, 0, 0, 0, 0x05, 0x00], IcmpKind::PacketTooBig(1280)),
            ([3, 0, 0, 0, 0, 0, 0, 0], IcmpKind::TimeExceeded),
            ([4, 1, 0, 0, 0, 0, 0, 6], IcmpKind::Other(4, 1)),
        ] {
            let error = error_of(&ip6(ip::ICMPV6, &[&head[..], &tcp6(b"hello")].concat()));
            assert_eq!(error.kind, kind);
            assert_eq!(error.source.to_string(), "[fd00::1]:40000");
        }
    }

    #[test]
    fn what_quotes_no_tcp_is_left_aside() {
        let unreachable = [3, 3, 0, 0, 0, 0, 0, 0];
        for quote in [udp4(53, 9, b"x"), ip4(50, &[0; 20])] {
            let data = ip4(ip::ICMP, &[&unreachable[..], &quote].concat());
            assert_eq!(ignored(LinkType::RAW, &data), Some(Ignored::NotTcp));
        }
        let echo = ip4(ip::ICMP, &[&[8, 0, 0, 0, 0, 1, 0, 1], &tcp4(b"")[..]].concat());
        assert_eq!(ignored(LinkType::RAW, &echo), Some(Ignored::NotTcp));
        let mut later_fragment = tcp4(b"");
        later_fragment[7] = 9;
        let data = ip4(ip::ICMP, &[&unreachable[..], &later_fragment].concat());
        assert_eq!(ignored(LinkType::RAW, &data), Some(Ignored::NotTcp));
    }
}
