//! What a proxy made of a request: the same request on both sides of it.

use crate::diagnosis::answer;
use crate::diagnosis::parties::{self, Name};
use crate::http::handshake::Upgrade;
use crate::http::head::Fields;
use crate::session::leg::{JoinReason, Request};
use crate::session::{Leg, Proxy, Session};

/// A proxy whose request can be read on both sides.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The session.
    pub session: &'a Session,
    /// The index of the leg in front of the proxy.
    pub front_index: usize,
    /// That leg.
    pub front: &'a Leg,
    /// Its request.
    pub asked: &'a Request,
    /// The index of the leg behind the proxy.
    pub back_index: usize,
    /// That leg.
    pub back: &'a Leg,
    /// What the proxy made of the request.
    pub forwarded: &'a Request,
}

/// The proxies of a session, from the client on, whose own requests were captured whole: what is not in them was not sent.
/// The request in front of a proxy may lack a part: what is in it was sent. The first proxy that changed something is guilty
/// of it. Where another attempt of the same proxy opened a WebSocket, what was sent before had no effect; where nothing has come
/// of a request yet, it may be one by which the proxy asks for leave.
pub fn hops(session: &Session) -> impl Iterator<Item = Hop<'_>> {
    session.proxies().filter_map(move |proxy| {
        let Proxy { front_index, front, back_index, back } = proxy;
        let (asked, forwarded) = (front.request.as_deref()?, back.request.as_deref()?);
        let superseded = front.tunnel.is_some() && back.tunnel.is_none() && parties::was_followed(session, back_index);
        (!forwarded.cut && !superseded && !is_undecided(front, back)).then_some(Hop {
            session,
            front_index,
            front,
            asked,
            back_index,
            back,
            forwarded,
        })
    })
}

/// The proxies that were asked in TLS which nobody can read, from the client on, and what each asked its backend.
pub fn behind_tls(session: &Session) -> impl Iterator<Item = (Proxy<'_>, &Request)> {
    session.proxies().filter_map(|proxy| {
        let request = proxy.back.request.as_deref()?;
        (proxy.front.tls.is_some() && proxy.front.request.is_none()).then_some((proxy, request))
    })
}

/// Whether the capture does not show what a proxy made of what came of a request for another path, without Upgrade: it may have
/// asked for leave only, and go on when it is given.
fn is_undecided(front: &Leg, back: &Leg) -> bool {
    let (Some(asked), Some(made)) = (front.request.as_deref(), back.request.as_deref()) else { return false };
    let is_other = asked.head.path() != made.head.path() && !asks_for_websocket(made);
    is_other && front.settled().is_none() && front.tunnel.is_none()
}

/// The request nearest to the client that can be read: legs in front of it may be encrypted. `None` when the capture lacks a
/// part of it.
pub fn first_request(session: &Session) -> Option<(usize, &Request)> {
    let first = session.legs.iter().enumerate().find_map(|(index, leg)| Some((index, leg.request.as_deref()?)));
    first.filter(|(_, request)| !request.cut)
}

/// Whether a request asks for a WebSocket as far as Upgrade tells, or by an extended CONNECT (RFC 8441).
pub fn asks_for_websocket(request: &Request) -> bool {
    matches!(request.offer.upgrade, Upgrade::WebSocket | Upgrade::Duplicate) || answer::is_extended_connect(request)
}

/// Whether the proxy between two legs speaks WebSocket itself: it has made a handshake of its own, with another key. What it
/// negotiates there is its own affair.
pub fn makes_own_handshake(front: &Leg, back: &Leg) -> bool {
    let nonce = |leg: &Leg| leg.request.as_deref().and_then(|request| request.head.nonce());
    nonce(front).zip(nonce(back)).is_some_and(|(asked, made)| asked != made)
}

impl<'a> Hop<'a> {
    /// Whether the proxy got its WebSocket in the end: whatever it changed did no harm.
    pub fn works(&self) -> bool {
        let opened = |leg: &Leg| match leg.response.as_deref() {
            Some(response) => answer::opens_tunnel(leg, response),
            None => leg.tunnel.is_some(),
        };
        (opened(self.front) || opened(self.back)) && !answer::was_dropped_at_once(self.back)
    }

    /// Whether the two requests are surely one: so that a difference between them is the proxy's.
    pub fn is_sure(&self) -> bool {
        match (self.asked.head.nonce(), self.forwarded.head.nonce()) {
            (Some(asked), Some(forwarded)) => asked == forwarded,
            _ => self.back.joined_by.is_some_and(|reason| reason <= JoinReason::TunnelBytes),
        }
    }

    /// The proxy, by the address that its clients know.
    pub fn proxy(&self) -> Name {
        parties::server_of(self.session, self.front_index)
            .unwrap_or(Name { word: "proxy", endpoint: self.front.server })
    }

    /// Whom the proxy asked.
    pub fn backend(&self) -> Name {
        parties::server_of(self.session, self.back_index)
            .unwrap_or(Name { word: "backend", endpoint: self.back.server })
    }

    /// What came back, for the end of a sentence: `the backend answered 426`.
    pub fn reaction(&self) -> String {
        answer::reaction(self.session, self.back_index)
    }

    /// The fields of the request in front.
    pub fn before(&self) -> &'a Fields {
        &self.asked.head.fields
    }

    /// The fields of the request behind.
    pub fn after(&self) -> &'a Fields {
        &self.forwarded.head.fields
    }
}

/// All values of a field as one text; `None` when there is none.
pub fn joined(fields: &Fields, name: &str) -> Option<String> {
    let values: Vec<&str> = fields.all(name).collect();
    (!values.is_empty()).then(|| values.join(", "))
}
