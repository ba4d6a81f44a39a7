//! The server wants its clients to come back later.

use crate::diagnosis::close_code::by_code;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `close-try-again-later`.
pub const RULE: Rule = Rule {
    id: "close-try-again-later",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "The server asks its client to come back later",
    explanation: "1013 is for a server that has too much to do, or too many connections, and sends some clients away.",
    signature: "a Close frame with 1013",
    fix: "Add capacity, or raise the limit of connections; let clients wait before they come back.",
    look_alikes: "503 before the WebSocket is open is rate-limited or an upstream failure.",
    reference: "RFC 6455 §7.4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    by_code(facts, |code| code == 1013)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        closed_with(1013, "why")
    }
}
