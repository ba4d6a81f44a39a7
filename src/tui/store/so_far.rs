//! What is known of a session before it is over, in the shape of one that is: so that whoever shows sessions need not care.

use crate::engine::event::{MessageKind, Place};
use crate::packet::Moment;
use crate::session::leg::{EndOf, LegEnd, LegRole, Outcome, Tunnel};
use crate::session::{JoinReason, Leg, Session};
use crate::stream::{Pair, Role};
use crate::tcp::{ConnectionFacts, ConnectionId, End, EndKind};
use crate::time::Timestamp;
use crate::tui::feed::Heard;
use crate::ws::facts::Close;

/// A session of which one leg is known.
pub(super) fn session(place: Place, at: Timestamp) -> Session {
    let moment = Moment { at, ..Moment::default() };
    Session {
        id: place.session,
        legs: vec![new_leg(place, moment)],
        start: at,
        end: at,
        outcome: Outcome::Open,
        ended_by: None,
    }
}

/// The leg of a place: the one between these two, or a new one behind the last one that is nearer to the client.
pub(super) fn leg(session: &mut Session, place: Place, moment: Moment) -> &mut Leg {
    session.end = session.end.max(moment.at);
    let known = session.legs.iter().position(|leg| leg.client == place.client && leg.server == place.server);
    let index = known.unwrap_or_else(|| {
        let mut leg = new_leg(place, moment);
        leg.behind = (place.leg > 0).then(|| front_of(session, place.leg)).flatten();
        session.legs.push(leg);
        tell_roles(session);
        session.legs.len() - 1
    });
    &mut session.legs[index]
}

/// The legs of `back` are behind those of `front`.
pub(super) fn join(front: &mut Session, back: &Session, reason: JoinReason) {
    let base = front.legs.len();
    let last = base.checked_sub(1);
    for leg in &back.legs {
        let mut leg = leg.clone();
        if leg.behind.is_none() {
            leg.joined_by = Some(reason);
        }
        leg.behind = leg.behind.map(|behind| behind + base).or(last);
        front.legs.push(leg);
    }
    front.end = front.end.max(back.end);
    tell_roles(front);
}

/// A WebSocket that has just been opened, or recognised.
pub(super) fn tunnel(moment: Moment, handshake_seen: bool) -> Box<Tunnel> {
    Box::new(Tunnel { handshake_seen, opened: moment, ..Tunnel::default() })
}

/// A FIN or an RST.
pub(super) fn end(leg: &mut Leg, end: LegEnd) {
    let side = leg.side(end.by);
    leg.tcp.last = leg.tcp.last.max(end.moment);
    if end.of != EndOf::Connection {
        let h2 = leg.h2.get_or_insert_default();
        h2.by_goaway |= end.of == EndOf::Streams;
        match end.kind {
            EndKind::Fin => h2.finished[end.by] = Some(end.moment),
            // The code comes with the whole session.
            EndKind::Rst => h2.reset = Some((end.by, 0, end.moment)),
        }
        return;
    }
    leg.tcp.ends.push(End { side, kind: end.kind, moment: end.moment, ttl: 0, ip_id: 0 });
}

/// A message or control frame.
pub(super) fn heard(leg: &mut Leg, by: Role, heard: &Heard) {
    let moment = heard.moment;
    leg.tcp.last = leg.tcp.last.max(moment);
    let tunnel = leg.tunnel.get_or_insert_with(|| tunnel(moment, false));
    if let Some(last) = tunnel.last_byte {
        tunnel.longest_idle = tunnel.longest_idle.max(moment.at.since(last.at));
    }
    tunnel.last_byte = tunnel.last_byte.max(Some(moment));
    let side = &mut tunnel.sides[by];
    side.first_frame.get_or_insert(moment);
    side.last_frame = Some(moment);
    match heard.kind {
        MessageKind::Text => (side.messages.text, side.frames.text) = (side.messages.text + 1, side.frames.text + 1),
        MessageKind::Binary => {
            (side.messages.binary, side.frames.binary) = (side.messages.binary + 1, side.frames.binary + 1);
        }
        MessageKind::Ping => {
            side.frames.ping += 1;
            side.pings.sent += 1;
            side.pings.first.get_or_insert(moment);
            side.pings.last = Some(moment);
        }
        MessageKind::Pong => side.frames.pong += 1,
        MessageKind::Close => side.frames.close += 1,
    }
    match heard.kind {
        MessageKind::Text | MessageKind::Binary => {
            side.messages.bytes += heard.bytes;
            side.last_message = Some(moment);
        }
        MessageKind::Close if side.close.is_none() => {
            side.close = Some(close(heard));
            tunnel.first_close.get_or_insert(by);
        }
        _ => {}
    }
}

/// RFC 6455 §5.5.1: two bytes of code, then the reason; or nothing at all.
fn close(heard: &Heard) -> Close {
    let (code, reason) = match &*heard.preview {
        [high, low, reason @ ..] => (Some(u16::from_be_bytes([*high, *low])), reason),
        _ => (None, &[][..]),
    };
    Close { code, reason: String::from_utf8_lossy(reason).into(), moment: heard.moment }
}

fn new_leg(place: Place, moment: Moment) -> Leg {
    let id = ConnectionId(0);
    let endpoints = Pair { originator: place.client, responder: place.server };
    Leg::new(ConnectionFacts::nothing(id, endpoints, moment))
}

/// The last leg with so many proxies in front of it, less one.
fn front_of(session: &Session, depth: usize) -> Option<usize> {
    let depth_of = |mut index: usize| {
        let mut depth = 0;
        while let Some(front) = session.legs[index].behind
            && depth < session.legs.len()
        {
            (index, depth) = (front, depth + 1);
        }
        depth
    };
    (0..session.legs.len()).rev().find(|&index| depth_of(index) + 1 == depth).or(session.legs.len().checked_sub(1))
}

fn tell_roles(session: &mut Session) {
    for index in 0..session.legs.len() {
        let has_back = session.legs.iter().any(|leg| leg.behind == Some(index));
        session.legs[index].role = match (session.legs[index].behind, has_back) {
            (None, true) => LegRole::ClientProxy,
            (Some(_), true) => LegRole::ProxyProxy,
            (Some(_), false) => LegRole::ProxyBackend,
            (None, false) => LegRole::Direct,
        };
    }
}
