//! Payloads: of control frames, of simple messages, of messages that come in parts.

use crate::packet::{Moment, When};
use crate::ws::assembly::{Assembly, shown};
use crate::ws::close;
use crate::ws::decoder::{Cold, Compression, Context, Decoder, Phase};
use crate::ws::deflate::Inflation;
use crate::ws::facts::{Opcode, ViolationKind};
use crate::ws::header::{FrameHeader, MAX_CONTROL};
use crate::ws::mask::MaskingKey;
use crate::ws::message::{Control, FrameListener, Message};
use crate::ws::scratch::CHUNK;

impl Decoder {
    /// Whether a frame that is here to its end is a message that needs no [`Assembly`].
    #[inline]
    pub(super) fn is_simple(&self, header: &FrameHeader, preview: usize) -> bool {
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
    pub(super) fn simple_message<L: FrameListener>(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        context: &mut Context<'_, L>,
    ) {
        let (opcode, When { moment, later, .. }) = (header.opcode(), context.when);
        let shown = shown(opcode, context.listener.preview()).min(payload.len());
        let needed = if opcode == Opcode::TEXT { payload } else { &payload[..shown] };
        let plain = if header.key.is_none() { needed } else { header.key.unmask(needed, &mut *context.scratch.plain) };
        // Most text is ASCII, and short.
        if opcode == Opcode::TEXT && !plain.is_ascii() && simdutf8::basic::from_utf8(plain).is_err() {
            return self.open_and_go_on(header, payload, context);
        }
        let carry = self.tally.simple_message(payload.len() as u32, later);
        if carry > 0 {
            self.cold().rare.carry_message_bytes(carry);
        }
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
    pub(super) fn open_and_go_on<L: FrameListener>(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        context: &mut Context<'_, L>,
    ) {
        self.open(header, context);
        if payload.is_empty() {
            self.end_frame(context);
        } else {
            self.go_on(payload, context);
        }
    }

    /// The payload of this frame comes piece by piece.
    pub(super) fn open<L: FrameListener>(&mut self, header: &FrameHeader, context: &mut Context<'_, L>) {
        self.phase = match header.opcode() {
            Opcode::CLOSE | Opcode::PING | Opcode::PONG => {
                let cold = self.cold();
                cold.control.clear();
                cold.control_has_holes = false;
                Phase::Control
            }
            Opcode::CONTINUATION | Opcode::TEXT | Opcode::BINARY => {
                self.cold().rare.data_frame(header.length, context.when.moment);
                if self.fragment(header, context) { Phase::Data } else { Phase::Ignored }
            }
            _ => Phase::Ignored,
        };
        let cold = self.cold();
        (cold.frame, cold.remaining, cold.key) = (Some(*header), header.length, header.key);
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
        let mut message = Assembly::begin(opcode, context.when.moment, inflation, &mut context.scratch.pool);
        if header.reserved() != 0 && !compressed {
            message.do_not_judge();
        }
        self.cold().message = Some(message);
        true
    }

    /// Inside a payload. Returns how many bytes were used.
    pub(super) fn go_on<L: FrameListener>(&mut self, bytes: &[u8], context: &mut Context<'_, L>) -> usize {
        let phase = self.phase;
        let cold = self.cold();
        let (key, remaining) = (cold.key, usize::try_from(cold.remaining).unwrap_or(usize::MAX));
        let payload = &bytes[..remaining.min(bytes.len())];
        match phase {
            Phase::Control => {
                let from = cold.control.len();
                cold.control.resize((from + payload.len()).min(MAX_CONTROL), 0);
                key.unmask(payload, &mut cold.control[from..]);
            }
            Phase::Data => self.push(payload, key, context),
            _ => {}
        }
        self.advance(payload.len() as u64, context);
        payload.len()
    }

    /// So many bytes of the payload are dealt with.
    pub(super) fn advance<L: FrameListener>(&mut self, bytes: u64, context: &mut Context<'_, L>) {
        let cold = self.cold();
        cold.remaining -= bytes;
        cold.key = cold.key.after(bytes);
        if cold.remaining == 0 {
            self.end_frame(context);
        }
    }

    /// Payload of the message that is under way.
    fn push<L: FrameListener>(&mut self, payload: &[u8], key: MaskingKey, context: &mut Context<'_, L>) {
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
    pub(super) fn end_frame<L: FrameListener>(&mut self, context: &mut Context<'_, L>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Boundary);
        let Some(header) = self.cold().frame.take() else { return };
        match phase {
            Phase::Control => {
                let payload = std::mem::take(&mut self.cold().control);
                let whole = !self.cold().control_has_holes;
                let start = self.last_frame(context.when.base).unwrap_or(context.when.moment);
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
        let told = message.message(context.when.moment);
        let Decoder { tally, cold: Some(cold), .. } = self else { return };
        tally.message(told.bytes, context.when.moment, &mut cold.rare);
        context.listener.message(told);
    }

    /// A control frame is complete.
    pub(super) fn control<L: FrameListener>(
        &mut self,
        header: &FrameHeader,
        start: Moment,
        payload: &[u8],
        whole: bool,
        context: &mut Context<'_, L>,
    ) {
        let Context { when, listener, .. } = context;
        let (opcode, length) = (header.opcode(), header.length);
        listener.control(Control { opcode, start, moment: when.moment, payload, length, whole });
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
