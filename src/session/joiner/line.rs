//! Attempts in the order in which they asked.

use std::collections::VecDeque;

use super::{Ticket, Waiting};

/// Those that wait, by ticket. Most are answered soon, and leave about in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Oldest first. Who has left leaves a hole until it comes to the front, or there are too many.
    places: VecDeque<(Ticket, Option<Waiting>)>,
    /// Places that are no holes.
    taken: usize,
    /// Of these, attempts without a key.
    keyless: usize,
    next: Ticket,
}

impl Line {
    /// Holes that do not matter.
    const HOLES: usize = 64;

    /// Comes last.
    pub(super) fn join(&mut self, attempt: Waiting) -> Ticket {
        let ticket = self.next;
        self.next.0 = self.next.0.saturating_add(1);
        self.taken += 1;
        self.keyless += usize::from(attempt.key.is_none());
        self.places.push_back((ticket, Some(attempt)));
        ticket
    }

    /// Leaves, wherever it stands.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waiting> {
        let place = self.place_of(ticket)?;
        let attempt = self.places[place].1.take()?;
        self.taken -= 1;
        self.keyless -= usize::from(attempt.key.is_none());
        while let Some((_, None)) = self.places.front() {
            self.places.pop_front();
        }
        if self.places.len() > 2 * self.taken + Self::HOLES {
            self.places.retain(|(_, attempt)| attempt.is_some());
        }
        Some(attempt)
    }

    /// Who holds this ticket.
    pub(super) fn find(&self, ticket: Ticket) -> Option<&Waiting> {
        self.places[self.place_of(ticket)?].1.as_ref()
    }

    /// Who holds this ticket.
    pub(super) fn find_mut(&mut self, ticket: Ticket) -> Option<&mut Waiting> {
        let place = self.place_of(ticket)?;
        self.places[place].1.as_mut()
    }

    /// The ticket of the oldest.
    pub(super) fn first(&self) -> Option<Ticket> {
        self.places.front().map(|(ticket, _)| *ticket)
    }

    /// All, the last to ask first.
    pub(super) fn latest_first(&self) -> impl Iterator<Item = &Waiting> {
        self.places.iter().rev().filter_map(|(_, attempt)| attempt.as_ref())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    /// Whether one of them has no key.
    pub(super) fn has_keyless(&self) -> bool {
        self.keyless > 0
    }

    fn place_of(&self, ticket: Ticket) -> Option<usize> {
        // As many places behind the first as their numbers are apart, where all holes between them are still there.
        let apart = usize::try_from(ticket.0.get().checked_sub(self.first()?.0.get())?).ok()?;
        match self.places.get(apart) {
            Some((at, _)) if *at == ticket => Some(apart),
            _ => self.places.binary_search_by_key(&ticket, |(at, _)| *at).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::session::slab::FlowId;
    use crate::tcp::ConnectionId;
    use crate::time::Timestamp;
    use crate::wire::Endpoint;

    fn attempt(number: u64) -> Waiting {
        let end = Endpoint { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 1 };
        Waiting {
            flow: FlowId::FIRST,
            connection: ConnectionId(number),
            client: end,
            server: end,
            upgrade: true,
            key: (!number.is_multiple_of(3)).then_some([0; 16]),
            asked: Timestamp::ZERO,
            answered: None,
        }
    }

    proptest! {
        /// Beside an ordered map: whoever leaves, in whatever order.
        #[test]
        fn keeps_order_whoever_leaves(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..600)) {
            let (mut line, mut model) = (Line::default(), BTreeMap::new());
            for (number, (joins, which)) in steps.into_iter().enumerate() {
                if joins || model.is_empty() {
                    let ticket = line.join(attempt(number as u64));
                    model.insert(ticket, number as u64);
                } else {
                    let ticket = *model.keys().nth(which.index(model.len())).unwrap();
                    let left = line.leave(ticket).map(|attempt| attempt.connection.0);
                    prop_assert_eq!(left, model.remove(&ticket));
                    prop_assert!(line.leave(ticket).is_none());
                }
                prop_assert_eq!(line.len(), model.len());
                prop_assert_eq!(line.first(), model.keys().next().copied());
                prop_assert_eq!(line.has_keyless(), model.values().any(|number| number.is_multiple_of(3)));
                prop_assert!(line.places.len() <= 2 * model.len() + Line::HOLES);
            }
            let inside: Vec<u64> = line.latest_first().map(|attempt| attempt.connection.0).collect();
            prop_assert_eq!(inside, model.values().rev().copied().collect::<Vec<_>>());
            for (ticket, number) in model {
                prop_assert_eq!(line.find(ticket).map(|attempt| attempt.connection.0), Some(number));
            }
        }
    }
}
