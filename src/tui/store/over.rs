//! Rows whose sessions are over: in which order they forget their details, and give way at last.
//!
//! Those that failed are what somebody looks for: however many others end after them, they stay as long as they are not the
//! greater part.

use std::collections::VecDeque;

use crate::session::SessionId;

/// Sessions that are kept whole, to be opened: of those that failed, and of the others. One is three to six kilobytes.
const WHOLE_FAILED: usize = 30_000;
const WHOLE: usize = 20_000;

/// The rows, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Over {
    failed: Rows,
    others: Rows,
}

#[derive(Debug, Default)]
struct Rows {
    ids: VecDeque<SessionId>,
    /// So many of the oldest have forgotten their details.
    forgotten: usize,
}

impl Over {
    /// A session is over. Returns the one that forgets its details for it.
    pub fn push(&mut self, id: SessionId, failed: bool) -> Option<SessionId> {
        if failed { self.failed.push(id, WHOLE_FAILED) } else { self.others.push(id, WHOLE) }
    }

    /// How many have forgotten their details.
    pub fn forgotten(&self) -> usize {
        self.failed.forgotten + self.others.forgotten
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.failed.ids.len() + self.others.ids.len()
    }

    /// The row that gives way to a new one.
    pub fn pop(&mut self) -> Option<SessionId> {
        let (first, second) = match self.failed.ids.len() > self.others.ids.len() {
            true => (&mut self.failed, &mut self.others),
            false => (&mut self.others, &mut self.failed),
        };
        first.pop().or_else(|| second.pop())
    }
}

impl Rows {
    fn push(&mut self, id: SessionId, whole: usize) -> Option<SessionId> {
        self.ids.push_back(id);
        if self.ids.len() - self.forgotten <= whole {
            return None;
        }
        self.forgotten += 1;
        Some(self.ids[self.forgotten - 1])
    }

    fn pop(&mut self) -> Option<SessionId> {
        let id = self.ids.pop_front()?;
        self.forgotten = self.forgotten.saturating_sub(1);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_go_first_and_the_oldest_row_at_last() {
        let mut over = Over::default();
        let forgotten: Vec<u64> =
            (1..=30_000).filter_map(|id| over.push(SessionId(id), false)).map(|id| id.0).collect();
        assert_eq!(forgotten, (1..=10_000).collect::<Vec<_>>());
        assert_eq!((over.forgotten(), over.pop()), (10_000, Some(SessionId(1))));
        assert_eq!(over.push(SessionId(30_001), false), Some(SessionId(10_001)), "each is told once");
        assert_eq!(over.pop(), Some(SessionId(2)));
    }

    #[test]
    fn what_failed_stays_while_it_is_the_lesser_part() {
        let mut over = Over::default();
        (1..=3).for_each(|id| assert_eq!(over.push(SessionId(id), true), None));
        (4..=8).for_each(|id| assert_eq!(over.push(SessionId(id), false), None));
        let gone: Vec<u64> = std::iter::from_fn(|| over.pop()).map(|id| id.0).collect();
        assert_eq!(gone, [4, 5, 6, 1, 7, 2, 8, 3]);
    }
}
