//! The client speaks a version of WebSocket that the server does not.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::backends::Meaning;
use crate::diagnosis::hops::{self, asks_for_websocket, first_request};
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, parties};
use crate::http::handshake::Key;
use crate::session::leg::Request;
use crate::session::{Confidence, Session};

/// `unsupported-websocket-version`.
pub const RULE: Rule = Rule {
    id: "unsupported-websocket-version",
    severity: Severity::Error,
    stage: Stage::Request,
    title: "Sec-WebSocket-Version is not 13",
    explanation: "13 is the version of RFC 6455, and the only one in use. A client that sends another one, or none, is very \
        old or made by hand. The server answers 426 or 400 and names the versions that it speaks.",
    signature: "Sec-WebSocket-Version is not 13, and the answer is 400 or 426, mostly with the versions offered, or none",
    fix: "Send Sec-WebSocket-Version: 13, or use a current WebSocket library.",
    look_alikes: "A 426 to a complete request of version 13 is another matter: look at the request behind the proxy.",
    reference: "RFC 6455 §4.1, §4.4",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let Some(refusal) = answer::refusal(session).filter(explains) else { return hung_up(session) };
    let (index, request) = first_request(session)?;
    let has_another = |request: &Request| !request.cut && !request.offer.version_13 && asks_for_websocket(request);
    if has_another(request) {
        let client = parties::client_of(session, index)?.to_string();
        return Some(sent(index, request, &refusal, &format!("{client} sent")));
    }
    // The client sent the right one: a proxy on the way changed it.
    let hop = hops::hops(session).find(|hop| hop.back_index <= refusal.made_on && has_another(hop.forwarded))?;
    let evidence =
        sent(hop.back_index, hop.forwarded, &refusal, &format!("{} passed the request on with", hop.proxy()));
    Some(evidence.fix(
        "Let the proxy pass Sec-WebSocket-Version on as the client sent it.\n\
         nginx: remove proxy_set_header Sec-WebSocket-Version",
    ))
}

/// A server that has no words for it.
fn hung_up(session: &Session) -> Option<Evidence> {
    let (index, end) = answer::hung_up_at_once(session)?;
    let request = session.legs[index].request.as_deref().filter(|request| {
        asks_for_websocket(request) && !request.offer.version_13 && request.offer.key == Key::Valid
    })?;
    let (version, server) = (version_in(request), parties::server_of(session, index)?);
    let (packet, left) = (request.moment, "closed the connection without an answer");
    Some(
        Evidence::on(index, format!("the request has {version}; {server} {left}"))
            .packet(packet, "the request")
            .packet(end, "the end")
            .confidence(Confidence::Medium)
            .verdict(format!("{} sent {version}; {server} {left}", parties::client_of(session, index)?)),
    )
}

fn version_in(request: &Request) -> String {
    match request.head.fields.first("Sec-WebSocket-Version") {
        Some(version) => format!("Sec-WebSocket-Version: {}", quote(version)),
        None => "no Sec-WebSocket-Version".to_owned(),
    }
}

/// Who sent a request with another version, and what came back.
fn sent(index: usize, request: &Request, refusal: &Refusal<'_>, who_sent: &str) -> Evidence {
    let version = version_in(request);
    let offered = match refusal.response.head.fields.first("Sec-WebSocket-Version") {
        Some(versions) => format!(" and offers {}", quote(versions)),
        None => String::new(),
    };
    let (maker, status) = (refusal.maker(), refusal.status());
    let named = refusal.meaning().is_some() || !offered.is_empty();
    Evidence::on(index, format!("the request has {version}; answered {}{offered}", refusal.said()))
        .packet(request.moment, "the request")
        .packet(refusal.response.moment, "the refusal")
        .confidence(if named { Confidence::High } else { Confidence::Medium })
        .verdict(format!("{who_sent} {version}; {maker} answered {status}{offered}"))
}

fn explains(refusal: &Refusal<'_>) -> bool {
    match refusal.meaning() {
        Some(meaning) => meaning == Meaning::WebSocketVersion,
        None => {
            let reached =
                refusal.request.is_some_and(|request| asks_for_websocket(request) && !request.offer.version_13);
            reached && matches!(refusal.status(), 400 | 426)
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    const REFUSED: &str = "HTTP/1.1 400 Bad Request\nConnection: close\nContent-Type: text/html\nContent-Length: 47\n\
        Sec-WebSocket-Version: 13, 8\n\nMissing or invalid Sec-WebSocket-Version header";

    fn with_version(line: &str) -> String {
        replaced(ASKED, "Sec-WebSocket-Version", line)
    }

    pub(crate) fn example() -> TestSession {
        answered(REFUSED).client_leg(|leg| leg.request(&with_version("Sec-WebSocket-Version: 99")))
    }

    #[test]
    fn a_server_without_words_for_it_refuses_or_hangs_up() {
        let asked = with_version("Sec-WebSocket-Version: 8");
        let bare = answered("HTTP/1.1 400 Bad Request\n\n").client_leg(|leg| leg.request(&asked));
        let silent = session().client_leg(|leg| leg.request(&asked).after_ms(3).fin(Role::Server));
        assert_eq!((bare.cause(), silent.cause()), (Some(RULE.id), Some(RULE.id)));
        let other = answered("HTTP/1.1 404 Not Found\n\n").client_leg(|leg| leg.request(&asked));
        assert_ne!(other.cause(), Some(RULE.id));
    }

    #[test]
    fn a_bare_426_that_names_versions_is_enough() {
        let answer = "HTTP/1.1 426 Upgrade Required\nSec-WebSocket-Version: 13\n\n";
        let session = answered(answer).client_leg(|leg| leg.request(&with_version("")));
        assert_eq!(session.cause(), Some(RULE.id));
        assert!(session.diagnose().verdict.contains("no Sec-WebSocket-Version"));
    }

    #[test]
    fn a_proxy_that_takes_the_version_away_is_named() {
        let session =
            refused_with(REFUSED).backend_leg(|leg| leg.request(&replaced(FORWARDED, "Sec-WebSocket-Version", "")));
        assert_eq!(session.cause(), Some(RULE.id));
        let verdict = session.diagnose().verdict;
        assert!(
            verdict.contains("the proxy 10.0.0.1:80 passed the request on with no Sec-WebSocket-Version"),
            "{verdict}"
        );
    }

    #[test]
    fn is_not_the_cause_of_another_refusal() {
        let session = example().client_leg(|leg| leg.response("HTTP/1.1 404 Not Found\n\n"));
        assert_eq!(session.ids(), ["endpoint-not-found"]);
    }

    #[test]
    fn is_silent_about_version_13_and_where_it_works() {
        assert!(answered(REFUSED).check(&RULE).is_none());
        let odd = with_version("Sec-WebSocket-Version: 8");
        assert!(session().client_leg(|leg| leg.request(&odd).response(SWITCHED).open()).check(&RULE).is_none());
    }
}
