//! Closed for a violation of policy.

use crate::diagnosis::close_code::by_code;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `close-policy-violation`.
pub const RULE: Rule = Rule {
    id: "close-policy-violation",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "Closed for a violation of policy",
    explanation: "The application does not want this client or what it sent: a token that is missing or has \
        expired, a rate, a rule of its own. The reason, where there is one, says which.",
    signature: "a Close frame with 1008",
    fix: "Read the reason, and the log of the application that sent it: who it is and what it may do is \
        checked there.",
    look_alikes: "A refusal before the WebSocket is open is an HTTP status.",
    reference: "RFC 6455 §7.4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    by_code(facts, |code| code == 1008)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        closed_with(1008, "why")
    }
}
