//! One side ended the connection without a Close frame.

use crate::diagnosis::ending::left_without_close;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::tcp::EndKind;

/// `fin-without-close`.
pub const RULE: Rule = Rule {
    id: "fin-without-close",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "One side ended the connection without a Close frame",
    explanation: "A FIN came and no Close frame before it: the process ended, a handler returned, a worker was \
        recycled, a phone went to sleep. The other side's programming interface reports 1006. A proxy \
        passes a backend's RST on as a FIN, so that only the leg of the backend tells how it left.",
    signature: "the first FIN of all legs comes from the client or the server, and no Close frame before it",
    fix: "Look at the side that sent it for an exit, a restart or a timer at this time; let it close with \
        a code.",
    look_alikes: "A FIN from a proxy between the legs is idle-timeout, proxy-closed or mass-close.",
    reference: "RFC 6455 §7.1.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    left_without_close(facts, EndKind::Fin)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        backend_left(EndKind::Fin)
    }

    #[test]
    fn names_the_timers_that_the_silence_fits() {
        let left_after = |milliseconds| {
            let session = session().client_leg(|leg| {
                let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Client, 1);
                leg.after_ms(milliseconds).fin(Role::Server)
            });
            session.finding(RULE.id).unwrap()
        };
        assert!(left_after(60_000).evidence.detail.contains("an AWS load balancer"));
        assert!(left_after(60_000).fix.contains("a timer of 60 s"));
        assert!(!left_after(61_000).evidence.detail.contains("would end it"));
    }

    #[test]
    fn names_the_backend_on_the_leg_where_it_was_born() {
        let diagnosis = example().diagnose();
        assert!(diagnosis.verdict.starts_with("the backend"), "{}", diagnosis.verdict);
    }
}
