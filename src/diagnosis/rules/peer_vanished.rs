//! One side is gone: what is sent to it is never acknowledged.

use crate::diagnosis::ending::named;
use crate::diagnosis::rules::mtu_black_hole::only_large_vanish;
use crate::diagnosis::wording::{Count, Span};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Leg;
use crate::stream::Role;

/// `peer-vanished`.
pub const RULE: Rule = Rule {
    id: "peer-vanished",
    severity: Severity::Error,
    stage: Stage::Network,
    title: "One side vanished: nothing that is sent to it is acknowledged",
    explanation: "One side sends the same bytes again and again and gets no acknowledgment until the end: the \
        other host is off, asleep or out of reach, or something on the way drops everything without a \
        word. Linux gives up after about a quarter of an hour; the session looks open until then.",
    signature: "retransmissions of the last bytes without any acknowledgment, and nothing from the peer any more",
    fix: "Use heartbeats in both directions and close when they are not answered; look at the network and \
        its firewalls between the two.",
    look_alikes: "Full-sized segments that vanish while small ones pass are mtu-black-hole. A capture that saw \
        only one direction.",
    reference: "RFC 9293 §3.8.3",
    check,
};

/// Fewer retransmissions may be answered yet.
const LEAST: u32 = 3;

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let found = session.legs.iter().enumerate().find_map(|(index, leg)| Some((index, leg, gone(leg)?)));
    let (index, leg, by) = found?;
    let half = leg.half(by);
    let since = half.unacknowledged_since?;
    let (who, peer) = (named(session, index, by), named(session, index, by.peer()));
    let tries = Count(half.unanswered_retransmissions.into(), "time");
    let waited = Span(leg.tcp.last.at.since(since.at));
    Some(
        Evidence::on(
            index,
            format!("{who} sent the same bytes {tries} more over {waited}; nothing came back from {peer}"),
        )
        .packet(since, "the first bytes that were never acknowledged")
        .packet(leg.tcp.last, "the last packet")
        .verdict(format!(
            "{peer} is gone or out of reach: {who} sent the same bytes {tries} more over {waited} and nothing was \
             acknowledged"
        )),
    )
}

/// The side whose last bytes were never acknowledged although they were sent again and again.
fn gone(leg: &Leg) -> Option<Role> {
    if leg.tunnel.is_none() || !leg.both_directions_seen() {
        return None;
    }
    Role::BOTH.into_iter().find(|&by| {
        let (half, peer) = (leg.half(by), leg.half(by.peer()));
        let since = half.unacknowledged_since;
        let silent = since.is_some_and(|since| peer.last_data.is_none_or(|last| last.at <= since.at));
        // Where smaller segments got through it is not the peer that is missing, but room for the large ones.
        half.unanswered_retransmissions >= LEAST && silent && !only_large_vanish(leg, by)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn vanished(retransmissions: u32) -> TestSession {
        session().client_leg(|leg| {
            let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Server, 2);
            let now = leg.now();
            leg.after_ms(3000).with(|leg| {
                let side = leg.side(Role::Server);
                let half = &mut leg.tcp.halves[side];
                (half.unacknowledged_since, half.unanswered_retransmissions) = (Some(now), retransmissions);
                (half.largest_acknowledged, half.largest_lost) = (500, 16);
            })
        })
    }

    pub(crate) fn example() -> TestSession {
        vanished(5)
    }

    #[test]
    fn names_the_one_who_is_gone() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.starts_with("the client"), "{}", diagnosis.verdict);
    }

    #[test]
    fn is_silent_on_one_retransmission() {
        assert!(vanished(1).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
