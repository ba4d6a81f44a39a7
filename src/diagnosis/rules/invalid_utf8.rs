//! A text message is not UTF-8.

use crate::diagnosis::violation::{evidence, find};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;
use crate::ws::facts::ViolationKind;

/// `invalid-utf8`.
pub const RULE: Rule = Rule {
    id: "invalid-utf8",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "A text message is not UTF-8",
    explanation: "Text messages and close reasons must be UTF-8; the receiver closes with 1007. Binary data is \
        sent as text, text is in another encoding, or it was cut in the middle of a character.",
    signature: "a text message, also over several fragments, or the reason of a Close frame with an invalid \
        sequence",
    fix: "Send binary data as binary messages; encode text as UTF-8; cut text between characters.",
    look_alikes: "A character may be split between two fragments of one message.",
    reference: "RFC 6455 §8.1",
    check,
};

fn is_meant(_: Role, kind: ViolationKind) -> bool {
    matches!(kind, ViolationKind::Utf8 | ViolationKind::ReasonUtf8)
}

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, is_meant)?;
    let what = match found.violation.kind {
        ViolationKind::ReasonUtf8 => "a Close frame whose reason is not UTF-8",
        _ => "text that is not UTF-8",
    };
    Some(evidence(facts, &found, what))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        violated(Role::Client, ViolationKind::Utf8)
    }
}
