//! Savefiles for the tests of this folder, made byte by byte.

use std::io::{self, Read};

use super::Savefiles;
use super::buffer::ByteOrder;
use super::file::File;
use crate::source::{Input, Source, SourceError};

/// Writes numbers in the byte order of a file.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    order: ByteOrder,
}

impl Writer {
    pub(super) fn u16(&mut self, number: u16) -> &mut Writer {
        let bytes = if self.order == ByteOrder::Little { number.to_le_bytes() } else { number.to_be_bytes() };
        self.bytes.extend_from_slice(&bytes);
        self
    }

    pub(super) fn u32(&mut self, number: u32) -> &mut Writer {
        let bytes = if self.order == ByteOrder::Little { number.to_le_bytes() } else { number.to_be_bytes() };
        self.bytes.extend_from_slice(&bytes);
        self
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Writer {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The header of a pcap file of Ethernet packets.
    pub(super) fn pcap(order: ByteOrder, magic: u32) -> Writer {
        let mut file = Writer { bytes: Vec::new(), order };
        file.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(262_144).u32(1);
        file
    }

    /// A pcap record; the fraction is in units of the file.
    pub(super) fn record(&mut self, seconds: u32, fraction: u32, data: &[u8]) -> &mut Writer {
        self.u32(seconds).u32(fraction).u32(data.len() as u32).u32(data.len() as u32).raw(data)
    }

    /// A pcapng section with no interface yet.
    pub(super) fn pcapng(order: ByteOrder) -> Writer {
        let mut file = Writer { bytes: Vec::new(), order };
        file.section();
        file
    }

    /// Another section.
    pub(super) fn section(&mut self) -> &mut Writer {
        let mut body = self.part();
        body.u32(0x1A2B_3C4D).u16(1).u16(0).raw(&[0xFF; 8]);
        body.option(4, b"a test").option(0, b"");
        self.block(0x0A0D_0D0A, &body.bytes)
    }

    /// Another section in the other byte order.
    pub(super) fn turned_section(&mut self) -> &mut Writer {
        self.order = if self.order == ByteOrder::Little { ByteOrder::Big } else { ByteOrder::Little };
        self.section()
    }

    /// A block with its two length fields; the body is padded.
    pub(super) fn block(&mut self, kind: u32, body: &[u8]) -> &mut Writer {
        let length = body.len().next_multiple_of(4);
        self.u32(kind).u32(length as u32 + 12).raw(body).raw(&vec![0; length - body.len()]).u32(length as u32 + 12)
    }

    pub(super) fn option(&mut self, code: u16, value: &[u8]) -> &mut Writer {
        let padding = value.len().next_multiple_of(4) - value.len();
        self.u16(code).u16(value.len() as u16).raw(value).raw(&vec![0xEE; padding])
    }

    /// An interface with these options.
    pub(super) fn interface(&mut self, link: u16, options: &[(u16, &[u8])]) -> &mut Writer {
        let mut body = self.part();
        body.u16(link).u16(0).u32(262_144);
        for (code, value) in options {
            body.option(*code, value);
        }
        self.block(1, &body.bytes)
    }

    /// An enhanced packet with a comment.
    pub(super) fn packet(&mut self, interface: u32, ticks: u64, data: &[u8]) -> &mut Writer {
        let mut body = self.part();
        body.u32(interface).u32((ticks >> 32) as u32).u32(ticks as u32).u32(data.len() as u32).u32(data.len() as u32);
        body.raw(data).raw(&vec![0; data.len().next_multiple_of(4) - data.len()]);
        body.option(1, b"a comment").option(0, b"");
        self.block(6, &body.bytes)
    }

    /// Bytes in the same order, for the body of a block.
    pub(super) fn part(&self) -> Writer {
        Writer { bytes: Vec::new(), order: self.order }
    }

    /// A number of 8 bytes.
    pub(super) fn eight(&self, number: u64) -> [u8; 8] {
        if self.order == ByteOrder::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }
}

/// A stream that gives at most `piece` bytes at a time.
pub(super) struct Pieces {
    pub(super) bytes: io::Cursor<Vec<u8>>,
    pub(super) piece: usize,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = out.len().min(self.piece);
        self.bytes.read(&mut out[..length])
    }
}

/// A stream that has nothing every other time it is asked.
pub(super) struct Pauses {
    pub(super) pieces: Pieces,
    pub(super) comes: bool,
}

impl Read for Pauses {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.comes = !self.comes;
        if self.comes { Err(io::ErrorKind::WouldBlock.into()) } else { self.pieces.read(out) }
    }
}

/// Savefiles with these contents, named `0`, `1`, ...
pub(super) fn savefiles(contents: &[&[u8]]) -> Savefiles {
    let file =
        |(index, bytes): (usize, &&[u8])| File::new(index.to_string(), Box::new(io::Cursor::new(bytes.to_vec())));
    Savefiles::new(contents.iter().enumerate().map(file).collect(), None)
}

/// What a source yields, in words: `#1 12.000000034 @0 link 1: 616263`, and how it ends if not well.
pub(super) fn yields(source: &mut Savefiles) -> (Vec<String>, Vec<SourceError>) {
    let (mut lines, mut errors) = (Vec::new(), Vec::new());
    loop {
        match source.next(usize::MAX) {
            Ok(Some(Input::Packets(packets))) => lines.extend(packets.map(|(packet, _)| {
                format!(
                    "{} {:?} @{} link {} {}: {}",
                    packet.number,
                    packet.at,
                    packet.interface.0,
                    packet.link.0,
                    packet.length,
                    String::from_utf8_lossy(packet.data)
                )
            })),
            Ok(Some(Input::Secrets { format, data })) => {
                lines.push(format!("secrets {:08x}: {}", format.0, String::from_utf8_lossy(data)));
            }
            Ok(Some(Input::Idle(_) | Input::Interface { .. } | Input::Dropped { .. })) => lines.push("idle".to_owned()),
            Ok(None) => return (lines, errors),
            Err(error) => errors.push(error),
        }
    }
}

/// What one file yields, when it is sound.
pub(super) fn lines_of(bytes: &[u8]) -> Vec<String> {
    let (lines, errors) = yields(&mut savefiles(&[bytes]));
    assert!(errors.is_empty(), "{errors:?}");
    lines
}
