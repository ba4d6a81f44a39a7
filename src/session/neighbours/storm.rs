//! Clients that come again and again, and fail the same way each time.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;

use crate::session::neighbours::ending::{Ending, PathId};
use crate::time::Timestamp;
use crate::wire::Endpoint;

/// Failures of one client at one place, each soon after the one before.
#[derive(Clone, Debug)]
pub struct Storm {
    /// How many.
    pub sessions: u32,
    /// The first and the last beginning.
    pub span: (Timestamp, Timestamp),
    /// Whether so many came within [`WINDOW`] that it is a storm.
    pub dense: bool,
    /// When the first of them was over: who comes before that is there at the same time, not again.
    first_end: Timestamp,
    /// The latest beginnings.
    latest: [Timestamp; LEAST - 1],
}

/// Fewer may be chance, or a page with several sockets.
pub const LEAST: usize = 5;

/// So many within this time are a storm.
pub const WINDOW: Duration = Duration::from_secs(60);

/// What failures must share.
type Key = (IpAddr, Endpoint, Option<PathId>, Option<u16>, Option<u16>);

/// All clients' failures.
#[derive(Clone, Debug, Default)]
pub struct Storms {
    storms: HashMap<Key, VecDeque<Storm>, foldhash::fast::RandomState>,
    order: VecDeque<Key>,
}

/// Clients and places kept.
const KEPT: usize = 16_384;

/// Storms kept of one client at one place.
const KEPT_EACH: usize = 16;

fn key(ending: &Ending) -> Key {
    (ending.client, ending.server, ending.path, ending.status, ending.close_code)
}

impl Storms {
    /// A session failed.
    pub fn add(&mut self, ending: &Ending) {
        let key = key(ending);
        let order = &mut self.order;
        let storms = self.storms.entry(key).or_insert_with(|| {
            order.push_back(key);
            VecDeque::new()
        });
        match storms.back_mut().filter(|storm| ending.start.distance(storm.span.1) <= WINDOW) {
            Some(storm) if ending.start >= storm.first_end => storm.goes_on(ending.start),
            // Sessions are told of when they are over for good, which may be out of order.
            Some(storm) if ending.end.is_some_and(|end| end <= storm.span.0) => {
                storm.first_end = ending.end.unwrap_or(storm.first_end);
                storm.goes_on(ending.start);
            }
            Some(_) => {}
            None => storms.push_back(Storm::begun(ending)),
        }
        if storms.len() > KEPT_EACH {
            storms.pop_front();
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.storms.remove(&oldest);
        }
    }

    /// The storm that this failure is part of.
    pub fn of(&self, ending: &Ending) -> Option<&Storm> {
        let storms = self.storms.get(&key(ending)).filter(|_| ending.is_short_failure())?;
        storms.iter().find(|storm| storm.dense && storm.span.0 <= ending.start && ending.start <= storm.span.1)
    }
}

impl Storm {
    fn begun(ending: &Ending) -> Storm {
        let at = ending.start;
        Storm {
            sessions: 1,
            span: (at, at),
            dense: false,
            first_end: ending.end.unwrap_or(at),
            latest: [Timestamp::ZERO, Timestamp::ZERO, Timestamp::ZERO, at],
        }
    }

    fn goes_on(&mut self, at: Timestamp) {
        self.sessions = self.sessions.saturating_add(1);
        self.span = (self.span.0.min(at), self.span.1.max(at));
        self.dense |= at.distance(self.latest[0]) <= WINDOW;
        self.latest.rotate_left(1);
        self.latest[LEAST - 2] = at;
    }
}
