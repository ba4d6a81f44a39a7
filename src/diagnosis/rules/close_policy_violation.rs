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
    by_code(facts, |code| [1008].contains(&code))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        let closed = |leg: TestLeg| {
            let leg = leg.open().messages(Role::Client, 2).close(Role::Server, 1008, "why");
            leg.close(Role::Client, 1008, "").fin(Role::Server)
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
