//! Refused, for a reason that no other rule knows.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::backends::Meaning;
use crate::diagnosis::hops;
use crate::diagnosis::proxies::Software;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::http::handshake::Upgrade;
use crate::http::head::Version;
use crate::session::Confidence;
use crate::session::leg::Request;

/// `handshake-rejected`.
pub const RULE: Rule = Rule {
    id: "handshake-rejected",
    severity: Severity::Error,
    stage: Stage::Response,
    title: "The handshake was refused",
    explanation: "The answer is neither 101 nor one of the refusals that are known better. Its status, its reason and its \
        body are all that there is to go by, and who made it.",
    signature: "any answer other than 101 that no other finding explains",
    fix: "Ask the log of whoever made the answer; for a 5xx of a proxy, capture the leg behind it too.",
    look_alikes: "The status is not the diagnosis: with both legs in the capture another finding is likely to explain it.",
    reference: "RFC 6455 §4.1, §4.2.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let refusal = answer::refusal(session).filter(|refusal| !is_yes_to_something_else(refusal))?;
    let (maker, said) = (refusal.maker(), refusal.said());
    let unseen = match refusal.behind_it() {
        Some(status) => format!(", although its backend had answered {status}"),
        None => unseen(facts, &refusal).to_owned(),
    };
    let why = why(&refusal).map(|why| format!(": {why}")).unwrap_or_default();
    let request = match refusal.request {
        None => "the request was not seen",
        Some(request) => flaw(request).unwrap_or(match refusal.request_was_intact() {
            true => "the request was a complete handshake",
            false if request.cut => "the request was not captured whole",
            false => "the request was not a complete handshake",
        }),
    };
    Some(
        Evidence::on(refusal.made_on, format!("answered {said}; {request}{unseen}"))
            .packet_if(refusal.request.map(|request| request.moment), "the request")
            .packet(refusal.response.moment, "the answer")
            .confidence(confidence(&refusal))
            .fix_if((refusal.status() == MISDIRECTED).then(|| ONE_NAME.to_owned()))
            .verdict(match refusal.request {
                Some(_) => format!("{maker} refused the handshake with {said}{why}{unseen}"),
                None => format!("{maker} answered {said} to a request that was not captured{unseen}"),
            }),
    )
}

/// Whether that is a yes to a proxy that asked for leave; or a yes and nothing else, to a request that does not ask for a WebSocket.
fn is_yes_to_something_else(refusal: &Refusal<'_>) -> bool {
    let asks = refusal.request.is_none_or(hops::asks_for_websocket);
    let is_aside = refusal.session.legs[refusal.made_on].is_aside && refusal.status() < 300;
    is_aside || !asks && answer::is_bare_yes(refusal.response)
}

/// The server is not the right one for this Host on this connection (RFC 9110 §15.5.20).
const MISDIRECTED: u16 = 421;

const ONE_NAME: &str = "Let the client ask for one name in TLS and in Host, and connect by that name and not by an address.\n\
    in the nginx location, towards a backend that speaks TLS: proxy_ssl_server_name on; proxy_ssl_name $host;";

/// Why it was refused, where that is beyond doubt.
fn why(refusal: &Refusal<'_>) -> Option<&'static str> {
    if refusal.status() == MISDIRECTED {
        return Some("it does not serve this Host on this connection: the name in TLS is another one, or none");
    }
    if refusal.meaning() == Some(Meaning::Stopping) {
        return Some("its WebSocket server is being closed and takes nobody any more");
    }
    let request = refusal.request.filter(|request| refusal.status() == 400 || is_http2(request))?;
    flaw(request)
}

/// What is wrong with a request beside what makes it an opening handshake.
fn flaw(request: &Request) -> Option<&'static str> {
    if is_http2(request) {
        // RFC 9113 §8.2.2, RFC 8441 §4.
        let one =
            "it came with Upgrade, which has no place in HTTP/2; there a WebSocket begins with an extended CONNECT";
        return (request.offer.upgrade != Upgrade::Absent).then_some(one);
    }
    if request.cut || request.head.version() != Some(Version::HTTP_11) {
        return None;
    }
    // RFC 9112 §3.2.
    match request.head.fields.all("Host").count() {
        0 => Some("it came without a Host field, and a server must answer 400 to that"),
        1 => None,
        _ => Some("it came with more than one Host field, and a server must answer 400 to that"),
    }
}

fn is_http2(request: &Request) -> bool {
    request.head.version() == Some(Version::HTTP_2)
}

fn unseen(facts: &Facts<'_>, refusal: &Refusal<'_>) -> &'static str {
    // Who is known by its own words has nobody behind it.
    let by_backend = refusal.reading().is_some_and(|reading| reading.software.is_some());
    if !(500..600).contains(&refusal.status()) || refusal.session.legs.len() > 1 || by_backend {
        return "";
    }
    if refusal.page_of() == Some(Software::Nginx) && refusal.status() == 500 {
        return "; nginx says so itself when worker_connections are not enough, a rewrite goes in circles or an auth_request fails";
    }
    match facts.neighbours.endings.lead_on(refusal.session.legs[refusal.made_on].server) {
        true => "; no request to its backend is in the capture for this one, as there is for others",
        false => "; what happened behind it is not in the capture",
    }
}

fn confidence(refusal: &Refusal<'_>) -> Confidence {
    match refusal.reading() {
        Some(_) => Confidence::High,
        None if refusal.by_proxy() && refusal.session.legs.len() == 1 => Confidence::Low,
        None => Confidence::Medium,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::SessionId;

    pub(crate) fn example() -> TestSession {
        refused_with("HTTP/1.1 500 Internal Server Error\nServer: uvicorn\n\nInternal Server Error")
    }

    /// As Caddy 2.6 answers who comes to a site with client certificates by its address.
    #[test]
    fn a_misdirected_request_is_one_of_two_names() {
        let diagnosis = answered("HTTP/1.1 421 Misdirected Request\nServer: Caddy\n\n").diagnose();
        assert_eq!(diagnosis.cause().map(|cause| cause.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("the name in TLS is another one"), "{}", diagnosis.verdict);
        assert!(diagnosis.findings[0].fix.contains("proxy_ssl_name"), "{}", diagnosis.findings[0].fix);
    }

    #[test]
    fn a_proxy_that_asks_a_backend_for_others_is_told_from_one_whose_backends_were_not_captured() {
        let page = "HTTP/1.1 500 Internal Server Error\n\n";
        assert!(answered(page).diagnose().verdict.ends_with("what happened behind it is not in the capture"));
        let mut other = ending(&healthy().session);
        (other.session, other.server) = (SessionId(2), answered(page).session.legs[0].server);
        let known = answered(page).neighbours(|neighbours| _ = neighbours.endings.add(&other));
        assert!(known.diagnose().verdict.ends_with("in the capture for this one, as there is for others"));
    }

    #[test]
    fn quotes_what_was_said_and_by_whom() {
        let verdict = answered("HTTP/1.1 418 I'm a teapot\n\nshort and stout\nand more").diagnose().verdict;
        assert_eq!(verdict, "the server 10.0.0.1:80 refused the handshake with 418 I'm a teapot, \"short and stout\"");
    }

    #[test]
    fn says_what_a_host_field_too_many_or_none_comes_to() {
        let detail = |request: &str| {
            let session = session().client_leg(|leg| leg.request(request).response("HTTP/1.1 400 Bad Request\n\n"));
            session.finding(RULE.id).unwrap().evidence.detail
        };
        assert!(detail(&replaced(ASKED, "Host", "")).contains("without a Host field"));
        assert!(detail(&with_field(ASKED, "Host: other.example")).contains("more than one Host field"));
        assert!(detail(ASKED).contains("a complete handshake"));
    }

    #[test]
    fn is_dropped_when_anything_else_explains() {
        assert_eq!(refused_with("HTTP/1.1 404 Not Found\n\n").ids(), ["endpoint-not-found"]);
    }

    #[test]
    fn says_that_the_leg_behind_is_missing() {
        let session = answered("HTTP/1.1 500 Internal Server Error\n\n");
        assert!(session.diagnose().verdict.ends_with("is not in the capture"));
    }

    #[test]
    fn knows_why_nginx_says_500_itself() {
        let page = NGINX_502.replace("502 Bad Gateway", "500 Internal Server Error");
        assert!(answered(&page).diagnose().verdict.contains("worker_connections"));
    }

    #[test]
    fn says_what_the_proxy_made_of_the_backends_answer() {
        let session = refused_with(NGINX_502).backend_leg(|leg| leg.response(SWITCHED));
        assert!(session.diagnose().verdict.ends_with("502 Bad Gateway, although its backend had answered 101"));
    }

    #[test]
    fn is_silent_without_an_answer_and_after_a_101() {
        assert!(session().client_leg(|leg| leg.request(ASKED)).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
        let aside = replaced(ASKED, "Upgrade", "");
        let yes = session().client_leg(|leg| leg.request(&aside).response("HTTP/1.1 204 No Content\n\n"));
        assert!(yes.check(&RULE).is_none(), "an answer to a proxy that asks for leave");
        let named = with_field(&aside, "X-Original-URL: https://app.example/chat");
        let yes = session().client_leg(|leg| leg.request(&named).response("HTTP/1.1 200 OK\n\nwelcome"));
        assert!(yes.check(&RULE).is_none(), "it says itself what it asks about");
    }
}
