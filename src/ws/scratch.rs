//! What the decoders of a thread share.

use crate::limits::Limits;
use crate::ws::deflate::Pool;

/// Bytes that are unmasked, or inflated, at a time.
pub(super) const CHUNK: usize = 4 << 10;

/// Room to unmask and inflate in, the inflaters, and the bounds: one for all decoders of a thread.
#[derive(Debug)]
pub struct Scratch {
    pub(super) plain: Box<[u8; CHUNK]>,
    pub(super) inflated: Box<[u8; CHUNK]>,
    pub(super) pool: Pool,
    /// Violations that a direction keeps.
    pub(super) violations: usize,
}

impl Scratch {
    /// With these bounds.
    pub fn new(limits: &Limits) -> Scratch {
        Scratch {
            plain: Box::new([0; CHUNK]),
            inflated: Box::new([0; CHUNK]),
            pool: Pool::new(limits.inflaters, limits.inflated_bytes),
            violations: limits.violations,
        }
    }
}
