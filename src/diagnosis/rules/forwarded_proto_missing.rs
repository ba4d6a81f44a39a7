//! The backend does not know that the client came over TLS.

use crate::diagnosis::backends::Meaning;
use crate::diagnosis::parties::{self, Name};
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, answer, origin};
use crate::session::leg::Request;
use crate::session::{Confidence, Leg, Proxy, Session};

/// `forwarded-proto-missing`.
pub const RULE: Rule = Rule {
    id: "forwarded-proto-missing",
    severity: Severity::Warning,
    stage: Stage::RequestDiff,
    title: "The proxy does not tell the backend that the client uses TLS",
    explanation: "TLS ends at the proxy, and the backend sees plain HTTP. An application that insists on https then \
        redirects to where the client already is, or takes an https Origin for a foreign one (Rails ActionCable, Django, \
        Phoenix).",
    signature: "TLS or an https Origin in front, no X-Forwarded-Proto behind, and a redirect to https or a refused origin",
    fix: "in the nginx location: proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Host $host;\n\
        HAProxy: http-request set-header X-Forwarded-Proto https if { ssl_fc }\n\
        Apache: RequestHeader set X-Forwarded-Proto \"https\"\n\
        Caddy: reverse_proxy sets it by itself: look for header_up -X-Forwarded-Proto",
    look_alikes: "A redirect to https of a client that did not use TLS is redirected: there the client is wrong.",
    reference: "RFC 7239 §5.4",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let refusal = answer::refusal(session)?;
    let is_secure = |target: &str| ["https://", "wss://"].iter().any(|scheme| target.starts_with(scheme));
    let redirect = matches!(refusal.status(), 301 | 302 | 303 | 307 | 308)
        && refusal.response.head.fields.first("Location").is_some_and(is_secure);
    let about_origin = refusal.meaning() == Some(Meaning::Origin) || says_page_not_found(&refusal);
    if !redirect && !about_origin {
        return None;
    }
    // It was made behind the proxy, so the backend made it.
    let Untold { proxy, back_index, back, forwarded, front } = untold(session, refusal.made_on, redirect)?;
    let told = if redirect { "redirected to https" } else { "refused the origin" };
    let detail = format!("{front}; upstream got no X-Forwarded-Proto; the backend {told}: {}", quote(&refusal.said()));
    Some(
        Evidence::on(back_index, detail)
            .packet(forwarded.moment, "request without X-Forwarded-Proto")
            .packet(refusal.response.moment, "the answer")
            .confidence(Confidence::Medium)
            .verdict(format!(
                "{proxy} does not tell {} that {front} (no X-Forwarded-Proto), so the backend {told} with {}",
                back.server,
                refusal.status()
            )),
    )
}

/// A proxy whose backend cannot know that the client uses TLS.
struct Untold<'a> {
    proxy: Name,
    back_index: usize,
    back: &'a Leg,
    forwarded: &'a Request,
    /// What there is to know.
    front: &'static str,
}

/// The first such proxy in front of who made the answer. What is refused for its origin has to come from the host that it asks.
fn untold(session: &Session, made_on: usize, redirect: bool) -> Option<Untold<'_>> {
    session.proxies().filter(|proxy| proxy.back_index <= made_on).find_map(|proxy| {
        let Proxy { front_index, front, back_index, back } = proxy;
        let forwarded = back.request.as_deref().filter(|request| !request.cut && back.tls.is_none())?;
        let asked = front.request.as_deref().unwrap_or(forwarded);
        let https = asked.head.fields.first("Origin").is_some_and(|origin| origin.starts_with("https://"));
        let front = match front.tls {
            Some(_) => "the client uses TLS",
            None if https => "the Origin is https",
            None => return None,
        };
        let is_told = ["X-Forwarded-Proto", "Forwarded"].iter().any(|field| forwarded.head.fields.has(field));
        if is_told || (!redirect && origin::is_foreign(asked)) {
            return None;
        }
        Some(Untold { proxy: parties::server_of(session, front_index)?, back_index, back, forwarded, front })
    })
}

/// ActionCable's way to refuse an origin.
fn says_page_not_found(refusal: &answer::Refusal<'_>) -> bool {
    refusal.status() == 404 && refusal.response.body.trim() == "Page not found"
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn over_tls(session: TestSession) -> TestSession {
        session
            .client_leg(|leg| leg.request(&replaced(ASKED, "Origin", "Origin: https://app.example")))
            .backend_leg(|leg| leg.request(&replaced(FORWARDED, "Origin", "Origin: https://app.example")))
    }

    pub(crate) fn example() -> TestSession {
        over_tls(refused_with("HTTP/1.1 301 Moved Permanently\nLocation: https://app.example/ws\n\n"))
    }

    #[test]
    fn explains_a_refused_origin() {
        assert_eq!(over_tls(refused_with("HTTP/1.1 404 Not Found\n\nPage not found")).cause(), Some(RULE.id));
    }

    #[test]
    fn a_redirect_may_name_the_scheme_of_websockets() {
        let session = over_tls(refused_with("HTTP/1.1 307 Temporary Redirect\nLocation: wss://app.example/ws\n\n"));
        assert_eq!(session.cause(), Some(RULE.id));
    }

    #[test]
    fn tls_in_front_need_not_be_read() {
        let redirect = "HTTP/1.1 301 Moved Permanently\nLocation: https://app.example/ws\n\n";
        let session =
            session().client_leg(|leg| leg.tls(|_| {})).backend_leg(|leg| leg.request(FORWARDED).response(redirect));
        assert!(session.check(&RULE).is_some());
    }

    #[test]
    fn an_origin_of_another_host_is_refused_for_that() {
        let foreign = |request: &str| replaced(request, "Origin", "Origin: https://evil.example");
        let session = refused_with("HTTP/1.1 403 Forbidden\n\nCross origin websockets not allowed")
            .client_leg(|leg| leg.request(&foreign(ASKED)))
            .backend_leg(|leg| leg.request(&foreign(FORWARDED)));
        assert_eq!(session.cause(), Some("origin-rejected"));
    }

    #[test]
    fn is_silent_when_the_backend_was_told() {
        let told = with_field(FORWARDED, "X-Forwarded-Proto: https");
        assert!(example().backend_leg(|leg| leg.request(&told)).check(&RULE).is_none());
    }

    #[test]
    fn is_silent_when_the_proxy_itself_redirects_or_the_client_is_plain() {
        let redirect = "HTTP/1.1 301 Moved Permanently\nLocation: https://app.example/ws\n\n";
        assert!(answered(redirect).check(&RULE).is_none());
        assert!(refused_with(redirect).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }

    #[test]
    fn is_no_finding_on_a_session_that_works() {
        assert!(over_tls(healthy()).check(&RULE).is_none());
    }
}
