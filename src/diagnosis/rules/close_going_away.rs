//! The server went away.

use crate::diagnosis::close_code::by_code;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `close-going-away`.
pub const RULE: Rule = Rule {
    id: "close-going-away",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "The server went away",
    explanation: "The server closed with 1001: it shuts down or restarts, or a worker of it does. Clients should \
        come back after a pause. From a browser 1001 is a page that was left, which is no failure.",
    signature: "a Close frame with 1001; an error only from the server",
    fix: "Deploy with connections drained, or let clients reconnect with a growing, random pause.",
    look_alikes: "1001 from the client: a tab was closed or another page opened.",
    reference: "RFC 6455 §7.4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    by_code(facts, |code| [1001].contains(&code))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        let closed = |leg: TestLeg| {
            let leg = leg.open().messages(Role::Client, 2).close(Role::Server, 1001, "why");
            leg.close(Role::Client, 1001, "").fin(Role::Server)
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
