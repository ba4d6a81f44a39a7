//! Headers that were never sent: what packet filters and captures of several interfaces put in front of a packet.

use super::Ignored;
use super::bytes::{Bytes, u32_at};
use super::link::{self, Layer};
use crate::packet::LinkType;

/// OpenBSD's `enc`, inside of IPsec: address family, SPI, flags.
pub(super) fn enc(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    let (header, rest) = bytes.split::<12>()?;
    link::family(u32_at(header, 0)).map(|layer| (layer, rest))
}

/// What BSD's packet filter logged: a header that begins with its own length and an address family, filled up to a multiple
/// of four.
pub(super) fn pflog(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    let (&[length, family], _) = bytes.split::<2>()?;
    let rest = bytes.skip(usize::from(length).next_multiple_of(4))?;
    link::family(u32::from(family)).map(|layer| (layer, rest))
}

/// What Linux's packet filter logged: address family, version, group; then attributes, one of which is the packet. Their
/// numbers have the byte order of whoever captured.
pub(super) fn nflog(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    const PAYLOAD: u16 = 9;
    const ATTRIBUTES: usize = 64;
    let (&[family, version, _, _], mut bytes) = bytes.split::<4>()?;
    if version != 0 {
        return Err(Ignored::NotIp);
    }
    let layer = link::family(u32::from(family))?;
    for _ in 0..ATTRIBUTES {
        let (&[a, b, c, d], value) = bytes.split::<4>()?;
        let (mut length, mut kind) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        // There are a few dozen kinds: the other order makes thousands of them.
        if kind > u16::from(u8::MAX) {
            (length, kind) = (length.swap_bytes(), kind.swap_bytes());
        }
        let Some(value_length) = usize::from(length).checked_sub(4) else { return Err(Ignored::Malformed) };
        if kind == PAYLOAD {
            return Ok((layer, value.limit(value_length)));
        }
        bytes = value.skip(value_length.next_multiple_of(4))?;
    }
    Err(Ignored::Malformed)
}

/// Darwin's `pktap`, which captures on all interfaces: its own length, what follows, and the link type of that, in the byte
/// order of machines that are all little-endian now.
pub(super) fn pktap(bytes: Bytes<'_>) -> Result<(LinkType, Bytes<'_>), Ignored> {
    const PACKET: u32 = 1;
    let (header, _) = bytes.split::<12>()?;
    let number = |at| u32_at(header, at).swap_bytes();
    let (length, next, link) = (number(0), number(4), number(8));
    if next != PACKET {
        return Err(Ignored::NotIp);
    }
    let link = u16::try_from(link).map_err(|_| Ignored::UnknownLink)?;
    Ok((LinkType(link), bytes.skip(length as usize)?))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, ethernet, tcp4, tcp6};
    use super::*;

    #[test]
    fn packet_filters_of_bsd() {
        samples::check_link(
            LinkType::ENC,
            &[&2_u32.to_le_bytes()[..], &[0, 0, 7, 7], &[0; 4]].concat(),
            &tcp4(b"inner"),
        );
        samples::check_link(LinkType::ENC, &[&24_u32.to_be_bytes()[..], &[0; 8]].concat(), &tcp6(b"inner"));
        for (length, room) in [(61, 64), (64, 64), (100, 100)] {
            let mut header = vec![0; room];
            (header[0], header[1]) = (length, 2);
            samples::check_link(LinkType::PFLOG, &header, &tcp4(b"inner"));
            header[1] = 30;
            samples::check_link(LinkType::PFLOG, &header, &tcp6(b"inner"));
        }
        assert_eq!(samples::ignored(LinkType::PFLOG, &[61, 2, 0]), Some(Ignored::Malformed));
    }

    #[test]
    fn attributes_in_both_byte_orders() {
        for number in [|value: u8| [value, 0], |value: u8| [0, value]] {
            let attribute = |kind: u8, value: &[u8]| {
                let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
                [&number(4 + value.len() as u8)[..], &number(kind), value, &padding].concat()
            };
            let (prefix, packet_header) = (attribute(10, b"seen\0"), attribute(1, &[0x08, 0, 1, 0]));
            for (family, ip) in [(2, tcp4(b"inner")), (10, tcp6(b"inner"))] {
                let payload = [number(4 + ip.len() as u8), number(9)].concat();
                let header = [&[family, 0, 0, 5], &prefix[..], &packet_header, &payload].concat();
                samples::check_link(LinkType::NFLOG, &header, &ip);
            }
        }
        let nothing_but_zeros = [2, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(samples::ignored(LinkType::NFLOG, &nothing_but_zeros), Some(Ignored::Malformed));
    }

    #[test]
    fn all_interfaces_of_a_mac() {
        let header = |next: u32, link: u32| {
            let numbers = [108, next, link].map(u32::to_le_bytes).concat();
            [&numbers[..], &[0; 96]].concat()
        };
        samples::check_link(LinkType::PKTAP, &header(1, 1), &ethernet(&[], &tcp4(b"inner")));
        samples::check_link(LinkType::PKTAP, &header(1, 12), &tcp6(b"inner"));
        let loopback = [&30_u32.to_le_bytes()[..], &tcp6(b"inner")].concat();
        samples::check_link(LinkType::PKTAP, &header(1, 0), &loopback);
        let event = [header(2, 1), ethernet(&[], &tcp4(b"inner"))].concat();
        assert_eq!(samples::ignored(LinkType::PKTAP, &event), Some(Ignored::NotIp));
        let in_itself = [header(1, 258), header(1, 258)].concat();
        assert_eq!(samples::ignored(LinkType::PKTAP, &in_itself), Some(Ignored::UnknownLink));
    }
}
