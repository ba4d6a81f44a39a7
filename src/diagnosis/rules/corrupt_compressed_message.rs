//! A compressed message does not inflate.

use crate::diagnosis::violation::{evidence, find};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;
use crate::ws::facts::ViolationKind;

/// `corrupt-compressed-message`.
pub const RULE: Rule = Rule {
    id: "corrupt-compressed-message",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "A compressed message does not inflate",
    explanation: "The message is marked as compressed, permessage-deflate was agreed, nothing of it was lost, and \
        it is no DEFLATE data, or refers to a window that the sender should have forgotten. Something \
        changed payloads on the way, or the sender keeps its context although it agreed not to.",
    signature: "RSV1 set as agreed, and an error in inflating with the history of this connection",
    fix: "Switch permessage-deflate off at one end to prove it; then update the library that compresses.",
    look_alikes: "Where the capture lacks earlier messages nothing is said: their window is unknown.",
    reference: "RFC 7692 §7.2.2",
    check,
};

fn is_meant(_: Role, kind: ViolationKind) -> bool {
    matches!(kind, ViolationKind::Inflate)
}

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, is_meant)?;
    Some(evidence(facts, &found, "a compressed message that does not inflate"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        violated(Role::Server, ViolationKind::Inflate)
    }
}
