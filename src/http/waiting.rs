//! Requests that wait for their answers: answers come in the order of the requests (RFC 9112 §9.3.2).

use std::collections::VecDeque;

use crate::http::handshake::Upgrade;
use crate::http::head::RequestHead;

/// A request without a final answer: what of it tells where the answer ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) index: u32,
    /// Whether it is a HEAD: the answer has no body.
    pub(super) is_head: bool,
    /// Whether it is a CONNECT: an answer that says yes makes a tunnel of the connection.
    pub(super) is_connect: bool,
    /// Whether some answer may make a tunnel of it.
    pub(super) may_switch: bool,
}

impl Waiting {
    pub(super) fn new(index: u32, head: &RequestHead) -> Waiting {
        let method = head.method();
        let is_connect = method == "CONNECT";
        let may_switch = is_connect || head.fields.said().upgrade() != Upgrade::Absent;
        Waiting { index, is_head: method == "HEAD", is_connect, may_switch }
    }
}

/// All of them on one connection.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// The oldest: few connections ever have another at a time.
    first: Option<Waiting>,
    /// Those behind it, oldest first.
    others: VecDeque<Waiting>,
    /// Requests behind these that were too many to remember.
    unremembered: u32,
}

impl Queue {
    /// Adds a request. `false` when it is the first one too many.
    pub(super) fn push(&mut self, request: Waiting, most: usize) -> bool {
        if self.unremembered > 0 || self.len() >= most {
            self.unremembered = self.unremembered.saturating_add(1);
            return self.unremembered > 1;
        }
        match &self.first {
            None => self.first = Some(request),
            Some(_) => self.others.push_back(request),
        }
        true
    }

    /// Makes room when no answers are seen.
    pub(super) fn forget_oldest(&mut self, most: usize) {
        if self.len() >= most {
            self.pop();
        }
    }

    /// The request that the next answer belongs to.
    pub(super) fn first(&self) -> Option<&Waiting> {
        self.first.as_ref()
    }

    /// Whether no request waits.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.unremembered == 0
    }

    /// Takes that request away: its final answer came.
    pub(super) fn answered(&mut self) -> Option<Waiting> {
        let request = self.pop();
        if request.is_none() {
            self.unremembered = self.unremembered.saturating_sub(1);
        }
        request
    }

    /// Whether the answer to the request of this index, if it waits, may make a tunnel of the connection.
    pub(super) fn may_switch(&self, index: u32) -> bool {
        let last = self.others.back().or(self.first.as_ref());
        last.is_some_and(|last| last.index == index && last.may_switch)
    }

    /// Answers may have been missed: the next one belongs to the last request, for requests are hardly ever sent before
    /// the answers to those before them.
    pub(super) fn keep_last(&mut self) {
        self.unremembered = 0;
        if let Some(last) = self.others.pop_back() {
            self.others.clear();
            self.first = Some(last);
        }
    }

    /// The indexes of those that are remembered.
    pub(super) fn indexes(&self) -> impl Iterator<Item = u32> {
        self.first.iter().chain(&self.others).map(|request| request.index)
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    fn pop(&mut self) -> Option<Waiting> {
        let next = self.others.pop_front();
        std::mem::replace(&mut self.first, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(index: u32) -> Waiting {
        Waiting::new(index, &RequestHead::new("GET", "/", None, ""))
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
