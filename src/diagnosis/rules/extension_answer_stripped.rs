//! The backend agreed to an extension, and the client was not told.

use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, agreement, hops, parties};

/// `extension-answer-stripped`.
pub const RULE: Rule = Rule {
    id: "extension-answer-stripped",
    severity: Severity::Error,
    stage: Stage::ResponseDiff,
    title: "The proxy took the agreed extension out of the answer",
    explanation: "The backend believes that messages are compressed, the client does not: it takes the first compressed \
        frame for a violation and closes with 1002. Something between changes the headers of a tunnel that it does not \
        understand.",
    signature: "the backend's 101 has Sec-WebSocket-Extensions, the client's 101 has none",
    fix: "Let Sec-WebSocket-Extensions pass in both directions, or take it out of the request too.\n\
        nginx: remove proxy_hide_header Sec-WebSocket-Extensions; or add proxy_set_header Sec-WebSocket-Extensions \"\";",
    look_alikes: "Compressed frames without any agreement on either leg are reserved-bits-set.",
    reference: "RFC 6455 §9.1, RFC 7692 §5",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let proxy = session.proxies().find(|proxy| {
        let (Some(front), Some(back)) = (&proxy.front.response, &proxy.back.response) else { return false };
        let stripped = back.answer.deflate.is_some() && front.answer.deflate.is_none();
        // Whether the proxy makes a handshake of its own cannot be told where the snap length cut its request.
        let cut = front.cut || proxy.back.request.as_deref().is_some_and(|request| request.cut);
        stripped && !cut && front.head.status == 101 && !hops::makes_own_handshake(proxy.front, proxy.back)
    })?;
    let (front, back) = (proxy.front.response.as_deref()?, proxy.back.response.as_deref()?);
    let name = parties::server_of(session, proxy.front_index)?;
    let evidence = Evidence::on(
        proxy.back_index,
        "the backend's 101 agrees to permessage-deflate, the client's 101 does not",
    )
    .packet(back.moment, "101 with the extension")
    .packet(front.moment, "101 without it")
    .verdict(format!(
        "{name} took permessage-deflate out of the answer of {}: the backend compresses, the client does not know",
        proxy.back.server
    ));
    // A client that must refuse the answer never gets to a compressed frame.
    Some(if agreement::proves_a_websocket(front) { evidence } else { evidence.not_cause() })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate";

    fn agreed(leg: TestLeg, request: &str) -> TestLeg {
        leg.request(&with_field(request, DEFLATE)).response(&with_field(SWITCHED, DEFLATE)).open()
    }

    pub(crate) fn example() -> TestSession {
        session()
            .client_leg(|leg| {
                let leg = leg.request(&with_field(ASKED, DEFLATE)).response(SWITCHED).open();
                leg.messages(Role::Server, 1).close(Role::Client, 1002, "").fin(Role::Client)
            })
            .backend_leg(|leg| agreed(leg, FORWARDED).messages(Role::Server, 1).fin(Role::Client))
    }

    #[test]
    fn is_found_before_the_first_frame_does_harm() {
        let session = session()
            .client_leg(|leg| leg.request(&with_field(ASKED, DEFLATE)).response(SWITCHED).open())
            .backend_leg(|leg| agreed(leg, FORWARDED));
        assert_eq!(session.cause(), Some(RULE.id));
    }

    #[test]
    fn is_no_cause_of_a_session_that_closed_well() {
        let session = healthy()
            .backend_leg(|leg| leg.request(&with_field(FORWARDED, DEFLATE)).response(&with_field(SWITCHED, DEFLATE)));
        assert_eq!((session.cause(), session.ids()), (None, vec![RULE.id]));
    }

    #[test]
    fn is_silent_when_both_answers_agree() {
        let session = session().client_leg(|leg| agreed(leg, ASKED)).backend_leg(|leg| agreed(leg, FORWARDED));
        assert!(session.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
