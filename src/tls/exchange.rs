//! The first exchange on an encrypted connection, by the sizes of its records: an opening handshake that was taken or refused,
//! or HTTP as ever.

use std::time::Duration;

use super::facts::OpeningLooks;
use crate::packet::Moment;
use crate::stream::ByRole;
use crate::time::Timestamp;

/// An opening handshake's request is about 300 to 900 bytes; cookies make it longer.
const REQUEST: std::ops::RangeInclusive<u64> = 120..=16_000;

/// A 101 is about 130 to 250 bytes; proxies add fields.
const SWITCHING: std::ops::RangeInclusive<u64> = 100..=500;

/// Pages that refuse are shorter.
const LONGEST_REFUSAL: u64 = 16_000;

/// An answer is over when so much time goes by.
const PAUSE: Duration = Duration::from_secs(1);

/// The exchange after the TLS handshake. Sizes are bytes of plaintext, at most.
#[derive(Clone, Copy)]
pub(super) struct Exchange {
    /// What the client said before the server did.
    pub(super) request: u64,
    /// What the server said then.
    pub(super) reply: u64,
    /// The first record of the reply.
    head: u32,
    /// When the reply began.
    pub(super) replied: Option<Moment>,
    /// The last record that belongs to the reply.
    last: Timestamp,
    /// Whether the client said anything behind the reply.
    pub(super) went_on: bool,
    /// What the client said since the server spoke last.
    turn: u64,
    /// The shortest of its turns behind the reply.
    shortest_turn: u64,
}

impl Exchange {
    /// Nothing was said before.
    pub(super) fn new(at: Timestamp) -> Exchange {
        Exchange {
            request: 0,
            reply: 0,
            head: 0,
            replied: None,
            last: at,
            went_on: false,
            turn: 0,
            shortest_turn: u64::MAX,
        }
    }

    /// A record of the client. An empty one says nothing.
    pub(super) fn client(&mut self, size: u32) {
        if self.replied.is_none() {
            self.request += u64::from(size);
        } else {
            self.went_on |= size > 0;
            self.turn += u64::from(size);
        }
    }

    /// A record of the server.
    pub(super) fn server(&mut self, moment: Moment, size: u32) {
        if self.turn > 0 {
            self.shortest_turn = self.shortest_turn.min(self.turn);
            self.turn = 0;
        }
        if !self.went_on && (self.replied.is_none() || moment.at.since(self.last) <= PAUSE) {
            if self.replied.is_none() {
                (self.replied, self.head) = (Some(moment), size);
            }
            self.reply += u64::from(size);
            self.last = moment.at;
        }
    }

    /// The shortest that the client said behind the reply at one time, when it said anything.
    fn shortest(&self) -> Option<u64> {
        let last = if self.turn > 0 { self.turn } else { u64::MAX };
        self.went_on.then_some(self.shortest_turn.min(last))
    }

    /// Whether something is too short for another request on the same connection, which would be about as long as the first
    /// one: its fields are the same.
    fn turns_to_messages(&self) -> bool {
        self.shortest().is_some_and(|shortest| shortest * 2 < self.request)
    }

    /// Whether this is HTTP as ever: what asks is too short for an opening handshake, or asks again and again, or gets more than
    /// a page that refuses.
    pub(super) fn is_plain_http(&self) -> bool {
        let short = self.request < *REQUEST.start();
        let again = self.went_on && !self.turns_to_messages();
        // A 101 may have many messages at its heels.
        let page = !self.went_on && self.reply > LONGEST_REFUSAL && !SWITCHING.contains(&u64::from(self.head));
        self.replied.is_some() && (short || again || page)
    }

    /// What came of it, as far as sizes tell. `heartbeat`: something comes at a steady pace; `ended`: which sides have.
    pub(super) fn looks(&self, heartbeat: bool, ended: ByRole<bool>) -> OpeningLooks {
        if !REQUEST.contains(&self.request) || self.reply < *SWITCHING.start() {
            return OpeningLooks::Unclear;
        }
        let goes_on = heartbeat || self.turns_to_messages();
        match (SWITCHING.contains(&self.reply), goes_on) {
            (true, true) => OpeningLooks::Accepted,
            (_, false) if !self.went_on && ended.server => OpeningLooks::Refused,
            _ => OpeningLooks::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_record_is_no_turn_of_the_client() {
        let mut exchange = Exchange::new(Timestamp::ZERO);
        exchange.client(300);
        exchange.server(Moment::default(), 180);
        exchange.client(0);
        exchange.server(Moment::default(), 20);
        assert_eq!((exchange.went_on, exchange.reply), (false, 200));
        assert!(!exchange.is_plain_http() && !exchange.turns_to_messages());
        exchange.client(10);
        assert!(exchange.turns_to_messages());
    }
}
