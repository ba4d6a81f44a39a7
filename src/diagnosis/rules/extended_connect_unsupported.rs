//! A WebSocket over HTTP/2 to a server that has none.

use crate::diagnosis::answer;
use crate::diagnosis::parties;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::h2::ErrorCode;
use crate::session::leg::H2Facts;
use crate::session::{Confidence, Leg};
use crate::stream::Role;

/// `extended-connect-unsupported`.
pub const RULE: Rule = Rule {
    id: "extended-connect-unsupported",
    severity: Severity::Error,
    stage: Stage::Response,
    title: "The server does not take WebSockets over HTTP/2",
    explanation: "Over HTTP/2 a WebSocket begins with an extended CONNECT, and only a server that says \
        ENABLE_CONNECT_PROTOCOL in its SETTINGS takes it. nginx does not; HAProxy says so for any backend, and the stream \
        then fails when the backend cannot do it.",
    signature: "an extended CONNECT to a server whose SETTINGS lack ENABLE_CONNECT_PROTOCOL, or that refuses it with an error",
    fix: "Let WebSockets use HTTP/1.1 on this host: take h2 out of its ALPN.\n\
        HAProxy: server ... ws h1, or h2-workaround-bogus-websocket-clients in front\n\
        Envoy: allow_connect: true in http2_protocol_options, with upgrade_configs for websocket\n\
        nginx: it has no WebSocket over HTTP/2: clients open a second connection with HTTP/1.1 by themselves",
    look_alikes: "A browser that opens a second connection with HTTP/1.1 for its WebSocket is in order.",
    reference: "RFC 8441 §3, §4",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    // A proxy that asked on has taken it: what refused the WebSocket stands behind.
    let (index, leg, h2) = session.legs.iter().enumerate().find_map(|(index, leg)| {
        let asked_on = parties::behind(session, index).is_some_and(|behind| session.legs[behind].request.is_some());
        Some((index, leg, leg.h2.as_ref().filter(|_| !asked_on)?))
    })?;
    let request = leg.request.as_deref().filter(|request| answer::is_extended_connect(request))?;
    if leg.response.as_deref().is_some_and(|response| answer::opens_tunnel(leg, response)) {
        return None;
    }
    let how = how_refused(leg, h2)?;
    let settings = match h2.connect_protocol_enabled {
        Some(true) => "its SETTINGS allow it",
        Some(false) => "its SETTINGS lack ENABLE_CONNECT_PROTOCOL",
        None => "its SETTINGS were not seen",
    };
    let name = parties::server_of(session, index)?;
    Some(
        Evidence::on(index, format!("extended CONNECT on stream {}: {how}; {settings}", h2.stream_id))
            .packet(request.moment, "the extended CONNECT")
            .packet_if(leg.response.as_deref().map(|response| response.moment), "the refusal")
            .packet_if(h2.reset.map(|(_, _, moment)| moment), "the reset")
            .confidence(if h2.connect_protocol_enabled == Some(false) { Confidence::High } else { Confidence::Medium })
            .verdict(format!("{name} does not take a WebSocket over HTTP/2: {how}; {settings}")),
    )
}

fn how_refused(leg: &Leg, h2: &H2Facts) -> Option<String> {
    // A server that has answered may reset the stream too, to say that it reads no more of it (RFC 9113 §8.1).
    let Some(status) = leg.status() else {
        // Its answer may be among the bytes that the capture lacks.
        if leg.has_holes() {
            return None;
        }
        if let Some((by, code, _)) = h2.reset.filter(|(by, ..)| *by == Role::Server) {
            return Some(format!("the {} reset the stream: {}", by.name(), ErrorCode(code)));
        }
        let closed = leg.first_end().is_some_and(|end| end.by == Role::Server);
        let refused = closed && h2.connect_protocol_enabled == Some(false);
        return refused.then(|| "the server closed the connection without an answer".to_owned());
    };
    let about_method = matches!(status, 400 | 405 | 501);
    (h2.connect_protocol_enabled == Some(false) || about_method).then(|| format!("it was answered {status}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    const CONNECT: &str = "CONNECT /ws HTTP/2\n:protocol: websocket\nSec-WebSocket-Version: 13\n\n";

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| {
            leg.request(CONNECT).response("HTTP/2 400 \n\n").h2(|h2| {
                h2.stream_id = 1;
                h2.connect_protocol_enabled = Some(false);
            })
        })
    }

    #[test]
    fn a_reset_stream_is_a_refusal() {
        let session = session().client_leg(|leg| {
            let leg = leg.request(CONNECT);
            let at = leg.now();
            leg.h2(|h2| h2.reset = Some((Role::Server, 7, at)))
        });
        assert_eq!(session.cause(), Some(RULE.id));
    }

    #[test]
    fn a_server_that_closes_the_connection_refuses() {
        let closed = |enabled| {
            session().client_leg(|leg| {
                leg.request(CONNECT).fin(Role::Server).h2(|h2| h2.connect_protocol_enabled = Some(enabled))
            })
        };
        assert_eq!(closed(false).cause(), Some(RULE.id));
        assert!(closed(true).check(&RULE).is_none());
    }

    #[test]
    fn is_silent_where_the_proxy_asked_on() {
        let refused = "HTTP/1.1 400 Bad Request\n\nMissing or invalid Sec-WebSocket-Key header";
        let session = session()
            .client_leg(|leg| {
                let leg = leg.request(CONNECT).response("HTTP/2 400 \n\n");
                leg.h2(|h2| h2.connect_protocol_enabled = Some(true))
            })
            .backend_leg(|leg| leg.request(&replaced(FORWARDED, "Sec-WebSocket-Key", "")).response(refused));
        assert!(session.check(&RULE).is_none());
        assert_eq!(session.cause(), Some("websocket-key-stripped"));
    }

    #[test]
    fn a_reset_stream_is_none_where_the_capture_lacks_bytes() {
        let session = session().client_leg(|leg| {
            let leg = leg.request(CONNECT).with(|leg| leg.tcp.halves.responder.gap_bytes = 62);
            let at = leg.now();
            leg.h2(|h2| h2.reset = Some((Role::Server, 8, at)))
        });
        assert!(session.check(&RULE).is_none());
    }

    #[test]
    fn is_a_consequence_of_nothing_when_it_works() {
        let session = session().client_leg(|leg| leg.request(CONNECT).response("HTTP/2 200 \n\n").h2(|_| {}).open());
        assert!(session.check(&RULE).is_none());
    }

    #[test]
    fn is_silent_about_a_refusal_with_another_reason() {
        let session = session().client_leg(|leg| {
            leg.request(CONNECT).response("HTTP/2 403 \n\n").h2(|h2| h2.connect_protocol_enabled = Some(true))
        });
        assert!(session.check(&RULE).is_none());
        assert_eq!(session.cause(), Some("forbidden"));
    }
}
