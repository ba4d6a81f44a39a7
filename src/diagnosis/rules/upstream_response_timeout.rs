//! The backend took the request and said nothing until the proxy gave up.

use std::time::Duration;

use crate::diagnosis::proxies::{self, Software};
use crate::diagnosis::upstream::{LastAttempt, last_attempts};
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::packet::Moment;
use crate::session::Leg;
use crate::session::leg::{LegEnd, Request};
use crate::stream::Role;
use crate::time::Timestamp;

/// `upstream-response-timeout`.
pub const RULE: Rule = Rule {
    id: "upstream-response-timeout",
    severity: Severity::Error,
    stage: Stage::Upstream,
    title: "The backend did not answer before the proxy gave up",
    explanation: "The request was delivered and acknowledged, and no byte came back until the proxy's timer ended it. The \
        handshake handler of the backend hangs, or nothing there listens for upgrades: a ws server attached to a node \
        http.Server leaves a request without Upgrade unanswered. A proxy that gives up within milliseconds has a timer of \
        zero, which means at once and not never.",
    signature: "behind the proxy: request acknowledged, silence, the proxy closes; in front: 504 (Apache: 502), or the end of the connection",
    fix: "Find out why the backend's handshake does not answer; a longer timer of the proxy only makes the wait longer.\n\
        nginx: proxy_read_timeout is the timer; 0 means at once\n\
        HAProxy: timeout server is the timer\n\
        Apache: ProxyTimeout is the timer\n\
        Caddy: response_header_timeout of transport http is the timer\n\
        Traefik: forwardingTimeouts.responseHeaderTimeout of the serversTransport is the timer\n\
        Envoy: timeout of the route is the timer",
    look_alikes: "A WebSocket that was open and then idle is idle-timeout. A client that left first is client-gave-up.",
    reference: "RFC 9110 §15.6.5",
    check,
};

/// No sensible timer is this short, and no backend is asked to be this fast.
const AT_ONCE: Duration = Duration::from_millis(20);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let (attempt, asked, end) = last_attempts(facts.session).find_map(|attempt| {
        let (asked, end) = proxy_left(&attempt)?;
        Some((attempt, asked, end))
    })?;
    let waited = end.moment.at.since(asked.moment.at);
    let at_once = waited <= AT_ONCE;
    let (backend, proxy) = (attempt.backend(), attempt.proxy());
    let evidence =
        Evidence::on(attempt.back_index, format!("{backend} sent nothing for {}, then the proxy left", Span(waited)))
            .packet(asked.moment, "the proxy's request")
            .packet(end.moment, "the proxy closes")
            .packet_if(attempt.answered(), "the proxy's answer");
    let outcome = match attempt.front.status() {
        Some(status) => format!(" and answered {status}"),
        None => " and hung up on its client".to_owned(),
    };
    Some(match at_once {
        true => evidence.fix_if(fix_for_zero(&attempt)).verdict(format!(
            "{proxy} gave {} only {} for its answer{outcome}: its timeout is set to nothing, not to never",
            attempt.back.server,
            Span(waited)
        )),
        false => evidence.verdict(format!(
            "{backend} took the request of {proxy} and sent no byte for {}, then the proxy gave up{outcome}",
            Span(waited)
        )),
    })
}

/// The request that got no answer, and the end that the proxy made of it while its own client still waited.
fn proxy_left<'a>(attempt: &LastAttempt<'a>) -> Option<(&'a Request, LegEnd)> {
    let back = attempt.back;
    let asked = back.request.as_deref()?;
    let end = back.first_end().filter(|end| end.by == Role::Client)?;
    let client_left =
        attempt.front.first_end().is_some_and(|front| front.by == Role::Client && front.moment.at < end.moment.at);
    // In TLS tickets come behind the request too.
    let plain = back.h2.is_none() && back.tls.is_none();
    let spoke = |last: Moment| last > asked.moment && last.at < end.moment.at;
    let server = back.half(Role::Server);
    // What the capture lacks may be the answer.
    let answered = !back.is_readable() || server.gap_bytes > 0 || (plain && server.last_data.is_some_and(spoke));
    // A page or a redirect may stand in for a 504: it comes as the proxy leaves.
    let told = attempt.front.response.as_deref();
    let waited = end.moment.at.since(asked.moment.at) > AT_ONCE;
    let as_it_left = |told: Timestamp| waited && told.distance(end.moment.at) <= AT_ONCE;
    let refused = match told {
        Some(told) => told.head.status >= 500 || as_it_left(told.moment.at),
        None => hung_up(attempt.front).is_some_and(as_it_left),
    };
    (refused && !client_left && !answered && back.half(Role::Client).unacknowledged_since.is_none())
        .then_some((asked, end))
}

/// When a proxy that passes bytes on ended the connection of its client: it has no answer of its own to give.
fn hung_up(front: &Leg) -> Option<Timestamp> {
    let end = front.first_end().filter(|end| end.by == Role::Server)?;
    (front.is_readable() && !front.answer_begun() && !front.half(Role::Server).has_holes()).then_some(end.moment.at)
}

fn fix_for_zero(attempt: &LastAttempt<'_>) -> Option<String> {
    let software = proxies::between(attempt.front, attempt.back).map(|proxy| proxy.software);
    matches!(software, None | Some(Software::Nginx)).then(|| {
        "in the nginx location, where 0 means at once: proxy_read_timeout 3600s; proxy_send_timeout 3600s;".to_owned()
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn timed_out(milliseconds: u64) -> TestSession {
        let page = NGINX_502.replace("502 Bad Gateway", "504 Gateway Time-out");
        session()
            .client_leg(|leg| leg.request(ASKED).after_ms(milliseconds).response(&page).fin(Role::Client))
            .backend_leg(|leg| leg.request(FORWARDED).after_ms(milliseconds).fin(Role::Client))
    }

    pub(crate) fn example() -> TestSession {
        timed_out(2000)
    }

    #[test]
    fn a_timer_of_zero_is_named() {
        let diagnosis = timed_out(0).diagnose();
        assert!(diagnosis.verdict.contains("set to nothing, not to never"), "{}", diagnosis.verdict);
        assert!(diagnosis.findings[0].fix.contains("proxy_read_timeout 3600s;"));
    }

    #[test]
    fn an_answer_that_comes_too_late_changes_nothing() {
        let session = timed_out(0).backend_leg(|leg| leg.response(SWITCHED).rst(Role::Client));
        assert_eq!(session.cause(), Some(RULE.id));
    }

    #[test]
    fn is_a_consequence_of_a_stripped_upgrade() {
        let session = example().backend_leg(|leg| leg.request(&replaced(FORWARDED, "Upgrade", "")));
        assert_eq!(session.cause(), Some("upgrade-headers-stripped"));
    }

    #[test]
    fn a_proxy_that_passes_bytes_on_can_only_hang_up() {
        let hung_up = |milliseconds: u64| {
            let session = session()
                .client_leg(|leg| leg.request(ASKED).after_ms(2000 + milliseconds).fin(Role::Server))
                .backend_leg(|leg| leg.request(FORWARDED).after_ms(2000).fin(Role::Client));
            session.cause()
        };
        assert_eq!((hung_up(1), hung_up(900)), (Some(RULE.id), None));
    }

    #[test]
    fn is_silent_when_the_client_left_first_or_the_backend_closed() {
        let client = session()
            .client_leg(|leg| leg.request(ASKED).after_ms(1500).fin(Role::Client))
            .backend_leg(|leg| leg.request(FORWARDED).after_ms(1501).fin(Role::Client));
        assert!(client.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }

    #[test]
    fn is_silent_where_the_capture_lacks_what_the_backend_said() {
        let holed = |leg: TestLeg| leg.request(FORWARDED).hole(Role::Server, 62).after_ms(2000).fin(Role::Client);
        let front = |leg: TestLeg| leg.request(ASKED).after_ms(2000).response(NGINX_502);
        let session = session().client_leg(front).backend_leg(holed);
        assert!(session.check(&RULE).is_none());
    }
}
