//! The proxy's way to its backend: which attempt decided what the proxy answered, and what came of it.

use std::time::Duration;

use crate::diagnosis::answer;
use crate::diagnosis::parties::{self, Name};
use crate::packet::Moment;
use crate::session::{Leg, Outcome, Session};
use crate::time::Timestamp;

/// A leg behind a proxy on which the proxy got no WebSocket, and which was its last attempt.
#[derive(Clone, Copy, Debug)]
pub struct LastAttempt<'a> {
    /// The session.
    pub session: &'a Session,
    /// The leg in front of the proxy.
    pub front: &'a Leg,
    /// The index of the leg in front.
    pub front_index: usize,
    /// The leg behind it.
    pub back: &'a Leg,
    /// The index of the leg behind.
    pub back_index: usize,
}

/// The last attempts of proxies whose client got no WebSocket, from the client on.
pub fn last_attempts(session: &Session) -> impl Iterator<Item = LastAttempt<'_>> {
    session.proxies().filter_map(move |proxy| {
        let crate::session::Proxy { front_index, front, back_index, back } = proxy;
        let opened = front.response.as_deref().is_some_and(|response| answer::opens_tunnel(front, response));
        let open = opened || front.tunnel.is_some();
        if open && !answer::was_promised_in_vain(front, back) || !parties::is_last_attempt(session, back_index) {
            return None;
        }
        Some(LastAttempt { session, front, front_index, back, back_index })
    })
}

/// Whether the capture ended before a proxy, whose client waits on `front`, had told it of an attempt that failed then, or made
/// another one.
pub fn may_go_on(front: &Leg, failed: Moment, captured_until: Timestamp) -> bool {
    const AT_ONCE: Duration = Duration::from_secs(1);
    front.settled().is_none() && captured_until.since(failed.at) < AT_ONCE
}

impl LastAttempt<'_> {
    /// The proxy, by the address that its clients know.
    pub fn proxy(&self) -> Name {
        let name = parties::server_of(self.session, self.front_index);
        name.unwrap_or(Name { word: "proxy", endpoint: self.front.server })
    }

    /// Whom it tried to reach.
    pub fn backend(&self) -> Name {
        let name = parties::server_of(self.session, self.back_index);
        name.unwrap_or(Name { word: "backend", endpoint: self.back.server })
    }

    /// What the proxy told its client: `it answered 502`.
    pub fn outcome(&self) -> String {
        if let Some(code) = self.front.tunnel.as_ref().and_then(|tunnel| tunnel.sides.server.close.as_ref()?.code) {
            return format!("it had opened its client's WebSocket before, and closed it with {code}");
        }
        match self.front.status() {
            Some(status) => format!("it answered {status}"),
            None if self.front.outcome == Outcome::Encrypted => "what the proxy answered is encrypted".to_owned(),
            None => "its client got no answer".to_owned(),
        }
    }

    /// When the proxy had answered its client.
    pub fn answered(&self) -> Option<Moment> {
        self.front.response.as_deref().map(|response| response.moment)
    }

    /// Whether the proxy gave up as soon as it had dialled, and nothing that came back was captured: no timer is that short.
    pub fn gave_up_at_once(&self) -> bool {
        const AT_ONCE: Duration = Duration::from_millis(100);
        let tcp = &self.back.tcp;
        let told = self.front.response.as_deref().filter(|response| matches!(response.head.status, 502..=504));
        let waited = tcp.syn.zip(told).map(|(syn, told)| told.moment.at.since(syn.at));
        let silent = !tcp.came_up() && tcp.refused.is_none() && tcp.icmp.is_empty() && tcp.syn_retransmissions == 0;
        silent && waited.is_some_and(|waited| waited <= AT_ONCE)
    }

    /// How many attempts it made for this request.
    pub fn attempts(&self) -> usize {
        self.session.proxies().filter(|proxy| proxy.front_index == self.front_index).count()
    }
}
