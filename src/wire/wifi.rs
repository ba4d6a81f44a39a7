//! IEEE 802.11, as monitors capture it in the air: frames of networks without encryption.

use super::Ignored;
use super::bytes::{Bytes, u16_at};
use super::link::{Layer, by_ether_type};

/// Radiotap: version, padding, its own length, and what the radio knew.
pub(super) fn radiotap(bytes: Bytes<'_>) -> Result<Bytes<'_>, Ignored> {
    let (&[version, _, low, high], _) = bytes.split::<4>()?;
    if version != 0 {
        return Err(Ignored::UnknownLink);
    }
    bytes.skip(usize::from(u16::from_le_bytes([low, high])))
}

/// A MAC header (IEEE 802.11-2020 §9.3.2.1), of the length that its bits say; then LLC. Encrypted frames, aggregates, and all
/// that carries no data is left aside.
pub(super) fn frame(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    const DATA: u8 = 2;
    const WITHOUT_DATA: u8 = 0x4;
    const QOS: u8 = 0x8;
    const TO_AND_FROM_DISTRIBUTION_SYSTEM: u8 = 0x03;
    const PROTECTED: u8 = 0x40;
    const HT_CONTROL: u8 = 0x80;
    const AGGREGATE: u8 = 0x80;
    let (&[control, flags], _) = bytes.split::<2>()?;
    let (kind, subtype) = (control >> 2 & 3, control >> 4);
    if control & 3 != 0 || kind != DATA || subtype & WITHOUT_DATA != 0 || flags & PROTECTED != 0 {
        return Err(Ignored::NotIp);
    }
    let four_addresses = flags & TO_AND_FROM_DISTRIBUTION_SYSTEM == TO_AND_FROM_DISTRIBUTION_SYSTEM;
    let mut bytes = bytes.skip(if four_addresses { 30 } else { 24 })?;
    if subtype & QOS != 0 {
        let (quality, rest) = bytes.split::<2>()?;
        if quality[0] & AGGREGATE != 0 {
            return Err(Ignored::NotIp);
        }
        bytes = if flags & HT_CONTROL != 0 { rest.skip(4)? } else { rest };
    }
    Ok((Layer::Llc, bytes))
}

/// IEEE 802.2 with SNAP: an organisation, 0 for Ethernet's own, and an EtherType (RFC 1042).
pub(super) fn llc(bytes: Bytes<'_>) -> Result<(Layer, Bytes<'_>), Ignored> {
    const SNAP: [u8; 3] = [0xAA, 0xAA, 0x03];
    let (header, rest) = bytes.split::<8>()?;
    match header.first_chunk() {
        Some(&SNAP) if header[3..5] == [0, 0] => Ok((by_ether_type(u16_at(header, 6)), rest)),
        _ => Err(Ignored::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, tcp4, tcp6};
    use super::*;
    use crate::packet::LinkType;

    const SNAP_IPV4: [u8; 8] = [0xAA, 0xAA, 0x03, 0, 0, 0, 0x08, 0x00];

    /// A frame's header: its first two bytes, so many more, and LLC.
    fn header(control: u8, flags: u8, more: usize) -> Vec<u8> {
        [&[control, flags][..], &vec![0; more], &SNAP_IPV4].concat()
    }

    #[test]
    fn headers_of_every_length() {
        for (control, flags, more) in
            [(0x08, 0x01, 22), (0x08, 0x02, 22), (0x08, 0x03, 28), (0x88, 0x01, 24), (0x88, 0x83, 34)]
        {
            let header = header(control, flags, more);
            samples::check_link(LinkType::IEEE802_11, &header, &tcp4(b"inner"));
            let radio = [&[0, 0, 12, 0, 0, 0, 0, 0, 1, 2, 3, 4][..], &header].concat();
            samples::check_link(LinkType::RADIOTAP, &radio, &tcp4(b"inner"));
        }
        let mut ipv6 = header(0x08, 0x02, 22);
        (ipv6[30], ipv6[31]) = (0x86, 0xDD);
        samples::check_link(LinkType::IEEE802_11, &ipv6, &tcp6(b"inner"));
    }

    #[test]
    fn a_frame_check_sequence_behind_the_datagram_is_no_data() {
        samples::check_link(LinkType::IEEE802_11, &header(0x08, 0x01, 22), &[&tcp4(b"inner")[..], &[9; 4]].concat());
    }

    #[test]
    fn what_carries_nothing_readable_is_left_aside() {
        let beacon = header(0x80, 0, 22);
        let null = header(0x48, 0x01, 22);
        let protected = header(0x08, 0x41, 22);
        let mut aggregate = header(0x88, 0x01, 24);
        aggregate[24] = 0x80;
        for frame in [beacon, null, protected, aggregate] {
            let frame = [frame, tcp4(b"inner")].concat();
            assert_eq!(samples::ignored(LinkType::IEEE802_11, &frame), Some(Ignored::NotIp), "{:02x?}", &frame[..2]);
        }
    }

    #[test]
    fn llc_in_ethernet() {
        let frame = [&[2; 12][..], &[0, 58], &SNAP_IPV4, &tcp4(b"inner")].concat();
        samples::check_link(LinkType::ETHERNET, &frame[..22], &tcp4(b"inner"));
        let spanning_tree = [&[2; 12][..], &[0, 38, 0x42, 0x42, 0x03], &[0; 35]].concat();
        assert_eq!(samples::ignored(LinkType::ETHERNET, &spanning_tree), Some(Ignored::NotIp));
    }
}
