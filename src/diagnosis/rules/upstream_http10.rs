//! The proxy speaks HTTP/1.0 to its backend.

use std::time::Duration;

use crate::diagnosis::backends::{self, Meaning};
use crate::diagnosis::hops::{self, Hop};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, answer};
use crate::http::handshake::Upgrade;
use crate::http::head::Version;
use crate::session::leg::{Request, Response};
use crate::session::{Confidence, Session};
use crate::stream::Role;

/// `upstream-http10`.
pub const RULE: Rule = Rule {
    id: "upstream-http10",
    severity: Severity::Warning,
    stage: Stage::RequestDiff,
    title: "The proxy speaks HTTP/1.0 to the backend",
    explanation: "HTTP/1.0 has no Upgrade: a server may ignore it or refuse the request. Many backends upgrade all the \
        same, so this works until the backend is replaced or updated: websockets for Python answers 505, hypercorn 400, \
        coder/websocket 426, tungstenite closes the connection. nginx before 1.29.7 speaks HTTP/1.0 unless it is told otherwise.",
    signature: "the client's request is HTTP/1.1 or later, the proxy's is HTTP/1.0 with Upgrade and Connection intact; on one leg, \
        an opening handshake in HTTP/1.0 that was refused with 400, 426 or 505",
    fix: "in the nginx location: proxy_http_version 1.1;\n\
        Apache: remove SetEnv force-proxy-request-1.0",
    look_alikes: "HTTP/1.0 without Upgrade is upgrade-headers-stripped: then the version alone is not the mistake.",
    reference: "RFC 6455 §4.2.1, RFC 9110 §7.8",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    between_legs(facts.session).or_else(|| on_one_leg(facts.session))
}

fn between_legs(session: &Session) -> Option<Evidence> {
    let hop = hops::hops(session).find(is_downgraded)?;
    let detail = "Upgrade and Connection are forwarded, but the request line says HTTP/1.0";
    let evidence = Evidence::on(hop.back_index, detail)
        .packet(hop.asked.moment, "request from the client")
        .packet(hop.forwarded.moment, "request to the backend, HTTP/1.0");
    let refused = explains_refusal(&hop);
    if hop.works() || !(refused || was_hung_up_on(&hop)) {
        return Some(evidence.not_cause());
    }
    let evidence = if refused { evidence } else { evidence.confidence(Confidence::Medium) };
    Some(evidence.severity(Severity::Error).verdict(format!(
        "{} speaks HTTP/1.0 to {}, where an upgrade needs HTTP/1.1; {}",
        hop.proxy(),
        hop.back.server,
        hop.reaction()
    )))
}

/// A handshake that is complete but for its version: the proxy that wrote it was not captured, or the client is that old.
fn on_one_leg(session: &Session) -> Option<Evidence> {
    let refusal = answer::refusal(session).filter(|refusal| refusal.request_was_intact())?;
    let request = refusal.request.filter(|request| is_upgrade_in_http10(request))?;
    if !may_be_about_the_version(refusal.response) {
        return None;
    }
    let (maker, said) = (refusal.maker(), refusal.said());
    let who = "a proxy in front, or the client, speaks it";
    Some(
        Evidence::on(refusal.made_on, format!("the opening handshake came in HTTP/1.0; it was answered {said}"))
            .packet(request.moment, "the request, HTTP/1.0")
            .packet(refusal.response.moment, "the refusal")
            .severity(Severity::Error)
            .confidence(if refusal.reading().is_some() { Confidence::High } else { Confidence::Medium })
            .fix("in the nginx location, when nginx stands in front: proxy_http_version 1.1; else let the client ask in HTTP/1.1")
            .verdict(format!("{maker} got the handshake in HTTP/1.0, where an upgrade needs HTTP/1.1, and answered {said}: {who}")),
    )
}

fn is_downgraded(hop: &Hop<'_>) -> bool {
    is_upgrade_in_http10(hop.forwarded) && hop.asked.head.version().is_some_and(|version| version > Version::HTTP_10)
}

fn is_upgrade_in_http10(request: &Request) -> bool {
    request.head.version() == Some(Version::HTTP_10)
        && matches!(request.offer.upgrade, Upgrade::WebSocket | Upgrade::Duplicate)
        && request.offer.connection_upgrade
}

/// Only an answer that may be about the version makes the version the cause: a refusal of the request, by its number or its
/// name, or a 101 whose connection is closed behind it, as HTTP/1.0 has it.
fn explains_refusal(hop: &Hop<'_>) -> bool {
    hop.back.response.as_deref().is_some_and(|response| {
        may_be_about_the_version(response) || (answer::was_dropped_at_once(hop.back) && says_nothing_else(response))
    })
}

fn may_be_about_the_version(response: &Response) -> bool {
    let refused = matches!(response.head.status, 400 | 426 | 505) || response.head.reason() == "Bad Request";
    refused && says_nothing_else(response)
}

fn says_nothing_else(response: &Response) -> bool {
    backends::read(response).is_none_or(|reading| reading.meaning == Meaning::HttpVersion)
}

/// Whether the backend closed the connection in place of an answer, as soon as it had read the request: tungstenite and Qt
/// do so with a request that is none of HTTP/1.1.
fn was_hung_up_on(hop: &Hop<'_>) -> bool {
    const AT_ONCE: Duration = Duration::from_millis(500);
    let Some(end) = hop.back.first_end().filter(|end| end.by == Role::Server) else { return false };
    let silent = hop.back.response.is_none() && hop.back.odd_answer.is_none() && !hop.back.has_holes();
    silent && end.moment.at.since(hop.forwarded.moment.at) <= AT_ONCE
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn downgraded() -> String {
        FORWARDED.replace("HTTP/1.1", "HTTP/1.0")
    }

    pub(crate) fn example() -> TestSession {
        let answer = "HTTP/1.1 505 HTTP Version Not Supported\nServer: Python/3.11 websockets/17.4\n\n\
            Failed to open a WebSocket connection: unsupported HTTP version: HTTP/1.0.";
        let passed_on = replaced(answer, "Server", "Server: nginx/1.22.1");
        refused_with(answer).client_leg(|leg| leg.response(&passed_on)).backend_leg(|leg| leg.request(&downgraded()))
    }

    #[test]
    fn a_backend_that_hangs_up_at_once_refused_it() {
        let hung_up = |milliseconds| {
            session()
                .client_leg(|leg| leg.request(ASKED).response(NGINX_502))
                .backend_leg(|leg| leg.request(&downgraded()).after_ms(milliseconds).fin(Role::Server))
        };
        let session = hung_up(3);
        assert_eq!(session.cause(), Some(RULE.id));
        assert_eq!(session.finding(RULE.id).unwrap().evidence.confidence, Confidence::Medium);
        assert_eq!(hung_up(2_000).cause(), Some("upstream-premature-close"), "it had begun to work on it");
    }

    /// HTTP/1.0 closes the connection behind the answer, and some backends do, whatever the answer.
    #[test]
    fn explains_a_101_whose_connection_is_closed() {
        let dropped = session()
            .client_leg(|leg| leg.request(ASKED).response(SWITCHED).open().fin(Role::Server))
            .backend_leg(|leg| leg.request(&downgraded()).response(SWITCHED).open().fin(Role::Server));
        assert_eq!(dropped.cause(), Some(RULE.id));
        assert!(dropped.diagnose().verdict.ends_with("the backend answered 101 and then closed the connection (FIN)"));
    }

    #[test]
    fn shows_on_the_leg_behind_a_proxy_that_was_not_captured() {
        let alone = |answer: &str| {
            session().client_leg(|leg| leg.request(&ASKED.replace("HTTP/1.1", "HTTP/1.0")).response(answer))
        };
        let told = alone("HTTP/1.1 505 HTTP Version Not Supported\n\nunsupported HTTP version: HTTP/1.0.");
        assert_eq!(told.cause(), Some(RULE.id));
        assert_eq!(told.finding(RULE.id).unwrap().evidence.confidence, Confidence::High);
        let untold = alone("HTTP/1.1 400 \n\n");
        assert_eq!(untold.cause(), Some(RULE.id));
        assert_eq!(untold.finding(RULE.id).unwrap().evidence.confidence, Confidence::Medium);
        assert!(alone("HTTP/1.1 404 Not Found\n\n").check(&RULE).is_none());
        assert!(alone("HTTP/1.1 403 x\n\ninvalid Origin header: http://a").check(&RULE).is_none());
        assert!(alone(SWITCHED).check(&RULE).is_none());
    }

    #[test]
    fn is_a_warning_while_it_works() {
        let session = healthy().backend_leg(|leg| leg.request(&downgraded()));
        assert_eq!((session.cause(), session.finding(RULE.id).unwrap().severity), (None, Severity::Warning));
    }

    #[test]
    fn is_not_the_cause_of_a_refusal_that_says_otherwise() {
        let answer = "HTTP/1.1 400 Bad Request\n\nMissing or invalid Sec-WebSocket-Version header";
        let session = refused_with(answer).backend_leg(|leg| leg.request(&downgraded()));
        assert!(!session.finding(RULE.id).unwrap().evidence.may_be_cause);
        assert_ne!(session.cause(), Some(RULE.id));
    }

    #[test]
    fn is_silent_when_the_upgrade_is_gone_too() {
        let stripped = replaced(&downgraded(), "Upgrade", "");
        assert!(example().backend_leg(|leg| leg.request(&stripped)).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
