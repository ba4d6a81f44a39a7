//! Legs that were not known to belong together while they were followed, joined when the capture is over.
//!
//! The key joins legs while the client waits. That fails where the files of two interfaces stand one behind the other, where
//! the snap length cut the keys off, and where the capture began later than the WebSocket. What is left then: the times of
//! one handshake lie within those of the other; and a proxy passes the bytes of a tunnel on as they are.

use std::time::Duration;

use hashbrown::HashMap;

use crate::engine::tracker::Tracker;
use crate::http::handshake::Key;
use crate::session::SessionId;
use crate::session::leg::JoinReason;
use crate::session::neighbours::ending::Ended;
use crate::session::over::Over;
use crate::session::records::EntryState;
use crate::stream::Role;
use crate::time::Timestamp;
use crate::wire::Endpoint;

type Groups<K> = HashMap<K, Vec<Loose>, foldhash::fast::RandomState>;

/// Clocks of two captures differ by little where they are those of one host.
const TOLERANCE: Duration = Duration::from_millis(2);

/// A proxy passes bytes on within this time, in either direction.
const PASSING_ON: Duration = Duration::from_millis(250);

/// A session of one leg.
#[derive(Clone, Copy, Debug)]
struct Loose {
    id: SessionId,
    client: Endpoint,
    server: Endpoint,
    /// When it began to speak: its request, or the first frame from its client.
    asked: Timestamp,
    /// When it was answered, or spoken on last.
    until: Timestamp,
}

/// The same bytes in a tunnel: how many each side sent, and the first ones of the client. They are masked, by chance alone.
#[derive(PartialEq, Eq, Hash)]
struct SameBytes {
    counts: [u64; 2],
    first: Box<str>,
}

impl Tracker {
    /// Joins sessions that are over and stand alone.
    pub(super) fn join_late(&mut self) {
        let (mut by_key, mut by_bytes) = (Groups::<[u8; 16]>::default(), Groups::<SameBytes>::default());
        for &id in &self.completed {
            let Some(leg) = self.only_leg(id) else { continue };
            let request = leg.request().filter(|request| !request.cut);
            match request.map(|request| (request.offer.key, request.moment.at)) {
                Some((Key::Valid(key), asked)) => {
                    let Some(until) = leg.answered().map(|answered| answered.at) else { continue };
                    let loose = Loose { id, client: leg.client(), server: leg.server(), asked, until };
                    by_key.entry(key).or_default().push(loose);
                }
                Some(_) => {}
                None => {
                    if let Some((bytes, loose)) = in_tunnel(id, leg) {
                        by_bytes.entry(bytes).or_default().push(loose);
                    }
                }
            }
        }
        by_key.into_values().for_each(|group| self.chain(group, TOLERANCE, JoinReason::Key));
        by_bytes.into_values().for_each(|group| self.chain(group, PASSING_ON, JoinReason::TunnelBytes));
    }

    /// Puts each one behind the latest that began before it and ended after it, or less than `slack` before.
    fn chain(&mut self, mut group: Vec<Loose>, slack: Duration, reason: JoinReason) {
        group.sort_by_key(|loose| (loose.asked, loose.id));
        for (index, back) in group.iter().enumerate().skip(1).rev() {
            let front = group[..index].iter().rev().find(|front| self.may_be_behind(front, back, slack));
            if let Some(front) = front {
                self.records.merge(front.id, 0, back.id, reason);
                self.completed.remove(&back.id);
            }
        }
    }

    fn may_be_behind(&self, front: &Loose, back: &Loose, slack: Duration) -> bool {
        front.server != back.server
            && front.client != back.client
            && back.asked <= front.until.plus(TOLERANCE)
            && back.until <= front.until.plus(slack)
            && self.joiner.hosts().may_be_one(front.server.ip, back.client.ip)
    }

    fn only_leg(&self, id: SessionId) -> Option<&Over> {
        match &*self.records.find(id)?.entries {
            [entry] => match &entry.state {
                EntryState::Done(leg) => Some(leg),
                EntryState::Live(_) => None,
            },
            _ => None,
        }
    }
}

/// What went through a tunnel whose handshake was not read whole; `None` when too little did to recognise it.
fn in_tunnel(id: SessionId, leg: &Over) -> Option<(SameBytes, Loose)> {
    /// The shortest frame of a client: the bytes of its mask differ from connection to connection.
    const LEAST: u64 = 6;
    let tunnel = leg.tunnel()?;
    let sides = &tunnel.sides;
    let counts = Role::BOTH.map(|role| sides[role].bytes);
    let (asked, until) = (sides.client.first_frame.or(sides.client.last_frame)?.at, tunnel.last_byte?.at);
    let loose = Loose { id, client: leg.client(), server: leg.server(), asked, until };
    (sides.client.bytes >= LEAST).then(|| (SameBytes { counts, first: sides.client.first_bytes.clone() }, loose))
}
