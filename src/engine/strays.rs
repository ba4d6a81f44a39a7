//! Connections that belong to no session yet, and may: a proxy's attempts to reach its backend.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use crate::session::Leg;
use crate::session::course::{FORWARDING, TOLERANCE};
use crate::session::joiner::Hosts;
use crate::stream::Role;
use crate::time::Timestamp;
use crate::wire::Endpoint;

/// Requests that wait at a time, of those that are looked at.
const LOOKED_AT: usize = 512;

/// Connections that said nothing we understand, kept for the sessions whose proxy may have made them; by their beginning.
#[derive(Debug)]
pub struct Strays {
    legs: BTreeMap<Place, Box<Leg>>,
    next: u64,
    /// Encrypted connections that are over and no session, by their beginning: one may be what a proxy dialled for.
    encrypted: VecDeque<Encrypted>,
    /// Requests for something else whose proxy answered that it could not reach its backend: it dialled for them. By their
    /// answers.
    plain: VecDeque<Front<()>>,
    /// Until when those waited that gave way.
    forgotten: Timestamp,
    bound: usize,
    /// What the bound made us forget.
    pub overflows: u64,
}

/// When a connection began, and a number that tells those apart that began at once.
type Place = (Timestamp, u64);

/// An encrypted connection that is over.
#[derive(Debug)]
struct Encrypted {
    leg: Box<Leg>,
    /// From the end of the TLS handshake until what its server said last: who ends TLS need not wait for a request.
    waited: (Timestamp, Timestamp),
}

/// Connections that no session claims: one, or all that were tried in vain for one that is encrypted.
pub struct Unclaimed {
    /// The encrypted one; else the one.
    pub first: Box<Leg>,
    /// What was tried for it.
    pub behind: Vec<Box<Leg>>,
}

impl Unclaimed {
    /// The connections that nobody claimed.
    pub fn legs(&self) -> &[Box<Leg>] {
        if self.behind.is_empty() { std::slice::from_ref(&self.first) } else { &self.behind }
    }

    /// Who connected, and to which host.
    pub fn ends(&self) -> (IpAddr, IpAddr) {
        (self.first.client.ip, self.first.server.ip)
    }
}

/// Hosts that somebody looked for open ports on: at so many different ones nobody expects a WebSocket.
pub fn scanned(unclaimed: &[Unclaimed]) -> BTreeSet<(IpAddr, IpAddr)> {
    const PORTS: usize = 8;
    let mut knocked: BTreeMap<(IpAddr, IpAddr), BTreeSet<u16>> = BTreeMap::new();
    for failure in unclaimed.iter().filter(|failure| !failure.first.tcp.came_up()) {
        knocked.entry(failure.ends()).or_default().insert(failure.first.server.port);
    }
    knocked.into_iter().filter(|(_, ports)| ports.len() >= PORTS).map(|(ends, _)| ends).collect()
}

/// A leg that waited for an answer while its proxy may have opened connections.
#[derive(Clone, Copy, Debug)]
pub struct Front<T> {
    /// Whose it is.
    pub owner: T,
    /// Where it came from.
    pub client: Endpoint,
    /// Where it leads.
    pub server: Endpoint,
    /// When its connection was opened, if the request is the first on it: a proxy that passes bytes on dials then.
    pub opened: Option<Timestamp>,
    /// When its request was complete.
    pub asked: Timestamp,
    /// When its proxy had what it looked for: an answer, or the connection that worked.
    pub until: Timestamp,
    /// What may be its.
    pub seeks: Seeks,
}

/// What a front may claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seeks {
    /// Any connection: nothing else explains what became of it.
    Any,
    /// Any connection; one that never came up also from an address that is not known to be its proxy's: the answer says
    /// that the proxy could not reach its backend.
    Failure,
    /// A connection that was dialled for this one, and refused or given up while it waited: the answer does not say that
    /// the server failed, but a page or a redirect may stand in for that.
    HiddenFailure,
    /// Attempts before the one that worked.
    EarlierAttempt {
        /// Where that one went.
        worked: Endpoint,
    },
}

/// Fronts whose proxy may have opened a connection.
#[derive(Debug, Default)]
struct Claims {
    /// The last so many of them.
    fronts: VecDeque<usize>,
    /// Whether these are sure by their addresses: then those that are not do not count.
    sure: bool,
    count: usize,
}

/// What a front has claimed so far.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
struct Share {
    count: u32,
    /// When the last one of them was opened.
    last: Timestamp,
}

impl Claims {
    fn add(&mut self, front: usize, sure: bool) {
        const KEPT: usize = 32;
        if sure && !self.sure {
            *self = Claims { sure, ..Claims::default() };
        }
        if sure == self.sure {
            self.count += 1;
            self.fronts.push_back(front);
            if self.fronts.len() > KEPT {
                self.fronts.pop_front();
            }
        }
    }

    /// Of those that had asked when it was opened, who has nothing that explains its end, then who has the least so far, or has
    /// waited longest since; of those that have none the last to ask, for a proxy dials at once. From an unknown address
    /// a connection is claimed only where nobody else can have made it.
    fn owner<T>(&self, opened: Timestamp, fronts: &[Front<T>], shares: &[Share]) -> Option<usize> {
        let rank = |index: usize| {
            let (front, share) = (&fronts[index], shares[index]);
            let asks_later = front.asked.min(front.opened.unwrap_or(front.asked)) > opened;
            let lacks_a_reason = share.count == 0 && matches!(front.seeks, Seeks::Any | Seeks::Failure);
            (asks_later, !lacks_a_reason, share, Reverse(front.asked))
        };
        let owner = self.fronts.iter().copied().min_by_key(|&index| rank(index));
        owner.filter(|_| self.sure || self.count == 1)
    }
}

impl Strays {
    /// Keeps at most so many.
    pub fn new(bound: usize) -> Strays {
        Strays {
            legs: BTreeMap::new(),
            next: 0,
            encrypted: VecDeque::new(),
            plain: VecDeque::new(),
            forgotten: Timestamp::ZERO,
            bound,
            overflows: 0,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    /// One more. The oldest gives way.
    pub fn add(&mut self, leg: Leg) {
        if self.legs.len() >= self.bound {
            self.legs.pop_first();
            self.overflows += 1;
        }
        self.legs.insert((leg.tcp.first.at, self.next), Box::new(leg));
        self.next += 1;
    }

    /// Takes every connection that a front's proxy may have opened: from its address, while it waited, to somewhere
    /// else. When several waited, each has its share.
    pub fn claim<T: Copy>(&mut self, fronts: &[Front<T>], hosts: &Hosts) -> Vec<(T, Box<Leg>)> {
        if self.legs.is_empty() {
            return Vec::new();
        }
        let mut claims: BTreeMap<Place, Claims> = BTreeMap::new();
        for (index, front) in fronts.iter().enumerate() {
            let (from, to) = front.waited();
            for (&place, leg) in self.legs.range((from, 0)..=(to, u64::MAX)) {
                let Some(sure) = front.may_own(leg, hosts) else { continue };
                // Its own answer does not say that its proxy failed, another's does.
                if front.seeks != Seeks::Failure && self.is_for_plain(leg, hosts) {
                    continue;
                }
                claims.entry(place).or_default().add(index, sure);
            }
        }
        let mut shares = vec![Share::default(); fronts.len()];
        let claimed = claims.into_iter().filter_map(|(place, claims)| {
            let owner = claims.owner(place.0, fronts, &shares)?;
            let Share { count, .. } = shares[owner];
            shares[owner] = Share { count: count + 1, last: place.0 };
            Some((fronts[owner].owner, self.legs.remove(&place)?))
        });
        claimed.collect()
    }

    /// A request for something else, whose proxy answered that it could not reach its backend. The oldest gives way.
    pub fn add_plain(&mut self, front: Front<()>) {
        if self.plain.len() >= self.bound {
            self.plain.pop_front();
        }
        self.plain.push_back(front);
    }

    /// Whether a proxy made this attempt for a request for something else.
    fn is_for_plain(&self, leg: &Leg, hosts: &Hosts) -> bool {
        let at = leg.tcp.first.at;
        let waited = self.plain.partition_point(|front| front.until.plus(TOLERANCE) < at);
        let may_own = |front: &Front<()>| front.waits_at(at) && front.may_own(leg, hosts).is_some();
        !leg.tcp.came_up() && self.plain.iter().skip(waited).take(LOOKED_AT).any(may_own)
    }

    /// An encrypted connection that is no session. The oldest gives way.
    pub fn add_encrypted(&mut self, leg: Leg) {
        let Some((tls, done)) = leg.tls.as_deref().and_then(|tls| Some((tls, tls.handshake_done?.at))) else { return };
        if self.encrypted.len() >= self.bound
            && let Some(oldest) = self.encrypted.pop_front()
        {
            self.forgotten = self.forgotten.max(oldest.waited.1);
        }
        let until = tls.last_record.server.map_or(leg.tcp.last.at, |(last, _)| last.at.max(done));
        self.encrypted.push_back(Encrypted { leg: Box::new(leg), waited: (done, until) });
    }

    /// The encrypted connection whose proxy may have tried this one: from its address, while it waited; the
    /// only one that it can be.
    fn encrypted_front(&self, failed: &Leg, hosts: &Hosts) -> Option<usize> {
        let at = failed.tcp.first.at;
        let mut fronts = self.encrypted.iter().enumerate().filter(|(_, Encrypted { leg, waited: (from, to) })| {
            let waited = *from <= at.plus(TOLERANCE) && at <= to.plus(TOLERANCE);
            waited && leg.server != failed.server && hosts.may_be_one(leg.server.ip, failed.client.ip)
        });
        let (place, _) = fronts.next()?;
        fronts.next().is_none().then_some(place)
    }

    /// All that nobody claimed, and that were not made for something else.
    pub fn take(&mut self, hosts: &Hosts) -> Vec<Unclaimed> {
        let mut unclaimed: Vec<Unclaimed> = Vec::new();
        let mut tried: BTreeMap<usize, Vec<Box<Leg>>> = BTreeMap::new();
        for leg in std::mem::take(&mut self.legs).into_values() {
            if self.is_for_plain(&leg, hosts) {
                continue;
            }
            let failed = !leg.tcp.came_up();
            match self.encrypted_front(&leg, hosts).filter(|_| failed) {
                Some(front) => tried.entry(front).or_default().push(leg),
                None => {
                    self.overflows += u64::from(failed && leg.tcp.first.at < self.forgotten);
                    unclaimed.push(Unclaimed { first: leg, behind: Vec::new() });
                }
            }
        }
        let fronts = std::mem::take(&mut self.encrypted).into_iter().enumerate();
        unclaimed.extend(fronts.filter_map(|(place, Encrypted { leg: first, .. })| {
            Some(Unclaimed { first, behind: tried.remove(&place)? })
        }));
        unclaimed
    }
}

impl<T> Front<T> {
    /// Whether its proxy may have opened connections then.
    pub(super) fn waits_at(&self, opened: Timestamp) -> bool {
        let (from, to) = self.waited();
        (from..=to).contains(&opened)
    }

    /// From when until when its proxy may have opened connections.
    fn waited(&self) -> (Timestamp, Timestamp) {
        // A little before or behind it is another one's, where this one has what it looked for or says nothing of a failure.
        match self.seeks {
            Seeks::EarlierAttempt { .. } => return (self.asked, self.until.max(self.asked)),
            Seeks::HiddenFailure => return (self.asked, self.until.min(self.asked.plus(FORWARDING)).max(self.asked)),
            Seeks::Any | Seeks::Failure => {}
        }
        let asked = self.asked.minus(TOLERANCE);
        let from = self.opened.map_or(asked, |opened| opened.min(asked));
        (from, self.until.plus(TOLERANCE).max(from))
    }

    /// Whether this front's proxy may have opened a connection of that time, and whether that is sure by its address.
    pub(super) fn may_own(&self, leg: &Leg, hosts: &Hosts) -> Option<bool> {
        let failed = !leg.tcp.came_up();
        let wanted = match self.seeks {
            Seeks::Any | Seeks::Failure => true,
            Seeks::HiddenFailure => {
                let given_up = failed && leg.tcp.syn_retransmissions > 0 && leg.tcp.last.at <= self.until;
                given_up || leg.tcp.refused.is_some_and(|refused| refused.at <= self.until)
            }
            Seeks::EarlierAttempt { worked } => failed && !is_other_family(leg.server, worked),
        };
        if !wanted || self.server == leg.server || was_there_before(leg) {
            return None;
        }
        let sure = hosts.may_be_one(self.server.ip, leg.client.ip);
        let explains = failed && self.seeks == Seeks::Failure && self.client.ip != leg.client.ip;
        (sure || explains).then_some(sure)
    }
}

/// Whether nothing says that a connection was dialled, or used again, for anybody: it was there when the capture began, and its
/// client did not speak first.
fn was_there_before(leg: &Leg) -> bool {
    let first = |role| leg.half(role).first_data;
    let asked_first =
        first(Role::Client).is_some_and(|asked| first(Role::Server).is_none_or(|answered| asked < answered));
    leg.tcp.syn.is_none() && leg.tcp.syn_ack.is_none() && !asked_first
}

/// Whether both are addresses of one name: of these the first that answers is taken (RFC 8305), and nothing is wrong.
fn is_other_family(failed: Endpoint, worked: Endpoint) -> bool {
    failed.port == worked.port && failed.ip.is_ipv4() != worked.ip.is_ipv4()
}
