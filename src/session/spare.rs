//! The room of sessions that were told, for the facts of the next ones.

use crate::session::Session;
use crate::session::leg::{Direction, Leg};
use crate::stream::ByRole;

/// Room that is empty now. Facts are spelled out for a moment only: in room that is used again they cost no allocation.
#[derive(Debug, Default)]
pub struct Spare {
    legs: Vec<Leg>,
    sides: Vec<ByRole<Box<Direction>>>,
}

/// Room kept for as many tunnels: few sessions have more legs.
const TUNNELS: usize = 4;

impl Spare {
    /// Takes the room of a session that nobody needs any more.
    pub fn take_back(&mut self, session: Session) {
        self.legs = session.legs;
        let free = TUNNELS.saturating_sub(self.sides.len());
        self.sides.extend(self.legs.drain(..).filter_map(|leg| Some(leg.tunnel?.sides)).take(free));
    }

    /// Room for this many legs.
    pub(super) fn legs(&mut self, count: usize) -> Vec<Leg> {
        let mut legs = std::mem::take(&mut self.legs);
        legs.reserve(count);
        legs
    }

    /// Room for the sides of a tunnel; what stands there is to be written over.
    pub(super) fn sides(&mut self) -> ByRole<Box<Direction>> {
        self.sides.pop().unwrap_or_default()
    }
}
