//! The other leg at a proxy, where no key tells it because one of the two is encrypted, or both: found by sizes and times.
//!
//! It is looked for when there is something to go by: as records come on an encrypted leg, and when either leg is about
//! to be forgotten. Where sizes speak, they decide. Where they do not, because nothing was said behind the opening
//! exchange, times do, and only if there is no other leg that it could be.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::tracker::{Tracker, Watch};
use crate::http::handshake::Key;
use crate::session::course::{Course, FORWARDING, InClear, Likeness, TOLERANCE};
use crate::session::flow::{App, Flow};
use crate::session::leg::JoinReason;
use crate::session::records::Record;
use crate::session::slab::FlowId;
use crate::stream::{ByRole, Role};
use crate::time::Timestamp;

/// Legs that are looked at to find one's partner: more do not ask within the same half second but in a storm.
const LOOKED_AT: usize = 512;

/// How much later a leg may ask, or be opened, than the one in front: a handshake may take its time.
const REACH: Duration = FORWARDING.saturating_mul(2);

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

/// A leg that may have a partner.
struct Candidate<'t> {
    id: FlowId,
    flow: &'t Flow,
    course: Course,
}

impl Tracker {
    /// A connection carries TLS: it may be a leg of some session.
    pub(super) fn list_encrypted(&mut self, id: FlowId) {
        let Some(flow) = self.flows.find_mut(id) else { return };
        let (opened, client, server) = (flow.opened.at, flow.client(), flow.server());
        if self.partners.begins(id, opened) {
            flow.rare().listed = Some((opened, None));
        }
        // A proxy may have dialled for one of these, in clear, whose attempt waits for its answer.
        let waiting: Vec<FlowId> = self.joiner.waiting_at(opened, client.ip, server).take(LOOKED_AT).collect();
        waiting.into_iter().for_each(|front| self.list_attempt(front));
    }

    /// An attempt in clear: one of its legs may be encrypted.
    pub(super) fn list_attempt(&mut self, id: FlowId) {
        let Some(flow) = self.flows.find_mut(id) else { return };
        let Some(asked) = flow.request.as_ref().map(|request| request.moment.at) else { return };
        if flow.rare.as_ref().is_some_and(|rare| rare.listed.is_some()) || flow.is_encrypted() {
            return;
        }
        if self.partners.asks(id, asked) {
            flow.rare().listed = Some((flow.opened.at, Some(asked)));
            self.partners.in_clear += 1;
        }
    }

    /// The first request went by on an encrypted connection.
    fn list_request(&mut self, id: FlowId) {
        let Some(flow) = self.flows.find_mut(id) else { return };
        let Some(rare) = &mut flow.rare else { return };
        let (Some(tls), Some((_, asked @ None))) = (&rare.tls, &mut rare.listed) else { return };
        let Some(&(at, _)) = tls.sizes().records.client.first() else { return };
        if self.partners.asks(id, at) {
            *asked = Some(at);
        }
    }

    /// The connection is no partner for anybody any more.
    pub(super) fn unlist(&mut self, id: FlowId) {
        let Some(flow) = self.flows.find_mut(id) else { return };
        let encrypted = flow.is_encrypted();
        let Some((opened, asked)) = flow.rare.as_mut().and_then(|rare| rare.listed.take()) else { return };
        if encrypted {
            self.partners.opened.remove(&(opened, id));
        } else {
            self.partners.in_clear -= 1;
        }
        if let Some(asked) = asked {
            self.partners.asked.remove(&(asked, id));
        }
    }

    fn candidate(&self, id: FlowId) -> Option<Candidate<'_>> {
        let flow = self.flows.find(id)?;
        let course = match (flow.rare.as_ref().and_then(|rare| rare.tls.as_ref()), &flow.request) {
            (Some(tls), None) if !tls.is_decrypting() => Course::encrypted(flow.opened.at, &tls.sizes())?,
            (_, Some(request)) => Course::in_clear(&InClear {
                opened: flow.opened.at,
                asked: request.moment.at,
                answered: flow.response.as_ref().map(|response| (response.begun.at, response.head_bytes)),
                tunnel: match &flow.app {
                    App::Tunnel(tunnel) => {
                        Some(ByRole { client: tunnel.sent(Role::Client), server: tunnel.sent(Role::Server) })
                    }
                    _ => None,
                },
            }),
            _ => return None,
        };
        Some(Candidate { id, flow, course })
    }

    /// How likely it is that a proxy stands between these two.
    fn likeness(&self, front: &Candidate<'_>, back: &Candidate<'_>, settled: bool) -> Likeness {
        let likeness = front.course.likeness(&back.course, settled);
        // The proxy may have other addresses towards its backends, which only sizes can tell.
        let one_host = self.joiner.hosts().may_be_one(front.flow.server().ip, back.flow.client().ip);
        let strangers = front.flow.client().ip != back.flow.client().ip && back.course.is_two_way();
        match likeness {
            Likeness::Contradicted => likeness,
            _ if self.is_behind(back.id) || self.has_another_behind(front, back) => Likeness::Contradicted,
            Likeness::Whole(_) if one_host || strangers => likeness,
            _ if one_host => likeness,
            _ => Likeness::Contradicted,
        }
    }

    /// Whether a leg in front of it is known.
    fn is_behind(&self, id: FlowId) -> bool {
        self.entry_of(id).is_some_and(|(record, index)| record.entries[index].behind.is_some())
    }

    /// Whether a leg behind `front` is known already, and `back` cannot be one more attempt of the same proxy.
    fn has_another_behind(&self, front: &Candidate<'_>, back: &Candidate<'_>) -> bool {
        let has_any = self
            .entry_of(front.id)
            .is_some_and(|(record, index)| record.entries.iter().any(|entry| entry.is_behind(index)));
        has_any && back.course.is_answered()
    }

    fn entry_of(&self, id: FlowId) -> Option<(&Record, usize)> {
        let record = self.records.find(self.flows.find(id)?.session?)?;
        Some((record, record.index_of(id)?))
    }

    /// Legs that may be in front of this one, the likeliest first.
    fn fronts(&self, back: &Candidate<'_>, settled: bool) -> Vec<(Likeness, FlowId)> {
        let asked_before = |at: Timestamp| {
            let from = at.minus(REACH);
            self.partners.before(from, at.plus(TOLERANCE))
        };
        let mut found = asked_before(back.course.opened());
        if let Some(asked) = back.course.asked() {
            found.extend(asked_before(asked));
        }
        self.judged(back, found, |front| self.likeness(front, back, settled))
    }

    /// Legs that may be behind this one, the likeliest first.
    fn backs(&self, front: &Candidate<'_>, settled: bool) -> Vec<(Likeness, FlowId)> {
        let Some(asked) = front.course.asked() else { return Vec::new() };
        let from = asked.minus(TOLERANCE);
        let found = self.partners.after(from, asked.plus(REACH));
        self.judged(front, found, |back| self.likeness(front, back, settled))
    }

    /// Those that are not contradicted, the likeliest first.
    fn judged(
        &self,
        partner: &Candidate<'_>,
        mut found: Vec<FlowId>,
        likeness: impl Fn(&Candidate<'_>) -> Likeness,
    ) -> Vec<(Likeness, FlowId)> {
        found.sort_unstable();
        found.dedup();
        let may_be = |id: &FlowId| {
            self.flows.find(*id).is_some_and(|flow| {
                let different = *id != partner.id && flow.server() != partner.flow.server();
                different && (is_dark(flow) || is_dark(partner.flow))
            })
        };
        let candidates = found.into_iter().filter(may_be).filter_map(|id| self.candidate(id));
        let judged = candidates.map(|candidate| (likeness(&candidate), candidate.id));
        let mut judged: Vec<_> = judged.filter(|(likeness, _)| *likeness > Likeness::Contradicted).collect();
        judged.sort_unstable_by_key(|&(likeness, id)| (std::cmp::Reverse(likeness), id));
        judged
    }

    /// The leg in front of this one, and what says so.
    fn front_of(&self, id: FlowId) -> Option<(FlowId, JoinReason)> {
        let back = self.candidate(id).filter(|_| !self.is_behind(id))?;
        let fronts = self.fronts(&back, true);
        let front = self.candidate(fronts.first()?.1)?;
        let backs = self.backs(&front, true);
        if fronts[0].0.is_by_sizes() {
            // Either may be as like to others: then it cannot be told which belong together.
            let both = clearly_first(&fronts) == Some(front.id) && clearly_first(&backs) == Some(id);
            return both.then_some((front.id, JoinReason::RecordSizes));
        }
        // Others that went unanswered may be attempts of the same proxy, if it is theirs alone.
        let is_sibling = |other: FlowId| {
            let unanswered = |candidate: &Candidate<'_>| !candidate.course.is_answered();
            let other = self.candidate(other).filter(|other| unanswered(other) && unanswered(&back));
            other.is_some_and(|other| self.fronts(&other, true).len() == 1)
        };
        let alone = fronts.len() == 1
            && backs.iter().all(|&(likeness, other)| other == id || !likeness.is_by_sizes() && is_sibling(other));
        let attempt = back.flow.is_attempt() || front.flow.is_attempt();
        (alone && attempt).then_some((front.id, JoinReason::Time))
    }

    /// The leg in clear behind this encrypted one, as soon as the sizes of both agree and those of no other do.
    fn back_by_now(&self, id: FlowId) -> Option<FlowId> {
        let front = self.candidate(id)?;
        let back = self.candidate(only_whole(&self.backs(&front, false))?)?;
        (only_whole(&self.fronts(&back, false)) == Some(id)).then_some(back.id)
    }
}

/// The likeliest, if it is clearly so.
fn clearly_first(judged: &[(Likeness, FlowId)]) -> Option<FlowId> {
    match judged {
        [] => None,
        [(_, first)] => Some(*first),
        [(first, id), (second, _), ..] => first.is_clearly_above(*second).then_some(*id),
    }
}

/// The one with which both sides' sizes agree, if there is one only.
fn only_whole(judged: &[(Likeness, FlowId)]) -> Option<FlowId> {
    let mut whole = judged.iter().filter(|(likeness, _)| matches!(likeness, Likeness::Whole(_)));
    whole.next().filter(|_| whole.next().is_none()).map(|(_, id)| *id)
}

impl Tracker {
    /// The leg with the same key, of an attempt that came to light late: its secrets did. And whether that is the one in
    /// front. Of several, the one that asked at about the same time.
    fn partner_by_key(&self, id: FlowId) -> Option<(FlowId, bool)> {
        let flow = self.flows.find(id)?;
        let request = |flow: &Flow| flow.request.as_ref().map(|request| (request.offer.key, request.moment.at));
        let (key @ Key::Valid(_), asked) = request(flow)? else { return None };
        let from = asked.minus(FORWARDING);
        let mut found = self.partners.before(from, asked);
        found.extend(self.partners.after(asked, asked.plus(FORWARDING)));
        let same = found.into_iter().filter_map(|other| {
            let leg = self.flows.find(other)?;
            let (other_key, at) = request(leg)?;
            let other_session = leg.session != flow.session || flow.session.is_none();
            let fits = other != id && other_key == key && leg.server() != flow.server() && other_session;
            let in_front = at < asked;
            // Test tools use one key again and again: a leg in front was waiting for its answer.
            let answered = leg.response.as_ref().map(|response| response.begun.at);
            let over = answered.or((leg.ended != Timestamp::ZERO).then_some(leg.ended));
            let waited = over.is_none_or(|over| over.plus(TOLERANCE) >= asked);
            let free = if in_front { !self.is_behind(id) && waited } else { !self.is_behind(other) };
            (fits && free).then_some((at.distance(asked), other, in_front))
        });
        same.min_by_key(|&(apart, ..)| apart).map(|(_, other, in_front)| (other, in_front))
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

/// Whether nobody reads what is said on it.
fn is_dark(flow: &Flow) -> bool {
    flow.request.is_none() && flow.is_encrypted()
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
