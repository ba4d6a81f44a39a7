//! Somebody answered the upgrade request as if it had asked for a page.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::complaint::Complaint;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Confidence;

/// `upgrade-ignored`.
pub const RULE: Rule = Rule {
    id: "upgrade-ignored",
    severity: Severity::Error,
    stage: Stage::Response,
    title: "The upgrade request was answered with a page",
    explanation: "The request was a complete opening handshake, and the answer is an ordinary 200. Either the proxy \
        answered from its files (a single-page application sends every path to index.html), or the request reached an \
        application that does not speak WebSocket on this path.",
    signature: "a complete upgrade request answered 200",
    fix: "Send this path to a backend that speaks WebSocket there.\n\
        nginx: give it its own location in front of the try_files fallback: location /ws { proxy_pass http://BACKEND; \
        proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; }\n\
        HAProxy: in the frontend: use_backend BACKEND if { path_beg /ws }\n\
        Caddy: give it a handle /ws* block of its own with reverse_proxy BACKEND, beside the handle block of the file_server\n\
        Traefik: add a router with the rule PathPrefix(`/ws`) for the service of that backend\n\
        Apache: ProxyPass \"/ws\" \"http://BACKEND/ws\" upgrade=websocket before the FallbackResource",
    look_alikes: "When the upgrade was lost on the way to the backend, the cause is upgrade-headers-stripped.",
    reference: "RFC 6455 §4.2.2, RFC 9110 §7.8",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refusal = answer::refusal(facts.session)?;
    refusal.complains_about(Complaint::UpgradeIgnored)?;
    let alone = facts.session.legs.len() == 1;
    let behind = if alone { "; no request to a backend was captured while it waited" } else { "" };
    let what = what_came(&refusal);
    let status = refusal.status();
    Some(
        Evidence::on(refusal.made_on, format!("a complete upgrade request was answered {status} with {what}{behind}"))
            .packet_if(refusal.request.map(|request| request.moment), "the upgrade request")
            .packet(refusal.response.moment, "the answer")
            .confidence(if alone { Confidence::Medium } else { Confidence::High })
            .verdict(format!(
                "{} answered the upgrade request for {} with {status} and {what} instead of 101{behind}",
                refusal.maker(),
                quote(refusal.request.map_or("/", |request| request.head.path())),
            )),
    )
}

fn what_came(refusal: &Refusal<'_>) -> String {
    match refusal.response.head.fields.first("Content-Type") {
        Some(kind) if kind.starts_with("text/html") => format!("a page ({})", quote(kind)),
        Some(kind) => quote(kind),
        None => "a body of no type".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    const PAGE: &str = "HTTP/1.1 200 OK\nServer: nginx/1.22.1\nContent-Type: text/html\n\n<!doctype html><html></html>";

    pub(crate) fn example() -> TestSession {
        answered(PAGE)
    }

    #[test]
    fn names_the_backend_when_it_was_the_backend() {
        let session = refused_with("HTTP/1.1 200 OK\nContent-Type: application/json\n\n{}");
        assert_eq!(session.cause(), Some(RULE.id));
        assert!(session.diagnose().verdict.starts_with("the backend 127.0.0.1:9000 answered"));
    }

    #[test]
    fn is_dropped_when_the_upgrade_was_lost_on_the_way() {
        let session = refused_with(PAGE).backend_leg(|leg| leg.request(&replaced(FORWARDED, "Upgrade", "")));
        assert_eq!(session.ids(), ["upgrade-headers-stripped"]);
    }

    #[test]
    fn is_silent_about_other_answers() {
        assert!(answered("HTTP/1.1 404 Not Found\n\n").check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
