//! Complete sessions that wait for their judgement.

use std::collections::VecDeque;

use crate::session::SessionId;

/// Their numbers in order. Nearly a queue: most sessions end not long after those that began before them.
#[derive(Debug, Default)]
pub struct Completed(VecDeque<SessionId>);

impl Completed {
    /// One more. False when it waits already.
    pub fn insert(&mut self, id: SessionId) -> bool {
        if self.0.back().is_none_or(|last| *last < id) {
            self.0.push_back(id);
            return true;
        }
        let place = self.0.binary_search(&id);
        if let Err(place) = place {
            self.0.insert(place, id);
        }
        place.is_err()
    }

    /// The one that began first.
    pub fn pop_first(&mut self) -> Option<SessionId> {
        self.0.pop_front()
    }

    /// It waits no longer.
    pub fn remove(&mut self, id: SessionId) {
        if let Ok(place) = self.0.binary_search(&id) {
            self.0.remove(place);
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = SessionId> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_begin_comes_first_whenever_it_ends() {
        let mut completed = Completed::default();
        let inserted: Vec<bool> = [4, 7, 1, 5, 7, 4].map(|id| completed.insert(SessionId(id))).into();
        assert_eq!(inserted, [true, true, true, true, false, false]);
        completed.remove(SessionId(5));
        completed.remove(SessionId(6));
        let order: Vec<u64> = std::iter::from_fn(|| completed.pop_first()).map(|id| id.0).collect();
        assert_eq!(order, [1, 4, 7]);
    }
}
