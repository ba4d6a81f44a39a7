//! Reserved bits are set without an extension that gives them a meaning.

use crate::diagnosis::violation::{evidence, find};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;
use crate::ws::facts::ViolationKind;

/// `reserved-bits-set`.
pub const RULE: Rule = Rule {
    id: "reserved-bits-set",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "Reserved bits are set without an extension that explains them",
    explanation: "RSV1 marks a compressed message when permessage-deflate was agreed on this leg; otherwise all \
        three bits must be zero. One side believes that compression was agreed: often something on the \
        way took the extension out of the request or the answer. Or the bytes are not frames at all.",
    signature: "RSV1, RSV2 or RSV3 set, and no extension in the answer of this leg",
    fix: "Look at Sec-WebSocket-Extensions in request and answer on both legs; let the proxy pass the \
        field on unchanged, or switch compression off at the sender.",
    look_alikes: "With permessage-deflate agreed, RSV1 on the first frame of a message is right.",
    reference: "RFC 6455 §5.2, RFC 7692 §6",
    check,
};

fn is_meant(_: Role, kind: ViolationKind) -> bool {
    matches!(kind, ViolationKind::ReservedBits(_))
}

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, is_meant)?;
    let ViolationKind::ReservedBits(bits) = found.violation.kind else { return None };
    let names = [(0b100, "RSV1"), (0b010, "RSV2"), (0b001, "RSV3")];
    let set: Vec<&str> = names.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| name).collect();
    Some(evidence(
        facts,
        &found,
        &format!("a frame with {} set, which no agreed extension explains", set.join(" and ")),
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        violated(Role::Server, ViolationKind::ReservedBits(4))
    }
}
