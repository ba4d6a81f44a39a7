//! The other leg at a proxy, where no key tells it because one of the two is encrypted, or both: which legs are listed, and
//! when one's partner is looked for among them.
//!
//! That is when there is something to go by: as records come on an encrypted leg, and when either leg is about to be
//! forgotten. [`fitting`] says which legs fit one another.

mod fitting;

use std::collections::BTreeSet;

use crate::engine::tracker::{Tracker, Watch};
use crate::packet::Moment;
use crate::session::flow::Listed;
use crate::session::leg::JoinReason;
use crate::session::slab::FlowId;
use crate::time::Timestamp;

/// Legs that are looked at to find one's partner: more do not ask within the same half second but in a storm.
const LOOKED_AT: usize = 512;

/// Attempts of a proxy at one backend after another that are joined by time alone.
const ATTEMPTS: usize = 8;

/// Connections that are listed at a time.
const LISTED: usize = 1 << 16;

/// Records on an encrypted leg before its partner is looked for.
const FIRST_LOOK: u64 = 4;

/// Legs that may have a partner that no key names, by their times.
#[derive(Debug, Default)]
pub struct Partners {
    /// Encrypted ones, by their first packet.
    opened: BTreeSet<(Timestamp, FlowId)>,
    /// By their request: encrypted ones, and attempts in clear while there are encrypted ones.
    asked: BTreeSet<(Timestamp, FlowId)>,
    /// Attempts in clear among them.
    in_clear: usize,
    /// Connections that found no room.
    pub overflows: u64,
}

impl Partners {
    /// Whether any connection is encrypted.
    pub fn has_encrypted(&self) -> bool {
        !self.opened.is_empty()
    }

    /// Encrypted connections.
    pub fn encrypted(&self) -> impl Iterator<Item = FlowId> {
        self.opened.iter().map(|&(_, id)| id)
    }

    fn begins(&mut self, id: FlowId, at: Timestamp) -> bool {
        let room = self.opened.len() < LISTED;
        self.overflows += u64::from(!room);
        room && self.opened.insert((at, id))
    }

    fn asks(&mut self, id: FlowId, at: Timestamp) -> bool {
        let room = self.asked.len() < LISTED;
        self.overflows += u64::from(!room);
        room && self.asked.insert((at, id))
    }

    /// Those that asked or were opened in that time, with those that did first.
    fn after(&self, from: Timestamp, to: Timestamp) -> Vec<FlowId> {
        let range = |set: &BTreeSet<(Timestamp, FlowId)>| {
            set.range((from, FlowId::FIRST)..=(to, FlowId::LAST)).take(LOOKED_AT).map(|&(_, id)| id).collect::<Vec<_>>()
        };
        [range(&self.asked), range(&self.opened)].concat()
    }

    /// Those that asked in that time, with those that did last.
    fn before(&self, from: Timestamp, to: Timestamp) -> Vec<FlowId> {
        let within = self.asked.range((from, FlowId::FIRST)..=(to, FlowId::LAST));
        within.rev().take(LOOKED_AT).map(|&(_, id)| id).collect()
    }
}

impl Tracker {
    /// A connection carries TLS: it may be a leg of some session.
    pub(super) fn list_encrypted(&mut self, id: FlowId) {
        let Some(flow) = self.flows.find_mut(id) else { return };
        let (opened, client, server) = (flow.opened.at, flow.client(), flow.server());
        if self.partners.begins(id, opened) {
            flow.rare().listed = Some(Listed { opened, asked: None, in_clear: false });
        }
        // A proxy may have dialled for one of these, in clear, whose attempt waits for its answer.
        let waiting: Vec<FlowId> = self.joiner.waiting_at(opened, client.ip, server).take(LOOKED_AT).collect();
        waiting.into_iter().for_each(|front| self.list_attempt(front));
    }

    /// An attempt in clear: one of its legs may be encrypted.
    pub(super) fn list_attempt(&mut self, id: FlowId) {
        let Some(flow) = self.flows.find_mut(id) else { return };
        let Some(Moment { at: asked, .. }) = flow.asked() else { return };
        if flow.rare.as_ref().is_some_and(|rare| rare.listed.is_some()) || flow.is_encrypted() {
            return;
        }
        if self.partners.asks(id, asked) {
            flow.rare().listed = Some(Listed { opened: flow.opened.at, asked: Some(asked), in_clear: true });
            self.partners.in_clear += 1;
        }
    }

    /// The first request went by on an encrypted connection.
    fn list_request(&mut self, id: FlowId) {
        let Some(flow) = self.flows.find_mut(id) else { return };
        let Some(rare) = &mut flow.rare else { return };
        let (Some(tls), Some(Listed { asked: asked @ None, .. })) = (&rare.tls, &mut rare.listed) else { return };
        let Some(&(at, _)) = tls.sizes().records.client.first() else { return };
        if self.partners.asks(id, at) {
            *asked = Some(at);
        }
    }

    /// The connection is no partner for anybody any more.
    pub(super) fn unlist(&mut self, id: FlowId) {
        let Some(flow) = self.flows.find_mut(id) else { return };
        let listed = flow.rare.as_mut().and_then(|rare| rare.listed.take());
        let Some(Listed { opened, asked, in_clear }) = listed else { return };
        if in_clear {
            self.partners.in_clear -= 1;
        } else {
            self.partners.opened.remove(&(opened, id));
        }
        if let Some(asked) = asked {
            self.partners.asked.remove(&(asked, id));
        }
    }
}

impl Watch<'_> {
    /// An attempt was read on an encrypted connection, perhaps late. Whether a leg with its key was found.
    pub(super) fn join_late(&mut self, id: FlowId) -> bool {
        let listed = self.tracker.flows.find(id).and_then(|flow| flow.rare.as_ref()?.listed);
        if listed.is_none() {
            return false; // not encrypted
        }
        let Some((other, in_front)) = self.tracker.partner_by_key(id) else { return false };
        self.ensure_session(id);
        let (front, back) = if in_front { (other, id) } else { (id, other) };
        if let Some((front, back)) = self.tracker.flows.find(front).zip(self.tracker.flows.find(back)) {
            let (server, client) = (front.server().ip, back.client().ip);
            self.tracker.joiner.learn_host(server, client);
        }
        self.join_sessions(front, back, JoinReason::Key);
        true
    }

    /// Records came on an encrypted connection: it may have become clear which leg in clear goes with it.
    pub(super) fn look_for_partner(&mut self, id: FlowId) {
        self.tracker.list_request(id);
        if self.tracker.partners.in_clear == 0 {
            return;
        }
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let Some(rare) = &mut flow.rare else { return };
        let Some(tls) = &rare.tls else { return };
        let count = tls.sizes().count;
        // Sums that agree say more the more has been said.
        if count < FIRST_LOOK.max(rare.looked_at.saturating_mul(2)) || tls.is_waiting() || tls.is_decrypting() {
            return;
        }
        rare.looked_at = count;
        if let Some(back) = self.tracker.back_by_now(id) {
            self.join_partners(id, back, JoinReason::RecordSizes);
        }
    }

    /// The connection is about to be forgotten, or used for something else: what can be told of its partner now is all
    /// that ever will be.
    pub(super) fn settle_partner(&mut self, id: FlowId) {
        let listed = self.tracker.flows.find(id).and_then(|flow| flow.rare.as_ref()?.listed);
        if listed.is_none() {
            return;
        }
        let mut backs: Vec<FlowId> = vec![id];
        if let Some(front) = self.tracker.candidate(id) {
            let found = self.tracker.backs(&front, true);
            match found.first() {
                Some(&(likeness, back)) if likeness.is_by_sizes() => backs.push(back),
                // Several that times alone fit may be attempts of one proxy; in a crowd they are not.
                Some(_) if found.len() <= ATTEMPTS => backs.extend(found.iter().map(|&(_, back)| back)),
                _ => {}
            }
        }
        for back in backs {
            if let Some((front, reason)) = self.tracker.front_of(back)
                && (front == id || back == id)
                && self.would_be_session(front, back)
            {
                self.join_partners(front, back, reason);
            }
        }
        self.tracker.unlist(id);
    }

    /// Two encrypted legs are a session of their own right only if they look like a WebSocket.
    fn would_be_session(&self, front: FlowId, back: FlowId) -> bool {
        [front, back].into_iter().any(|id| {
            self.tracker.flows.find(id).is_some_and(|flow| {
                let tls = flow.rare.as_ref().and_then(|rare| rare.tls.as_ref());
                flow.session.is_some() || tls.is_some_and(|tls| !tls.facts().likely_websocket.is_empty())
            })
        })
    }

    fn join_partners(&mut self, front: FlowId, back: FlowId, reason: JoinReason) {
        let hosts = self.tracker.flows.find(front).zip(self.tracker.flows.find(back));
        if let (Some((server, client)), JoinReason::RecordSizes) =
            (hosts.map(|(front, back)| (front.server().ip, back.client().ip)), reason)
        {
            self.tracker.joiner.learn_host(server, client);
        }
        self.ensure_session(front);
        self.join_behind(front, back, reason);
        if let Some(flow) = self.tracker.flows.find_mut(front) {
            flow.rare().looked_at = u64::MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_bounded() {
        let mut partners = Partners::default();
        for second in 0..LISTED as u64 + 10 {
            let at = Timestamp::from_parts(second, 0);
            partners.begins(FlowId::FIRST, at);
            partners.asks(FlowId::FIRST, at);
        }
        assert_eq!((partners.opened.len(), partners.asked.len(), partners.overflows), (LISTED, LISTED, 20));
        let all = partners.after(Timestamp::ZERO, Timestamp::from_parts(u64::MAX >> 32, 0));
        assert_eq!(all.len(), 2 * LOOKED_AT);
    }
}
