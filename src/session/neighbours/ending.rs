//! How one session began and ended, in the terms by which sessions are compared.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use crate::packet::Moment;
use crate::session::Session;
use crate::session::leg::{Leg, LegEnd, SessionId};
use crate::stream::Role;
use crate::time::Timestamp;
use crate::wire::Endpoint;
use crate::ws::facts::Close;

/// The path of a request, without its query, as a number: equal for equal paths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PathId(u64);

impl PathId {
    /// Of this path.
    pub fn of(path: &str) -> PathId {
        PathId(foldhash::fast::FixedState::default().hash_one(path))
    }
}

/// How a session began and ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Which session.
    pub session: SessionId,
    /// The client's address on its first leg.
    pub client: IpAddr,
    /// The server of its first leg.
    pub server: Endpoint,
    /// The server of its last leg.
    pub backend: Endpoint,
    /// The path of its request, if one was seen.
    pub path: Option<PathId>,
    /// When it began.
    pub start: Timestamp,
    /// When the opening handshake was complete, if it was.
    pub opened: Option<Timestamp>,
    /// When it ended: the first FIN, RST or Close; `None` while it is open.
    pub end: Option<Timestamp>,
    /// Who sent that first end, in terms of the first leg.
    pub ended_by: Option<Role>,
    /// How long nothing had been said before the end, in either direction on any leg.
    pub idle: Duration,
    /// Whether a Close frame was sent before the end.
    pub close_frame: bool,
    /// The code of that frame.
    pub close_code: Option<u16>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Whether a proxy between its legs ended both of them.
    pub proxy_ended: bool,
}

/// A leg that may be over, in whatever shape it is kept.
pub trait Ended {
    /// The client's endpoint.
    fn client(&self) -> Endpoint;
    /// The server's endpoint.
    fn server(&self) -> Endpoint;
    /// The path of its request.
    fn path(&self) -> Option<&str>;
    /// The status of the answer.
    fn status(&self) -> Option<u16>;
    /// When the WebSocket was open, if it ever was.
    fn opened(&self) -> Option<Moment>;
    /// The last byte in the tunnel; where there is none, the last payload byte of the connection.
    fn last_byte(&self) -> Option<Moment>;
    /// FINs and RSTs in order of capture.
    fn ends(&self) -> impl Iterator<Item = LegEnd> + '_;
    /// The Close frames, the first of each side.
    fn closes(&self) -> impl Iterator<Item = &Close> + '_;
}

impl Ended for Leg {
    fn client(&self) -> Endpoint {
        self.client
    }

    fn server(&self) -> Endpoint {
        self.server
    }

    fn path(&self) -> Option<&str> {
        self.request.as_ref().map(|request| request.head.path())
    }

    fn status(&self) -> Option<u16> {
        self.status()
    }

    fn opened(&self) -> Option<Moment> {
        self.tunnel.as_ref().map(|tunnel| tunnel.opened)
    }

    fn last_byte(&self) -> Option<Moment> {
        self.tunnel.as_ref().map_or(self.last_data(), |tunnel| tunnel.last_byte)
    }

    fn ends(&self) -> impl Iterator<Item = LegEnd> + '_ {
        self.ends()
    }

    fn closes(&self) -> impl Iterator<Item = &Close> + '_ {
        Role::BOTH.into_iter().filter_map(|role| self.tunnel.as_ref()?.sides[role].close.as_ref())
    }
}

impl Ending {
    /// Of a session whose judgement is due.
    pub fn of(session: &Session) -> Ending {
        Ending::of_legs(session.id, session.start, session.first_leg(), || session.legs.iter())
    }

    /// Of a session that began at `start`, by its legs from the client on; `first` is the first one.
    pub fn of_legs<'a, L: Ended + 'a, Legs: Iterator<Item = &'a L>>(
        session: SessionId,
        start: Timestamp,
        first: &'a L,
        legs: impl Fn() -> Legs,
    ) -> Ending {
        let end = legs().flat_map(|leg| leg.ends().map(|end| end.moment.at)).min();
        let before_end = |at: Option<Moment>| at.filter(|moment| end.is_none_or(|end| moment.at <= end));
        let last_byte = legs().filter_map(|leg| before_end(leg.last_byte())).max();
        let close = legs().flat_map(L::closes).min_by_key(|close| close.moment);
        Ending {
            session,
            client: first.client().ip,
            server: first.server(),
            backend: legs().last().map_or(first.server(), L::server),
            path: first.path().map(PathId::of),
            start,
            opened: first.opened().map(|opened| opened.at),
            end,
            ended_by: first.ends().next().map(|end| end.by),
            idle: last_byte.zip(end).map(|(last, end)| end.since(last.at)).unwrap_or_default(),
            close_frame: close.is_some_and(|close| end.is_none_or(|end| close.moment.at <= end)),
            close_code: close.and_then(|close| close.code),
            status: first.status(),
            proxy_ended: ended_between(legs()),
        }
    }

    /// When it was cut off: it had been open, nobody sent a Close frame, and it was not the client who left.
    pub fn cut_at(&self) -> Option<Timestamp> {
        let cut = self.opened.is_some() && !self.close_frame && self.ended_by != Some(Role::Client);
        self.end.filter(|_| cut)
    }

    /// How long it had been open when it ended.
    pub fn age(&self) -> Duration {
        self.opened.zip(self.end).map_or(Duration::ZERO, |(opened, end)| end.since(opened))
    }

    /// Whether it failed, or ended soon and not in good order.
    pub fn is_short_failure(&self) -> bool {
        let short = self.end.is_some_and(|end| end.since(self.start) < SHORT);
        let normal = self.close_frame && matches!(self.close_code, None | Some(1000 | 1001));
        short && !normal
    }
}

/// A session that lasted longer did not fail soon.
pub const SHORT: Duration = Duration::from_secs(10);

/// Whether the first FIN or RST of all legs comes from a proxy between them.
fn ended_between<'a, L: Ended + 'a>(legs: impl Iterator<Item = &'a L>) -> bool {
    let (mut first, mut count) = (None, 0);
    for (index, leg) in legs.enumerate() {
        count = index + 1;
        let ended = leg.ends().map(|end| (end.moment, index, end.by)).min_by_key(|(moment, ..)| *moment);
        first = match (first, ended) {
            (Some(one), Some(other)) => Some(if other < one { other } else { one }),
            (one, other) => one.or(other),
        };
    }
    match first {
        _ if count < 2 => false,
        Some((_, 0, Role::Client)) | None => false,
        Some((_, index, Role::Server)) => index + 1 < count,
        Some(_) => true,
    }
}
