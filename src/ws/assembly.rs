//! A message that takes more than one look: of several frames or packets, or compressed.

use crate::packet::Moment;
use crate::ws::deflate::{Inflation, Pool, Trouble, UNKNOWN};
use crate::ws::facts::Opcode;
use crate::ws::mask::MaskingKey;
use crate::ws::message::{Message, SHORT_TEXT};
use crate::ws::scratch::{CHUNK, Scratch};
use crate::ws::utf8::Utf8;

/// A message while its frames come.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) opcode: Opcode,
    start: Moment,
    fragments: u32,
    compressed: bool,
    /// Application bytes so far.
    bytes: u64,
    utf8: Utf8,
    /// Whether the text may be judged: all of its bytes so far are certain.
    judged: bool,
    /// Whether bytes are missing or not certain.
    holes: bool,
    preview: Vec<u8>,
}

/// How many bytes of a message's beginning are shown.
#[inline]
pub(super) fn shown(opcode: Opcode, preview: usize) -> usize {
    if opcode == Opcode::TEXT { preview.max(SHORT_TEXT) } else { preview }
}

impl Assembly {
    /// A message begins with a frame of this opcode. `inflation` where it is compressed.
    pub(super) fn begin(opcode: Opcode, start: Moment, inflation: Option<&mut Inflation>, pool: &mut Pool) -> Assembly {
        let compressed = inflation.is_some();
        if let Some(inflation) = inflation {
            inflation.begin(pool);
        }
        Assembly {
            opcode,
            start,
            fragments: 1,
            compressed,
            bytes: 0,
            utf8: Utf8::default(),
            judged: true,
            holes: false,
            preview: Vec::new(),
        }
    }

    /// Its text shall not be judged: it may be compressed in a way that nobody agreed to.
    pub(super) fn do_not_judge(&mut self) {
        self.judged = false;
    }

    /// One more frame.
    pub(super) fn fragment(&mut self) {
        self.fragments = self.fragments.saturating_add(1);
    }

    /// Whether its frames are compressed.
    pub(super) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Masked payload bytes. An error means that the rest of the message is not inflated.
    pub(super) fn push(
        &mut self,
        payload: &[u8],
        key: MaskingKey,
        inflation: Option<&mut Inflation>,
        scratch: &mut Scratch,
        preview: usize,
    ) -> Result<(), Trouble> {
        match inflation.filter(|_| self.compressed) {
            Some(inflation) => self.push_compressed(payload, key, inflation, scratch, preview),
            None => {
                self.push_plain(payload, key, scratch, preview);
                Ok(())
            }
        }
    }

    fn push_plain(&mut self, payload: &[u8], key: MaskingKey, scratch: &mut Scratch, preview: usize) {
        self.bytes += payload.len() as u64;
        let judged = self.judged && self.opcode == Opcode::TEXT;
        let wanted = shown(self.opcode, preview).saturating_sub(self.preview.len());
        let content = if judged { payload } else { &payload[..wanted.min(payload.len())] };
        if key.is_none() {
            self.look_at(content, preview);
            return;
        }
        for chunk in Chunks::new(content, key) {
            let plain = chunk.key.unmask(chunk.masked, &mut *scratch.plain);
            self.look_at(plain, preview);
        }
    }

    fn push_compressed(
        &mut self,
        payload: &[u8],
        key: MaskingKey,
        inflation: &mut Inflation,
        scratch: &mut Scratch,
        preview: usize,
    ) -> Result<(), Trouble> {
        let Scratch { plain, inflated, pool, .. } = scratch;
        for chunk in Chunks::new(payload, key) {
            let plain = if key.is_none() { chunk.masked } else { chunk.key.unmask(chunk.masked, &mut **plain) };
            let result =
                inflation.push(plain, pool, &mut **inflated, |output, certain| self.absorb(output, certain, preview));
            if result.is_err() {
                self.holes = true;
                return result;
            }
        }
        Ok(())
    }

    /// Output of the inflater.
    fn absorb(&mut self, output: &[u8], certain: bool, preview: usize) {
        self.bytes += output.len() as u64;
        let shown = self.preview.len();
        if certain {
            self.look_at(output, preview);
            return;
        }
        self.judged &= self.utf8.has_failed();
        self.holes |= memchr::memchr(UNKNOWN, output).is_some();
        self.look_at(output, preview);
        self.preview[shown..].iter_mut().filter(|byte| **byte == UNKNOWN).for_each(|byte| *byte = b'?');
    }

    /// Checks the text and keeps the beginning.
    fn look_at(&mut self, plain: &[u8], preview: usize) {
        if self.judged && self.opcode == Opcode::TEXT {
            self.utf8.push(plain);
        }
        let wanted = shown(self.opcode, preview).saturating_sub(self.preview.len());
        self.preview.extend_from_slice(&plain[..wanted.min(plain.len())]);
    }

    /// So many payload bytes are missing from the capture.
    pub(super) fn gap(&mut self, bytes: u64, preview: usize) {
        self.holes = true;
        self.judged = false;
        if !self.compressed {
            self.bytes = self.bytes.saturating_add(bytes);
            let wanted = shown(self.opcode, preview).saturating_sub(self.preview.len());
            let hole = usize::try_from(bytes).unwrap_or(usize::MAX).min(wanted);
            self.preview.resize(self.preview.len() + hole, b'?');
        }
    }

    /// Its last frame is complete: what is left in the inflater comes out.
    pub(super) fn finish(
        &mut self,
        inflation: Option<&mut Inflation>,
        scratch: &mut Scratch,
        preview: usize,
    ) -> Result<(), Trouble> {
        let Some(inflation) = inflation.filter(|_| self.compressed) else { return Ok(()) };
        let Scratch { inflated, pool, .. } = scratch;
        let result = inflation.finish(pool, &mut **inflated, |output, certain| self.absorb(output, certain, preview));
        self.holes |= result.is_err();
        result
    }

    /// Whether it has just turned out not to be the text that it says it is. True once.
    pub(super) fn has_become_invalid(&mut self) -> bool {
        self.judged && self.utf8.has_failed() && self.stop_judging()
    }

    /// As [`Assembly::has_become_invalid`], when it is complete.
    pub(super) fn has_ended_invalid(&mut self) -> bool {
        self.judged && (self.utf8.has_failed() || !self.holes && !self.utf8.is_valid()) && self.stop_judging()
    }

    fn stop_judging(&mut self) -> bool {
        self.judged = false;
        true
    }

    /// The message, complete with this packet.
    pub(super) fn message(&self, moment: Moment) -> Message<'_> {
        Message {
            opcode: self.opcode,
            start: self.start,
            moment,
            bytes: self.bytes,
            compressed: self.compressed,
            fragments: self.fragments,
            preview: &self.preview,
            truncated: (self.preview.len() as u64) < self.bytes,
            holes: self.holes,
        }
    }
}

/// Masked bytes in pieces that fit the scratch, each with its key.
struct Chunks<'a> {
    rest: &'a [u8],
    key: MaskingKey,
}

struct Chunk<'a> {
    masked: &'a [u8],
    key: MaskingKey,
}

impl<'a> Chunks<'a> {
    fn new(masked: &'a [u8], key: MaskingKey) -> Chunks<'a> {
        Chunks { rest: masked, key }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (masked, rest) = self.rest.split_at(self.rest.len().min(CHUNK));
        let chunk = Chunk { masked, key: self.key };
        self.rest = rest;
        self.key = self.key.after(masked.len() as u64);
        Some(chunk)
    }
}
