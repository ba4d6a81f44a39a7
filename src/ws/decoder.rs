//! The frames of one direction.
//!
//! ```text
//!   handle -> Boundary -> header -> one whole, plain message ------------------> FrameListener
//!                ^                \                                                ^
//!                |                 -> Payload, of a control frame or an Assembly --+
//!                +---------------------- its last byte
//!                |
//!   gap ---> Seeking: resync::Search holds the bytes until it finds a boundary
//! ```
//!
//! A message that is one plain frame in one packet, as nearly all are, touches the decoder's 88 bytes
//! and nothing else. All other state is in [`Cold`], made when it is first needed.
//! Moments are kept relative to when the WebSocket opened, which who has the decoder knows.

mod missing;
mod odd;
mod payload;

use crate::packet::{Moment, When};
use crate::stream::Role;
use crate::ws::assembly::Assembly;
use crate::ws::deflate::{Inflation, may_be_compressed};
use crate::ws::facts::{DirectionFacts, FrameCounts, Opcode, OpenFrame, Violation};
use crate::ws::header::{FrameHeader, MAX_CONTROL, MAX_HEADER, RSV1};
use crate::ws::mask::MaskingKey;
use crate::ws::masks::{Masked, Masks};
use crate::ws::message::FrameListener;
use crate::ws::resync::Search;
use crate::ws::scratch::{CHUNK, Scratch};
use crate::ws::tally::{Rare, Tally};

/// permessage-deflate for one direction, as agreed (RFC 7692 §7.1).
///
/// The agreed window size does not matter here: the largest window reads everything.
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

/// Reads the frames that one side sends.
#[derive(Debug)]
pub struct Decoder {
    tally: Tally,
    phase: Phase,
    role: Role,
    compression: Compression,
    over: bool,
    cold: Option<Box<Cold>>,
}

/// Where in its stream a decoder is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// A frame begins here.
    Boundary,
    /// Inside a header: its beginning is in [`Cold::header`].
    Header,
    /// Inside the payload of a control frame.
    Control,
    /// Inside the payload of a frame of [`Cold::message`].
    Data,
    /// Inside a payload that belongs to no message.
    Ignored,
    /// The frame boundary is lost: [`Cold::search`].
    Seeking,
    /// What comes is no WebSocket.
    Inert,
}

/// What is known of permessage-deflate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Compression {
    None,
    WithoutTakeover,
    WithTakeover,
    /// The opening handshake was not seen.
    Unseen,
}

/// What most directions never need.
#[derive(Debug, Default)]
struct Cold {
    rare: Rare,
    /// The beginning of a header that was cut, or that may be HTTP.
    header: [u8; MAX_HEADER],
    header_length: u8,
    /// The frame that is under way.
    frame: Option<FrameHeader>,
    /// Payload bytes of it that have not come.
    remaining: u64,
    /// Its key, for the next byte of its payload.
    key: MaskingKey,
    /// The beginning of its payload, where it is a control frame.
    control: Vec<u8>,
    control_has_holes: bool,
    message: Option<Assembly>,
    /// Perhaps in the middle of a message whose beginning is not known.
    adrift: bool,
    inflation: Option<Box<Inflation>>,
    /// Whether compressed messages before this point are not known.
    history_lost: bool,
    search: Option<Box<Search>>,
    /// Frames until a boundary that was found is trusted.
    trial: u8,
    lost_bytes: u64,
    violations: Vec<Violation>,
    more_violations: u64,
    first_bytes: Vec<u8>,
    /// Whether more of them may come.
    keeps_first_bytes: bool,
    inflation_stopped: u64,
    /// The keys of masked frames, where who follows the direction wants to know it again.
    masks: Option<Masks>,
    keeps_masks: bool,
}

/// What stays the same while a piece is decoded.
struct Context<'a, L> {
    when: When,
    scratch: &'a mut Scratch,
    listener: &'a mut L,
}

impl Decoder {
    /// For what `role` sends from the end of the opening handshake on.
    pub fn new(role: Role, agreed: Agreed) -> Decoder {
        let compression = match agreed.deflate {
            Some(deflate) if deflate.no_context_takeover => Compression::WithoutTakeover,
            Some(_) => Compression::WithTakeover,
            None if agreed.handshake_seen => Compression::None,
            None => Compression::Unseen,
        };
        let (tally, phase) = (Tally::default(), Phase::Boundary);
        let mut decoder = Decoder { tally, phase, role, compression, over: false, cold: None };
        if !agreed.handshake_seen {
            decoder.seek();
        }
        decoder
    }

    /// Who sends.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the opening handshake was seen.
    pub fn handshake_seen(&self) -> bool {
        self.compression != Compression::Unseen
    }

    /// The next bytes, from the packet of that moment.
    #[inline]
    pub fn handle<L: FrameListener>(&mut self, bytes: &[u8], when: When, scratch: &mut Scratch, listener: &mut L) {
        self.count(bytes.len() as u64);
        if self.cold.as_ref().is_some_and(|cold| cold.keeps_first_bytes) {
            self.keep_first_bytes(bytes);
        }
        self.run(bytes, &mut Context { when, scratch, listener });
        if self.phase == Phase::Seeking {
            self.take_up(when.base, scratch, listener);
        }
    }

    /// So many bytes are missing from the capture here; `when` is that of the packet that showed it.
    pub fn gap<L: FrameListener>(&mut self, bytes: u64, when: When, scratch: &mut Scratch, listener: &mut L) {
        self.count(bytes);
        if let Some(cold) = &mut self.cold {
            cold.keeps_first_bytes = false;
        }
        let context = &mut Context { when, scratch, listener };
        let remaining = self.cold.as_ref().map_or(0, |cold| cold.remaining);
        match self.phase {
            Phase::Inert => {}
            Phase::Seeking => self.search().gap(bytes),
            Phase::Control | Phase::Data | Phase::Ignored if bytes <= remaining => self.skip(bytes, context),
            _ => self.lose_boundary(context),
        }
    }

    /// About so many bytes are missing here: nobody knows where in which frame the next ones stand.
    pub fn lose_place<L: FrameListener>(&mut self, bytes: u64, when: When, scratch: &mut Scratch, listener: &mut L) {
        self.count(bytes);
        if let Some(cold) = &mut self.cold {
            cold.keeps_first_bytes = false;
        }
        match self.phase {
            Phase::Inert => {}
            Phase::Seeking => self.search().lose_place(bytes),
            _ => self.lose_boundary(&mut Context { when, scratch, listener }),
        }
    }

    /// Whether it was told that nothing more comes.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Nothing more comes: what was held back is decoded as far as it goes.
    pub fn finish<L: FrameListener>(&mut self, opened: Moment, scratch: &mut Scratch, listener: &mut L) {
        self.over = true;
        if self.phase != Phase::Seeking {
            return;
        }
        match self.search().take_at_the_end() {
            Some(held) => self.resume(held, opened, scratch, listener),
            None => {
                let (lost, moment) = self.search().give_up();
                self.count_lost(lost, moment, listener);
            }
        }
    }

    /// All that is known, at any time.
    pub fn facts(&self, opened: Moment) -> DirectionFacts {
        let Some(cold) = self.cold.as_deref() else {
            return self.tally.facts(&Rare::default(), None, opened);
        };
        let open_message = cold.message.as_ref().map(|message| message.opcode);
        DirectionFacts {
            open_frame: self.open_frame(opened),
            open_message,
            lost_bytes: cold.lost_bytes,
            violations: cold.violations.clone(),
            more_violations: cold.more_violations,
            first_bytes: cold.first_bytes.clone(),
            inflation_stopped: cold.inflation_stopped,
            masks: cold.masks,
            ..self.tally.facts(&cold.rare, open_message, opened)
        }
    }

    /// Frames by opcode.
    pub fn frames(&self) -> FrameCounts {
        self.tally.frames(self.cold.as_ref().map_or(&Rare::default(), |cold| &cold.rare))
    }

    /// Bytes of the stream so far: headers, payloads, gaps and what was skipped.
    pub fn bytes(&self) -> u64 {
        self.tally.bytes(self.cold.as_ref().map_or(&Rare::default(), |cold| &cold.rare))
    }

    /// The last frame of any kind.
    pub fn last_frame(&self, opened: Moment) -> Option<Moment> {
        self.tally.last_frame(opened)
    }

    /// Whether a frame has been seen.
    pub fn has_frames(&self) -> bool {
        self.tally.has_frames()
    }

    /// The frame that the stream is in the middle of.
    pub fn open_frame(&self, opened: Moment) -> Option<OpenFrame> {
        if !matches!(self.phase, Phase::Control | Phase::Data | Phase::Ignored) {
            return None;
        }
        let cold = self.cold.as_ref()?;
        let header = cold.frame?;
        let seen = header.length - cold.remaining;
        Some(OpenFrame { opcode: header.opcode(), length: header.length, seen, moment: self.last_frame(opened)? })
    }

    fn cold(&mut self) -> &mut Cold {
        self.cold.get_or_insert_default()
    }

    /// Counts bytes of the stream.
    #[inline]
    fn count(&mut self, bytes: u64) {
        let carry = self.tally.count(bytes);
        if carry > 0 {
            self.cold().rare.carry_bytes(carry);
        }
    }
}

impl Decoder {
    /// Decodes until the bytes are used up.
    #[inline]
    fn run<L: FrameListener>(&mut self, bytes: &[u8], context: &mut Context<'_, L>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = match self.phase {
                Phase::Boundary => self.begin_frame(rest, context),
                Phase::Control | Phase::Data | Phase::Ignored => self.go_on(rest, context),
                Phase::Header => self.go_on_with_header(rest, context),
                Phase::Seeking => return self.search().add(rest, context.when.moment),
                Phase::Inert => return,
            };
            rest = &rest[used..];
        }
    }

    /// At a frame boundary. Returns how many bytes were used.
    #[inline]
    fn begin_frame<L: FrameListener>(&mut self, bytes: &[u8], context: &mut Context<'_, L>) -> usize {
        match FrameHeader::read(bytes) {
            Some(header) if header.is_plain_message(self.role) && self.cold.is_none() => {
                self.plain_message(&header, bytes, context)
            }
            Some(header) if header.is_proper(self.role) && header.reserved() & !self.allowed(&header) == 0 => {
                self.frame(&header, bytes, context)
            }
            header => self.odd_frame(header, bytes, context),
        }
    }

    /// A frame that is a message of its own, on a direction where nothing special was seen so far.
    #[inline]
    fn plain_message<L: FrameListener>(
        &mut self,
        header: &FrameHeader,
        bytes: &[u8],
        context: &mut Context<'_, L>,
    ) -> usize {
        let size = header.size();
        let end = usize::try_from(header.length).map_or(usize::MAX, |length| size.saturating_add(length));
        match bytes.get(size..end) {
            Some(payload) if payload.len() <= CHUNK && self.tally.data_frame(header.opcode(), context.when.later) => {
                self.simple_message(header, payload, context);
                end
            }
            _ => self.frame(header, bytes, context),
        }
    }

    /// The reserved bits that an agreed extension gives a meaning in this frame (RFC 7692 §6).
    #[inline]
    fn allowed(&self, header: &FrameHeader) -> u8 {
        if self.compression != Compression::None && may_be_compressed(header.opcode()) { RSV1 } else { 0 }
    }

    /// A frame, as much as is there of it. Returns how many bytes were used.
    #[inline(never)]
    fn frame<L: FrameListener>(&mut self, header: &FrameHeader, bytes: &[u8], context: &mut Context<'_, L>) -> usize {
        self.announce(header, context.when);
        let (start, payload) = bytes.split_at(header.size());
        if (payload.len() as u64) < header.length {
            self.open(header, context);
            return start.len();
        }
        let payload = &payload[..header.length as usize];
        if self.is_simple(header, context.listener.preview()) {
            self.simple_message(header, payload, context);
        } else if matches!(header.opcode(), Opcode::CLOSE | Opcode::PING | Opcode::PONG) {
            let mut plain = [0; MAX_CONTROL];
            let plain = header.key.unmask(payload, &mut plain);
            self.control(header, context.when.moment, plain, true, context);
        } else {
            self.open_and_go_on(header, payload, context);
        }
        start.len() + payload.len()
    }

    /// Counts a frame at its header.
    #[inline]
    fn announce(&mut self, header: &FrameHeader, when: When) {
        let opcode = header.opcode();
        let carry = self.tally.frame(opcode, when.later);
        if carry > 0 {
            self.cold().rare.carry(opcode, carry);
        }
        if let Some(cold) = &mut self.cold {
            cold.trial = cold.trial.saturating_sub(1);
            if cold.keeps_masks && header.is_masked() {
                Masks::note(&mut cold.masks, Masked { key: header.key, moment: when.moment });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_direction_is_small() {
        assert_eq!(size_of::<Decoder>(), 88);
    }
}
