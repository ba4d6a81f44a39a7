//! The room of sessions that were told, for the facts of the next ones.

use crate::session::Session;
use crate::session::leg::{Leg, Tunnel};

/// Room that is empty now. Facts are spelled out for a moment only: in room that is used again they cost no allocation.
#[derive(Debug, Default)]
pub struct Spare {
    legs: Vec<Leg>,
    #[expect(clippy::vec_box, reason = "a leg has its tunnel in a box, which moves to and fro as it is")]
    tunnels: Vec<Box<Tunnel>>,
}

/// Room kept for as many tunnels: few sessions have more legs.
const TUNNELS: usize = 4;

impl Spare {
    /// Takes the room of a session that nobody needs any more.
    pub fn take_back(&mut self, session: Session) {
        self.legs = session.legs;
        let free = TUNNELS.saturating_sub(self.tunnels.len());
        self.tunnels.extend(self.legs.drain(..).filter_map(|leg| leg.tunnel).take(free));
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
