//! Closed for an internal error.

use crate::diagnosis::close_code::by_code;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `close-internal-error`.
pub const RULE: Rule = Rule {
    id: "close-internal-error",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "Closed for an internal error",
    explanation: "The application met a condition that it did not expect: mostly an exception in a handler. \
        Python's websockets also use 1011 when a ping is not answered. With 1014 a gateway says that the server behind it \
        gave it no valid answer.",
    signature: "a Close frame with 1011 or 1014",
    fix: "Look into the application's log at this time: an exception stands there.",
    look_alikes: "1011 with the reason `keepalive ping timeout` is ping-unanswered.",
    reference: "RFC 6455 §7.4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let by_gateway = by_code(facts, |code| code == 1014).map(|evidence| {
        evidence.fix("look at the server behind whoever closed, and at its log of how it reaches that".to_owned())
    });
    by_gateway.or_else(|| by_code(facts, |code| code == 1011))
}

#[cfg(test)]
pub(super) mod tests {
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        closed_with(1011, "why")
    }

    #[test]
    fn a_gateway_speaks_of_the_server_behind_it() {
        let fix = |code: u16| closed_with(code, "bad gateway").diagnose().findings[0].fix.to_string();
        assert!(fix(1014).starts_with("look at the server behind"));
        assert!(fix(1011).contains("an exception stands there"));
    }
}
