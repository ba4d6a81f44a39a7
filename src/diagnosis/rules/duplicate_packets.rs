//! The capture holds packets twice.

use crate::diagnosis::wording::Count;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `duplicate-packets`.
pub const RULE: Rule = Rule {
    id: "duplicate-packets",
    severity: Severity::Note,
    stage: Stage::Capture,
    title: "The capture holds packets twice",
    explanation: "The same packets were captured on several interfaces: `any` on a host with a bridge, a VLAN or a \
        router does so. Each was counted once.",
    signature: "segments that are equal in everything but the interface or the time to live, within milliseconds",
    fix: "Capture on one interface if the size of the file matters.",
    look_alikes: "A retransmission is a new packet with an identification of its own.",
    reference: "tcpdump(1), wireshark(1)",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let twice = |leg: &crate::session::Leg| {
        u64::from(leg.tcp.halves.originator.duplicates) + u64::from(leg.tcp.halves.responder.duplicates)
    };
    let (leg, packets) = facts.session.legs.iter().map(twice).enumerate().find(|(_, packets)| *packets > 0)?;
    Some(
        Evidence::on(leg, format!("{} of this leg are in the capture twice", Count(packets, "packet")))
            .packet(facts.session.legs[leg].tcp.first, "the first packet of the leg")
            .not_cause(),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        healthy().client_leg(|leg| leg.with(|leg| leg.tcp.halves.originator.duplicates = 20))
    }

    #[test]
    fn counts_them() {
        assert!(example().check(&RULE).is_some_and(|evidence| evidence.detail.starts_with("20 packets")));
    }

    #[test]
    fn is_silent_without_any() {
        assert!(healthy().check(&RULE).is_none());
    }
}
