//! When sessions began: which client came again, and what else was asked for at that time.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

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

/// When who asked.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    starts: HashMap<Asker, Starts, State>,
    /// The same of all, so that the oldest can give way.
    order: VecDeque<Asker>,
}

/// A session, by its start.
type Start = (Timestamp, SessionId);

/// Sessions of one asker in the order in which they became known: they are few, and seldom looked at.
#[derive(Clone, Debug)]
enum Starts {
    /// Most come once.
    One(Start),
    Many(VecDeque<Start>),
}

impl Attempts {
    /// A session began. Returns how many had to be forgotten for it.
    pub fn add(&mut self, ending: &Ending) -> u64 {
        let (asker, start) = (Asker::of(ending), (ending.start, ending.session));
        match self.starts.entry(asker) {
            Entry::Vacant(free) => _ = free.insert(Starts::One(start)),
            Entry::Occupied(mut known) => known.get_mut().add(start),
        }
        self.order.push_back(asker);
        if self.order.len() <= REMEMBERED {
            return 0;
        }
        self.forget_oldest();
        1
    }

    fn forget_oldest(&mut self) {
        let Some(asker) = self.order.pop_front() else { return };
        let Some(starts) = self.starts.get_mut(&asker) else { return };
        if let Starts::Many(starts) = starts
            && starts.len() > 1
        {
            starts.pop_front();
        } else {
            self.starts.remove(&asker);
        }
    }

    /// When the client of `own` next asked the same server for the same path, from `since` on.
    pub fn next(&self, own: &Ending, since: Timestamp) -> Option<Timestamp> {
        let starts = self.starts.get(&Asker::of(own))?;
        let later = starts.iter().filter(|(start, session)| *start >= since && *session != own.session);
        later.map(|(start, _)| *start).min()
    }
}

impl Starts {
    fn add(&mut self, start: Start) {
        match self {
            Starts::One(first) => *self = Starts::Many(VecDeque::from([*first, start])),
            Starts::Many(starts) => starts.push_back(start),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Start> {
        let (one, many) = match self {
            Starts::One(start) => (Some(start), None),
            Starts::Many(starts) => (None, Some(starts)),
        };
        one.into_iter().chain(many.into_iter().flatten())
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
        assert_eq!(attempts.starts.values().map(|starts| starts.iter().count()).sum::<usize>(), REMEMBERED);
        (0..40_000).for_each(|n| ports.add(SERVER, at(n * 1_000)));
        assert_eq!((ports.seen.len(), ports.order.len()), (REMEMBERED, REMEMBERED));
    }
}
