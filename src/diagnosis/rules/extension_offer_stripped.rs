//! The proxy took the offer of compression out.

use crate::diagnosis::hops;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `extension-offer-stripped`.
pub const RULE: Rule = Rule {
    id: "extension-offer-stripped",
    severity: Severity::Note,
    stage: Stage::RequestDiff,
    title: "The proxy took out the offer of compression",
    explanation: "The client offered permessage-deflate and the backend never saw the offer. The WebSocket works, and sends \
        more bytes than it must. Filters that want to read messages do this on purpose.",
    signature: "Sec-WebSocket-Extensions with permessage-deflate in front of the proxy, none behind it",
    fix: "Let Sec-WebSocket-Extensions pass the proxy unchanged, if compression is wanted.\n\
        nginx: remove proxy_set_header Sec-WebSocket-Extensions \"\"; from the location",
    look_alikes: "A backend that gets the offer and does not take it declines compression: that is its right.",
    reference: "RFC 7692 §5, RFC 6455 §9.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let hop = hops::hops(facts.session).find(|hop| {
        let stripped = hop.asked.offer.deflate && !hop.forwarded.offer.deflate;
        stripped && hops::asks_for_websocket(hop.forwarded) && !hops::makes_own_handshake(hop.front, hop.back)
    })?;
    Some(
        Evidence::on(hop.back_index, "client offered permessage-deflate; upstream got no such offer")
            .packet(hop.asked.moment, "the offer")
            .packet(hop.forwarded.moment, "the proxy's request, without")
            .not_cause(),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn offering(request: &str) -> String {
        with_field(request, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    }

    pub(crate) fn example() -> TestSession {
        healthy().client_leg(|leg| leg.request(&offering(ASKED)))
    }

    #[test]
    fn is_a_note_and_never_a_cause() {
        assert_eq!((example().cause(), example().ids()), (None, vec![RULE.id]));
        let refused = refused_with("HTTP/1.1 400 Bad Request\n\n").client_leg(|leg| leg.request(&offering(ASKED)));
        assert!(refused.ids().contains(&RULE.id) && refused.cause() != Some(RULE.id));
    }

    #[test]
    fn is_silent_when_the_offer_passes_or_was_never_made() {
        assert!(example().backend_leg(|leg| leg.request(&offering(FORWARDED))).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
