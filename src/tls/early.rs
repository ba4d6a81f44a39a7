//! Early data (RFC 8446 §2.3): held until it is known whether the server takes it. What the server ignores, the client
//! sends again.

use zeroize::Zeroizing;

use crate::packet::Moment;

/// The early data of one connection.
#[derive(Default)]
pub(super) struct EarlyDataHeld {
    pieces: Vec<(Moment, Zeroizing<Vec<u8>>)>,
    bytes: usize,
    dropped: u64,
}

impl EarlyDataHeld {
    /// Holds the next piece, as long as all of them are within `limit`.
    pub(super) fn push(&mut self, moment: Moment, plain: &[u8], limit: usize) {
        if self.dropped > 0 || self.bytes + plain.len() > limit {
            self.dropped += plain.len() as u64;
        } else if !plain.is_empty() {
            self.bytes += plain.len();
            self.pieces.push((moment, Zeroizing::new(plain.to_vec())));
        }
    }

    /// What is held, in order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (Moment, &[u8])> {
        self.pieces.iter().map(|(moment, plain)| (*moment, &plain[..]))
    }

    /// Bytes behind these that found no room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}
