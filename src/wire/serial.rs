//! Serial lines: PPP, and what Cisco routers speak instead.

use super::Ignored;
use super::bytes::{Bytes, u16_at};
use super::link::{Layer, by_ether_type};

/// The address of all stations and the control field of unnumbered information (RFC 1662 §3.1). They may be left out.
const ALL_STATIONS: [u8; 2] = [0xFF, 0x03];

/// PPP's numbers (RFC 1332, RFC 5072).
const IPV4: u16 = 0x0021;
const IPV6: u16 = 0x0057;

/// A PPP frame, with or without its address and control fields (RFC 1661 §2, RFC 1662 §3.1).
pub(super) fn ppp(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    let bytes = if bytes.captured().starts_with(&ALL_STATIONS) { bytes.skip(2)? } else { bytes };
    let (&[first], rest) = bytes.split::<1>()?;
    // The second half alone, where the first would be 0 (RFC 1661 §6.5): only that one is odd.
    let (protocol, rest) = match first & 1 {
        0 => {
            let (number, rest) = bytes.split::<2>()?;
            (u16_at(number, 0), rest)
        }
        _ => (u16::from(first), rest),
    };
    match protocol {
        IPV4 | IPV6 => Ok((Layer::Ip, rest)),
        _ => Err(Ignored::NotIp),
    }
}

/// PPP in frames of HDLC, or those of Cisco.
pub(super) fn hdlc(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    if bytes.captured().starts_with(&ALL_STATIONS) { ppp(bytes) } else { cisco_hdlc(bytes) }
}

/// Cisco's HDLC: address, control, EtherType (RFC 1547 §4.3.1).
pub(super) fn cisco_hdlc(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    const UNICAST: u8 = 0x0F;
    const BROADCAST: u8 = 0x8F;
    let (header, rest) = bytes.split::<4>()?;
    match header[0] {
        UNICAST | BROADCAST => Ok((by_ether_type(u16_at(header, 2)), rest)),
        _ => Err(Ignored::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, tcp4, tcp6};
    use super::*;
    use crate::packet::LinkType;

    #[test]
    fn ppp_with_and_without_what_may_be_left_out() {
        for link in [LinkType::PPP, LinkType::PPP_HDLC] {
            samples::check_link(link, &[0xFF, 0x03, 0x00, 0x21], &tcp4(b"inner"));
            samples::check_link(link, &[0xFF, 0x03, 0x00, 0x57], &tcp6(b"inner"));
            samples::check_link(link, &[0xFF, 0x03, 0x21], &tcp4(b"inner"));
        }
        samples::check_link(LinkType::PPP, &[0x00, 0x21], &tcp4(b"inner"));
        samples::check_link(LinkType::PPP, &[0x57], &tcp6(b"inner"));
        samples::check_link(LinkType::PPP_WITH_DIRECTION, &[1, 0xFF, 0x03, 0x00, 0x21], &tcp4(b"inner"));
    }

    #[test]
    fn cisco_routers() {
        for link in [LinkType::PPP_HDLC, LinkType::CISCO_HDLC] {
            samples::check_link(link, &[0x0F, 0, 0x08, 0x00], &tcp4(b"inner"));
            samples::check_link(link, &[0x8F, 0, 0x86, 0xDD], &tcp6(b"inner"));
        }
    }

    #[test]
    fn what_the_line_itself_says_is_not_ip() {
        let echo = [0xFF, 0x03, 0xC0, 0x21, 9, 1, 0, 8, 0, 0, 0, 0];
        assert_eq!(samples::ignored(LinkType::PPP, &echo), Some(Ignored::NotIp));
        let keep_alive = [&[0x8F, 0, 0x80, 0x35][..], &[0; 18]].concat();
        assert_eq!(samples::ignored(LinkType::CISCO_HDLC, &keep_alive), Some(Ignored::NotIp));
        assert_eq!(samples::ignored(LinkType::CISCO_HDLC, &[3; 40]), Some(Ignored::NotIp));
        assert_eq!(samples::ignored(LinkType::PPP, &[0xFF, 0x03, 0x00]), Some(Ignored::Malformed));
    }
}
