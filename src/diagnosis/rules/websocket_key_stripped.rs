//! The key was lost on the way.

use crate::diagnosis::answer;
use crate::diagnosis::hops;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::http::handshake::{Key, Upgrade};

/// `websocket-key-stripped`.
pub const RULE: Rule = Rule {
    id: "websocket-key-stripped",
    severity: Severity::Error,
    stage: Stage::RequestDiff,
    title: "The proxy did not forward Sec-WebSocket-Key",
    explanation: "Without the key the server cannot prove that it understood the handshake, so it refuses. Proxies pass the \
        key on by themselves: a list of allowed headers, or a rule that removes unknown ones, takes it out. Over HTTP/2 there is \
        none (RFC 8441 §5): a proxy that goes on in HTTP/1.1 has to make one, and Envoy does not.",
    signature: "the client's request has Sec-WebSocket-Key, or is an extended CONNECT; the proxy's, with the same path and \
        Upgrade intact, has none",
    fix: "Let Sec-WebSocket-Key, -Version, -Protocol and -Extensions pass the proxy unchanged.\n\
        nginx: remove proxy_pass_request_headers off; and proxy_set_header Sec-WebSocket-Key lines from the location\n\
        HAProxy: remove http-request del-header rules that match sec-websocket-\n\
        Apache: remove RequestHeader unset Sec-WebSocket-Key\n\
        Envoy: it makes no key of an extended CONNECT: take allow_connect out, so that clients use HTTP/1.1",
    look_alikes: "A client that sends no key over HTTP/1.1 is invalid-websocket-key.",
    reference: "RFC 6455 §4.2.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let hop = hops::hops(facts.session).find(|hop| {
        (hop.asked.offer.key != Key::Absent || answer::is_extended_connect(hop.asked))
            && hop.forwarded.offer.key == Key::Absent
            && hop.forwarded.offer.upgrade == Upgrade::WebSocket
            && hop.asked.head.path() == hop.forwarded.head.path()
    })?;
    if hop.works() {
        return None;
    }
    let (asked, sent, failed) = match answer::is_extended_connect(hop.asked) {
        true => {
            ("the extended CONNECT", "an extended CONNECT", "made no Sec-WebSocket-Key of the extended CONNECT for")
        }
        false => ("request with the key", "Sec-WebSocket-Key", "did not forward Sec-WebSocket-Key to"),
    };
    Some(
        Evidence::on(hop.back_index, format!("client sent {sent}; upstream got Upgrade and no key"))
            .packet(hop.asked.moment, asked)
            .packet(hop.forwarded.moment, "the proxy's request, without a key")
            .verdict(format!("{} {failed} {}; {}", hop.proxy(), hop.back.server, hop.reaction())),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        let keyless = replaced(FORWARDED, "Sec-WebSocket-Key", "");
        refused_with("HTTP/1.1 400 Bad Request\n\nMissing or invalid Sec-WebSocket-Key header")
            .backend_leg(|leg| leg.request(&keyless))
    }

    #[test]
    fn is_the_only_finding() {
        assert_eq!(example().ids(), [RULE.id]);
    }

    #[test]
    fn is_silent_when_the_upgrade_is_lost_too() {
        let stripped = replaced(&replaced(FORWARDED, "Sec-WebSocket-Key", ""), "Upgrade", "");
        let session = example().backend_leg(|leg| leg.request(&stripped));
        assert!(session.check(&RULE).is_none());
        assert_eq!(session.cause(), Some("upgrade-headers-stripped"));
    }

    #[test]
    fn is_silent_when_the_client_has_none() {
        let keyless = replaced(ASKED, "Sec-WebSocket-Key", "");
        assert!(example().client_leg(|leg| leg.request(&keyless)).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
