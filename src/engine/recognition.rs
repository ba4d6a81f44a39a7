//! Legs of WebSockets whose opening handshake was not seen, known again on the other side of a proxy while they go on: by the
//! masking keys of their client's frames, which a proxy passes on as they are.
//!
//! A key has four bytes, and thousands of clients may speak in a second, so one that two legs share may be chance. A
//! second one between the same two is not.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;

use crate::engine::event::Event;
use crate::engine::tracker::Watch;
use crate::packet::Moment;
use crate::session::flow::{App, Flow};
use crate::session::joiner;
use crate::session::leg::JoinReason;
use crate::session::slab::FlowId;
use crate::tcp::ConnectionId;
use crate::time::Timestamp;
use crate::ws::mask::MaskingKey;
use crate::ws::masks::{Masked, Masks};

/// A frame is passed on within this time, also where a segment of it is lost on the way.
const PASSING_ON: Duration = Duration::from_secs(1);

/// Frames that are remembered at a time.
const BOUND: usize = 1 << 14;

/// Frames of clients that went by a moment ago, each with the leg that had it last.
#[derive(Debug, Default)]
pub struct Sightings {
    legs: HashMap<MaskingKey, Sighting, foldhash::fast::RandomState>,
    /// In the order of time.
    keys: VecDeque<(Timestamp, MaskingKey)>,
    /// Frames forgotten because too many went by.
    pub overflows: u64,
}

/// Where a frame was seen.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    flow: FlowId,
    connection: ConnectionId,
    moment: Moment,
    noted: Timestamp,
}

impl Sightings {
    /// A frame is seen. Where it was before, a moment ago.
    fn see(&mut self, key: MaskingKey, here: Sighting) -> Option<Sighting> {
        while let Some(&(noted, old)) = self.keys.front()
            && (here.noted.since(noted) > PASSING_ON || self.keys.len() >= BOUND)
        {
            self.overflows += u64::from(here.noted.since(noted) <= PASSING_ON);
            self.keys.pop_front();
            if self.legs.get(&old).is_some_and(|sighting| sighting.noted == noted) {
                self.legs.remove(&old);
            }
        }
        self.keys.push_back((here.noted, key));
        self.legs.insert(key, here)
    }
}

impl Watch<'_> {
    /// Bytes came in a tunnel of which something rare is known: it may be a leg that stands alone, and have shown to which
    /// other one it belongs.
    pub(super) fn recognise(&mut self, id: FlowId, moment: Moment) {
        let Some(Masked { key, moment }) = self.new_frame(id, moment) else { return };
        let Some(connection) = self.tracker.flows.find(id).map(|flow| flow.connection) else { return };
        let here = Sighting { flow: id, connection, moment, noted: self.tracker.now };
        let Some(there) = self.tracker.sightings.see(key, here) else { return };
        let is_followed = self.tracker.flows.find(there.flow).is_some_and(|flow| flow.connection == there.connection);
        if there.flow == id || !is_followed || !self.have_met_before(id, there.flow) {
            return;
        }
        let (one, other) = if there.moment <= moment { (there.flow, id) } else { (id, there.flow) };
        self.join_recognised(one, other);
    }

    /// The frame that this packet brought, if it is one that may tell.
    fn new_frame(&mut self, id: FlowId, moment: Moment) -> Option<Masked> {
        let Flow { app: App::Tunnel(tunnel), rare: Some(rare), .. } = self.tracker.flows.find_mut(id)? else {
            return None;
        };
        let loose = rare.loose.as_mut()?;
        let masks = tunnel.masks()?;
        if masks.last.moment != moment {
            return None;
        }
        loose.frames = loose.frames.saturating_sub(1);
        if loose.frames == 0 {
            rare.loose = None;
        }
        Some(masks.last).filter(|_| Masks::are_telling(&masks))
    }

    /// Whether a frame of this leg was seen on the other one before, too. If not, that is noted.
    fn have_met_before(&mut self, id: FlowId, other: FlowId) -> bool {
        let mut met = |one: FlowId, other: FlowId| {
            let loose = self.tracker.flows.find_mut(one).and_then(|flow| flow.rare.as_mut()?.loose.as_mut());
            loose.is_some_and(|loose| loose.met.replace(other) == Some(other))
        };
        let (here, there) = (met(id, other), met(other, id));
        here || there
    }

    /// Two legs have had the same frames, `one` before `other`.
    fn join_recognised(&mut self, one: FlowId, other: FlowId) {
        let Some((first, second)) = self.tracker.flows.find(one).zip(self.tracker.flows.find(other)) else { return };
        if first.server() == second.server() || first.session == second.session {
            return;
        }
        if first.client() == second.client() {
            return self.set_copy_aside(one, other);
        }
        let (server, client) = (first.server().ip, second.client().ip);
        let ends = |flow: &Flow| (flow.client(), flow.server());
        let are_turned = joiner::are_turned(ends(first), ends(second));
        let (front, back) = if are_turned { (other, one) } else { (one, other) };
        if self.has_back(front) == Some(false) && self.is_first(back) {
            if !are_turned {
                self.tracker.joiner.learn_host(server, client);
            }
            self.join_sessions(front, back, JoinReason::TunnelBytes);
        }
    }

    /// The connection was captured before an address of it was translated and after that: one is followed.
    fn set_copy_aside(&mut self, kept: FlowId, copy: FlowId) {
        let session_of = |id: FlowId| self.tracker.flows.find(id).and_then(|flow| flow.session);
        let (Some(into), Some(from)) = (session_of(kept), session_of(copy)) else { return };
        let is_alone = self.tracker.records.find(from).is_some_and(|record| record.entries.len() == 1);
        let Some(flow) = self.tracker.flows.find_mut(copy).filter(|_| is_alone && into != from) else { return };
        (flow.session, flow.app) = (None, App::Inert);
        flow.rare().shadow = true;
        self.tracker.records.take(from);
        if self.tracker.wants.progress {
            self.emit(&Event::Joined { into, from, reason: JoinReason::TunnelBytes });
        }
    }

    /// Whether no leg is known in front of this one.
    fn is_first(&self, id: FlowId) -> bool {
        let flow = self.tracker.flows.find(id);
        let record = flow.and_then(|flow| self.tracker.records.find(flow.session?));
        let entry = record.and_then(|record| record.entries.get(record.index_of(id)?));
        entry.is_some_and(|entry| entry.front().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Sighting {
        let noted = Timestamp::from_nanos(millis * 1_000_000);
        Sighting { flow: FlowId::FIRST, connection: ConnectionId::default(), moment: Moment::default(), noted }
    }

    fn key(n: usize) -> MaskingKey {
        MaskingKey((n as u32).to_be_bytes())
    }

    #[test]
    fn a_frame_is_remembered_for_a_second() {
        let mut sightings = Sightings::default();
        assert!(sightings.see(key(1), at(0)).is_none());
        assert!(sightings.see(key(1), at(900)).is_some());
        assert!(sightings.see(key(2), at(1_500)).is_none());
        assert!(sightings.see(key(1), at(1_800)).is_some(), "it was seen again meanwhile");
        assert!(sightings.see(key(1), at(2_801)).is_none());
        assert_eq!((sightings.keys.len(), sightings.legs.len(), sightings.overflows), (1, 1, 0));
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut sightings = Sightings::default();
        (0..BOUND + 10).for_each(|n| assert!(sightings.see(key(n), at(0)).is_none()));
        assert_eq!((sightings.keys.len(), sightings.overflows), (BOUND, 10));
        assert!(sightings.see(key(0), at(0)).is_none(), "the oldest is forgotten");
    }
}
