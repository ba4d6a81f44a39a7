//! The proxy ended a session whose receiver took nothing more.

use crate::diagnosis::ending::named;
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Who;

/// `send-timeout`.
pub const RULE: Rule = Rule {
    id: "send-timeout",
    severity: Severity::Error,
    stage: Stage::Timers,
    title: "The proxy gave up because the receiver took nothing",
    explanation: "One end stopped reading, its window stayed shut, and after the time of its send timer the proxy \
        ended the session. nginx logs `client timed out`.",
    signature: "the window of one end is at zero until the proxy ends its legs, without a Close frame",
    fix: "Make the slow end read: handle messages without blocking, or drop what is out of date.\n\
        in the \
        nginx location: send_timeout and proxy_send_timeout are the timers",
    look_alikes: "A slow receiver whose session lives on is slow-consumer.",
    reference: "nginx: send_timeout",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let end = facts.ending_without_close().filter(|end| end.who == Who::Proxy)?;
    let (leg, role, first) = end.shut()?;
    let (who, proxy) = (named(facts.session, leg, role), end.name());
    let waited = Span(end.end.moment.at.since(first.at));
    Some(
        Evidence::on(leg, format!("{who} kept its window at zero for {waited}, then {proxy} ended the session"))
            .packet(first, "window zero")
            .packet(end.end.moment, "the end")
            .verdict(format!("{who} took nothing for {waited}, then {proxy} gave up and ended the session")),
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
            .client_leg(|leg| {
                let leg = open(leg.request(ASKED).response(SWITCHED));
                let now = leg.now();
                leg.with(|leg| {
                    let side = leg.side(Role::Client);
                    let window = &mut leg.tcp.halves[side].zero_window;
                    (window.count, window.first, window.open) = (1, Some(now), true);
                })
            })
            .backend_leg(|leg| open(leg.request(FORWARDED).response(SWITCHED)).after_ms(2000).rst(Role::Client))
            .outcome(Outcome::Aborted)
    }

    #[test]
    fn names_the_one_who_did_not_read() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.starts_with("the client"), "{}", diagnosis.verdict);
    }

    #[test]
    fn is_silent_without_a_shut_window() {
        assert!(healthy().check(&RULE).is_none());
    }
}
