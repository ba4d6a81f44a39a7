//! Answers that stand in the capture before their requests.
//!
//! Where the two directions of a connection come from different queues or ports, a fast answer may be written before what it
//! answers. Such an answer is kept back until its request is there.

use std::time::Duration;

use super::{Call, Dialogue, Event, State};
use crate::http::first_bytes;
use crate::http::head_store::HeadStore;
use crate::packet::Moment;
use crate::stream::{Role, StreamEvent};

/// An answer that is longer ahead of its request was not asked for, or its request was not captured.
const LEAD: Duration = Duration::from_millis(100);

impl Dialogue {
    /// Whether this is an answer to a request that has not come yet, or follows one.
    pub(super) fn is_ahead(&self, event: StreamEvent<'_>) -> bool {
        if self.ahead.is_some() {
            return true;
        }
        if self.unasked || self.mid_stream || self.waiting.first().is_some() {
            return false;
        }
        let (client, server) = (&self.halves[Role::Client], &self.halves[Role::Server]);
        let between = |state: &State| matches!(state, State::Beginning(None) | State::Head(None));
        let expected = between(&client.state) && between(&server.state) && !client.lost;
        expected && matches!(event, StreamEvent::Data(bytes) if first_bytes::may_be_message(Role::Server, bytes))
    }

    /// Keeps back what the server says, for a while.
    pub(super) fn hold_answer(&mut self, event: StreamEvent<'_>, call: &mut Call<'_>) {
        let most = call.heads.early_bytes;
        let ahead = self.ahead.get_or_insert_default();
        let is_late = ahead.begun().is_some_and(|begun| call.moment.at.since(begun.at) > LEAD);
        if is_late || !ahead.has_room(event, most) {
            self.unasked = true;
            self.release_answer(call);
            return self.stream(Role::Server, event, call);
        }
        ahead.keep(event, call.moment, most);
    }

    /// The client speaks while an answer is kept back: a request goes before the answer, anything else behind it.
    pub(super) fn client_catches_up(&mut self, event: StreamEvent<'_>, call: &mut Call<'_>) {
        if !self.is_request(event) {
            self.release_answer(call);
        }
        self.stream(Role::Client, event, call);
    }

    /// Whether the client is in a request with this, or may begin one.
    fn is_request(&self, event: StreamEvent<'_>) -> bool {
        let StreamEvent::Data(bytes) = event else { return false };
        match &self.halves[Role::Client].state {
            State::Beginning(None) | State::Head(None) => first_bytes::may_be_message(Role::Client, bytes),
            state => matches!(state, State::Beginning(_) | State::Head(_) | State::LongHead(_)),
        }
    }

    /// Whether an answer is kept back.
    pub fn holds_answer(&self) -> bool {
        self.ahead.is_some()
    }

    /// No request comes any more: what was kept back is told.
    pub fn give_up_waiting(&mut self, heads: &mut HeadStore, listener: &mut dyn FnMut(Event<'_>)) {
        self.release_answer(&mut Call { moment: Moment::default(), heads, listener });
    }

    /// What was kept back goes on.
    pub(super) fn release_answer(&mut self, call: &mut Call<'_>) {
        let Some(ahead) = self.ahead.take() else { return };
        ahead.replay(|moment, event| {
            self.stream(Role::Server, event, &mut Call { moment, heads: call.heads, listener: call.listener });
        });
    }
}
