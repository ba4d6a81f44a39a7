//! The pcapng format (draft-ietf-opsawg-pcapng): blocks in sections.

use super::block::{Block, Captured, Other};
use super::buffer::ByteOrder;
use super::file::{Lack, RECORD_BYTES};
use crate::packet::LinkType;
use crate::source::{Drops, Interface, SecretsFormat};
use crate::time::Timestamp;

/// Block types.
mod block {
    /// Reads the same in both byte orders.
    pub(super) const SECTION_HEADER: u32 = 0x0A0D_0D0A;
    pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
    /// What was there before the enhanced one.
    pub(super) const PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const INTERFACE_STATISTICS: u32 = 5;
    pub(super) const ENHANCED_PACKET: u32 = 6;
    pub(super) const DECRYPTION_SECRETS: u32 = 10;
}

/// Interfaces of one file, over all its sections. Nobody has so many.
const INTERFACES: usize = 1 << 16;

/// Characters of an interface's name that are kept: on Linux it has 15, on Windows about 50.
const NAME_LENGTH: usize = 128;

const NOT_DESCRIBED: Lack = Lack::Sense("a packet of an interface that is not described");
const TOO_SHORT: Lack = Lack::Sense("a block that is shorter than what it holds");

/// A pcapng file.
#[derive(Default)]
pub(super) struct Pcapng {
    /// The byte order of the section; `None` before the first one.
    order: Option<ByteOrder>,
    /// The index of the section's first interface.
    first_interface: usize,
    /// What packets need of their interfaces.
    interfaces: Vec<Described>,
    /// The time of the last packet that had one.
    last: Timestamp,
}

/// An interface, as far as its packets are read by it.
struct Described {
    link: LinkType,
    snap_length: u32,
    clock: Clock,
}

/// A block of the file, without its second length field: all bytes, and where in them it lies.
struct Raw<'a> {
    all: &'a [u8],
    begin: usize,
    bytes: &'a [u8],
}

impl Pcapng {
    /// Whether a file begins as a pcapng file does.
    pub(super) fn is_one(beginning: &[u8]) -> bool {
        beginning.starts_with(&block::SECTION_HEADER.to_le_bytes()) && byte_order(beginning).is_some()
    }

    /// Finds all records that are whole in `bytes`, from `at` on. Where the first block begins that is not, and what it
    /// lacks.
    pub(super) fn find(&mut self, bytes: &[u8], mut at: usize, found: &mut Block) -> (usize, Lack) {
        loop {
            match self.next(bytes, at, found) {
                Ok(length) => at += length,
                Err(lack) => return (at, lack),
            }
        }
    }

    /// Reads the block that begins at `at`. Its length.
    #[inline]
    fn next(&mut self, all: &[u8], at: usize, found: &mut Block) -> Result<usize, Lack> {
        let rest = all.get(at..).unwrap_or_default();
        if rest.len() < 12 {
            return Err(Lack::Bytes(12));
        }
        let order = self.order_of(rest)?;
        let length = order.u32(rest, 4) as usize;
        if length < 12 || !length.is_multiple_of(4) || length > RECORD_BYTES {
            return Err(Lack::Sense("a block with an impossible length"));
        }
        let Some(bytes) = rest.get(..length) else { return Err(Lack::Bytes(length)) };
        if order.u32(bytes, length - 4) as usize != length {
            return Err(Lack::Sense("a block whose two length fields differ"));
        }
        self.block(order, &Raw { all, begin: at, bytes: &bytes[..length - 4] }, found)?;
        Ok(length)
    }

    /// The byte order of the next block; a section header brings its own.
    #[inline]
    fn order_of(&mut self, block: &[u8]) -> Result<ByteOrder, Lack> {
        if ByteOrder::Little.u32(block, 0) != block::SECTION_HEADER {
            return self.order.ok_or(Lack::Sense("a block before any section header"));
        }
        let order = byte_order(block).ok_or(Lack::Sense("a section header without a byte order"))?;
        self.order = Some(order);
        self.first_interface = self.interfaces.len();
        Ok(order)
    }

    #[inline]
    fn block(&mut self, order: ByteOrder, block: &Raw<'_>, found: &mut Block) -> Result<(), Lack> {
        match order.u32(block.bytes, 0) {
            block::ENHANCED_PACKET => self.packet(order, block, order.u32(block.bytes, 8), found),
            // Interface in 16 bits, drops in 16 bits, the rest as in an enhanced packet.
            block::PACKET => self.packet(order, block, order.u16(block.bytes, 8).into(), found),
            block::SIMPLE_PACKET => self.simple_packet(order, block, found),
            block::DECRYPTION_SECRETS => secrets(order, block, found),
            block::INTERFACE_DESCRIPTION => self.interface_description(order, block.bytes, found),
            block::INTERFACE_STATISTICS => {
                self.interface_statistics(order, block.bytes, found);
                Ok(())
            }
            _ => Ok(()), // names, journals, custom blocks
        }
    }

    /// Interface, time in two halves, captured length, length; then the bytes.
    #[inline]
    fn packet(&mut self, order: ByteOrder, block: &Raw<'_>, interface: u32, found: &mut Block) -> Result<(), Lack> {
        let index = self.first_interface + interface as usize;
        let described = self.interfaces.get(index).ok_or(NOT_DESCRIBED)?;
        let numbers = block.bytes.get(12..).and_then(|rest| rest.first_chunk()).ok_or(TOO_SHORT)?;
        let [high, low, captured, length] = order.four(numbers);
        self.last = described.clock.timestamp(u64::from(high) << 32 | u64::from(low));
        let from = Captured { at: self.last, interface: index as u32, link: described.link, length };
        let (begin, end) = block.part(28, captured)?;
        found.packet(from, block.all, begin, end);
        Ok(())
    }

    /// Length, then the bytes; of the section's first interface, without a time: that of the packet before it must do.
    fn simple_packet(&mut self, order: ByteOrder, block: &Raw<'_>, found: &mut Block) -> Result<(), Lack> {
        let length = order.u32(block.bytes, 8);
        let index = self.first_interface;
        let described = self.interfaces.get(index).ok_or(NOT_DESCRIBED)?;
        let captured = if described.snap_length == 0 { length } else { length.min(described.snap_length) };
        let from = Captured { at: self.last, interface: index as u32, link: described.link, length };
        let (begin, end) = block.part(12, captured)?;
        found.packet(from, block.all, begin, end);
        Ok(())
    }

    /// Link type, reserved, snap length; then options.
    fn interface_description(&mut self, order: ByteOrder, block: &[u8], found: &mut Block) -> Result<(), Lack> {
        const NAME: u16 = 2;
        const TIME_RESOLUTION: u16 = 9;
        const TIME_OFFSET: u16 = 14;
        if self.interfaces.len() == INTERFACES {
            return Err(Lack::Sense("more interfaces than any machine has"));
        }
        let (mut name, mut resolution, mut offset) = (None, Clock::MICROSECONDS, 0);
        for (code, value) in options(order, block, 16) {
            match code {
                NAME => {
                    let text = String::from_utf8_lossy(value);
                    name = Some(text.trim_end_matches('\0').chars().take(NAME_LENGTH).collect::<String>());
                }
                TIME_RESOLUTION => resolution = value.first().copied().unwrap_or(resolution),
                TIME_OFFSET => offset = order.u64(value, 0) as i64,
                _ => {}
            }
        }
        let (link, snap_length) = (LinkType(order.u16(block, 8)), order.u32(block, 12));
        self.interfaces.push(Described { link, snap_length, clock: Clock::new(resolution, offset) });
        let (name, drops) = (name.filter(|name| !name.is_empty()), Drops::default());
        found.other(Other::Interface(Interface { name, link, snap_length, drops }));
        Ok(())
    }

    /// Interface, time in two halves; then options, each a counter since the beginning of the capture.
    fn interface_statistics(&mut self, order: ByteOrder, block: &[u8], found: &mut Block) {
        const DROPPED_BY_INTERFACE: u16 = 5;
        const DROPPED_BY_KERNEL: u16 = 7;
        let interface = self.first_interface.saturating_add(order.u32(block, 8) as usize);
        let (mut by_interface, mut by_kernel) = (None, None);
        for (code, value) in options(order, block, 20) {
            match code {
                DROPPED_BY_INTERFACE => by_interface = Some(order.u64(value, 0)),
                DROPPED_BY_KERNEL => by_kernel = Some(order.u64(value, 0)),
                _ => {}
            }
        }
        found.other(Other::Drops { interface, by_interface, by_kernel });
    }
}

impl Raw<'_> {
    /// Where in all bytes `length` bytes of the block are, from its `offset` on.
    #[inline]
    fn part(&self, offset: usize, length: u32) -> Result<(usize, usize), Lack> {
        let end = offset.checked_add(length as usize).filter(|&end| end <= self.bytes.len()).ok_or(TOO_SHORT)?;
        Ok((self.begin + offset, self.begin + end))
    }
}

/// The byte order that a section header brings.
fn byte_order(section_header: &[u8]) -> Option<ByteOrder> {
    match section_header.get(8..12)? {
        [0x4D, 0x3C, 0x2B, 0x1A] => Some(ByteOrder::Little),
        [0x1A, 0x2B, 0x3C, 0x4D] => Some(ByteOrder::Big),
        _ => None,
    }
}

/// Format, length; then the secrets, padded to 4 bytes.
fn secrets(order: ByteOrder, block: &Raw<'_>, found: &mut Block) -> Result<(), Lack> {
    let (begin, end) = block.part(16, order.u32(block.bytes, 12))?;
    let format = SecretsFormat(order.u32(block.bytes, 8));
    found.other(Other::Secrets { format, begin: begin as u32, end: end as u32 });
    Ok(())
}

/// The options of a block from `offset` on: code and value. What makes no sense ends them.
fn options(order: ByteOrder, block: &[u8], offset: usize) -> impl Iterator<Item = (u16, &[u8])> {
    const END: u16 = 0;
    let mut rest = block.get(offset..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (code, length) = (order.u16(rest, 0), usize::from(order.u16(rest, 2)));
        let value = rest.get(4..4 + length).filter(|_| code != END)?;
        rest = rest.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    })
}

/// How an interface counts time.
struct Clock {
    tick: Tick,
    /// Seconds to add (if_tsoffset).
    offset: i64,
}

enum Tick {
    /// So many nanoseconds.
    Nanos(u64),
    /// So many of it make a second; `None` when that is beyond all numbers.
    PerSecond(Option<u128>),
}

impl Clock {
    /// The resolution when nothing is said.
    const MICROSECONDS: u8 = 6;

    /// From if_tsresol: a negative power of 10, or of 2 when the highest bit is set.
    fn new(resolution: u8, offset: i64) -> Clock {
        let exponent = u32::from(resolution & 0x7F);
        let tick = match (resolution & 0x80 != 0, exponent) {
            (false, 0..=9) => Tick::Nanos(10u64.pow(9 - exponent)),
            (false, _) => Tick::PerSecond(10u128.checked_pow(exponent)),
            (true, _) => Tick::PerSecond(2u128.checked_pow(exponent)),
        };
        Clock { tick, offset }
    }

    #[inline]
    fn timestamp(&self, ticks: u64) -> Timestamp {
        const NANOS: u64 = 1_000_000_000;
        let nanos = match self.tick {
            Tick::Nanos(nanos) => ticks.saturating_mul(nanos),
            Tick::PerSecond(None) => 0,
            Tick::PerSecond(Some(per_second)) => {
                u64::try_from(u128::from(ticks) * u128::from(NANOS) / per_second).unwrap_or(u64::MAX)
            }
        };
        Timestamp::from_nanos(nanos.saturating_add_signed(self.offset.saturating_mul(NANOS as i64)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Writer, lines_of, savefiles, yields};
    use super::*;
    use crate::source::Source;

    const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

    #[test]
    fn sections_interfaces_and_link_types() {
        for order in ORDERS {
            let mut file = Writer::pcapng(order);
            file.interface(1, &[(2, b"eth0"), (1, b"a comment")]).interface(113, &[(2, b"any")]);
            file.packet(1, 1_000_000, b"a").packet(0, 2_000_000, b"b");
            file.turned_section().interface(101, &[]).packet(0, 3_000_000, b"c");
            let mut source = savefiles(&[&file.bytes]);
            let expected =
                ["#1 1.000000000 @1 link 113 1: a", "#2 2.000000000 @0 link 1 1: b", "#3 3.000000000 @2 link 101 1: c"];
            assert_eq!(yields(&mut source).0, expected);
            let names: Vec<_> = source.interfaces().iter().map(|interface| interface.name.as_deref()).collect();
            assert_eq!(names, [Some("eth0"), Some("any"), None]);
        }
    }

    #[test]
    fn clocks() {
        for order in ORDERS {
            for (resolution, offset, ticks, expected) in [
                (6, 0, 1_700_000_000_000_001, "1700000000.000001000"),
                (9, 0, 1_700_000_000_000_000_001, "1700000000.000000001"),
                (0, 0, 1_700_000_000, "1700000000.000000000"),
                (12, 0, 1_700_000_000_123_456, "1700.000000123"),
                (0x80 | 10, 0, 1024 * 5 + 512, "5.500000000"),
                (6, 1_700_000_000, 1, "1700000000.000001000"),
                (6, -1, 3_000_000, "2.000000000"),
                (6, -9, 3_000_000, "0.000000000"),
                (127, 0, u64::MAX, "0.000000000"),
                (0, 0, u64::MAX, "18446744073.709551615"),
            ] {
                let mut file = Writer::pcapng(order);
                let offset = file.eight(offset as u64);
                file.interface(1, &[(9, &[resolution]), (14, &offset)]).packet(0, ticks, b"");
                let lines = lines_of(&file.bytes);
                assert_eq!(lines, [format!("#1 {expected} @0 link 1 0: ")], "{order:?} {resolution}");
            }
        }
    }

    #[test]
    fn packets_of_every_kind() {
        for order in ORDERS {
            let mut file = Writer::pcapng(order);
            file.interface(1, &[]).packet(0, 7_000_000, b"enhanced");
            let simple = [&file.part().u32(6).bytes[..], b"simple"].concat();
            let old = [&file.part().u16(0).u16(9).u32(0).u32(8_000_000).u32(3).u32(60).bytes[..], b"old"].concat();
            file.block(3, &simple).block(2, &old).block(0xBAD, b"a custom block").block(4, b"names");
            let expected = [
                "#1 7.000000000 @0 link 1 8: enhanced",
                "#2 7.000000000 @0 link 1 6: simple",
                "#3 8.000000000 @0 link 1 60: old",
            ];
            assert_eq!(lines_of(&file.bytes), expected);
        }
    }

    #[test]
    fn secrets_come_without_their_padding() {
        for order in ORDERS {
            let mut file = Writer::pcapng(order);
            let secrets = [&file.part().u32(0x544C_534B).u32(5).bytes[..], b"CLIEN"].concat();
            file.block(10, &secrets).interface(1, &[]).packet(0, 1_000_000, b"a");
            assert_eq!(lines_of(&file.bytes), ["secrets 544c534b: CLIEN", "#1 1.000000000 @0 link 1 1: a"]);
        }
    }

    #[test]
    fn drops_are_those_of_the_last_statistics() {
        for order in ORDERS {
            let mut file = Writer::pcapng(order);
            file.interface(1, &[]).packet(0, 1_000_000, b"a");
            for drops in [3, 7] {
                let drops = file.eight(drops);
                let mut body = file.part();
                body.u32(0).u32(0).u32(0).option(5, &[0; 8]).option(7, &drops).option(0, b"");
                file.block(5, &body.bytes);
            }
            let mut source = savefiles(&[&file.bytes]);
            yields(&mut source);
            assert_eq!(source.counts().drops, Drops { kernel: 7, interface: 0 });
        }
    }

    #[test]
    fn blocks_that_make_no_sense_are_damage() {
        let sound = || {
            let mut file = Writer::pcapng(ByteOrder::Little);
            file.interface(1, &[]).packet(0, 1_000_000, b"a");
            file
        };
        let reason = |file: &Writer| {
            let (lines, errors) = yields(&mut savefiles(&[&file.bytes]));
            assert_eq!((lines.len(), errors.len()), (1, 1));
            errors[0].to_string()
        };
        let mut file = sound();
        file.packet(1, 0, b"b");
        assert!(reason(&file).ends_with("a packet of an interface that is not described"));
        let mut file = sound();
        file.u32(6).u32(7);
        file.bytes.extend_from_slice(&[0; 40]);
        assert!(reason(&file).ends_with("a block with an impossible length"));
        let mut file = sound();
        file.packet(0, 0, b"b");
        let end = file.bytes.len() - 4;
        file.bytes[end] += 4;
        assert!(reason(&file).ends_with("a block whose two length fields differ"));
        let mut file = sound();
        for _ in 0..INTERFACES {
            file.interface(1, &[]);
        }
        assert!(reason(&file).ends_with("more interfaces than any machine has"));
        let mut file = sound();
        let secrets = file.part().u32(1).u32(99).bytes.clone();
        file.block(10, &secrets);
        assert!(reason(&file).ends_with("a block that is shorter than what it holds"));
    }

    /// pcap-parser is an independent reader: it finds the same packets in what is written here.
    #[test]
    fn agrees_with_pcap_parser() {
        use pcap_parser::pcapng::Block;
        use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
        use pcap_parser::{PcapBlockOwned, PcapError, PcapNGReader};

        for order in ORDERS {
            let mut file = Writer::pcapng(order);
            file.interface(1, &[(2, b"eth0")]);
            for index in 0..50u8 {
                file.packet(0, u64::from(index) << 31, &vec![b'a'; usize::from(index)]);
            }
            let mut theirs = Vec::new();
            let mut reader = PcapNGReader::new(65536, &file.bytes[..]).unwrap();
            loop {
                match reader.next() {
                    Ok((offset, block)) => {
                        if let PcapBlockOwned::NG(Block::EnhancedPacket(packet)) = block {
                            let (seconds, micros) = packet.decode_ts(0, 1_000_000);
                            let text = String::from_utf8_lossy(packet.packet_data()).into_owned();
                            let number = theirs.len() + 1;
                            let length = packet.orig_len();
                            theirs.push(format!("#{number} {seconds}.{micros:06}000 @0 link 1 {length}: {text}"));
                        }
                        reader.consume(offset);
                    }
                    Err(PcapError::Eof) => break,
                    Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
                    Err(error) => panic!("{error:?}"),
                }
            }
            assert_eq!(lines_of(&file.bytes), theirs);
        }
    }
}
