//! Which connection has been silent longest, when room is needed for another one.
//!
//! No packet pays for this. The candidates are collected once, with the time of their last packet; those that spoke
//! since are passed over. When none is left they are collected again: whoever spoke since the last time spoke later than
//! all the candidates, so the order is exact.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::tcp::ConnectionId;
use crate::time::Timestamp;

/// A connection that may have to go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Candidate {
    /// Its last packet.
    pub(super) last: Timestamp,
    pub(super) id: ConnectionId,
    pub(super) index: u32,
}

/// The candidates.
#[derive(Default)]
pub(super) struct Candidates(BinaryHeap<Reverse<Candidate>>);

impl Candidates {
    /// Collects them anew.
    pub(super) fn collect(&mut self, all: impl Iterator<Item = Candidate>) {
        let mut places = std::mem::take(&mut self.0).into_vec();
        places.clear();
        places.extend(all.map(Reverse));
        self.0 = places.into();
    }

    /// The one that was silent longest when they were collected.
    pub(super) fn pop(&mut self) -> Option<Candidate> {
        self.0.pop().map(|Reverse(candidate)| candidate)
    }
}
