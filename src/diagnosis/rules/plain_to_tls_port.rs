//! ws:// where wss:// is spoken.

use std::time::Duration;

use crate::diagnosis::backends::{self, Meaning};
use crate::diagnosis::parties;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, answer};
use crate::packet::Moment;
use crate::session::leg::FirstBytes;
use crate::session::{Confidence, Leg};
use crate::stream::Role;

/// `https`, and what `pcsync-https` came to be used for.
const HTTPS_PORTS: [u16; 2] = [443, 8443];

/// The way there and back, and no work between.
const AT_ONCE: Duration = Duration::from_millis(500);

/// `plain-to-tls-port`.
pub const RULE: Rule = Rule {
    id: "plain-to-tls-port",
    severity: Severity::Error,
    stage: Stage::Tls,
    title: "A plaintext request went to a port that speaks TLS",
    explanation: "The request was sent as plain HTTP, and the server expects TLS there. nginx answers 400 \"The plain HTTP \
        request was sent to HTTPS port\", Go a similar sentence, others a TLS alert or nothing.",
    signature: "HTTP from the client, and a TLS alert, the sentence of nginx or Go, or silence of a port that speaks TLS to \
        others",
    fix: "Use wss:// in the client.\n\
        in the nginx location, towards a backend that speaks TLS: proxy_pass https://BACKEND;\n\
        HAProxy: add ssl verify required ca-file /etc/ssl/certs/ca-certificates.crt to the server line, towards a backend that \
        speaks TLS\n\
        Apache: SSLProxyEngine on, and https:// in ProxyPass\n\
        Caddy: reverse_proxy https://BACKEND\n\
        Traefik: https:// in the url of the server",
    look_alikes: "TLS to a plaintext port is tls-to-plain-port.",
    reference: "RFC 6455 §3, RFC 9110 §4.2.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    // A proxy passes on what its backend says of it.
    let is_passed_on = |index: usize, leg: &Leg| {
        let made_on = answer::refusal(session).map(|refusal| refusal.made_on);
        leg.response.is_some() && made_on.is_some_and(|made_on| index < made_on)
    };
    let (index, leg, (said, moment, confidence)) = parties::decisive_first(session).find_map(|(index, leg)| {
        let asked = leg.request.is_some() && leg.tls.is_none() && leg.tunnel.is_none() && !is_passed_on(index, leg);
        Some((index, leg, asked.then(|| answered_by_tls(facts, leg))??))
    })?;
    let (client, server) = (parties::client_of(session, index)?, parties::server_of(session, index)?);
    let port = leg.server.port;
    let fix = match client.word {
        "proxy" => None,
        _ => Some(format!("use wss:// in the client for port {port}")),
    };
    Some(
        Evidence::on(index, format!("plain HTTP to port {port}, which speaks TLS: {said}"))
            .packet_if(leg.request.as_deref().map(|request| request.moment), "the plaintext request")
            .packet_if(moment, "the answer")
            .confidence(confidence)
            .fix_if(fix)
            .verdict(format!("{client} speaks plain HTTP to {server}, where TLS is expected: {said}")),
    )
}

/// How the server showed that it speaks TLS.
fn answered_by_tls(facts: &Facts<'_>, leg: &Leg) -> Option<(String, Option<Moment>, Confidence)> {
    if let Some(response) = &leg.response {
        backends::read(response).filter(|reading| reading.meaning == Meaning::WantsTls)?;
        let said = format!("it answered {} {}", response.head.status, quote(response.head.reason()));
        return Some((said, Some(response.moment), Confidence::High));
    }
    let first = leg.half(Role::Server).first_data;
    match leg.first_bytes.server {
        Some(FirstBytes::TlsAlert(..)) => Some(("it answered with a TLS alert".to_owned(), first, Confidence::High)),
        Some(_) => None,
        None => {
            let end = leg.first_end().filter(|end| end.by == Role::Server && leg.half(Role::Server).packets > 0)?;
            let (said, confidence) = match facts.neighbours.servers.get(&leg.server) {
                Some(used) if used.http => return None,
                Some(used) if used.tls => {
                    ("it closed without an answer, and speaks TLS with others", Confidence::Medium)
                }
                _ if was_hung_up_on(leg, end.moment) => {
                    ("it closed at once without an answer, and this is a port of HTTPS", Confidence::Low)
                }
                _ => return None,
            };
            Some((said.to_owned(), Some(end.moment), confidence))
        }
    }
}

/// Whether a port of HTTPS took a request for a broken ClientHello: it is refused before anything is done with it.
fn was_hung_up_on(leg: &Leg, end: Moment) -> bool {
    let asked = leg.request.as_deref().map_or(end.at, |request| request.moment.at);
    HTTPS_PORTS.contains(&leg.server.port) && end.at.since(asked) <= AT_ONCE
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::neighbours::ServerUse;

    const PAGE: &str = "HTTP/1.1 400 Bad Request\nServer: nginx/1.22.1\n\n<html><head><title>400 The plain HTTP request was \
        sent to HTTPS port</title></head><center>The plain HTTP request was sent to HTTPS port</center>\n\
        <hr><center>nginx/1.22.1</center>";

    pub(crate) fn example() -> TestSession {
        answered(PAGE)
    }

    #[test]
    fn an_alert_on_the_proxys_way_to_its_backend_explains_the_502() {
        let session = session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502))
            .backend_leg(|leg| leg.request(FORWARDED).odd_answer(FirstBytes::TlsAlert(2, 10), "").fin(Role::Server));
        assert_eq!(session.ids(), [RULE.id]);
        assert!(session.diagnose().findings[0].fix.contains("proxy_pass https://BACKEND;"));
    }

    #[test]
    fn what_the_backend_says_is_said_of_the_backend() {
        let session = refused_with(PAGE);
        assert_eq!(session.cause(), Some(RULE.id));
        let verdict = session.diagnose().verdict;
        assert!(verdict.starts_with("the proxy 10.0.0.1:80 speaks plain HTTP to the backend"), "{verdict}");
    }

    #[test]
    fn silence_counts_at_a_port_that_speaks_tls_to_others() {
        let silent = session().client_leg(|leg| leg.request(ASKED).fin(Role::Server));
        assert_ne!(silent.cause(), Some(RULE.id));
        let server = silent.session.legs[0].server;
        let used = ServerUse { connections: 5, tls: true, ..ServerUse::default() };
        assert_eq!(silent.neighbours(|neighbours| _ = neighbours.servers.insert(server, used)).cause(), Some(RULE.id));
    }

    #[test]
    fn a_port_of_https_that_hangs_up_at_once_likely_speaks_it() {
        let hung_up = |port: u16, after: u64| {
            let mut silent = session().client_leg(|leg| leg.request(ASKED).after_ms(after).fin(Role::Server));
            silent.session.legs[0].server.port = port;
            silent.finding(RULE.id).map(|finding| finding.evidence.confidence)
        };
        assert_eq!(hung_up(8443, 30), Some(Confidence::Low));
        assert_eq!((hung_up(8443, 3000), hung_up(8080, 30)), (None, None));
    }

    #[test]
    fn is_silent_about_an_ordinary_400() {
        assert!(answered("HTTP/1.1 400 Bad Request\n\n").check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
