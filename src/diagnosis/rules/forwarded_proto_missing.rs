//! The backend does not know that the client came over TLS.

use crate::diagnosis::backends::Meaning;
use crate::diagnosis::hops::{self, Hop};
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, answer};
use crate::session::Confidence;

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
    let redirect = matches!(refusal.status(), 301 | 302 | 303 | 307 | 308)
        && refusal.response.head.fields.first("Location").is_some_and(|target| target.starts_with("https://"));
    let about_origin = refusal.meaning() == Some(Meaning::Origin) || says_page_not_found(&refusal);
    if !redirect && !about_origin {
        return None;
    }
    // It was made behind the proxy, so the backend made it.
    let hop = hops::hops(session).find(|hop| hop.back_index <= refusal.made_on && is_untold(hop))?;
    let told = if redirect { "redirected to https" } else { "refused the origin" };
    let front = if hop.front.tls.is_some() { "the client uses TLS" } else { "the Origin is https" };
    let detail = format!("{front}; upstream got no X-Forwarded-Proto; the backend {told}: {}", quote(&refusal.said()));
    let packet = refusal.response.moment;
    Some(
        Evidence::on(hop.back_index, detail)
            .packet(hop.forwarded.moment, "request without X-Forwarded-Proto")
            .packet(packet, "the answer")
            .confidence(Confidence::Medium)
            .verdict(format!(
                "{} does not tell {} that {front} (no X-Forwarded-Proto), so the backend {told} with {}",
                hop.proxy(),
                hop.back.server,
                refusal.status()
            )),
    )
}

fn is_untold(hop: &Hop<'_>) -> bool {
    let https = || hop.before().first("Origin").is_some_and(|origin| origin.starts_with("https://"));
    (hop.front.tls.is_some() || https())
        && hop.back.tls.is_none()
        && !hop.after().has("X-Forwarded-Proto")
        && !hop.after().has("Forwarded")
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
