//! The server is overloaded.

use crate::diagnosis::close_code::by_code;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `close-try-again-later`.
pub const RULE: Rule = Rule {
    id: "close-try-again-later",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "The server is overloaded",
    explanation: "The server has too much to do, or too many connections, and sends some clients away.",
    signature: "a Close frame with 1013",
    fix: "Add capacity, or raise the limit of connections; let clients wait before they come back.",
    look_alikes: "503 before the WebSocket is open is rate-limited or an upstream failure.",
    reference: "RFC 6455 §7.4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    by_code(facts, |code| [1013].contains(&code))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        let closed = |leg: TestLeg| {
            let leg = leg.open().messages(Role::Client, 2).close(Role::Server, 1013, "why");
            leg.close(Role::Client, 1013, "").fin(Role::Server)
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
