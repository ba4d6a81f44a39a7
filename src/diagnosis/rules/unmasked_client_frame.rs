//! The client sent a frame without a mask.

use crate::diagnosis::violation::{evidence, find};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;
use crate::ws::facts::ViolationKind;

/// `unmasked-client-frame`.
pub const RULE: Rule = Rule {
    id: "unmasked-client-frame",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "The client sent a frame without a mask",
    explanation: "Every frame of a client must be masked, so that what it sends cannot be mistaken for something \
        else by caches on the way. A server must close with 1002. A hand-written client forgot it, or a \
        proxy wrote frames of its own.",
    signature: "a frame from the client with its mask bit clear",
    fix: "Mend the client: every frame needs the mask bit and a fresh masking key. Use a library.",
    look_alikes: "Frames of a server are never masked. A stream that lost its frame boundary looks random, not \
        unmasked.",
    reference: "RFC 6455 §5.1",
    check,
};

fn is_meant(by: Role, kind: ViolationKind) -> bool {
    matches!((by, kind), (Role::Client, ViolationKind::Unmasked))
}

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, is_meant)?;
    Some(evidence(facts, &found, "an unmasked frame"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        violated(Role::Client, ViolationKind::Unmasked)
    }
}
