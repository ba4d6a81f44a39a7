//! Finding the frame boundary in the middle of a stream: after a gap, or when the capture began too late.
//!
//! A place where a frame may begin is a candidate. A candidate is followed from header to header; each frame that fits the
//! grammar is evidence, measured in bits: a frame that random bytes resemble once in 2^n times is worth n. A contradiction
//! ends it. Payload of other frames is not random, though: text unmasked with a key taken from masked text is again a kind
//! of text. So the worth of content is capped, and a candidate inside a segment has to show more than one at its
//! beginning, where senders like to begin their frames.

mod candidate;

use crate::packet::Moment;
use crate::stream::Role;
use crate::ws::resync::candidate::{BELIEVED_ALIGNED, BELIEVED_IN_ADOPTION, BELIEVED_INSIDE, Candidate, may_begin};

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
        if !self.candidates.iter().any(|candidate| candidate.aligned && candidate.has_boundary(start)) {
            self.try_candidate(start, true);
        }
        if self.inside && !self.has_found() {
            self.try_inside(start, segment);
        }
        let end = self.end();
        for candidate in &mut self.candidates {
            candidate.segment_ends(end);
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

    /// About so many bytes are missing here: no candidate knows any more where its next frame begins.
    pub fn lose_place(&mut self, bytes: u64) {
        self.candidates.clear();
        self.gap(bytes);
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
        let candidate = self
            .candidates
            .iter()
            .filter(|candidate| candidate.convinces_at_the_end(end))
            .min_by_key(|c| c.start)?
            .clone();
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

    /// From how much evidence on the frames of a candidate are believed.
    fn believed(&self, aligned: bool) -> u32 {
        match (self.inside, aligned) {
            (false, _) => BELIEVED_IN_ADOPTION,
            (true, true) => BELIEVED_ALIGNED,
            (true, false) => BELIEVED_INSIDE,
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
        let mut candidate = Candidate::new(start, sender, aligned, self.believed(aligned));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_character_again_and_again_is_no_row_of_frames() {
        // `x` under the key F1 CA 07 3A: each four bytes begin a ping of 50 bytes.
        let payload = [0x89, 0xB2, 0x7F, 0x42].repeat(400);
        let mut search = Search::new(Some(Role::Client), false, true);
        search.add(&payload[..1448], Moment::default());
        search.add(&payload[1448..], Moment::default());
        assert!(!search.has_found());
        // Where it ends, the next frame is found.
        let ping = [0x89, 0x84, 1, 2, 3, 4, 0x71, 0x6B, 0x6D, 0x63];
        for _ in 0..6 {
            search.add(&ping, Moment::default());
        }
        assert_eq!(search.take_found().map(|held| held.bytes.len() % ping.len()), Some(0));
    }
}
