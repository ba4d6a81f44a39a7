//! Legs become one session while their client waits: by the key, or by the request where there is none.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::engine::event::Event;
use crate::engine::tracker::Watch;
use crate::session::SessionId;
use crate::session::flow::Flow;
use crate::session::joiner::{PlainRequest, Waiting};
use crate::session::leg::{JoinReason, Request};
use crate::session::records::{Entry, EntryState};
use crate::session::slab::FlowId;

impl Watch<'_> {
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

    fn merge(&mut self, into: SessionId, index: usize, from: SessionId, reason: JoinReason) {
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
        let asked = self.tracker.flows.find(id).and_then(Flow::asked);
        if !asked.is_some_and(|asked| self.tracker.joiner.is_plain_since(asked.at)) || self.has_back(id).unwrap_or(true)
        {
            return;
        }
        let Some(waiting) = self.waiting_of(id) else { return };
        let candidates: Vec<PlainRequest> = self.tracker.joiner.plain_behind(&waiting).take(64).collect();
        let Some(front) = self.tracker.flows.find(id) else { return };
        let Some(request) = front.request().map(Cow::into_owned) else { return };
        let best = candidates
            .into_iter()
            .filter_map(|candidate| {
                let flow = self.tracker.flows.find(candidate.flow)?;
                let same = flow.connection == candidate.connection && flow.session.is_none() && !is_behind(front, flow);
                let score = if same { likeness(&request, &*flow.request()?, waiting.client.ip) } else { 0 };
                (score > 0).then_some((score, candidate.flow))
            })
            .max_by_key(|(score, _)| *score);
        if let Some((_, back)) = best {
            self.join_behind(id, back, JoinReason::Request);
            self.tell_request(back);
            if self.tracker.flows.find(back).is_some_and(|flow| flow.opening.is_answered()) {
                self.tell_response(back);
            }
        }
    }

    /// No key says which leg is in front: over HTTP/2 there is none, and some proxies drop it. It is one that waits for
    /// such a request.
    pub(super) fn join_keyless(&mut self, id: FlowId, waiting: &Waiting) {
        let candidates = self.tracker.joiner.keyless_fronts(waiting, 64);
        if candidates.is_empty() {
            return;
        }
        let Some(request) = self.tracker.flows.find(id).and_then(Flow::request).map(Cow::into_owned) else { return };
        let only = candidates.len() == 1;
        let best = candidates
            .into_iter()
            .filter_map(|front| {
                let flow = self.tracker.flows.find(front.flow)?;
                let asked = &*flow.request().filter(|_| flow.connection == front.connection)?;
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
    pub(super) fn has_back(&self, id: FlowId) -> Option<bool> {
        let flow = self.tracker.flows.find(id)?;
        let record = self.tracker.records.find(flow.session?)?;
        let index = record.index_of(id)?;
        Some(record.entries.iter().any(|entry| entry.is_behind(index)))
    }
}

/// Whether it is rather the other way round: `back` asked first, and was not answered first by as much. What captures on
/// several interfaces do to one of the two times they do to the other as well.
fn is_behind(front: &Flow, back: &Flow) -> bool {
    let (Some(ours), Some(theirs)) = (front.asked(), back.asked()) else { return false };
    let early = ours.at.since(theirs.at);
    let Some(answered) = front.answered().filter(|_| !early.is_zero()) else { return false };
    back.answered().is_none_or(|theirs| answered.at.since(theirs.at) < early)
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
    let target = asked.target() == got.target();
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
