//! When sessions began: which client came again, and what else was asked for at that time.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashTable};

use crate::session::SessionId;
use crate::session::neighbours::ending::Ending;
use crate::time::Timestamp;
use crate::wire::Endpoint;

type State = foldhash::fast::RandomState;

/// Sessions remembered, and ports: more than sessions are kept for judgement at a time.
const REMEMBERED: usize = 16_384;

/// Who asked whom for what, as a number: equal for the same client, server and path.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Asker(u64);

impl Asker {
    fn of(ending: &Ending) -> Asker {
        let asker = (ending.client, ending.server, ending.path);
        Asker(foldhash::fast::FixedState::default().hash_one(asker))
    }
}

/// When who asked, as far as it is remembered: the latest attempts one behind the other, each with the way to the one before
/// of its asker. So an attempt that comes, and the one that gives way to it, cost a look-up in little memory.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    /// How many there were. They are numbered from 1.
    count: u64,
    /// Attempt `n` lies where [`slot`] says, until another one takes its place.
    latest: Vec<Attempt>,
    /// The number of the latest attempt of each asker.
    of_askers: HashTable<u64>,
}

/// A session, by its start.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    asker: Asker,
    start: Timestamp,
    session: SessionId,
    /// The number of the attempt of this asker before it: 0 when there was none, and one that has given way may be named.
    before: u64,
}

/// Where an attempt lies.
const fn slot(number: u64) -> usize {
    (number - 1) as usize % REMEMBERED
}

impl Attempts {
    /// A session began. Returns how many had to be forgotten for it.
    pub fn add(&mut self, ending: &Ending) -> u64 {
        let asker = Asker::of(ending);
        let number = self.count + 1;
        let forgotten = self.forget(number.saturating_sub(REMEMBERED as u64));
        let asker_of = |number: &u64| self.latest[slot(*number)].asker;
        let before = match self.of_askers.entry(asker.0, |other| asker_of(other) == asker, |other| asker_of(other).0) {
            Entry::Vacant(free) => {
                free.insert(number);
                0
            }
            Entry::Occupied(mut latest) => std::mem::replace(latest.get_mut(), number),
        };
        let attempt = Attempt { asker, start: ending.start, session: ending.session, before };
        match self.latest.get_mut(slot(number)) {
            Some(oldest) => *oldest = attempt,
            None => self.latest.push(attempt),
        }
        self.count = number;
        forgotten
    }

    /// Forgets an attempt, if there is one of that number. Returns how many that was.
    fn forget(&mut self, number: u64) -> u64 {
        if number == 0 {
            return 0;
        }
        let Asker(hash) = self.latest[slot(number)].asker;
        if let Ok(only) = self.of_askers.find_entry(hash, |latest| *latest == number) {
            only.remove();
        }
        1
    }

    /// When the client of `own` next asked the same server for the same path, from `since` on.
    pub fn next(&self, own: &Ending, since: Timestamp) -> Option<Timestamp> {
        let others = self.of(Asker::of(own)).filter(|attempt| attempt.session != own.session);
        others.map(|attempt| attempt.start).filter(|start| *start >= since).min()
    }

    /// The attempts of one asker, the latest first: they are few, and seldom looked at.
    fn of(&self, asker: Asker) -> impl Iterator<Item = &Attempt> {
        let mut number = self.of_askers.find(asker.0, |number| self.latest[slot(*number)].asker == asker).copied();
        std::iter::from_fn(move || {
            let is_known = |number: &u64| *number > 0 && *number + REMEMBERED as u64 > self.count;
            let attempt = &self.latest[slot(number.filter(is_known)?)];
            number = Some(attempt.before);
            Some(attempt)
        })
    }
}

/// At which hosts sessions began, by second and port.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    seen: HashMap<(u64, u16), Seen, State>,
    /// The same in the order in which they came, so that the oldest can give way.
    order: VecDeque<(u64, u16)>,
    /// The latest one: most sessions begin where the one before did.
    latest: Option<(u64, Endpoint)>,
}

/// Hosts at which sessions began in one second at one port. With two of them there is another one than any.
#[derive(Clone, Copy, Debug)]
struct Seen {
    one: IpAddr,
    other: Option<IpAddr>,
}

impl Ports {
    /// A session began at this server.
    pub fn add(&mut self, server: Endpoint, at: Timestamp) {
        let second = seconds(at);
        if self.latest.replace((second, server)) == Some((second, server)) {
            return;
        }
        let (place, order) = ((second, server.port), &mut self.order);
        let seen = self.seen.entry(place).or_insert_with(|| {
            order.push_back(place);
            Seen { one: server.ip, other: None }
        });
        if seen.one != server.ip {
            seen.other.get_or_insert(server.ip);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }

    /// Whether a session began within `span` of that time at the same port of another host.
    pub fn have_other(&self, server: Endpoint, at: Timestamp, span: Duration) -> bool {
        let (second, span) = (seconds(at), span.as_secs());
        (second.saturating_sub(span)..=second.saturating_add(span)).any(|second| {
            let seen = self.seen.get(&(second, server.port));
            seen.is_some_and(|seen| seen.one != server.ip || seen.other.is_some())
        })
    }
}

fn seconds(at: Timestamp) -> u64 {
    at.as_nanos() / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::neighbours::PathId;
    use crate::session::neighbours::endings::tests::{SERVER, UNSPECIFIED, at, cut};

    #[test]
    fn the_next_attempt_is_the_first_one_after() {
        let mut attempts = Attempts::default();
        let own = cut(1, 0, 100, 0);
        for ending in [cut(3, 5_000, 9_000, 0), own.clone(), cut(2, 150, 900, 0)] {
            attempts.add(&ending);
        }
        assert_eq!(attempts.next(&own, at(0)), Some(at(150)));
        assert_eq!(attempts.next(&own, at(200)), Some(at(5_000)));
        assert_eq!(attempts.next(&own, at(6_000)), None);
        assert_eq!(attempts.next(&Ending { path: None, ..own }, at(0)), None, "asked for something else");
    }

    #[test]
    fn a_session_at_the_same_port_of_another_host_is_another() {
        let mut ports = Ports::default();
        ports.add(SERVER, at(3_000));
        let other = Endpoint { ip: UNSPECIFIED, ..SERVER };
        assert!(ports.have_other(other, at(0), Duration::from_secs(5)));
        assert!(!ports.have_other(other, at(60_000), Duration::from_secs(5)));
        assert!(!ports.have_other(SERVER, at(0), Duration::from_secs(5)));
        assert!(!ports.have_other(Endpoint { port: 81, ..other }, at(0), Duration::from_secs(5)));
        ports.add(other, at(3_100));
        assert!(ports.have_other(SERVER, at(0), Duration::from_secs(5)), "both were seen");
    }

    #[test]
    fn memory_is_bounded() {
        let (mut attempts, mut ports) = (Attempts::default(), Ports::default());
        let forgotten: u64 = (0..40_000).map(|n| attempts.add(&cut(n, n * 10, n * 10 + 5, 0))).sum();
        assert_eq!(forgotten, 40_000 - REMEMBERED as u64);
        assert_eq!(attempts.of(Asker::of(&cut(1, 0, 0, 0))).count(), REMEMBERED, "all of one asker");
        assert_eq!((attempts.latest.len(), attempts.of_askers.len()), (REMEMBERED, 1));
        (0..40_000)
            .for_each(|n| _ = attempts.add(&Ending { path: Some(PathId::of(&format!("/{n}"))), ..cut(n, 0, 5, 0) }));
        assert_eq!((attempts.latest.len(), attempts.of_askers.len()), (REMEMBERED, REMEMBERED));
        (0..40_000).for_each(|n| ports.add(SERVER, at(n * 1_000)));
        assert_eq!((ports.seen.len(), ports.order.len()), (REMEMBERED, REMEMBERED));
    }
}
