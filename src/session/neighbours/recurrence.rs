//! What sessions that were cut off have in common: the instant, or a length of time.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;

use crate::session::neighbours::ending::Ending;
use crate::time::Timestamp;
use crate::wire::Endpoint;

type State = foldhash::fast::RandomState;

/// Sessions that were cut off at the same instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Instant {
    /// How many.
    pub sessions: u32,
    /// The youngest and the oldest of them.
    pub ages: (Duration, Duration),
    /// The shortest and the longest silence before.
    pub silences: (Duration, Duration),
    /// The first and the last end.
    pub span: (Timestamp, Timestamp),
}

impl Instant {
    fn with(self, other: Instant) -> Instant {
        if self.sessions == 0 {
            return other;
        }
        if other.sessions == 0 {
            return self;
        }
        let wider = |one: (Duration, Duration), other: (Duration, Duration)| (one.0.min(other.0), one.1.max(other.1));
        Instant {
            sessions: self.sessions.saturating_add(other.sessions),
            ages: wider(self.ages, other.ages),
            silences: wider(self.silences, other.silences),
            span: (self.span.0.min(other.span.0), self.span.1.max(other.span.1)),
        }
    }
}

/// Sessions cut off, by server and time.
#[derive(Clone, Debug, Default)]
pub struct Instants {
    slots: HashMap<(Endpoint, u64), Instant, State>,
    order: VecDeque<(Endpoint, u64)>,
}

impl Instants {
    /// Time is cut into pieces of this length.
    const SLOT: Duration = Duration::from_millis(50);
    /// So many pieces before and after are looked at: ends up to 100 ms apart are together for certain.
    const REACH: u64 = 2;
    /// Pieces kept.
    const KEPT: usize = 16_384;

    /// One more, at that time.
    pub fn add(&mut self, server: Endpoint, at: Timestamp, ending: &Ending) {
        let key = (server, slot(at));
        let one = Instant {
            sessions: 1,
            ages: (ending.age(), ending.age()),
            silences: (ending.idle, ending.idle),
            span: (at, at),
        };
        let order = &mut self.order;
        let instant = self.slots.entry(key).or_insert_with(|| {
            order.push_back(key);
            Instant::default()
        });
        *instant = instant.with(one);
        if self.order.len() > Instants::KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.slots.remove(&oldest);
        }
    }

    /// Those that ended at about that time.
    pub fn near(&self, server: Endpoint, at: Timestamp) -> Instant {
        let slot = slot(at);
        let near = slot.saturating_sub(Instants::REACH)..=slot.saturating_add(Instants::REACH);
        let found = near.filter_map(|slot| self.slots.get(&(server, slot)));
        found.fold(Instant::default(), |sum, other| sum.with(*other))
    }
}

fn slot(at: Timestamp) -> u64 {
    at.as_nanos() / Instants::SLOT.as_nanos() as u64
}

/// Sessions of one server that were cut off after the same length of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recurrence {
    /// How many.
    pub sessions: u32,
    /// At how many different moments: sessions that end at once may have begun at once, and say it only once.
    pub moments: u32,
    /// The shortest of these lengths.
    pub shortest: Duration,
    /// The longest.
    pub longest: Duration,
    /// The last of these moments.
    last: Timestamp,
}

impl Recurrence {
    fn with(self, other: Recurrence) -> Recurrence {
        if self.sessions == 0 {
            return other;
        }
        if other.sessions == 0 {
            return self;
        }
        Recurrence {
            sessions: self.sessions.saturating_add(other.sessions),
            moments: self.moments.saturating_add(other.moments),
            shortest: self.shortest.min(other.shortest),
            longest: self.longest.max(other.longest),
            last: self.last.max(other.last),
        }
    }
}

/// Lengths of time after which sessions were cut off, by server.
#[derive(Clone, Debug, Default)]
pub struct Lengths {
    slots: HashMap<(Endpoint, u64), Recurrence, State>,
}

impl Lengths {
    /// Lengths are rounded down to this.
    const SLOT: Duration = Duration::from_millis(100);
    /// So many slots to each side are the same length: 300 ms, by which nginx is early (NGX_TIMER_LAZY_DELAY).
    const REACH: u64 = 3;
    /// Ends that are nearer to each other than this are one moment.
    const MOMENT: Duration = Duration::from_millis(250);
    /// Lengths kept. When there is no more room those that came once are forgotten.
    const KEPT: usize = 16_384;

    /// A session was cut off at that time after that length.
    pub fn add(&mut self, server: Endpoint, length: Duration, at: Timestamp) {
        if self.slots.len() >= Lengths::KEPT {
            self.slots.retain(|_, recurrence| recurrence.sessions > 1);
            if self.slots.len() >= Lengths::KEPT {
                return;
            }
        }
        let near = self.near(server, length);
        let new = near.sessions == 0 || at.distance(near.last) >= Lengths::MOMENT;
        let one = Recurrence {
            sessions: 1,
            moments: new.into(),
            shortest: length,
            longest: length,
            last: if new { at } else { near.last },
        };
        let recurrence = self.slots.entry((server, slot_of(length))).or_default();
        *recurrence = recurrence.with(one);
    }

    /// Those after about that length.
    pub fn near(&self, server: Endpoint, length: Duration) -> Recurrence {
        let slot = slot_of(length);
        let near = slot.saturating_sub(Lengths::REACH)..=slot.saturating_add(Lengths::REACH);
        let found = near.filter_map(|slot| self.slots.get(&(server, slot)));
        found.fold(Recurrence::default(), |sum, other| sum.with(*other))
    }
}

fn slot_of(length: Duration) -> u64 {
    (length.as_millis() / Lengths::SLOT.as_millis()) as u64
}
