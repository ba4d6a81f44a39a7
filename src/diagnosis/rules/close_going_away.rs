//! One side went away.

use crate::diagnosis::close_code::by_code;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `close-going-away`.
pub const RULE: Rule = Rule {
    id: "close-going-away",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "Closed because one side went away",
    explanation: "1001 from a server: it shuts down or restarts, or a worker of it does. Clients should \
        come back after a pause. From a browser 1001 is a page that was left, which is no failure.",
    signature: "a Close frame with 1001; an error only from the server",
    fix: "Deploy with connections drained, or let clients reconnect with a growing, random pause.",
    look_alikes: "1001 from the client: a tab was closed or another page opened.",
    reference: "RFC 6455 §7.4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    by_code(facts, |code| code == 1001)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        closed_with(1001, "why")
    }
}
