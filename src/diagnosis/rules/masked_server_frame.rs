//! The server sent a masked frame.

use crate::diagnosis::violation::{evidence, find};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;
use crate::ws::facts::ViolationKind;

/// `masked-server-frame`.
pub const RULE: Rule = Rule {
    id: "masked-server-frame",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "The server sent a masked frame",
    explanation: "A server must not mask its frames; a client must close with 1002 when it gets one. The server \
        uses code that was written for clients.",
    signature: "a frame from the server with its mask bit set",
    fix: "Mend the server: frames from a server are sent without a mask.",
    look_alikes: "A capture that takes client for server, because it began in mid-stream.",
    reference: "RFC 6455 §5.1",
    check,
};

fn is_meant(by: Role, kind: ViolationKind) -> bool {
    matches!((by, kind), (Role::Server, ViolationKind::Masked))
}

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, is_meant)?;
    Some(evidence(facts, &found, "a masked frame"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        violated(Role::Server, ViolationKind::Masked)
    }
}
