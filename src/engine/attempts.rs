//! Opening handshakes: what is asked and answered, and which leg it belongs to.

use std::net::IpAddr;
use std::sync::Arc;

use crate::engine::event::Event;
use crate::engine::tracker::Watch;
use crate::h2;
use crate::http::ProxyHeader;
use crate::http::dialogue::{self, IncompleteHead, TunnelKind};
use crate::http::handshake::Key;
use crate::http::text::text;
use crate::packet::Moment;
use crate::session::flow::{App, Flow};
use crate::session::joiner::{Match, PlainRequest, Waiting};
use crate::session::leg::{JoinReason, Request, Response};
use crate::session::neighbours::{Note, PlainExchange};
use crate::session::records::{Entry, EntryState};
use crate::session::slab::FlowId;
use crate::session::tunnel::TunnelState;
use crate::stream::Role;

impl Watch<'_> {
    /// The head of a request is complete.
    pub(super) fn request(&mut self, id: FlowId, request: dialogue::Request) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let attempt = request.offer.is_attempt();
        if flow.is_attempt() && flow.response.is_none() {
            return; // pipelined behind an attempt that is not answered yet
        }
        // A session without a request has found this connection behind one of its legs: this is what it waited for.
        if flow.session.is_some() && (flow.request.is_some() || flow.response.is_some()) {
            self.freeze_attempt(id);
        }
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        flow.earlier_requests = request.index;
        flow.request = Some(Box::new(Request {
            head: request.head,
            offer: request.offer,
            begun: request.begun,
            moment: request.moment,
            cut: request.cut,
        }));
        flow.response = None;
        if attempt { self.attempt(id) } else { self.plain_request(id) }
    }

    /// Somebody wants a WebSocket: finds out which session this is, and tells.
    fn attempt(&mut self, id: FlowId) {
        let Some(waiting) = self.waiting_of(id) else { return };
        let named = self.tracker.flows.find(id).and_then(Flow::proxy_header);
        let found = self.tracker.joiner.find(&waiting);
        match (found, named) {
            (Some(Match::SameAs(_)), _) => {
                // The other copy is followed; this one would only tell everything a second time.
                if let Some(flow) = self.tracker.flows.find_mut(id) {
                    flow.app = App::Inert;
                    flow.request = None;
                    flow.rare().shadow = true;
                }
                return;
            }
            // When secrets came late, nobody waits any more, or somebody does who is to be found behind this one.
            _ if self.join_late(id) => {}
            (Some(Match::Behind(front)), _) => {
                if let Some(server) = self.tracker.flows.find(front).map(Flow::server) {
                    self.tracker.joiner.learn_host(server.ip, waiting.client.ip);
                }
                self.join_behind(front, id, JoinReason::Key);
            }
            (Some(Match::InFront(back)), _) => {
                self.ensure_session(id);
                self.join_sessions(id, back, JoinReason::Key);
            }
            (None, Some(header)) => {
                if let Some(front) = self.tracker.joiner.find_named(&header, waiting.connection, waiting.asked) {
                    self.join_behind(front, id, JoinReason::ProxyHeader);
                }
            }
            (None, None) => self.join_keyless(id, &waiting),
        }
        self.ensure_session(id);
        if self.tracker.partners.has_encrypted() {
            self.tracker.list_attempt(id);
        }
        let ticket = self.tracker.joiner.ask(waiting);
        if let Some(flow) = self.tracker.flows.find_mut(id) {
            flow.ticket = Some(ticket);
        }
        self.tell_request(id);
    }

    fn tell_request(&mut self, id: FlowId) {
        if !self.tracker.wants.progress {
            return;
        }
        let Some(place) = self.tracker.place(id) else { return };
        let Some(request) = self.tracker.flows.find(id).and_then(|flow| flow.request.clone()) else { return };
        self.emit(&Event::Request(place, &request));
    }

    fn tell_response(&mut self, id: FlowId) {
        if !self.tracker.wants.progress {
            return;
        }
        let Some(place) = self.tracker.place(id) else { return };
        let Some(flow) = self.tracker.flows.find(id) else { return };
        let Some(response) = flow.response.clone() else { return };
        let request = flow.request.clone();
        self.emit(&Event::Response(place, request.as_deref(), &response));
    }

    /// A request for something else: remembered, for a proxy may have made it of an attempt.
    fn plain_request(&mut self, id: FlowId) {
        let Some(waiting) = self.waiting_of(id) else { return };
        self.tracker.joiner.plain(PlainRequest {
            flow: id,
            connection: waiting.connection,
            client: waiting.client.ip,
            server: waiting.server,
            asked: waiting.asked,
        });
    }

    fn waiting_of(&self, id: FlowId) -> Option<Waiting> {
        let flow = self.tracker.flows.find(id)?;
        let request = flow.request.as_ref()?;
        let key = match request.offer.key {
            Key::Valid(key) => Some(key),
            _ => None,
        };
        Some(Waiting {
            flow: id,
            connection: flow.connection,
            client: flow.client(),
            server: flow.server(),
            key,
            asked: request.moment.at,
            answered: None,
        })
    }

    /// The head of a response is complete.
    pub(super) fn response(&mut self, id: FlowId, response: dialogue::Response) {
        if response.interim {
            return;
        }
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let answers_current = response.request.is_none_or(|index| index == flow.earlier_requests);
        if !answers_current && flow.request.is_some() {
            return;
        }
        let moment = response.moment;
        flow.response = Some(Box::new(Response {
            head: response.head,
            answer: response.answer,
            begun: response.begun,
            moment: response.moment,
            body: Box::default(),
            head_bytes: response.head_bytes,
            cut: response.cut,
        }));
        // An answer that opens a WebSocket makes a session even where the request was not captured, or not all of it.
        if flow.is_websocket_answer() {
            self.ensure_session(id);
        }
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        if flow.session.is_none() {
            self.plain_answered(id);
            return;
        }
        if let Some(ticket) = flow.ticket {
            self.join_plain_behind(id);
            self.tracker.joiner.answer(ticket, moment.at);
        }
        self.tell_response(id);
    }

    /// An exchange that is no leg, so far.
    fn plain_answered(&mut self, id: FlowId) {
        let Some(flow) = self.tracker.flows.find(id) else { return };
        let (Some(request), Some(response)) = (&flow.request, &flow.response) else { return };
        let exchange = PlainExchange {
            connection: flow.connection,
            client: flow.client(),
            server: flow.server(),
            method: Arc::from(&*request.head.method),
            target: request.head.target.clone(),
            upgrade: request.offer.upgrade,
            connection_upgrade: request.offer.connection_upgrade,
            request: request.moment,
            response: Some((response.head.status, response.moment)),
        };
        self.tracker.note(Note::Exchange(Box::new(exchange)));
    }

    /// The next bytes of an answer's body: a little of it is kept, to be quoted.
    pub(super) fn body(&mut self, id: FlowId, bytes: &[u8]) {
        let bound = self.tracker.limits.body_bytes;
        let somebody_waits = self.tracker.joiner.is_anybody_waiting();
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        if flow.session.is_none() && flow.request.is_some() && !somebody_waits {
            return;
        }
        let Some(response) = &mut flow.response else { return };
        let room = bound.saturating_sub(response.body.len());
        if room > 0 {
            let mut body = String::from(std::mem::take(&mut response.body));
            body.push_str(&text(&bytes[..bytes.len().min(room)]));
            response.body = body.into();
        }
    }

    /// HTTP is over on this connection.
    pub(super) fn tunnel_begins(&mut self, id: FlowId, kind: TunnelKind) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        flow.app = match kind {
            TunnelKind::Connect if flow.session.is_none() => {
                flow.request = None;
                flow.response = None;
                App::Waiting
            }
            TunnelKind::Upgrade if flow.session.is_none() && is_h2c(flow.response.as_deref()) => {
                (flow.request, flow.response) = (None, None);
                let connection = h2::Connection::new(&self.tracker.limits);
                return self.h2_begins(id, connection);
            }
            TunnelKind::Upgrade if flow.session.is_some() => {
                let whole = flow.response.as_ref().filter(|response| !response.cut);
                let agreed = whole.map(|response| response.answer.deflate);
                let moment = flow.response.as_ref().map_or(flow.opened, |response| response.moment);
                App::Tunnel(Box::new(TunnelState::new(agreed, moment)))
            }
            // What is switched to was cut off: frames will tell.
            TunnelKind::Upgrade if flow.response.as_ref().is_some_and(|response| response.cut) => {
                App::Probing(Box::default())
            }
            _ => App::Inert,
        };
    }

    /// A PROXY header came first on this connection.
    pub(super) fn proxy_header(&mut self, id: FlowId, header: ProxyHeader) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        flow.rare().proxy_header = Some(header);
        let server = flow.server();
        self.tracker.note(Note::ProxyHeader(server));
    }

    /// A head did not come to its end.
    pub(super) fn incomplete_head(&mut self, id: FlowId, role: Role, head: IncompleteHead) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        match role {
            Role::Client if flow.request.is_none() || flow.response.is_some() => {
                flow.rare().incomplete_request = Some((head.bytes, head.preview));
            }
            Role::Client => {}
            Role::Server => {
                flow.rare().odd_answer.get_or_insert(head.preview);
            }
        }
    }

    /// The server says something that is no answer.
    pub(super) fn odd_answer(&mut self, id: FlowId, bytes: &[u8], moment: Moment) {
        /// Enough to recognise what speaks there.
        const QUOTED: usize = 256;
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        if flow.session.is_none() || flow.response.is_some() {
            return;
        }
        flow.rare().odd_answer.get_or_insert_with(|| text(&bytes[..bytes.len().min(QUOTED)]).into());
        if let Some(ticket) = flow.ticket {
            self.tracker.joiner.answer(ticket, moment.at);
        }
    }

    /// Makes a session of a flow, if it is no leg yet. Says whether it is new.
    pub(super) fn ensure_session(&mut self, id: FlowId) -> bool {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return false };
        if flow.session.is_some() {
            return false;
        }
        let session = self.tracker.records.open(flow.promised(), id, flow.opened.at);
        flow.session = Some(session);
        true
    }

    /// Makes the flow a leg behind another one.
    pub(super) fn join_behind(&mut self, front: FlowId, id: FlowId, reason: JoinReason) {
        let Some(session) = self.tracker.flows.find(front).and_then(|flow| flow.session) else { return };
        let Some(index) = self.tracker.records.find(session).and_then(|record| record.index_of(front)) else { return };
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        match flow.session {
            Some(own) if own != session => self.merge(session, index, own, reason),
            Some(_) => {}
            None => {
                let state = EntryState::Live(id);
                let entry = Entry { behind: None, joined_by: Some(reason), state };
                flow.session = Some(session);
                self.tracker.records.attach(session, index, entry);
                self.tracker.measure_depth(id);
            }
        }
    }

    /// Puts the session of `back` behind `front`.
    pub(super) fn join_sessions(&mut self, front: FlowId, back: FlowId, reason: JoinReason) {
        let session_of = |id| self.tracker.flows.find(id).and_then(|flow: &Flow| flow.session);
        let (Some(into), Some(from)) = (session_of(front), session_of(back)) else { return };
        let Some(index) = self.tracker.records.find(into).and_then(|record| record.index_of(front)) else { return };
        self.merge(into, index, from, reason);
    }

    fn merge(
        &mut self,
        into: crate::session::SessionId,
        index: usize,
        from: crate::session::SessionId,
        reason: JoinReason,
    ) {
        for moved in self.tracker.records.merge(into, index, from, reason) {
            if let Some(flow) = self.tracker.flows.find_mut(moved) {
                flow.session = Some(into);
            }
            self.tracker.measure_depth(moved);
        }
        if self.tracker.wants.progress {
            self.emit(&Event::Joined { into, from, reason });
        }
    }

    /// The answer to an attempt is here, or will never come, and no leg behind it is known: a proxy may have made a plain request of
    /// it, without the key.
    pub(super) fn join_plain_behind(&mut self, id: FlowId) {
        let Some(waiting) = self.waiting_of(id) else { return };
        if !self.tracker.joiner.is_plain_since(waiting.asked) || self.has_back(id).unwrap_or(true) {
            return;
        }
        let candidates: Vec<PlainRequest> = self.tracker.joiner.plain_behind(&waiting).take(64).collect();
        let Some(request) = self.tracker.flows.find(id).and_then(|flow| flow.request.clone()) else { return };
        let best = candidates
            .into_iter()
            .filter_map(|candidate| {
                let flow = self.tracker.flows.find(candidate.flow)?;
                let same = flow.connection == candidate.connection && flow.session.is_none();
                let score = if same { likeness(&request, flow.request.as_deref()?, waiting.client.ip) } else { 0 };
                (score > 0).then_some((score, candidate.flow))
            })
            .max_by_key(|(score, _)| *score);
        if let Some((_, back)) = best {
            self.join_behind(id, back, JoinReason::Request);
            self.tell_request(back);
            if self.tracker.flows.find(back).is_some_and(|flow| flow.response.is_some()) {
                self.tell_response(back);
            }
        }
    }

    /// No key says which leg is in front: over HTTP/2 there is none, and some proxies drop it. It is one that waits for
    /// such a request.
    fn join_keyless(&mut self, id: FlowId, waiting: &Waiting) {
        let candidates: Vec<Waiting> = self.tracker.joiner.keyless_fronts(waiting).take(64).copied().collect();
        if candidates.is_empty() {
            return;
        }
        let Some(request) = self.tracker.flows.find(id).and_then(|flow| flow.request.clone()) else { return };
        let only = candidates.len() == 1;
        let best = candidates
            .into_iter()
            .filter_map(|front| {
                let flow = self.tracker.flows.find(front.flow)?;
                let asked = flow.request.as_deref().filter(|_| flow.connection == front.connection)?;
                let alone = !self.has_back(front.flow)?;
                let near = self.tracker.joiner.hosts().may_be_one(front.server.ip, waiting.client.ip);
                let alike = if have_one_key(asked, &request) { likeness(asked, &request, front.client.ip) } else { 0 };
                // Where nobody else waits, the same visitor is enough: the proxy has changed the target.
                let alone_with_it = only && near && alone && have_one_key(asked, &request);
                let same_visitor = alone_with_it && is_same_visitor(asked, &request);
                let (alike, reason) = match alike {
                    0 => (u32::from(same_visitor), JoinReason::Time),
                    _ => (alike, JoinReason::Request),
                };
                // Where nothing says that the proxy dials from there, the requests must be alike in more than the target.
                (alike >= if near { 1 } else { 4 }).then_some((alone, alike, front, reason))
            })
            .max_by_key(|&(alone, alike, front, _)| (alone, alike, front.asked));
        if let Some((.., front, reason)) = best {
            self.tracker.joiner.learn_host(front.server.ip, waiting.client.ip);
            self.join_behind(front.flow, id, reason);
        }
    }

    /// Whether a leg is known behind this one; `None` when it is no leg.
    fn has_back(&self, id: FlowId) -> Option<bool> {
        let flow = self.tracker.flows.find(id)?;
        let record = self.tracker.records.find(flow.session?)?;
        let index = record.index_of(id)?;
        Some(record.entries.iter().any(|entry| entry.behind == Some(index)))
    }
}

/// Whether this is a 101 after which HTTP/2 is spoken in clear (RFC 7540 §3.2).
fn is_h2c(response: Option<&Response>) -> bool {
    response.is_some_and(|response| response.head.status == 101 && response.head.fields.has_token("Upgrade", "h2c"))
}

/// Whether two requests do not have different keys, valid or not.
fn have_one_key(one: &Request, other: &Request) -> bool {
    fn key(request: &Request) -> Option<&str> {
        request.head.fields.first("Sec-WebSocket-Key")
    }
    key(one).zip(key(other)).is_none_or(|(one, other)| one == other)
}

/// Whether two requests come from the same program and page, as far as they say.
fn is_same_visitor(one: &Request, other: &Request) -> bool {
    let same = |name| {
        let (one, other) = (one.head.fields.first(name), other.head.fields.first(name));
        one.is_some() && one == other
    };
    same("Cookie") || same("Authorization") || (same("User-Agent") && same("Origin"))
}

/// How much a request looks like what a proxy made of an attempt of this client; 0 when it does not.
fn likeness(attempt: &Request, plain: &Request, client: IpAddr) -> u32 {
    let (asked, got) = (&attempt.head, &plain.head);
    let same = |name: &str| asked.fields.first(name).is_some() && asked.fields.first(name) == got.fields.first(name);
    let forwarded = got.fields.name_client(client);
    let target = asked.target == got.target;
    let id = same("X-Request-ID") || same("traceparent");
    if !(target || id || (forwarded && got.path().ends_with(asked.path().rsplit('/').next().unwrap_or("/")))) {
        return 0;
    }
    1 + 4 * u32::from(id)
        + 2 * u32::from(target)
        + u32::from(forwarded)
        + u32::from(same("User-Agent"))
        + u32::from(same("Origin"))
        + u32::from(same("Cookie"))
}
