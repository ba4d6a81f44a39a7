//! Which legs belong together: the two sides of a proxy, found while the client's leg waits for its answer.
//!
//! The key joins first: every proxy that speaks HTTP/1 on both sides passes it on. Test tools use one key again and
//! again, so a key alone is not enough: the leg in front must be waiting for its answer, and lead elsewhere.

mod line;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use self::line::Line;
use crate::http::ProxyHeader;
use crate::session::course::TOLERANCE;
use crate::session::slab::FlowId;
use crate::tcp::ConnectionId;
use crate::time::Timestamp;
use crate::wire::Endpoint;

/// An attempt that waits for its answer, or did until a moment ago.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Its flow.
    pub flow: FlowId,
    /// Its connection: flows are used again, connections are not.
    pub connection: ConnectionId,
    /// The client's end.
    pub client: Endpoint,
    /// The server's end.
    pub server: Endpoint,
    /// Its key, when it has a valid one.
    pub key: Option<[u8; 16]>,
    /// Whether it has Upgrade.
    pub upgrade: bool,
    /// When its request was complete.
    pub asked: Timestamp,
    /// When it was answered or given up.
    pub answered: Option<Timestamp>,
}

/// Where a new leg belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// Behind this leg.
    Behind(FlowId),
    /// In front of this one: the capture holds the packets of two interfaces out of order.
    InFront(FlowId),
    /// The same connection, seen a second time with other addresses on the way through a NAT.
    SameAs(FlowId),
}

/// The number under which an attempt waits: later attempts have greater ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ticket(NonZeroU64);

impl Default for Ticket {
    fn default() -> Ticket {
        Ticket(NonZeroU64::MIN)
    }
}

/// The attempts that wait, and the plain requests that may be what a proxy made of one.
#[derive(Debug, Default)]
pub struct Joiner {
    waiting: Line,
    by_key: HashMap<[u8; 16], Tickets, foldhash::fast::RandomState>,
    /// Answered a moment ago, and still in `waiting`.
    answered: VecDeque<(Timestamp, Ticket)>,
    plain: VecDeque<PlainRequest>,
    hosts: Hosts,
    bound: usize,
    /// Attempts forgotten because too many waited.
    pub overflows: u64,
}

/// Those of attempts with one key, oldest first: hardly ever more than one.
#[derive(Debug)]
struct Tickets {
    first: Ticket,
    others: Vec<Ticket>,
}

/// Which addresses belong to one host: learnt from legs that a key has joined.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Vec<(IpAddr, IpAddr)>);

impl Hosts {
    /// Pairs that are kept; a capture sees few proxies.
    const BOUND: usize = 256;

    /// A proxy that is reached at `server` dials from `client`.
    pub fn learn(&mut self, server: IpAddr, client: IpAddr) {
        if !self.may_be_one(server, client) && self.0.len() < Self::BOUND {
            self.0.push((server, client));
        }
    }

    /// Whether the host that is reached at `server` may dial from `client`: it is the same address, one of the two is an
    /// address that only the host itself can use, or it was seen to do so.
    pub fn may_be_one(&self, server: IpAddr, client: IpAddr) -> bool {
        server == client || server.is_loopback() || client.is_loopback() || self.0.contains(&(server, client))
    }
}

/// Whether the second of two legs, each by its client and its server, is in front of the first: its server may dial from where
/// the first one's client is, and not the other way round.
pub fn are_turned(first: (Endpoint, Endpoint), second: (Endpoint, Endpoint)) -> bool {
    let ((client, server), (next_client, next_server)) = (first, second);
    next_server.ip == client.ip && server.ip != next_client.ip
}

/// A request that asks for no WebSocket, remembered because a proxy may have made it of one that does.
#[derive(Clone, Copy, Debug)]
pub struct PlainRequest {
    /// Its flow.
    pub flow: FlowId,
    /// Its connection.
    pub connection: ConnectionId,
    /// Where it came from.
    pub client: IpAddr,
    /// Where it went.
    pub server: Endpoint,
    /// When.
    pub asked: Timestamp,
}

impl Tickets {
    fn iter(&self) -> impl Iterator<Item = Ticket> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

impl Joiner {
    /// Remembers at most `bound` attempts, and as many plain requests.
    pub fn new(bound: usize) -> Joiner {
        Joiner { bound, ..Joiner::default() }
    }

    /// An attempt begins to wait.
    pub fn ask(&mut self, attempt: Waiting) -> Ticket {
        if self.waiting.len() >= self.bound
            && let Some(oldest) = self.waiting.first()
        {
            self.overflows += 1;
            self.forget(oldest);
        }
        let key = attempt.key;
        let ticket = self.waiting.join(attempt);
        if let Some(key) = key {
            match self.by_key.entry(key) {
                Entry::Occupied(mut known) => known.get_mut().others.push(ticket),
                Entry::Vacant(new) => {
                    new.insert(Tickets { first: ticket, others: Vec::new() });
                }
            }
        }
        ticket
    }

    /// An attempt was answered, or will not be. It is remembered a little longer.
    pub fn answer(&mut self, ticket: Ticket, now: Timestamp) {
        if let Some(attempt) = self.waiting.find_mut(ticket)
            && attempt.answered.is_none()
        {
            attempt.answered = Some(now);
            self.answered.push_back((now, ticket));
        }
        while let Some(&(at, ticket)) = self.answered.front()
            && now.since(at) > TOLERANCE
        {
            self.answered.pop_front();
            self.forget(ticket);
        }
    }

    /// Whether an attempt waits for its answer, or did a moment ago.
    pub fn is_anybody_waiting(&self) -> bool {
        self.waiting.len() > 0
    }

    /// A plain request goes by.
    pub fn plain(&mut self, request: PlainRequest) {
        if self.plain.len() >= self.bound {
            self.plain.pop_front();
        }
        self.plain.push_back(request);
    }

    /// The addresses that belong together.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// A proxy that is reached at `server` dials from `client`.
    pub fn learn_host(&mut self, server: IpAddr, client: IpAddr) {
        self.hosts.learn(server, client);
    }

    /// Where an attempt belongs that has just been made, on a connection that was dialled for it at `dialled`.
    pub fn find(&self, new: &Waiting, dialled: Option<Timestamp>) -> Option<Match> {
        let same_key = new.key.and_then(|key| self.by_key.get(&key))?;
        let mut best: Option<&Waiting> = None;
        let others = same_key.iter().filter_map(|ticket| self.waiting.find(ticket));
        for other in others.filter(|other| other.connection != new.connection) {
            if other.client == new.client && other.server != new.server && is_near(other, new) {
                return Some(Match::SameAs(other.flow));
            }
            if !is_waiting(other, new.asked) || other.server == new.server || other.client == new.client {
                continue;
            }
            // Of several that wait the last one is the deepest: a chain of proxies asks in turn.
            best = match best {
                Some(best) if self.rank(best, new, dialled) >= self.rank(other, new, dialled) => Some(best),
                _ => Some(other),
            };
        }
        let other = best?;
        let are_turned = are_turned((other.client, other.server), (new.client, new.server));
        Some(if are_turned && other.asked.distance(new.asked) < TOLERANCE {
            Match::InFront(other.flow)
        } else {
            Match::Behind(other.flow)
        })
    }

    /// Attempts that may be in front of a new one although no key says so, because one of the two has none: they wait,
    /// and lead elsewhere. The last to ask first, so many at most.
    pub fn keyless_fronts(&self, new: &Waiting, most: usize) -> Vec<Waiting> {
        if new.key.is_some() && !self.waiting.has_keyless() {
            return Vec::new();
        }
        let may_be_front = |front: &&Waiting| {
            (front.key.is_none() || new.key.is_none())
                && front.connection != new.connection
                && front.server != new.server
                && front.client != new.client
                && is_waiting(front, new.asked)
        };
        self.waiting.latest_first().filter(may_be_front).take(most).copied().collect()
    }

    /// The attempt whose client a PROXY header names.
    pub fn find_named(&self, header: &ProxyHeader, connection: ConnectionId, now: Timestamp) -> Option<FlowId> {
        let source = header.source?;
        let named = |attempt: &&Waiting| {
            attempt.connection != connection && attempt.client == source && is_waiting(attempt, now)
        };
        self.waiting.latest_first().find(named).map(|attempt| attempt.flow)
    }

    /// Whether a plain request went by since then.
    pub fn is_plain_since(&self, asked: Timestamp) -> bool {
        self.plain.back().is_some_and(|request| request.asked.plus(TOLERANCE) >= asked)
    }

    /// Plain requests that may be what a proxy made of this attempt: sent since it asked, from where it may have asked
    /// on, to somewhere else. The latest first.
    pub fn plain_behind<'a>(&'a self, attempt: &'a Waiting) -> impl Iterator<Item = PlainRequest> + 'a {
        self.plain
            .iter()
            .rev()
            .take_while(move |request| request.asked.plus(TOLERANCE) >= attempt.asked)
            .filter(move |request| {
                request.connection != attempt.connection
                    && request.server != attempt.server
                    && self.hosts.may_be_one(attempt.server.ip, request.client)
            })
            .copied()
    }

    /// The attempts that were waiting at `at` and whose proxy may have dialled from `client` to `server`: the last to ask
    /// first.
    pub fn waiting_at(&self, at: Timestamp, client: IpAddr, server: Endpoint) -> impl Iterator<Item = FlowId> {
        self.waiting
            .latest_first()
            .filter(move |attempt| {
                is_waiting(attempt, at) && attempt.server != server && self.hosts.may_be_one(attempt.server.ip, client)
            })
            .map(|attempt| attempt.flow)
    }

    /// A leg that leads to where the new one comes from is a better front than one that does not, one whose request came
    /// before the new connection was dialled than one that was sent to somebody meanwhile, and one with Upgrade than one that a
    /// proxy would have to make it for; then the later one.
    fn rank(&self, front: &Waiting, new: &Waiting, dialled: Option<Timestamp>) -> (bool, bool, bool, bool, Timestamp) {
        let near = self.hosts.may_be_one(front.server.ip, new.client.ip);
        let dialled_for_it = dialled.is_none_or(|dialled| front.asked <= dialled);
        (front.answered.is_none(), near, dialled_for_it, front.upgrade || !new.upgrade, front.asked)
    }

    fn forget(&mut self, ticket: Ticket) {
        let Some(key) = self.waiting.leave(ticket).and_then(|attempt| attempt.key) else { return };
        let Entry::Occupied(mut same_key) = self.by_key.entry(key) else { return };
        let tickets = same_key.get_mut();
        if tickets.first != ticket {
            tickets.others.retain(|other| *other != ticket);
        } else if tickets.others.is_empty() {
            same_key.remove();
        } else {
            tickets.first = tickets.others.remove(0);
        }
    }
}

fn is_waiting(attempt: &Waiting, at: Timestamp) -> bool {
    let asked = attempt.asked <= at.plus(TOLERANCE);
    asked && attempt.answered.is_none_or(|answered| answered.plus(TOLERANCE) >= at)
}

/// NAT delays a packet by less than this.
fn is_near(one: &Waiting, other: &Waiting) -> bool {
    one.asked.distance(other.asked) < Duration::from_millis(20)
}
