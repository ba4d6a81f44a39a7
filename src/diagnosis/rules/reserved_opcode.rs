//! A frame has an opcode that does not exist.

use crate::diagnosis::violation::{evidence, find};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;
use crate::ws::facts::ViolationKind;

/// `reserved-opcode`.
pub const RULE: Rule = Rule {
    id: "reserved-opcode",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "A frame has an opcode that does not exist",
    explanation: "Opcodes 3 to 7 and 11 to 15 are not defined; the receiver must fail the connection. Mostly the \
        sender's frames got out of step: a length that is wrong makes payload look like a header.",
    signature: "opcode 3 to 7 or 11 to 15",
    fix: "Mend the sender: check how it writes the length of the frame before this one.",
    look_alikes: "After bytes that the capture lost, headers are searched for anew and not judged.",
    reference: "RFC 6455 §5.2",
    check,
};

fn is_meant(_: Role, kind: ViolationKind) -> bool {
    matches!(kind, ViolationKind::ReservedOpcode(_))
}

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, is_meant)?;
    let ViolationKind::ReservedOpcode(opcode) = found.violation.kind else { return None };
    Some(evidence(facts, &found, &format!("a frame with the reserved opcode {opcode}")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        violated(Role::Client, ViolationKind::ReservedOpcode(3))
    }
}
