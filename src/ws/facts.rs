//! What is known of the frames that one side sent.

use std::time::Duration;

use crate::packet::Moment;
use crate::ws::masks::Masks;

/// An opcode (RFC 6455 §5.2). Unknown ones keep their value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Opcode(pub u8);

impl Opcode {
    /// Goes on with a fragmented message.
    pub const CONTINUATION: Opcode = Opcode(0x0);
    /// A text message, or its first fragment.
    pub const TEXT: Opcode = Opcode(0x1);
    /// A binary message, or its first fragment.
    pub const BINARY: Opcode = Opcode(0x2);
    /// Close.
    pub const CLOSE: Opcode = Opcode(0x8);
    /// Ping.
    pub const PING: Opcode = Opcode(0x9);
    /// Pong.
    pub const PONG: Opcode = Opcode(0xA);

    /// Whether it is a control opcode: the highest of its four bits is set.
    #[inline]
    pub const fn is_control(self) -> bool {
        self.0 & 0x8 != 0
    }

    /// Whether RFC 6455 defines it.
    #[inline]
    pub const fn is_known(self) -> bool {
        matches!(self.0, 0x0..=0x2 | 0x8..=0xA)
    }
}

/// How many frames of each opcode, those included of which the capture lacks a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameCounts {
    /// Opcode 1.
    pub text: u64,
    /// Opcode 2.
    pub binary: u64,
    /// Opcode 0.
    pub continuation: u64,
    /// Opcode 9.
    pub ping: u32,
    /// Opcode 10.
    pub pong: u32,
    /// Opcode 8.
    pub close: u32,
    /// Opcodes that nothing defines.
    pub other: u32,
}

impl FrameCounts {
    /// Takes one frame back.
    pub fn uncount(&mut self, opcode: Opcode) {
        match opcode {
            Opcode::TEXT => self.text = self.text.saturating_sub(1),
            Opcode::BINARY => self.binary = self.binary.saturating_sub(1),
            Opcode::CONTINUATION => self.continuation = self.continuation.saturating_sub(1),
            Opcode::PING => self.ping = self.ping.saturating_sub(1),
            Opcode::PONG => self.pong = self.pong.saturating_sub(1),
            Opcode::CLOSE => self.close = self.close.saturating_sub(1),
            _ => self.other = self.other.saturating_sub(1),
        }
    }

    /// All frames.
    pub fn total(&self) -> u64 {
        self.text
            + self.binary
            + self.continuation
            + u64::from(self.ping)
            + u64::from(self.pong)
            + u64::from(self.close)
            + u64::from(self.other)
    }
}

/// How many whole messages, and their application bytes after inflation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MessageCounts {
    /// Text messages.
    pub text: u64,
    /// Binary messages.
    pub binary: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A Close frame (RFC 6455 §5.5.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Close {
    /// The status code; `None` when the payload is empty.
    pub code: Option<u16>,
    /// The reason, escaped where it is not UTF-8. Hostile text.
    pub reason: Box<str>,
    /// When, and in which packet.
    pub moment: Moment,
}

/// What a sender did that RFC 6455 or RFC 7692 forbids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ViolationKind {
    /// A client's frame without a mask (RFC 6455 §5.1).
    Unmasked,
    /// A server's frame with a mask (RFC 6455 §5.1).
    Masked,
    /// Reserved bits that no agreed extension gives a meaning; the three bits (RFC 6455 §5.2).
    ReservedBits(u8),
    /// An opcode that nothing defines (RFC 6455 §5.2).
    ReservedOpcode(u8),
    /// A length that is not in its shortest form, or above 63 bits (RFC 6455 §5.2).
    Length,
    /// A continuation frame with nothing to go on with (RFC 6455 §5.4).
    ContinuationWithoutStart,
    /// A new data frame inside a fragmented message (RFC 6455 §5.4).
    DataInsideMessage,
    /// A fragmented control frame (RFC 6455 §5.5).
    FragmentedControl,
    /// A control frame with more than 125 bytes; how many (RFC 6455 §5.5).
    ControlTooLong(u64),
    /// A text message that is not UTF-8 (RFC 6455 §8.1).
    Utf8,
    /// The reason of a Close frame that is not UTF-8 (RFC 6455 §5.5.1).
    ReasonUtf8,
    /// A Close frame with a payload of one byte (RFC 6455 §5.5.1).
    CloseLength,
    /// A close code that must not be on the wire (RFC 6455 §7.4).
    CloseCode(u16),
    /// A compressed message that does not inflate although nothing of it was lost (RFC 7692 §6.2).
    Inflate,
    /// HTTP where a frame should begin.
    Http,
}

/// One violation, with its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation {
    /// What was done.
    pub kind: ViolationKind,
    /// When, and in which packet.
    pub moment: Moment,
}

/// The frame that a direction ended in the middle of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenFrame {
    /// Its opcode.
    pub opcode: Opcode,
    /// Its payload length, as its header says.
    pub length: u64,
    /// How much of that was seen, gaps included.
    pub seen: u64,
    /// The packet with its header.
    pub moment: Moment,
}

/// All that a [`Decoder`](crate::ws::Decoder) knows of its direction.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DirectionFacts {
    /// Frames by opcode, whole or not.
    pub frames: FrameCounts,
    /// Whole messages.
    pub messages: MessageCounts,
    /// Bytes of the stream: headers, payloads, gaps and what was skipped.
    pub bytes: u64,
    /// The first data (not control) frame.
    pub first_data: Option<Moment>,
    /// The last data frame.
    pub last_data: Option<Moment>,
    /// The last frame of any kind.
    pub last_frame: Option<Moment>,
    /// The longest silence between two frames, in whole milliseconds.
    pub longest_silence: Duration,
    /// The longest payload that the header of a data frame announced, with the packet of that header.
    pub largest_frame: Option<(u64, Moment)>,
    /// The longest whole message: bytes after inflation, and the packet that ended it.
    pub largest_message: Option<(u64, Moment)>,
    /// The frame that the direction is in the middle of.
    pub open_frame: Option<OpenFrame>,
    /// The message that it is in the middle of: the opcode of its first frame.
    pub open_message: Option<Opcode>,
    /// Captured bytes that were skipped because the frame boundary was lost.
    pub lost_bytes: u64,
    /// Violations, the first ones.
    pub violations: Vec<Violation>,
    /// Violations beyond those.
    pub more_violations: u64,
    /// The first bytes of the direction, up to 64, where they do not begin a proper frame; else empty.
    pub first_bytes: Vec<u8>,
    /// Compressed messages that were not inflated to their end because a bound was reached.
    pub inflation_stopped: u64,
    /// Its masking keys, where they were to be kept.
    pub masks: Option<Masks>,
}

/// Application protocols whose heartbeats are known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HeartbeatProtocol {
    /// engine.io 4: the server sends `2`, the client answers `3`.
    EngineIo,
    /// SignalR: `{"type":6}` and a record separator, each way.
    SignalR,
    /// graphql-ws: `{"type":"ping"}` and `{"type":"pong"}`, `ka` in the older protocol.
    GraphqlWs,
    /// STOMP: a line feed.
    Stomp,
    /// Phoenix channels: `heartbeat` on topic `phoenix`.
    Phoenix,
    /// ActionCable: `{"type":"ping"}` from the server.
    ActionCable,
}
