//! One side reset the connection without a Close frame.

use crate::diagnosis::ending::ending_without_close;
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Who;
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
    let end = ending_without_close(facts.session).filter(|end| end.end.kind == EndKind::Rst)?;
    if end.who == Who::Proxy {
        return None;
    }
    let (who, flag, idle, age) = (end.name(), end.sent(), Span(end.idle()), Span(end.age()));
    Some(
        Evidence::on(end.leg, format!("{who} sent {flag} {idle} after the last byte, and no Close frame"))
            .packet(end.last_byte, "the last byte")
            .packet(end.end.moment, format!("the {flag}"))
            .verdict(format!(
                "{who} ended the session with {flag} after {age}, {idle} after the last byte, without a Close frame"
            )),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::session::Outcome;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        let open = |leg: TestLeg| leg.open().messages(Role::Server, 3);
        session()
            .client_leg(|leg| open(leg.request(ASKED).response(SWITCHED)).after_ms(500).fin(Role::Server))
            .backend_leg(|leg| open(leg.request(FORWARDED).response(SWITCHED)).rst(Role::Server))
            .outcome(Outcome::Aborted)
    }

    #[test]
    fn names_the_backend_on_the_leg_where_it_was_born() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.starts_with("the backend"), "{}", diagnosis.verdict);
    }

    #[test]
    fn is_silent_after_a_close_frame() {
        assert!(healthy().check(&RULE).is_none());
    }
}
