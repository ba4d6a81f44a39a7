//! How one session began and ended, in the terms by which sessions are compared.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use crate::packet::Moment;
use crate::session::leg::{Leg, LegEnd, SessionId};
use crate::session::{Outcome, Session, closing};
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
    /// Whether any of its legs could be read: else nobody knows how it went.
    pub is_read: bool,
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
    /// The last byte in the tunnel before one side ended, where the other went on.
    fn last_before_end(&self) -> Option<Moment>;
    /// Tells FINs and RSTs in order of capture, and before them the close_notify that the first one only answers.
    fn each_end(&self, tell: impl FnMut(LegEnd));
    /// The Close frame of `role`, the first one.
    fn close(&self, role: Role) -> Option<&Close>;
    /// Whether what was said on it could be read: it is no TLS without keys.
    fn is_read(&self) -> bool;
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

    fn last_before_end(&self) -> Option<Moment> {
        self.tunnel.as_ref()?.last_before_end
    }

    fn each_end(&self, tell: impl FnMut(LegEnd)) {
        match self.h2 {
            Some(_) => self.ends().for_each(tell),
            None => self.close_notify().into_iter().chain(self.tcp_ends()).for_each(tell),
        }
    }

    fn close(&self, role: Role) -> Option<&Close> {
        self.tunnel.as_ref()?.sides[role].close.as_ref()
    }

    fn is_read(&self) -> bool {
        closing::outcome_of(self) != Outcome::Encrypted
    }
}

impl Ending {
    /// Of a session whose judgement is due.
    pub fn of(session: &Session) -> Ending {
        Ending::of_legs(session.id, session.start, session.first_leg(), session.legs.iter())
    }

    /// Of a session that began at `start`, by its legs from the client on; `first` is the first one.
    pub fn of_legs<'a, L: Ended + 'a>(
        session: SessionId,
        start: Timestamp,
        first: &'a L,
        legs: impl Iterator<Item = &'a L> + Clone,
    ) -> Ending {
        let ends = Ends::of(legs.clone());
        let end = ends.at;
        let before_end = |at: &Moment| end.is_none_or(|end| at.at <= end);
        let (mut last_byte, mut close, mut last_leg) = (None, None::<(usize, Role, &Close)>, first);
        let mut is_read = false;
        for (index, leg) in legs.enumerate() {
            is_read |= leg.is_read();
            for byte in [leg.last_byte(), leg.last_before_end()] {
                last_byte = last_byte.max(byte.filter(before_end));
            }
            for (role, other) in Role::BOTH.into_iter().filter_map(|role| Some((role, leg.close(role)?))) {
                if close.is_none_or(|(_, _, close)| other.moment < close.moment) {
                    close = Some((index, role, other));
                }
            }
            last_leg = leg;
        }
        Ending {
            session,
            client: first.client().ip,
            server: first.server(),
            backend: last_leg.server(),
            path: first.path().map(PathId::of),
            start,
            opened: first.opened().map(|opened| opened.at),
            end,
            ended_by: ends.on_first_leg,
            idle: last_byte.zip(end).map(|(last, end)| end.since(last.at)).unwrap_or_default(),
            close_frame: close
                .is_some_and(|(leg, role, close)| before_end(&close.moment) || ends.are_behind(leg, role)),
            close_code: close.and_then(|(_, _, close)| close.code),
            status: first.status(),
            proxy_ended: ends.is_between_legs(),
            is_read,
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
        short && !normal && self.is_read
    }
}

/// A session that lasted longer did not fail soon.
pub const SHORT: Duration = Duration::from_secs(10);

/// The FINs and RSTs of all legs.
#[derive(Default)]
struct Ends {
    /// When the earliest of them came.
    at: Option<Timestamp>,
    /// The first one, and the index of its leg.
    first: Option<(usize, LegEnd)>,
    /// Who sent the first one on the first leg.
    on_first_leg: Option<Role>,
    legs: usize,
}

impl Ends {
    fn of<'a, L: Ended + 'a>(legs: impl Iterator<Item = &'a L>) -> Ends {
        let mut ends = Ends::default();
        for (index, leg) in legs.enumerate() {
            ends.legs = index + 1;
            leg.each_end(|end| ends.take(index, end));
        }
        ends
    }

    fn take(&mut self, index: usize, end: LegEnd) {
        if self.at.is_none_or(|at| end.moment.at < at) {
            self.at = Some(end.moment.at);
        }
        if self.first.is_none_or(|(_, first)| end.moment < first.moment) {
            self.first = Some((index, end));
        }
        if index == 0 {
            self.on_first_leg.get_or_insert(end.by);
        }
    }

    /// Whether the first one is behind what this side of that leg sent, wherever the capture has it.
    fn are_behind(&self, leg: usize, by: Role) -> bool {
        self.first.is_some_and(|(index, end)| index == leg && end.is_last_of(by))
    }

    /// Whether the first one comes from a proxy between two legs.
    fn is_between_legs(&self) -> bool {
        match self.first.map(|(index, end)| (index, end.by)) {
            _ if self.legs < 2 => false,
            Some((0, Role::Client)) | None => false,
            Some((index, Role::Server)) => index + 1 < self.legs,
            Some(_) => true,
        }
    }
}
