//! Answers that stand in the capture before their requests.
//!
//! Where the two directions of a connection come from different queues or ports, a fast answer may be written before what it
//! answers. Such an answer is kept back until its request is there.

use std::time::Duration;

use super::{Call, Dialogue, Event, State};
use crate::http::early::Early;
use crate::http::first_bytes;
use crate::http::head::ResponseHead;
use crate::http::head_store::{Came, HeadStore};
use crate::packet::Moment;
use crate::stream::{Role, StreamEvent};

/// An answer that is longer ahead of its request was not asked for, or its request was not captured.
const LEAD: Duration = Duration::from_millis(100);

/// One that waits for its request.
#[derive(Debug)]
pub(super) struct Answer {
    head: ResponseHead,
    came: Came,
    /// The packet that completed its head.
    moment: Moment,
    /// What came behind the head.
    rest: Early,
}

impl Dialogue {
    /// Whether an answer whose head is complete answers a request that has not come yet.
    pub(super) fn is_ahead(&self) -> bool {
        let client = &self.halves[Role::Client];
        let between = matches!(client.state, State::Beginning(None) | State::Head(None)) && !client.lost;
        between && self.waiting.is_empty() && !self.unasked && !self.mid_stream
    }

    /// Keeps back an answer, for a while.
    pub(super) fn hold_answer(&mut self, head: ResponseHead, came: Came, moment: Moment) {
        self.halves[Role::Server].state = State::Held;
        self.ahead = Some(Box::new(Answer { head, came, moment, rest: Early::default() }));
    }

    /// The server goes on while its answer is kept back.
    pub(super) fn hold_behind_answer(&mut self, event: StreamEvent<'_>, call: &mut Call<'_>) {
        let most = call.heads.early_bytes;
        match &mut self.ahead {
            Some(ahead) if call.moment.at.since(ahead.moment.at) <= LEAD && ahead.rest.has_room(event, most) => {
                ahead.rest.keep(event, call.moment, most);
            }
            Some(_) => {
                self.go_on_unasked(call);
                self.stream(Role::Server, event, call);
            }
            None => {}
        }
    }

    /// The client speaks while an answer is kept back: a request goes before the answer, anything else behind it.
    pub(super) fn client_catches_up(&mut self, event: StreamEvent<'_>, call: &mut Call<'_>) {
        if !self.is_request(event) {
            self.go_on_unasked(call);
        }
        self.stream(Role::Client, event, call);
    }

    /// Whether the client is in a request with this, or may begin one.
    fn is_request(&self, event: StreamEvent<'_>) -> bool {
        let StreamEvent::Data(bytes) = event else { return false };
        match &self.halves[Role::Client].state {
            State::Beginning(None) | State::Head(None) => {
                first_bytes::may_be_message(Role::Client, first_bytes::skip_empty_lines(bytes))
            }
            state => matches!(state, State::Beginning(_) | State::Head(_) | State::LongHead(_)),
        }
    }

    /// Whether an answer is kept back.
    pub fn holds_answer(&self) -> bool {
        self.ahead.is_some()
    }

    /// No request comes any more: what was kept back is told.
    pub fn give_up_waiting(&mut self, heads: &mut HeadStore, listener: &mut dyn FnMut(Event<'_>)) {
        self.go_on_unasked(&mut Call { moment: Moment::default(), heads, listener });
    }

    /// Whatever was asked is not in the capture.
    fn go_on_unasked(&mut self, call: &mut Call<'_>) {
        self.unasked = true;
        self.release_answer(call);
    }

    /// What was kept back goes on.
    pub(super) fn release_answer(&mut self, call: &mut Call<'_>) {
        let Some(ahead) = self.ahead.take() else { return };
        let Answer { head, came, moment, rest } = *ahead;
        self.halves[Role::Server].state = State::Head(None);
        self.response(head, came, &mut Call { moment, heads: call.heads, listener: call.listener });
        rest.replay(|moment, event| {
            self.stream(Role::Server, event, &mut Call { moment, heads: call.heads, listener: call.listener });
        });
    }
}
