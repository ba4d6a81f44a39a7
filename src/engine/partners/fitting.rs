//! Which legs fit one another at a proxy: by sizes, by times, by a key that came to light late.
//!
//! Where sizes speak, they decide. Where they do not, because nothing was said behind the opening exchange, times do, and
//! only if there is no other leg that it could be.

use std::time::Duration;

use crate::engine::tracker::Tracker;
use crate::session::course::{Course, FORWARDING, InClear, Likeness, TOLERANCE};
use crate::session::flow::{App, Flow};
use crate::session::leg::JoinReason;
use crate::session::neighbours::ending::Ended;
use crate::session::records::{Entry, EntryState, Record};
use crate::session::slab::FlowId;
use crate::stream::{ByRole, Role};
use crate::time::Timestamp;
use crate::wire::Endpoint;

/// How much later a leg may ask, or be opened, than the one in front: a handshake may take its time.
const REACH: Duration = FORWARDING.saturating_mul(2);

/// A leg that may have a partner.
pub(super) struct Candidate<'t> {
    id: FlowId,
    flow: &'t Flow,
    course: Course,
}

impl Tracker {
    pub(super) fn candidate(&self, id: FlowId) -> Option<Candidate<'_>> {
        let flow = self.flows.find(id)?;
        let ended = (flow.ended != Timestamp::ZERO).then_some(flow.ended);
        let course = match (flow.rare.as_ref().and_then(|rare| rare.tls.as_ref()), flow.asked()) {
            (Some(tls), None) if !tls.is_decrypting() => {
                Course::encrypted(flow.opened.at, flow.syn_seen, ended, &tls.sizes())?
            }
            (_, Some(asked)) => Course::in_clear(&InClear {
                opened: flow.opened.at,
                dialled: flow.syn_seen,
                asked: asked.at,
                answered: flow.response().map(|response| (response.begun.at, response.head_bytes)),
                ended,
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
            _ if self.would_be_asked_twice(front, back) => Likeness::Contradicted,
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

    /// Whether a server would be asked a second time on the way to the backend.
    fn would_be_asked_twice(&self, front: &Candidate<'_>, back: &Candidate<'_>) -> bool {
        let server_of = |entry: &Entry| match &entry.state {
            EntryState::Live(id) => self.flows.find(*id).map(Flow::server),
            EntryState::Done(leg) => Some(leg.server()),
        };
        let behind = self.entry_of(back.id).map(|(record, _)| &record.entries);
        let is_behind = |server: Endpoint| {
            behind.is_some_and(|entries| entries.iter().any(|entry| server_of(entry) == Some(server)))
        };
        if is_behind(front.flow.server()) {
            return true;
        }
        let Some((record, index)) = self.entry_of(front.id) else { return false };
        let mut ahead = record.entries[index].behind;
        while let Some(entry) = ahead.and_then(|index| record.entries.get(index as usize)) {
            if server_of(entry).is_some_and(|server| server == back.flow.server() || is_behind(server)) {
                return true;
            }
            ahead = entry.behind;
        }
        false
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
    pub(super) fn backs(&self, front: &Candidate<'_>, settled: bool) -> Vec<(Likeness, FlowId)> {
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
    pub(super) fn front_of(&self, id: FlowId) -> Option<(FlowId, JoinReason)> {
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
    pub(super) fn back_by_now(&self, id: FlowId) -> Option<FlowId> {
        let front = self.candidate(id)?;
        let back = self.candidate(only_whole(&self.backs(&front, false))?)?;
        (only_whole(&self.fronts(&back, false)) == Some(id)).then_some(back.id)
    }

    /// The leg with the same key, of an attempt that came to light late: its secrets did. And whether that is the one in
    /// front. Of several, the one that asked at about the same time.
    pub(super) fn partner_by_key(&self, id: FlowId) -> Option<(FlowId, bool)> {
        let flow = self.flows.find(id)?;
        let request = |flow: &Flow| flow.request().map(|request| (request.head.nonce(), request.moment.at));
        let (Some(key), asked) = request(flow)? else { return None };
        let from = asked.minus(FORWARDING);
        let mut found = self.partners.before(from, asked);
        found.extend(self.partners.after(asked, asked.plus(FORWARDING)));
        let same = found.into_iter().filter_map(|other| {
            let leg = self.flows.find(other)?;
            let (other_key, at) = request(leg)?;
            let other_session = leg.session != flow.session || flow.session.is_none();
            let fits = other != id && other_key == Some(key) && leg.server() != flow.server() && other_session;
            let in_front = at < asked;
            // Test tools use one key again and again: a leg in front was waiting for its answer.
            let answered = leg.response().map(|response| response.begun.at);
            let over = answered.or((leg.ended != Timestamp::ZERO).then_some(leg.ended));
            let waited = over.is_none_or(|over| over.plus(TOLERANCE) >= asked);
            let free = if in_front { !self.is_behind(id) && waited } else { !self.is_behind(other) };
            (fits && free).then_some((at.distance(asked), other, in_front))
        });
        same.min_by_key(|&(apart, ..)| apart).map(|(_, other, in_front)| (other, in_front))
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

/// Whether nobody reads what is said on it.
fn is_dark(flow: &Flow) -> bool {
    !flow.opening.is_asked() && flow.is_encrypted()
}
