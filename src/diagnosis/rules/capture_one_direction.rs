//! Only one direction was captured.

use crate::diagnosis::ending::named;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `capture-one-direction`.
pub const RULE: Rule = Rule {
    id: "capture-one-direction",
    severity: Severity::Note,
    stage: Stage::Capture,
    title: "Only one direction was captured",
    explanation: "The capture has the packets of one side only: a mirror port that copies one direction, a filter \
        with src or dst, or a route that goes elsewhere. What the other side said is not known.",
    signature: "no packet at all of one side, although the other side talks",
    fix: "Capture where both directions pass; use `host` and `port` in the filter, not `src` or `dst`.",
    look_alikes: "A server that never answers a SYN.",
    reference: "tcpdump(1), wireshark(1)",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = facts.session.legs.iter().enumerate().find_map(|(index, leg)| {
        let unseen = leg.tcp.unseen_side().filter(|&side| leg.tcp.halves[side.peer()].bytes > 0)?;
        Some((index, leg.role_of(unseen)))
    });
    let (index, role) = found?;
    Some(
        Evidence::on(index, format!("no packet of {} was captured", named(facts.session, index, role)))
            .packet(facts.session.legs[index].tcp.first, "the first packet of the leg")
            .not_cause(),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        healthy().client_leg(|leg| leg.unseen(Role::Client))
    }

    #[test]
    fn names_the_side() {
        assert!(example().check(&RULE).is_some_and(|evidence| evidence.detail.contains("the client")));
    }

    #[test]
    fn is_silent_when_a_server_does_not_answer_or_both_were_seen() {
        assert!(session().client_leg(|leg| leg.unanswered_syn(3)).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
