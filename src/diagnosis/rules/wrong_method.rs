//! The upgrade was asked for with another method than GET.

use crate::diagnosis::answer::Refusal;
use crate::diagnosis::complaint::Complaint;
use crate::diagnosis::hops::asks_for_websocket;
use crate::diagnosis::proxies::is_curl;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, answer, parties};
use crate::session::Confidence;
use crate::session::leg::Request;

/// `wrong-method`.
pub const RULE: Rule = Rule {
    id: "wrong-method",
    severity: Severity::Error,
    stage: Stage::Request,
    title: "The upgrade request is not a GET",
    explanation: "An opening handshake is a GET. HEAD with the upgrade headers is what curl -I sends: a test that fails on \
        a server that is in order, mostly with 405 or 400.",
    signature: "HEAD, POST or another method with the upgrade headers, refused",
    fix: "Use GET: with curl, -i -N instead of -I, or better websocat or wscat.",
    look_alikes: "Over HTTP/2 the method is CONNECT, and right (RFC 8441).",
    reference: "RFC 6455 §4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let mut asked = session.legs.iter().enumerate().filter(|(_, leg)| !leg.is_aside);
    let (index, request) = asked.find_map(|(index, leg)| {
        let request = leg.request.as_deref().filter(|request| is_wrong(request))?;
        Some((index, request))
    })?;
    let (client, method) = (parties::client_of(session, index)?, quote(request.head.method()));
    let how = match (is_curl(request), &*method) {
        (true, "HEAD") => ", as curl -I does: the test is wrong, the server may be right",
        _ => "",
    };
    let asked = format!("asked for the upgrade with {method}{how}");
    let evidence = |answered: &str| {
        Evidence::on(index, format!("the upgrade was asked for with {method}{how}; {answered}"))
            .packet(request.moment, "the request")
    };
    let Some(refusal) = answer::refusal(session) else {
        let (last, end) = answer::hung_up_at_once(session)?;
        let left = "closed the connection without an answer";
        let verdict = format!("{client} {asked}; {} {left}", parties::server_of(session, last)?);
        let evidence = evidence(&format!("the server {left}")).packet(end, "the end");
        return Some(evidence.confidence(Confidence::Medium).verdict(verdict));
    };
    let evidence = evidence(&format!("answered {}", refusal.said()))
        .packet(refusal.response.moment, "the refusal")
        .verdict(format!("{client} {asked}; {} answered {}", refusal.maker(), refusal.status()));
    let fix = "nginx: take proxy_method out of the location of the WebSocket";
    let evidence = evidence.fix_if((index > 0).then(|| fix.to_owned()));
    Some(if is_about_something_else(&refusal) { evidence.not_cause() } else { evidence })
}

fn is_wrong(request: &Request) -> bool {
    request.head.method() != "GET" && asks_for_websocket(request) && !answer::is_extended_connect(request)
}

/// A proxy without a backend and a server whose buffer is full say the same to every method.
fn is_about_something_else(refusal: &Refusal<'_>) -> bool {
    matches!(refusal.status(), 502..=504) || refusal.complains_about(Complaint::HeadTooLarge).is_some()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    fn head() -> String {
        with_field(&ASKED.replace("GET ", "HEAD "), "User-Agent: curl/7.88.1")
    }

    pub(crate) fn example() -> TestSession {
        answered("HTTP/1.1 405 Method Not Allowed\n\n").client_leg(|leg| leg.request(&head()))
    }

    #[test]
    fn a_server_may_hang_up_on_it() {
        let hung_up = session().client_leg(|leg| leg.request(&head()).after_ms(3).fin(Role::Server));
        assert_eq!(hung_up.cause(), Some(RULE.id));
    }

    #[test]
    fn post_is_wrong_too() {
        let session = example().client_leg(|leg| leg.request(&ASKED.replace("GET ", "POST ")));
        assert_eq!(session.cause(), Some(RULE.id));
        assert!(!session.diagnose().verdict.contains("curl"));
    }

    #[test]
    fn a_proxy_may_have_made_it_wrong() {
        let session = refused_with("HTTP/1.1 405 Method Not Allowed\n\n")
            .backend_leg(|leg| leg.request(&FORWARDED.replace("GET ", "POST ")));
        assert_eq!(session.cause(), Some(RULE.id));
        assert!(session.diagnose().findings[0].fix.contains("proxy_method"));
    }

    #[test]
    fn outranks_a_proxy_that_stripped_the_headers_of_a_wrong_test() {
        let stripped = replaced(&head(), "Upgrade", "");
        let session = refused_with("HTTP/1.1 404 Not Found\n\n")
            .client_leg(|leg| leg.request(&head()))
            .backend_leg(|leg| leg.request(&stripped));
        assert_eq!(session.ids()[..2], [RULE.id, "upgrade-headers-stripped"]);
    }

    #[test]
    fn is_not_the_cause_of_what_any_method_is_told() {
        let full = example().client_leg(|leg| leg.response("HTTP/1.1 431 Request Header Fields Too Large\n\n"));
        assert_eq!(full.ids(), ["request-header-too-large", RULE.id]);
        let down = example().client_leg(|leg| leg.response(NGINX_502)).backend_leg(TestLeg::refused);
        assert_eq!(down.ids(), ["upstream-refused", RULE.id]);
    }

    #[test]
    fn is_silent_where_a_server_upgrades_a_head() {
        let session = session().client_leg(|leg| leg.request(&head()).response(SWITCHED).open());
        assert!(session.check(&RULE).is_none());
        assert!(answered("HTTP/1.1 405 Method Not Allowed\n\n").check(&RULE).is_none());
    }
}
