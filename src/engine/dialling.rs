//! Connections that are being opened. An attempt that nobody answers does not end, and its proxy has long told its client:
//! live, the session must not be judged without it.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::engine::Engine;
use crate::engine::completion::fronts_of;
use crate::session::SessionId;
use crate::session::flow::Flow;
use crate::stream::{Pair, Side};
use crate::tcp::{Connection, ConnectionId};
use crate::time::Timestamp;
use crate::wire::Endpoint;

/// Attempts that are followed at a time: a flood of SYNs leaves more, and they are not a proxy's.
const FOLLOWED: usize = 1 << 16;

/// Connections whose SYN was seen and no answer to it. Followed live only: else all is known when sessions are judged.
#[derive(Debug, Default)]
pub struct Dialling {
    attempts: HashMap<ConnectionId, Attempt, RandomState>,
}

#[derive(Debug)]
struct Attempt {
    ends: Pair<Endpoint>,
    opened: Timestamp,
    /// A session has it.
    claimed: bool,
}

impl Dialling {
    pub(super) fn begins(&mut self, connection: &Connection) {
        if !connection.established_seen() && self.attempts.len() < FOLLOWED {
            let ends = Pair {
                originator: connection.endpoint(Side::Originator),
                responder: connection.endpoint(Side::Responder),
            };
            self.attempts.insert(connection.id(), Attempt { ends, opened: connection.first().at, claimed: false });
        }
    }

    pub(super) fn comes_up(&mut self, id: ConnectionId) {
        self.attempts.remove(&id);
    }

    /// It is over. Whether a session has it already.
    pub(super) fn is_over(&mut self, id: ConnectionId) -> bool {
        self.attempts.remove(&id).is_some_and(|attempt| attempt.claimed)
    }
}

impl Engine {
    /// Puts down attempts that go on and that the proxy of this session made in vain, for the session to claim.
    pub(super) fn put_down_attempts_of(&mut self, session: SessionId) {
        let Some(dialling) = self.tracker.dialling.as_mut().filter(|dialling| !dialling.attempts.is_empty()) else {
            return;
        };
        let Some(record) = self.tracker.records.find(session) else { return };
        let fronts = fronts_of(session, record);
        if fronts.is_empty() {
            return;
        }
        let hosts = self.tracker.joiner.hosts();
        for (&id, attempt) in &mut dialling.attempts {
            let waited: Vec<_> = fronts.iter().filter(|front| front.waits_at(attempt.opened)).collect();
            if attempt.claimed || waited.is_empty() {
                continue;
            }
            let Pair { originator, responder } = attempt.ends;
            let Some(connection) = self.table.connection(&originator, &responder) else { continue };
            if connection.id() != id || connection.established_seen() {
                continue;
            }
            let facts = connection.facts();
            let leg = Flow::new(id, attempt.ends, true, facts.first).take_leg(facts);
            if waited.iter().any(|front| front.may_own(&leg, hosts).is_some()) {
                self.tracker.strays.add(leg);
                attempt.claimed = true;
            }
        }
    }
}
