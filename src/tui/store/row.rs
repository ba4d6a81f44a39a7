//! A row: one session in a line, while it is open and after.

mod wording;

use std::sync::Arc;
use std::time::Duration;

use super::activity::Activity;
use super::messages::Messages;
use super::so_far;
use wording::{encrypted, proxy_of, target, why};

use crate::diagnosis::{Diagnosis, Severity};
use crate::engine::event::{MessageKind, Place};
use crate::packet::Moment;
use crate::session::leg::{LegEnd, Request, Response};
use crate::session::{JoinReason, Leg, Outcome, Session, SessionId};
use crate::stream::{ByRole, Role};
use crate::time::Timestamp;
use crate::tui::feed::Heard;
use crate::wire::Endpoint;

/// Pings that may wait for their pong in one row.
const PINGS_WAITING: usize = 8;

/// How a session is, in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::tui) enum Condition {
    /// The opening handshake is on.
    Opening,
    /// It is open.
    Open,
    /// Answered with something other than 101; what that means is not judged yet.
    Answered,
    /// A connection was ended; the judgement comes when all legs are over.
    Ending,
    /// It is open as far as sizes and times tell: what is said cannot be read.
    Encrypted,
    /// Over, and judged; or still open when the capture ended.
    Over(Outcome),
}

impl Condition {
    /// Its word in the list.
    pub const fn word(self) -> &'static str {
        match self {
            Condition::Opening => "opening",
            Condition::Open => "open",
            Condition::Answered => "answered",
            Condition::Ending => "ending",
            Condition::Encrypted => Outcome::Encrypted.name(),
            Condition::Over(outcome) => outcome.name(),
        }
    }
}

/// What one side has said on the leg nearest to the client.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct Talk {
    pub messages: u64,
    pub bytes: u64,
    pub activity: Activity,
}

/// One session in a line.
#[derive(Debug)]
pub(in crate::tui) struct Row {
    pub id: SessionId,
    pub condition: Condition,
    pub start: Timestamp,
    /// The last that was heard of it.
    pub last: Timestamp,
    /// When it was over.
    pub end: Option<Timestamp>,
    pub client: Endpoint,
    /// The server that the client reached.
    pub front: Endpoint,
    /// The software in front of the backend, or the bare word for one; `None` when there is no proxy.
    pub proxy: Option<&'static str>,
    /// The last server.
    pub backend: Endpoint,
    /// How many legs are known.
    pub legs: usize,
    /// Host and path, as they came from the wire.
    pub target: Arc<str>,
    pub talk: ByRole<Talk>,
    /// The latest time from a ping to its pong.
    pub rtt: Option<Duration>,
    /// Why it is as it is, in a few words. May quote the wire.
    pub why: Arc<str>,
    /// The finding that explains its failure.
    pub cause: Option<&'static str>,
    /// The worst of its findings.
    pub severity: Option<Severity>,
    pub messages: Messages,
    /// What is known of it: so far, or in the end. `None` while it has been forgotten.
    session: Option<Arc<Session>>,
    diagnosis: Option<Arc<Diagnosis>>,
    pings: Vec<Ping>,
}

/// A ping without its pong.
#[derive(Debug)]
struct Ping {
    client: Endpoint,
    by: Role,
    payload: Box<[u8]>,
    at: Timestamp,
}

impl Row {
    /// A session of which one leg is known.
    pub fn new(place: Place, at: Timestamp) -> Row {
        Row {
            id: place.session,
            condition: Condition::Opening,
            start: at,
            last: at,
            end: None,
            client: place.client,
            front: place.server,
            proxy: None,
            backend: place.server,
            legs: 1,
            target: Arc::default(),
            talk: ByRole::default(),
            rtt: None,
            why: Arc::default(),
            cause: None,
            severity: None,
            messages: Messages::default(),
            session: Some(Arc::new(so_far::session(place, at))),
            diagnosis: None,
            pings: Vec::new(),
        }
    }

    /// A session that is over, with what was noted while it was not.
    pub fn complete(before: Option<Row>, session: Arc<Session>, diagnosis: Arc<Diagnosis>) -> Row {
        let first = session.first_leg();
        let place = Place { session: session.id, client: first.client, server: first.server, leg: 0 };
        let mut row = before.unwrap_or_else(|| Row::new(place, session.start));
        row.id = session.id;
        row.condition = Condition::Over(session.outcome);
        (row.start, row.last) = (session.start, session.end);
        row.end = (session.outcome != Outcome::Open).then_some(session.end);
        row.pings = Vec::new();
        if let Some(last) = session.legs.iter().filter_map(Leg::last_data).max() {
            row.last = last.at;
        }
        row.count(first);
        row.severity = diagnosis.severity();
        row.cause = diagnosis.cause().map(|cause| cause.id);
        row.why = why(&session, &diagnosis).into();
        row.session = Some(session);
        row.diagnosis = Some(diagnosis);
        row.describe();
        row
    }

    /// Takes what the engine knows now of a session that goes on.
    pub fn refresh(&mut self, mut session: Session) {
        if session.outcome == Outcome::Encrypted {
            self.condition = Condition::Encrypted;
            self.why = encrypted(&session).into();
        }
        if let Some(last) = session.legs.iter().filter_map(Leg::last_data).max() {
            self.last = self.last.max(last.at);
        }
        let before = self.talk.clone();
        self.count(session.first_leg());
        for role in Role::BOTH {
            let since = self.last.since(self.start);
            let heard = self.talk[role].bytes.saturating_sub(before[role].bytes);
            if heard > 0 && self.condition == Condition::Encrypted {
                self.talk[role].activity.add(since, heard);
            }
        }
        // Connections that were never made are known from what was told of them, not to the engine's table.
        let told = self.session.iter().flat_map(|told| &told.legs);
        let unknown =
            |leg: &&Leg| !session.legs.iter().any(|known| known.client == leg.client && known.server == leg.server);
        let missing: Vec<Leg> = told.filter(unknown).cloned().collect();
        session.legs.extend(missing.into_iter().map(|leg| Leg { behind: Some(0), ..leg }));
        self.session = Some(Arc::new(session));
        self.describe();
    }

    /// Whether it is judged, or the capture ended.
    pub fn is_over(&self) -> bool {
        matches!(self.condition, Condition::Over(_))
    }

    /// Whether it goes on.
    pub fn is_open(&self) -> bool {
        !matches!(self.condition, Condition::Over(outcome) if outcome != Outcome::Open)
    }

    /// Whether it failed, or something is broken about it.
    pub fn is_failing(&self) -> bool {
        let failed = matches!(self.condition, Condition::Over(outcome) if super::is_failure(outcome));
        failed || self.cause.is_some() || self.severity == Some(Severity::Error)
    }

    /// What is known of it.
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    /// The judgement, once it is over, and until it has been forgotten.
    pub fn diagnosis(&self) -> Option<&Arc<Diagnosis>> {
        self.diagnosis.as_ref()
    }

    /// How long it has lasted.
    pub fn age(&self, now: Timestamp) -> Duration {
        self.end.unwrap_or(now).since(self.start)
    }

    /// How long nothing was said: until now, or until it ended. `None` where nothing ever was.
    pub fn idle(&self, now: Timestamp) -> Option<Duration> {
        let spoke = self.talk.client.messages + self.talk.server.messages > 0
            || self.session.as_ref().is_some_and(|session| session.first_leg().is_established());
        spoke.then(|| self.end.unwrap_or(now).since(self.last))
    }

    /// Keeps the line and forgets the rest.
    pub fn forget_details(&mut self) {
        (self.session, self.diagnosis) = (None, None);
        self.messages = Messages::default();
    }

    /// Keeps the line and the messages of a session that goes on, until it is looked at.
    pub fn forget_session(&mut self) {
        self.session = None;
    }

    pub(super) fn requested(&mut self, place: Place, request: Request) {
        self.start = self.start.min(request.begun.at);
        if let Some(leg) = self.leg(place, request.begun) {
            leg.request = Some(Box::new(request));
        }
        self.describe();
    }

    pub(super) fn answered(&mut self, place: Place, response: Response) {
        let status = response.head.status;
        let moment = response.moment;
        if let Some(leg) = self.leg(place, moment) {
            leg.response = Some(Box::new(response));
            if status == 101 {
                leg.tunnel = Some(so_far::tunnel(moment, true));
            }
        }
        if place.leg == 0 {
            self.condition = if status == 101 { Condition::Open } else { Condition::Answered };
            if status != 101 {
                self.why = status.to_string().into();
            }
        }
        self.describe();
    }

    pub(super) fn adopted(&mut self, place: Place, moment: Moment) {
        if let Some(leg) = self.leg(place, moment) {
            leg.tunnel = Some(so_far::tunnel(moment, false));
        }
        self.condition = Condition::Open;
        self.describe();
    }

    pub(super) fn ended(&mut self, place: Place, end: LegEnd) {
        if let Some(leg) = self.leg(place, end.moment) {
            so_far::end(leg, end);
        }
        if place.leg == 0 {
            self.condition = Condition::Ending;
        }
    }

    pub(super) fn unreachable(&mut self, place: Place, moment: Moment) {
        self.leg(place, moment);
        self.describe();
    }

    /// A message or control frame went by.
    pub(super) fn heard(&mut self, place: Place, by: Role, heard: &Heard) {
        if let Some(leg) = self.leg(place, heard.moment) {
            so_far::heard(leg, by, heard);
        }
        let data = matches!(heard.kind, MessageKind::Text | MessageKind::Binary);
        if place.client == self.client && data {
            let since = heard.moment.at.since(self.start);
            let talk = &mut self.talk[by];
            talk.messages += 1;
            talk.bytes += heard.bytes;
            talk.activity.add(since, heard.bytes);
        }
        match heard.kind {
            MessageKind::Ping => {
                if self.pings.len() == PINGS_WAITING {
                    self.pings.remove(0);
                }
                let at = heard.moment.at;
                self.pings.push(Ping { client: place.client, by, payload: heard.preview.clone(), at });
            }
            MessageKind::Pong => {
                let answers =
                    |ping: &Ping| ping.client == place.client && ping.by != by && ping.payload == heard.preview;
                if let Some(index) = self.pings.iter().position(answers) {
                    self.rtt = Some(heard.moment.at.since(self.pings.remove(index).at));
                }
            }
            _ => {}
        }
    }

    /// Its legs are behind this session's from now on.
    pub(super) fn join(&mut self, back: Row, reason: JoinReason) {
        self.last = self.last.max(back.last);
        self.start = self.start.min(back.start);
        self.rtt = self.rtt.or(back.rtt);
        self.messages.merge(back.messages);
        if let (Some(front), Some(back)) = (&mut self.session, back.session) {
            so_far::join(Arc::make_mut(front), &back, reason);
        }
        self.describe();
    }

    /// The leg of that place; a new one when it is not known yet, none when the session has been forgotten.
    fn leg(&mut self, place: Place, moment: Moment) -> Option<&mut Leg> {
        let session = self.session.as_mut()?;
        Some(so_far::leg(Arc::make_mut(session), place, moment))
    }

    /// Counts are taken from the leg when it is whole.
    fn count(&mut self, leg: &Leg) {
        for role in Role::BOTH {
            let talk = &mut self.talk[role];
            match &leg.tunnel {
                Some(tunnel) => {
                    let messages = &tunnel.sides[role].messages;
                    (talk.messages, talk.bytes) = (messages.text + messages.binary, messages.bytes);
                }
                None => {
                    talk.bytes = leg.tls.as_ref().map_or(0, |tls| tls.bytes[role]);
                    talk.messages = leg.tls.as_ref().map_or(0, |tls| tls.record_count[role]);
                }
            }
        }
        if let Some(tunnel) = &leg.tunnel {
            let pings = |role: Role| &tunnel.sides[role].pings;
            let average = |role| pings(role).total.checked_div(pings(role).timed);
            self.rtt = self.rtt.or_else(|| average(Role::Server)).or_else(|| average(Role::Client));
        }
    }

    /// Writes anew what depends on the legs.
    fn describe(&mut self) {
        let Some(session) = &self.session else { return };
        let first = session.first_leg();
        (self.client, self.front) = (first.client, first.server);
        self.backend = session.last_leg().server;
        self.legs = session.legs.len();
        self.proxy = proxy_of(session);
        self.target = target(session).into();
    }
}
