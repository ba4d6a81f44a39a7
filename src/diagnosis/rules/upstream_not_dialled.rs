//! The proxy failed before it asked anybody.

use std::net::IpAddr;
use std::time::Duration;

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::nearby;
use crate::diagnosis::proxies::{self, Software};
use crate::diagnosis::wording::{Span, quote};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::packet::Moment;
use crate::session::{Confidence, Leg};

/// `upstream-not-dialled`.
pub const RULE: Rule = Rule {
    id: "upstream-not-dialled",
    severity: Severity::Error,
    stage: Stage::Upstream,
    title: "The proxy answered 502 or 503 without asking a backend",
    explanation: "The error came at once, and no connection to a backend was even tried. Four reasons look the same from \
        outside: the backend's name was not resolved (in nginx, a variable or a captured group in proxy_pass needs \
        resolver), no backend counts as live since earlier failures, the proxy ran out of local ports, or the backend is \
        behind a Unix socket, which no capture sees. The proxy's error log names it.",
    signature: "an immediate 502 or 503 of the proxy's own, and no SYN to a backend",
    fix: "Ask the proxy's error log for one of: no resolver defined, could not be resolved, no live upstreams, Cannot assign \
        requested address.\n\
        in the nginx http block, for a name in proxy_pass with a variable: resolver 127.0.0.53;\n\
        HAProxy: show servers state tells which servers are down; resolvers and init-addr concern names\n\
        Envoy: /clusters tells which endpoints are there and healthy",
    look_alikes: "A capture without the interface towards the backend shows the same: then this is only a guess, and says so. \
        nginx answers 503 for its own limits.",
    reference: "RFC 9110 §15.6.3, §15.6.4",
    check,
};

/// A connection attempt that failed this long ago may have taken its backend out of service (nginx: fail_timeout 10 s).
const FAIL_TIMEOUT: Duration = Duration::from_secs(10);
/// An answer that came later than this had time to wait for something.
const AT_ONCE: Duration = Duration::from_millis(200);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    if session.legs.len() > 1 {
        return None;
    }
    let refusal = answer::refusal(session)?;
    let software = proxies::named_by(refusal.response).map(|named| named.software);
    let by_proxy = proxies::error_page(refusal.response).is_some();
    let is_nginx = software == Some(Software::Nginx);
    // Envoy says so of a backend that it has tried to reach.
    let was_dialled = refusal.response.body.starts_with("upstream connect error");
    if was_dialled || !by_proxy || !(refusal.status() == 502 || (refusal.status() == 503 && !is_nginx)) {
        return None;
    }
    let asked = refusal.request?.moment;
    let latency = refusal.response.moment.at.since(asked.at);
    if latency > AT_ONCE {
        return None;
    }
    let why = reason(facts, &refusal, asked);
    let (words, packet, confidence) = match why {
        Some((words, packet)) => (words, Some(packet), Confidence::High),
        None if sees_backends(facts, session.first_leg()) => {
            ("no connection to a backend was tried".to_owned(), None, Confidence::Medium)
        }
        None => {
            let words = "no connection to a backend is in the capture: it was not tried, or not captured";
            (words.to_owned(), None, Confidence::Low)
        }
    };
    let (maker, status, latency) = (refusal.maker(), refusal.status(), Span(latency));
    Some(
        Evidence::on(0, format!("{status} after {latency}; {words}"))
            .packet(asked, "the request")
            .packet_if(packet, "why")
            .packet(refusal.response.moment, "the answer")
            .confidence(confidence)
            .verdict(format!("{maker} answered {status} within {latency}; {words}")),
    )
}

/// What the capture shows of the reason: a name that was not found, or a backend that had failed before.
fn reason(facts: &Facts<'_>, refusal: &Refusal<'_>, asked: Moment) -> Option<(String, Moment)> {
    let leg = &facts.session.legs[refusal.leg];
    let answered = refusal.response.moment.at;
    let from_proxy = |ip: IpAddr| ip == leg.server.ip || ip.is_loopback();
    let failed_name = nearby::dns(facts.neighbours, answered).find(|message| {
        let recent = asked.at.since(message.moment.at) < FAIL_TIMEOUT;
        from_proxy(message.client) && recent && message.answer.is_some_and(|code| code != 0)
    });
    if let Some(message) = failed_name {
        let code = match message.answer {
            Some(3) => "no such name (NXDOMAIN)",
            Some(2) => "the server failed (SERVFAIL)",
            _ => "an error",
        };
        return Some((format!("the name {} was not resolved: {code}", quote(&message.name)), message.moment));
    }
    let failure = nearby::failures(facts.neighbours, asked.at).find(|failure| {
        from_proxy(failure.client.ip) && asked.at.since(failure.syn.at) <= FAIL_TIMEOUT && failure.server != leg.server
    })?;
    let ago = Span(asked.at.since(failure.syn.at));
    let words = format!("its connection to {} had failed {ago} before, so it may have counted as down", failure.server);
    Some((words, failure.syn))
}

/// Whether the capture shows connections of this proxy to backends at other times.
fn sees_backends(facts: &Facts<'_>, leg: &Leg) -> bool {
    facts.neighbours.endings.lead_on(leg.server)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::SessionId;
    use crate::session::neighbours::{Ending, FailedConnection};
    use crate::tcp::ConnectionId;
    use crate::wire::DnsMessage;

    fn at_once() -> TestSession {
        session().client_leg(|leg| leg.request(ASKED).response(NGINX_502))
    }

    pub(crate) fn example() -> TestSession {
        let session = at_once();
        let leg = &session.session.legs[0];
        let (client, moment) = (leg.server.ip, leg.request.as_deref().unwrap().moment);
        let message =
            DnsMessage { moment, client, name: "backend.internal".into(), answer: Some(3), addresses: vec![] };
        session.neighbours(|neighbours| neighbours.dns.push(message))
    }

    #[test]
    fn an_earlier_failure_explains_it() {
        let session = at_once();
        let leg = &session.session.legs[0];
        let failure = FailedConnection {
            connection: ConnectionId(7),
            client: crate::wire::Endpoint { port: 50_000, ..leg.server },
            server: crate::wire::Endpoint { port: 9000, ..leg.server },
            syn: leg.tcp.first,
            refused: Some(leg.tcp.first),
        };
        let session = session.neighbours(|neighbours| neighbours.failures.push(failure));
        assert!(session.diagnose().verdict.contains("so it may have counted as down"));
    }

    #[test]
    fn is_only_a_guess_when_no_backend_was_ever_seen() {
        let confidence = |session: TestSession| session.finding(RULE.id).unwrap().evidence.confidence;
        assert_eq!(confidence(at_once()), Confidence::Low);
        let session = at_once();
        let mut other = Ending { session: SessionId(2), ..ending(&session.session) };
        other.backend.port = 9000;
        assert_eq!(confidence(session.neighbours(|neighbours| _ = neighbours.endings.add(&other))), Confidence::Medium);
    }

    #[test]
    fn is_silent_when_a_backend_was_asked_or_the_answer_took_time() {
        assert!(at_once().backend_leg(|leg| leg.refused()).check(&RULE).is_none());
        let late = session().client_leg(|leg| leg.request(ASKED).after_ms(3000).response(NGINX_502));
        assert!(late.check(&RULE).is_none());
        assert!(answered("HTTP/1.1 502 Bad Gateway\n\nBad Gateway").check(&RULE).is_none(), "a backend may say so too");
        assert!(healthy().check(&RULE).is_none());
    }

    #[test]
    fn is_silent_where_envoy_says_that_it_tried() {
        let said = |body: &str| {
            let answer = format!("HTTP/1.1 503 Service Unavailable\nserver: envoy\n\n{body}");
            session().client_leg(|leg| leg.request(ASKED).response(&answer)).check(&RULE).is_some()
        };
        let reset =
            "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
        assert!(said("no healthy upstream") && !said(reset));
    }
}
