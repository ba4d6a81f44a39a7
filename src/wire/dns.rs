//! DNS over UDP (RFC 1035 §4.1), as far as it tells whether a name was found.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::bytes::{Bytes, u16_at};
use super::ip::Datagram;
use super::{DnsMessage, Ignored, Origin};

/// The UDP port of a DNS server.
pub(super) const PORT: u16 = 53;

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
/// Addresses that are kept of an answer.
const ADDRESSES: usize = 4;

/// A question for addresses, or its answer. Other DNS (names of addresses, mail, updates) is left aside.
pub(super) fn message(
    datagram: &Datagram<'_>,
    [source_port, destination_port]: [u16; 2],
    payload: Bytes<'_>,
    origin: Origin,
) -> Result<DnsMessage, Ignored> {
    let (header, _) = payload.split::<12>()?;
    let is_answer = header[2] & 0x80 != 0;
    let opcode = header[2] >> 3 & 0x0F;
    let server_port = if is_answer { source_port } else { destination_port };
    if opcode != 0 || u16_at(header, 4) != 1 || server_port != PORT {
        return Err(Ignored::NotTcp);
    }
    let mut reader = Reader { message: payload.captured(), at: header.len() };
    let name = reader.name().ok_or_else(|| payload.lacks(payload.length()))?;
    let question = reader.take::<4>().ok_or_else(|| payload.lacks(payload.length()))?;
    if ![TYPE_A, TYPE_AAAA].contains(&u16_at(question, 0)) {
        return Err(Ignored::NotTcp);
    }
    Ok(DnsMessage {
        moment: origin.moment,
        client: if is_answer { datagram.destination } else { datagram.source },
        name,
        answer: is_answer.then_some(header[3] & 0x0F),
        addresses: reader.addresses(u16_at(header, 6)),
    })
}

/// Reads a message from the front. Every method gives `None` where the message ends too early or makes no sense.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let taken = self.message.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(taken)
    }

    /// A name, its labels joined by dots; bytes that are no part of a usual host name as `\DDD` (RFC 1035 §5.1).
    fn name(&mut self) -> Option<String> {
        let mut text = String::new();
        self.labels(|label| {
            if !text.is_empty() {
                text.push('.');
            }
            for &byte in label {
                match byte {
                    b'.' | b'\\' => text.extend(['\\', char::from(byte)]),
                    0x21..=0x7E => text.push(char::from(byte)),
                    _ => drop(write!(text, "\\{byte:03}")),
                }
            }
        })?;
        Some(text)
    }

    /// Walks over a name. Compression pointers must point to what came before (RFC 1035 §4.1.4), and a name has 255
    /// bytes at most (§2.3.4): so it ends.
    fn labels(&mut self, mut each: impl FnMut(&'a [u8])) -> Option<()> {
        const NAME_BYTES: usize = 255;
        let (mut at, mut behind, mut length) = (self.at, None, 0);
        loop {
            let octet = usize::from(*self.message.get(at)?);
            match octet {
                0 => break,
                1..=63 => {
                    length += octet + 1;
                    each(self.message.get(at + 1..at + 1 + octet).filter(|_| length < NAME_BYTES)?);
                    at += 1 + octet;
                }
                192.. => {
                    let target = (octet & 0x3F) << 8 | usize::from(*self.message.get(at + 1)?);
                    if target >= at {
                        return None;
                    }
                    behind.get_or_insert(at + 2);
                    at = target;
                }
                _ => return None,
            }
        }
        self.at = behind.unwrap_or(at + 1);
        Some(())
    }

    /// The first addresses among the next `count` records.
    fn addresses(&mut self, count: u16) -> Vec<IpAddr> {
        let mut found = Vec::new();
        for _ in 0..count {
            let Some((kind, data)) = self.record() else { break };
            let address = match kind {
                TYPE_A => <[u8; 4]>::try_from(data).map(IpAddr::from),
                TYPE_AAAA => <[u8; 16]>::try_from(data).map(IpAddr::from),
                _ => continue, // CNAME and the like, before what they lead to
            };
            found.extend(address);
            if found.len() == ADDRESSES {
                break;
            }
        }
        found
    }

    /// The type and the data of the next resource record.
    fn record(&mut self) -> Option<(u16, &'a [u8])> {
        self.labels(|_| {})?;
        let fixed = self.take::<10>()?;
        let length = usize::from(u16_at(fixed, 8));
        let data = self.message.get(self.at..self.at + length)?;
        self.at += length;
        Some((u16_at(fixed, 0), data))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Dissected;
    use super::super::samples::{dissect, ignored, packet, udp4};
    use super::*;
    use crate::packet::LinkType;

    const QUESTION: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x07backend\x07example\0\0\x01\0\x01";

    /// An answer to [`QUESTION`], with a response code and these records.
    fn answer(code: u8, count: u8, records: &[u8]) -> Vec<u8> {
        let mut message = [QUESTION, records].concat();
        (message[2], message[3], message[7]) = (0x81, 0x80 | code, count);
        message
    }

    fn message_of(data: &[u8]) -> DnsMessage {
        let mut message = None;
        dissect(&packet(LinkType::RAW, data), |dissected| match dissected {
            Dissected::Dns(found) => message = Some(found),
            other => panic!("{other:?}"),
        });
        message.unwrap()
    }

    #[test]
    fn question() {
        let message = message_of(&udp4(41000, 53, QUESTION));
        assert_eq!((message.name.as_str(), message.answer), ("backend.example", None));
        assert_eq!(message.client.to_string(), "10.0.0.1");
        assert_eq!(message_of(&udp4(53, 53, QUESTION)).answer, None);
        assert_eq!(ignored(LinkType::RAW, &udp4(53, 41000, QUESTION)), Some(Ignored::NotTcp));
    }

    #[test]
    fn name_not_found() {
        let message = message_of(&udp4(53, 41000, &answer(3, 0, &[])));
        assert_eq!((message.name.as_str(), message.answer), ("backend.example", Some(3)));
        assert_eq!(message.client.to_string(), "10.0.0.2");
        assert!(message.addresses.is_empty());
    }

    #[test]
    fn addresses_behind_an_alias_four_at_most() {
        let alias = b"\xC0\x0C\0\x05\0\x01\0\0\0\x3C\0\x06\x03www\xC0\x14";
        let a = |last: u8| [&b"\xC0\x2D\0\x01\0\x01\0\0\0\x3C\0\x04\x0A\0\0"[..], &[last]].concat();
        let aaaa = b"\xC0\x2D\0\x1C\0\x01\0\0\0\x3C\0\x10\xFD\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07";
        let records = [&alias[..], &a(1), aaaa, &a(2), &a(3), &a(4)].concat();
        let message = message_of(&udp4(53, 41000, &answer(0, 6, &records)));
        let texts: Vec<String> = message.addresses.iter().map(IpAddr::to_string).collect();
        assert_eq!(texts, ["10.0.0.1", "fd00::7", "10.0.0.2", "10.0.0.3"]);
    }

    #[test]
    fn names_are_escaped() {
        let mut question = QUESTION.to_vec();
        question[13..20].copy_from_slice(b"a.\x1b[2\\\xFF");
        assert_eq!(message_of(&udp4(41000, 53, &question)).name, "a\\.\\027[2\\\\\\255.example");
    }

    #[test]
    fn pointers_and_lengths_that_would_not_end() {
        let head = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0";
        let itself = [&head[..], b"\xC0\x0C\0\x01\0\x01"].concat();
        let forward = [&head[..], b"\xC0\x0F\0\x07backend\0\0\x01\0\x01"].concat();
        let long = [&head[..], &[&[63u8][..], &[b'a'; 63]].concat().repeat(5), &[0, 0, 1, 0, 1]].concat();
        for message in [itself, forward, long, head.to_vec(), QUESTION[..20].to_vec()] {
            let found = ignored(LinkType::RAW, &udp4(41000, 53, &message));
            assert!(matches!(found, Some(Ignored::Malformed | Ignored::CutHeader)), "{found:?}");
        }
    }

    #[test]
    fn questions_for_other_things_are_left_aside() {
        let mut pointer = QUESTION.to_vec();
        let length = pointer.len();
        pointer[length - 3] = 12;
        assert_eq!(ignored(LinkType::RAW, &udp4(41000, 53, &pointer)), Some(Ignored::NotTcp));
    }
}
