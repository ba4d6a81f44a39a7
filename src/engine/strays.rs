//! Connections that belong to no session yet, and may: a proxy's attempts to reach its backend.

use std::collections::VecDeque;
use std::time::Duration;

use crate::session::Leg;
use crate::session::joiner::Hosts;
use crate::time::Timestamp;
use crate::wire::Endpoint;

/// Connections that said nothing we understand, kept for the sessions whose proxy may have made them.
#[derive(Debug)]
pub struct Strays {
    legs: VecDeque<Box<Leg>>,
    bound: usize,
    /// What the bound made us forget.
    pub overflows: u64,
}

/// A leg that waited for an answer, with nothing behind it.
#[derive(Clone, Copy, Debug)]
pub struct Front<T> {
    /// Whose it is.
    pub owner: T,
    /// Where it leads.
    pub server: Endpoint,
    /// When its request was complete.
    pub asked: Timestamp,
    /// When it was answered or given up.
    pub until: Timestamp,
}

impl Strays {
    /// Keeps at most so many.
    pub fn new(bound: usize) -> Strays {
        Strays { legs: VecDeque::new(), bound, overflows: 0 }
    }

    /// One more. The oldest gives way.
    pub fn add(&mut self, leg: Leg) {
        if self.legs.len() >= self.bound {
            self.legs.pop_front();
            self.overflows += 1;
        }
        self.legs.push_back(Box::new(leg));
    }

    /// Takes every connection that a front's proxy may have opened: from its address, while it waited, to somewhere
    /// else. When several waited, the last to ask has it.
    pub fn claim<T: Copy>(&mut self, fronts: &[Front<T>], hosts: &Hosts) -> Vec<(T, Box<Leg>)> {
        /// Captures on several interfaces are not in order.
        const TOLERANCE: Duration = Duration::from_millis(2);
        let mut claimed = Vec::new();
        if fronts.is_empty() {
            return claimed;
        }
        for leg in std::mem::take(&mut self.legs) {
            let opened = leg.tcp.first.at;
            let owner = fronts
                .iter()
                .filter(|front| front.asked <= opened.plus(TOLERANCE) && opened <= front.until.plus(TOLERANCE))
                .filter(|front| front.server != leg.server && hosts.may_be_one(front.server.ip, leg.client.ip))
                .max_by_key(|front| front.asked);
            match owner {
                Some(front) => claimed.push((front.owner, leg)),
                None => self.legs.push_back(leg),
            }
        }
        claimed
    }

    /// All that nobody claimed.
    pub fn take(&mut self) -> VecDeque<Box<Leg>> {
        std::mem::take(&mut self.legs)
    }
}
