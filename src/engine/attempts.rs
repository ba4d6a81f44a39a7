//! Opening handshakes: what is asked and answered, and which leg it belongs to.

use std::borrow::Cow;

use crate::engine::event::Event;
use crate::engine::strays::{Front, Seeks};
use crate::engine::tracker::Watch;
use crate::h2;
use crate::http::ProxyHeader;
use crate::http::dialogue::{self, IncompleteHead, TunnelKind};
use crate::http::handshake::{Answer, Offer, Upgrade};
use crate::http::text::text;
use crate::packet::Moment;
use crate::session::flow::{App, Flow, Loose};
use crate::session::joiner::{Match, PlainRequest, Waiting};
use crate::session::leg::{JoinReason, Request, Response};
use crate::session::neighbours::{Note, PlainExchange};
use crate::session::opening::Opening;
use crate::session::slab::FlowId;
use crate::session::tunnel::TunnelState;
use crate::stream::Role;

impl Watch<'_> {
    /// The head of a request is complete.
    pub(super) fn request(&mut self, id: FlowId, request: dialogue::Request) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        if flow.is_attempt() && !flow.opening.is_answered() {
            return; // pipelined behind an attempt that is not answered yet
        }
        // A session without a request has found this connection behind one of its legs: this is what it waited for.
        if flow.session.is_some() && (flow.opening.is_asked() || flow.opening.is_answered()) {
            self.freeze_attempt(id);
        }
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let offer = Offer::read(&request.head);
        let attempt = offer.is_attempt();
        flow.earlier_requests = request.index;
        flow.opening = Opening::of(Request {
            head: request.head,
            offer,
            begun: request.begun,
            moment: request.moment,
            cut: request.cut,
        });
        if attempt { self.attempt(id) } else { self.plain_request(id) }
    }

    /// Somebody wants a WebSocket: finds out which session this is, and tells.
    fn attempt(&mut self, id: FlowId) {
        let Some(waiting) = self.waiting_of(id) else { return };
        let flow = self.tracker.flows.find(id);
        let named = flow.and_then(Flow::proxy_header);
        let found = self.tracker.joiner.find(&waiting, flow.and_then(Flow::dialled));
        match (found, named) {
            (Some(Match::SameAs(_)), _) => {
                // The other copy is followed; this one would only tell everything a second time.
                if let Some(flow) = self.tracker.flows.find_mut(id) {
                    flow.app = App::Inert;
                    flow.opening = Opening::default();
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

    pub(super) fn tell_request(&mut self, id: FlowId) {
        if !self.tracker.wants.progress {
            return;
        }
        let Some(place) = self.tracker.place(id) else { return };
        let Some(request) = self.tracker.flows.find(id).and_then(Flow::request).map(Cow::into_owned) else { return };
        self.emit(&Event::Request(place, &request));
    }

    pub(super) fn tell_response(&mut self, id: FlowId) {
        if !self.tracker.wants.progress {
            return;
        }
        let Some(place) = self.tracker.place(id) else { return };
        let Some(flow) = self.tracker.flows.find(id) else { return };
        let Some(response) = flow.response().map(Cow::into_owned) else { return };
        let request = flow.request().map(Cow::into_owned);
        self.emit(&Event::Response(place, request.as_ref(), &response));
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

    pub(super) fn waiting_of(&self, id: FlowId) -> Option<Waiting> {
        let flow = self.tracker.flows.find(id)?;
        let request = flow.request()?;
        let ends = flow.endpoints();
        Some(Waiting {
            flow: id,
            connection: flow.connection,
            client: ends[flow.client_side],
            server: ends[flow.client_side.peer()],
            key: request.head.nonce(),
            upgrade: !matches!(request.offer.upgrade, Upgrade::Absent),
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
        if !answers_current && flow.opening.is_asked() {
            return;
        }
        let moment = response.moment;
        let request = flow.request().filter(|_| response.request.is_some());
        let answer = Answer::read(&response.head, request.as_ref().map(|request| &request.head));
        flow.opening.answer(Response {
            head: response.head,
            answer,
            begun: response.begun,
            moment: response.moment,
            body: Box::default(),
            head_bytes: response.head_bytes,
            cut: response.cut,
        });
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
        let (Some(request), Some(response)) = (flow.request(), flow.response()) else { return };
        let exchange = PlainExchange {
            connection: flow.connection,
            client: flow.client(),
            server: flow.server(),
            asked: request.head.line().clone(),
            upgrade: request.offer.upgrade,
            connection_upgrade: request.offer.connection_upgrade,
            request: request.moment,
            response: Some((response.head.status, response.moment)),
        };
        if matches!(response.head.status, 502..=504) {
            self.tracker.strays.add_plain(Front {
                owner: (),
                client: exchange.client,
                server: exchange.server,
                opened: (flow.earlier_requests == 0).then_some(flow.opened.at),
                asked: exchange.request.at,
                until: response.begun.at,
                seeks: Seeks::Failure,
            });
        }
        self.tracker.note(Note::Exchange(Box::new(exchange)));
    }

    /// The next bytes of an answer's body: a little of it is kept, to be quoted.
    pub(super) fn body(&mut self, id: FlowId, bytes: &[u8]) {
        let bound = self.tracker.limits.body_bytes;
        let somebody_waits = self.tracker.joiner.is_anybody_waiting();
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        if flow.session.is_none() && flow.opening.is_asked() && !somebody_waits {
            return;
        }
        let Some(response) = flow.opening.response_mut() else { return };
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
                flow.opening = Opening::default();
                App::Waiting
            }
            TunnelKind::Upgrade if flow.session.is_none() && is_h2c(flow.response().as_deref()) => {
                flow.opening = Opening::default();
                let connection = h2::Connection::new(&self.tracker.limits);
                return self.h2_begins(id, connection);
            }
            TunnelKind::Upgrade if flow.session.is_some() => {
                let response = flow.response();
                let moment = response.as_ref().map_or(flow.opened, |response| response.moment);
                let agreed = response.filter(|response| !response.cut).map(|response| response.answer.deflate);
                self.tracker.kinds.pack(&mut flow.opening);
                let mut tunnel = TunnelState::new(agreed, moment);
                if !flow.opening.is_asked() || flow.opening.is_cut() {
                    tunnel.keep_masks();
                    flow.rare().loose = Some(Loose::default());
                }
                App::Tunnel(Box::new(tunnel))
            }
            // What is switched to was cut off: frames will tell.
            TunnelKind::Upgrade if flow.response().is_some_and(|response| response.cut) => App::Probing(Box::default()),
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
            Role::Client if !flow.opening.is_asked() || flow.opening.is_answered() => {
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
        // Who greets before it was asked: an upgrade request may still come.
        let greets = flow.syn_seen && !flow.opening.is_asked() && flow.rare().first_bytes.client.is_none();
        if flow.opening.is_answered() || (flow.session.is_none() && !greets) {
            return;
        }
        flow.rare().odd_answer.get_or_insert_with(|| text(&bytes[..bytes.len().min(QUOTED)]).into());
        if let Some(ticket) = flow.ticket {
            self.tracker.joiner.answer(ticket, moment.at);
        }
    }
}

/// Whether this is a 101 after which HTTP/2 is spoken in clear (RFC 7540 §3.2).
fn is_h2c(response: Option<&Response>) -> bool {
    response.is_some_and(|response| response.head.status == 101 && response.head.fields.has_token("Upgrade", "h2c"))
}
