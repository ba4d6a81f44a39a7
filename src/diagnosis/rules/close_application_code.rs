//! The application closed with a code of its own.

use crate::diagnosis::close_code::by_code;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `close-application-code`.
pub const RULE: Rule = Rule {
    id: "close-application-code",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "The application closed with a code of its own",
    explanation: "Codes from 3000 to 4999 belong to frameworks and applications. Many use 4401 for a session that has \
        expired and 4403 for one that is not allowed; the reason, where there is one, says more.",
    signature: "a Close frame with a code from 3000 to 4999",
    fix: "Look the code up in the application that sent it.",
    look_alikes: "Codes below 3000 are the protocol's own.",
    reference: "RFC 6455 §7.4.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    by_code(facts, |code| (3000..5000).contains(&code))
}

#[cfg(test)]
pub(super) mod tests {
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        closed_with(4401, "token expired")
    }
}
