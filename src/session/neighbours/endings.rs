//! How all sessions of a capture ended, boiled down so that each question about the others is answered in a step or two.
//!
//! A capture may have a hundred thousand sessions, and each is compared with all others: so sessions are not kept but
//! counted, by server and by what can be shared: the instant of the end, the length of the silence before it, the age.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;

use crate::session::neighbours::beginnings::{Attempts, Ports};
use crate::session::neighbours::ending::Ending;
use crate::session::neighbours::recurrence::{Instant, Instants, Lengths, Recurrence};
use crate::session::neighbours::storm::{Storm, Storms};
use crate::stream::Role;
use crate::time::Timestamp;
use crate::wire::Endpoint;

type State = foldhash::fast::RandomState;

/// All endings. Every part is bounded: what is oldest gives way.
#[derive(Clone, Debug, Default)]
pub struct Endings {
    servers: HashMap<Endpoint, OfServer, State>,
    instants: Instants,
    silences: Lengths,
    ages: Lengths,
    storms: Storms,
    attempts: Attempts,
    ports: Ports,
}

/// Servers remembered.
const REMEMBERED: usize = 16_384;

/// Of one server, as clients know it.
#[derive(Clone, Debug, Default)]
struct OfServer {
    /// Sessions that were cut off: see [`Ending::cut_at`].
    cut: u32,
    /// Requests that got no answer but an RST or FIN.
    dropped: u32,
    /// Whether another connection was seen behind it.
    leads_on: bool,
    /// When its WebSockets were opened, and when they ended.
    opened: Times,
    ended: Times,
    /// Silences after which it cut sessions off as a proxy.
    limits: Vec<IdleLimit>,
}

/// A silence after which a proxy cut sessions off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdleLimit {
    /// The shortest of about this length.
    pub silence: Duration,
    /// At how many different moments that was seen.
    pub moments: u32,
}

impl Endings {
    /// A session ended, or was still open at the end. Returns how many things had to be forgotten for it.
    pub fn add(&mut self, ending: &Ending) -> u64 {
        let mut forgotten = 0;
        if self.servers.len() < REMEMBERED || self.servers.contains_key(&ending.server) {
            self.servers.entry(ending.server).or_default().add(ending);
        } else {
            forgotten += 1;
        }
        if let Some(at) = ending.cut_at() {
            self.instants.add(ending.server, at, ending);
            if ending.backend != ending.server {
                self.instants.add(ending.backend, at, ending);
            }
            self.silences.add(ending.server, ending.idle, at);
            if ending.proxy_ended
                && let Some(of) = self.servers.get_mut(&ending.server)
            {
                of.limit(self.silences.near(ending.server, ending.idle));
            }
            self.ages.add(ending.server, ending.age(), at);
        }
        if ending.is_short_failure() {
            self.storms.add(ending);
        }
        self.ports.add(ending.server, ending.start);
        forgotten + self.attempts.add(ending)
    }

    /// Whether nothing has ended yet.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Whether a session led to this server.
    pub fn know(&self, server: Endpoint) -> bool {
        self.servers.contains_key(&server)
    }

    /// Sessions of this server that were cut off: without a Close frame, not by their clients.
    pub fn cut(&self, server: Endpoint) -> u32 {
        self.servers.get(&server).map_or(0, |of| of.cut)
    }

    /// Sessions of the same server, or the same backend, that were cut off at the same instant, `own` included.
    pub fn at_the_instant_of(&self, own: &Ending) -> Instant {
        let Some(at) = own.cut_at().or(own.end) else { return Instant::default() };
        let (server, backend) = (self.instants.near(own.server, at), self.instants.near(own.backend, at));
        if backend.sessions > server.sessions { backend } else { server }
    }

    /// Sessions of the same server that were cut off after a silence of the same length, `own` included.
    pub fn as_silent_as(&self, own: &Ending) -> Recurrence {
        self.silences.near(own.server, own.idle)
    }

    /// Sessions of the same server that were cut off at the same age, `own` included.
    pub fn as_old_as(&self, own: &Ending) -> Recurrence {
        self.ages.near(own.server, own.age())
    }

    /// The silences after which this server cut sessions off as a proxy: not all when they are of every length.
    pub fn idle_limits(&self, server: Endpoint) -> &[IdleLimit] {
        self.servers.get(&server).map_or(&[], |of| &of.limits)
    }

    /// WebSockets of this server that were open at that time, had been opened in the time of `burst` before it, or were being
    /// opened: their answer came within `answer` after it.
    pub fn open_at(&self, server: Endpoint, at: Timestamp, burst: Duration, answer: Duration) -> u64 {
        let Some(of) = self.servers.get(&server) else { return 0 };
        let open = of.opened.before(at).saturating_sub(of.ended.before(at));
        let about = of.opened.before(at.plus(answer)) - of.opened.before(at.minus(burst));
        open.max(about)
    }

    /// Sessions of this server whose connection ended without a byte of an answer, by the server.
    pub fn dropped(&self, server: Endpoint) -> u32 {
        self.servers.get(&server).map_or(0, |of| of.dropped)
    }

    /// Whether connections of this server to backends were seen.
    pub fn lead_on(&self, server: Endpoint) -> bool {
        self.servers.get(&server).is_some_and(|of| of.leads_on)
    }

    /// The failures of this session's client that it is one of, when they come again and again.
    pub fn storm(&self, own: &Ending) -> Option<&Storm> {
        self.storms.of(own)
    }

    /// When the client of `own` next asked the same server for the same path, from `since` on.
    pub fn next_attempt(&self, own: &Ending, since: Timestamp) -> Option<Timestamp> {
        self.attempts.next(own, since)
    }

    /// Whether a session began within `span` of that time at the same port of another host.
    pub fn began_elsewhere(&self, server: Endpoint, at: Timestamp, span: Duration) -> bool {
        self.ports.have_other(server, at, span)
    }
}

impl OfServer {
    fn add(&mut self, ending: &Ending) {
        self.cut = self.cut.saturating_add(ending.cut_at().is_some().into());
        let unanswered = ending.is_read && ending.opened.is_none() && ending.status.is_none();
        let dropped = unanswered && ending.ended_by == Some(Role::Server);
        self.dropped = self.dropped.saturating_add(dropped.into());
        self.leads_on |= ending.backend != ending.server;
        if let Some(opened) = ending.opened {
            self.opened.add(opened);
            if let Some(end) = ending.end {
                self.ended.add(end);
            }
        }
    }

    fn limit(&mut self, seen: Recurrence) {
        /// A proxy has a timer or two. Where it has more it is not a timer.
        const KEPT: usize = 32;
        let fits = |limit: &&mut IdleLimit| seen.shortest <= limit.silence && limit.silence <= seen.longest;
        let seen_now = IdleLimit { silence: seen.shortest, moments: seen.moments };
        let full = self.limits.len() >= KEPT;
        match self.limits.iter_mut().find(fits) {
            Some(limit) => *limit = seen_now,
            None if full => {}
            None => self.limits.push(seen_now),
        }
    }
}

/// Times in order. The oldest are counted only.
#[derive(Clone, Debug, Default)]
struct Times {
    forgotten: u64,
    times: VecDeque<Timestamp>,
}

impl Times {
    /// Times kept of one server.
    const KEPT: usize = 512;

    /// They come nearly in order.
    fn add(&mut self, time: Timestamp) {
        match self.times.back() {
            Some(last) if *last > time => {
                let place = self.times.partition_point(|other| *other <= time);
                self.times.insert(place, time);
            }
            _ => self.times.push_back(time),
        }
        if self.times.len() > Times::KEPT {
            self.times.pop_front();
            self.forgotten += 1;
        }
    }

    /// How many lie before this time.
    fn before(&self, at: Timestamp) -> u64 {
        self.forgotten + self.times.partition_point(|time| *time < at) as u64
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::session::SessionId;
    use crate::session::neighbours::PathId;

    pub(crate) const SERVER: Endpoint = Endpoint { ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), port: 80 };

    /// The client of all sessions.
    pub(crate) const UNSPECIFIED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

    pub(crate) fn at(milliseconds: u64) -> Timestamp {
        Timestamp::from_parts(1_790_000_000, 0).plus(Duration::from_millis(milliseconds))
    }

    /// Open from `opened` to `end`, silent for the last `idle`, then cut off by the server: all in milliseconds.
    pub(crate) fn cut(number: u64, opened: u64, end: u64, idle: u64) -> Ending {
        Ending {
            session: SessionId(number),
            client: UNSPECIFIED,
            server: SERVER,
            backend: SERVER,
            path: Some(PathId::of("/ws")),
            start: at(opened),
            opened: Some(at(opened)),
            end: Some(at(end)),
            ended_by: Some(Role::Server),
            idle: Duration::from_millis(idle),
            close_frame: false,
            close_code: None,
            status: Some(101),
            proxy_ended: true,
            is_read: true,
        }
    }

    fn all(list: &[Ending]) -> Endings {
        let mut endings = Endings::default();
        list.iter().for_each(|ending| assert_eq!(endings.add(ending), 0));
        endings
    }

    #[test]
    fn what_ends_at_the_same_instant_is_counted_with_its_ages_and_silences() {
        let own = cut(1, 0, 10_000, 400);
        let others = [own.clone(), cut(2, 5_000, 10_040, 3_000), cut(3, 0, 10_300, 400), cut(4, 0, 9_000, 1)];
        let together = all(&others).at_the_instant_of(&own);
        assert_eq!(together.sessions, 2);
        assert_eq!(together.silences, (Duration::from_millis(400), Duration::from_millis(3_000)));
        assert_eq!(together.ages, (Duration::from_millis(5_040), Duration::from_millis(10_000)));
    }

    #[test]
    fn who_closed_well_or_was_left_by_its_client_was_not_cut_off() {
        let closed = Ending { close_frame: true, ..cut(1, 0, 10_000, 400) };
        let left = Ending { ended_by: Some(Role::Client), ..cut(2, 0, 10_000, 400) };
        let endings = all(&[closed.clone(), left]);
        assert_eq!((endings.cut(SERVER), endings.at_the_instant_of(&closed).sessions), (0, 0));
    }

    #[test]
    fn a_length_recurs_when_it_comes_at_different_moments() {
        let own = cut(1, 0, 60_010, 59_900);
        let endings =
            all(&[own.clone(), cut(2, 0, 60_020, 59_950), cut(3, 2_000, 62_000, 59_710), cut(4, 0, 9_000, 800)]);
        let same = endings.as_silent_as(&own);
        assert_eq!((same.sessions, same.moments), (3, 2));
        assert_eq!((same.shortest, same.longest), (Duration::from_millis(59_710), Duration::from_millis(59_950)));
        assert_eq!(endings.cut(SERVER), 4);
    }

    #[test]
    fn open_at_a_time_are_those_opened_before_and_not_ended() {
        let endings = all(&[cut(1, 0, 5_000, 0), cut(2, 1_000, 2_000, 0), cut(3, 6_000, 7_000, 0)]);
        assert_eq!(endings.open_at(SERVER, at(1_500), Duration::ZERO, Duration::ZERO), 2);
        assert_eq!(endings.open_at(SERVER, at(2_500), Duration::ZERO, Duration::ZERO), 1);
        assert_eq!(
            endings.open_at(SERVER, at(5_500), Duration::from_secs(5), Duration::ZERO),
            1,
            "opened a moment ago"
        );
        assert_eq!(
            endings.open_at(SERVER, at(5_500), Duration::ZERO, Duration::from_secs(1)),
            1,
            "opened a moment later"
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut endings = Endings::default();
        let forgotten: u64 = (0..40_000).map(|n| endings.add(&cut(n, n * 10, n * 10 + 5 + n, n))).sum();
        assert_eq!(forgotten, 40_000 - 16_384, "the oldest beginnings");
        assert_eq!(endings.servers[&SERVER].opened.times.len(), Times::KEPT);
    }
}
