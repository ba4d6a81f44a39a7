//! The proxy kept the client's credentials for itself.

use crate::diagnosis::close_code::turned_away;
use crate::diagnosis::hops::{self, Hop};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, answer};
use crate::session::Confidence;

/// `credentials-lost`.
pub const RULE: Rule = Rule {
    id: "credentials-lost",
    severity: Severity::Error,
    stage: Stage::RequestDiff,
    title: "The proxy did not forward the credentials",
    explanation: "The client sent a cookie or an Authorization header, and the backend did not get it. It takes the client \
        for a stranger.",
    signature: "Cookie or Authorization in the client's request, not in the proxy's, and a 401 or 403; or a 101, and right behind it \
        a Close that says so (1008, 3000, 3003, 4401, 4403)",
    fix: "nginx: remove proxy_set_header Cookie \"\" or Authorization \"\", and proxy_pass_request_headers off, from the \
        location\n\
        HAProxy: remove http-request del-header Cookie or Authorization\n\
        Apache: remove RequestHeader unset Cookie or Authorization; for applications behind mod_proxy_fcgi: CGIPassAuth On\n\
        Varnish: the default VCL keeps cookies for pipe: look for unset req.http.Cookie",
    look_alikes: "A browser cannot set Authorization on a WebSocket: a header that the client never sent is not lost.",
    reference: "RFC 6455 §4.1, RFC 9110 §11.6.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (hop, name) = hops::hops(session).find_map(|hop| Some((hop, lost(&hop)?)))?;
    let evidence = Evidence::on(hop.back_index, format!("client sent {name}; upstream got none"))
        .packet(hop.asked.moment, "request with credentials")
        .packet(hop.forwarded.moment, "the proxy's request, without");
    let explains = answer::refusal(session).is_some_and(|refusal| {
        matches!(refusal.status(), 401 | 403) && refusal.meaning().is_none() && refusal.made_on >= hop.back_index
    });
    let (evidence, reaction) = match turned_away(facts) {
        _ if explains => (evidence, hop.reaction()),
        Some((close, said)) => (evidence.packet(close, "the Close frame").confidence(Confidence::Medium), said),
        None => return Some(evidence.severity(Severity::Note).not_cause()),
    };
    Some(evidence.verdict(format!("{} did not forward {name} to {}; {reaction}", hop.proxy(), hop.back.server)))
}

fn lost(hop: &Hop<'_>) -> Option<&'static str> {
    let credentials = |name: &str| match name.len() {
        6 => name.eq_ignore_ascii_case("Cookie").then_some("Cookie"),
        13 => name.eq_ignore_ascii_case("Authorization").then_some("Authorization"),
        _ => None,
    };
    hop.before().iter().filter_map(|field| credentials(field.name)).find(|name| !hop.after().has(name))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    fn with_cookie() -> String {
        with_field(ASKED, "Cookie: session=1")
    }

    pub(crate) fn example() -> TestSession {
        refused_with("HTTP/1.1 401 Unauthorized\nServer: nginx/1.22.1\n\n")
            .client_leg(|leg| leg.request(&with_cookie()))
            .backend_leg(|leg| leg.response("HTTP/1.1 401 Unauthorized\n\n"))
    }

    #[test]
    fn is_a_note_while_it_works() {
        let session = healthy().client_leg(|leg| leg.request(&with_cookie()));
        assert_eq!((session.cause(), session.finding(RULE.id).unwrap().severity), (None, Severity::Note));
    }

    #[test]
    fn is_not_the_cause_of_what_the_proxy_answered_itself() {
        let session = example().backend_leg(|leg| leg.response("HTTP/1.1 200 OK\n\n"));
        assert!(!session.finding(RULE.id).unwrap().evidence.may_be_cause);
    }

    #[test]
    fn explains_a_backend_that_opens_and_closes_at_once() {
        let closed = |leg: TestLeg, milliseconds| {
            let leg = leg.open().after_ms(milliseconds).close(Role::Server, 4401, "who are you?");
            leg.close(Role::Client, 4401, "").fin(Role::Server)
        };
        let after = |milliseconds| {
            session()
                .client_leg(|leg| closed(leg.request(&with_cookie()).response(SWITCHED), milliseconds))
                .backend_leg(|leg| closed(leg.request(FORWARDED).response(SWITCHED), milliseconds))
        };
        assert_eq!(after(12).cause(), Some(RULE.id));
        assert!(after(12).diagnose().verdict.ends_with("closed with 4401 \"who are you?\""));
        assert_eq!(after(600_000).cause(), Some("close-application-code"), "it knew its client until then");
    }

    #[test]
    fn is_silent_when_they_are_forwarded() {
        let session = example().backend_leg(|leg| leg.request(&with_field(FORWARDED, "cookie: session=1")));
        assert!(session.check(&RULE).is_none());
        assert_eq!(session.cause(), Some("authentication-required"));
    }
}
