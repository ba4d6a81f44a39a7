//! The proxy ended the session, and nothing on the wire says why.

use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Who;

/// `proxy-closed`.
pub const RULE: Rule = Rule {
    id: "proxy-closed",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "The proxy ended the session, and nothing on the wire says why",
    explanation: "The proxy ended its legs without a Close frame, and neither end had left before. The silence \
        before fits no timer. A reload, a stop, a kill or a crash of the proxy or of one of its workers \
        looks like this.",
    signature: "the first FIN or RST of all legs comes from the proxy, no Close frame, no timer fits",
    fix: "Look into the proxy's error log at this time for a reload or a worker that died.\n\
        nginx: worker_shutdown_timeout bounds how long old workers keep sessions after a reload\n\
        HAProxy: hard-stop-after bounds how long an old process keeps sessions after a reload\n\
        Apache: GracefulShutdownTimeout bounds how long old workers keep sessions\n\
        Caddy: stream_timeout of reverse_proxy bounds how long a session lasts, stream_close_delay how long it outlives a \
        reload\n\
        Envoy: max_stream_duration bounds how long a session lasts, --drain-time-s how long it outlives a listener",
    look_alikes: "With a silence of a timer's length before the end it is idle-timeout; with many sessions at the \
        same instant it is mass-close.",
    reference: "RFC 6455 §7.1.5, §7.2.3",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let end = facts.ending_without_close().filter(|end| end.who == Who::Proxy)?;
    let (proxy, idle, age) = (end.name(), Span(end.idle()), Span(end.age()));
    Some(
        Evidence::on(end.leg, format!("{proxy} sent the first {} of all legs, {idle} after the last byte", end.flag()))
            .packet(end.last_byte, "the last byte")
            .packet(end.end.moment, "the end")
            .verdict(format!(
                "{proxy} ended the session after {age}, {idle} after the last byte, without a Close frame; nothing on the \
                 wire says why"
            )),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        crate::diagnosis::rules::idle_timeout::tests::idle_for(3370)
    }

    #[test]
    fn is_the_cause_when_nothing_else_explains() {
        assert_eq!(example().cause(), Some(RULE.id));
    }

    #[test]
    fn is_silent_when_an_end_left_first() {
        assert!(healthy().check(&RULE).is_none());
    }
}
