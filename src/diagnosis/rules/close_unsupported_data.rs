//! The kind of data is not supported.

use crate::diagnosis::close_code::by_code;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `close-unsupported-data`.
pub const RULE: Rule = Rule {
    id: "close-unsupported-data",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "The kind of data is not supported",
    explanation: "An endpoint got a kind of message that it does not take: mostly binary where it wants text, or \
        the other way round.",
    signature: "a Close frame with 1003",
    fix: "Send the kind of message that the other side expects.",
    look_alikes: "A text message that is not UTF-8 is invalid-utf8.",
    reference: "RFC 6455 §7.4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    by_code(facts, |code| code == 1003)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        closed_with(1003, "why")
    }
}
