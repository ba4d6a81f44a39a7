//! Finding the frame boundary in the middle of a stream: after a gap, or when the capture began too late.
//!
//! A place where a frame may begin is a candidate. A candidate is followed from header to header; each frame that fits the
//! grammar is evidence, measured in bits: a frame that random bytes resemble once in 2^n times is worth n. A contradiction
//! ends it. Payload of other frames is not random, though: text unmasked with a key taken from masked text is again a kind
//! of text. So the worth of content is capped, and a candidate inside a segment has to show more than one at its
//! beginning, where senders like to begin their frames.

use crate::packet::Moment;
use crate::stream::Role;
use crate::ws::close;
use crate::ws::deflate::may_be_compressed;
use crate::ws::facts::Opcode;
use crate::ws::header::{FrameHeader, RSV1};

/// Evidence that a candidate at the beginning of a segment needs in a stream that is known to be frames.
const ALIGNED: u32 = 26;
/// Evidence that a candidate inside a segment needs.
const INSIDE: u32 = 36;
/// Evidence for a candidate whose last frame ends exactly where the stream ends.
const AT_THE_END: u32 = BELIEVED_ALIGNED;

/// Evidence from which on a candidate's frames are believed. A false frame may by chance end where a true one begins, and
/// the true ones behind it are no evidence for it: so frames before this much has come together are given up.
const BELIEVED_ALIGNED: u32 = 20;
/// The same for a candidate inside a segment.
const BELIEVED_INSIDE: u32 = 30;

/// Worth of the first two bytes: 9 of 256 values are opcodes that may stand there, and the MASK bit is one of two.
const HEADER: u32 = 6;
/// Worth of a frame that ends where its segment ends.
const ENDS_WITH_SEGMENT: u32 = 6;
/// Worth of a 64-bit length whose upper half is zero; structured data has many zeros.
const LONG_LENGTH: u32 = 8;

/// Payload bytes of a text frame that are looked at.
const SAMPLE: usize = 64;
/// Bytes held while no candidate has convinced.
const HELD: usize = 16 << 10;
/// Bytes that remain of them when that bound is reached. More than a header and a sample.
const KEPT: usize = 8 << 10;
/// Candidates followed at a time.
const CANDIDATES: usize = 24;

/// How credible it is that a frame of `sender` begins where `segment` begins, in bits of evidence; 0 when it is not.
pub fn credible(sender: Role, segment: &[u8]) -> u32 {
    let mut search = Search::new(Some(sender), true, false);
    search.add(segment, Moment::default());
    search.best().map_or(0, |candidate| candidate.bits)
}

/// A search for the frame boundary in one direction.
#[derive(Clone, Debug)]
pub struct Search {
    /// Who sends, if that is known.
    sender: Option<Role>,
    /// Whether messages may be compressed.
    deflate: bool,
    /// Whether a frame may begin inside a segment.
    inside: bool,
    /// Bytes from the first candidate on.
    held: Vec<u8>,
    /// The offset of the first held byte in the searched stream.
    base: u64,
    /// The packets of the held bytes: where each ends.
    packets: Vec<(Moment, u64)>,
    candidates: Vec<Candidate>,
    /// Captured bytes that are not held any more.
    dropped: u64,
    /// The last packet.
    latest: Moment,
}

/// A run of frames that begins here, perhaps.
#[derive(Clone, Debug)]
struct Candidate {
    /// Where the first frame begins that is believed.
    start: u64,
    /// Where the last frame begins whose header was read.
    last: u64,
    /// Where the next one begins.
    next: u64,
    sender: Role,
    aligned: bool,
    bits: u32,
    /// Whether it is in the middle of a fragmented message, once that is known.
    fragmented: Option<bool>,
}

/// The bytes of one direction from a found frame boundary on.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Their packets: where the bytes of each end.
    pub packets: Vec<(Moment, usize)>,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Captured bytes before them that belong to no frame that could be found.
    pub lost: u64,
    /// Payload of a frame that was given up, yet to come before the next frame begins. Then there are no bytes.
    pub ahead: u64,
    /// The last packet that was searched.
    pub latest: Moment,
}

impl Held {
    /// The bytes packet by packet.
    pub fn pieces(&self) -> impl Iterator<Item = (Moment, &[u8])> {
        let mut start = 0;
        self.packets.iter().map(move |&(moment, end)| {
            let piece = &self.bytes[start..end];
            start = end;
            (moment, piece)
        })
    }
}

impl Search {
    /// For the stream of `sender`, `None` if the first credible frame shall say who that is. `inside`: whether to look
    /// for frames inside segments, too.
    pub fn new(sender: Option<Role>, deflate: bool, inside: bool) -> Search {
        Search {
            sender,
            deflate,
            inside,
            held: Vec::new(),
            base: 0,
            packets: Vec::new(),
            candidates: Vec::new(),
            dropped: 0,
            latest: Moment::default(),
        }
    }

    /// The next segment of the stream.
    pub fn add(&mut self, segment: &[u8], moment: Moment) {
        let start = self.end();
        self.latest = moment;
        if self.candidates.is_empty() && !self.inside && !may_begin(segment) {
            self.dropped += segment.len() as u64;
            self.base += segment.len() as u64;
            return;
        }
        self.held.extend_from_slice(segment);
        self.packets.push((moment, self.end()));
        self.follow();
        self.try_candidate(start, true);
        if self.inside && !self.has_found() {
            self.try_inside(start, segment);
        }
        let end = self.end();
        for candidate in &mut self.candidates {
            // Fragments are so often followed by nothing at all that they prove nothing.
            if candidate.next == end && candidate.bits > 0 {
                candidate.credit(ENDS_WITH_SEGMENT);
            }
        }
        self.trim();
    }

    /// So many bytes are missing here. Candidates whose current frame covers them go on.
    pub fn gap(&mut self, bytes: u64) {
        let end = self.end().saturating_add(bytes);
        self.candidates.retain(|candidate| candidate.next >= end);
        self.drop_before(self.end());
        self.base = end;
    }

    /// Whether some candidate has convinced.
    pub fn has_found(&self) -> bool {
        self.candidates.iter().any(Candidate::convinces)
    }

    /// The evidence of the best candidate, and who it thinks the sender is.
    pub fn evidence(&self) -> Option<(Role, u32)> {
        self.best().map(|candidate| (candidate.sender, candidate.bits))
    }

    /// The held bytes from the convincing candidate on, with what was before it as lost; `None` when there is none.
    pub fn take_found(&mut self) -> Option<Held> {
        let candidate = self.candidates.iter().filter(|candidate| candidate.convinces()).min_by_key(|c| c.start)?;
        let candidate = candidate.clone();
        Some(self.take_from(&candidate))
    }

    /// As [`Search::take_found`], at the end of the stream: a run of frames that ends exactly here convinces with less.
    pub fn take_at_the_end(&mut self) -> Option<Held> {
        let end = self.end();
        let ends_here = |c: &&Candidate| c.aligned && c.next == end && c.bits >= AT_THE_END;
        let candidate = self.candidates.iter().filter(ends_here).min_by_key(|c| c.start)?.clone();
        Some(self.take_from(&candidate))
    }

    /// Whether anything was searched.
    pub fn has_begun(&self) -> bool {
        self.end() > 0
    }

    /// The held bytes from the best candidate on, however little it has shown.
    pub fn take_best(&mut self) -> Held {
        match self.best().cloned() {
            Some(candidate) => self.take_from(&candidate),
            None => Held { lost: self.dropped + self.held.len() as u64, latest: self.latest, ..Held::default() },
        }
    }

    /// Forgets all. Gives how many captured bytes that were, and the packet of the last.
    pub fn give_up(&mut self) -> (u64, Moment) {
        let lost = std::mem::take(&mut self.dropped) + self.held.len() as u64;
        let (base, latest) = (self.end(), self.latest);
        *self = Search { base, latest, ..Search::new(self.sender, self.deflate, self.inside) };
        (lost, latest)
    }

    fn end(&self) -> u64 {
        self.base + self.held.len() as u64
    }

    fn best(&self) -> Option<&Candidate> {
        self.candidates.iter().max_by_key(|candidate| (candidate.bits, u64::MAX - candidate.start))
    }

    /// Takes the bytes out, from the first of the candidate's frame boundaries that is still held.
    fn take_from(&mut self, candidate: &Candidate) -> Held {
        let boundaries = [candidate.start, candidate.last, candidate.next];
        let start = boundaries.into_iter().find(|&at| at >= self.base).unwrap_or(candidate.next);
        let ahead = start.saturating_sub(self.end());
        self.drop_before(start.min(self.end()));
        let base = self.base;
        self.candidates.clear();
        Held {
            packets: self.packets.drain(..).map(|(moment, end)| (moment, (end - base) as usize)).collect(),
            bytes: std::mem::take(&mut self.held),
            lost: std::mem::take(&mut self.dropped),
            ahead,
            latest: self.latest,
        }
    }

    /// Tries every place inside the last segment.
    fn try_inside(&mut self, start: u64, segment: &[u8]) {
        let mask = self.sender.map(|sender| if sender == Role::Client { 0x80 } else { 0 });
        // A cheap look at two bytes: nearly all places fail it.
        for (offset, pair) in segment.windows(2).enumerate().skip(1) {
            if may_begin(pair) && mask.is_none_or(|mask| pair[1] & 0x80 == mask) {
                self.try_candidate(start + offset as u64, false);
            }
        }
        if segment.len() > 1 && may_begin(&segment[segment.len() - 1..]) {
            self.try_candidate(start + segment.len() as u64 - 1, false);
        }
    }

    /// Begins a candidate at this offset, unless it is contradicted at once.
    fn try_candidate(&mut self, start: u64, aligned: bool) {
        let bytes = &self.held[(start - self.base) as usize..];
        if !may_begin(bytes) {
            return;
        }
        let masked = bytes.get(1).map(|second| second & 0x80 != 0);
        let sender = match (masked, self.sender) {
            (Some(true), None | Some(Role::Client)) => Role::Client,
            (Some(false), None | Some(Role::Server)) => Role::Server,
            (None, Some(sender)) => sender,
            _ => return,
        };
        let mut candidate = Candidate { start, last: start, next: start, sender, aligned, bits: 0, fragmented: None };
        if !candidate.follow(&self.held, self.base, self.deflate) {
            return;
        }
        if self.candidates.len() == CANDIDATES {
            let Some(weakest) = (0..CANDIDATES).min_by_key(|&i| (self.candidates[i].aligned, self.candidates[i].bits))
            else {
                return;
            };
            if (self.candidates[weakest].aligned, self.candidates[weakest].bits) > (aligned, candidate.bits) {
                return;
            }
            self.candidates.swap_remove(weakest);
        }
        self.candidates.push(candidate);
    }

    /// Follows all candidates through the held bytes.
    fn follow(&mut self) {
        let (held, base, deflate) = (&self.held, self.base, self.deflate);
        self.candidates.retain_mut(|candidate| candidate.follow(held, base, deflate));
    }

    /// Lets go of the bytes that no candidate needs, and of more when they are too many.
    fn trim(&mut self) {
        let needed = self.candidates.iter().map(|candidate| candidate.start).min().unwrap_or(self.end());
        self.drop_before(needed.min(self.end()));
        if self.held.len() > HELD {
            self.drop_before(self.end() - KEPT as u64);
        }
    }

    fn drop_before(&mut self, offset: u64) {
        if offset <= self.base {
            return;
        }
        let count = (offset - self.base) as usize;
        self.held.drain(..count);
        self.dropped += count as u64;
        self.base = offset;
        self.packets.retain(|&(_, end)| end > offset);
    }
}

impl Candidate {
    fn convinces(&self) -> bool {
        self.bits >= if self.aligned { ALIGNED } else { INSIDE }
    }

    /// Reads on, frame by frame, as far as the held bytes go. False when they contradict.
    fn follow(&mut self, held: &[u8], base: u64, deflate: bool) -> bool {
        while let Some(rest) = self.next.checked_sub(base).and_then(|at| held.get(at as usize..)) {
            let Some(header) = FrameHeader::read(rest) else { return !contradicts(rest, self.sender) };
            if !fits(&header, self.sender, deflate) || self.breaks_fragmentation(&header) {
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
            let length = if header.length > 0xFFFF { LONG_LENGTH } else { 0 };
            self.credit(if header.is_final() { HEADER + content + length } else { 0 });
        }
        true
    }

    /// Counts evidence that the last frame gave.
    fn credit(&mut self, bits: u32) {
        let believed = if self.aligned { BELIEVED_ALIGNED } else { BELIEVED_INSIDE };
        if self.bits < believed {
            self.start = if self.bits + bits < believed { self.next } else { self.last };
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
fn may_begin(bytes: &[u8]) -> bool {
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
