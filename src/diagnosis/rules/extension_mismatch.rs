//! The answer agrees to something that was not offered.

use crate::diagnosis::agreement;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `extension-mismatch`.
pub const RULE: Rule = Rule {
    id: "extension-mismatch",
    severity: Severity::Error,
    stage: Stage::Negotiation,
    title: "The answer names an extension that was not offered",
    explanation: "A server may only agree to extensions and parameters that the client offered. A client must leave when it \
        sees another one. Usually a proxy took the offer out of the request and left the answer alone, or a server answers \
        with a fixed text.",
    signature: "Sec-WebSocket-Extensions of a 101 has an extension or a parameter that the request did not offer",
    fix: "Answer only what was offered: leave the negotiation to the library.\n\
        nginx: remove proxy_set_header Sec-WebSocket-Extensions from the location",
    look_alikes: "Parameters of the server's own (server_no_context_takeover, server_max_window_bits) need no offer in every \
        case: RFC 7692 §7.1 says which.",
    reference: "RFC 6455 §9.1, RFC 7692 §7.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (index, leg, response) = agreement::broken_101(session, |_, response| response.answer.extension_mismatch)?;
    let offered: Vec<&str> =
        leg.request.as_deref().map(|request| request.head.extensions_offered().collect()).unwrap_or_default();
    let offered = if offered.is_empty() { "none".to_owned() } else { quote(&offered.join(", ")) };
    let agreed = quote(&response.head.extensions().collect::<Vec<_>>().join(", "));
    let left = agreement::client_left_at_once(session);
    let end = if left.is_some() { "; the client left at once" } else { "" };
    let what = format!("offered: {offered}; answered: {agreed}");
    let evidence = Evidence::on(index, format!("{what}{end}"))
        .packet_if(leg.request.as_deref().map(|request| request.moment), "the offer")
        .packet(response.moment, "the answer")
        .packet_if(left, "the client leaves")
        .verdict(format!(
            "{} agreed to an extension that was not offered ({what}){end}",
            agreement::maker(session, index)
        ));
    Some(if agreement::client_stays(session) { evidence.severity(Severity::Warning).not_cause() } else { evidence })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate";

    pub(crate) fn example() -> TestSession {
        let answer = with_field(SWITCHED, DEFLATE);
        session().client_leg(|leg| leg.request(ASKED).response(&answer).open().fin(Role::Client))
    }

    #[test]
    fn is_a_warning_while_the_client_stays() {
        let answer = with_field(SWITCHED, DEFLATE);
        let session = session().client_leg(|leg| leg.request(ASKED).response(&answer).open().messages(Role::Client, 1));
        assert_eq!((session.cause(), session.finding(RULE.id).unwrap().severity), (None, Severity::Warning));
    }

    #[test]
    fn is_silent_when_it_was_offered_or_declined() {
        let offer = with_field(ASKED, DEFLATE);
        let answer = with_field(SWITCHED, DEFLATE);
        assert!(session().client_leg(|leg| leg.request(&offer).response(&answer).open()).check(&RULE).is_none());
        assert!(session().client_leg(|leg| leg.request(&offer).response(SWITCHED).open()).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
