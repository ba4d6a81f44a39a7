//! Frames: nine bytes of header, then the payload (RFC 9113 §4.1, §6).

use std::fmt;

/// What a client says first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest payload of a frame until a peer allows more (RFC 9113 §6.5.2, MAX_FRAME_SIZE).
pub const USUAL_PAYLOAD: u32 = 16_384;

/// A stream of a connection. Odd ones are opened by the client; 0 is the connection itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct StreamId(pub u32);

/// What a frame is for. Unknown ones keep their value, and are skipped (RFC 9113 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FrameType(pub u8);

impl FrameType {
    /// Bytes of a body, or of a tunnel.
    pub const DATA: FrameType = FrameType(0x00);
    /// A block of fields begins.
    pub const HEADERS: FrameType = FrameType(0x01);
    /// A stream is more urgent than another. Nobody minds it any more.
    pub const PRIORITY: FrameType = FrameType(0x02);
    /// A stream ends at once.
    pub const RST_STREAM: FrameType = FrameType(0x03);
    /// What the sender keeps to, and wants the peer to keep to.
    pub const SETTINGS: FrameType = FrameType(0x04);
    /// The server will answer a request that was not made.
    pub const PUSH_PROMISE: FrameType = FrameType(0x05);
    /// Is anybody there?
    pub const PING: FrameType = FrameType(0x06);
    /// No new streams, please.
    pub const GOAWAY: FrameType = FrameType(0x07);
    /// The peer may send so many bytes more.
    pub const WINDOW_UPDATE: FrameType = FrameType(0x08);
    /// The block of fields goes on.
    pub const CONTINUATION: FrameType = FrameType(0x09);
    const ALTSVC: FrameType = FrameType(0x0a);
    const ORIGIN: FrameType = FrameType(0x0c);
    const PRIORITY_UPDATE: FrameType = FrameType(0x10);
}

/// Flags of a frame (RFC 9113 §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// Of DATA and HEADERS: the sender has said everything on this stream.
    pub const END_STREAM: Flags = Flags(0x01);
    /// Of SETTINGS and PING: an answer.
    pub const ACK: Flags = Flags(0x01);
    /// Of HEADERS, PUSH_PROMISE and CONTINUATION: the block of fields is complete.
    pub const END_HEADERS: Flags = Flags(0x04);
    /// The payload begins with the length of the padding at its end.
    pub const PADDED: Flags = Flags(0x08);
    /// Of HEADERS: five bytes of priority come before the block.
    pub const PRIORITY: Flags = Flags(0x20);

    /// Whether these are among them.
    pub const fn has(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }
}

/// The header of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// The length of the payload.
    pub length: u32,
    /// What it is.
    pub kind: FrameType,
    /// Its flags.
    pub flags: Flags,
    /// Its stream.
    pub stream: StreamId,
}

impl FrameHeader {
    /// Bytes of a header.
    pub const LENGTH: usize = 9;

    /// Reads a header. The reserved bit before the stream is ignored (RFC 9113 §4.1).
    pub fn read(bytes: &[u8; Self::LENGTH]) -> FrameHeader {
        let [l1, l2, l3, kind, flags, s1, s2, s3, s4] = *bytes;
        FrameHeader {
            length: u32::from_be_bytes([0, l1, l2, l3]),
            kind: FrameType(kind),
            flags: Flags(flags),
            stream: StreamId(u32::from_be_bytes([s1, s2, s3, s4]) & 0x7fff_ffff),
        }
    }

    /// Whether bytes that may stand anywhere look like a header: a known type with the length, the flags and the kind of
    /// stream that it must have.
    pub(super) fn is_credible(bytes: &[u8; Self::LENGTH], largest: u32) -> bool {
        let header = FrameHeader::read(bytes);
        let (length, stream) = (header.length, header.stream.0);
        let only = |flags: u8| header.flags.0 & !flags == 0;
        let of_kind = match header.kind {
            FrameType::DATA => stream != 0 && only(0x09),
            FrameType::HEADERS => stream != 0 && only(0x2d),
            FrameType::PRIORITY => stream != 0 && only(0) && length == 5,
            FrameType::RST_STREAM => stream != 0 && only(0) && length == 4,
            FrameType::SETTINGS => stream == 0 && only(0x01) && length % 6 == 0 && length <= 600,
            FrameType::PUSH_PROMISE => stream != 0 && only(0x0c) && length >= 4,
            FrameType::PING => stream == 0 && only(0x01) && length == 8,
            FrameType::GOAWAY => stream == 0 && only(0) && length >= 8,
            FrameType::WINDOW_UPDATE => only(0) && length == 4,
            FrameType::CONTINUATION => stream != 0 && only(0x04),
            FrameType::ALTSVC | FrameType::ORIGIN | FrameType::PRIORITY_UPDATE => only(0),
            _ => false,
        };
        // Nobody opens millions of streams on one connection.
        of_kind && length <= largest && stream < 1 << 24 && bytes[5] & 0x80 == 0
    }
}

/// Why a stream or a connection was ended (RFC 9113 §7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// Nothing is wrong.
    pub const NO_ERROR: ErrorCode = ErrorCode(0x00);
    /// The stream is not wanted any more: for a WebSocket, what an RST is over TCP (RFC 8441 §5).
    pub const CANCEL: ErrorCode = ErrorCode(0x08);

    /// Its name in the registry; `None` when it has none.
    pub fn name(self) -> Option<&'static str> {
        const NAMES: [&str; 14] = [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ];
        NAMES.get(self.0 as usize).copied()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error {}", self.0),
        }
    }
}

/// A setting (RFC 9113 §6.5.2). Unknown ones keep their value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting(pub u16);

impl Setting {
    /// How many bytes the peer may send on a new stream.
    pub const INITIAL_WINDOW_SIZE: Setting = Setting(0x04);
    /// The largest payload of a frame that the peer may send.
    pub const MAX_FRAME_SIZE: Setting = Setting(0x05);
    /// Extended CONNECT is understood (RFC 8441 §3).
    pub const ENABLE_CONNECT_PROTOCOL: Setting = Setting(0x08);

    /// The settings of a payload, in order. A rest that is none is left out.
    pub(super) fn all(payload: &[u8]) -> impl Iterator<Item = (Setting, u32)> + '_ {
        payload.as_chunks::<6>().0.iter().map(|&[i1, i2, v1, v2, v3, v4]| {
            (Setting(u16::from_be_bytes([i1, i2])), u32::from_be_bytes([v1, v2, v3, v4]))
        })
    }
}

/// The block of fields in the payload of a HEADERS or PUSH_PROMISE frame, without padding, priority and promised stream;
/// `None` when the payload is too short for what its flags say.
pub(super) fn field_block(header: FrameHeader, payload: &[u8]) -> Option<&[u8]> {
    let (padding, rest) = match header.flags.has(Flags::PADDED) {
        true => payload.split_first().map(|(&padding, rest)| (usize::from(padding), rest))?,
        false => (0, payload),
    };
    let before = match header.kind {
        FrameType::HEADERS if header.flags.has(Flags::PRIORITY) => 5,
        FrameType::PUSH_PROMISE => 4,
        _ => 0,
    };
    rest.get(before..rest.len().checked_sub(padding)?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A frame as its sender writes it.
    pub(in crate::h2) fn frame(kind: FrameType, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind.0, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    fn header(bytes: &[u8]) -> [u8; 9] {
        bytes[..9].try_into().unwrap()
    }

    #[test]
    fn rfc9113_4_1_header() {
        let bytes = [0x01, 0x02, 0x03, 0x01, 0x25, 0x80, 0, 0, 7];
        let expected =
            FrameHeader { length: 0x10203, kind: FrameType::HEADERS, flags: Flags(0x25), stream: StreamId(7) };
        assert_eq!(FrameHeader::read(&bytes), expected);
        assert!(expected.flags.has(Flags::END_HEADERS) && !expected.flags.has(Flags::PADDED));
    }

    #[test]
    fn what_looks_like_a_header() {
        let credible = |bytes: Vec<u8>| FrameHeader::is_credible(&header(&bytes), USUAL_PAYLOAD);
        assert!(credible(frame(FrameType::DATA, 1, 3, b"x")));
        assert!(credible(frame(FrameType::PING, 1, 0, &[0; 8])));
        assert!(!credible(frame(FrameType::PING, 1, 0, &[0; 7])));
        assert!(!credible(frame(FrameType::DATA, 0, 0, b"x")));
        assert!(!credible(frame(FrameType::DATA, 0x40, 1, b"x")));
        assert!(!credible(b"\x81\x85\x01\x02\x03\x04hello".to_vec()));
        assert!(!credible(b"GET / HTTP/1.1".to_vec()));
    }

    #[test]
    fn padding_and_priority_are_left_out() {
        let block = |flags, payload: &[u8]| {
            let length = payload.len() as u32;
            let header = FrameHeader { length, kind: FrameType::HEADERS, flags: Flags(flags), stream: StreamId(1) };
            field_block(header, payload).map(<[u8]>::to_vec)
        };
        assert_eq!(block(0, b"abc"), Some(b"abc".to_vec()));
        assert_eq!(block(0x28, b"\x02PRIOabc\0\0"), Some(b"bc".to_vec()));
        assert_eq!(block(0x08, b"\x03ab"), None);
        assert_eq!(block(0x08, b""), None);
        assert_eq!(block(0x20, b"PRI"), None);
    }

    #[test]
    fn codes_have_names() {
        assert_eq!(ErrorCode(7).to_string(), "REFUSED_STREAM");
        assert_eq!(ErrorCode(99).to_string(), "error 99");
    }
}
