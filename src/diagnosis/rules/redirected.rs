//! The answer sends the client elsewhere, and WebSocket clients do not go.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::complaint::Complaint;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `redirected`.
pub const RULE: Rule = Rule {
    id: "redirected",
    severity: Severity::Error,
    stage: Stage::Response,
    title: "The handshake was answered with a redirect",
    explanation: "Browsers and nearly all libraries do not follow a redirect of an opening handshake. Usual reasons: the \
        server sends plain http to https, a slash at the end is missing, or a login page stands in the way.",
    signature: "301, 302, 303, 307 or 308 with Location",
    fix: "Use the address in Location in the client: wss:// where it says https://.\n\
        nginx: exempt the WebSocket location from return 301, or name it exactly as the client asks for it, with the same \
        slash at the end\n\
        HAProxy: http-request redirect scheme https unless { ssl_fc } or { hdr(upgrade) -i websocket }\n\
        Apache: RewriteCond %{HTTP:Upgrade} !websocket [NC] before the redirect\n\
        Traefik: leave the redirectScheme middleware out of the WebSocket router",
    look_alikes: "A redirect to https although the client is on https already comes from forwarded-proto-missing.",
    reference: "RFC 6455 §4.1, RFC 9110 §15.4",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refusal = answer::refusal(facts.session)?;
    refusal.complains_about(Complaint::Redirect)?;
    let target = refusal.response.head.fields.first("Location")?;
    let (why, fix) = purpose(&refusal, target);
    // What stands behind the question mark may be a secret.
    let (status, target) = (refusal.status(), quote(target.split('?').next().unwrap_or(target)));
    let evidence = Evidence::on(refusal.made_on, format!("{status} with Location: {target}{why}"))
        .packet_if(refusal.request.map(|request| request.moment), "the request")
        .packet(refusal.response.moment, "the redirect")
        .verdict(format!(
            "{} redirects the handshake to {target} ({status}){why}; WebSocket clients do not follow",
            refusal.maker()
        ));
    Some(evidence.fix_if(fix))
}

/// What the redirect is for, and what to do about it.
fn purpose(refusal: &Refusal<'_>, target: &str) -> (&'static str, Option<String>) {
    // TLS that nobody can read stands in front of the leg on which the answer is.
    let on_tls = refusal.session.legs.iter().take(refusal.leg + 1).any(|leg| leg.tls.is_some());
    let asked = refusal.request.map_or("", |request| request.head.path());
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let secure = target.strip_prefix("https://").or_else(|| target.strip_prefix("wss://"));
    if let Some(place) = secure.filter(|_| !on_tls) {
        let place = place.split('?').next().unwrap_or_default();
        let fix = format!("connect to wss://{} instead of ws://", quote(place));
        return (": the client came without TLS", Some(fix));
    }
    if path.strip_suffix('/').is_some_and(|bare| bare == asked) {
        let fix = format!("let the client ask for {}, or take the slash off the location in the proxy", quote(path));
        return (": a slash at the end is missing", Some(fix));
    }
    let lower = target.to_ascii_lowercase();
    match ["login", "signin", "sign-in", "/auth", "sso"].into_iter().any(|word| lower.contains(word)) {
        true => {
            let fix = "Log in first, and send the cookie of the session with the handshake: mind its Domain, Path and SameSite. \
                Let the endpoint answer 401 in place of the redirect, so that the client can tell.";
            (": to a login page, so the session's cookie is missing or expired", Some(fix.to_owned()))
        }
        false => ("", None),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        answered("HTTP/1.1 301 Moved Permanently\nServer: nginx/1.22.1\nLocation: https://app.example/ws\n\n")
    }

    #[test]
    fn tells_what_the_redirect_is_for() {
        let detail = |location: &str| {
            let session = answered(&format!("HTTP/1.1 302 Found\nLocation: {location}\n\n"));
            session.finding(RULE.id).unwrap().evidence.detail
        };
        assert!(detail("http://app.example/ws/").contains("slash"));
        assert!(detail("/login?next=/ws").contains("login page"));
        assert!(detail("/elsewhere").ends_with("/elsewhere"));
        assert!(example().finding(RULE.id).unwrap().fix.contains("wss://app.example/ws"));
    }

    #[test]
    fn is_a_consequence_of_what_the_proxy_changed() {
        let stripped = replaced(FORWARDED, "Upgrade", "");
        let session = refused_with("HTTP/1.1 302 Found\nLocation: /\n\n").backend_leg(|leg| leg.request(&stripped));
        assert_eq!((session.cause(), session.finding(RULE.id).is_none()), (Some("upgrade-headers-stripped"), true));
    }

    #[test]
    fn is_silent_about_a_304_and_a_redirect_to_nowhere() {
        assert!(answered("HTTP/1.1 304 Not Modified\n\n").check(&RULE).is_none());
        assert!(answered("HTTP/1.1 302 Found\n\n").check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
