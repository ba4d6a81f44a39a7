//! What a listener hears of one direction: messages, control frames, violations, losses.

use crate::packet::Moment;
use crate::ws::facts::{Opcode, Violation};

/// Text messages up to so many bytes are always shown whole: application heartbeats are that short.
pub const SHORT_TEXT: usize = 128;

/// A whole message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// [`Opcode::TEXT`] or [`Opcode::BINARY`].
    pub opcode: Opcode,
    /// The packet with the header of its first frame.
    pub start: Moment,
    /// The packet that completed it.
    pub moment: Moment,
    /// Application bytes, after inflation. Where the message was not inflated to its end: the bytes known.
    pub bytes: u64,
    /// Whether it was compressed on the wire (RSV1 of its first frame).
    pub compressed: bool,
    /// Frames that it was made of.
    pub fragments: u32,
    /// Its beginning, unmasked and inflated: up to [`FrameListener::preview`] bytes, of text at least [`SHORT_TEXT`].
    /// Bytes that the capture lacks are `?`.
    pub preview: &'a [u8],
    /// Whether the message has more bytes than `preview`.
    pub truncated: bool,
    /// Whether bytes of it are missing from the capture, or cannot be known because earlier ones are.
    pub holes: bool,
}

/// A control frame, as far as it was seen.
#[derive(Clone, Copy, Debug)]
pub struct Control<'a> {
    /// [`Opcode::CLOSE`], [`Opcode::PING`] or [`Opcode::PONG`].
    pub opcode: Opcode,
    /// The packet with its header.
    pub start: Moment,
    /// The packet that completed it.
    pub moment: Moment,
    /// Its payload, unmasked: the first 125 bytes where it is longer. Bytes that the capture lacks are `?`.
    pub payload: &'a [u8],
    /// The length that its header says.
    pub length: u64,
    /// Whether no byte of it is missing from the capture.
    pub whole: bool,
}

/// Who hears what one direction says. Every method has an empty body: implement what matters.
///
/// Calls come in the order of the stream. The decoder is generic over the listener, so that what is not implemented
/// costs nothing.
pub trait FrameListener {
    /// How many bytes of each message's beginning [`Message::preview`] shall have; 0 spares the work.
    fn preview(&self) -> usize {
        0
    }

    /// A control frame is complete.
    fn control(&mut self, _control: Control<'_>) {}

    /// A message is complete.
    fn message(&mut self, _message: Message<'_>) {}

    /// The sender did what it must not do. Called for each, also for those that are only counted in the facts.
    fn violation(&mut self, _violation: Violation) {}

    /// The frame boundary was lost; so many captured bytes were skipped until it was found again or the stream ended.
    fn lost(&mut self, _bytes: u64, _moment: Moment) {}

    /// The frame boundary was found again, in this packet.
    fn resynchronised(&mut self, _moment: Moment) {}
}

/// A listener that hears nothing.
impl FrameListener for () {}
