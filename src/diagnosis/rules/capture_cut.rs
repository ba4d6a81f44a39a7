//! The snap length cut packets.

use crate::diagnosis::wording::Count;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `capture-cut`.
pub const RULE: Rule = Rule {
    id: "capture-cut",
    severity: Severity::Note,
    stage: Stage::Capture,
    title: "The snap length cut packets",
    explanation: "Packets are longer than what the capture kept of them (tcpdump -s). Heads and frames are \
        incomplete; what was cut is not known.",
    signature: "packets whose captured length is less than their length on the wire",
    fix: "Capture with -s 0, or the default of tcpdump, which is the whole packet.",
    look_alikes: "A frame that its sender did not finish is truncated-frame.",
    reference: "tcpdump(1), wireshark(1)",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let cut = |leg: &crate::session::Leg| leg.tcp.halves.originator.cut_bytes + leg.tcp.halves.responder.cut_bytes;
    let (leg, bytes) = facts.session.legs.iter().map(cut).enumerate().find(|(_, bytes)| *bytes > 0)?;
    let detail = format!("the snap length cut {} of this leg; capture with -s 0", Count(bytes, "byte"));
    Some(Evidence::on(leg, detail).packet(facts.session.legs[leg].tcp.first, "the first packet of the leg").not_cause())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        healthy().client_leg(|leg| leg.with(|leg| leg.tcp.halves.responder.cut_bytes = 900))
    }

    #[test]
    fn says_how_to_capture_whole_packets() {
        assert!(example().check(&RULE).is_some_and(|evidence| evidence.detail.contains("-s 0")));
    }

    #[test]
    fn is_silent_on_whole_packets() {
        assert!(healthy().check(&RULE).is_none());
    }
}
