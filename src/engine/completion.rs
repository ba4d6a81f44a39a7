//! The end of flows and sessions: what is known of a leg is put down, and a session whose legs are all over is complete.

use crate::diagnosis::certificates;
use crate::engine::event::Event;
use crate::engine::judge::Matter;
use crate::engine::strays::{Front, Seeks};
use crate::engine::tracker::{Tracker, Watch};
use crate::engine::tunnels;
use crate::packet::Moment;
use crate::session::flow::{App, Flow};
use crate::session::leg::{EndOf, JoinReason, LegEnd};
use crate::session::neighbours::ending::Ended;
use crate::session::neighbours::{FailedConnection, Note};
use crate::session::over::Over;
use crate::session::records::{Entry, EntryState, Record};
use crate::session::slab::FlowId;
use crate::session::{Leg, SessionId};
use crate::stream::{Role, Side};
use crate::tcp::{Connection, ConnectionFacts, EndKind};
use crate::time::Timestamp;

impl Watch<'_> {
    /// One side said that it is done, with the connection or with a stream of it.
    pub(super) fn side_ended(&mut self, id: FlowId, side: Side, kind: EndKind, of: EndOf, moment: Moment) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let by = flow.role_of(side);
        if flow.ended == Timestamp::ZERO {
            flow.ended = moment.at;
        }
        if flow.session.is_some()
            && self.tracker.wants.progress
            && let Some(place) = self.tracker.place(id)
        {
            self.emit(&Event::End(place, LegEnd { by, kind, of, moment }));
        }
        for stream in self.open_streams(id) {
            self.side_ended(stream, side, kind, of, moment);
        }
    }

    /// Nothing more can come on this connection.
    pub(super) fn flow_ended(&mut self, id: FlowId, moment: Moment) {
        self.give_up_waiting(id, moment.at);
        for stream in self.open_streams(id) {
            self.give_up_waiting(stream, moment.at);
        }
    }

    /// An attempt that was not answered will not be.
    pub(super) fn give_up_waiting(&mut self, id: FlowId, now: Timestamp) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        if let Some(ticket) = flow.ticket.take() {
            if !flow.opening.is_answered() {
                self.join_plain_behind(id);
            }
            self.tracker.joiner.answer(ticket, now);
        }
    }

    /// The connection is over and done with.
    pub(super) fn flow_forgotten(&mut self, id: FlowId, connection: Connection, now: Timestamp) {
        let carried = self.streams_forgotten(id, &connection, now);
        self.last_words(id, &connection);
        self.give_up_waiting(id, now);
        self.settle_partner(id);
        let Some(mut flow) = self.tracker.flows.remove(id) else { return };
        let earlier = flow.rare.as_mut().map(|rare| std::mem::take(&mut rare.earlier_legs));
        for (session, mut leg) in earlier.unwrap_or_default() {
            leg.tcp = connection.facts();
            self.tracker.put_down(session, id, Over::Told(leg));
        }
        match flow.session {
            Some(session) => self.tracker.put_down(session, id, Over::new(flow, connection)),
            None if carried => {}
            None => self.sessionless(&mut flow, connection.facts()),
        }
    }

    /// What decoders and dialogues held back comes out, and connections whose other half was never seen are judged.
    pub(super) fn last_words(&mut self, id: FlowId, connection: &Connection) {
        self.encrypted_ends(id, connection.last());
        self.dialogue_ends(id);
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        match &flow.app {
            App::Probing(_) => {
                let App::Probing(adoption) = std::mem::replace(&mut flow.app, App::Inert) else { return };
                if let crate::ws::Judgement::WebSocket { client } = adoption.finish() {
                    self.adopt(id, client, *adoption);
                }
            }
            App::Http(dialogue) => {
                if flow.session.is_none() || flow.opening.is_answered() {
                    if let Some(head) = dialogue.incomplete_head(Role::Client)
                        && !flow.opening.is_asked()
                    {
                        flow.rare().incomplete_request = Some((head.bytes, head.preview));
                    }
                    return;
                }
                self.adopt_half_seen(id, connection);
            }
            _ => {}
        }
        let (flows, room) = self.split();
        if let Some(flow) = flows.find_mut(id) {
            tunnels::finish(flow, room);
        }
    }

    /// Of an attempt only the client's packets were captured: what it sent behind its request may be frames.
    fn adopt_half_seen(&mut self, id: FlowId, connection: &Connection) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        if connection.facts().unseen_side() != Some(flow.side(Role::Server)) {
            return;
        }
        let App::Http(dialogue) = std::mem::replace(&mut flow.app, App::Inert) else { return };
        let side = flow.client_side;
        let mut adoption = crate::ws::Adoption::new();
        for (moment, bytes) in dialogue.early() {
            let _ = adoption.handle(side, bytes, moment);
        }
        if let crate::ws::Judgement::WebSocket { client } = adoption.finish()
            && client == side
        {
            self.adopt(id, client, adoption);
        }
    }

    /// A connection is over that is no leg of any session.
    fn sessionless(&mut self, flow: &mut Flow, facts: ConnectionFacts) {
        self.tracker.not_websocket += 1;
        if flow.rare.as_ref().is_some_and(|rare| rare.shadow) {
            return;
        }
        let cut_off = flow.rare.as_ref().and_then(|rare| rare.incomplete_request.as_ref());
        if let Some((_, head)) = cut_off
            && asks_for_websocket(head)
        {
            self.tracker.open_done(flow.promised(), Box::new(flow.take_leg(facts)));
            return;
        }
        if let Some(tls) = flow.rare.as_ref().and_then(|rare| rare.tls.as_ref()) {
            let tls = tls.facts();
            let failed = tls.client_hello.is_some() && tls.handshake_done.is_none() && !tls.resumed;
            let refused = tls.client_left_after_server_flight || tls.server_dismissed_client().is_some();
            let left = facts.ends.first().filter(|end| end.side == flow.client_side).map(|end| end.moment);
            let disliked = left.is_some_and(|left| certificates::left_for(&tls, left).is_some());
            let readable = matches!(flow.app, App::H2(_));
            let likely = !readable && !tls.likely_websocket.is_empty();
            if failed || refused || disliked || tls.lacks_certificate() || likely {
                self.tracker.open_done(flow.promised(), Box::new(flow.take_leg(facts)));
            } else if self.tracker.dialling.is_none() && !readable && tls.decrypted_by.is_none() {
                self.tracker.strays.add_encrypted(flow.take_leg(facts));
            }
            return;
        }
        let refused = flow.opening.status().is_some_and(|status| (400..600).contains(&status));
        let half_seen = refused && facts.unseen_side() == Some(flow.side(Role::Client));
        if !flow.opening.is_asked() && (!flow.opening.is_answered() || half_seen) {
            self.tracker.strays.add(flow.take_leg(facts));
        }
    }

    /// A connection was refused before anything was said on it.
    pub(super) fn connection_failed(&mut self, connection: &Connection, moment: Moment) {
        if connection.established_seen() {
            return;
        }
        let (client, server) = (connection.endpoint(Side::Originator), connection.endpoint(Side::Responder));
        let Some(front) = self.tracker.joiner.waiting_at(moment.at, client.ip, server).next() else { return };
        let Some(session) = self.tracker.flows.find(front).and_then(|flow| flow.session) else { return };
        if !self.tracker.wants.progress {
            return;
        }
        let leg = self.tracker.flows.find(front).map_or(0, |flow| usize::from(flow.depth) + 1);
        let place = crate::engine::event::Place { session, client, server, leg };
        self.emit(&Event::Unreachable(place, moment));
    }

    /// A connection is over on which nothing was ever said.
    pub(super) fn silent_connection_forgotten(&mut self, connection: &Connection) {
        let facts = connection.facts();
        if !facts.came_up()
            && let Some(syn) = facts.syn
        {
            self.tracker.note(Note::Failure(FailedConnection {
                connection: facts.id,
                client: facts.endpoints.originator,
                server: facts.endpoints.responder,
                syn,
                refused: facts.refused,
            }));
        } else {
            self.tracker.not_websocket += 1;
        }
        if self.tracker.dialling.as_mut().is_some_and(|dialling| dialling.is_over(facts.id)) {
            return;
        }
        let mut flow = Flow::new(facts.id, facts.endpoints, facts.syn.is_some(), facts.first);
        self.tracker.strays.add(flow.take_leg(facts));
    }
}

impl Watch<'_> {
    /// An attempt on a connection that is used again is over: the leg is put aside, the flow is free for the next one.
    pub(super) fn freeze_attempt(&mut self, id: FlowId) {
        self.settle_partner(id);
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let facts = ConnectionFacts::nothing(flow.connection, flow.endpoints(), flow.opened);
        let leg = Box::new(flow.take_leg(facts));
        let Some(session) = flow.session.take() else { return };
        let ticket = flow.ticket.take();
        flow.rare().earlier_legs.push((session, leg));
        if flow.promised() == Some(session) {
            // The promise was kept: the next attempt is another session.
            flow.rare().promised = None;
            self.tracker.promises.retain(|&(promised, _)| promised != session);
        }
        if let Some(ticket) = ticket {
            self.tracker.joiner.answer(ticket, self.tracker.now);
        }
    }
}

impl Tracker {
    /// A leg is over: its session may be complete.
    pub(super) fn put_down(&mut self, session: SessionId, flow: FlowId, leg: Over) {
        let Some(record) = self.records.find_mut(session) else { return };
        let entry = record.entries.iter_mut().find(|entry| matches!(entry.state, EntryState::Live(id) if id == flow));
        let Some(entry) = entry else { return };
        entry.state = EntryState::Done(leg);
        record.live -= 1;
        if record.live == 0 {
            self.complete(session);
        }
    }

    /// A session that is over the moment it is found.
    pub(super) fn open_done(&mut self, promised: Option<SessionId>, leg: Box<Leg>) {
        let session = self.records.open_done(promised, leg);
        self.complete(session);
    }

    fn complete(&mut self, session: SessionId) {
        if self.completed.insert(session) {
            self.uncounted.push(session);
        }
    }

    /// Counts complete sessions among the neighbours. That waits for the first judgement, for until then legs may still be
    /// joined, and two sessions be one.
    pub(super) fn count_endings(&mut self) {
        for session in self.uncounted.drain(..) {
            let ending = self.records.find(session).and_then(|record| record.ending(session));
            self.matters.extend(ending.map(|ending| Matter::Note(Note::Ending(ending))));
        }
    }

    /// Gives complete sessions the connections that their proxies tried to make, in vain.
    pub(super) fn claim_strays(&mut self, sessions: &[SessionId]) {
        if self.strays.is_empty() {
            return;
        }
        let fronts: Vec<Front<(SessionId, usize)>> = sessions
            .iter()
            .filter_map(|&id| Some((id, self.records.find(id)?)))
            .flat_map(|(id, record)| fronts_of(id, record))
            .collect();
        for ((session, index), leg) in self.strays.claim(&fronts, self.joiner.hosts()) {
            let entry =
                Entry { behind: None, joined_by: Some(JoinReason::Time), state: EntryState::Done(Over::Told(leg)) };
            self.records.attach(session, index, entry);
        }
    }
}

/// The legs of a session whose proxy may have tried to connect in vain: before it found somebody who answered, or at all.
pub(super) fn fronts_of(id: SessionId, record: &Record) -> Vec<Front<(SessionId, usize)>> {
    let mut fronts = Vec::new();
    for (index, entry) in record.entries.iter().enumerate() {
        let EntryState::Done(leg) = &entry.state else { continue };
        let Some(asked) = leg.asked() else {
            fronts.extend(sent_away((id, index), leg));
            continue;
        };
        let behind = record.entries.iter().filter(|other| other.is_behind(index));
        let answering = behind.filter_map(|other| match &other.state {
            EntryState::Done(back) if back.status().is_some() && back.status() == leg.status() => Some(back),
            _ => None,
        });
        let answering = answering.min_by_key(|back| back.first());
        let (until, seeks) = match answering {
            Some(back) => (back.first().at, Seeks::EarlierAttempt { worked: back.server() }),
            None if leg.opened().is_some() => match promised_in_vain(record, index, leg) {
                Some(closed) => (closed, Seeks::Failure),
                None => continue,
            },
            None => {
                let until = leg.answered().map_or(leg.last().at, |answered| answered.at);
                let alone = !record.entries.iter().any(|other| other.is_behind(index));
                match leg.status() {
                    Some(502..=504) if alone => (until, Seeks::Failure),
                    // Who answers something else than that the server failed (RFC 9110 §15.6) may hide it behind a page.
                    Some(..500) if alone => (until, Seeks::HiddenFailure),
                    Some(..500) => continue,
                    _ => (until, Seeks::Any),
                }
            }
        };
        let (owner, asked) = ((id, index), asked.at);
        let opened = (!leg.is_reused()).then(|| leg.first().at);
        fronts.push(Front { owner, client: leg.client(), server: leg.server(), opened, asked, until, seeks });
    }
    fronts
}

/// An encrypted leg that came up and was ended without an answer: what ends TLS there may have dialled in vain.
fn sent_away(owner: (SessionId, usize), leg: &Over) -> Option<Front<(SessionId, usize)>> {
    let Over::Told(leg) = leg else { return None };
    let tls = leg.tls.as_deref().filter(|tls| tls.bytes.server == 0)?;
    let (asked, until) = (tls.handshake_done?.at, leg.tcp.last.at);
    let opened = Some(leg.tcp.first.at);
    Some(Front { owner, client: leg.client, server: leg.server, opened, asked, until, seeks: Seeks::Any })
}

/// When a proxy closed a WebSocket that it had opened before it asked its backend, and on which it had nothing to say;
/// `None` when it was not so. A code of its own tells that something failed (RFC 6455 §7.4.1).
fn promised_in_vain(record: &Record, index: usize, leg: &Over) -> Option<Timestamp> {
    let alone = !record.entries.iter().any(|other| other.is_behind(index));
    let said = leg.close(Role::Server).and_then(|close| close.code);
    if !alone || said.is_none_or(|code| code <= 1001) {
        return None;
    }
    leg.tunnel()?.failed_from_the_start().map(|close| close.moment.at)
}

/// Whether the beginning of a request head asks for a WebSocket.
fn asks_for_websocket(head: &str) -> bool {
    let head = head.to_ascii_lowercase();
    head.contains("upgrade: websocket") || head.contains("sec-websocket-")
}
