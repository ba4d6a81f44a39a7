//! The counts of one direction.
//!
//! A capture may have a million directions, so what each of them counts is kept small: [`Tally`] is 76 bytes. What does
//! not fit there, and what few directions need, is in [`Rare`].

use std::time::Duration;

use crate::packet::{Later, Moment};
use crate::ws::facts::{DirectionFacts, FrameCounts, MessageCounts, Opcode};

/// What every direction counts. Moments are relative to when the WebSocket opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    first_data: Later,
    last_data: Later,
    last_frame: Later,
    /// The longest message that was one frame in one packet: in which one, and its length.
    largest_at: Later,
    largest: u32,
    /// All bytes of the direction, gaps included, modulo 2^32.
    bytes: u32,
    /// Application bytes of whole messages, modulo 2^32.
    message_bytes: u32,
    /// The longest silence between two frames, in milliseconds.
    silence: u32,
    text: u16,
    binary: u16,
    ping: u16,
    pong: u16,
    close: u8,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            first_data: Later::NONE,
            last_data: Later::NONE,
            last_frame: Later::NONE,
            largest_at: Later::NONE,
            largest: 0,
            bytes: 0,
            message_bytes: 0,
            silence: 0,
            text: 0,
            binary: 0,
            ping: 0,
            pong: 0,
            close: 0,
        }
    }
}

/// What few directions count.
#[derive(Clone, Debug, Default)]
pub(super) struct Rare {
    /// Frames of rare opcodes, and what the counters of a [`Tally`] have carried over.
    frames: FrameCounts,
    /// Text and binary frames that began a message which never became whole.
    unfinished: MessageCounts,
    largest_frame: (u64, Moment),
    largest_message: (u64, Moment),
    /// What the sums of bytes have carried over.
    bytes: u64,
    message_bytes: u64,
}

const NANOS_PER_MILLI: u64 = 1_000_000;

impl Tally {
    /// Counts a frame at its header. What it returns has to go to [`Rare::carry`], unless it is 0.
    #[inline]
    #[must_use]
    pub(super) fn frame(&mut self, opcode: Opcode, at: Later) -> u64 {
        self.note_frame(at);
        if !opcode.is_control() {
            self.note_data(at);
        }
        match opcode {
            Opcode::TEXT => carry16(&mut self.text),
            Opcode::BINARY => carry16(&mut self.binary),
            Opcode::PING => carry16(&mut self.ping),
            Opcode::PONG => carry16(&mut self.pong),
            Opcode::CLOSE => carry8(&mut self.close),
            _ => 1,
        }
    }

    /// Counts a text or binary frame at its header; does nothing, and says no, where that is not as simple as for nearly
    /// all of them.
    #[inline]
    #[must_use]
    pub(super) fn data_frame(&mut self, opcode: Opcode, at: Later) -> bool {
        let count = if opcode == Opcode::TEXT { &mut self.text } else { &mut self.binary };
        if *count == u16::MAX {
            return false;
        }
        *count += 1;
        self.note_frame(at);
        self.note_data(at);
        true
    }

    /// A frame was seen.
    #[inline]
    fn note_frame(&mut self, at: Later) {
        if self.has_frames() {
            let silence = u64::try_from(at.nanos() - self.last_frame.nanos()).unwrap_or(0);
            if silence > u64::from(self.silence) * NANOS_PER_MILLI {
                self.silence = u32::try_from(silence / NANOS_PER_MILLI).unwrap_or(u32::MAX);
            }
        }
        self.last_frame = at;
    }

    /// It was no control frame.
    #[inline]
    fn note_data(&mut self, at: Later) {
        self.last_data = at;
        if !self.first_data.is_some() {
            self.first_data = at;
        }
    }

    /// Counts bytes of the direction. What it returns has to go to [`Rare::carry_bytes`], unless it is 0.
    #[inline]
    #[must_use]
    pub(super) fn count(&mut self, bytes: u64) -> u64 {
        add32(&mut self.bytes, bytes)
    }

    /// Counts a message that was one frame in one packet. What it returns has to go to [`Rare::carry_message_bytes`],
    /// unless it is 0.
    #[inline]
    #[must_use]
    pub(super) fn simple_message(&mut self, length: u32, at: Later) -> u64 {
        if length > self.largest || !self.largest_at.is_some() {
            self.largest = length;
            self.largest_at = at;
        }
        add32(&mut self.message_bytes, length.into())
    }

    /// Counts any other message.
    pub(super) fn message(&mut self, bytes: u64, moment: Moment, rare: &mut Rare) {
        rare.carry_message_bytes(add32(&mut self.message_bytes, bytes));
        raise(&mut rare.largest_message, bytes, moment);
    }

    /// Whether a frame was counted.
    #[inline]
    pub(super) fn has_frames(&self) -> bool {
        self.last_frame.is_some()
    }

    /// The last frame of any kind.
    pub(super) fn last_frame(&self, opened: Moment) -> Option<Moment> {
        self.last_frame.moment(opened)
    }

    /// All bytes of the direction.
    pub(super) fn bytes(&self, rare: &Rare) -> u64 {
        rare.bytes.saturating_add(self.bytes.into())
    }

    /// Frames by opcode.
    pub(super) fn frames(&self, rare: &Rare) -> FrameCounts {
        FrameCounts {
            text: rare.frames.text + u64::from(self.text),
            binary: rare.frames.binary + u64::from(self.binary),
            ping: rare.frames.ping.saturating_add(u32::from(self.ping)),
            pong: rare.frames.pong.saturating_add(u32::from(self.pong)),
            close: rare.frames.close.saturating_add(u32::from(self.close)),
            ..rare.frames
        }
    }

    /// The facts that are counts. `open` is the opcode of the message that is under way.
    pub(super) fn facts(&self, rare: &Rare, open: Option<Opcode>, opened: Moment) -> DirectionFacts {
        let frames = self.frames(rare);
        // Every text or binary frame begins a message.
        let whole = |begun: u64, unfinished: u64, opcode| {
            begun.saturating_sub(unfinished).saturating_sub(u64::from(open == Some(opcode)))
        };
        let largest = |other: (u64, Moment)| match self.largest_at.moment(opened) {
            Some(moment) if other.0 <= u64::from(self.largest) => Some((u64::from(self.largest), moment)),
            _ => (other.1 != Moment::default()).then_some(other),
        };
        DirectionFacts {
            frames,
            messages: MessageCounts {
                text: whole(frames.text, rare.unfinished.text, Opcode::TEXT),
                binary: whole(frames.binary, rare.unfinished.binary, Opcode::BINARY),
                bytes: rare.message_bytes.saturating_add(self.message_bytes.into()),
            },
            bytes: self.bytes(rare),
            first_data: self.first_data.moment(opened),
            last_data: self.last_data.moment(opened),
            last_frame: self.last_frame(opened),
            longest_silence: Duration::from_millis(u64::from(self.silence)),
            largest_frame: largest(rare.largest_frame),
            largest_message: largest(rare.largest_message),
            ..DirectionFacts::default()
        }
    }
}

impl Rare {
    /// Counts so many frames of an opcode.
    pub(super) fn carry(&mut self, opcode: Opcode, frames: u64) {
        let few = u32::try_from(frames).unwrap_or(u32::MAX);
        let count = match opcode {
            Opcode::TEXT => return self.frames.text += frames,
            Opcode::BINARY => return self.frames.binary += frames,
            Opcode::CONTINUATION => return self.frames.continuation += frames,
            Opcode::PING => &mut self.frames.ping,
            Opcode::PONG => &mut self.frames.pong,
            Opcode::CLOSE => &mut self.frames.close,
            _ => &mut self.frames.other,
        };
        *count = count.saturating_add(few);
    }

    /// Counts bytes of the direction that its tally has carried over.
    #[cold]
    pub(super) fn carry_bytes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Counts bytes of messages that the tally has carried over.
    pub(super) fn carry_message_bytes(&mut self, bytes: u64) {
        self.message_bytes = self.message_bytes.saturating_add(bytes);
    }

    /// A message that began with this opcode will not become whole.
    pub(super) fn unfinished(&mut self, opcode: Opcode) {
        match opcode {
            Opcode::TEXT => self.unfinished.text += 1,
            _ => self.unfinished.binary += 1,
        }
    }

    /// A data frame of this length is more than one message in one packet, or less.
    pub(super) fn data_frame(&mut self, length: u64, moment: Moment) {
        raise(&mut self.largest_frame, length, moment);
    }
}

/// Counts one. Returns what has to be carried over.
#[inline]
fn carry16(count: &mut u16) -> u64 {
    *count = count.wrapping_add(1);
    if *count == 0 { 1 << 16 } else { 0 }
}

#[inline]
fn carry8(count: &mut u8) -> u64 {
    *count = count.wrapping_add(1);
    if *count == 0 { 1 << 8 } else { 0 }
}

/// Adds to a sum. Returns what has to be carried over.
#[inline]
fn add32(sum: &mut u32, more: u64) -> u64 {
    let all = more.saturating_add(u64::from(*sum));
    *sum = all as u32;
    all & !u64::from(u32::MAX)
}

fn raise(largest: &mut (u64, Moment), length: u64, moment: Moment) {
    if length > largest.0 || largest.1 == Moment::default() {
        *largest = (length, moment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PacketNumber;
    use crate::time::Timestamp;

    fn moment(packet: u64, millis: u64) -> Moment {
        Moment { at: Timestamp::from_nanos(millis * NANOS_PER_MILLI), packet: PacketNumber(packet) }
    }

    #[test]
    fn no_count_is_lost_when_a_counter_is_full() {
        let (mut tally, mut rare) = (Tally { text: u16::MAX, pong: u16::MAX, ..Tally::default() }, Rare::default());
        for opcode in [Opcode::TEXT, Opcode::TEXT, Opcode::PONG, Opcode::PONG, Opcode::CONTINUATION, Opcode(0xB)] {
            let carry = tally.frame(opcode, Later::NONE);
            if carry > 0 {
                rare.carry(opcode, carry);
            }
        }
        let frames = tally.frames(&rare);
        assert_eq!((frames.text, frames.pong), (u64::from(u16::MAX) + 2, u32::from(u16::MAX) + 2));
        assert_eq!((frames.continuation, frames.other), (1, 1));
    }

    #[test]
    fn no_byte_is_lost_when_a_sum_is_full() {
        let (mut tally, mut rare) = (Tally::default(), Rare::default());
        for bytes in [u64::from(u32::MAX), 7, 1 << 40, 3] {
            rare.carry_bytes(tally.count(bytes));
        }
        tally.message(5, moment(1, 0), &mut rare);
        tally.message(u64::from(u32::MAX), moment(2, 0), &mut rare);
        let facts = tally.facts(&rare, None, moment(1, 0));
        assert_eq!(facts.bytes, u64::from(u32::MAX) + 10 + (1 << 40));
        assert_eq!(facts.messages.bytes, u64::from(u32::MAX) + 5);
        assert_eq!(size_of::<Tally>(), 76);
    }

    #[test]
    fn the_longest_silence_lies_between_frames() {
        let mut tally = Tally::default();
        for (packet, millis) in [(1, 5_000), (2, 5_020), (3, 65_020), (4, 65_000)] {
            let _ = tally.frame(Opcode::PING, Later::new(moment(1, 5_000), moment(packet, millis)));
        }
        assert_eq!(tally.facts(&Rare::default(), None, moment(1, 5_000)).longest_silence, Duration::from_secs(60));
    }
}
