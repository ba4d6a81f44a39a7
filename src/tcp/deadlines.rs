//! When something has to happen without a packet.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::stream::Side;
use crate::tcp::ConnectionId;
use crate::time::Timestamp;

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Due {
    /// The peer acknowledged bytes that the capture does not have: it has waited for them long enough.
    AcknowledgedAhead(Half),
    /// A hole has been open for too long.
    Hole(Half),
    /// The connection ended long enough ago.
    Forget,
}

/// [`Side`] with an order, so that deadlines have one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Half {
    Originator,
    Responder,
}

impl From<Side> for Half {
    fn from(side: Side) -> Half {
        match side {
            Side::Originator => Half::Originator,
            Side::Responder => Half::Responder,
        }
    }
}

impl From<Half> for Side {
    fn from(half: Half) -> Side {
        match half {
            Half::Originator => Side::Originator,
            Half::Responder => Side::Responder,
        }
    }
}

/// One deadline. Those of the same instant fire in the order of their connections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Deadline {
    pub(super) at: Timestamp,
    pub(super) id: ConnectionId,
    pub(super) due: Due,
    /// Where the connection is, if it still is.
    pub(super) index: u32,
}

/// All deadlines. At most one of each kind for a connection, so that they are bounded with the connections.
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<Deadline>>,
    /// Ended connections: their delay is the same for all, so that they are in order as they come.
    ended: VecDeque<Deadline>,
    /// Nothing is due before this: all that a packet has to look at.
    next: Timestamp,
}

impl Deadlines {
    const NEVER: Timestamp = Timestamp::from_nanos(u64::MAX);

    pub(super) const fn new() -> Deadlines {
        Deadlines { heap: BinaryHeap::new(), ended: VecDeque::new(), next: Self::NEVER }
    }

    /// For [`Due::AcknowledgedAhead`] and [`Due::Hole`].
    pub(super) fn push(&mut self, deadline: Deadline) {
        self.heap.push(Reverse(deadline));
        self.next = self.next.min(deadline.at);
    }

    /// For [`Due::Forget`]: not before those that are already there.
    pub(super) fn push_ended(&mut self, deadline: Deadline) {
        self.ended.push_back(deadline);
        self.next = self.next.min(deadline.at);
    }

    /// The earliest one that is due at `now`.
    #[inline]
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Deadline> {
        if now < self.next { None } else { self.pop_first(now) }
    }

    #[cold]
    fn pop_first(&mut self, now: Timestamp) -> Option<Deadline> {
        let first = self.first().filter(|first| first.at <= now);
        match first?.due {
            Due::Forget => self.ended.pop_front(),
            _ => self.heap.pop().map(|Reverse(deadline)| deadline),
        };
        self.next = self.first().map_or(Self::NEVER, |next| next.at);
        first
    }

    fn first(&self) -> Option<Deadline> {
        let timer = self.heap.peek().map(|Reverse(deadline)| *deadline);
        [timer, self.ended.front().copied()].into_iter().flatten().min()
    }

    /// The connection that ended first, taken out before its time. It may be gone already.
    pub(super) fn pop_ended(&mut self) -> Option<Deadline> {
        self.ended.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deadline(at: u64, id: u64, due: Due) -> Deadline {
        Deadline { at: Timestamp::from_nanos(at), id: ConnectionId(id), due, index: 0 }
    }

    #[test]
    fn they_come_in_order_of_time_then_of_connection() {
        let mut deadlines = Deadlines::new();
        deadlines.push(deadline(30, 1, Due::Hole(Half::Originator)));
        deadlines.push(deadline(10, 9, Due::Hole(Half::Responder)));
        deadlines.push(deadline(10, 2, Due::AcknowledgedAhead(Half::Responder)));
        deadlines.push_ended(deadline(10, 5, Due::Forget));
        deadlines.push_ended(deadline(20, 1, Due::Forget));
        let order: Vec<u64> =
            std::iter::from_fn(|| deadlines.pop(Timestamp::from_nanos(25))).map(|deadline| deadline.id.0).collect();
        assert_eq!(order, [2, 5, 9, 1]);
        assert_eq!(deadlines.pop(Timestamp::from_nanos(29)), None);
    }
}
