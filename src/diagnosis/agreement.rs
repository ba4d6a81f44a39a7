//! A 101, and whether the client stayed.

use std::time::Duration;

use crate::diagnosis::answer;
use crate::diagnosis::parties;
use crate::http::handshake::{Accept, Upgrade};
use crate::packet::Moment;
use crate::session::leg::Response;
use crate::session::{Leg, Outcome, Session};
use crate::stream::Role;

/// A client that dislikes an answer leaves within this time: browsers within 50 ms, plus a long way.
const LEAVES: Duration = Duration::from_secs(1);

/// The 101 nearest to the backend for which `is_broken` holds: there it was made. Its leg, and it. Heads of which the capture
/// lacks a part are not judged.
pub fn broken_101(session: &Session, is_broken: impl Fn(&Leg, &Response) -> bool) -> Option<(usize, &Leg, &Response)> {
    session.legs.iter().enumerate().rev().find_map(|(index, leg)| {
        let response = leg.response.as_deref()?;
        let whole = !response.cut && leg.request.as_deref().is_none_or(|request| !request.cut);
        let is_http1 = !leg.request.as_deref().is_some_and(answer::is_extended_connect);
        (response.head.status == 101 && whole && is_http1 && is_broken(leg, response)).then_some((index, leg, response))
    })
}

/// Whether a 101 has what a client must find in it (RFC 6455 §4.1).
pub fn proves_a_websocket(response: &Response) -> bool {
    let answer = &response.answer;
    matches!(answer.upgrade, Upgrade::WebSocket | Upgrade::Duplicate)
        && answer.connection_upgrade
        && !matches!(answer.accept, Accept::Wrong | Accept::Absent)
}

/// How the client left right after the answer, without a message: by a Close, a FIN or an RST of its own.
pub fn client_left_at_once(session: &Session) -> Option<Moment> {
    let leg = first_readable(session);
    let answered = leg.response.as_deref()?.moment;
    let mut left = session.first_leg().first_end().filter(|end| end.by == Role::Client).map(|end| end.moment);
    if let Some(tunnel) = &leg.tunnel {
        let client = &tunnel.sides.client;
        if client.messages.text + client.messages.binary > 0 || client.frames.ping > 0 {
            return None;
        }
        let close = client.close.as_ref().filter(|_| tunnel.first_close == Some(Role::Client));
        left = close.map(|close| close.moment).or(left);
    }
    left.filter(|&left| left >= answered && left.at.since(answered.at) <= LEAVES)
}

/// Whether the session goes on in spite of a flawed 101: the client has sent something.
pub fn client_stays(session: &Session) -> bool {
    let tunnel = first_readable(session).tunnel.as_ref();
    tunnel.is_some_and(|tunnel| tunnel.sides.client.frames.total() > u64::from(tunnel.sides.client.frames.close))
}

/// The client's leg; where that is encrypted, the one behind, which says the same a little later.
fn first_readable(session: &Session) -> &Leg {
    let front = session.first_leg();
    let behind = parties::behind(session, 0).filter(|_| front.outcome == Outcome::Encrypted);
    behind.map_or(front, |behind| &session.legs[behind])
}

/// Who made a 101 that is broken on this leg: its server, or a proxy that broke it.
pub fn maker(session: &Session, index: usize) -> String {
    match parties::server_of(session, index) {
        Some(name) => name.to_string(),
        None => "the server".to_owned(),
    }
}
