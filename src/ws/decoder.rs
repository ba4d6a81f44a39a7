//! The frames of one direction.

use crate::limits::Limits;
use crate::packet::Moment;
use crate::stream::Role;
use crate::ws::facts::DirectionFacts;
use crate::ws::message::FrameListener;

/// permessage-deflate for one direction, as agreed (RFC 7692 §7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeflateDirection {
    /// The sender forgets its window after each message.
    pub no_context_takeover: bool,
}

/// What the opening handshake says of a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// permessage-deflate, where it was agreed.
    pub deflate: Option<DeflateDirection>,
    /// Whether the opening handshake was seen. Where it was not, compression is taken as it comes, and the stream is
    /// taken up at the first credible frame.
    pub handshake_seen: bool,
}

/// What all decoders of a thread share: room to unmask and inflate in, inflaters, and the bounds.
#[derive(Debug)]
pub struct Scratch {}

impl Scratch {
    /// With these bounds.
    pub fn new(_limits: &Limits) -> Scratch {
        Scratch {}
    }
}

/// Reads the frames that one side sends.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
}

impl Decoder {
    /// For what `role` sends from the end of the opening handshake on.
    pub fn new(role: Role, _agreed: Agreed) -> Decoder {
        Decoder { role }
    }

    /// Who sends.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The next bytes, from this packet.
    pub fn handle<L: FrameListener>(&mut self, _bytes: &[u8], _at: Moment, _scratch: &mut Scratch, _listener: &mut L) {}

    /// So many bytes are missing from the capture here; `at` is the packet that showed it.
    pub fn gap<L: FrameListener>(&mut self, _bytes: u64, _at: Moment, _scratch: &mut Scratch, _listener: &mut L) {}

    /// Nothing more comes: what was held back is decoded as far as it goes.
    pub fn finish<L: FrameListener>(&mut self, _scratch: &mut Scratch, _listener: &mut L) {}

    /// All that is known, at any time.
    pub fn facts(&self) -> DirectionFacts {
        DirectionFacts::default()
    }

    /// The last frame of any kind.
    pub fn last_frame(&self) -> Option<Moment> {
        None
    }

    /// Whether a frame has been seen.
    pub fn has_frames(&self) -> bool {
        false
    }
}
