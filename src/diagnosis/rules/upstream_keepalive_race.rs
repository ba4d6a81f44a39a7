//! The proxy used a connection that the backend was closing.

use crate::diagnosis::rules::upstream_premature_close::RACE;
use crate::diagnosis::wording::{Count, Span};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, parties};
use crate::session::{Leg, Proxy};
use crate::stream::Role;

/// `upstream-keepalive-race`.
pub const RULE: Rule = Rule {
    id: "upstream-keepalive-race",
    severity: Severity::Warning,
    stage: Stage::Upstream,
    title: "The proxy reused a connection that the backend was closing",
    explanation: "The proxy keeps connections to the backend for later requests, and the backend closes idle ones sooner \
        than the proxy forgets them. A request that goes out at that moment is lost: the proxy tries again, or answers 502. \
        nginx keeps upstream connections by default since 1.29.7.",
    signature: "behind the proxy: a connection with earlier requests is closed within 50 ms of the handshake request, \
        without an answer",
    fix: "Let the backend keep idle connections longer than the proxy does: in node server.keepAliveTimeout.\n\
        in the nginx upstream block: keepalive_timeout 4s;\n\
        HAProxy: retry-on conn-failure empty-response in the backend, or pool-purge-delay 2s on the server line\n\
        Apache: add disablereuse=on to ProxyPass",
    look_alikes: "A backend that closes a fresh connection is upstream-premature-close.",
    reference: "RFC 9112 §9.6",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let Proxy { front_index, front, back_index, back } = session.proxies().find(|proxy| lost_the_race(proxy.back))?;
    let (asked, end) = (back.request.as_deref()?.moment, back.first_end()?);
    let earlier = Count(u64::from(back.earlier_requests), "earlier request");
    let after = Span(end.moment.at.since(asked.at));
    let evidence = Evidence::on(
        back_index,
        format!("a connection with {earlier} was closed {after} after the handshake went out"),
    )
    .packet(asked, "the request on the used connection")
    .packet(end.moment, "the backend closes");
    let failed = parties::is_last_attempt(session, back_index) && front.tunnel.is_none();
    if !failed {
        return Some(evidence.not_cause());
    }
    let proxy = parties::server_of(session, front_index)?;
    let outcome = front.status().map(|status| format!("; it answered {status}")).unwrap_or_default();
    Some(evidence.severity(Severity::Error).verdict(format!(
        "{proxy} sent the handshake on a used connection while {} was closing it ({after} apart){outcome}",
        back.server
    )))
}

fn lost_the_race(back: &Leg) -> bool {
    if back.earlier_requests == 0 || back.response.is_some() {
        return false;
    }
    let (Some(request), Some(end)) = (&back.request, back.first_end()) else { return false };
    end.by == Role::Server && end.moment.at.distance(request.moment.at) <= RACE
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn raced(leg: TestLeg) -> TestLeg {
        leg.request(FORWARDED).fin(Role::Server).with(|leg| leg.earlier_requests = 3)
    }

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| leg.request(ASKED).response(NGINX_502)).backend_leg(raced)
    }

    #[test]
    fn is_a_warning_when_the_proxy_tried_again() {
        let session = session()
            .client_leg(|leg| leg.request(ASKED).response(SWITCHED).open())
            .backend_leg(raced)
            .attempt(|leg| leg.request(FORWARDED).response(SWITCHED).open());
        assert_eq!((session.cause(), session.finding(RULE.id).unwrap().severity), (None, Severity::Warning));
    }

    #[test]
    fn is_silent_about_fresh_connections_and_slow_closes() {
        assert!(example().backend_leg(|leg| leg.with(|leg| leg.earlier_requests = 0)).check(&RULE).is_none());
        let slow = session().client_leg(|leg| leg.request(ASKED).response(NGINX_502)).backend_leg(|leg| {
            leg.request(FORWARDED).after_ms(500).fin(Role::Server).with(|leg| leg.earlier_requests = 3)
        });
        assert!(slow.check(&RULE).is_none());
        assert_eq!(slow.cause(), Some("upstream-premature-close"));
    }
}
