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
    by_code(facts, |code| [1003].contains(&code))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        let closed = |leg: TestLeg| {
            let leg = leg.open().messages(Role::Client, 2).close(Role::Server, 1003, "why");
            leg.close(Role::Client, 1003, "").fin(Role::Server)
        };
        session().client_leg(|leg| closed(leg.request(ASKED).response(SWITCHED)))
    }

    #[test]
    fn is_the_cause_and_quotes_the_reason() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("\"why\""), "{}", diagnosis.verdict);
    }

    #[test]
    fn is_silent_on_a_normal_close() {
        assert!(healthy().check(&RULE).is_none());
    }
}
