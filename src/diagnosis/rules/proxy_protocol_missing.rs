//! The server waits for a PROXY header and gets a request.

use crate::diagnosis::parties;
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Confidence;
use crate::stream::Role;
use crate::tcp::EndKind;

/// `proxy-protocol-missing`.
pub const RULE: Rule = Rule {
    id: "proxy-protocol-missing",
    severity: Severity::Error,
    stage: Stage::ProxyHeader,
    title: "The server drops connections without a PROXY header",
    explanation: "The server is told that every connection begins with a PROXY header, and this one does not: nginx closes \
        it in silence (its log says \"broken header ... while reading PROXY protocol\"), HAProxy resets it. The client went \
        past the load balancer, or that does not send the header.",
    signature: "a connection that is closed without a byte, at a server whose other connections begin with a PROXY header",
    fix: "Connect through the load balancer that sends the header, or let it send it.\n\
        in the nginx server, when nobody sends it: listen 80; without proxy_protocol\n\
        HAProxy: add send-proxy to the server line, or remove accept-proxy from the bind line",
    look_alikes: "A header that nobody wants is proxy-protocol-unexpected.",
    reference: "The PROXY protocol, versions 1 and 2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (index, leg, end) = parties::decisive_first(session).find_map(|(index, leg)| {
        let server = leg.half(Role::Server);
        let silent = leg.proxy_header.is_none()
            && leg.response.is_none()
            && leg.tunnel.is_none()
            && server.bytes == 0
            && server.packets > 0
            && leg.half(Role::Client).bytes > 0;
        let end = leg.first_end().filter(|end| silent && end.by == Role::Server)?;
        Some((index, leg, end))
    })?;
    facts.neighbours.servers.get(&leg.server).filter(|used| used.proxy_header)?;
    let (client, server) = (parties::client_of(session, index)?, parties::server_of(session, index)?);
    let how = match end.kind {
        EndKind::Fin => "closed",
        EndKind::Rst => "reset",
    };
    let after = Span(end.moment.at.since(leg.tcp.first.at));
    let detail =
        format!("{how} after {after} without a byte; other connections to {} begin with a PROXY header", leg.server);
    Some(
        Evidence::on(index, detail)
            .packet_if(leg.half(Role::Client).first_data, "the first bytes, without a PROXY header")
            .packet(end.moment, "the end")
            .confidence(Confidence::Medium)
            .verdict(format!(
                "{server} {how} the connection of {client} without a byte: it takes only connections that begin with a \
                 PROXY header, as its others do"
            )),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::neighbours::ServerUse;

    fn dropped() -> TestSession {
        session().client_leg(|leg| leg.request(ASKED).fin(Role::Server))
    }

    fn where_others_send_it(session: TestSession) -> TestSession {
        let server = session.session.legs[0].server;
        let used = ServerUse { connections: 9, http: true, proxy_header: true, ..ServerUse::default() };
        session.neighbours(|neighbours| _ = neighbours.servers.insert(server, used))
    }

    pub(crate) fn example() -> TestSession {
        where_others_send_it(dropped())
    }

    #[test]
    fn outranks_no_answer() {
        assert_eq!(example().ids(), [RULE.id]);
    }

    #[test]
    fn is_silent_where_nobody_sends_it_or_an_answer_came() {
        assert_eq!(dropped().cause(), Some("no-answer"));
        assert!(where_others_send_it(answered("HTTP/1.1 400 Bad Request\n\n")).check(&RULE).is_none());
        assert!(where_others_send_it(healthy()).check(&RULE).is_none());
    }
}
