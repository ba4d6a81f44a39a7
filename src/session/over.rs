//! Legs that are over and wait for the judgement of their session.

use std::borrow::Cow;

use crate::http::head::RequestLine;
use crate::packet::Moment;
use crate::session::flow::{App, Flow};
use crate::session::leg::{EndOf, Leg, LegEnd, Request, Response, Tunnel};
use crate::session::neighbours::ending::Ended;
use crate::session::spare::Spare;
use crate::stream::Role;
use crate::tcp::Connection;
use crate::wire::Endpoint;
use crate::ws::facts::Close;

/// A leg that is over.
pub enum Over {
    /// All that is known, spelled out.
    Told(Box<Leg>),
    /// As it was followed: an eighth of the size. Tens of thousands of WebSockets that went well wait like this.
    Kept(Box<Kept>),
}

/// A WebSocket that is over, as it was followed.
pub struct Kept {
    flow: Flow,
    connection: Connection,
}

impl Over {
    /// Keeps a flow as it is, where that is what most flows are: a WebSocket and nothing rare.
    pub fn new(mut flow: Flow, connection: Connection) -> Over {
        match flow.app {
            App::Tunnel(_) if flow.rare.is_none() => Over::Kept(Box::new(Kept { flow, connection })),
            _ => Over::Told(Box::new(flow.take_leg(connection.facts()))),
        }
    }

    /// The first packet of its connection.
    pub fn first(&self) -> Moment {
        match self {
            Over::Told(leg) => leg.tcp.first,
            Over::Kept(kept) => kept.connection.first(),
        }
    }

    /// All that is known, spelled out in room that is there.
    pub fn into_leg(self, spare: &mut Spare) -> Leg {
        match self {
            Over::Told(leg) => *leg,
            Over::Kept(mut kept) => kept.flow.take_leg_in(kept.connection.facts(), spare),
        }
    }

    /// Its request.
    pub fn request(&self) -> Option<Cow<'_, Request>> {
        match self {
            Over::Told(leg) => leg.request.as_deref().map(Cow::Borrowed),
            Over::Kept(kept) => kept.flow.request(),
        }
    }

    /// When its request was complete.
    pub fn asked(&self) -> Option<Moment> {
        match self {
            Over::Told(leg) => leg.request.as_ref().map(|request| request.moment),
            Over::Kept(kept) => kept.flow.asked(),
        }
    }

    /// The line of its request, where the capture has all of its head.
    pub fn whole_line(&self) -> Option<&RequestLine> {
        match self {
            Over::Told(leg) => leg.request.as_ref().filter(|request| !request.cut).map(|request| request.head.line()),
            Over::Kept(kept) => kept.flow.opening.line().filter(|_| !kept.flow.opening.is_cut()),
        }
    }

    /// Whether its connection carried other requests before its own.
    pub fn is_reused(&self) -> bool {
        match self {
            Over::Told(leg) => leg.earlier_requests > 0,
            Over::Kept(kept) => kept.flow.earlier_requests > 0,
        }
    }

    /// Its answer.
    pub fn response(&self) -> Option<Cow<'_, Response>> {
        match self {
            Over::Told(leg) => leg.response.as_deref().map(Cow::Borrowed),
            Over::Kept(kept) => kept.flow.response(),
        }
    }

    /// When its answer was complete.
    pub fn answered(&self) -> Option<Moment> {
        match self {
            Over::Told(leg) => leg.response.as_ref().map(|response| response.moment),
            Over::Kept(kept) => kept.flow.answered(),
        }
    }

    /// The last packet of its connection.
    pub fn last(&self) -> Moment {
        match self {
            Over::Told(leg) => leg.tcp.last,
            Over::Kept(kept) => kept.connection.last(),
        }
    }

    /// Its WebSocket, spelled out.
    pub fn tunnel(&self) -> Option<Cow<'_, Tunnel>> {
        match self {
            Over::Told(leg) => leg.tunnel.as_deref().map(Cow::Borrowed),
            Over::Kept(kept) => kept.tunnel().map(|tunnel| Cow::Owned(tunnel.facts())),
        }
    }
}

impl Ended for Over {
    fn client(&self) -> Endpoint {
        match self {
            Over::Told(leg) => leg.client,
            Over::Kept(kept) => kept.flow.client(),
        }
    }

    fn server(&self) -> Endpoint {
        match self {
            Over::Told(leg) => leg.server,
            Over::Kept(kept) => kept.flow.server(),
        }
    }

    fn path(&self) -> Option<&str> {
        match self {
            Over::Told(leg) => leg.path(),
            Over::Kept(kept) => kept.flow.opening.line().map(RequestLine::path),
        }
    }

    fn status(&self) -> Option<u16> {
        match self {
            Over::Told(leg) => leg.status(),
            Over::Kept(kept) => kept.flow.opening.status(),
        }
    }

    fn each_end(&self, tell: impl FnMut(LegEnd)) {
        match self {
            Over::Told(leg) => leg.each_end(tell),
            Over::Kept(kept) => kept.ends().for_each(tell),
        }
    }

    fn opened(&self) -> Option<Moment> {
        match self {
            Over::Told(leg) => leg.opened(),
            Over::Kept(kept) => Some(kept.tunnel()?.opened()),
        }
    }

    fn last_byte(&self) -> Option<Moment> {
        match self {
            Over::Told(leg) => leg.last_byte(),
            Over::Kept(kept) => kept.tunnel()?.last_byte(),
        }
    }

    fn last_before_end(&self) -> Option<Moment> {
        match self {
            Over::Told(leg) => leg.last_before_end(),
            Over::Kept(kept) => kept.tunnel()?.last_before_end(),
        }
    }

    fn close(&self, role: Role) -> Option<&Close> {
        match self {
            Over::Told(leg) => leg.close(role),
            Over::Kept(kept) => kept.tunnel()?.close(role),
        }
    }

    fn is_read(&self) -> bool {
        match self {
            Over::Told(leg) => leg.is_read(),
            Over::Kept(_) => true,
        }
    }
}

impl Kept {
    fn tunnel(&self) -> Option<&crate::session::tunnel::TunnelState> {
        match &self.flow.app {
            App::Tunnel(tunnel) => Some(tunnel),
            _ => None,
        }
    }

    fn ends(&self) -> impl Iterator<Item = LegEnd> + '_ {
        self.connection.ends().map(|end| LegEnd {
            by: self.flow.role_of(end.side),
            kind: end.kind,
            of: EndOf::Connection,
            moment: end.moment,
        })
    }
}
