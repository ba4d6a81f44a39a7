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
//! A message that is one plain frame in one packet, as nearly all are, touches the decoder's two cache lines and nothing
//! else. All other state is in [`Cold`], made when it is first needed.

use crate::packet::Moment;
use crate::stream::Role;
use crate::ws::assembly::{Assembly, shown};
use crate::ws::close;
use crate::ws::deflate::{Inflation, Trouble, may_be_compressed};
use crate::ws::facts::{DirectionFacts, FrameCounts, Opcode, OpenFrame, Violation, ViolationKind};
use crate::ws::header::{FrameHeader, MAX_CONTROL, MAX_HEADER, RSV1};
use crate::ws::mask::MaskingKey;
use crate::ws::message::{Control, FrameListener, Message};
use crate::ws::misfit::{self, Http};
use crate::ws::resync::{Held, Search};
use crate::ws::scratch::{CHUNK, Scratch};
use crate::ws::tally::{Rare, Tally};

/// Bytes kept of a direction that does not begin with a proper frame.
const FIRST_BYTES: usize = 64;

/// Frames for which a boundary that was found, not known, is on trial: an odd header there says that it was none.
const TRIAL: u8 = 8;

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
    /// Payload bytes of the current frame that have not come.
    remaining: u64,
    /// The current frame's key, for the next byte of its payload.
    key: MaskingKey,
    phase: Phase,
    role: Role,
    compression: Compression,
    tally: Tally,
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
}

/// What stays the same while a piece is decoded.
struct Context<'a, L> {
    moment: Moment,
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
        let mut decoder = Decoder {
            remaining: 0,
            key: MaskingKey::NONE,
            phase: Phase::Boundary,
            role,
            compression,
            tally: Tally::default(),
            cold: None,
        };
        if !agreed.handshake_seen {
            decoder.seek();
        }
        decoder
    }

    /// Who sends.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The next bytes, from the packet of that moment.
    #[inline]
    pub fn handle<L: FrameListener>(&mut self, bytes: &[u8], moment: Moment, scratch: &mut Scratch, listener: &mut L) {
        self.tally.bytes += bytes.len() as u64;
        if self.cold.as_ref().is_some_and(|cold| cold.keeps_first_bytes) {
            self.keep_first_bytes(bytes);
        }
        self.run(bytes, &mut Context { moment, scratch, listener });
        if self.phase == Phase::Seeking {
            self.take_up(scratch, listener);
        }
    }

    /// So many bytes are missing from the capture here; `moment` is that of the packet that showed it.
    pub fn gap<L: FrameListener>(&mut self, bytes: u64, moment: Moment, scratch: &mut Scratch, listener: &mut L) {
        self.tally.bytes = self.tally.bytes.saturating_add(bytes);
        if let Some(cold) = &mut self.cold {
            cold.keeps_first_bytes = false;
        }
        let context = &mut Context { moment, scratch, listener };
        match self.phase {
            Phase::Inert => {}
            Phase::Seeking => self.search().gap(bytes),
            Phase::Control | Phase::Data | Phase::Ignored if bytes <= self.remaining => self.skip(bytes, context),
            _ => self.lose_boundary(context),
        }
    }

    /// Nothing more comes: what was held back is decoded as far as it goes.
    pub fn finish<L: FrameListener>(&mut self, scratch: &mut Scratch, listener: &mut L) {
        if self.phase != Phase::Seeking {
            return;
        }
        match self.search().take_at_the_end() {
            Some(held) => self.resume(held, scratch, listener),
            None => {
                let (lost, moment) = self.search().give_up();
                self.count_lost(lost, moment, listener);
            }
        }
    }

    /// Joins a stream in its middle: the bytes that were held for it come next, and begin with a frame.
    pub fn join(&mut self, held: &Held) {
        self.tally.bytes += held.lost;
        self.cold().lost_bytes += held.lost;
        if held.ahead > 0 || !held.bytes.is_empty() {
            self.begin_trial(held.ahead);
        }
    }

    /// All that is known, at any time.
    pub fn facts(&self) -> DirectionFacts {
        let Some(cold) = self.cold.as_deref() else { return self.tally.facts(&Rare::default(), None) };
        let open_message = cold.message.as_ref().map(|message| message.opcode);
        DirectionFacts {
            open_frame: self.open_frame(),
            open_message,
            lost_bytes: cold.lost_bytes,
            violations: cold.violations.clone(),
            more_violations: cold.more_violations,
            first_bytes: cold.first_bytes.clone(),
            inflation_stopped: cold.inflation_stopped,
            ..self.tally.facts(&cold.rare, open_message)
        }
    }

    /// Frames by opcode.
    pub fn frames(&self) -> FrameCounts {
        self.tally.frames(self.cold.as_ref().map_or(&Rare::default(), |cold| &cold.rare))
    }

    /// The last frame of any kind.
    pub fn last_frame(&self) -> Option<Moment> {
        self.tally.last_frame()
    }

    /// Whether a frame has been seen.
    pub fn has_frames(&self) -> bool {
        self.tally.has_frames()
    }

    /// The frame that the stream is in the middle of.
    pub fn open_frame(&self) -> Option<OpenFrame> {
        if !matches!(self.phase, Phase::Control | Phase::Data | Phase::Ignored) {
            return None;
        }
        let header = self.cold.as_ref()?.frame?;
        let seen = header.length - self.remaining;
        Some(OpenFrame { opcode: header.opcode(), length: header.length, seen, moment: self.last_frame()? })
    }

    fn cold(&mut self) -> &mut Cold {
        self.cold.get_or_insert_default()
    }
}

/// Frames.
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
                Phase::Seeking => return self.search().add(rest, context.moment),
                Phase::Inert => return,
            };
            rest = &rest[used..];
        }
    }

    /// At a frame boundary. Returns how many bytes were used.
    #[inline]
    fn begin_frame<L: FrameListener>(&mut self, bytes: &[u8], context: &mut Context<'_, L>) -> usize {
        match FrameHeader::read(bytes) {
            Some(header) if header.is_proper(self.role) && header.reserved() & !self.allowed(&header) == 0 => {
                self.frame(&header, bytes, context)
            }
            header => self.odd_frame(header, bytes, context),
        }
    }

    /// The reserved bits that an agreed extension gives a meaning in this frame (RFC 7692 §6).
    #[inline]
    fn allowed(&self, header: &FrameHeader) -> u8 {
        if self.compression != Compression::None && may_be_compressed(header.opcode()) { RSV1 } else { 0 }
    }

    /// A frame, as much as is there of it. Returns how many bytes were used.
    #[inline]
    fn frame<L: FrameListener>(&mut self, header: &FrameHeader, bytes: &[u8], context: &mut Context<'_, L>) -> usize {
        self.announce(header, context.moment);
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
            self.control(header, context.moment, plain, true, context);
        } else {
            self.open_and_go_on(header, payload, context);
        }
        start.len() + payload.len()
    }

    /// Counts a frame at its header.
    #[inline]
    fn announce(&mut self, header: &FrameHeader, moment: Moment) {
        let carry = self.tally.frame(header.opcode(), moment);
        if carry > 0 {
            self.cold().rare.carry(header.opcode(), carry);
        }
        if let Some(cold) = &mut self.cold {
            cold.trial = cold.trial.saturating_sub(1);
        }
    }

    /// Whether a frame that is here to its end is a message that needs no [`Assembly`].
    #[inline]
    fn is_simple(&self, header: &FrameHeader, preview: usize) -> bool {
        let opcode = header.opcode();
        let unmasked = if opcode == Opcode::TEXT { header.length } else { header.length.min(preview as u64) };
        header.is_final()
            && header.reserved() == 0
            && matches!(opcode, Opcode::TEXT | Opcode::BINARY)
            && (unmasked <= CHUNK as u64 || !header.is_masked())
            && header.length <= u64::from(u32::MAX)
            && self.cold.as_ref().is_none_or(|cold| cold.message.is_none() && !cold.adrift)
    }

    /// A message that is one plain frame, whole in this packet.
    #[inline]
    fn simple_message<L: FrameListener>(&mut self, header: &FrameHeader, payload: &[u8], context: &mut Context<'_, L>) {
        let (opcode, moment) = (header.opcode(), context.moment);
        let shown = shown(opcode, context.listener.preview()).min(payload.len());
        let needed = if opcode == Opcode::TEXT { payload } else { &payload[..shown] };
        let plain = if header.key.is_none() { needed } else { header.key.unmask(needed, &mut *context.scratch.plain) };
        if opcode == Opcode::TEXT && simdutf8::basic::from_utf8(plain).is_err() {
            return self.open_and_go_on(header, payload, context);
        }
        self.tally.simple_message(payload.len() as u32, moment);
        context.listener.message(Message {
            opcode,
            start: moment,
            moment,
            bytes: payload.len() as u64,
            compressed: false,
            fragments: 1,
            preview: &plain[..shown],
            truncated: shown < payload.len(),
            holes: false,
        });
    }

    /// A frame that is whole in this packet, but no simple message.
    fn open_and_go_on<L: FrameListener>(&mut self, header: &FrameHeader, payload: &[u8], context: &mut Context<'_, L>) {
        self.open(header, context);
        if payload.is_empty() {
            self.end_frame(context);
        } else {
            self.go_on(payload, context);
        }
    }

    /// The payload of this frame comes piece by piece.
    fn open<L: FrameListener>(&mut self, header: &FrameHeader, context: &mut Context<'_, L>) {
        self.remaining = header.length;
        self.key = header.key;
        self.phase = match header.opcode() {
            Opcode::CLOSE | Opcode::PING | Opcode::PONG => {
                let cold = self.cold();
                cold.control.clear();
                cold.control_has_holes = false;
                Phase::Control
            }
            Opcode::CONTINUATION | Opcode::TEXT | Opcode::BINARY => {
                self.cold().rare.data_frame(header.length, context.moment);
                if self.fragment(header, context) { Phase::Data } else { Phase::Ignored }
            }
            _ => Phase::Ignored,
        };
        self.cold().frame = Some(*header);
    }

    /// Puts a data frame in its place (RFC 6455 §5.4). False when it belongs to no message that is known.
    fn fragment<L: FrameListener>(&mut self, header: &FrameHeader, context: &mut Context<'_, L>) -> bool {
        let opcode = header.opcode();
        let cold = self.cold();
        if opcode == Opcode::CONTINUATION {
            if let Some(message) = &mut cold.message {
                message.fragment();
                return true;
            }
            if !cold.adrift {
                self.violation(ViolationKind::ContinuationWithoutStart, context);
            } else if header.is_final() {
                cold.adrift = false;
            }
            return false;
        }
        cold.adrift = false;
        if cold.message.is_some() {
            self.abandon_message(context.scratch);
            self.violation(ViolationKind::DataInsideMessage, context);
        }
        let compressed = header.reserved() & self.allowed(header) != 0;
        let inflation = if compressed { Some(self.inflation()) } else { None };
        let mut message = Assembly::begin(opcode, context.moment, inflation, &mut context.scratch.pool);
        if header.reserved() != 0 && !compressed {
            message.do_not_judge();
        }
        self.cold().message = Some(message);
        true
    }

    /// Inside a payload. Returns how many bytes were used.
    fn go_on<L: FrameListener>(&mut self, bytes: &[u8], context: &mut Context<'_, L>) -> usize {
        let payload = &bytes[..usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len())];
        match self.phase {
            Phase::Control => {
                let key = self.key;
                let control = &mut self.cold().control;
                let from = control.len();
                control.resize((from + payload.len()).min(MAX_CONTROL), 0);
                key.unmask(payload, &mut control[from..]);
            }
            Phase::Data => self.push(payload, context),
            _ => {}
        }
        self.remaining -= payload.len() as u64;
        self.key = self.key.after(payload.len() as u64);
        if self.remaining == 0 {
            self.end_frame(context);
        }
        payload.len()
    }

    /// Payload of the message that is under way.
    fn push<L: FrameListener>(&mut self, payload: &[u8], context: &mut Context<'_, L>) {
        let key = self.key;
        let Cold { message: Some(message), inflation, .. } = self.cold() else { return };
        let preview = context.listener.preview();
        let result = message.push(payload, key, inflation.as_deref_mut(), context.scratch, preview);
        let invalid = message.has_become_invalid();
        if invalid {
            self.violation(ViolationKind::Utf8, context);
        }
        if let Err(trouble) = result {
            self.trouble(trouble, context);
        }
    }

    /// The last byte of a payload has come.
    fn end_frame<L: FrameListener>(&mut self, context: &mut Context<'_, L>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Boundary);
        let Some(header) = self.cold().frame.take() else { return };
        match phase {
            Phase::Control => {
                let payload = std::mem::take(&mut self.cold().control);
                let whole = !self.cold().control_has_holes;
                let start = self.last_frame().unwrap_or(context.moment);
                self.control(&header, start, &payload, whole, context);
                self.cold().control = payload;
            }
            Phase::Data if header.is_final() => self.end_message(context),
            _ => {}
        }
    }

    /// The last frame of a message is complete.
    fn end_message<L: FrameListener>(&mut self, context: &mut Context<'_, L>) {
        let cold = self.cold();
        let Some(mut message) = cold.message.take() else { return };
        let preview = context.listener.preview();
        let result = message.finish(cold.inflation.as_deref_mut(), context.scratch, preview);
        let invalid = message.has_ended_invalid();
        if invalid {
            self.violation(ViolationKind::Utf8, context);
        }
        if let Err(trouble) = result {
            self.trouble(trouble, context);
        }
        let told = message.message(context.moment);
        let Decoder { tally, cold: Some(cold), .. } = self else { return };
        tally.message(told.bytes, context.moment, &mut cold.rare);
        context.listener.message(told);
    }

    /// A control frame is complete.
    fn control<L: FrameListener>(
        &mut self,
        header: &FrameHeader,
        start: Moment,
        payload: &[u8],
        whole: bool,
        context: &mut Context<'_, L>,
    ) {
        let Context { moment, listener, .. } = context;
        let (opcode, length) = (header.opcode(), header.length);
        listener.control(Control { opcode, start, moment: *moment, payload, length, whole });
        if opcode == Opcode::CLOSE && whole && length <= MAX_CONTROL as u64 {
            close::violations(payload).for_each(|kind| self.violation(kind, context));
        }
    }

    fn inflation(&mut self) -> &mut Inflation {
        let takeover = self.compression != Compression::WithoutTakeover;
        let unseen = self.compression == Compression::Unseen;
        let cold = self.cold();
        let known = !unseen && !cold.history_lost;
        cold.inflation.get_or_insert_with(|| Box::new(Inflation::new(takeover, known)))
    }
}

/// What is wrong.
impl Decoder {
    /// The header is incomplete, or it breaks a rule.
    #[cold]
    fn odd_frame<L: FrameListener>(
        &mut self,
        header: Option<FrameHeader>,
        bytes: &[u8],
        context: &mut Context<'_, L>,
    ) -> usize {
        let http = misfit::http(bytes);
        let Some(header) = header.filter(|_| http != Http::Undecided) else {
            // Thirteen bytes at most: fourteen complete every header and resolve every doubt.
            let cold = self.cold();
            cold.header[..bytes.len()].copy_from_slice(bytes);
            cold.header_length = bytes.len() as u8;
            self.phase = Phase::Header;
            return bytes.len();
        };
        if self.cold().trial > 0 {
            self.lose_boundary(context);
            return 0;
        }
        if !self.has_frames() {
            self.keep_first_bytes(bytes);
        }
        if http == Http::Certain {
            self.violation(ViolationKind::Http, context);
            self.phase = Phase::Inert;
            return bytes.len();
        }
        for kind in self.violations_of(&header).into_iter().flatten() {
            self.violation(kind, context);
        }
        self.frame(&header, bytes, context)
    }

    /// In the middle of a header, or of what may be HTTP.
    #[cold]
    fn go_on_with_header<L: FrameListener>(&mut self, bytes: &[u8], context: &mut Context<'_, L>) -> usize {
        let cold = self.cold();
        let length = usize::from(cold.header_length);
        cold.header[length] = bytes[0];
        let header = cold.header;
        self.phase = Phase::Boundary;
        let kept = std::mem::replace(&mut self.cold().keeps_first_bytes, false);
        self.run(&header[..=length], context);
        if kept {
            self.cold().keeps_first_bytes = true;
        } else if self.cold().keeps_first_bytes {
            self.keep_first_bytes(&bytes[1..]);
        }
        1
    }

    /// The rules that a header breaks.
    fn violations_of(&self, header: &FrameHeader) -> [Option<ViolationKind>; 5] {
        let opcode = header.opcode();
        let mask = match self.role {
            Role::Client if !header.is_masked() => Some(ViolationKind::Unmasked),
            Role::Server if header.is_masked() => Some(ViolationKind::Masked),
            _ => None,
        };
        let reserved = header.reserved() & !self.allowed(header);
        // Without the opening handshake nobody knows what was agreed.
        let reserved =
            (reserved != 0 && self.compression != Compression::Unseen).then_some(ViolationKind::ReservedBits(reserved));
        let known = (!opcode.is_known()).then_some(ViolationKind::ReservedOpcode(opcode.0));
        let length = (!header.is_minimal()).then_some(ViolationKind::Length);
        let control = if !opcode.is_control() {
            None
        } else if !header.is_final() {
            Some(ViolationKind::FragmentedControl)
        } else {
            (header.length > MAX_CONTROL as u64).then_some(ViolationKind::ControlTooLong(header.length))
        };
        [mask, reserved, known, length, control]
    }

    /// Keeps and tells a violation.
    #[cold]
    fn violation<L: FrameListener>(&mut self, kind: ViolationKind, context: &mut Context<'_, L>) {
        let violation = Violation { kind, moment: context.moment };
        let cold = self.cold();
        if cold.violations.len() < context.scratch.violations {
            cold.violations.push(violation);
        } else {
            cold.more_violations += 1;
        }
        context.listener.violation(violation);
    }

    /// A message does not inflate to its end.
    #[cold]
    fn trouble<L: FrameListener>(&mut self, trouble: Trouble, context: &mut Context<'_, L>) {
        match trouble {
            Trouble::Corrupt => self.violation(ViolationKind::Inflate, context),
            Trouble::TooLong | Trouble::Displaced => self.cold().inflation_stopped += 1,
            Trouble::Unknown => {}
        }
    }

    /// Keeps the beginning of a direction that is not what it should be.
    fn keep_first_bytes(&mut self, bytes: &[u8]) {
        let cold = self.cold();
        let room = FIRST_BYTES - cold.first_bytes.len();
        cold.first_bytes.extend_from_slice(&bytes[..room.min(bytes.len())]);
        cold.keeps_first_bytes = cold.first_bytes.len() < FIRST_BYTES;
    }
}

/// What is missing.
impl Decoder {
    /// So many bytes of the current payload are missing. The frame boundary behind it is known nevertheless.
    fn skip<L: FrameListener>(&mut self, bytes: u64, context: &mut Context<'_, L>) {
        let phase = self.phase;
        let cold = self.cold();
        if phase == Phase::Control {
            let length = (cold.control.len() as u64).saturating_add(bytes).min(MAX_CONTROL as u64);
            cold.control.resize(length as usize, b'?');
            cold.control_has_holes = true;
        } else if phase == Phase::Data
            && let Some(message) = &mut cold.message
        {
            message.gap(bytes, context.listener.preview());
            if message.is_compressed()
                && let Some(inflation) = &mut cold.inflation
            {
                inflation.lose(&mut context.scratch.pool);
            }
        }
        self.remaining -= bytes;
        self.key = self.key.after(bytes);
        if self.remaining == 0 {
            self.end_frame(context);
        }
    }

    /// It is not known any more where the next frame begins.
    fn lose_boundary<L: FrameListener>(&mut self, context: &mut Context<'_, L>) {
        self.abandon_message(context.scratch);
        if let Some(inflation) = &mut self.cold().inflation {
            inflation.lose(&mut context.scratch.pool);
        }
        self.seek();
    }

    fn seek(&mut self) {
        let deflate = self.compression != Compression::None;
        let search = Search::new(Some(self.role), deflate, true);
        self.phase = Phase::Seeking;
        self.remaining = 0;
        let cold = self.cold();
        cold.frame = None;
        cold.history_lost = true;
        cold.search = Some(Box::new(search));
    }

    fn abandon_message(&mut self, scratch: &mut Scratch) {
        let cold = self.cold();
        let Some(message) = cold.message.take() else { return };
        cold.rare.unfinished(message.opcode);
        if message.is_compressed()
            && let Some(inflation) = &mut cold.inflation
        {
            inflation.lose(&mut scratch.pool);
        }
    }

    fn search(&mut self) -> &mut Search {
        let (role, deflate) = (self.role, self.compression != Compression::None);
        self.cold().search.get_or_insert_with(|| Box::new(Search::new(Some(role), deflate, true)))
    }

    /// Goes on where the search has found a boundary, as often as it is lost again in the bytes that were held.
    #[cold]
    fn take_up<L: FrameListener>(&mut self, scratch: &mut Scratch, listener: &mut L) {
        while self.phase == Phase::Seeking
            && let Some(held) = self.search().take_found()
        {
            self.resume(held, scratch, listener);
        }
    }

    /// Decodes the bytes that were held, from a boundary that is on trial.
    fn resume<L: FrameListener>(&mut self, held: Held, scratch: &mut Scratch, listener: &mut L) {
        self.begin_trial(held.ahead);
        let moment = held.packets.first().map_or(held.latest, |&(moment, _)| moment);
        self.count_lost(held.lost, moment, listener);
        listener.resynchronised(moment);
        for (moment, piece) in held.pieces() {
            self.run(piece, &mut Context { moment, scratch, listener });
        }
    }

    /// A frame begins after so many bytes, it seems.
    fn begin_trial(&mut self, ahead: u64) {
        let cold = self.cold();
        cold.search = None;
        cold.adrift = true;
        cold.trial = TRIAL;
        self.remaining = ahead;
        self.phase = if ahead > 0 { Phase::Ignored } else { Phase::Boundary };
    }

    fn count_lost<L: FrameListener>(&mut self, bytes: u64, moment: Moment, listener: &mut L) {
        if bytes > 0 {
            self.cold().lost_bytes += bytes;
            listener.lost(bytes, moment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_direction_is_two_cache_lines() {
        assert_eq!(size_of::<Decoder>(), 128);
    }
}
