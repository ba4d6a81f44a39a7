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
    by_code(facts, |code| [1012].contains(&code))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        let closed = |leg: TestLeg| {
            let leg = leg.open().messages(Role::Client, 2).close(Role::Server, 1012, "why");
            leg.close(Role::Client, 1012, "").fin(Role::Server)
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
