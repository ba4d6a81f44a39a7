//! Headers that are incomplete, forbidden, or none.

use crate::stream::Role;
use crate::ws::decoder::{Compression, Context, Decoder, Phase};
use crate::ws::deflate::Trouble;
use crate::ws::facts::{Violation, ViolationKind};
use crate::ws::header::{FrameHeader, MAX_CONTROL};
use crate::ws::message::FrameListener;
use crate::ws::misfit::{self, Http};

/// Bytes kept of a direction that does not begin with a proper frame.
const FIRST_BYTES: usize = 64;

impl Decoder {
    /// The header is incomplete, or it breaks a rule.
    #[cold]
    pub(super) fn odd_frame<L: FrameListener>(
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
    pub(super) fn go_on_with_header<L: FrameListener>(&mut self, bytes: &[u8], context: &mut Context<'_, L>) -> usize {
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
    pub(super) fn violation<L: FrameListener>(&mut self, kind: ViolationKind, context: &mut Context<'_, L>) {
        let violation = Violation { kind, moment: context.when.moment };
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
    pub(super) fn trouble<L: FrameListener>(&mut self, trouble: Trouble, context: &mut Context<'_, L>) {
        match trouble {
            // Behind a hole the boundary that was found may be a wrong one, until more frames speak for it.
            Trouble::Corrupt if self.cold().trial > 0 => {}
            Trouble::Corrupt => self.violation(ViolationKind::Inflate, context),
            Trouble::TooLong | Trouble::Displaced => self.cold().inflation_stopped += 1,
            Trouble::Unknown => {}
        }
    }

    /// Keeps the beginning of a direction that is not what it should be.
    pub(super) fn keep_first_bytes(&mut self, bytes: &[u8]) {
        let cold = self.cold();
        let room = FIRST_BYTES - cold.first_bytes.len();
        cold.first_bytes.extend_from_slice(&bytes[..room.min(bytes.len())]);
        cold.keeps_first_bytes = cold.first_bytes.len() < FIRST_BYTES;
    }
}
