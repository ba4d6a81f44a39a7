//! A session was begun on one backend and went on at another.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::complaint::Complaint;
use crate::diagnosis::nearby;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Confidence;
use crate::session::neighbours::PlainExchange;

/// `sticky-session-missing`.
pub const RULE: Rule = Rule {
    id: "sticky-session-missing",
    severity: Severity::Error,
    stage: Stage::Response,
    title: "The session lives on another backend",
    explanation: "socket.io and SignalR begin with ordinary requests and go on with a WebSocket that names the session. Each \
        backend knows only its own sessions. Without stickiness the load balancer sends the WebSocket to another one.",
    signature: "Session ID unknown (engine.io), Invalid session (python-engineio) or No Connection with that ID (SignalR), the request intact",
    fix: "in the nginx upstream block: ip_hash;\n\
        HAProxy: balance source in the backend; or cookie SRV insert indirect nocache there, and cookie NAME on each server line\n\
        Apache: ProxySet stickysession=ROUTEID in the balancer, and route=NAME on each BalancerMember\n\
        Caddy: lb_policy ip_hash in reverse_proxy, or lb_policy cookie\n\
        Traefik: loadBalancer.sticky.cookie\n\
        ingress-nginx: the annotation nginx.ingress.kubernetes.io/affinity: cookie\n\
        Envoy: ring_hash with a hash_policy on a cookie or the source address\n\
        Or skip the ordinary requests: transports: [\"websocket\"] in socket.io, skipNegotiation in SignalR.",
    look_alikes: "A backend that was restarted does not know its old sessions either; then both requests went to the same one.",
    reference: "socket.io: Using multiple nodes",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refusal = answer::refusal(facts.session)?;
    refusal.complains_about(Complaint::UnknownSession)?;
    let backend = facts.session.legs[refusal.made_on].server;
    let said = refusal.said();
    let elsewhere = begun_elsewhere(facts, &refusal);
    let proof = match elsewhere {
        Some(exchange) => format!("; the same session was known at {}", exchange.server),
        None => String::new(),
    };
    let evidence = Evidence::on(refusal.made_on, format!("answered {said}{proof}"))
        .packet_if(elsewhere.map(|exchange| exchange.request), "the session at another backend")
        .packet_if(refusal.request.map(|request| request.moment), "the upgrade request that names it")
        .packet(refusal.response.moment, "the refusal")
        .confidence(if elsewhere.is_some() { Confidence::High } else { Confidence::Medium });
    Some(match elsewhere {
        Some(exchange) => evidence.verdict(format!(
            "the session was begun at {}, but its upgrade request went to {backend}, which does not know it: {said}",
            exchange.server
        )),
        None => evidence.verdict(format!(
            "{backend} does not know the session that the upgrade request names ({said}): it was begun at another backend, \
             or is over"
        )),
    })
}

/// A request of the same session that another backend answered well.
fn begun_elsewhere<'a>(facts: &Facts<'a>, refusal: &Refusal<'_>) -> Option<&'a PlainExchange> {
    let leg = &facts.session.legs[refusal.made_on];
    let id = session_id(refusal.request?.head.query()?)?;
    let client = facts.session.first_leg().server;
    nearby::exchanges(facts.neighbours, refusal.response.moment.at).find(|exchange| {
        exchange.server != leg.server
            // The client's own requests went to the proxy: that is no backend.
            && exchange.server != client
            && exchange.response.is_some_and(|(status, _)| (200..300).contains(&status))
            && exchange.asked.target().split_once('?').and_then(|(_, query)| session_id(query)) == Some(id)
    })
}

/// The session in a query: `sid` of engine.io, `id` of SignalR.
fn session_id(query: &str) -> Option<&str> {
    let parameters = query.split('&').filter_map(|part| part.split_once('='));
    parameters
        .into_iter()
        .find(|(name, value)| matches!(*name, "sid" | "id") && !value.is_empty())
        .map(|(_, value)| value)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::http::handshake::Upgrade;
    use crate::http::head::{RequestLine, Version};
    use crate::tcp::ConnectionId;
    use crate::wire::Endpoint;

    const UNKNOWN: &str = "HTTP/1.1 400 Bad Request\nConnection: close\nContent-type: text/html\n\nSession ID unknown";

    const POLLED: &str = "/socket.io/?EIO=4&transport=polling&t=x&sid=TlO40dPKpcoZIup8AAAA";

    fn with_sid(request: &str) -> String {
        request.replace("/ws ", "/socket.io/?EIO=4&transport=websocket&sid=TlO40dPKpcoZIup8AAAA ")
    }

    fn polled_at(port: u16) -> TestSession {
        let session = refused_with(UNKNOWN)
            .client_leg(|leg| leg.request(&with_sid(ASKED)))
            .backend_leg(|leg| leg.request(&with_sid(FORWARDED)));
        let leg = &session.session.legs[1];
        let exchange = PlainExchange {
            connection: ConnectionId(9),
            client: leg.client,
            server: Endpoint { port, ..leg.server },
            asked: RequestLine::new("GET", POLLED, Some(Version::HTTP_11)),
            upgrade: Upgrade::Absent,
            connection_upgrade: false,
            request: leg.tcp.first,
            response: Some((200, leg.tcp.first)),
        };
        session.neighbours(|neighbours| neighbours.exchanges.push(exchange))
    }

    pub(crate) fn example() -> TestSession {
        polled_at(9001)
    }

    #[test]
    fn the_words_alone_are_less_sure() {
        let same = polled_at(9000);
        assert_eq!(same.cause(), Some(RULE.id));
        assert_eq!(same.finding(RULE.id).unwrap().evidence.confidence, Confidence::Medium);
        assert_eq!(refused_with("HTTP/1.1 404 Not Found\n\nNo Connection with that ID").cause(), Some(RULE.id));
    }

    #[test]
    fn is_a_consequence_when_the_query_was_lost() {
        let session = polled_at(9001).backend_leg(|leg| leg.request(FORWARDED));
        assert_ne!(session.cause(), Some(RULE.id));
    }

    #[test]
    fn is_silent_about_other_words() {
        assert!(refused_with("HTTP/1.1 400 Bad Request\n\nTransport unknown").check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
