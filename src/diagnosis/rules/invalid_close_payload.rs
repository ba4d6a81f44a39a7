//! A Close frame says something that it must not.

use crate::diagnosis::violation::{evidence, find};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;
use crate::ws::facts::ViolationKind;

/// `invalid-close-payload`.
pub const RULE: Rule = Rule {
    id: "invalid-close-payload",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "A Close frame says something that it must not",
    explanation: "The payload of a Close frame is empty, or a code of two bytes and a reason. Codes 1005, 1006 and \
        1015 are for programming interfaces only; codes below 1000 and most below 3000 are nobody's.",
    signature: "a Close frame with one byte of payload, or a code outside 1000-1003, 1007-1014 and 3000-4999",
    fix: "Close with 1000, or a code from 3000 to 4999 of your own; pass no code on that an interface \
        reported.",
    look_alikes: "1006 in a browser's event was never on the wire.",
    reference: "RFC 6455 §7.4",
    check,
};

fn is_meant(_: Role, kind: ViolationKind) -> bool {
    matches!(kind, ViolationKind::CloseLength | ViolationKind::CloseCode(_))
}

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, is_meant)?;
    let what = match found.violation.kind {
        ViolationKind::CloseCode(code) => format!("a Close frame with code {code}, which must not be on the wire"),
        _ => "a Close frame with a payload of one byte".to_owned(),
    };
    Some(evidence(facts, &found, &what))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        violated(Role::Client, ViolationKind::CloseCode(1005))
    }
}
