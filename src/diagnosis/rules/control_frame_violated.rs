//! A control frame is fragmented or too long.

use crate::diagnosis::violation::{evidence, find};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;
use crate::ws::facts::ViolationKind;

/// `control-frame-violated`.
pub const RULE: Rule = Rule {
    id: "control-frame-violated",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "A control frame is fragmented or too long",
    explanation: "Pings, pongs and closes must fit in one frame with at most 125 bytes of payload. A long close \
        reason is the usual way to break this.",
    signature: "opcode 8 to 10 with FIN clear or a length above 125",
    fix: "Shorten the payload of pings and the reason of closes to 125 and 123 bytes.",
    look_alikes: "Data frames may be of any length.",
    reference: "RFC 6455 §5.5",
    check,
};

fn is_meant(_: Role, kind: ViolationKind) -> bool {
    matches!(kind, ViolationKind::FragmentedControl | ViolationKind::ControlTooLong(_))
}

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, is_meant)?;
    let what = match found.violation.kind {
        ViolationKind::ControlTooLong(bytes) => format!("a control frame of {bytes} bytes, where 125 are the most"),
        _ => "a control frame that is fragmented".to_owned(),
    };
    Some(evidence(facts, &found, &what))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        violated(Role::Client, ViolationKind::FragmentedControl)
    }

    #[test]
    fn tells_its_length() {
        let detail =
            violated(Role::Client, ViolationKind::ControlTooLong(130)).finding(RULE.id).unwrap().evidence.detail;
        assert!(detail.contains("of 130 bytes"), "{detail}");
    }
}
