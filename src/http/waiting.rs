//! Requests that wait for their answers: answers come in the order of the requests (RFC 9112 §9.3.2).

use std::collections::VecDeque;

use crate::http::handshake::{Offer, Upgrade};
use crate::http::head::RequestHead;

/// A request without a final answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) index: u32,
    pub(super) head: RequestHead,
    pub(super) offer: Offer,
}

impl Waiting {
    /// Whether the answer may make a tunnel of the connection.
    pub(super) fn may_switch(&self) -> bool {
        self.offer.upgrade != Upgrade::Absent || self.is("CONNECT")
    }

    pub(super) fn is(&self, method: &str) -> bool {
        *self.head.method == *method
    }
}

/// All of them on one connection.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Oldest first.
    waiting: VecDeque<Waiting>,
    /// Requests behind these that were too many to remember.
    unremembered: u32,
}

impl Queue {
    /// Adds a request. `false` when it is the first one too many.
    pub(super) fn push(&mut self, request: Waiting, most: usize) -> bool {
        if self.unremembered > 0 || self.waiting.len() >= most {
            self.unremembered = self.unremembered.saturating_add(1);
            return self.unremembered > 1;
        }
        if self.waiting.capacity() == 0 {
            self.waiting.reserve_exact(1); // Few connections ever need more.
        }
        self.waiting.push_back(request);
        true
    }

    /// Makes room when no answers are seen.
    pub(super) fn forget_oldest(&mut self, most: usize) {
        if self.waiting.len() >= most {
            self.waiting.pop_front();
        }
    }

    /// The request that the next answer belongs to.
    pub(super) fn first(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    /// Takes that request away: its final answer came.
    pub(super) fn answered(&mut self) -> Option<Waiting> {
        let request = self.waiting.pop_front();
        if request.is_none() {
            self.unremembered = self.unremembered.saturating_sub(1);
        }
        request
    }

    /// Whether the answer to the request of this index, if it waits, may make a tunnel of the connection.
    pub(super) fn may_switch(&self, index: u32) -> bool {
        self.waiting.back().is_some_and(|last| last.index == index && last.may_switch())
    }

    /// Answers may have been missed: the next one belongs to the last request, for requests are hardly ever sent before
    /// the answers to those before them.
    pub(super) fn keep_last(&mut self) {
        self.unremembered = 0;
        self.waiting.drain(..self.waiting.len().saturating_sub(1));
    }

    /// The indexes of those that are remembered.
    pub(super) fn indexes(&self) -> impl Iterator<Item = u32> {
        self.waiting.iter().map(|request| request.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(index: u32) -> Waiting {
        let head = RequestHead::new("GET", "/", None, "");
        Waiting { index, offer: Offer::read(&head), head }
    }

    #[test]
    fn answers_belong_to_the_oldest() {
        let mut queue = Queue::default();
        let pushed: Vec<bool> = (0..5).map(|index| queue.push(request(index), 2)).collect();
        assert_eq!(pushed, [true, true, false, true, true]);
        let answered: Vec<_> = (0..5).map(|_| queue.answered().map(|request| request.index)).collect();
        assert_eq!(answered, [Some(0), Some(1), None, None, None]);
        assert!(queue.push(request(5), 2));
        assert_eq!(queue.first().map(|request| request.index), Some(5));
    }
}
