//! Upgrade arrived, and Connection does not say so.

use crate::diagnosis::hops::{self, asks_for_websocket, first_request, joined};
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, answer};
use crate::http::handshake::Upgrade;
use crate::session::leg::Request;
use crate::session::{Confidence, Session};

/// `connection-header-replaced`.
pub const RULE: Rule = Rule {
    id: "connection-header-replaced",
    severity: Severity::Error,
    stage: Stage::RequestDiff,
    title: "Upgrade reached the backend without Connection: upgrade",
    explanation: "An upgrade needs both headers: Upgrade names the protocol, and Connection must have the token upgrade. \
        nginx writes its own Connection (close, or none) unless the location sets one, so one of the two lines was \
        forgotten. Most backends take such a request for an ordinary one.",
    signature: "the proxy's request has Upgrade: websocket, but its Connection has no token upgrade",
    fix: "in the nginx location: proxy_set_header Connection \"upgrade\";\n\
        HAProxy: remove http-request set-header connection and option httpclose from this backend\n\
        Apache: replace the RequestHeader lines by ProxyPass ... upgrade=websocket\n\
        Caddy: remove header_up Connection from reverse_proxy\n\
        Varnish: in vcl_pipe: set bereq.http.connection = req.http.connection;",
    look_alikes: "A proxy that forwards neither header is upgrade-headers-stripped. The case of the value does not \
        matter: Upgrade and upgrade are the same token.",
    reference: "RFC 6455 §4.2.1, RFC 9110 §7.8",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    between_legs(session).or_else(|| on_one_leg(session))
}

fn between_legs(session: &Session) -> Option<Evidence> {
    let hop = hops::hops(session).find(|hop| asks_properly(hop.asked) && lacks_connection(hop.forwarded))?;
    let got = connection(hop.forwarded);
    let evidence =
        Evidence::on(hop.back_index, format!("client sent Connection: upgrade; upstream got Upgrade and {got}"))
            .packet(hop.asked.moment, "request with both headers")
            .packet(hop.forwarded.moment, "the proxy's request");
    if hop.works() {
        // Some backends look at Upgrade alone.
        return Some(evidence.severity(Severity::Note).not_cause());
    }
    Some(evidence.verdict(format!(
        "{} forwarded Upgrade but not Connection: upgrade: its request to {} went out with {got}; {}",
        hop.proxy(),
        hop.back.server,
        hop.reaction()
    )))
}

fn on_one_leg(session: &Session) -> Option<Evidence> {
    let (index, request) = first_request(session).filter(|(_, request)| lacks_connection(request))?;
    let refusal = answer::refusal(session)?;
    let got = connection(request);
    let (server, status) = (session.legs[index].server, refusal.status());
    Some(
        Evidence::on(index, format!("the request has Upgrade: websocket, and {got}"))
            .packet(request.moment, "the request")
            .confidence(Confidence::Medium)
            .verdict(format!(
                "the request reached {server} with Upgrade but with {got}: a proxy in front, or the client, left out \
                 Connection: upgrade; it was answered {status}"
            )),
    )
}

fn asks_properly(request: &Request) -> bool {
    asks_for_websocket(request) && (request.offer.connection_upgrade || answer::is_extended_connect(request))
}

fn lacks_connection(request: &Request) -> bool {
    matches!(request.offer.upgrade, Upgrade::WebSocket | Upgrade::Duplicate)
        && !request.offer.connection_upgrade
        && !answer::is_extended_connect(request)
}

fn connection(request: &Request) -> String {
    match joined(&request.head.fields, "Connection") {
        Some(value) => format!("Connection: {}", quote(&value)),
        None => "no Connection header".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    const REFUSED: &str = "HTTP/1.1 426 Upgrade Required\nServer: nginx/1.31.5\n\nUpgrade Required";

    pub(crate) fn example() -> TestSession {
        let closed = replaced(FORWARDED, "Connection", "Connection: close");
        refused_with(REFUSED).backend_leg(|leg| leg.request(&closed))
    }

    #[test]
    fn is_the_cause_when_the_header_is_absent_too() {
        let absent = replaced(FORWARDED, "Connection", "");
        let session = example().backend_leg(|leg| leg.request(&absent));
        assert_eq!(session.ids(), [RULE.id]);
        assert!(session.diagnose().verdict.contains("with no Connection header; the backend answered 426"));
    }

    #[test]
    fn is_a_note_where_the_backend_does_not_mind() {
        let closed = replaced(FORWARDED, "Connection", "Connection: close");
        let session = healthy().backend_leg(|leg| leg.request(&closed));
        assert_eq!((session.cause(), session.ids()), (None, vec![RULE.id]));
    }

    #[test]
    fn one_leg_is_enough_when_it_was_refused() {
        let closed = replaced(ASKED, "Connection", "Connection: close");
        assert_eq!(answered(REFUSED).client_leg(|leg| leg.request(&closed)).cause(), Some(RULE.id));
    }

    #[test]
    fn is_silent_about_lists_and_case() {
        let list = replaced(FORWARDED, "Connection", "Connection: keep-alive, UPGRADE");
        assert!(refused_with(REFUSED).backend_leg(|leg| leg.request(&list)).check(&RULE).is_none());
        let neither = replaced(&replaced(FORWARDED, "Connection", "Connection: close"), "Upgrade", "");
        assert!(refused_with(REFUSED).backend_leg(|leg| leg.request(&neither)).check(&RULE).is_none());
    }
}
