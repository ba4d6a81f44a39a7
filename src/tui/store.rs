//! What the screen knows: rows, messages, findings and figures, folded from what the engine tells.
//!
//! The store belongs to the screen's thread. Nothing in it is text for a certain width or colour: panes make that, of the
//! rows that are visible.

mod activity;
mod findings;
mod messages;
mod over;
mod row;
mod so_far;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) use findings::{FindingGroup, Findings};
pub(super) use messages::Messages;
pub(super) use row::{Condition, Row};

use crate::diagnosis::Diagnosis;
use crate::engine::Snapshot;
use crate::engine::event::Place;
use crate::output::pcapng::held::HeldCounts;
use crate::session::{Outcome, Session, SessionId};
use crate::stream::Role;
use crate::time::Timestamp;
use crate::tui::feed::{Change, Dropped, Figures, Heard};

/// Rows at most; one that is over gives way. A row is about 700 bytes.
const ROWS: usize = 200_000;
/// Rows of sessions that are over stay, so many at least, however many go on: among them is what somebody looks for.
const ROWS_OVER: usize = 20_000;
/// Sessions that go on and are known in full. The engine knows them all, and tells again of those in sight.
const OPEN: usize = 30_000;
/// Changes that are remembered one by one. Who is further behind looks at all rows.
const LOG: usize = 64 << 10;
/// What happened to the capture, remembered.
const NOTICES: usize = 16;
/// What the screen knows.
#[derive(Debug, Default)]
pub(super) struct Store {
    rows: BTreeMap<SessionId, Row>,
    /// Those whose sessions are over.
    over: over::Over,
    /// Those that are known in full since their sessions began, or were looked at, the oldest first.
    open: std::collections::VecDeque<SessionId>,
    /// No row before it is of a session that goes on.
    open_from: SessionId,
    messages: messages::Budget,
    pub findings: Findings,
    pub figures: Figures,
    pub tally: Tally,
    pub progress: Progress,
    /// The greatest time seen.
    pub now: Timestamp,
    /// Packets a second, where they come as they are captured.
    pub rate: Option<f64>,
    /// Messages that came faster than they could be shown.
    pub messages_dropped: u64,
    /// Rows that gave way to newer ones.
    pub rows_dropped: u64,
    /// Packets that wait in memory for whoever saves their session; `None` where they are in a file.
    pub held: Option<HeldCounts>,
    /// What happened to the capture, the latest last.
    pub notices: std::collections::VecDeque<(Timestamp, String)>,
    /// Counts changes of rows: who remembers it knows whether there is something new, and what.
    pub version: u64,
    /// The rows that changed, one for each version from `log_begins` on.
    log: Vec<SessionId>,
    log_begins: u64,
}

/// Whether more comes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Progress {
    #[default]
    Running,
    Done,
    /// With what went wrong.
    Failed(String),
}

/// How many rows there are of what a person looks for first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub open: usize,
    pub failing: usize,
}

impl Store {
    /// The rows by the number of their session.
    pub fn rows(&self) -> &BTreeMap<SessionId, Row> {
        &self.rows
    }

    /// One row.
    pub fn row(&self, id: SessionId) -> Option<&Row> {
        self.rows.get(&id)
    }

    /// Rows whose details were forgotten.
    pub fn forgotten(&self) -> usize {
        self.over.forgotten()
    }

    /// The rows that changed since a version, some several times; `None` when that is too long ago.
    pub fn changed_since(&self, version: u64) -> Option<&[SessionId]> {
        let from = version.checked_sub(self.log_begins)?;
        self.log.get(usize::try_from(from).ok()?..)
    }

    fn touch(&mut self, id: SessionId) {
        self.version += 1;
        if self.log.len() == LOG {
            self.log.clear();
            self.log_begins = self.version;
        } else {
            self.log.push(id);
        }
    }

    /// Folds in what is new.
    pub fn fold(&mut self, change: Change) {
        match change {
            Change::Request(place, request) => {
                let at = request.begun.at;
                self.change(place, at, |row| row.requested(place, *request));
            }
            Change::Response(place, response) => {
                let at = response.moment.at;
                self.change(place, at, |row| row.answered(place, *response));
            }
            Change::Message(place, by, heard) => self.message(place, by, heard),
            Change::End(place, end) => self.change(place, end.moment.at, |row| row.ended(place, end)),
            Change::Unreachable(place, moment) => self.change(place, moment.at, |row| row.unreachable(place, moment)),
            Change::Adopted(place, moment) => self.change(place, moment.at, |row| row.adopted(place, moment)),
            Change::Joined { into, from, reason } => self.join(into, from, reason),
            Change::Session(session, diagnosis) => self.session(session, diagnosis),
            Change::SoFar(snapshot) => self.so_far(snapshot),
            Change::Group(group) => self.findings.add_group(group),
            Change::Notice(text) => self.notice(text),
            Change::Figures(figures) => self.figures(*figures),
            Change::Ended(trouble) => self.progress = trouble.map_or(Progress::Done, Progress::Failed),
        }
    }

    /// What came too fast is not here, and not what it ended either.
    pub fn missed(&mut self, dropped: &Dropped) {
        self.messages_dropped += dropped.messages;
        self.rows_dropped += dropped.sessions;
        dropped.gone.iter().for_each(|id| self.remove_open(*id));
    }

    fn remove_open(&mut self, id: SessionId) {
        if let Some(row) = self.rows.get(&id).filter(|row| !row.is_over()) {
            self.tally.remove(row);
            self.rows.remove(&id);
            self.touch(id);
        }
    }

    fn change(&mut self, place: Place, at: Timestamp, change: impl FnOnce(&mut Row)) {
        self.now = self.now.max(at);
        self.touch(place.session);
        if !self.rows.contains_key(&place.session) {
            self.make_room();
            self.know_open(place.session);
            self.open_from = self.open_from.min(place.session);
        }
        let row = self.rows.entry(place.session).or_insert_with(|| {
            let row = Row::new(place, at);
            self.tally.add(&row);
            row
        });
        self.tally.remove(row);
        row.last = row.last.max(at);
        change(row);
        self.tally.add(row);
    }

    fn message(&mut self, place: Place, by: Role, heard: Heard) {
        let id = place.session;
        if self.rows.len() >= ROWS && !self.rows.contains_key(&id) {
            return; // its row gave way, and would be no better known when it came back
        }
        self.change(place, heard.moment.at, |row| row.heard(place, by, &heard));
        let Some(row) = self.rows.get_mut(&id) else { return };
        if !row.messages.push(messages::Entry { client: place.client, server: place.server, by, heard }) {
            return; // it took the place of an older one of the same session
        }
        if let Some(oldest) = self.messages.take_in(id)
            && let Some(row) = self.rows.get_mut(&oldest)
        {
            row.messages.drop_oldest();
        }
    }

    fn join(&mut self, into: SessionId, from: SessionId, reason: crate::session::JoinReason) {
        let Some(mut back) = self.rows.remove(&from) else { return };
        self.tally.remove(&back);
        self.touch(from);
        self.touch(into);
        match self.rows.get_mut(&into) {
            Some(front) => {
                self.tally.remove(front);
                front.join(back, reason);
                self.tally.add(front);
            }
            None => {
                self.tally.add(&back);
                back.id = into;
                self.open_from = self.open_from.min(into);
                self.rows.insert(into, back);
            }
        }
    }

    fn session(&mut self, session: Arc<Session>, diagnosis: Arc<Diagnosis>) {
        let id = session.id;
        self.now = self.now.max(session.end);
        self.touch(id);
        for finding in &diagnosis.findings {
            self.findings.add(id, finding);
        }
        if !self.rows.contains_key(&id) {
            self.make_room();
        }
        let before = self.rows.remove(&id);
        if let Some(row) = &before {
            self.tally.remove(row);
        }
        let row = Row::complete(before, session, diagnosis);
        self.tally.add(&row);
        let oldest = self.over.push(id, row.is_failing());
        self.rows.insert(id, row);
        if let Some(oldest) = oldest
            && let Some(row) = self.rows.get_mut(&oldest)
        {
            row.forget_details();
            self.touch(oldest);
        }
    }

    /// Sessions that go on, as the engine knows them now; encrypted ones may be new.
    fn so_far(&mut self, snapshot: Snapshot) {
        for session in snapshot.sessions {
            let (id, first) = (session.id, session.first_leg());
            let place = Place { session: id, client: first.client, server: first.server, leg: 0 };
            let known = self.rows.get(&id).map_or(session.outcome == Outcome::Encrypted, |row| !row.is_over());
            if known {
                if self.rows.get(&id).is_some_and(|row| row.session().is_none()) {
                    self.know_open(id);
                }
                self.change(place, session.start, |row| row.refresh(session));
            }
        }
        snapshot.dropped.into_iter().for_each(|id| self.remove_open(id));
    }

    fn notice(&mut self, text: String) {
        if self.notices.len() == NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back((self.now, text));
    }

    fn figures(&mut self, figures: Figures) {
        let (then, now) = (self.figures.now, figures.now);
        if then > Timestamp::ZERO && now > then {
            let packets = figures.summary.packets.saturating_sub(self.figures.summary.packets);
            self.rate = Some(packets as f64 / now.since(then).as_secs_f64());
        }
        self.now = self.now.max(now);
        let interfaces = match figures.interfaces.is_empty() {
            true => std::mem::take(&mut self.figures.interfaces),
            false => figures.interfaces,
        };
        self.figures = Figures { interfaces, ..figures };
    }

    /// A session that goes on is known in full; the one that has been so for longest is a line again when there are too many.
    fn know_open(&mut self, id: SessionId) {
        self.open.push_back(id);
        if self.open.len() > OPEN
            && let Some(row) = self.open.pop_front().and_then(|oldest| self.rows.get_mut(&oldest))
            && !row.is_over()
        {
            row.forget_session();
        }
    }

    /// Where there are too many rows, one whose session is over gives way. Where few are, it is the oldest that goes on.
    fn make_room(&mut self) {
        if self.rows.len() < ROWS {
            return;
        }
        let many_are_over = self.over.len() > ROWS_OVER;
        let over = if many_are_over { self.over.pop() } else { None };
        let oldest = over.or_else(|| self.oldest_open()).or_else(|| self.over.pop());
        if let Some((id, row)) = oldest.and_then(|id| Some((id, self.rows.remove(&id)?))) {
            self.tally.remove(&row);
            self.rows_dropped += 1;
            self.touch(id);
        }
    }

    /// Rows before it are not looked at again: sessions do not come to life.
    fn oldest_open(&mut self) -> Option<SessionId> {
        let oldest = self.rows.range(self.open_from..).find(|(_, row)| !row.is_over()).map(|(id, _)| *id);
        self.open_from = oldest.unwrap_or(self.open_from);
        oldest
    }
}

impl Tally {
    fn add(&mut self, row: &Row) {
        self.open += usize::from(row.is_open());
        self.failing += usize::from(row.is_failing());
    }

    fn remove(&mut self, row: &Row) {
        self.open -= usize::from(row.is_open());
        self.failing -= usize::from(row.is_failing());
    }
}

/// Whether a session that ended like this failed.
pub(super) const fn is_failure(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Rejected | Outcome::Unanswered | Outcome::Unreachable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::GroupFinding;
    use crate::tui::samples;

    #[test]
    fn a_session_that_is_over_replaces_what_was_known_so_far() {
        let store = samples::proxied_failure();
        let row = store.rows().values().next().expect("there is one session");
        assert_eq!(row.condition, Condition::Over(Outcome::Rejected));
        assert_eq!((store.tally.open, store.tally.failing), (0, 1));
        assert_eq!(row.session().map(|session| session.legs.len()), Some(2));
        assert!(!store.findings.groups.is_empty(), "it is judged");
    }

    #[test]
    fn a_finding_of_several_sessions_does_not_count_them_twice() {
        let mut store = samples::proxied_failure();
        let group = &store.findings.groups[0];
        let (id, told) = (group.id, GroupFinding { finding: group.example.clone(), sessions: group.sessions.clone() });
        store.fold(Change::Group(told));
        let group = store.findings.find(id).expect("it is there");
        assert_eq!((group.count, group.sessions.len()), (1, 1));
    }

    #[test]
    fn an_open_session_is_known_leg_by_leg() {
        let store = samples::still_open();
        let row = store.rows().values().next().expect("there is one session");
        assert_eq!(row.condition, Condition::Open);
        assert_eq!((store.tally.open, store.tally.failing), (1, 0));
        let session = row.session().expect("what is known so far");
        assert_eq!(session.legs.len(), 2, "the leg behind the proxy belongs to it");
        assert_eq!(row.talk.client.messages, 1);
        assert!(row.rtt.is_some(), "a ping was answered");
    }

    #[test]
    fn messages_are_bounded_and_the_latest_stay() {
        let store = samples::talkative(3_000);
        let row = store.rows().values().next().expect("there is one session");
        assert_eq!(row.talk.client.messages, 3_000);
        assert_eq!(row.messages.len(), messages::PER_SESSION);
        assert_eq!(row.messages.dropped() as usize, 3_000 - messages::PER_SESSION);
    }

    #[test]
    fn of_very_many_open_sessions_the_newest_and_those_in_sight_are_known_in_full() {
        let mut store = samples::many(OPEN as u64 + 1);
        let full = |store: &Store, id| store.row(SessionId(id)).map(|row| row.session().is_some());
        assert_eq!([1, 2, OPEN as u64 + 1].map(|id| full(&store, id)), [Some(false), Some(true), Some(true)]);
        let before = store.row(SessionId(1)).map(|row| row.talk.client.messages);
        samples::more(&mut store, 1..2);
        let row = store.row(SessionId(1)).expect("it goes on");
        assert_eq!((row.session().is_some(), Some(row.talk.client.messages)), (false, before.map(|before| before + 1)));
        let session = store.row(SessionId(3)).and_then(Row::session).map(|session| (**session).clone());
        let session = Session { id: SessionId(1), ..session.expect("it is known in full") };
        store.fold(Change::SoFar(Snapshot { sessions: vec![session], dropped: Vec::new() }));
        assert_eq!([1, 2].map(|id| full(&store, id)), [Some(true), Some(false)], "it was looked at");
    }

    #[test]
    fn what_failed_stays_in_the_list_however_many_go_on() {
        let mut store = samples::proxied_failure();
        let failed = *store.rows().keys().next().expect("there is one session");
        samples::more(&mut store, 2..ROWS as u64 + 6);
        assert_eq!((store.rows().len(), store.rows_dropped), (ROWS, 5));
        assert!(store.row(failed).is_some() && store.tally.failing == 1);
        assert!(store.row(SessionId(2)).is_none() && store.row(SessionId(7)).is_some(), "the oldest give way");
        samples::more(&mut store, 2..4);
        assert_eq!(store.rows().len(), ROWS);
    }

    #[test]
    fn a_session_whose_end_came_too_fast_is_not_open_for_ever() {
        let mut store = samples::many(3);
        store.missed(&Dropped { messages: 5, sessions: 1, gone: vec![SessionId(2), SessionId(9)] });
        assert_eq!((store.rows().len(), store.tally.open), (2, 2));
        assert_eq!((store.messages_dropped, store.rows_dropped), (5, 1));
    }
}
