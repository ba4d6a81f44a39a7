//! Which rules need not be asked about a session.
//!
//! Most sessions are well, and most rules are about handshakes that failed. One look at the legs spares all of them.

use crate::diagnosis::Stage;
use crate::http::handshake::{Accept, Key, SubprotocolAnswer, Upgrade};
use crate::session::leg::{Direction, Tunnel};
use crate::session::{Leg, Outcome, Session};

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
        for leg in &session.legs {
            let Some(tunnel) = leg.tunnel.as_deref() else { return Scope(u16::MAX) };
            if !was_accepted(leg) {
                return Scope(u16::MAX);
            }
            right = right && is_right(leg, tunnel);
            lawful = lawful && is_lawful(tunnel);
            closed = closed && is_closed(leg, tunnel);
            untouched = untouched && is_untouched(leg, tunnel);
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
        Scope(!spared)
    }

    /// Whether rules of this stage must be asked.
    pub const fn has(self, stage: Stage) -> bool {
        self.0 & bit(stage) != 0
    }
}

/// Whether the answer, if it was seen, is the one that comes before frames. Where frames were recognised behind another one,
/// or in place of one, what was said there matters.
fn was_accepted(leg: &Leg) -> bool {
    match &leg.response {
        Some(response) => response.head.status == 101 || leg.h2.is_some(),
        None => leg.request.is_none(),
    }
}

/// Whether nothing can be said against an opening handshake and the client went on from there.
fn is_right(leg: &Leg, tunnel: &Tunnel) -> bool {
    let (Some(request), Some(response)) = (&leg.request, &leg.response) else { return false };
    let answer = &response.answer;
    matches!(request.offer.key, Key::Valid(_))
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

const fn bit(stage: Stage) -> u16 {
    1 << stage as u16
}
