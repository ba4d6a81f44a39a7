//! A flow: what is being spoken on one connection, while it is followed.

use std::borrow::Cow;

use crate::h2;
use crate::http::handshake::Upgrade;
use crate::http::{self, FirstBytes, ProxyHeader};
use crate::packet::Moment;
use crate::session::joiner::Ticket;
use crate::session::leg::{H2Facts, Leg, Request, Response, SessionId};
use crate::session::opening::Opening;
use crate::session::slab::FlowId;
use crate::session::spare::Spare;
use crate::session::tunnel::TunnelState;
use crate::stream::{ByRole, Pair, Role, Side};
use crate::tcp::{ConnectionFacts, ConnectionId};
use crate::time::Timestamp;
use crate::tls;
use crate::wire::{Endpoint, Ends, KeptEnds};
use crate::ws;

/// What a connection carries, as far as is known.
pub enum App {
    /// Nothing was said yet.
    Waiting,
    /// HTTP/1.
    Http(Box<http::Dialogue>),
    /// Something that may be a WebSocket which was open before: its bytes are kept until that is decided.
    Probing(Box<ws::Adoption>),
    /// A WebSocket.
    Tunnel(Box<TunnelState>),
    /// HTTP/2: each stream that matters is a flow of its own.
    H2(Box<Multiplex>),
    /// The dialogue is telling what it read.
    Speaking,
    /// Nothing for us.
    Inert,
}

/// An HTTP/2 connection and the flows of its streams.
pub struct Multiplex {
    /// What is spoken.
    pub connection: h2::Connection,
    /// The streams that are, or may be, legs.
    pub streams: Vec<(h2::StreamId, FlowId)>,
    /// Whether a leg was among those that are put down already.
    pub carried: bool,
}

/// One connection, or one stream of an HTTP/2 connection, while it is followed.
#[repr(C, align(64))] // what every packet touches comes first, in one cache line
pub struct Flow {
    /// What is spoken.
    pub app: App,
    /// What most connections do not have.
    pub rare: Option<Box<Rare>>,
    /// The session that it is a leg of.
    pub session: Option<SessionId>,
    /// Its ends, originator first.
    pub ends: KeptEnds,
    /// Which side the client is.
    pub client_side: Side,
    /// Whether the capture saw the SYN: then the originator is the client.
    pub syn_seen: bool,
    /// How many proxies are in front of it.
    pub depth: u8,
    /// Requests on this connection before the one that matters, which is its number.
    pub earlier_requests: u32,
    /// The connection.
    pub connection: ConnectionId,
    /// Its first packet.
    pub opened: Moment,
    /// Its place among those that wait for an answer.
    pub ticket: Option<Ticket>,
    /// What was asked and answered.
    pub opening: Opening,
    /// When the first FIN or RST came; [`Timestamp::ZERO`] before it.
    pub ended: Timestamp,
}

/// What most connections do not have.
#[derive(Default)]
pub struct Rare {
    /// TLS.
    pub tls: Option<Box<tls::Observer>>,
    /// What is known of the stream, where the flow is one of an HTTP/2 connection.
    pub h2: Option<Box<H2Facts>>,
    /// A PROXY header.
    pub proxy_header: Option<ProxyHeader>,
    /// What each end began with, where that is not HTTP.
    pub first_bytes: ByRole<Option<FirstBytes>>,
    /// A head that never ended.
    pub incomplete_request: Option<(u32, Box<str>)>,
    /// What stands where an answer should be.
    pub odd_answer: Option<Box<str>>,
    /// Legs that this connection carried before: it was used again. What TCP knows is filled in at the end.
    pub earlier_legs: Vec<(SessionId, Box<Leg>)>,
    /// The number that its session will have if it turns out to be one: somebody was told of it already.
    pub promised: Option<SessionId>,
    /// Whether another copy of this connection is followed instead.
    pub shadow: bool,
    /// While it is looked at as a possible partner of other legs.
    pub listed: Option<Listed>,
    /// How many records there were when its partner was looked for last.
    pub looked_at: u64,
    /// After bytes were missed where a message begins: what follows may be frames of a WebSocket.
    pub adoption: Option<Box<ws::Adoption>>,
    /// While only the bytes in its tunnel can tell which other legs go with it.
    pub loose: Option<Loose>,
}

/// A leg whose frames may be known again on another one.
#[derive(Clone, Copy, Debug)]
pub struct Loose {
    /// Frames that are looked at, yet.
    pub frames: u8,
    /// On which one a frame was seen last.
    pub met: Option<FlowId>,
}

impl Default for Loose {
    fn default() -> Loose {
        Loose { frames: 32, met: None }
    }
}

/// By what a connection is listed among possible partners of legs.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// When it began.
    pub opened: Timestamp,
    /// When it asked, as soon as it has.
    pub asked: Option<Timestamp>,
    /// Whether it is an attempt in clear.
    pub in_clear: bool,
}

impl Flow {
    /// A connection of which nothing is known yet.
    pub fn new(connection: ConnectionId, endpoints: Pair<Endpoint>, syn_seen: bool, opened: Moment) -> Flow {
        Flow {
            connection,
            ends: Ends::new(endpoints.originator, endpoints.responder).into(),
            client_side: Side::Originator,
            syn_seen,
            opened,
            session: None,
            depth: 0,
            ticket: None,
            app: App::Waiting,
            opening: Opening::default(),
            rare: None,
            earlier_requests: 0,
            ended: Timestamp::ZERO,
        }
    }

    /// Its ends.
    pub fn endpoints(&self) -> Pair<Endpoint> {
        let ends = self.ends.ends();
        Pair { originator: ends.source(), responder: ends.destination() }
    }

    /// The client's endpoint.
    pub fn client(&self) -> Endpoint {
        self.endpoints()[self.client_side]
    }

    /// When its connection was dialled, if that was for the request that matters.
    pub fn dialled(&self) -> Option<Timestamp> {
        (self.syn_seen && self.earlier_requests == 0).then_some(self.opened.at)
    }

    /// The server's endpoint.
    pub fn server(&self) -> Endpoint {
        self.endpoints()[self.client_side.peer()]
    }

    /// The role that `side` plays.
    #[inline]
    pub fn role_of(&self, side: Side) -> Role {
        if side == self.client_side { Role::Client } else { Role::Server }
    }

    /// The rare part, made when it is first needed.
    pub fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// When what is spoken was opened: the WebSocket, once there is one.
    pub fn spoken_since(&self) -> Moment {
        match &self.app {
            App::Tunnel(tunnel) => tunnel.opened(),
            _ => self.opened,
        }
    }

    /// The request that matters: an attempt at a WebSocket, or the latest one.
    pub fn request(&self) -> Option<Cow<'_, Request>> {
        self.opening.request(self.spoken_since())
    }

    /// Its answer.
    pub fn response(&self) -> Option<Cow<'_, Response>> {
        self.opening.response(self.spoken_since())
    }

    /// When the request was complete.
    pub fn asked(&self) -> Option<Moment> {
        self.opening.asked(self.spoken_since())
    }

    /// When its answer was.
    pub fn answered(&self) -> Option<Moment> {
        self.opening.answered(self.spoken_since())
    }

    /// Whether the request asks for a WebSocket.
    pub fn is_attempt(&self) -> bool {
        self.request().is_some_and(|request| request.offer.is_attempt())
    }

    /// Whether the answer opens a WebSocket although nothing that was seen asked for one.
    pub fn is_websocket_answer(&self) -> bool {
        // RFC 6455 §4.1: the method of the request is GET.
        let may_ask = self.opening.line().is_some_and(|line| line.method() == "GET");
        self.response().is_some_and(|response| {
            response.head.status == 101
                && (matches!(response.answer.upgrade, Upgrade::WebSocket | Upgrade::Duplicate)
                    || response.head.fields.has("Sec-WebSocket-Accept")
                    || (may_ask && response.cut && response.answer.upgrade == Upgrade::Absent))
        })
    }

    /// Whether a WebSocket is open on it.
    #[inline]
    pub fn is_tunnel(&self) -> bool {
        matches!(self.app, App::Tunnel(_))
    }

    /// Whether the connection carries TLS.
    #[inline]
    pub fn is_encrypted(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.tls.is_some())
    }

    /// The PROXY header in front.
    pub fn proxy_header(&self) -> Option<ProxyHeader> {
        self.rare.as_ref()?.proxy_header
    }

    /// The number that its session will have, if one was promised.
    pub fn promised(&self) -> Option<SessionId> {
        self.rare.as_ref()?.promised
    }

    /// Which side plays `role`.
    pub fn side(&self, role: Role) -> Side {
        match role {
            Role::Client => self.client_side,
            Role::Server => self.client_side.peer(),
        }
    }

    /// What is known of the leg on this connection, with what TCP knows. It is told once: request and answer go with it.
    pub fn take_leg(&mut self, tcp: ConnectionFacts) -> Leg {
        self.take_leg_in(tcp, &mut Spare::default())
    }

    /// The same in room that is there.
    pub fn take_leg_in(&mut self, tcp: ConnectionFacts, spare: &mut Spare) -> Leg {
        let mut leg = self.bare_leg(tcp, spare);
        let (opening, opened) = (std::mem::take(&mut self.opening), self.spoken_since());
        (leg.request, leg.response) = opening.spell(opened, &mut spare.openings);
        if let Some(rare) = &mut self.rare {
            leg.incomplete_request = rare.incomplete_request.take();
            leg.odd_answer = rare.odd_answer.take();
        }
        leg
    }

    /// What is known of the leg so far.
    pub fn leg_so_far(&self, tcp: ConnectionFacts) -> Leg {
        let mut leg = self.bare_leg(tcp, &mut Spare::default());
        leg.request = self.request().map(|request| Box::new(request.into_owned()));
        leg.response = self.response().map(|response| Box::new(response.into_owned()));
        leg
    }

    /// A leg without what is told once.
    #[inline(always)]
    fn bare_leg(&self, tcp: ConnectionFacts, spare: &mut Spare) -> Leg {
        let rare = self.rare.as_deref();
        let tunnel = match &self.app {
            App::Tunnel(tunnel) => Some(tunnel.facts_in(spare.tunnel())),
            _ => None,
        };
        let mut first_bytes = rare.map(|rare| rare.first_bytes).unwrap_or_default();
        if self.opening.is_asked() && first_bytes.client.is_none() {
            first_bytes.client = Some(FirstBytes::Http);
        }
        if self.opening.is_answered() && first_bytes.server.is_none() {
            first_bytes.server = Some(FirstBytes::Http);
        }
        Leg {
            connection: self.connection,
            client_side: self.client_side,
            client: self.client(),
            server: self.server(),
            proxy_header: rare.and_then(|rare| rare.proxy_header),
            first_bytes,
            earlier_requests: self.earlier_requests,
            tunnel,
            tls: rare.and_then(|rare| rare.tls.as_ref()).map(|tls| Box::new(tls.facts())),
            h2: rare.and_then(|rare| rare.h2.clone()),
            ..Leg::new(tcp)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_small() {
        assert_eq!(size_of::<Option<Flow>>(), 128);
        assert_eq!(std::mem::offset_of!(Flow, connection), 64);
    }
}
