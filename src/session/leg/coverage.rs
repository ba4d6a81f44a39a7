//! How much of a leg the capture has.

use crate::session::Leg;
use crate::stream::{Role, Side};

/// How far the messages of a side could be counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// All of them.
    All,
    /// Those that the capture has whole: there were more bytes.
    AtLeast,
    /// None: no packet of this side was captured.
    Unseen,
}

impl Leg {
    /// Whether packets of both sides were seen.
    pub fn both_directions_seen(&self) -> bool {
        self.tcp.unseen_side().is_none()
    }

    /// Whether the frames of the whole leg could be counted: it was seen from its opening handshake on, in both directions,
    /// and the snap length cut nothing. Bytes that were lost here and there cost only the frames that they hid.
    pub fn frames_are_complete(&self) -> bool {
        let cut = Side::BOTH.into_iter().any(|side| self.tcp.halves[side].cut_bytes > 0);
        let from_the_beginning = self.tunnel.as_ref().is_none_or(|tunnel| tunnel.handshake_seen);
        from_the_beginning && self.both_directions_seen() && !cut
    }

    /// How far the messages of `role` could be counted.
    pub fn counted(&self, role: Role) -> Counted {
        let lost = self.tunnel.as_deref().is_some_and(|tunnel| tunnel.sides[role].lost_bytes > 0);
        if self.tcp.unseen_side() == Some(self.side(role)) {
            Counted::Unseen
        } else if lost || self.half(role).has_holes() {
            Counted::AtLeast
        } else {
            Counted::All
        }
    }

    /// Whether bytes of either side are missing from the capture, by loss or by the snap length.
    pub fn has_holes(&self) -> bool {
        Side::BOTH.into_iter().any(|side| self.tcp.halves[side].has_holes())
    }
}
