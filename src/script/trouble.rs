//! What goes wrong on the way: told behind what it happens to.

use std::time::Duration;

use crate::script::{Action, Script, Step};

/// What goes wrong with the packets of a step.
#[derive(Clone, Default, Debug)]
pub(super) struct Trouble {
    /// Where the payload is cut into segments.
    pub(super) cuts: Vec<usize>,
    pub(super) lost: bool,
    pub(super) reordered: bool,
    pub(super) overlap: Option<Overlap>,
    pub(super) duplicated: bool,
    pub(super) retransmitted: Option<Duration>,
    pub(super) snapped: Option<usize>,
    pub(super) unacknowledged: bool,
}

/// Which bytes come again at the front of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Overlap {
    Same,
    Other,
}

/// Trouble with the last step.
impl Script {
    /// The last packets are not in the capture, though they arrived.
    #[must_use]
    pub fn lost(self) -> Script {
        self.trouble(|trouble| trouble.lost = true)
    }

    /// The last segment overtakes the one that the same side sent before it.
    #[must_use]
    pub fn reordered(mut self) -> Script {
        if let Some(last) = self.steps.last() {
            let (leg, by) = (last.leg, last.by);
            let same = |step: &&mut Step| step.leg == leg && step.by == by && matches!(step.action, Action::Data(_));
            if let Some(before) = self.steps.iter_mut().rev().skip(1).find(same) {
                before.trouble.unacknowledged = true;
            }
        }
        self.trouble(|trouble| trouble.reordered = true)
    }

    /// The last segment begins with bytes that were sent before it, up to eight.
    #[must_use]
    pub fn overlapping(self) -> Script {
        self.trouble(|trouble| trouble.overlap = Some(Overlap::Same))
    }

    /// The same, but these bytes are others than those before: one of the two copies is a lie.
    #[must_use]
    pub fn conflicting(self) -> Script {
        self.trouble(|trouble| trouble.overlap = Some(Overlap::Other))
    }

    /// The capture holds the last packets twice, as on two interfaces.
    #[must_use]
    pub fn duplicated(self) -> Script {
        self.trouble(|trouble| trouble.duplicated = true)
    }

    /// The last segments were lost behind the place of capture, and are sent again 200 ms later.
    #[must_use]
    pub fn retransmitted(self) -> Script {
        self.trouble(|trouble| trouble.retransmitted = Some(Duration::from_millis(200)))
    }

    /// The last bytes are cut into two segments behind so many bytes. More calls make more cuts.
    #[must_use]
    pub fn split_at(self, offset: usize) -> Script {
        self.trouble(|trouble| trouble.cuts.push(offset))
    }

    /// The last bytes are cut into segments of so many bytes.
    #[must_use]
    pub fn in_pieces_of(mut self, bytes: usize) -> Script {
        if let Some(Step { action: Action::Data(data), trouble, .. }) = self.steps.last_mut() {
            trouble.cuts = (0..data.len()).step_by(bytes.max(1)).collect();
        }
        self
    }

    /// The last bytes share a segment with those that the same side sent just before.
    #[must_use]
    pub fn coalesced(mut self) -> Script {
        if let [.., before, last] = &mut *self.steps
            && (before.leg, before.by) == (last.leg, last.by)
            && let (Action::Data(bytes), Action::Data(more)) = (&mut before.action, &mut last.action)
        {
            bytes.append(more);
            self.steps.pop();
        }
        self
    }

    /// Of each of the last packets only so many bytes are captured.
    #[must_use]
    pub fn snapped(self, bytes: usize) -> Script {
        self.trouble(|trouble| trouble.snapped = Some(bytes))
    }

    /// The last packets are never acknowledged.
    #[must_use]
    pub fn unacknowledged(self) -> Script {
        self.trouble(|trouble| trouble.unacknowledged = true)
    }

    fn trouble(mut self, change: impl FnOnce(&mut Trouble)) -> Script {
        if let Some(step) = self.steps.last_mut() {
            change(&mut step.trouble);
        }
        self
    }
}
