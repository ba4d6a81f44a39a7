//! Fragments of a message are out of order.

use crate::diagnosis::violation::{evidence, find};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;
use crate::ws::facts::ViolationKind;

/// `fragmentation-violated`.
pub const RULE: Rule = Rule {
    id: "fragmentation-violated",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "Fragments of a message are out of order",
    explanation: "A fragmented message is a data frame without FIN, continuation frames, and one with FIN; only \
        control frames may come between. A continuation that nothing began, or a new message inside \
        another, comes of two writers on one connection.",
    signature: "a continuation frame without a start, or a text or binary frame before the message before it was \
        complete",
    fix: "Mend the sender: one writer at a time on a connection, a lock or a queue around it.",
    look_alikes: "Pings between fragments are allowed.",
    reference: "RFC 6455 §5.4",
    check,
};

fn is_meant(_: Role, kind: ViolationKind) -> bool {
    matches!(kind, ViolationKind::ContinuationWithoutStart | ViolationKind::DataInsideMessage)
}

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, is_meant)?;
    let what = match found.violation.kind {
        ViolationKind::ContinuationWithoutStart => "a continuation frame of no message",
        _ => "a new message before the one before it was complete",
    };
    Some(evidence(facts, &found, what))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        violated(Role::Client, ViolationKind::ContinuationWithoutStart)
    }
}
