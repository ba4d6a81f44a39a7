//! What answers there does not speak HTTP.

use crate::diagnosis::parties;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::leg::FirstBytes;
use crate::session::{Confidence, Leg, Session};
use crate::stream::Role;

/// `wrong-upstream-protocol`.
pub const RULE: Rule = Rule {
    id: "wrong-upstream-protocol",
    severity: Severity::Error,
    stage: Stage::Upstream,
    title: "The backend does not speak HTTP",
    explanation: "The request went to a port where something else listens: a database, a mail server, an SSH server, an \
        HTTP/2-only service. nginx passes such bytes on as if they were HTTP/0.9; others answer 502.",
    signature: "a request, and an answer that does not begin with HTTP/1., or a greeting before it",
    fix: "Correct the port.\n\
        nginx: the address is in proxy_pass or in the upstream block; for a gRPC or HTTP/2 service it needs grpc_pass\n\
        HAProxy: the address is in the server line; proto h2 for a backend that speaks only HTTP/2",
    look_alikes: "A TLS alert in answer to plain HTTP is plain-to-tls-port.",
    reference: "RFC 9112 §2.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    // A proxy may pass the bytes on: the leg nearest to the backend is where they come from.
    let (index, leg, kind) =
        session.legs.iter().enumerate().rev().find_map(|(index, leg)| Some((index, leg, odd(leg)?)))?;
    if is_about_a_backend(session, index) {
        return None;
    }
    let name = parties::server_of(session, index)?;
    let words = match leg.odd_answer.as_deref().map(quote) {
        Some(words) if !words.is_empty() && leg.first_bytes.server != Some(FirstBytes::Http2) => format!("\"{words}\""),
        _ => kind.to_owned(),
    };
    let outcome = front_status(session, index);
    let asked = leg.request.as_deref().map(|request| request.moment);
    let spoke = match leg.tls.as_deref() {
        Some(tls) => tls.last_record.server.map(|(moment, _)| moment),
        None => leg.half(Role::Server).first_data,
    };
    let greeted = spoke.zip(asked).is_some_and(|(spoke, asked)| spoke < asked);
    let (detail, verdict, note) = if greeted {
        (
            format!("the server spoke before it was asked: {words}{outcome}"),
            format!("{name} does not speak HTTP/1.1: it greeted with {words} before the request came{outcome}"),
            "the greeting",
        )
    } else {
        (
            format!("a request for HTTP/1.1 was answered with {words}{outcome}"),
            format!("{name} does not speak HTTP/1.1: it answered the handshake with {words}{outcome}"),
            "the answer",
        )
    };
    Some(
        Evidence::on(index, detail)
            .packet_if(asked, "the request")
            .packet_if(spoke, note)
            .confidence(if leg.earlier_requests > 0 { Confidence::Medium } else { Confidence::High })
            .verdict(verdict),
    )
}

/// Whether the words are a proxy's own: it had asked its backend, and heard nothing. http-proxy-middleware writes so, without a
/// head, on a connection that was to be upgraded.
fn is_about_a_backend(session: &Session, index: usize) -> bool {
    let unheard = |leg: &Leg| leg.request.is_some() && leg.half(Role::Server).first_data.is_none();
    session.legs.iter().any(|leg| leg.behind == Some(index) && unheard(leg) && !leg.half(Role::Server).has_holes())
}

fn odd(leg: &Leg) -> Option<&'static str> {
    // Without the SYN-ACK nobody knows where the server's bytes begin: an answer may be missing before them.
    let missed = leg.half(Role::Server).gap_bytes > 0 || leg.tcp.syn_ack.is_none();
    if leg.request.is_none() || leg.response.is_some() || leg.answer_broke_off() || !leg.is_readable() || missed {
        return None;
    }
    // What the connection began with is TLS there.
    if leg.tls.is_some() {
        return leg.odd_answer.is_some().then_some("bytes of no protocol that is known here");
    }
    match leg.first_bytes.server? {
        FirstBytes::Http2 => Some("HTTP/2 frames"),
        FirstBytes::Text => Some("text that is no HTTP"),
        FirstBytes::Other if leg.odd_answer.is_some() => Some("bytes of no protocol that is known here"),
        _ => None,
    }
}

fn front_status(session: &Session, index: usize) -> String {
    let front = session.legs[index].behind.and_then(|front| session.legs.get(front));
    match front.and_then(Leg::status) {
        Some(status) => format!("; the proxy answered {status}"),
        None => String::new(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502))
            .backend_leg(|leg| leg.request(FORWARDED).odd_answer(FirstBytes::Text, "SSH-2.0-OpenSSH_9.2"))
    }

    #[test]
    fn the_leg_behind_is_blamed_when_the_proxy_passed_it_on() {
        let session =
            example().client_leg(|leg| leg.with(|leg| leg.response = None).odd_answer(FirstBytes::Text, "SSH-2.0"));
        assert_eq!(session.finding(RULE.id).unwrap().evidence.leg, Some(1));
    }

    #[test]
    fn a_proxy_may_say_in_plain_words_that_its_backend_failed() {
        let session = session()
            .client_leg(|leg| {
                leg.request(ASKED).odd_answer(FirstBytes::Text, "Error occurred while trying to proxy: a/ws")
            })
            .backend_leg(|leg| leg.request(FORWARDED).after_ms(30).fin(Role::Server));
        assert_eq!(session.cause(), Some("upstream-premature-close"));
    }

    #[test]
    fn is_the_cause_on_a_direct_leg_too() {
        let session = session().client_leg(|leg| leg.request(ASKED).odd_answer(FirstBytes::Http2, ""));
        assert_eq!(session.cause(), Some(RULE.id));
        assert!(session.diagnose().verdict.contains("HTTP/2 frames"));
    }

    #[test]
    fn a_server_that_spoke_first_did_not_answer() {
        let greeted = session().client_leg(|leg| {
            let leg = leg.odd_answer(FirstBytes::Other, "220 mail ESMTP").after_ms(5);
            leg.request(ASKED)
        });
        let verdict = greeted.diagnose().verdict;
        assert!(verdict.ends_with("it greeted with \"220 mail ESMTP\" before the request came"), "{verdict}");
    }

    #[test]
    fn is_silent_where_an_answer_may_be_missing() {
        let joined = example().backend_leg(|leg| leg.with(|leg| leg.tcp.syn_ack = None));
        assert!(joined.check(&RULE).is_none());
    }

    #[test]
    fn is_silent_about_a_tls_alert() {
        let session = session().client_leg(|leg| leg.request(ASKED).odd_answer(FirstBytes::TlsAlert(2, 10), ""));
        assert!(session.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
