//! How all sessions of a capture ended, boiled down so that each question about the others is answered in a step or two.
//!
//! A capture may have a hundred thousand sessions, and each is compared with all others: so sessions are not kept but
//! counted, by server and by what can be shared: the instant of the end, the length of the silence before it, the age.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;

use crate::session::neighbours::ending::{Ending, PathId};
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
    /// Sessions by client, server and path, in order of their start.
    starts: BTreeSet<(IpAddr, Endpoint, Option<PathId>, Timestamp, u64)>,
    /// The same in the order in which they came, so that the oldest can give way.
    order: VecDeque<(IpAddr, Endpoint, Option<PathId>, Timestamp, u64)>,
    /// In which second a session began at which port of which host.
    ports: BTreeSet<(u64, u16, IpAddr)>,
    /// The latest of these: most sessions begin where the one before did.
    last_port: Option<(u64, u16, IpAddr)>,
}

/// Sessions remembered one by one, and instants remembered: more than are kept for judgement at a time.
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
        forgotten + self.began(ending)
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

    /// WebSockets of this server that were open at that time, or had been opened in the time of `burst` before it.
    pub fn open_at(&self, server: Endpoint, at: Timestamp, burst: Duration) -> u64 {
        let Some(of) = self.servers.get(&server) else { return 0 };
        let open = of.opened.before(at).saturating_sub(of.ended.before(at));
        let earlier = Timestamp::from_nanos(at.as_nanos().saturating_sub(burst.as_nanos() as u64));
        open.max(of.opened.before(at) - of.opened.before(earlier))
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
        let first = (own.client, own.server, own.path, since, 0);
        let last = (own.client, own.server, own.path, Timestamp::from_nanos(u64::MAX), u64::MAX);
        let mut later = self.starts.range(first..=last).filter(|(.., session)| *session != own.session.0);
        later.next().map(|(.., at, _)| *at)
    }

    /// Whether a session began within `span` of that time at the same port of another host.
    pub fn began_elsewhere(&self, server: Endpoint, at: Timestamp, span: Duration) -> bool {
        let (second, span) = (seconds(at), span.as_secs());
        (second.saturating_sub(span)..=second.saturating_add(span)).any(|second| {
            let port = (second, server.port, UNSPECIFIED)..(second, server.port.saturating_add(1), UNSPECIFIED);
            self.ports.range(port).any(|(_, port, ip)| *port == server.port && *ip != server.ip)
        })
    }

    fn began(&mut self, ending: &Ending) -> u64 {
        let entry = (ending.client, ending.server, ending.path, ending.start, ending.session.0);
        if self.starts.insert(entry) {
            self.order.push_back(entry);
        }
        let port = (seconds(ending.start), ending.server.port, ending.server.ip);
        if self.last_port != Some(port) {
            self.ports.insert(port);
            self.last_port = Some(port);
        }
        if self.ports.len() > REMEMBERED {
            self.ports.pop_first();
        }
        if self.order.len() <= REMEMBERED {
            return 0;
        }
        self.order.pop_front().is_some_and(|oldest| self.starts.remove(&oldest)).into()
    }
}

/// The least of all addresses.
const UNSPECIFIED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

fn seconds(at: Timestamp) -> u64 {
    at.as_nanos() / 1_000_000_000
}

impl OfServer {
    fn add(&mut self, ending: &Ending) {
        self.cut = self.cut.saturating_add(ending.cut_at().is_some().into());
        let dropped = ending.opened.is_none() && ending.status.is_none() && ending.ended_by == Some(Role::Server);
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
        let place = self.times.partition_point(|other| *other <= time);
        self.times.insert(place, time);
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
mod tests {
    use super::*;
    use crate::session::SessionId;

    const SERVER: Endpoint = Endpoint { ip: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), port: 80 };

    fn at(milliseconds: u64) -> Timestamp {
        Timestamp::from_parts(1_790_000_000, 0).plus(Duration::from_millis(milliseconds))
    }

    /// Open from `opened` to `end`, silent for the last `idle`, then cut off by the server: all in milliseconds.
    fn cut(number: u64, opened: u64, end: u64, idle: u64) -> Ending {
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
        assert_eq!(endings.open_at(SERVER, at(1_500), Duration::ZERO), 2);
        assert_eq!(endings.open_at(SERVER, at(2_500), Duration::ZERO), 1);
        assert_eq!(endings.open_at(SERVER, at(5_500), Duration::from_secs(5)), 1, "opened a moment ago");
    }

    #[test]
    fn the_next_attempt_is_the_first_one_after() {
        let own = cut(1, 0, 100, 0);
        let endings = all(&[own.clone(), cut(2, 150, 900, 0), cut(3, 5_000, 9_000, 0)]);
        assert_eq!(endings.next_attempt(&own, at(0)), Some(at(150)));
        assert_eq!(endings.next_attempt(&own, at(200)), Some(at(5_000)));
        assert_eq!(endings.next_attempt(&own, at(6_000)), None);
    }

    #[test]
    fn a_session_at_the_same_port_of_another_host_is_elsewhere() {
        let endings = all(&[cut(1, 3_000, 5_000, 0)]);
        let other = Endpoint { ip: UNSPECIFIED, ..SERVER };
        assert!(endings.began_elsewhere(other, at(0), Duration::from_secs(5)));
        assert!(!endings.began_elsewhere(other, at(60_000), Duration::from_secs(5)));
        assert!(!endings.began_elsewhere(SERVER, at(0), Duration::from_secs(5)));
        assert!(!endings.began_elsewhere(Endpoint { port: 81, ..other }, at(0), Duration::from_secs(5)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut endings = Endings::default();
        let forgotten: u64 = (0..40_000).map(|n| endings.add(&cut(n, n * 10, n * 10 + 5 + n, n))).sum();
        assert_eq!((endings.starts.len(), endings.order.len()), (REMEMBERED, REMEMBERED));
        assert_eq!(forgotten, 40_000 - REMEMBERED as u64);
        assert_eq!(endings.servers[&SERVER].opened.times.len(), Times::KEPT);
    }
}
