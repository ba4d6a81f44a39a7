//! Pings and the pongs that answer them (RFC 6455 §5.5.2, §5.5.3).

use std::collections::VecDeque;

use crate::packet::Moment;
use crate::session::leg::Pings;

/// The pings of one side.
#[derive(Clone, Debug, Default)]
pub struct PingTracker {
    pings: Pings,
    waiting: VecDeque<(u64, Moment)>,
    /// Pongs that answered no ping so far. Behind a hole the ping may come out later than its pong.
    early: VecDeque<(u64, Moment)>,
}

impl PingTracker {
    /// This side sent a ping. At most `bound` wait for their pong; the oldest gives way.
    pub fn ping(&mut self, payload: &[u8], moment: Moment, bound: usize) {
        self.pings.sent = self.pings.sent.saturating_add(1);
        self.pings.first.get_or_insert(moment);
        self.pings.last = Some(moment);
        if self.waiting.len() >= bound {
            self.waiting.pop_front();
        }
        let wanted = fingerprint(payload);
        self.waiting.push_back((wanted, moment));
        let answer = self.early.iter().position(|(print, pong)| *print == wanted && *pong >= moment);
        if let Some((_, pong)) = answer.and_then(|index| self.early.remove(index)) {
            self.answered(self.waiting.len() - 1, pong);
        }
    }

    /// The peer sent a pong; at most `bound` are remembered that answer nothing yet. One that answers no ping is
    /// unsolicited, and legal.
    pub fn pong(&mut self, payload: &[u8], moment: Moment, bound: usize) {
        let print = fingerprint(payload);
        // What was sent later than the pong cannot be what it answers.
        match self.waiting.iter().rposition(|(wanted, sent)| *wanted == print && *sent <= moment) {
            Some(index) => self.answered(index, moment),
            None => {
                if self.early.len() >= bound {
                    self.early.pop_front();
                }
                self.early.push_back((print, moment));
            }
        }
    }

    fn answered(&mut self, index: usize, pong: Moment) {
        let Some(&(_, sent)) = self.waiting.get(index) else { return };
        // RFC 6455 §5.5.3: an endpoint may answer only the latest of several pings; that answers the ones before it too.
        self.pings.answered = self.pings.answered.saturating_add(index as u32 + 1);
        self.waiting.drain(..=index);
        if self.waiting.is_empty() {
            // A hundred thousand idle sessions have one ping a minute each: the room is worth more than the time.
            self.waiting = VecDeque::new();
        }
        let rtt = pong.at.since(sent.at);
        self.pings.min = Some(self.pings.min.map_or(rtt, |min| min.min(rtt)));
        self.pings.max = Some(self.pings.max.map_or(rtt, |max| max.max(rtt)));
        self.pings.total = self.pings.total.saturating_add(rtt);
        self.pings.timed = self.pings.timed.saturating_add(1);
    }

    /// What is known now.
    pub fn facts(&self) -> Pings {
        Pings {
            waiting_since: self.waiting.front().map(|(_, moment)| *moment),
            unanswered: self.pings.sent.saturating_sub(self.pings.answered),
            ..self.pings.clone()
        }
    }
}

/// FNV-1a: payloads of at most 125 bytes that a peer must send back as they are.
fn fingerprint(payload: &[u8]) -> u64 {
    payload.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::packet::PacketNumber;
    use crate::time::Timestamp;

    fn moment(millis: u64) -> Moment {
        Moment { at: Timestamp::from_nanos(millis * 1_000_000), packet: PacketNumber(millis) }
    }

    #[test]
    fn a_pong_answers_the_pings_before_it_too() {
        let mut tracker = PingTracker::default();
        tracker.ping(b"a", moment(0), 16);
        tracker.ping(b"b", moment(10), 16);
        tracker.pong(b"b", moment(15), 16);
        let pings = tracker.facts();
        assert_eq!((pings.sent, pings.answered, pings.unanswered), (2, 2, 0));
        assert_eq!(pings.max, Some(Duration::from_millis(5)));
    }

    #[test]
    fn an_unsolicited_pong_answers_nothing() {
        let mut tracker = PingTracker::default();
        tracker.ping(b"a", moment(0), 16);
        tracker.pong(b"", moment(5), 16);
        let pings = tracker.facts();
        assert_eq!((pings.answered, pings.unanswered), (0, 1));
        assert_eq!(pings.waiting_since, Some(moment(0)));
    }

    #[test]
    fn a_pong_that_comes_out_before_its_ping_answers_it() {
        let mut tracker = PingTracker::default();
        tracker.pong(b"b", moment(15), 16);
        tracker.ping(b"a", moment(0), 16);
        assert_eq!(tracker.facts().unanswered, 1);
        tracker.ping(b"b", moment(10), 16);
        assert_eq!((tracker.facts().unanswered, tracker.facts().max), (0, Some(Duration::from_millis(5))));
    }

    #[test]
    fn a_pong_answers_no_ping_that_was_sent_later() {
        let mut tracker = PingTracker::default();
        tracker.pong(b"a", moment(5), 16);
        tracker.ping(b"a", moment(10), 16);
        assert_eq!(tracker.facts().unanswered, 1);
    }

    #[test]
    fn waiting_pings_are_bounded_and_still_count_as_unanswered() {
        let mut tracker = PingTracker::default();
        for n in 0..100 {
            tracker.ping(&[n], moment(u64::from(n)), 4);
        }
        assert_eq!(tracker.waiting.len(), 4);
        assert_eq!(tracker.facts().unanswered, 100);
    }
}
