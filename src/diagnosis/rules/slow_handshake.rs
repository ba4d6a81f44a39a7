//! It worked, and took its time.

use std::time::Duration;

use crate::diagnosis::parties;
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Leg;

/// `slow-handshake`.
pub const RULE: Rule = Rule {
    id: "slow-handshake",
    severity: Severity::Note,
    stage: Stage::Network,
    title: "The handshake took long",
    explanation: "Between the request and the 101 lies what the proxy and the backend do before they accept: connecting, \
        looking up a user, waking a process. A client with a short timeout gives up meanwhile.",
    signature: "a second or more from the request to the 101",
    fix: "Look at what the backend does before it accepts; move slow work behind the handshake.",
    look_alikes: "A slow network delays every packet: compare with the round trip of the TCP handshake.",
    reference: "RFC 6455 §4.2.2",
    check,
};

pub(in crate::diagnosis) const SLOW: Duration = Duration::from_secs(1);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let first = session.first_leg();
    let took = latency(first).filter(|took| *took >= SLOW)?;
    let mut detail = format!("{} from the request to the 101", Span(took));
    if let Some(index) = parties::behind(session, 0)
        && let Some(behind) = latency(&session.legs[index])
        && let Some(name) = parties::server_of(session, index)
    {
        detail.push_str(&format!("; {} of it at {name}", Span(behind)));
    }
    let (request, response) = (first.request.as_deref()?, first.response.as_deref()?);
    Some(Evidence::on(0, detail).packet(request.moment, "the request").packet(response.moment, "the 101").not_cause())
}

/// From a request to its 101.
pub(in crate::diagnosis) fn latency(leg: &Leg) -> Option<Duration> {
    let (request, response) = (leg.request.as_deref()?, leg.response.as_deref()?);
    (response.head.status == 101).then(|| response.moment.at.since(request.moment.at))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        session()
            .client_leg(|leg| leg.request(ASKED).after_ms(1500).response(SWITCHED).open())
            .backend_leg(|leg| leg.request(FORWARDED).after_ms(1490).response(SWITCHED).open())
    }

    #[test]
    fn says_where_the_time_went_and_is_no_cause() {
        assert!(example().finding(RULE.id).unwrap().evidence.detail.contains("at the backend 127.0.0.1:9000"));
        assert_eq!(example().cause(), None);
    }

    #[test]
    fn is_silent_about_a_slow_refusal() {
        let session = session().client_leg(|leg| leg.request(ASKED).after_ms(5000).response("HTTP/1.1 404 x\n\n"));
        assert!(session.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
