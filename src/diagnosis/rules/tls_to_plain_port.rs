//! wss:// where ws:// is spoken.

use std::time::Duration;

use crate::diagnosis::nearby;
use crate::diagnosis::parties;
use crate::diagnosis::wording::{Span, quote};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::packet::Moment;
use crate::session::leg::FirstBytes;
use crate::session::{Confidence, Leg};
use crate::stream::Role;

/// `tls-to-plain-port`.
pub const RULE: Rule = Rule {
    id: "tls-to-plain-port",
    severity: Severity::Error,
    stage: Stage::Tls,
    title: "TLS was spoken to a plaintext port",
    explanation: "The client began with a ClientHello, and the server expects plain HTTP there: it answers 400 in clear, or \
        waits for a line that never comes. Browsers say ERR_SSL_PROTOCOL_ERROR, OpenSSL wrong version number.",
    signature: "a ClientHello answered by text, or by silence and a close at a port that speaks plain HTTP to others",
    fix: "Use ws:// in the client for this port, or wss:// with the port that speaks TLS.\n\
        in the nginx server: listen 443 ssl;\n\
        in the nginx location, towards a plaintext backend: proxy_pass http://BACKEND;\n\
        HAProxy: add ssl crt to the bind line, or remove ssl from the server line towards a plaintext backend",
    look_alikes: "Plain HTTP to a TLS port is plain-to-tls-port.",
    reference: "RFC 6455 §3",
    check,
};

/// A server that speaks TLS answers a ClientHello at once.
const PATIENCE: Duration = Duration::from_secs(1);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (index, leg, (said, moment, confidence)) = parties::decisive_first(session).find_map(|(index, leg)| {
        let hello = leg.first_bytes.client == Some(FirstBytes::TlsHandshake) && leg.tunnel.is_none();
        Some((index, leg, hello.then(|| answered_in_clear(facts, leg))??))
    })?;
    let (client, server) = (parties::client_of(session, index)?, parties::server_of(session, index)?);
    let hello = leg.tls.as_ref().and_then(|tls| tls.client_hello).or(leg.half(Role::Client).first_data);
    let port = leg.server.port;
    let fix = match client.word {
        "proxy" => None,
        _ => Some(format!("use ws:// in the client for port {port}, or wss:// with the port that speaks TLS")),
    };
    Some(
        Evidence::on(index, format!("a ClientHello to port {port}, which speaks plain HTTP: {said}"))
            .packet_if(hello, "the ClientHello")
            .packet_if(moment, "the answer in clear")
            .confidence(confidence)
            .fix_if(fix)
            .verdict(format!("{client} speaks TLS to {server}, where plain HTTP is expected: {said}")),
    )
}

/// How the server showed that it does not speak TLS.
fn answered_in_clear(facts: &Facts<'_>, leg: &Leg) -> Option<(String, Option<Moment>, Confidence)> {
    // A ServerHello that the capture lacks was there all the same where the records behind it were read.
    if leg.tls.as_ref().is_some_and(|tls| tls.server_hello.is_some() || tls.decrypted_by.is_some()) {
        return None;
    }
    if let Some(response) = &leg.response {
        let said = format!("it answered {} {} in clear", response.head.status, quote(response.head.reason()));
        return Some((said, Some(response.moment), Confidence::High));
    }
    let server = leg.half(Role::Server);
    if matches!(leg.first_bytes.server, Some(FirstBytes::Http | FirstBytes::Text)) {
        let words = leg.odd_answer.as_deref().map(quote).filter(|words| !words.is_empty());
        let said = words.map_or("it answered in clear".to_owned(), |words| format!("it answered \"{words}\" in clear"));
        return Some((said, server.first_data, Confidence::High));
    }
    if leg.first_bytes.server.is_some() || server.bytes > 0 || server.packets == 0 {
        return None;
    }
    silent(facts, leg)
}

/// A port that expects a line of text waits for its end, which a ClientHello does not have.
fn silent(facts: &Facts<'_>, leg: &Leg) -> Option<(String, Option<Moment>, Confidence)> {
    let end = leg.first_end();
    let hello = leg.half(Role::Client).first_data?.at;
    let until = end.map_or(facts.neighbours.span.1, |end| end.moment.at);
    let waited = until.since(hello);
    let moment = end.map(|end| end.moment);
    if facts.neighbours.servers.get(&leg.server).is_some_and(|used| used.http) {
        let said = format!("it sent nothing in {}, and speaks plain HTTP with others", Span(waited));
        return end.is_some().then_some((said, moment, Confidence::Medium));
    }
    if nearby::dialled_in_vain(facts.neighbours, leg.server.ip, hello, until).is_some() {
        // It passes TLS on, and did not reach whom.
        return None;
    }
    let received = leg.half(Role::Client).unacknowledged_since.is_none() && !leg.has_holes();
    let said = format!(
        "it took the ClientHello and sent nothing in {}, as a port does that waits for text (or a server that hangs)",
        Span(waited)
    );
    (received && waited >= PATIENCE).then_some((said, moment, Confidence::Low))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::neighbours::{FailedConnection, ServerUse};
    use crate::wire::Endpoint;

    pub(crate) fn example() -> TestSession {
        let page = "HTTP/1.1 400 Bad Request\nServer: nginx/1.22.1\n\n<hr><center>nginx/1.22.1</center>";
        session().client_leg(|leg| leg.tls(|_| {}).response(page).fin(Role::Server))
    }

    #[test]
    fn text_that_is_no_http_counts_too() {
        let session = session().client_leg(|leg| leg.tls(|_| {}).odd_answer(FirstBytes::Text, "-ERR unknown command"));
        assert_eq!(session.cause(), Some(RULE.id));
    }

    #[test]
    fn explains_the_502_of_a_proxy() {
        let session = session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502))
            .backend_leg(|leg| leg.tls(|_| {}).response("HTTP/1.1 400 Bad Request\n\n"));
        assert_eq!(session.ids(), [RULE.id]);
    }

    #[test]
    fn a_long_silence_is_a_guess_and_a_better_one_at_a_port_that_speaks_http_to_others() {
        let silent = session().client_leg(|leg| leg.tls(|_| {}).after_ms(5000).fin(Role::Client));
        assert_eq!(silent.cause(), Some(RULE.id));
        assert_eq!(silent.finding(RULE.id).unwrap().evidence.confidence, Confidence::Low);
        let server = silent.session.legs[0].server;
        let used = ServerUse { connections: 5, tls: true, http: true, ..ServerUse::default() };
        let known = silent.neighbours(|neighbours| _ = neighbours.servers.insert(server, used));
        assert_eq!(known.finding(RULE.id).unwrap().evidence.confidence, Confidence::Medium);
    }

    #[test]
    fn a_server_that_meanwhile_dials_in_vain_passes_tls_on() {
        let silent = session().client_leg(|leg| leg.tls(|_| {}).after_ms(3000).fin(Role::Server));
        let hello = silent.session.legs[0].half(Role::Client).first_data.unwrap();
        let server = silent.session.legs[0].server;
        let dialling = silent.neighbours(|neighbours| {
            neighbours.failures.push(FailedConnection {
                connection: crate::tcp::ConnectionId(9),
                client: Endpoint { port: 40000, ..server },
                server: Endpoint { port: 9443, ..server },
                syn: hello,
                refused: Some(hello),
            });
        });
        assert_eq!(dialling.cause(), Some("tls-handshake-failed"));
        let meanwhile = format!("; meanwhile {} could not connect to {}:9443", server.ip, server.ip);
        assert!(dialling.diagnose().verdict.ends_with(&meanwhile));
    }

    #[test]
    fn a_quick_close_is_something_else() {
        let quick = session().client_leg(|leg| leg.tls(|_| {}).fin(Role::Server));
        assert_eq!(quick.cause(), Some("tls-handshake-failed"));
    }

    #[test]
    fn is_silent_about_tls_that_was_answered_by_tls() {
        let refused = session().client_leg(|leg| {
            leg.tls(|_| {}).alert(Role::Server, 70).with(|leg| {
                leg.first_bytes.server = Some(FirstBytes::TlsAlert(2, 70));
            })
        });
        assert!(refused.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }

    #[test]
    fn is_silent_about_an_answer_that_was_decrypted() {
        let refused = session().client_leg(|leg| {
            let leg = leg.tls(|tls| tls.decrypted_by = Some("keylog")).hole(Role::Server, 800);
            let leg = leg.request(ASKED).response("HTTP/1.1 404 Not Found\n\n");
            leg.with(|leg| leg.first_bytes.client = Some(FirstBytes::TlsHandshake))
        });
        assert!(refused.check(&RULE).is_none());
    }
}
