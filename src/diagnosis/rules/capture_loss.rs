//! The capture lacks bytes that arrived.

use crate::diagnosis::wording::Count;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `capture-loss`.
pub const RULE: Rule = Rule {
    id: "capture-loss",
    severity: Severity::Note,
    stage: Stage::Capture,
    title: "The capture lacks bytes that arrived",
    explanation: "The receiver acknowledged bytes that no packet of the capture holds: they were dropped by the \
        capture, not by the network. What they said is not known, and findings are less sure.",
    signature: "an acknowledgment beyond the bytes that were captured",
    fix: "Capture with a larger buffer (-B), or less traffic: only the ports that matter.",
    look_alikes: "Bytes that were lost on the network are sent again.",
    reference: "tcpdump(1), wireshark(1)",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let missing = |leg: &crate::session::Leg| leg.tcp.halves.originator.gap_bytes + leg.tcp.halves.responder.gap_bytes;
    let (leg, bytes) = facts.session.legs.iter().map(missing).enumerate().find(|(_, bytes)| *bytes > 0)?;
    Some(
        Evidence::on(leg, format!("{} of this leg arrived and are not in the capture", Count(bytes, "byte")))
            .packet(facts.session.legs[leg].tcp.first, "the first packet of the leg")
            .not_cause(),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        healthy().client_leg(|leg| leg.hole(Role::Server, 120))
    }

    #[test]
    fn counts_the_bytes() {
        assert!(example().check(&RULE).is_some_and(|evidence| evidence.detail.starts_with("120 bytes")));
        assert_eq!(example().cause(), None);
    }

    #[test]
    fn is_silent_on_a_whole_capture() {
        assert!(healthy().check(&RULE).is_none());
    }
}
