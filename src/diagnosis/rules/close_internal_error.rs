//! The server failed inside.

use crate::diagnosis::close_code::by_code;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `close-internal-error`.
pub const RULE: Rule = Rule {
    id: "close-internal-error",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "The server failed inside",
    explanation: "The application met a condition that it did not expect: mostly an exception in a handler. \
        Python's websockets also use 1011 when a ping is not answered.",
    signature: "a Close frame with 1011",
    fix: "Look into the application's log at this time: an exception stands there.",
    look_alikes: "1011 with the reason `keepalive ping timeout` is ping-unanswered.",
    reference: "RFC 6455 §7.4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    by_code(facts, |code| [1011].contains(&code))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        let closed = |leg: TestLeg| {
            let leg = leg.open().messages(Role::Client, 2).close(Role::Server, 1011, "why");
            leg.close(Role::Client, 1011, "").fin(Role::Server)
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
