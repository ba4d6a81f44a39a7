//! Whoever answered wants to know who asks.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::backends;
use crate::diagnosis::complaint::Complaint;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, origin};

/// `authentication-required`.
pub const RULE: Rule = Rule {
    id: "authentication-required",
    severity: Severity::Error,
    stage: Stage::Response,
    title: "The handshake was refused for lack of credentials",
    explanation: "401 means that no credentials came, or that they are not good. A browser cannot answer a challenge on a \
        WebSocket and cannot set Authorization: it can only send cookies, a token in the query, or a subprotocol.",
    signature: "401 (or 407 from a forward proxy), with the request intact",
    fix: "Send the cookie or token that this endpoint expects; in a browser: a cookie, a query parameter or a subprotocol.\n\
        nginx: auth_basic off; or another auth_request for the WebSocket location, when the proxy itself asks\n\
        HAProxy: leave the WebSocket path out of http-request auth\n\
        Traefik: leave the basicAuth or forwardAuth middleware out of the WebSocket router",
    look_alikes: "Credentials that the proxy dropped are credentials-lost. The ws library answers 401 to any refusal of \
        verifyClient, a foreign Origin included.",
    reference: "RFC 9110 §15.5.2, RFC 6455 §4.2.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refusal = answer::refusal(facts.session)?;
    let confidence = refusal.complains_about(Complaint::Authentication)?;
    let credentials = what_was_sent(&refusal);
    let challenge = challenge(&refusal);
    let other = match backends::is_ws(refusal.response) && refusal.request.is_some_and(origin::is_foreign) {
        true => "; its Origin is foreign too, and ws answers 401 to that by default",
        false => "",
    };
    let (maker, said) = (refusal.maker(), refusal.said());
    Some(
        Evidence::on(refusal.made_on, format!("{said}; {credentials}{challenge}{other}"))
            .packet_if(refusal.request.map(|request| request.moment), "the request")
            .packet(refusal.response.moment, "the answer")
            .confidence(if other.is_empty() { confidence } else { confidence.lowered() })
            .verdict(format!("{maker} wants credentials: it answered {}; {credentials}{challenge}", refusal.status())),
    )
}

fn what_was_sent(refusal: &Refusal<'_>) -> String {
    let Some(request) = refusal.request else { return "the request was not seen".to_owned() };
    let sent = ["Authorization", "Cookie"].into_iter().filter(|name| request.head.fields.has(name));
    let sent: Vec<&str> = sent.collect();
    match sent[..] {
        [] if request.cut => "the request was not captured whole".to_owned(),
        [] => "the request has neither Cookie nor Authorization".to_owned(),
        _ => format!("the request has {}", sent.join(" and ")),
    }
}

/// The scheme of the challenge, without its parameters.
fn challenge(refusal: &Refusal<'_>) -> String {
    let scheme = refusal.response.head.fields.first("WWW-Authenticate").and_then(|value| value.split(' ').next());
    scheme.map(|scheme| format!("; it asks for {}", quote(scheme))).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    const REFUSED: &str = "HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Bearer realm=\"x\"\n\nMissing or bad token";

    pub(crate) fn example() -> TestSession {
        refused_with(REFUSED)
    }

    #[test]
    fn says_who_asks_and_what_came() {
        let session =
            answered("HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Basic realm=\"x\"\n\n<hr><center>nginx</center>");
        let session = session.client_leg(|leg| leg.request(&with_field(ASKED, "Cookie: a=b")));
        let verdict = session.diagnose().verdict;
        assert!(verdict.contains("(nginx)") && verdict.contains("has Cookie; it asks for Basic"), "{verdict}");
    }

    #[test]
    fn is_dropped_when_the_proxy_lost_them() {
        let session = example().client_leg(|leg| leg.request(&with_field(ASKED, "Cookie: a=b")));
        assert_eq!(session.ids(), ["credentials-lost"]);
    }

    #[test]
    fn is_silent_about_a_403() {
        assert!(refused_with("HTTP/1.1 403 Forbidden\n\n").check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
