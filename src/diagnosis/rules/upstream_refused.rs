//! Nothing listens where the proxy looks for its backend.

use std::net::IpAddr;

use crate::diagnosis::upstream::{LastAttempt, last_attempts, may_go_on};
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Confidence;
use crate::time::Timestamp;

/// `upstream-refused`.
pub const RULE: Rule = Rule {
    id: "upstream-refused",
    severity: Severity::Error,
    stage: Stage::Upstream,
    title: "The backend refused the proxy's connection",
    explanation: "The proxy's SYN was answered by an RST: nothing listens at this address and port, or a firewall answers in \
        its place. Mostly the backend is down, listens on another port or address, or was not up yet.",
    signature: "behind the proxy: SYN answered by RST; in front: 502 or 503",
    fix: "Start the backend, or correct its address in the proxy.\n\
        nginx: the address is in proxy_pass or in the upstream block\n\
        HAProxy: the address is in the server line of the backend\n\
        Apache: the address is in ProxyPass or BalancerMember",
    look_alikes: "A SYN without any answer is upstream-connect-timeout: a firewall that drops, a wrong host.",
    reference: "RFC 9293 §3.5.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let until = facts.neighbours.span.1;
    let seen = last_attempts(facts.session).find_map(|attempt| refusal(&attempt, until));
    seen.or_else(|| last_attempts(facts.session).find(LastAttempt::gave_up_at_once).map(|attempt| unseen(&attempt)))
}

/// A proxy that does not wait for an answer to its SYN has one, which the capture lacks.
fn unseen(attempt: &LastAttempt<'_>) -> Evidence {
    let server = attempt.back.server;
    let said = format!("it gave up at once, as after a refusal, which was not captured; {}", attempt.outcome());
    Evidence::on(attempt.back_index, format!("SYN to {server} without an answer: {said}"))
        .packet_if(attempt.back.tcp.syn, "the proxy's SYN")
        .packet_if(attempt.answered(), "the proxy's answer")
        .confidence(Confidence::Low)
        .verdict(format!("{} likely could not reach its {} {server}: {said}", attempt.proxy(), attempt.backend().word))
}

fn refusal(attempt: &LastAttempt<'_>, captured_until: Timestamp) -> Option<Evidence> {
    let tcp = &attempt.back.tcp;
    let (syn, refused) = (tcp.syn, tcp.refused.filter(|&refused| !may_go_on(attempt.front, refused, captured_until))?);
    let after = syn.map(|syn| format!(" after {}", Span(refused.at.since(syn.at)))).unwrap_or_default();
    let times = match attempt.attempts() {
        0 | 1 => String::new(),
        attempts => format!(", {attempts} attempts in all"),
    };
    let (proxy, server) = (attempt.proxy(), attempt.back.server);
    Some(
        Evidence::on(
            attempt.back_index,
            format!("SYN to {server} answered by RST{after}{times}; {}", attempt.outcome()),
        )
        .packet_if(syn, "the proxy's SYN")
        .packet(refused, "RST: refused")
        .packet_if(attempt.answered(), "the proxy's answer")
        .fix_if(fix_for_localhost(server.ip))
        .verdict(format!(
            "{proxy} could not reach its {} {server}: the connection was refused{after}{times}; {}",
            attempt.backend().word,
            attempt.outcome()
        )),
    )
}

/// `localhost` is ::1 first, and many backends listen on 127.0.0.1 only.
fn fix_for_localhost(ip: IpAddr) -> Option<String> {
    let is_v6_loopback = ip.is_loopback() && ip.is_ipv6();
    is_v6_loopback.then(|| {
        "start the backend, or write 127.0.0.1 instead of localhost in the proxy: localhost is ::1 first, and the backend \
         may listen on IPv4 only"
            .to_owned()
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::time::Duration;

    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502).fin(Role::Client))
            .backend_leg(|leg| leg.refused())
    }

    #[test]
    fn outranks_the_status_and_counts_attempts() {
        assert_eq!(example().ids(), [RULE.id]);
        let twice = example().attempt(|leg| leg.refused());
        assert!(twice.diagnose().verdict.contains("2 attempts"));
        assert_eq!(twice.finding(RULE.id).unwrap().evidence.leg, Some(2));
    }

    #[test]
    fn what_the_proxy_does_about_it_is_waited_for() {
        let told_ms_later = |millis: u64| {
            session()
                .client_leg(|leg| leg.request(ASKED))
                .backend_leg(|leg| leg.refused())
                .neighbours(|others| others.span.1 = others.span.1.plus(Duration::from_millis(millis)))
                .check(&RULE)
                .is_some()
        };
        assert_eq!((told_ms_later(2), told_ms_later(2_000)), (false, true), "localhost is two addresses");
    }

    #[test]
    fn who_gives_up_at_once_was_refused_though_it_was_not_captured() {
        let dialled = |waited: u64| {
            session()
                .client_leg(|leg| leg.request(ASKED).after_ms(waited).response(NGINX_502))
                .backend_leg(|leg| leg.unanswered_syn(0))
        };
        assert_eq!(dialled(1).ids(), [RULE.id]);
        assert_eq!(dialled(1).finding(RULE.id).unwrap().evidence.confidence, Confidence::Low);
        assert_eq!(dialled(5000).ids(), ["upstream-connect-timeout"]);
    }

    #[test]
    fn is_silent_when_another_attempt_came_through() {
        let session = example()
            .client_leg(|leg| leg.response(SWITCHED).open())
            .attempt(|leg| leg.request(FORWARDED).response(SWITCHED).open());
        assert!(session.check(&RULE).is_none());
    }

    #[test]
    fn is_silent_about_the_clients_own_connection() {
        assert!(session().client_leg(|leg| leg.refused()).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
