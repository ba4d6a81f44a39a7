//! One side reset the connection without a Close frame.

use crate::diagnosis::ending::left_without_close;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::tcp::EndKind;

/// `reset-without-close`.
pub const RULE: Rule = Rule {
    id: "reset-without-close",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "One side reset the connection without a Close frame",
    explanation: "An RST came and no Close frame before it: the process was killed with data unread, it crashed, \
        or it aborts connections by design (autobahn and daphne do on protocol errors). Resets do not \
        pass a proxy: the client sees a FIN.",
    signature: "the first end of all legs is an RST from the client or the server, and no Close frame before it",
    fix: "Look at the side that sent it for a kill, a crash or a restart at this time.",
    look_alikes: "After a long silence it is stale-connection-reset; with another TTL than its sender's it is \
        middlebox-reset.",
    reference: "RFC 6455 §7.1.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    left_without_close(facts, EndKind::Rst)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        backend_left(EndKind::Rst)
    }

    #[test]
    fn names_the_backend_on_the_leg_where_it_was_born() {
        let diagnosis = example().diagnose();
        assert!(diagnosis.verdict.starts_with("the backend"), "{}", diagnosis.verdict);
    }
}
