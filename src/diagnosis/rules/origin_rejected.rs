//! The backend does not like the page that the request comes from.

use crate::diagnosis::answer;
use crate::diagnosis::complaint::Complaint;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `origin-rejected`.
pub const RULE: Rule = Rule {
    id: "origin-rejected",
    severity: Severity::Error,
    stage: Stage::Response,
    title: "The backend refused the Origin",
    explanation: "A browser says which page opens the WebSocket; a backend that guards against other sites has a list, or \
        wants the Origin to fit Host. CORS headers play no part: there is no preflight for a WebSocket. Some backends \
        also refuse a request without Origin.",
    signature: "a refusal whose words name the origin, or a shape of 403 that a backend keeps for it, with a foreign Origin",
    fix: "Add the origin to the application's list: CheckOrigin (gorilla), origins= (websockets), verifyClient (ws), \
        check_origin (Phoenix, tornado), ALLOWED_HOSTS (Django), allowed_request_origins (Rails), cors_allowed_origins= \
        (python-socketio).",
    look_alikes: "An Origin that fits Host in front of the proxy and not behind it is host-rewritten. A 403 alone says \
        nothing about the origin: that is forbidden.",
    reference: "RFC 6455 §4.2.2, §10.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refusal = answer::refusal(facts.session)?;
    let confidence = refusal.complains_about(Complaint::Origin)?;
    let fields = refusal.request.map(|request| &request.head.fields);
    let origin = match fields.and_then(|fields| fields.first("Origin")) {
        Some(origin) => format!("Origin: {}", quote(origin)),
        None => "no Origin".to_owned(),
    };
    let host = quote(refusal.request.and_then(|request| request.head.host()).unwrap_or("none"));
    let said = refusal.said();
    Some(
        Evidence::on(refusal.made_on, format!("the request has {origin}, Host: {host}; it was answered {said}"))
            .packet_if(refusal.request.map(|request| request.moment), "the request with its Origin")
            .packet(refusal.response.moment, "the refusal")
            .confidence(confidence)
            .verdict(format!("{} refused a request with {origin} for Host {host}: {said}", refusal.maker())),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::Confidence;

    fn foreign() -> String {
        replaced(ASKED, "Origin", "Origin: http://evil.example")
    }

    pub(crate) fn example() -> TestSession {
        let words = "HTTP/1.1 403 Forbidden\nServer: Python/3.11 websockets/17.4\n\n\
            Failed to open a WebSocket connection: invalid Origin header: http://evil.example.";
        answered(words).client_leg(|leg| leg.request(&foreign()))
    }

    #[test]
    fn knows_the_shape_of_the_ws_library_with_less_confidence() {
        let ws = "HTTP/1.1 403 Forbidden\nConnection: close\nContent-Type: text/html\nContent-Length: 9\n\nForbidden";
        let session = answered(ws).client_leg(|leg| leg.request(&foreign()));
        assert_eq!(session.cause(), Some(RULE.id));
        assert_eq!(session.finding(RULE.id).unwrap().evidence.confidence, Confidence::Medium);
        assert_eq!(answered(ws).cause(), Some("forbidden"), "an Origin that fits is not to blame");
    }

    #[test]
    fn takes_unknown_words_about_the_origin_with_less_confidence() {
        let cause = |words: &str| answered(words).client_leg(|leg| leg.request(&foreign())).cause();
        assert_eq!(cause("HTTP/1.1 403 Forbidden\n\norigin not allowed"), Some(RULE.id));
        assert_eq!(cause("HTTP/1.1 400 x\nX-WebSocket-Reject-Reason: Unknown Origin!\n\n"), Some(RULE.id));
        assert_eq!(cause("HTTP/1.1 403 Forbidden\n\nThe origin server said no"), Some("forbidden"));
        assert_eq!(cause("HTTP/1.1 403 Forbidden\n\nnot originally yours"), Some("forbidden"));
        let unsaid = replaced(ASKED, "Origin", "X-Other: 1");
        let without = answered("HTTP/1.1 403 Forbidden\n\norigin").client_leg(|leg| leg.request(&unsaid));
        assert_eq!(without.cause(), Some("forbidden"));
    }

    #[test]
    fn is_dropped_when_the_proxy_changed_host() {
        let words = "HTTP/1.1 403 Forbidden\n\nCross origin websockets not allowed";
        let session =
            refused_with(words).backend_leg(|leg| leg.request(&replaced(FORWARDED, "Host", "Host: backend:9000")));
        assert_eq!(session.ids(), ["host-rewritten"]);
    }

    #[test]
    fn is_silent_about_a_403_alone() {
        let page = "HTTP/1.1 403 Forbidden\n\n<hr><center>nginx</center>";
        assert!(answered(page).client_leg(|leg| leg.request(&foreign())).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
