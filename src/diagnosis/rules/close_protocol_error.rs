//! Closed for a protocol error that the capture does not show.

use crate::diagnosis::close_code::by_code;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `close-protocol-error`.
pub const RULE: Rule = Rule {
    id: "close-protocol-error",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "Closed for a protocol error that the capture does not show",
    explanation: "One side says that the other broke the protocol, and the frames in this capture look right. It \
        may be stricter, it may be wrong, or something between changed what it got: compare the other \
        leg.",
    signature: "a Close frame with 1002, 1007 or 1010 and no violation before it",
    fix: "Capture the leg next to the one who complains; look into its log for what it did not like.",
    look_alikes: "With the violation in the capture, the violation is the cause.",
    reference: "RFC 6455 §7.4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    by_code(facts, |code| [1002, 1007, 1010, 1015].contains(&code))
}

#[cfg(test)]
pub(super) mod tests {
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        closed_with(1002, "why")
    }
}
