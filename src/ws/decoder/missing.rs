//! Bytes that are missing: before the first that was captured, inside a payload, over a frame boundary; and what is behind them.

use crate::packet::{Moment, When};
use crate::ws::decoder::{Compression, Context, Decoder, Phase};
use crate::ws::header::MAX_CONTROL;
use crate::ws::masks::Masks;
use crate::ws::message::FrameListener;
use crate::ws::resync::{Held, Search};
use crate::ws::scratch::Scratch;

/// Frames for which a boundary that was found, not known, is on trial: an odd header there says that it was none.
const TRIAL: u8 = 8;

impl Decoder {
    /// Keeps the masking keys from here on: no opening handshake tells what direction this is.
    pub fn keep_masks(&mut self) {
        self.cold().keeps_masks = true;
    }

    /// The masking keys, where they are kept.
    pub fn masks(&self) -> Option<Masks> {
        self.cold.as_ref()?.masks
    }

    /// Joins a stream in its middle: the bytes that were held for it come next, and begin with a frame.
    pub fn join(&mut self, held: &Held) {
        self.count(held.lost);
        self.cold().lost_bytes += held.lost;
        if held.ahead > 0 || !held.bytes.is_empty() {
            self.begin_trial(held.ahead);
        }
    }

    /// So many bytes of the current payload are missing. The frame boundary behind it is known nevertheless.
    pub(super) fn skip<L: FrameListener>(&mut self, bytes: u64, context: &mut Context<'_, L>) {
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
        self.advance(bytes, context);
    }

    /// It is not known any more where the next frame begins.
    pub(super) fn lose_boundary<L: FrameListener>(&mut self, context: &mut Context<'_, L>) {
        self.abandon_message(context.scratch);
        if let Some(inflation) = &mut self.cold().inflation {
            inflation.lose(&mut context.scratch.pool);
        }
        self.seek();
    }

    pub(super) fn seek(&mut self) {
        let deflate = self.compression != Compression::None;
        let search = Search::new(Some(self.role), deflate, true);
        self.phase = Phase::Seeking;
        let cold = self.cold();
        (cold.frame, cold.remaining) = (None, 0);
        cold.history_lost = true;
        cold.search = Some(Box::new(search));
    }

    pub(super) fn abandon_message(&mut self, scratch: &mut Scratch) {
        let cold = self.cold();
        let Some(message) = cold.message.take() else { return };
        cold.rare.unfinished(message.opcode);
        if message.is_compressed()
            && let Some(inflation) = &mut cold.inflation
        {
            inflation.lose(&mut scratch.pool);
        }
    }

    pub(super) fn search(&mut self) -> &mut Search {
        let (role, deflate) = (self.role, self.compression != Compression::None);
        self.cold().search.get_or_insert_with(|| Box::new(Search::new(Some(role), deflate, true)))
    }

    /// Goes on where the search has found a boundary, as often as it is lost again in the bytes that were held.
    #[cold]
    pub(super) fn take_up<L: FrameListener>(&mut self, opened: Moment, scratch: &mut Scratch, listener: &mut L) {
        while self.phase == Phase::Seeking
            && let Some(held) = self.search().take_found()
        {
            self.resume(held, opened, scratch, listener);
        }
    }

    /// Decodes the bytes that were held, from a boundary that is on trial.
    pub(super) fn resume<L: FrameListener>(
        &mut self,
        held: Held,
        opened: Moment,
        scratch: &mut Scratch,
        listener: &mut L,
    ) {
        self.begin_trial(held.ahead);
        let moment = held.packets.first().map_or(held.latest, |&(moment, _)| moment);
        self.count_lost(held.lost, moment, listener);
        listener.resynchronised(moment);
        for (moment, piece) in held.pieces() {
            self.run(piece, &mut Context { when: When::new(opened, moment), scratch, listener });
        }
    }

    /// A frame begins after so many bytes, it seems.
    pub(super) fn begin_trial(&mut self, ahead: u64) {
        let cold = self.cold();
        cold.search = None;
        cold.adrift = true;
        cold.trial = TRIAL;
        cold.remaining = ahead;
        self.phase = if ahead > 0 { Phase::Ignored } else { Phase::Boundary };
    }

    pub(super) fn count_lost<L: FrameListener>(&mut self, bytes: u64, moment: Moment, listener: &mut L) {
        if bytes > 0 {
            self.cold().lost_bytes += bytes;
            listener.lost(bytes, moment);
        }
    }
}
