//! The proxy asked its backend for another path.

use crate::diagnosis::backends::Meaning;
use crate::diagnosis::hops::{self, Hop};
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, answer};
use crate::session::Confidence;

/// `path-rewritten`.
pub const RULE: Rule = Rule {
    id: "path-rewritten",
    severity: Severity::Error,
    stage: Stage::RequestDiff,
    title: "The proxy changed the path",
    explanation: "The path that the backend got is not the one that the client asked for: a prefix was taken off or kept, \
        a slash doubled. The backend has no WebSocket there. Not all say 404: ws answers 400, Starlette and hypercorn 403.",
    signature: "the same Sec-WebSocket-Key with another path behind the proxy, and a 400, 403 or 404",
    fix: "nginx: proxy_pass with nothing behind the port keeps the path; with a path there, location and proxy_pass both \
        end with a slash or neither does\n\
        HAProxy: look for http-request replace-path or set-path\n\
        Apache: give ProxyPass the same path on both sides, with the same slash at the end\n\
        Caddy: handle keeps the path, handle_path takes the prefix off\n\
        Traefik: look for a StripPrefix or ReplacePath middleware\n\
        Envoy: look for prefix_rewrite or regex_rewrite in the route",
    look_alikes: "A path that is wrong from the start is endpoint-not-found: both requests then have the same one.",
    reference: "RFC 6455 §4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let hop = hops::hops(session).find(is_rewritten)?;
    let (asked, got) = (quote(path(hop.asked.head.path())), quote(path(hop.forwarded.head.path())));
    let evidence = Evidence::on(hop.back_index, format!("client asked for {asked}, upstream was asked for {got}"))
        .packet(hop.asked.moment, "request from the client")
        .packet(hop.forwarded.moment, "request with another path");
    let Some(refusal) = answer::refusal(session) else {
        return Some(evidence.severity(Severity::Note).not_cause());
    };
    let about_path = refusal.meaning() == Some(Meaning::Path) || refusal.status() == 404;
    let may_be = matches!(refusal.status(), 400 | 403) && refusal.meaning().is_none();
    if !about_path && !may_be {
        return Some(evidence.severity(Severity::Note).not_cause());
    }
    Some(
        evidence
            .confidence(if about_path { Confidence::High } else { Confidence::Medium })
            .fix_if(exact_fix(&hop))
            .verdict(format!(
                "{} turned {asked} into {got} on the way to {}; {}",
                hop.proxy(),
                hop.back.server,
                hop.reaction()
            )),
    )
}

fn is_rewritten(hop: &Hop<'_>) -> bool {
    hop.asked.head.target() != hop.forwarded.head.target()
        && path(hop.asked.head.path()) != path(hop.forwarded.head.path())
        && hop.is_sure()
}

/// A target in absolute form has the path behind its authority (RFC 9112 §3.2.2).
fn path(target: &str) -> &str {
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |slash| &rest[slash..]),
        _ => target,
    }
}

/// The line for the usual mistake: a location with a slash that takes its own prefix off.
fn exact_fix(hop: &Hop<'_>) -> Option<String> {
    use crate::diagnosis::proxies::{Software, between};
    let is_nginx = between(hop.front, hop.back).is_some_and(|proxy| proxy.software == Software::Nginx);
    is_nginx.then(|| {
        format!(
            "in the nginx location, with nothing behind the port, so that {} stays as it is: proxy_pass {}://{};",
            quote(path(hop.asked.head.path())),
            if hop.back.tls.is_some() { "https" } else { "http" },
            hop.back.server,
        )
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\nServer: nginx/1.22.1\n\nCannot GET /chat";

    fn asked() -> String {
        ASKED.replace("/ws ", "/ws/chat ")
    }

    fn rewritten() -> String {
        FORWARDED.replace("/ws ", "/chat ")
    }

    pub(crate) fn example() -> TestSession {
        refused_with(NOT_FOUND)
            .client_leg(|leg| leg.request(&asked()))
            .backend_leg(|leg| leg.request(&rewritten()).response("HTTP/1.1 404 Not Found\n\nCannot GET /chat"))
    }

    #[test]
    fn is_the_cause_of_a_vague_refusal_too() {
        let vague = "HTTP/1.1 403 Forbidden\nContent-Type: text/plain\nConnection: close\n\n";
        let session = example().client_leg(|leg| leg.response(vague)).backend_leg(|leg| leg.response(vague));
        assert_eq!(session.cause(), Some(RULE.id));
        assert_eq!(session.finding(RULE.id).unwrap().evidence.confidence, Confidence::Medium);
    }

    #[test]
    fn is_a_note_while_it_works_or_when_the_words_say_otherwise() {
        let session = healthy().backend_leg(|leg| leg.request(&rewritten()));
        assert_eq!((session.cause(), session.finding(RULE.id).unwrap().severity), (None, Severity::Note));
        let other = "HTTP/1.1 400 Bad Request\n\nSession ID unknown";
        let session = example().client_leg(|leg| leg.response(other)).backend_leg(|leg| leg.response(other));
        assert_eq!(session.finding(RULE.id).unwrap().severity, Severity::Note);
    }

    #[test]
    fn is_silent_about_the_same_path_in_another_form() {
        let absolute = FORWARDED.replace("/ws ", "http://app.example/ws ");
        assert!(refused_with(NOT_FOUND).backend_leg(|leg| leg.request(&absolute)).check(&RULE).is_none());
        let other_key = replaced(&rewritten(), "Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==");
        let other = refused_with(NOT_FOUND).backend_leg(|leg| leg.request(&other_key));
        assert!(other.check(&RULE).is_none(), "two requests, not one that was changed");
        assert!(healthy().check(&RULE).is_none());
    }
}
