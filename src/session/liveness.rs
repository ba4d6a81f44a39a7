//! Pings and the pongs that answer them (RFC 6455 §5.5.2, §5.5.3).

use std::collections::VecDeque;
use std::time::Duration;

use crate::packet::Moment;
use crate::session::leg::Pings;

/// The pings of one side: a hundred thousand idle sessions have one a minute each, so it is small while all are answered
/// in turn.
#[derive(Debug, Default)]
pub struct PingTracker {
    sent: u32,
    answered: u32,
    /// Round trips that were timed.
    timed: u32,
    /// The fingerprint of the last ping while that is all that waits; else 0.
    alone: u32,
    round_trips: RoundTrips,
    /// The first ping and the last, once one was sent.
    first: Moment,
    last: Moment,
    /// What waits for its other half, where that is more than the last ping; gone when nothing does.
    waiting: Option<Box<Waiting>>,
}

/// Times from a ping to its pong, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct RoundTrips {
    shortest: u64,
    longest: u64,
    total: u64,
}

/// Pings without a pong, and pongs without a ping.
#[derive(Debug, Default)]
struct Waiting {
    pings: VecDeque<(u32, Moment)>,
    /// Pongs that answered no ping so far. Behind a hole the ping may come out later than its pong.
    early: VecDeque<(u32, Moment)>,
}

impl PingTracker {
    /// This side sent a ping. At most `bound` wait for their pong; the oldest gives way.
    pub fn ping(&mut self, payload: &[u8], moment: Moment, bound: usize) {
        let wanted = fingerprint(payload);
        if self.waiting.is_none() && self.alone == 0 {
            self.alone = wanted;
        } else {
            self.ping_besides(wanted, moment, bound);
        }
        if self.sent == 0 {
            self.first = moment;
        }
        self.sent = self.sent.saturating_add(1);
        self.last = moment;
    }

    /// The peer sent a pong; at most `bound` are remembered that answer nothing yet. One that answers no ping is
    /// unsolicited, and legal.
    pub fn pong(&mut self, payload: &[u8], moment: Moment, bound: usize) {
        let print = fingerprint(payload);
        // What was sent later than the pong cannot be what it answers.
        if self.alone == print && self.last <= moment {
            self.alone = 0;
            self.answered = self.answered.saturating_add(1);
            self.round_trip(self.last, moment);
        } else {
            self.pong_besides(print, moment, bound);
        }
    }

    /// A ping while something waits.
    fn ping_besides(&mut self, wanted: u32, moment: Moment, bound: usize) {
        let waiting = self.waiting();
        if waiting.pings.len() >= bound {
            waiting.pings.pop_front();
        }
        waiting.pings.push_back((wanted, moment));
        let answer = waiting.early.iter().position(|(print, pong)| *print == wanted && *pong >= moment);
        if let Some((_, pong)) = answer.and_then(|index| waiting.early.remove(index)) {
            let index = waiting.pings.len() - 1;
            self.answered(index, pong);
        }
    }

    /// A pong that does not answer the one ping that waits.
    fn pong_besides(&mut self, print: u32, moment: Moment, bound: usize) {
        let waiting = self.waiting();
        match waiting.pings.iter().rposition(|(wanted, sent)| *wanted == print && *sent <= moment) {
            Some(index) => self.answered(index, moment),
            None => {
                if waiting.early.len() >= bound {
                    waiting.early.pop_front();
                }
                waiting.early.push_back((print, moment));
            }
        }
    }

    /// What waits, the last ping included.
    fn waiting(&mut self) -> &mut Waiting {
        let waiting = self.waiting.get_or_insert_default();
        if self.alone != 0 {
            waiting.pings.push_back((std::mem::take(&mut self.alone), self.last));
        }
        waiting
    }

    fn answered(&mut self, index: usize, pong: Moment) {
        let Some(waiting) = &mut self.waiting else { return };
        let Some(&(_, sent)) = waiting.pings.get(index) else { return };
        // RFC 6455 §5.5.3: an endpoint may answer only the latest of several pings; that answers the ones before it too.
        self.answered = self.answered.saturating_add(index as u32 + 1);
        waiting.pings.drain(..=index);
        if waiting.pings.is_empty() && waiting.early.is_empty() {
            self.waiting = None;
        }
        self.round_trip(sent, pong);
    }

    fn round_trip(&mut self, ping: Moment, pong: Moment) {
        let nanos = pong.at.as_nanos().saturating_sub(ping.at.as_nanos());
        let RoundTrips { shortest, longest, total } = &mut self.round_trips;
        *shortest = if self.timed == 0 { nanos } else { nanos.min(*shortest) };
        *longest = nanos.max(*longest);
        *total = total.saturating_add(nanos);
        self.timed = self.timed.saturating_add(1);
    }

    /// What is known now.
    pub fn facts(&self) -> Pings {
        let sent = |moment| (self.sent > 0).then_some(moment);
        let RoundTrips { shortest, longest, total } = self.round_trips;
        let timed = |nanos| (self.timed > 0).then(|| Duration::from_nanos(nanos));
        Pings {
            sent: self.sent,
            answered: self.answered,
            min: timed(shortest),
            max: timed(longest),
            total: Duration::from_nanos(total),
            timed: self.timed,
            waiting_since: match &self.waiting {
                Some(waiting) => waiting.pings.front().map(|(_, moment)| *moment),
                None => (self.alone != 0).then_some(self.last),
            },
            unanswered: self.sent.saturating_sub(self.answered),
            first: sent(self.first),
            last: sent(self.last),
        }
    }
}

/// FNV-1a, folded, and never 0: payloads of at most 125 bytes that a peer must send back as they are.
fn fingerprint(payload: &[u8]) -> u32 {
    let hash = payload
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    ((hash ^ hash >> 32) as u32).max(1)
}

#[cfg(test)]
mod tests {
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
        assert_eq!(tracker.waiting.as_ref().map(|waiting| waiting.pings.len()), Some(4));
        assert_eq!(tracker.facts().unanswered, 100);
    }

    #[test]
    fn a_side_whose_pings_are_answered_is_small() {
        assert!(size_of::<PingTracker>() <= 80);
        let mut tracker = PingTracker::default();
        tracker.ping(b"a", moment(0), 16);
        tracker.pong(b"a", moment(5), 16);
        assert!(tracker.waiting.is_none());
    }
}
