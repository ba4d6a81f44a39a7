//! A 403 that does not say why.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::complaint::Complaint;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, origin};

/// `forbidden`.
pub const RULE: Rule = Rule {
    id: "forbidden",
    severity: Severity::Error,
    stage: Stage::Response,
    title: "The handshake was answered 403",
    explanation: "A 403 alone has many reasons: an address that is denied, a firewall for web applications, a token that is \
        not good enough, an origin that is not on the list, Envoy without upgrade_configs. Who made it narrows that down.",
    signature: "403 with no better explanation",
    fix: "Ask the log of whoever made the answer.\n\
        nginx: look for deny, satisfy and a web application firewall in this location\n\
        HAProxy: look for http-request deny rules that match this path\n\
        Envoy: upgrade_configs: [{ upgrade_type: websocket }] in the HTTP connection manager; without it Envoy answers 403\n\
        Apache: look for Require in the section of this path",
    look_alikes: "origin-rejected, host-rewritten and credentials-lost come as 403 too, and say why.",
    reference: "RFC 9110 §15.5.4",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refusal = answer::refusal(facts.session)?;
    let confidence = refusal.complains_about(Complaint::Forbidden)?;
    let said = refusal.said();
    let hint = match refusal.request.filter(|request| origin::is_foreign(request)) {
        Some(request) => {
            let origin = quote(request.head.fields.first("Origin").unwrap_or_default());
            format!("; its Origin, {origin}, is not that of its Host, which may or may not be the reason")
        }
        None if is_bare(&refusal) => "; the request has no Origin, and Go's x/net/websocket refuses that so".to_owned(),
        None => String::new(),
    };
    // What stands in its body says as much as anybody will.
    let is_silent = !answer::has_words(refusal.response);
    let (which, and) = if is_silent { (", which does not say why", ", and does not say why") } else { ("", "") };
    let fix = refusal.response.body.starts_with("RBAC:").then(|| {
        "Envoy: a filter for role-based access control (RBAC) refuses it; Istio: let an AuthorizationPolicy of this \
         workload allow the GET of the handshake and its path"
            .to_owned()
    });
    Some(
        Evidence::on(refusal.made_on, format!("answered {said}{which}{hint}"))
            .packet_if(refusal.request.map(|request| request.moment), "the request")
            .packet(refusal.response.moment, "the answer")
            .confidence(confidence)
            .fix_if(fix)
            .verdict(format!("{} refused the handshake with {said}{and}{hint}", refusal.maker())),
    )
}

/// A request without Origin, and a status line alone in answer.
fn is_bare(refusal: &Refusal<'_>) -> bool {
    let without_origin = refusal.request.is_some_and(|request| !request.cut && !request.head.fields.has("Origin"));
    let response = refusal.response;
    without_origin && !response.cut && response.body.is_empty() && response.head.fields.iter().next().is_none()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        answered("HTTP/1.1 403 Forbidden\nServer: nginx/1.22.1\n\n<html><hr><center>nginx/1.22.1</center></html>")
    }

    #[test]
    fn mentions_a_foreign_origin_and_does_not_blame_it() {
        let session =
            example().client_leg(|leg| leg.request(&replaced(ASKED, "Origin", "Origin: http://evil.example")));
        assert_eq!(session.cause(), Some(RULE.id));
        assert!(session.diagnose().verdict.contains("may or may not be the reason"));
    }

    #[test]
    fn says_who_refuses_a_request_without_origin_so() {
        let bare =
            |request: &str| session().client_leg(|leg| leg.request(request).response("HTTP/1.1 403 Forbidden\n\n"));
        assert!(bare(&replaced(ASKED, "Origin", "")).diagnose().verdict.contains("has no Origin"));
        assert!(!bare(ASKED).diagnose().verdict.contains("Origin"));
    }

    #[test]
    fn is_dropped_when_the_cause_lies_before() {
        let rewritten = FORWARDED.replace("/ws ", "/ ");
        let session = refused_with("HTTP/1.1 403 Forbidden\n\n").backend_leg(|leg| leg.request(&rewritten));
        assert_eq!(session.ids(), ["path-rewritten"]);
    }

    #[test]
    fn is_silent_about_a_403_that_says_why() {
        let gorilla = "HTTP/1.1 403 Forbidden\nSec-Websocket-Version: 13\n\nForbidden\n";
        assert!(refused_with(gorilla).check(&RULE).is_none());
        assert!(answered("HTTP/1.1 401 Unauthorized\n\n").check(&RULE).is_none());
    }

    #[test]
    fn what_the_body_says_is_the_reason() {
        let istio = answered("HTTP/1.1 403 Forbidden\nserver: istio-envoy\n\nRBAC: access denied");
        assert!(istio.diagnose().verdict.ends_with("\"RBAC: access denied\""), "{}", istio.diagnose().verdict);
        assert!(istio.diagnose().findings[0].fix.contains("AuthorizationPolicy"));
        assert!(example().diagnose().verdict.ends_with("does not say why"));
    }
}
