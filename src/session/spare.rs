//! The room of sessions that were told, for the facts of the next ones.

use crate::session::Session;
use crate::session::leg::{Leg, Tunnel};
use crate::session::opening::{Both, ByKind};

/// Room that is empty now. Facts are spelled out for a moment only: in room that is used again they cost no allocation.
#[derive(Default)]
pub struct Spare {
    legs: Vec<Leg>,
    #[expect(clippy::vec_box, reason = "a leg has its tunnel in a box, which moves to and fro as it is")]
    tunnels: Vec<Box<Tunnel>>,
    /// Handshakes, the last one of each kind: the next one says nearly the same.
    pub(super) openings: ByKind<Both>,
}

/// Room kept for as many tunnels: few sessions have more legs.
const TUNNELS: usize = 4;

impl Spare {
    /// Takes the room of a session that nobody needs any more.
    pub fn take_back(&mut self, session: Session) {
        let Spare { legs, tunnels, openings } = self;
        *legs = session.legs;
        for leg in legs.drain(..) {
            if tunnels.len() < TUNNELS {
                tunnels.extend(leg.tunnel);
            }
            if let (Some(request), Some(response)) = (leg.request, leg.response)
                && let Some(place) = openings.place_for(&request, &response)
            {
                *place = Some((request, response));
            }
        }
    }

    /// Room for this many legs.
    pub(super) fn legs(&mut self, count: usize) -> Vec<Leg> {
        let mut legs = std::mem::take(&mut self.legs);
        legs.reserve(count);
        legs
    }

    /// Room for a tunnel; what stands there is to be written over.
    pub(super) fn tunnel(&mut self) -> Box<Tunnel> {
        self.tunnels.pop().unwrap_or_default()
    }
}
