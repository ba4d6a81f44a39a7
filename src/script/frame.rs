//! What is said in a script: WebSocket frames, right ones and wrong ones (RFC 6455 §5.2).

use flate2::{Compress, Compression, FlushCompress};

use crate::stream::Role;
use crate::ws::facts::Opcode;

/// The key that frames are masked with unless they say otherwise: that of RFC 6455 §5.7.
const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Something that an end of a connection says.
pub trait Spoken {
    /// Its bytes when this end says it.
    fn bytes(&self, by: Role) -> Vec<u8>;
}

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The first byte: FIN, three reserved bits, opcode.
    first: u8,
    payload: Vec<u8>,
    mask: Mask,
    length: Length,
    /// The payload length that the header says, if it is not that of the payload.
    announced: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mask {
    ByRole,
    None,
    Key([u8; 4]),
}

/// How the length is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Length {
    Shortest,
    In16Bits,
    In64Bits,
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;

/// A frame with any opcode.
pub fn frame(opcode: Opcode, payload: impl AsRef<[u8]>) -> Frame {
    Frame {
        first: FIN | opcode.0 & 0xf,
        payload: payload.as_ref().to_vec(),
        mask: Mask::ByRole,
        length: Length::Shortest,
        announced: None,
    }
}

/// A text message.
pub fn text(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::TEXT, payload)
}

/// A binary message.
pub fn binary(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::BINARY, payload)
}

/// The last fragment of a message.
pub fn continuation(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::CONTINUATION, payload)
}

/// A Ping.
pub fn ping(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::PING, payload)
}

/// A Pong.
pub fn pong(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::PONG, payload)
}

/// A Close with a code.
pub fn close(code: u16) -> Frame {
    close_with(code, "")
}

/// A Close with a code and a reason.
pub fn close_with(code: u16, reason: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
}

/// A Close without a code.
pub fn empty_close() -> Frame {
    frame(Opcode::CLOSE, "")
}

impl Frame {
    /// Without a mask, whoever sends it.
    #[must_use]
    pub fn unmasked(mut self) -> Frame {
        self.mask = Mask::None;
        self
    }

    /// Masked, whoever sends it.
    #[must_use]
    pub fn masked(self) -> Frame {
        self.masked_with(MASKING_KEY)
    }

    /// Masked with this key, whoever sends it.
    #[must_use]
    pub fn masked_with(mut self, key: [u8; 4]) -> Frame {
        self.mask = Mask::Key(key);
        self
    }

    /// Without FIN: fragments follow.
    #[must_use]
    pub fn not_final(mut self) -> Frame {
        self.first &= !FIN;
        self
    }

    /// With these of the three reserved bits: 4 is RSV1.
    #[must_use]
    pub fn reserved(mut self, bits: u8) -> Frame {
        self.first |= (bits & 7) << 4;
        self
    }

    /// With its length in 16 bits (`false`) or 64 bits (`true`), however short it is.
    #[must_use]
    pub fn long_length(mut self, in_64_bits: bool) -> Frame {
        self.length = if in_64_bits { Length::In64Bits } else { Length::In16Bits };
        self
    }

    /// With a header that announces another length than that of the payload.
    #[must_use]
    pub fn announcing(mut self, length: u64) -> Frame {
        self.announced = Some(length);
        self
    }

    /// Compressed by permessage-deflate, without context takeover (RFC 7692 §7.2.1).
    #[must_use]
    pub fn compressed(self) -> Frame {
        self.compressed_by(&mut Compressor::default())
    }

    /// Compressed by permessage-deflate, with what was compressed before as context.
    #[must_use]
    pub fn compressed_by(mut self, compressor: &mut Compressor) -> Frame {
        self.payload = compressor.compress(&self.payload);
        self.first |= RSV1;
        self
    }

    /// As a fragmented message: cut at these offsets (RFC 6455 §5.4).
    #[must_use]
    pub fn fragmented_at(self, offsets: &[usize]) -> Vec<Frame> {
        let mut bounds: Vec<usize> = offsets.iter().map(|&offset| offset.min(self.payload.len())).collect();
        bounds.insert(0, 0);
        bounds.push(self.payload.len());
        bounds.sort_unstable();
        let last = bounds.len() - 2;
        let fragment = |(index, bound): (usize, &[usize])| {
            let mut part = self.clone();
            part.payload = self.payload[bound[0]..bound[1]].to_vec();
            if index > 0 {
                part.first &= FIN; // a continuation, and the reserved bits are the first fragment's alone
            }
            if index < last { part.not_final() } else { part }
        };
        bounds.windows(2).enumerate().map(fragment).collect()
    }
}

impl Spoken for Frame {
    fn bytes(&self, by: Role) -> Vec<u8> {
        let key = match self.mask {
            Mask::ByRole => (by == Role::Client).then_some(MASKING_KEY),
            Mask::None => None,
            Mask::Key(key) => Some(key),
        };
        let mask_bit = if key.is_some() { 0x80 } else { 0 };
        let length = self.announced.unwrap_or(self.payload.len() as u64);
        let mut bytes = vec![self.first];
        match (self.length, length) {
            (Length::Shortest, 0..=125) => bytes.push(mask_bit | length as u8),
            (Length::Shortest | Length::In16Bits, 0..=0xffff) => {
                bytes.push(mask_bit | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask_bit | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend(key.iter().flatten());
        let masks = key.unwrap_or_default().into_iter().cycle();
        bytes.extend(self.payload.iter().zip(masks).map(|(byte, mask)| byte ^ mask));
        bytes
    }
}

impl Spoken for Vec<Frame> {
    fn bytes(&self, by: Role) -> Vec<u8> {
        self.iter().flat_map(|frame| frame.bytes(by)).collect()
    }
}

impl<const N: usize> Spoken for [Frame; N] {
    fn bytes(&self, by: Role) -> Vec<u8> {
        self.iter().flat_map(|frame| frame.bytes(by)).collect()
    }
}

impl Spoken for Vec<u8> {
    fn bytes(&self, _: Role) -> Vec<u8> {
        self.clone()
    }
}

impl Spoken for &[u8] {
    fn bytes(&self, _: Role) -> Vec<u8> {
        self.to_vec()
    }
}

impl<const N: usize> Spoken for &[u8; N] {
    fn bytes(&self, _: Role) -> Vec<u8> {
        self.to_vec()
    }
}

impl Spoken for &str {
    fn bytes(&self, _: Role) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

/// The compressing end of permessage-deflate: remembers what it compressed.
#[derive(Debug)]
pub struct Compressor(Compress);

impl Default for Compressor {
    fn default() -> Self {
        Compressor(Compress::new(Compression::default(), false))
    }
}

impl Compressor {
    /// Compresses a message, and takes off the four bytes that every message would end with (RFC 7692 §7.2.1).
    pub fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        let mut compressed = Vec::with_capacity(message.len() + 64);
        let before = self.0.total_in();
        loop {
            let taken = usize::try_from(self.0.total_in() - before).unwrap_or(message.len());
            let written = self.0.compress_vec(&message[taken..], &mut compressed, FlushCompress::Sync);
            // Room left behind means that everything came out.
            if written.is_err() || compressed.len() < compressed.capacity() {
                break;
            }
            compressed.reserve(message.len() + 64);
        }
        if compressed.ends_with(&[0, 0, 0xff, 0xff]) {
            compressed.truncate(compressed.len() - 4);
        }
        compressed
    }
}
