//! Frame headers (RFC 6455 §5.2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
//! |I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
//! |N|V|V|V|       |S|             |   (if payload len==126/127)   |
//! | |1|2|3|       |K|             |                               |
//! +-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
//! |     Extended payload length continued, if payload len == 127  |
//! + - - - - - - - - - - - - - - - +-------------------------------+
//! |                               |Masking-key, if MASK set to 1  |
//! +-------------------------------+-------------------------------+
//! ```

use crate::stream::Role;
use crate::ws::facts::Opcode;
use crate::ws::mask::MaskingKey;

/// The longest header: two bytes, a 64-bit length, a masking key.
pub const MAX_HEADER: usize = 14;

/// The longest payload of a control frame (RFC 6455 §5.5).
pub const MAX_CONTROL: usize = 125;

/// The RSV1 bit among the three reserved ones, as [`FrameHeader::reserved`] gives them (RFC 7692 §6).
pub const RSV1: u8 = 0b100;

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// FIN, the reserved bits and the opcode: the first byte.
    first: u8,
    /// The MASK bit and the short length: the second byte.
    second: u8,
    /// The masking key; zero in a frame without one.
    pub key: MaskingKey,
    /// The payload length.
    pub length: u64,
}

impl FrameHeader {
    /// Reads the header that `bytes` begin with; `None` when they end inside it.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<FrameHeader> {
        let &[first, second, ..] = bytes else { return None };
        let rest = &bytes[2..];
        let (length, rest) = match second & 0x7F {
            126 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk::<8>()?;
                (u64::from_be_bytes(*length), rest)
            }
            short => (u64::from(short), rest),
        };
        let key = if second & 0x80 != 0 { MaskingKey(*rest.first_chunk::<4>()?) } else { MaskingKey::NONE };
        Some(FrameHeader { first, second, key, length })
    }

    /// Its own length, in bytes.
    #[inline]
    pub const fn size(&self) -> usize {
        let length = match self.second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.is_masked() { 4 } else { 0 }
    }

    /// The opcode.
    #[inline]
    pub const fn opcode(&self) -> Opcode {
        Opcode(self.first & 0x0F)
    }

    /// Whether the frame ends its message.
    #[inline]
    pub const fn is_final(&self) -> bool {
        self.first & 0x80 != 0
    }

    /// RSV1, RSV2 and RSV3, as three bits.
    #[inline]
    pub const fn reserved(&self) -> u8 {
        self.first >> 4 & 0b111
    }

    /// The MASK bit.
    #[inline]
    pub const fn is_masked(&self) -> bool {
        self.second & 0x80 != 0
    }

    /// Whether the length is in its shortest form and has at most 63 bits.
    #[inline]
    pub const fn is_minimal(&self) -> bool {
        match self.second & 0x7F {
            126 => self.length > 125,
            127 => self.length > 0xFFFF && self.length >> 63 == 0,
            _ => true,
        }
    }

    /// Whether it is that of a whole message of its own, text or binary, as `sender` may send it without any extension.
    #[inline]
    pub const fn is_plain_message(&self, sender: Role) -> bool {
        const FINAL: u8 = 0x80;
        const TEXT: u8 = FINAL | Opcode::TEXT.0;
        const BINARY: u8 = FINAL | Opcode::BINARY.0;
        matches!(self.first, TEXT | BINARY) && self.is_masked() == matches!(sender, Role::Client) && self.is_minimal()
    }

    /// Whether `sender` may send a frame with this header, reserved bits and the order of fragments aside.
    #[inline]
    pub const fn is_proper(&self, sender: Role) -> bool {
        let opcode = self.opcode();
        let control = opcode.is_control();
        opcode.is_known()
            && self.is_masked() == matches!(sender, Role::Client)
            && self.is_minimal()
            && (!control || (self.is_final() && self.length <= MAX_CONTROL as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_form() {
        let short = FrameHeader::read(&[0x81, 0x85, 1, 2, 3, 4]).unwrap();
        assert_eq!((short.length, short.size(), short.key), (5, 6, MaskingKey([1, 2, 3, 4])));
        let medium = FrameHeader::read(&[0x82, 126, 1, 0]).unwrap();
        assert_eq!((medium.length, medium.size(), medium.is_minimal()), (256, 4, true));
        let long = FrameHeader::read(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]).unwrap();
        assert_eq!((long.length, long.size(), long.is_minimal()), (65536, 10, true));
    }

    #[test]
    fn a_header_is_read_once_it_is_complete() {
        let header = [0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 9, 8, 7, 6];
        for cut in 0..header.len() {
            assert_eq!(FrameHeader::read(&header[..cut]), None);
        }
        assert_eq!(FrameHeader::read(&header).unwrap().size(), MAX_HEADER);
    }

    #[test]
    fn longer_forms_than_needed_are_seen() {
        assert!(!FrameHeader::read(&[0x82, 126, 0, 125]).unwrap().is_minimal());
        assert!(!FrameHeader::read(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]).unwrap().is_minimal());
        assert!(!FrameHeader::read(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]).unwrap().is_minimal());
    }
}
