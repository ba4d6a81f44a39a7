//! A PROXY header reached somebody who takes it for a broken request.

use crate::diagnosis::backends::{self, Meaning};
use crate::diagnosis::parties;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::packet::Moment;
use crate::session::{Confidence, Leg};
use crate::stream::Role;

/// `proxy-protocol-unexpected`.
pub const RULE: Rule = Rule {
    id: "proxy-protocol-unexpected",
    severity: Severity::Error,
    stage: Stage::ProxyHeader,
    title: "A PROXY header went to a server that does not take it",
    explanation: "A load balancer puts a line or a block with the client's address in front of the connection (PROXY \
        protocol). The receiver must be told to read it; else it takes it for a request and answers 400, or closes.",
    signature: "PROXY TCP4 ..., or the signature of version 2, in front of the request; then 400, or a close without a byte",
    fix: "Send it and take it, or neither.\n\
        in the nginx server: listen 80 proxy_protocol;\n\
        HAProxy: remove send-proxy from the server line, or add accept-proxy to the bind line of the receiver\n\
        Traefik: entryPoints.NAME.proxyProtocol.trustedIPs, on the receiver\n\
        Envoy: the proxy_protocol listener filter, on the receiver",
    look_alikes: "The other way round, a server that waits for the header and gets none, is proxy-protocol-missing.",
    reference: "The PROXY protocol, versions 1 and 2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (index, leg, header, (said, moment, confidence)) =
        parties::decisive_first(session).find_map(|(index, leg)| {
            let header = leg.proxy_header.filter(|_| leg.tunnel.is_none())?;
            Some((index, leg, header, refused(leg)?))
        })?;
    let (client, server) = (parties::client_of(session, index)?, parties::server_of(session, index)?);
    let version = header.version;
    Some(
        Evidence::on(
            index,
            format!("a PROXY header (version {version}) in front of the request; the {} {said}", server.word),
        )
        .packet(header.moment, "the PROXY header")
        .packet_if(leg.request.as_deref().map(|request| request.moment), "the request behind it")
        .packet_if(moment, "the answer")
        .confidence(confidence)
        .verdict(format!(
            "{client} begins its connection to {} with a PROXY header (version {version}), which the {} does not take: \
                 it {said}",
            leg.server, server.word
        )),
    )
}

/// How the server showed that it did not understand.
fn refused(leg: &Leg) -> Option<(String, Option<Moment>, Confidence)> {
    if let Some(response) = &leg.response {
        let meaning = backends::read(response).map(|reading| reading.meaning);
        let may_be = matches!(meaning, None | Some(Meaning::NotHttp)) && response.head.status == 400;
        // A backend that understood would say more in its 400.
        let sure = meaning.is_some() || response.body.trim().is_empty();
        let confidence = if sure { Confidence::High } else { Confidence::Medium };
        return may_be.then(|| (format!("answered {}", response.head.status), Some(response.moment), confidence));
    }
    let server = leg.half(Role::Server);
    let end = leg.first_end().filter(|end| end.by == Role::Server)?;
    let silent = server.bytes == 0 && server.packets > 0;
    silent.then(|| ("closed without an answer".to_owned(), Some(end.moment), Confidence::Medium))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn with_header(answer: &str) -> TestSession {
        session()
            .client_leg(|leg| leg.request(ASKED).response(answer).fin(Role::Server))
            .backend_leg(|leg| leg.proxy_header(1).request(FORWARDED).response(answer).fin(Role::Server))
    }

    pub(crate) fn example() -> TestSession {
        with_header("HTTP/1.1 400 Bad Request\nConnection: close\n\n")
    }

    #[test]
    fn a_silent_close_is_a_refusal_and_explains_the_502() {
        let session = session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502))
            .backend_leg(|leg| leg.proxy_header(2).request(FORWARDED).fin(Role::Server));
        assert_eq!(session.ids(), [RULE.id]);
    }

    #[test]
    fn is_not_the_cause_of_a_400_that_says_otherwise() {
        let session = with_header("HTTP/1.1 400 Bad Request\n\nSession ID unknown");
        assert_eq!(session.cause(), Some("sticky-session-missing"));
    }

    #[test]
    fn is_silent_where_the_header_is_taken() {
        let works = healthy().backend_leg(|leg| leg.proxy_header(1));
        assert!(works.check(&RULE).is_none());
        assert!(with_header("HTTP/1.1 404 Not Found\n\n").check(&RULE).is_none());
    }
}
