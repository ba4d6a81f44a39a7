//! Messages that are kept to be looked at: the latest of each session, within a bound for all.

use std::collections::VecDeque;

use crate::session::{Leg, SessionId};
use crate::stream::Role;
use crate::tui::feed::Heard;
use crate::wire::Endpoint;

/// Messages kept of one session.
pub(in crate::tui) const PER_SESSION: usize = 1_000;
/// Messages kept of all: with their previews about 60 MB.
const OF_ALL: usize = 150_000;

/// A message, and on which leg it was.
#[derive(Clone, Debug)]
pub(in crate::tui) struct Entry {
    pub client: Endpoint,
    pub server: Endpoint,
    pub by: Role,
    pub heard: Heard,
}

impl Entry {
    /// Whether it was on this leg.
    pub fn is_on(&self, leg: &Leg) -> bool {
        self.client == leg.client && self.server == leg.server
    }
}

/// The latest messages of one session.
#[derive(Debug, Default)]
pub(in crate::tui) struct Messages {
    entries: VecDeque<Entry>,
    dropped: u64,
}

impl Messages {
    /// Keeps one. False when an older one of this session gave way to it.
    pub fn push(&mut self, entry: Entry) -> bool {
        let full = self.entries.len() >= PER_SESSION;
        if full {
            self.drop_oldest();
        }
        self.entries.push_back(entry);
        !full
    }

    /// Forgets the oldest one.
    pub fn drop_oldest(&mut self) {
        self.dropped += u64::from(self.entries.pop_front().is_some());
    }

    /// All, in the order in which they came.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }

    /// One by its place.
    pub fn at(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Earlier ones that were forgotten.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The messages of two legs that are one session, in order of time.
    pub fn merge(&mut self, other: Messages) {
        self.dropped += other.dropped;
        self.entries.extend(other.entries);
        self.entries.make_contiguous().sort_by_key(|entry| entry.heard.moment);
        while self.entries.len() > PER_SESSION {
            self.drop_oldest();
        }
    }
}

/// Which session holds the oldest messages of all.
#[derive(Debug, Default)]
pub(super) struct Budget {
    order: VecDeque<SessionId>,
}

impl Budget {
    /// A session keeps one message more. Returns the session that gives one up for it.
    pub fn take_in(&mut self, session: SessionId) -> Option<SessionId> {
        self.order.push_back(session);
        if self.order.len() > OF_ALL { self.order.pop_front() } else { None }
    }
}
