//! The two do not agree on what to speak.

use crate::diagnosis::agreement;
use crate::diagnosis::answer::{self};
use crate::diagnosis::backends::Meaning;
use crate::diagnosis::parties;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::http::handshake::SubprotocolAnswer;
use crate::session::{Confidence, Leg};

/// `subprotocol-mismatch`.
pub const RULE: Rule = Rule {
    id: "subprotocol-mismatch",
    severity: Severity::Error,
    stage: Stage::Negotiation,
    title: "Client and server do not agree on a subprotocol",
    explanation: "The client offers subprotocols, and the server picks one of them or none. Browsers leave when it picks one \
        that was not offered, and Chrome and ws also when they offered some and none comes back.",
    signature: "the 101 names a subprotocol that was not offered, or several, or none and the client then leaves; or a 400 \
        about the subprotocol",
    fix: "Let the server pick one of the offered values: handleProtocols (ws), Subprotocols (gorilla), subprotocols= \
        (websockets); or offer what it speaks.",
    look_alikes: "A server may pick none: clients such as websockets for Python stay.",
    reference: "RFC 6455 §4.1, §4.2.2, §1.9",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    wrong_choice(facts).or_else(|| refused(facts))
}

fn wrong_choice(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (index, leg, response) = agreement::broken_101(session, |_, response| {
        !matches!(response.answer.subprotocol, SubprotocolAnswer::None | SubprotocolAnswer::Selected)
    })?;
    let left = agreement::client_left_at_once(session);
    let none = response.answer.subprotocol == SubprotocolAnswer::NotSelected;
    if none && left.is_none() {
        return None;
    }
    let offered = offered(leg);
    let selected = quote(&response.head.subprotocols().collect::<Vec<_>>().join(", "));
    let what = match (none, selected.is_empty()) {
        (true, _) => format!("the client offered {offered}, the server selected none"),
        (_, true) => format!("the client offered {offered}, the server sent an empty Sec-WebSocket-Protocol"),
        _ => format!("the client offered {offered}, the server selected {selected}"),
    };
    let end = if left.is_some() { "; the client left at once" } else { "" };
    let dropped = dropped_on_the_way(facts, index);
    let evidence = Evidence::on(index, format!("{what}{dropped}{end}"))
        .packet_if(leg.request.as_deref().map(|request| request.moment), "the offer")
        .packet(response.moment, "the choice")
        .packet_if(left, "the client leaves");
    if left.is_none() {
        return Some(evidence.severity(Severity::Warning).not_cause());
    }
    Some(
        evidence
            .confidence(if none { Confidence::Medium } else { Confidence::High })
            .verdict(format!("no common subprotocol: {what}{dropped}{end}")),
    )
}

/// What a proxy did to an answer that was right behind it.
fn dropped_on_the_way(facts: &Facts<'_>, index: usize) -> &'static str {
    let behind =
        parties::behind(facts.session, index).and_then(|behind| facts.session.legs[behind].response.as_deref());
    match behind.is_some_and(|response| response.answer.subprotocol == SubprotocolAnswer::Selected) {
        true => ", though the backend had selected one: the proxy changed the answer",
        false => "",
    }
}

fn refused(facts: &Facts<'_>) -> Option<Evidence> {
    let refusal = answer::refusal(facts.session).filter(|refusal| refusal.meaning() == Some(Meaning::Subprotocol))?;
    let offered = offered(&facts.session.legs[refusal.made_on]);
    let said = refusal.said();
    Some(
        Evidence::on(refusal.made_on, format!("the client offered {offered}; answered {said}"))
            .packet_if(refusal.request.map(|request| request.moment), "the offer")
            .packet(refusal.response.moment, "the refusal")
            .verdict(format!("{} refused the subprotocols offered ({offered}): {said}", refusal.maker())),
    )
}

fn offered(leg: &Leg) -> String {
    let offered: Vec<&str> =
        leg.request.as_deref().map(|request| request.head.subprotocols_offered().collect()).unwrap_or_default();
    if offered.is_empty() { "none".to_owned() } else { quote(&offered.join(", ")) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    fn offering() -> String {
        with_field(ASKED, "Sec-WebSocket-Protocol: graphql-ws")
    }

    fn selecting(name: &str) -> String {
        with_field(SWITCHED, &format!("Sec-WebSocket-Protocol: {name}"))
    }

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| leg.request(&offering()).response(&selecting("mqtt")).open().fin(Role::Client))
    }

    #[test]
    fn none_selected_matters_only_when_the_client_leaves() {
        let none = session().client_leg(|leg| leg.request(&offering()).response(SWITCHED).open());
        assert!(none.check(&RULE).is_none());
        assert_eq!(none.client_leg(|leg| leg.close(Role::Client, 1006, "").fin(Role::Client)).cause(), Some(RULE.id));
    }

    #[test]
    fn a_refusal_that_says_so_is_one_too() {
        let answer = "HTTP/1.1 400 Bad Request\n\nFailed to open a WebSocket connection: missing subprotocol.";
        assert_eq!(answered(answer).ids(), [RULE.id]);
    }

    #[test]
    fn is_a_warning_while_the_client_stays() {
        let session = session()
            .client_leg(|leg| leg.request(&offering()).response(&selecting("mqtt")).open().messages(Role::Client, 1));
        assert_eq!((session.cause(), session.finding(RULE.id).unwrap().severity), (None, Severity::Warning));
    }

    #[test]
    fn is_silent_about_a_good_choice() {
        let session = session()
            .client_leg(|leg| leg.request(&offering()).response(&selecting("graphql-ws")).open().fin(Role::Client));
        assert!(session.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }

    #[test]
    fn a_client_that_left_behind_tls_that_nobody_reads_has_left() {
        let behind_tls = |pause: u64| {
            let encrypted = |leg: TestLeg| {
                let leg = leg.tls(|_| {}).server_hello("TLS 1.3");
                let done = leg.now();
                leg.tls(|tls| tls.handshake_done = Some(done))
            };
            session()
                .client_leg(|leg| encrypted(leg).after_ms(pause).fin(Role::Client))
                .backend_leg(|leg| leg.request(&offering()).response(&selecting("mqtt")).open().after_ms(pause))
        };
        assert_eq!(behind_tls(26).cause(), Some(RULE.id));
        assert_ne!(behind_tls(3000).cause(), Some(RULE.id));
    }
}
