//! Which rules need not be asked about a session.
//!
//! Most sessions are well, and most rules are about handshakes that failed. One look at the legs spares all of them.

use crate::diagnosis::Stage;
use crate::diagnosis::answer;
use crate::diagnosis::rules::{no_keepalive, slow_handshake};
use crate::http::handshake::{Accept, Key, SubprotocolAnswer, Upgrade};
use crate::session::leg::{Direction, Tunnel};
use crate::session::{Leg, Outcome, Session};
use crate::tcp::HalfFacts;

/// The stages that can have something to say about a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scope(u16);

/// These judge what led to a WebSocket: there is nothing to judge when every leg has one.
const BEFORE_IT_WAS_OPEN: u16 =
    bit(Stage::Connect) | bit(Stage::ProxyHeader) | bit(Stage::Tls) | bit(Stage::Upstream) | bit(Stage::Response);

/// These compare the two sides of a proxy. A leg that failed may give its proxy away alone.
const BETWEEN_LEGS: u16 = bit(Stage::RequestDiff) | bit(Stage::ResponseDiff);

/// These judge the opening handshake of a WebSocket that was opened.
const HANDSHAKE: u16 = bit(Stage::Request) | bit(Stage::Negotiation);

impl Scope {
    /// Of this session.
    pub fn of(session: &Session) -> Scope {
        let (mut right, mut lawful, mut closed, mut untouched) = (true, true, session.outcome == Outcome::Closed, true);
        let (mut brisk, mut smooth, mut whole) = (true, true, true);
        for leg in &session.legs {
            let Some(tunnel) = leg.tunnel.as_deref() else { return Scope(u16::MAX) };
            if !was_accepted(leg) {
                return Scope(u16::MAX);
            }
            right = right && is_right(leg, tunnel);
            lawful = lawful && is_lawful(tunnel);
            closed = closed && is_closed(leg, tunnel);
            untouched = untouched && is_untouched(leg, tunnel);
            brisk = brisk && is_brisk(leg, tunnel);
            smooth = smooth && is_smooth(leg);
            whole = whole && is_whole(leg, tunnel);
        }
        let mut spared = BEFORE_IT_WAS_OPEN;
        if session.legs.len() == 1 {
            spared |= BETWEEN_LEGS;
        }
        if right {
            spared |= HANDSHAKE;
        }
        if lawful {
            spared |= bit(Stage::Frames);
        }
        if closed || untouched {
            spared |= bit(Stage::Closing);
        }
        if closed && brisk {
            spared |= bit(Stage::Timers);
        }
        if smooth {
            spared |= bit(Stage::Network);
        }
        if whole {
            spared |= bit(Stage::Capture);
        }
        Scope(!spared)
    }

    /// Whether rules of this stage must be asked.
    pub const fn has(self, stage: Stage) -> bool {
        self.0 & bit(stage) != 0
    }
}

/// Whether the answer, if it was seen, is the one that comes before frames, and came while the client waited. Where frames
/// were recognised behind another one, or in place of one, what was said there matters.
fn was_accepted(leg: &Leg) -> bool {
    match &leg.response {
        Some(response) => (response.head.status == 101 || leg.h2.is_some()) && !answer::came_too_late(leg, response),
        None => leg.request.is_none(),
    }
}

/// Whether nothing can be said against an opening handshake and the client went on from there.
fn is_right(leg: &Leg, tunnel: &Tunnel) -> bool {
    let (Some(request), Some(response)) = (&leg.request, &leg.response) else { return false };
    let answer = &response.answer;
    request.offer.key == Key::Valid
        && leg.incomplete_request.is_none()
        && response.head.status == 101
        && answer.upgrade == Upgrade::WebSocket
        && answer.connection_upgrade
        && answer.accept == Accept::Valid
        && matches!(answer.subprotocol, SubprotocolAnswer::None | SubprotocolAnswer::Selected)
        && !answer.extension_mismatch
        && tunnel.sides.client.last_frame.is_some()
}

/// Whether all frames were as RFC 6455 wants them, and nobody said otherwise.
fn is_lawful(tunnel: &Tunnel) -> bool {
    let lawful = |side: &Direction| {
        let complains = side.close.as_ref().is_some_and(|close| close.code == Some(1009));
        side.violations.is_empty() && side.open_frame.is_none() && !complains
    };
    lawful(&tunnel.sides.client) && lawful(&tunnel.sides.server)
}

/// Whether both sides said a normal goodbye before they left.
fn is_closed(leg: &Leg, tunnel: &Tunnel) -> bool {
    let normal = |side: &Direction| side.close.as_ref().is_some_and(|close| matches!(close.code, None | Some(1000)));
    leg.outcome == Outcome::Closed
        && !leg.tcp.ends.is_empty()
        && normal(&tunnel.sides.client)
        && normal(&tunnel.sides.server)
}

/// Whether nobody has said goodbye or left.
fn is_untouched(leg: &Leg, tunnel: &Tunnel) -> bool {
    leg.tcp.ends.is_empty() && tunnel.sides.client.close.is_none() && tunnel.sides.server.close.is_none()
}

/// Whether it was never silent for long, and has no heartbeat that could come too late.
fn is_brisk(leg: &Leg, tunnel: &Tunnel) -> bool {
    let beats = |side: &Direction| side.pings.sent > 2 || side.heartbeats.count > 1;
    tunnel.longest_idle < no_keepalive::MINUTE
        && leg.first_end().is_some()
        && !beats(&tunnel.sides.client)
        && !beats(&tunnel.sides.server)
}

/// Whether nothing was sent twice, nobody had to wait for room, and the handshake was quick.
fn is_smooth(leg: &Leg) -> bool {
    let smooth = |half: &HalfFacts| {
        half.retransmissions == 0
            && half.unanswered_retransmissions == 0
            && half.longest_recovery.is_zero()
            && half.zero_window.first.is_none()
    };
    smooth(&leg.tcp.halves.originator)
        && smooth(&leg.tcp.halves.responder)
        && leg.h2.is_none()
        && slow_handshake::latency(leg).is_some_and(|took| took < slow_handshake::SLOW)
}

/// Whether the capture has all of it, from its handshake on, and once.
fn is_whole(leg: &Leg, tunnel: &Tunnel) -> bool {
    let whole = |half: &HalfFacts| half.packets > 0 && !half.has_holes() && half.duplicates == 0;
    tunnel.handshake_seen
        && leg.status() == Some(101)
        && whole(&leg.tcp.halves.originator)
        && whole(&leg.tcp.halves.responder)
}

const fn bit(stage: Stage) -> u16 {
    1 << stage as u16
}
