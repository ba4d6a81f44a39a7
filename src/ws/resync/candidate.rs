//! A place where a frame may begin, and what speaks for it.

use crate::stream::Role;
use crate::ws::close;
use crate::ws::deflate::may_be_compressed;
use crate::ws::facts::Opcode;
use crate::ws::header::{FrameHeader, RSV1};

/// Evidence that a candidate at the beginning of a segment needs in a stream that is known to be frames.
const ALIGNED: u32 = 26;
/// Evidence that a candidate inside a segment needs.
const INSIDE: u32 = 36;
/// Evidence from which on a candidate's frames are believed, when it begins with a segment. A false frame may by chance end
/// where a true one begins, and the true ones behind it are no evidence for it: so frames before this much has come
/// together are given up.
pub(super) const BELIEVED_ALIGNED: u32 = 20;
/// The same for a candidate inside a segment.
pub(super) const BELIEVED_INSIDE: u32 = 30;
/// The same where a connection is adopted: one frame that fills its segment. All its evidence together has to be more.
pub(super) const BELIEVED_IN_ADOPTION: u32 = HEADER + ENDS_WITH_SEGMENT[0];

/// Worth of the first two bytes: 9 of 256 values are opcodes that may stand there, and the MASK bit is one of two.
const HEADER: u32 = 6;
/// Worth of a frame that ends where its segment ends, by the form of its length: 7, 16 or 64 bits.
const ENDS_WITH_SEGMENT: [u32; 3] = [7, 16, 24];
/// Worth of a 64-bit length whose upper half is zero; structured data has many zeros.
const LONG_LENGTH: u32 = 8;

/// Payload bytes of a text frame that are looked at.
const SAMPLE: usize = 64;

/// A run of frames that begins here, perhaps.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Where the first frame begins that is believed.
    pub(super) start: u64,
    /// Where the last frame begins whose header was read.
    pub(super) last: u64,
    /// Where the next one begins.
    pub(super) next: u64,
    pub(super) sender: Role,
    pub(super) aligned: bool,
    pub(super) bits: u32,
    /// From how many bits on its frames are believed.
    believed: u32,
    /// What it is worth when a segment ends at `next`.
    ends_with_segment: u32,
    /// Whether it is in the middle of a fragmented message, once that is known.
    fragmented: Option<bool>,
}

impl Candidate {
    pub(super) fn new(start: u64, sender: Role, aligned: bool, believed: u32) -> Candidate {
        Candidate {
            start,
            last: start,
            next: start,
            sender,
            aligned,
            bits: 0,
            believed,
            ends_with_segment: 0,
            fragmented: None,
        }
    }

    /// Whether it is to be followed from now on.
    pub(super) fn convinces(&self) -> bool {
        self.bits >= if self.aligned { ALIGNED } else { INSIDE }
    }

    /// The same when the stream ends at this offset: frames that end exactly there need less.
    pub(super) fn convinces_at_the_end(&self, end: u64) -> bool {
        self.aligned && self.next == end && self.bits >= BELIEVED_ALIGNED
    }

    /// Whether it has a frame that begins at this offset.
    pub(super) fn has_boundary(&self, offset: u64) -> bool {
        self.last == offset || self.next == offset
    }

    /// A segment ends at this offset.
    pub(super) fn segment_ends(&mut self, end: u64) {
        if self.next == end {
            let bits = std::mem::take(&mut self.ends_with_segment);
            self.credit(bits);
        }
    }

    /// Reads on, frame by frame, as far as the held bytes go. False when they contradict.
    pub(super) fn follow(&mut self, held: &[u8], base: u64, deflate: bool) -> bool {
        while let Some(rest) = self.next.checked_sub(base).and_then(|at| held.get(at as usize..)) {
            let Some(header) = FrameHeader::read(rest) else { return !contradicts(rest, self.sender) };
            if !fits(&header, self.sender, deflate)
                || self.breaks_fragmentation(&header)
                || is_monotonous(&header, rest)
            {
                return false;
            }
            let payload = &rest[header.size()..];
            let length = usize::try_from(header.length).unwrap_or(usize::MAX);
            if payload.len() < length.min(SAMPLE) {
                return true;
            }
            let Some(content) = content(&header, &payload[..length.min(payload.len())]) else { return false };
            if !header.opcode().is_control() {
                self.fragmented = Some(!header.is_final());
            }
            self.last = self.next;
            self.next = self.next.saturating_add(header.size() as u64).saturating_add(header.length);
            let (form, zeros) = match header.length {
                0..=125 => (0, 0),
                126..=0xFFFF => (1, 0),
                _ => (2, LONG_LENGTH),
            };
            // Other protocols have messages that look like an unfinished fragment: those prove nothing.
            self.ends_with_segment = if header.is_final() { ENDS_WITH_SEGMENT[form] } else { 0 };
            self.credit(if header.is_final() { HEADER + content + zeros } else { 0 });
        }
        true
    }

    /// Counts evidence that the last frame gave.
    fn credit(&mut self, bits: u32) {
        if self.bits < self.believed {
            self.start = if self.bits + bits < self.believed { self.next } else { self.last };
        }
        self.bits = self.bits.saturating_add(bits);
    }

    /// Whether the header breaks the order of fragments, as far as it is known (RFC 6455 §5.4).
    fn breaks_fragmentation(&self, header: &FrameHeader) -> bool {
        let opcode = header.opcode();
        !opcode.is_control() && self.fragmented.is_some_and(|fragmented| fragmented != (opcode == Opcode::CONTINUATION))
    }
}

/// A known opcode, and no reserved bit but RSV1, and that on no control frame.
#[inline]
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| match first & 0x7F {
        0x00..=0x02 | 0x41 | 0x42 => true,
        0x08..=0x0A => first & 0x80 != 0,
        _ => false,
    })
}

/// Whether an incomplete header cannot become one of `sender`.
fn contradicts(header: &[u8], sender: Role) -> bool {
    header.get(1).is_some_and(|second| (second & 0x80 != 0) != (sender == Role::Client))
}

/// Whether `sender` is likely to send such a header: stricter than the standard, which allows empty fragments.
fn fits(header: &FrameHeader, sender: Role, deflate: bool) -> bool {
    let allowed = if deflate && may_be_compressed(header.opcode()) { RSV1 } else { 0 };
    header.is_proper(sender)
        && header.reserved() & !allowed == 0
        && (header.is_final() || header.length > 0)
        && !(header.opcode() == Opcode::CLOSE && header.length == 1)
}

/// Whether a masked frame repeats itself every four bytes, from its header on. Under one key, a payload that is one character
/// again and again does that, and by chance looks like a frame, and one more behind it, without end. A frame does not: its
/// header is not like its key.
fn is_monotonous(header: &FrameHeader, frame: &[u8]) -> bool {
    const PERIOD: usize = 4;
    let sample = &frame[..frame.len().min(SAMPLE)];
    header.is_masked()
        && sample.len() >= 6 * PERIOD
        && sample[PERIOD..].iter().zip(sample).all(|(byte, before)| byte == before)
}

/// What the beginning of a payload is worth as evidence; `None` when it contradicts.
fn content(header: &FrameHeader, payload: &[u8]) -> Option<u32> {
    let mut plain = [0; SAMPLE];
    let sample = header.key.unmask(payload, &mut plain);
    let whole = sample.len() as u64 == header.length;
    if header.reserved() != 0 {
        return Some(if header.is_final() { flushed(header, payload) } else { 0 });
    }
    match header.opcode() {
        Opcode::TEXT => text(sample, whole && header.is_final(), header.is_masked()),
        Opcode::CLOSE => match close::split(sample) {
            (None, _) => Some(0),
            (Some(code), _) if !close::may_be_sent(code) => None,
            (Some(_), reason) if whole && std::str::from_utf8(reason).is_err() => None,
            (Some(1000..=1014), _) => Some(12),
            (Some(_), _) => Some(4),
        },
        _ => Some(0),
    }
}

/// What the end of a compressed message is worth. A flushed DEFLATE stream ends with the header of an empty block, which is
/// three zero bits, and zeros up to the end of the byte (RFC 7692 §7.2.1).
fn flushed(header: &FrameHeader, payload: &[u8]) -> u32 {
    let Some((&last, before)) = payload.split_last() else { return 0 };
    if payload.len() as u64 != header.length {
        return 0;
    }
    let mut plain = [0];
    header.key.after(before.len() as u64).unmask(&[last], &mut plain);
    let zeros = plain[0].leading_zeros();
    if zeros < 3 { 0 } else { zeros }
}

/// As [`content`], for text. `whole`: it must not end inside a character.
fn text(sample: &[u8], whole: bool, masked: bool) -> Option<u32> {
    if let Err(error) = std::str::from_utf8(sample)
        && (whole || error.error_len().is_some())
    {
        return None;
    }
    // Letters unmasked with letters are control characters. Applications send few: white space, and at the end of a
    // message the record separator of SignalR or the NUL of STOMP.
    let body =
        if whole { sample.strip_suffix(b"\x1E").or(sample.strip_suffix(b"\0")).unwrap_or(sample) } else { sample };
    if body.iter().any(|byte| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')) {
        return Some(0);
    }
    let length = sample.len() as u32;
    Some(match masked {
        true => length.min(16),
        // What is not masked may lie inside other text. There, bytes above 0x7F are where headers are met with, and
        // more of them follow.
        false if sample.is_ascii() => (length / 2).min(8),
        false => (length / 4).min(2),
    })
}
