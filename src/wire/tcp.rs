//! The TCP header (RFC 9293 §3.1).

use super::bytes::{u16_at, u32_at};
use super::ip::Datagram;
use super::{Endpoint, Ends, Flags, Ignored, Origin, Segment, TcpOptions};
use crate::tcp::SeqNumber;

/// The segment in a datagram. Options that the snap length cut are read as far as they go.
pub(super) fn segment<'a>(datagram: &Datagram<'a>, origin: Origin) -> Result<Segment<'a>, Ignored> {
    let (header, rest) = datagram.payload.split::<20>()?;
    let options = (usize::from(header[12] >> 4) * 4).checked_sub(20).ok_or(Ignored::Malformed)?;
    let payload_length = rest.length().checked_sub(options).ok_or(Ignored::Malformed)?;
    let (raw_options, payload) = rest.captured().split_at(options.min(rest.captured().len()));
    Ok(Segment {
        moment: origin.moment,
        ends: Ends::new(
            Endpoint { ip: datagram.source, port: u16_at(header, 0) },
            Endpoint { ip: datagram.destination, port: u16_at(header, 2) },
        ),
        seq: SeqNumber(u32_at(header, 4)),
        ack: SeqNumber(u32_at(header, 8)),
        flags: Flags(header[13]),
        window: u16_at(header, 14),
        raw_options,
        payload,
        payload_length: u32::try_from(payload_length).unwrap_or(u32::MAX),
        ttl: datagram.ttl,
        ip_id: datagram.id,
        interface: origin.interface,
    })
}

impl Segment<'_> {
    /// Reads the options. What makes no sense ends the list; what came before it counts.
    pub fn options(&self) -> TcpOptions {
        let mut found = TcpOptions::default();
        self.each_option(|option| note(&mut found, option));
        found
    }

    /// Whether there may be a SACK option, which comes alone or behind timestamps: a quick look.
    #[inline]
    pub fn may_have_sack(&self) -> bool {
        self.raw_options.len() > 12 || matches!(self.raw_options, [_, _, 5, ..])
    }

    /// The most bytes in one block that the peer has, although bytes before it are missing (RFC 2018 §3).
    pub fn largest_sack_block(&self) -> u32 {
        let mut largest = 0;
        self.each_option(|option| {
            let [5, _, blocks @ ..] = option else { return };
            let edges = blocks.as_chunks::<8>().0.iter().map(|edges| [0, 4].map(|at| SeqNumber(u32_at(edges, at))));
            // What was acknowledged before is only repeated here (RFC 2883 §4).
            let missing_before = edges.filter(|[from, _]| from.distance(self.ack) > 0);
            let sizes = missing_before.filter_map(|[from, to]| u32::try_from(to.distance(from)).ok());
            largest = sizes.max().unwrap_or(0);
        });
        largest
    }

    /// Calls `each` with every option: kind, length, data.
    #[inline]
    fn each_option(&self, mut each: impl FnMut(&[u8])) {
        const END: u8 = 0;
        const NO_OPERATION: u8 = 1;
        let mut rest = self.raw_options;
        while let Some((&kind, behind)) = rest.split_first() {
            match kind {
                END => break,
                NO_OPERATION => rest = behind,
                _ => {
                    // RFC 9293 §3.1: the length counts the octets of kind and length themselves.
                    let Some(length) = behind.first().map(|&octet| usize::from(octet)) else { break };
                    let Some(option) = rest.get(..length).filter(|_| length >= 2) else { break };
                    each(option);
                    rest = &rest[length..];
                }
            }
        }
    }
}

/// Notes one option: kind, length, data.
fn note(found: &mut TcpOptions, option: &[u8]) {
    match *option {
        [2, 4, a, b] => found.mss = Some(u16::from_be_bytes([a, b])),
        [3, 3, shift] => found.window_scale = Some(shift.min(14)), // RFC 7323 §2.3: above 14 means 14
        [8, 10, a, b, c, d, _, _, _, _] => found.timestamp = Some(u32::from_be_bytes([a, b, c, d])),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{dissect, ignored, packet, tcp4, tcp4_with_options};
    use super::super::{Dissected, Ignored};
    use super::*;
    use crate::packet::{LinkType, Packet};

    fn options_of(packet: &Packet<'_>) -> TcpOptions {
        let mut options = TcpOptions::default();
        dissect(packet, |dissected| match dissected {
            Dissected::Tcp(segment) => options = segment.options(),
            other => panic!("{other:?}"),
        });
        options
    }

    fn options(raw: &[u8]) -> TcpOptions {
        options_of(&packet(LinkType::RAW, &tcp4_with_options(raw)))
    }

    #[test]
    fn fields() {
        let mut data = tcp4(b"x");
        data[24..36].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x18, 0xAB, 0xCD]);
        dissect(&packet(LinkType::RAW, &data), |dissected| match dissected {
            Dissected::Tcp(segment) => {
                assert_eq!((segment.seq, segment.ack), (SeqNumber(0x01020304), SeqNumber(0x05060708)));
                assert!(segment.flags.has(Flags::PSH | Flags::ACK) && !segment.flags.has(Flags::SYN));
                assert_eq!(segment.window, 0xABCD);
            }
            other => panic!("{other:?}"),
        });
    }

    #[test]
    fn options_of_a_syn() {
        // From Linux 6.1: MSS 1460, SACK permitted, timestamps, no-operation, window scale 7.
        let syn = options(&[2, 4, 5, 0xB4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7]);
        let expected = TcpOptions { mss: Some(1460), window_scale: Some(7), timestamp: Some(9) };
        assert_eq!(syn, expected);
    }

    #[test]
    fn sack_blocks() {
        let largest = |options: &[u8], ack: u32| {
            let mut data = tcp4_with_options(options);
            data[28..32].copy_from_slice(&ack.to_be_bytes());
            let mut largest = None;
            dissect(&packet(LinkType::RAW, &data), |dissected| match dissected {
                Dissected::Tcp(segment) => largest = Some((segment.may_have_sack(), segment.largest_sack_block())),
                other => panic!("{other:?}"),
            });
            largest.unwrap()
        };
        let two = [1, 1, 5, 18, 0, 0, 0, 9, 0, 0, 0, 29, 0, 0, 0, 1, 0, 0, 0, 250];
        assert_eq!(largest(&two, 0), (true, 249));
        assert_eq!(largest(&two, 5), (true, 20), "the second repeats what is acknowledged");
        assert_eq!(largest(&[1, 1, 5, 10, 0, 0, 0, 9, 0, 0, 0, 3], 0), (true, 0), "backwards");
        assert_eq!(largest(&[1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 3], 0), (false, 0));
        assert_eq!(largest(&[4, 2, 1, 1], 0), (false, 0));
    }

    #[test]
    fn options_that_make_no_sense_end_the_list() {
        let mss = TcpOptions { mss: Some(1460), ..TcpOptions::default() };
        assert_eq!(options(&[2, 4, 5, 0xB4, 3, 0, 3, 3]), mss, "length 0");
        assert_eq!(options(&[2, 4, 5, 0xB4, 3, 9, 3, 3]), mss, "length behind the end");
        assert_eq!(options(&[2, 4, 5, 0xB4, 0, 3, 3, 7]), mss, "behind the end of the list");
        assert_eq!(options(&[1, 1, 1, 3]), TcpOptions::default(), "no length");
    }

    #[test]
    fn options_are_read_as_far_as_they_were_captured() {
        let data = tcp4_with_options(&[2, 4, 5, 0xB4, 1, 3, 3, 7]);
        let mut cut = packet(LinkType::RAW, &data);
        cut.data = &data[..46];
        assert_eq!(options_of(&cut), TcpOptions { mss: Some(1460), ..TcpOptions::default() });
    }

    #[test]
    fn a_data_offset_outside_the_segment_is_malformed() {
        for offset in [0x40, 0x00, 0xF0] {
            let mut data = tcp4(b"short");
            data[32] = offset;
            assert_eq!(ignored(LinkType::RAW, &data), Some(Ignored::Malformed));
        }
    }
}
