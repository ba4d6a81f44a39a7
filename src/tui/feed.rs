//! From the engine's thread to the screen's: what is new, in a queue.
//!
//! The engine's side appends, the screen's side takes the whole queue a few times a second; a lock is held for an append or
//! a swap and never while anything is drawn. Figures (packets, losses, what is open) are not pushed: the screen asks, and
//! the engine's side answers between two packets.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::diagnosis::{Diagnosis, GroupFinding};
use crate::engine::event::{Event, Message, MessageKind, Place, Sink, Summary, Wants};
use crate::engine::{Engine, Snapshot};
use crate::packet::Moment;
use crate::session::leg::{LegEnd, Request, Response};
use crate::session::{JoinReason, Session, SessionId};
use crate::stream::Role;
use crate::time::Timestamp;

/// Changes that may wait for the screen. More than arrive between two of its looks on any line; about 30 MB at worst.
const QUEUE: usize = 128 << 10;
/// Of these, sessions that are over. One is three to six kilobytes.
const SESSIONS: usize = 16 << 10;

/// One thing that is new.
#[derive(Debug)]
pub(super) enum Change {
    Request(Place, Box<Request>),
    Response(Place, Box<Response>),
    Message(Place, Role, Heard),
    End(Place, LegEnd),
    Unreachable(Place, Moment),
    Adopted(Place, Moment),
    Joined {
        into: SessionId,
        from: SessionId,
        reason: JoinReason,
    },
    Session(Arc<Session>, Arc<Diagnosis>),
    Group(GroupFinding),
    /// Something happened to the capture that the person should know.
    Notice(String),
    /// Sessions that are not over, as far as they have come.
    SoFar(Snapshot),
    Figures(Box<Figures>),
    /// Nothing more comes. What went wrong, if anything did.
    Ended(Option<String>),
}

/// The run in numbers, as far as it has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub summary: Summary,
    pub interfaces: Vec<Interface>,
    /// What time it is, for the engine.
    pub now: Timestamp,
}

/// An interface that is captured on, or was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name. Hostile text where it comes from a file.
    pub name: String,
    /// Packets of it that the kernel dropped.
    pub dropped: u64,
}

/// A message or control frame that is kept.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub kind: MessageKind,
    pub moment: Moment,
    pub bytes: u64,
    pub compressed: bool,
    pub fragments: u32,
    pub preview: Box<[u8]>,
    pub truncated: bool,
    pub holes: bool,
}

impl From<&Message<'_>> for Heard {
    fn from(message: &Message<'_>) -> Heard {
        Heard {
            kind: message.kind,
            moment: message.moment,
            bytes: message.bytes,
            compressed: message.compressed,
            fragments: message.fragments,
            preview: message.preview.into(),
            truncated: message.truncated,
            holes: message.holes,
        }
    }
}

/// What both threads hold.
#[derive(Debug, Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// The queue was taken: there is room again.
    room: Condvar,
    /// The queue is no longer empty.
    pub news: Notify,
    asked: AtomicBool,
    /// The sessions whose state is asked for with the figures.
    looked_at: Mutex<Vec<SessionId>>,
    stopped: AtomicBool,
    on_stop: Mutex<Option<Box<dyn OnStop>>>,
}

/// Wakes a source that waits for packets.
trait OnStop: Fn() + Send {}
impl<F: Fn() + Send> OnStop for F {}

impl std::fmt::Debug for dyn OnStop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnStop")
    }
}

#[derive(Debug, Default)]
struct Queue {
    changes: Vec<Change>,
    /// Sessions that are over among them.
    sessions: usize,
    /// The newest session that the screen has heard of, or will.
    newest: Option<SessionId>,
    /// What was not taken because the queue was full.
    dropped: Dropped,
}

/// What came faster than the screen could take it: a terminal that is stopped takes nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Dropped {
    pub messages: u64,
    /// Sessions that were over.
    pub sessions: u64,
    /// Of these, and of those that became legs of others, the ones that the screen has rows of. When the queue is full no
    /// session is new to the screen: there are no more of these than rows and changes.
    pub gone: Vec<SessionId>,
}

impl Queue {
    fn is_full(&self) -> bool {
        self.changes.len() >= QUEUE || self.sessions >= SESSIONS
    }

    /// Whether there is room for this, or it must be known all the same: there are few of these.
    fn takes(&mut self, change: &Change) -> bool {
        let full = self.changes.len() >= QUEUE;
        match change {
            Change::Session(session, _) if self.sessions >= SESSIONS => {
                self.dropped.sessions += 1;
                self.forget(session.id);
            }
            Change::Message(..) if full => self.dropped.messages += 1,
            // Their session tells all of it when it is over.
            Change::Request(..) | Change::Response(..) | Change::End(..) if full => {}
            Change::Unreachable(..) | Change::Adopted(..) if full => {}
            Change::Joined { from, .. } if full => self.forget(*from),
            _ => {
                self.newest = self.newest.max(change.session());
                return true;
            }
        }
        false
    }

    fn forget(&mut self, session: SessionId) {
        if Some(session) <= self.newest {
            self.dropped.gone.push(session);
        }
    }
}

impl Change {
    /// The session that has a row by it; of several the newest.
    fn session(&self) -> Option<SessionId> {
        match self {
            Change::Request(place, _) | Change::Response(place, _) | Change::Message(place, ..) => Some(place.session),
            Change::End(place, _) | Change::Unreachable(place, _) | Change::Adopted(place, _) => Some(place.session),
            Change::Session(session, _) => Some(session.id),
            Change::SoFar(snapshot) => snapshot.sessions.iter().map(|session| session.id).max(),
            Change::Joined { .. } | Change::Group(_) | Change::Notice(_) | Change::Figures(_) | Change::Ended(_) => {
                None
            }
        }
    }
}

impl Shared {
    /// Everything that is new, and what was dropped since the last time.
    pub fn take(&self) -> (Vec<Change>, Dropped) {
        let mut queue = lock(&self.queue);
        let next = Queue { newest: queue.newest, ..Queue::default() };
        let Queue { changes, dropped, .. } = std::mem::replace(&mut *queue, next);
        drop(queue);
        self.room.notify_all();
        (changes, dropped)
    }

    /// Asks for figures, and for these sessions as they are now.
    pub fn ask(&self, sessions: Vec<SessionId>) {
        *lock(&self.looked_at) = sessions;
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Asks the engine's side to end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.room.notify_all();
        if let Some(wake) = &*lock(&self.on_stop) {
            wake();
        }
    }

    /// Appends. When the queue is full, a savefile waits; a live line does not, and loses messages first, then sessions.
    pub fn push(&self, change: Change, may_wait: bool) {
        let mut queue = lock(&self.queue);
        while queue.is_full() && may_wait && !self.stopped.load(Ordering::Relaxed) {
            queue = self.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if !queue.takes(&change) {
            return;
        }
        queue.sessions += usize::from(matches!(change, Change::Session(..)));
        let was_empty = queue.changes.is_empty();
        queue.changes.push(change);
        drop(queue);
        if was_empty {
            self.news.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked while it held the lock leaves a vector that is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine's side: a sink that hands on to the screen what it is told.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    live: bool,
}

impl Feed {
    pub(super) fn new(shared: Arc<Shared>, live: bool) -> Feed {
        Feed { shared, live }
    }

    /// Whether the screen waits for figures: then [`Feed::show`] them. To be asked after every packet; costs next to
    /// nothing.
    pub fn is_asked(&self) -> bool {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// Shows how far the engine has come, and what is captured on.
    pub fn show(&mut self, engine: &mut Engine, interfaces: Vec<Interface>) {
        self.shared.asked.store(false, Ordering::Relaxed);
        if self.live {
            let sessions = std::mem::take(&mut *lock(&self.shared.looked_at));
            self.shared.push(Change::SoFar(engine.snapshot(&sessions)), false);
        }
        let figures = Figures { summary: engine.summary(), interfaces, now: engine.now() };
        self.shared.push(Change::Figures(Box::new(figures)), false);
    }

    /// Tells the person something about the capture.
    pub fn notice(&mut self, text: String) {
        self.shared.push(Change::Notice(text), false);
    }

    /// Whether the person at the screen wants no more: read no further.
    pub fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Relaxed)
    }

    /// What wakes the source from waiting for a packet, when no more is wanted.
    pub fn on_stop(&mut self, wake: impl Fn() + Send + 'static) {
        *lock(&self.shared.on_stop) = Some(Box::new(wake));
    }

    fn push(&self, change: Change) {
        self.shared.push(change, !self.live);
    }
}

impl Sink for Feed {
    fn wants(&self) -> Wants {
        Wants { messages: true, progress: true }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.push(match event {
            Event::Request(place, request) => Change::Request(*place, Box::new((*request).clone())),
            Event::Response(place, _, response) => Change::Response(*place, Box::new((*response).clone())),
            Event::Message(place, by, message) => Change::Message(*place, *by, Heard::from(message)),
            Event::End(place, end) => Change::End(*place, *end),
            Event::Unreachable(place, moment) => Change::Unreachable(*place, *moment),
            Event::Adopted(place, moment) => Change::Adopted(*place, *moment),
            Event::Joined { into, from, reason } => Change::Joined { into: *into, from: *from, reason: *reason },
            Event::Session(session, diagnosis) => {
                Change::Session(Arc::new((*session).clone()), Arc::new((*diagnosis).clone()))
            }
            Event::Finding(group) => Change::Group((*group).clone()),
            Event::Summary(summary) => {
                let now = summary.last.unwrap_or_default();
                Change::Figures(Box::new(Figures { summary: (*summary).clone(), interfaces: Vec::new(), now }))
            }
            // A Close comes as a message too; limits come with the figures, what is encrypted with what is open.
            Event::Close(..) | Event::Limit(..) | Event::Encrypted(_) => return Ok(()),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended() -> Change {
        Change::Ended(None)
    }

    #[test]
    fn the_queue_is_taken_whole_and_wakes_once() {
        let shared = Shared::default();
        shared.push(ended(), true);
        shared.push(ended(), true);
        assert_eq!(shared.take().0.len(), 2);
        assert!(shared.take().0.is_empty());
    }

    #[test]
    fn a_savefile_waits_for_room() {
        let shared = Arc::new(Shared::default());
        (0..QUEUE).for_each(|_| shared.push(ended(), true));
        let waiting = Arc::clone(&shared);
        let thread = std::thread::spawn(move || waiting.push(ended(), true));
        let mut taken = 0;
        while taken < QUEUE + 1 {
            taken += shared.take().0.len();
        }
        thread.join().expect("the thread only waits");
    }

    #[test]
    fn whoever_stops_waits_no_longer() {
        let shared = Shared::default();
        (0..QUEUE).for_each(|_| shared.push(ended(), true));
        shared.stop();
        shared.push(ended(), true);
        assert_eq!(shared.take().0.len(), QUEUE + 1);
    }

    #[test]
    fn a_live_line_that_nobody_looks_at_loses_messages_then_sessions_and_counts_them() {
        use crate::output::samples;
        let (session, diagnosis) = samples::closed();
        let (session, diagnosis) = (Arc::new(session), Arc::new(diagnosis));
        let shared = Shared::default();
        let over = || shared.push(Change::Session(Arc::clone(&session), Arc::clone(&diagnosis)), false);
        (0..SESSIONS + 7).for_each(|_| over());
        let (changes, dropped) = shared.take();
        let gone = vec![session.id; 7];
        assert_eq!((changes.len(), dropped), (SESSIONS, Dropped { messages: 0, sessions: 7, gone }));
        (0..QUEUE).for_each(|_| shared.push(Change::Notice(String::new()), false));
        over();
        for from in [session.id, SessionId(session.id.0 + 1)] {
            shared.push(Change::Joined { into: session.id, from, reason: JoinReason::Key }, false);
        }
        shared.push(ended(), false);
        let (changes, dropped) = shared.take();
        assert_eq!(changes.len(), QUEUE + 2, "the session tells how it was joined");
        assert_eq!(dropped.gone, [session.id], "the screen has no row of another one");
    }
}
