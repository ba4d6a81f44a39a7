//! What went through a leg's tunnel: frames, messages, pings and silences of each side.

use std::time::Duration;

use crate::packet::Moment;
use crate::stream::{ByRole, Role};
use crate::ws::facts::{Close, FrameCounts, HeartbeatProtocol, MessageCounts, Opcode, OpenFrame, Violation};
use crate::ws::masks::Masks;

/// Pings of one side and the pongs that answered them.
#[derive(Clone, Debug, Default)]
pub struct Pings {
    /// Pings sent by this side.
    pub sent: u32,
    /// Of these, answered.
    pub answered: u32,
    /// The shortest time to the pong.
    pub min: Option<Duration>,
    /// The longest.
    pub max: Option<Duration>,
    /// The sum of `timed` round trips, for the average.
    pub total: Duration,
    /// Round trips that were timed.
    pub timed: u32,
    /// The oldest ping that is still unanswered.
    pub waiting_since: Option<Moment>,
    /// How many are unanswered at the end.
    pub unanswered: u32,
    /// The first ping.
    pub first: Option<Moment>,
    /// The last ping.
    pub last: Option<Moment>,
}

/// What one side of an established WebSocket did.
#[derive(Clone, Debug, Default)]
pub struct Direction {
    /// Frames by opcode.
    pub frames: FrameCounts,
    /// Whole messages.
    pub messages: MessageCounts,
    /// The first Close frame.
    pub close: Option<Close>,
    /// Pings that this side sent, and the pongs to them.
    pub pings: Pings,
    /// Violations, the first ones.
    pub violations: Vec<Violation>,
    /// The first data frame.
    pub first_frame: Option<Moment>,
    /// The last frame of any kind.
    pub last_frame: Option<Moment>,
    /// The last data (not control) frame.
    pub last_message: Option<Moment>,
    /// The longest payload that a frame header announced, with the packet of that header.
    pub largest_frame: Option<(u64, Moment)>,
    /// The longest message: bytes after inflation, and the packet that ended it.
    pub largest_message: Option<(u64, Moment)>,
    /// A frame that is not complete at the end.
    pub open_frame: Option<OpenFrame>,
    /// A message that is not complete at the end: opcode of its first frame.
    pub open_message: Option<Opcode>,
    /// Bytes skipped because the frame boundary was lost.
    pub lost_bytes: u64,
    /// Payload bytes of the tunnel in this direction.
    pub bytes: u64,
    /// The first bytes in the tunnel, up to 64, escaped: to tell what is there when it is not frames.
    pub first_bytes: Box<str>,
    /// Application heartbeats seen in text messages (engine.io, SignalR, graphql-ws, STOMP, Phoenix, ActionCable).
    pub heartbeats: Heartbeats,
    /// The longest silence between two frames of this side.
    pub longest_silence: Duration,
    /// Its masking keys, where no opening handshake tells whose tunnel this is.
    pub masks: Option<Masks>,
}

/// Heartbeats that an application protocol sends as messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Heartbeats {
    /// Which protocol's, when one was recognised.
    pub protocol: Option<HeartbeatProtocol>,
    /// How many were sent by this side.
    pub count: u32,
    /// The first one.
    pub first: Option<Moment>,
    /// The last one.
    pub last: Option<Moment>,
}

/// The WebSocket part of a leg: there is one once a 101 was answered or frames were recognised.
#[derive(Clone, Debug, Default)]
pub struct Tunnel {
    /// What each side did.
    pub sides: ByRole<Box<Direction>>,
    /// Who sent the first Close frame.
    pub first_close: Option<Role>,
    /// Whether the capture saw the opening handshake.
    pub handshake_seen: bool,
    /// The end of the opening handshake, or the first frame that was recognised.
    pub opened: Moment,
    /// The last byte in either direction.
    pub last_byte: Option<Moment>,
    /// The last byte in either direction before one side ended, where the other went on.
    pub last_before_end: Option<Moment>,
    /// The longest time without a byte in either direction, not counting the time before the end.
    pub longest_idle: Duration,
    /// The last silence of a second or more in both directions, and the first byte after it.
    pub last_silence: Option<(Duration, Moment)>,
    /// Bytes in the packet of the 101, behind it.
    pub frame_with_answer: bool,
}

impl Tunnel {
    /// The last byte in either direction, and where one side went on when the other had ended, the last one before.
    pub fn last_bytes(&self) -> impl Iterator<Item = Moment> {
        [self.last_byte, self.last_before_end].into_iter().flatten()
    }

    /// Whole messages of a side.
    pub fn messages(&self, role: Role) -> u64 {
        let MessageCounts { text, binary, .. } = self.sides[role].messages;
        text + binary
    }

    /// The Close frame of a server that opened this WebSocket, sent no message on it and said then that something is wrong:
    /// neither 1000 nor 1001 (RFC 6455 §7.4.1).
    pub fn failed_from_the_start(&self) -> Option<&Close> {
        let close = self.sides.server.close.as_ref()?;
        let wrong = close.code.is_some_and(|code| code > 1001);
        (self.handshake_seen && self.messages(Role::Server) == 0 && wrong && self.first_close == Some(Role::Server))
            .then_some(close)
    }
}
