//! Packets one behind the other in a few pieces of memory: an allocation for each would cost more than most of them hold.

use std::collections::VecDeque;

use crate::packet::{InterfaceId, LinkType, Packet, PacketNumber};
use crate::time::Timestamp;

/// Bytes of a piece; then the next one begins. The handshakes of TCP and TLS and the opening one fit into the first.
const PIECE: usize = 16 << 10;
/// Bytes that a piece has room for at first: a handshake.
const FEW: usize = 1 << 10;
/// What stands in front of a packet's bytes: number, time, interface, length on the wire, length here, link type.
const HEADER: usize = 8 + 8 + 4 + 4 + 4 + 2;

/// Packets in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pieces: VecDeque<Piece>,
    bytes: usize,
    packets: u64,
}

#[derive(Debug)]
struct Piece {
    records: Vec<u8>,
    packets: u32,
}

impl Packed {
    /// Appends a packet.
    pub fn push(&mut self, packet: &Packet<'_>) {
        let needed = HEADER + packet.data.len();
        if self.pieces.back().is_none_or(|piece| piece.records.len() + needed > PIECE && piece.packets > 0) {
            let room = if self.pieces.is_empty() { FEW } else { PIECE };
            self.pieces.push_back(Piece { records: Vec::with_capacity(room), packets: 0 });
            self.bytes += room;
        }
        let piece = self.pieces.back_mut().expect("there is a piece with room, or a new one");
        self.bytes -= piece.records.capacity();
        append(&mut piece.records, packet);
        self.bytes += piece.records.capacity();
        piece.packets += 1;
        self.packets += 1;
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Packet<'_>> {
        self.pieces.iter().flat_map(|piece| {
            let mut rest = &piece.records[..];
            std::iter::from_fn(move || {
                let (packet, behind) = split_first(rest)?;
                rest = behind;
                Some(packet)
            })
        })
    }

    /// Memory that they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.packets
    }

    /// Keeps the first piece and the later half of the others.
    pub fn give_middle(&mut self) {
        let given = self.pieces.len().saturating_sub(1) / 2;
        if given == 0 {
            return;
        }
        for piece in self.pieces.drain(1..=given) {
            self.bytes -= piece.records.capacity();
            self.packets -= u64::from(piece.packets);
        }
    }

    /// Keeps those that somebody wants.
    pub fn retain(&mut self, wanted: impl Fn(PacketNumber) -> bool) {
        let mut kept = Packed::default();
        self.iter().filter(|packet| wanted(packet.number)).for_each(|packet| kept.push(&packet));
        *self = kept;
    }
}

/// Packets of several connections, in the order of their numbers.
#[derive(Debug, Default)]
pub struct Copied {
    records: Vec<u8>,
    places: Vec<(PacketNumber, usize)>,
}

impl Copied {
    pub(super) fn push(&mut self, packet: &Packet<'_>) {
        self.places.push((packet.number, self.records.len()));
        append(&mut self.records, packet);
    }

    pub(super) fn sort(&mut self) {
        self.places.sort_unstable();
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Packet<'_>> {
        self.places.iter().filter_map(|&(_, at)| split_first(&self.records[at..])).map(|(packet, _)| packet)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

fn append(records: &mut Vec<u8>, packet: &Packet<'_>) {
    let Packet { number, at, interface, link, length, data } = *packet;
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&number.0.to_ne_bytes());
    header[8..16].copy_from_slice(&at.as_nanos().to_ne_bytes());
    header[16..20].copy_from_slice(&interface.0.to_ne_bytes());
    header[20..24].copy_from_slice(&length.to_ne_bytes());
    header[24..28].copy_from_slice(&(data.len() as u32).to_ne_bytes());
    header[28..].copy_from_slice(&link.0.to_ne_bytes());
    records.extend_from_slice(&header);
    records.extend_from_slice(data);
}

/// The first packet, and the records behind it.
fn split_first(records: &[u8]) -> Option<(Packet<'_>, &[u8])> {
    let (number, rest) = records.split_first_chunk()?;
    let (nanos, rest) = rest.split_first_chunk()?;
    let (interface, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (captured, rest) = rest.split_first_chunk()?;
    let (link, rest) = rest.split_first_chunk()?;
    let (data, behind) = rest.split_at_checked(u32::from_ne_bytes(*captured) as usize)?;
    let packet = Packet {
        number: PacketNumber(u64::from_ne_bytes(*number)),
        at: Timestamp::from_nanos(u64::from_ne_bytes(*nanos)),
        interface: InterfaceId(u32::from_ne_bytes(*interface)),
        link: LinkType(u16::from_ne_bytes(*link)),
        length: u32::from_ne_bytes(*length),
        data,
    };
    Some((packet, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(numbers: std::ops::RangeInclusive<u64>, bytes: usize) -> Packed {
        let mut packed = Packed::default();
        for number in numbers {
            packed.push(&Packet {
                number: PacketNumber(number),
                at: Timestamp::from_parts(1_767_225_600, number as u32),
                interface: InterfaceId(3),
                link: LinkType::LINUX_SLL2,
                length: 9_000,
                data: &vec![number as u8; bytes],
            });
        }
        packed
    }

    fn numbers(packed: &Packed) -> Vec<u64> {
        packed.iter().map(|packet| packet.number.0).collect()
    }

    #[test]
    fn what_goes_in_comes_out() {
        let packed = packed(1..=100, 1_000);
        assert_eq!(numbers(&packed), (1..=100).collect::<Vec<_>>());
        let packet = packed.iter().nth(70).expect("there are a hundred");
        assert_eq!((packet.number, packet.interface, packet.link), (PacketNumber(71), InterfaceId(3), LinkType(276)));
        assert_eq!((packet.at, packet.length), (Timestamp::from_parts(1_767_225_600, 71), 9_000));
        assert_eq!(packet.data, [71; 1_000]);
        assert!(packed.bytes() >= 100 * (1_000 + HEADER));
    }

    #[test]
    fn the_middle_is_given_and_counted() {
        let mut packed = packed(1..=160, 1_000); // 15 to a piece
        packed.give_middle();
        assert_eq!(numbers(&packed), (1..=15).chain(91..=160).collect::<Vec<_>>());
        assert_eq!(packed.len(), 85);
        (0..10).for_each(|_| packed.give_middle());
        assert_eq!(packed.len() as usize, numbers(&packed).len());
        assert_eq!(numbers(&packed)[..15], (1..=15).collect::<Vec<_>>());
        let mut little = self::packed(1..=3, 1_000);
        little.give_middle();
        Packed::default().give_middle();
        assert_eq!(little.len(), 3, "there is no middle");
    }

    #[test]
    fn packets_larger_than_a_piece_have_one_of_their_own() {
        let packed = packed(1..=3, 60_000);
        assert_eq!((packed.pieces.len(), packed.len()), (3, 3));
        assert_eq!(packed.bytes(), packed.pieces.iter().map(|piece| piece.records.capacity()).sum::<usize>());
    }
}
