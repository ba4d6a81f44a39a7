//! The proxy asked its backend for a page instead of a WebSocket.

use crate::diagnosis::hops::{self, Hop, asks_for_websocket, first_request, joined};
use crate::diagnosis::proxies::{self, Software};
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, answer, parties};
use crate::http::handshake::{Key, Upgrade};
use crate::http::head::Version;
use crate::session::leg::{Request, Response};
use crate::session::{Confidence, Leg, Session};

/// `upgrade-headers-stripped`.
pub const RULE: Rule = Rule {
    id: "upgrade-headers-stripped",
    severity: Severity::Error,
    stage: Stage::RequestDiff,
    title: "The proxy did not forward the upgrade headers",
    explanation: "Upgrade and Connection concern one connection only, so a proxy drops them unless it is told to pass \
        them on. The backend then sees an ordinary request and answers as it answers those: 400, 404, 426, 200, or not \
        at all. The status says nothing about the mistake; the two requests side by side do.",
    signature: "the client's request has Upgrade: websocket; the proxy's request for the same key or path has no Upgrade",
    fix: "in the nginx location: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header \
        Connection \"upgrade\";\n\
        ingress-nginx: it forwards the upgrade by itself: look for a snippet or a template that sets proxy_set_header\n\
        HAProxy: it forwards the upgrade by itself: look for http-request del-header or set-header upgrade\n\
        Apache: ProxyPass \"/ws\" \"http://BACKEND/ws\" upgrade=websocket (2.4.47 or later), or mod_proxy_wstunnel before\n\
        Caddy: reverse_proxy forwards the upgrade by itself: look for header_up -Upgrade or -Connection\n\
        Traefik: it forwards the upgrade by itself: look for a middleware that removes Upgrade or Connection\n\
        Varnish: in vcl_recv: if (req.http.upgrade ~ \"(?i)websocket\") { return (pipe); } and in vcl_pipe: set \
        bereq.http.upgrade = req.http.upgrade; set bereq.http.connection = req.http.connection;\n\
        lighttpd: proxy.header = ( \"upgrade\" => \"enable\" )\n\
        Envoy: upgrade_configs: [{ upgrade_type: websocket }] in the HTTP connection manager or the route",
    look_alikes: "A client that never asked for the upgrade: its own request shows it. A Connection header that alone is \
        wrong is connection-header-replaced.",
    reference: "RFC 6455 §4.2.1, RFC 9110 §7.6.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    between_legs(session).or_else(|| on_one_leg(session))
}

fn between_legs(session: &Session) -> Option<Evidence> {
    let hop = hops::hops(session).find(|hop| asks_for_websocket(hop.asked) && lost_upgrade(hop.forwarded))?;
    if hop.works() {
        return None;
    }
    let asked = joined(hop.before(), "Connection").unwrap_or_default();
    let got = what_went_out(hop.forwarded);
    let detail = match answer::is_extended_connect(hop.asked) {
        true => format!("client sent an extended CONNECT; upstream got {got}"),
        false => format!("client sent Upgrade: websocket, Connection: {}; upstream got {got}", quote(&asked)),
    };
    let mut evidence = Evidence::on(hop.back_index, detail)
        .packet(hop.asked.moment, "request with Upgrade")
        .packet(hop.forwarded.moment, "the proxy's request, without Upgrade")
        .packet_if(hop.back.response.as_deref().map(|response| response.moment), "the answer to it")
        .verdict(format!(
            "{} did not forward Upgrade: its request to {} went out as {got}; {}",
            hop.proxy(),
            hop.back.server,
            hop.reaction()
        ));
    if !hop.is_sure() {
        evidence = evidence.confidence(Confidence::Medium);
    }
    if let Some(fix) = better_fix(&hop) {
        evidence = evidence.fix(fix);
    }
    Some(evidence)
}

/// A request with WebSocket fields and no Upgrade: somebody in front has taken it out.
fn on_one_leg(session: &Session) -> Option<Evidence> {
    let (index, request) = first_request(session)?;
    if !request.offer.websocket_fields || !lost_upgrade(request) || request.offer.key == Key::Absent {
        return None;
    }
    let leg = &session.legs[index];
    if leg.is_aside || leg.response.as_deref().is_some_and(|response| works_without_upgrade(leg, response)) {
        return None;
    }
    let got = what_went_out(request);
    // Who is asked for leave says no with these, and so does an application.
    let may_be_aside = leg.response.as_deref().is_some_and(|response| matches!(response.head.status, 401 | 403));
    let (who, confidence) = match parties::client_of(session, index)?.word {
        _ if may_be_aside => (
            "a proxy in front took it out, or only asked here for leave, as auth_request of nginx does",
            Confidence::Low,
        ),
        "proxy" => ("the proxy in front did not forward it", Confidence::Medium),
        _ => ("a proxy in front took it out, or the client never sent it", Confidence::Medium),
    };
    let reaction = answer::reaction(session, index);
    Some(
        Evidence::on(index, format!("the request has a Sec-WebSocket-Key and no Upgrade; it came as {got}"))
            .packet(request.moment, "request without Upgrade")
            .confidence(confidence)
            .verdict(format!("the request reached {} without Upgrade, as {got}: {who}; {reaction}", leg.server)),
    )
}

/// Whether an answer opens a WebSocket all the same; or says yes and nothing else, as to a proxy that asks for leave.
fn works_without_upgrade(leg: &Leg, response: &Response) -> bool {
    answer::opens_tunnel(leg, response) || answer::is_bare_yes(response)
}

fn lost_upgrade(request: &Request) -> bool {
    matches!(request.offer.upgrade, Upgrade::Absent | Upgrade::Other) && !answer::is_extended_connect(request)
}

/// `HTTP/1.0 with Connection: close`.
fn what_went_out(request: &Request) -> String {
    let version = answer::version_of(request);
    match joined(&request.head.fields, "Connection") {
        Some(connection) => format!("{version} with Connection: {}", quote(&connection)),
        None => format!("{version} without a Connection header"),
    }
}

/// What is left to do when half of it was done.
fn better_fix(hop: &Hop<'_>) -> Option<String> {
    if hop.forwarded.offer.connection_upgrade {
        let fix = "in the nginx location: Connection is set and its twin is not: proxy_set_header Upgrade $http_upgrade; (look for a \
            misspelt name and for a missing semicolon in the line before)";
        return Some(fix.to_owned());
    }
    let is_nginx = proxies::between(hop.front, hop.back).is_some_and(|proxy| proxy.software == Software::Nginx);
    if !is_nginx || !sets_other_headers(hop) {
        return None;
    }
    let version = if hop.forwarded.head.version() == Some(Version::HTTP_10) { "proxy_http_version 1.1; " } else { "" };
    Some(format!(
        "in the nginx location: {version}proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";\n\
         If these lines stand in the server block: a location inherits them only when it has no proxy_set_header of its \
         own, and this one has. Repeat all of them in the location."
    ))
}

/// Whether the proxy writes headers that nginx writes only when it is told to.
fn sets_other_headers(hop: &Hop<'_>) -> bool {
    let (before, after) = (hop.before(), hop.after());
    let keeps_host = before.has("Host") && before.first("Host") == after.first("Host");
    let added = ["X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto"];
    keeps_host || added.into_iter().any(|name| after.has(name) && after.first(name) != before.first(name))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    const NO_UPGRADE: &str = "GET /ws HTTP/1.0\nHost: 127.0.0.1:9000\nConnection: close\nSec-WebSocket-Version: 13\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n";
    const REFUSED: &str = "HTTP/1.1 426 Upgrade Required\nContent-Type: text/plain\n\nUpgrade Required";

    pub(crate) fn example() -> TestSession {
        let answer = with_field(REFUSED, "Server: nginx/1.22.1");
        session()
            .client_leg(|leg| leg.request(ASKED).response(&answer).fin(Role::Client))
            .backend_leg(|leg| leg.request(NO_UPGRADE).response(REFUSED).fin(Role::Client))
    }

    #[test]
    fn is_the_cause_whatever_the_status_says() {
        for answer in ["HTTP/1.1 400 Bad Request\n\n", "HTTP/1.1 404 Not Found\n\n", "HTTP/1.1 200 OK\n\n"] {
            let session = example().client_leg(|leg| leg.response(answer)).backend_leg(|leg| leg.response(answer));
            assert_eq!(session.cause(), Some(RULE.id));
            assert_eq!(session.ids(), [RULE.id, "host-rewritten"], "{answer:?} says the same thing once more");
        }
    }

    #[test]
    fn the_first_proxy_that_lost_it_is_guilty() {
        let second = session()
            .client_leg(|leg| leg.request(ASKED).response(REFUSED))
            .leg(1, |leg| leg.request(FORWARDED).response(REFUSED))
            .leg(2, |leg| leg.request(NO_UPGRADE).response(REFUSED));
        assert_eq!(second.finding(RULE.id).unwrap().evidence.leg, Some(2));
        assert!(second.diagnose().verdict.contains("the proxy 127.0.0.1:9000 did not forward"));
        let first = example().leg(2, |leg| leg.request(NO_UPGRADE).response(REFUSED));
        assert_eq!(first.finding(RULE.id).unwrap().evidence.leg, Some(1));
    }

    #[test]
    fn a_proxy_that_gives_up_waiting_is_a_consequence() {
        let session = session()
            .client_leg(|leg| leg.request(ASKED).after_ms(60_000).response("HTTP/1.1 504 Gateway Time-out\n\n"))
            .backend_leg(|leg| leg.request(NO_UPGRADE).after_ms(60_000).fin(Role::Client));
        assert_eq!(session.cause(), Some(RULE.id));
        assert!(session.diagnose().verdict.ends_with("the backend gave no answer"));
    }

    #[test]
    fn a_request_for_something_else_of_which_nothing_has_come_may_ask_for_leave() {
        let waiting = |request: &str| {
            session()
                .client_leg(|leg| leg.request(ASKED))
                .backend_leg(|leg| leg.request(request))
                .check(&RULE)
                .is_some()
        };
        assert!(waiting(NO_UPGRADE));
        assert!(!waiting(&NO_UPGRADE.replace("/ws", "/verify")));
    }

    #[test]
    fn one_leg_gives_itself_away() {
        let alone = |answer| session().client_leg(|leg| leg.request(NO_UPGRADE).response(answer));
        let session = alone(REFUSED);
        assert_eq!(session.cause(), Some(RULE.id));
        assert_eq!(session.finding(RULE.id).unwrap().evidence.confidence, Confidence::Medium);
        let yes = session.client_leg(|leg| leg.response("HTTP/1.1 204 No Content\n\n"));
        assert!(yes.check(&RULE).is_none(), "a proxy that cannot be seen asked for leave");
        let evidence = alone("HTTP/1.1 403 Forbidden\n\nno").check(&RULE).unwrap();
        assert_eq!(evidence.confidence, Confidence::Low, "it may have been refused leave");
    }

    #[test]
    fn the_line_that_is_missing_is_named() {
        let half = replaced(FORWARDED, "Upgrade", "");
        let session = example().backend_leg(|leg| leg.request(&half));
        assert!(session.finding(RULE.id).unwrap().fix.contains("its twin is not"));
        let told = with_field(&replaced(NO_UPGRADE, "Host", "Host: app.example"), "X-Real-IP: 10.0.0.7");
        let session = example().backend_leg(|leg| leg.request(&told));
        assert!(session.finding(RULE.id).unwrap().fix.contains("inherits them only when"));
    }

    #[test]
    fn is_silent_when_the_upgrade_went_through() {
        assert!(refused_with(REFUSED).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
        let replaced = replaced(FORWARDED, "Connection", "Connection: close");
        assert!(refused_with(REFUSED).backend_leg(|leg| leg.request(&replaced)).check(&RULE).is_none());
    }
}
