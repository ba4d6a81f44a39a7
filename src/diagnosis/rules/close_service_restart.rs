//! The service restarts.

use crate::diagnosis::close_code::by_code;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `close-service-restart`.
pub const RULE: Rule = Rule {
    id: "close-service-restart",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "The service restarts",
    explanation: "The server says that it restarts and that the client may come back.",
    signature: "a Close frame with 1012",
    fix: "Let clients reconnect with a growing, random pause; stagger restarts.",
    look_alikes: "1001 from a server that is stopped.",
    reference: "RFC 6455 §7.4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    by_code(facts, |code| code == 1012)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        closed_with(1012, "why")
    }
}
