//! pcapng, written block by block (draft-ietf-opsawg-pcapng): one section, timestamps in nanoseconds, comments on packets.

pub mod held;
pub mod names;
pub mod recording;
pub mod selection;

use std::io::{self, Write};

use zeroize::Zeroize;

use crate::packet::{InterfaceId, LinkType, Packet};
use crate::source::{Interface, SecretsFormat};
use crate::time::Timestamp;

/// Writes packets. Interfaces are described in front of their first packet.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// Interfaces described so far, and by which number of the section.
    interfaces: Vec<Option<u32>>,
    described: u32,
    block: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins a section.
    pub fn new(out: W) -> io::Result<Writer<W>> {
        let mut writer = Writer { out, interfaces: Vec::new(), described: 0, block: Vec::with_capacity(2048) };
        writer.begin(block::SECTION_HEADER);
        writer.put(&0x1A2B_3C4D_u32.to_le_bytes());
        writer.put(&1_u16.to_le_bytes());
        writer.put(&0_u16.to_le_bytes());
        writer.put(&u64::MAX.to_le_bytes()); // the section's length is not known
        writer.option(option::USER_APPLICATION, concat!("wsflow ", env!("CARGO_PKG_VERSION")).as_bytes());
        writer.end_options();
        writer.end()?;
        Ok(writer)
    }

    /// Writes a packet. `interface` is what is known of where it was captured.
    pub fn packet(
        &mut self,
        packet: &Packet<'_>,
        interface: Option<&Interface>,
        comment: Option<&str>,
    ) -> io::Result<()> {
        let interface = self.interface(packet.interface, packet.link, interface)?;
        let nanos = packet.at.as_nanos();
        self.begin(block::ENHANCED_PACKET);
        self.put(&interface.to_le_bytes());
        self.put(&((nanos >> 32) as u32).to_le_bytes());
        self.put(&(nanos as u32).to_le_bytes());
        self.put(&(packet.data.len() as u32).to_le_bytes());
        self.put(&packet.length.max(packet.data.len() as u32).to_le_bytes());
        self.put_padded(packet.data);
        if let Some(comment) = comment {
            self.option(option::COMMENT, comment.as_bytes());
            self.end_options();
        }
        self.end()
    }

    /// Writes a block of secrets. They come in front of the packets that they open.
    pub fn secrets(&mut self, format: SecretsFormat, data: &[u8]) -> io::Result<()> {
        self.begin(block::DECRYPTION_SECRETS);
        // At once, so that no copy is left behind by growing.
        self.block.reserve(data.len() + 64);
        self.put(&format.0.to_le_bytes());
        self.put(&(data.len() as u32).to_le_bytes());
        self.put_padded(data);
        let written = self.end();
        self.block.zeroize();
        written
    }

    /// Writes what was dropped on the interfaces that packets came from.
    pub fn statistics(&mut self, interfaces: &[Interface], at: Timestamp) -> io::Result<()> {
        let nanos = at.as_nanos();
        for index in 0..self.interfaces.len() {
            let (Some(number), Some(interface)) = (self.interfaces[index], interfaces.get(index)) else { continue };
            self.begin(block::INTERFACE_STATISTICS);
            self.put(&number.to_le_bytes());
            self.put(&((nanos >> 32) as u32).to_le_bytes());
            self.put(&(nanos as u32).to_le_bytes());
            self.option(option::DROPPED_BY_INTERFACE, &interface.drops.interface.to_le_bytes());
            self.option(option::DROPPED_BY_KERNEL, &interface.drops.kernel.to_le_bytes());
            self.end_options();
            self.end()?;
        }
        Ok(())
    }

    /// Where it is written to.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// Hands on what is buffered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The number of an interface in this section. It is described when it is met for the first time.
    fn interface(&mut self, id: InterfaceId, link: LinkType, known: Option<&Interface>) -> io::Result<u32> {
        let index = id.0 as usize;
        if let Some(Some(number)) = self.interfaces.get(index) {
            return Ok(*number);
        }
        self.begin(block::INTERFACE_DESCRIPTION);
        self.put(&link.0.to_le_bytes());
        self.put(&0_u16.to_le_bytes());
        self.put(&known.map_or(0, |interface| interface.snap_length).to_le_bytes());
        if let Some(name) = known.and_then(|interface| interface.name.as_deref()) {
            self.option(option::INTERFACE_NAME, name.as_bytes());
        }
        self.option(option::TIMESTAMP_RESOLUTION, &[9]);
        self.end_options();
        self.end()?;
        if self.interfaces.len() <= index {
            self.interfaces.resize(index + 1, None);
        }
        let number = self.described;
        self.described += 1;
        self.interfaces[index] = Some(number);
        Ok(number)
    }

    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.put(&kind.to_le_bytes());
        self.put(&[0; 4]); // the length, known at the end
    }

    fn end(&mut self) -> io::Result<()> {
        let length = (self.block.len() as u32 + 4).to_le_bytes();
        self.block[4..8].copy_from_slice(&length);
        self.put(&length);
        self.out.write_all(&self.block)
    }

    fn put(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
    }

    /// Bytes with zeros up to a multiple of four.
    fn put_padded(&mut self, bytes: &[u8]) {
        self.put(bytes);
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        self.put(&code.to_le_bytes());
        self.put(&(value.len() as u16).to_le_bytes());
        self.put_padded(value);
    }

    fn end_options(&mut self) {
        self.put(&[0; 4]);
    }
}

/// Block types.
mod block {
    pub(super) const SECTION_HEADER: u32 = 0x0A0D_0D0A;
    pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
    pub(super) const INTERFACE_STATISTICS: u32 = 5;
    pub(super) const ENHANCED_PACKET: u32 = 6;
    pub(super) const DECRYPTION_SECRETS: u32 = 10;
}

/// Option codes; what they mean depends on the block.
mod option {
    pub(super) const COMMENT: u16 = 1;
    pub(super) const INTERFACE_NAME: u16 = 2;
    pub(super) const USER_APPLICATION: u16 = 4;
    pub(super) const DROPPED_BY_INTERFACE: u16 = 5;
    pub(super) const DROPPED_BY_KERNEL: u16 = 7;
    pub(super) const TIMESTAMP_RESOLUTION: u16 = 9;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PacketNumber;
    use crate::source::{Drops, Input, Savefiles, Source};

    #[test]
    fn what_is_written_is_read_again() {
        let interface = |name: &str, link| Interface {
            name: Some(name.to_owned()),
            link,
            snap_length: 262_144,
            drops: Drops::default(),
        };
        let interfaces = [interface("lo", LinkType::ETHERNET), interface("any", LinkType::LINUX_SLL2)];
        let packet = |number, interface: usize, data: &'static [u8]| Packet {
            number: PacketNumber(number),
            at: Timestamp::from_parts(1_795_219_089, number as u32 + 27_123_456),
            interface: InterfaceId(interface as u32),
            link: interfaces[interface].link,
            length: 1500,
            data,
        };
        // The second interface is met first; odd lengths are padded.
        let packets = [packet(1, 1, b"12345"), packet(2, 0, b"abcd"), packet(3, 1, b"")];
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let mut writer = Writer::new(&mut file).expect("a file takes everything");
        writer.secrets(SecretsFormat::TLS_KEY_LOG, b"CLIENT_RANDOM 00 11\n").expect("a file takes everything");
        for packet in &packets {
            let interface = &interfaces[packet.interface.0 as usize];
            writer.packet(packet, Some(interface), Some("the request")).expect("a file takes everything");
        }
        let dropped =
            interfaces.clone().map(|interface| Interface { drops: Drops { kernel: 7, interface: 2 }, ..interface });
        writer.statistics(&dropped, packets[2].at).expect("a file takes everything");
        writer.flush().expect("a file takes everything");

        let mut source = Savefiles::open(&[file.path().to_owned()], None).expect("a capture file");
        let Ok(Some(Input::Secrets { format, data })) = source.next(1) else { panic!("secrets come first") };
        assert_eq!((format, data), (SecretsFormat::TLS_KEY_LOG, &b"CLIENT_RANDOM 00 11\n"[..]));
        for expected in packets {
            let Ok(Some(Input::Packets(mut one))) = source.next(1) else { panic!("then packets") };
            let (packet, _) = one.next().expect("one packet");
            assert_eq!((packet.at, packet.link, packet.length), (expected.at, expected.link, expected.length));
            assert_eq!(packet.data, expected.data);
        }
        assert!(matches!(source.next(1), Ok(None)));
        let names: Vec<_> = source.interfaces().iter().map(|interface| interface.name.as_deref()).collect();
        assert_eq!(names, [Some("any"), Some("lo")]);
        assert_eq!(source.counts().drops, Drops { kernel: 14, interface: 4 });
    }
}
