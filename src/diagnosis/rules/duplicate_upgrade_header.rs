//! Two hands wrote the same header.

use crate::diagnosis::backends::Meaning;
use crate::diagnosis::hops::{self, joined};
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, answer, parties};
use crate::http::handshake::Upgrade;
use crate::session::leg::Request;
use crate::session::{Confidence, Session};

/// `duplicate-upgrade-header`.
pub const RULE: Rule = Rule {
    id: "duplicate-upgrade-header",
    severity: Severity::Error,
    stage: Stage::RequestDiff,
    title: "The upgrade was written twice on the way",
    explanation: "The request left the client with one Upgrade and reached the backend with two, or with the token twice: \
        two places of the proxy's configuration, or two proxies, add it. ws answers 400 Invalid Upgrade header, \
        websockets 426, Envoy 403 upgrade_failed; others do not mind.",
    signature: "two Upgrade fields, or websocket twice in one, behind the proxy; once in front of it",
    fix: "Set the header in one place only.\n\
        nginx: remove the second proxy_set_header Upgrade line: look into includes and snippets\n\
        HAProxy: use http-request set-header instead of add-header\n\
        Apache: use RequestHeader set instead of add, or upgrade=websocket alone",
    look_alikes: "A list such as websocket, h2c names two protocols and is legal.",
    reference: "RFC 6455 §4.2.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let explains = answer::refusal(session)
        .is_some_and(|refusal| matches!(refusal.status(), 400 | 403 | 426) && refusal.may_mean(Meaning::NotAnUpgrade));
    let hop = hops::hops(session).find(|hop| {
        let added = !hop.asked.cut && hop.asked.offer.upgrade != Upgrade::Duplicate;
        hop.forwarded.offer.upgrade == Upgrade::Duplicate && added
    });
    let Some(hop) = hop else { return if explains { behind_tls(session) } else { None } };
    let (got, detail) = what_came(hop.forwarded);
    let evidence = Evidence::on(hop.back_index, detail)
        .packet(hop.asked.moment, "request with one Upgrade")
        .packet(hop.forwarded.moment, "the proxy's request with two");
    if !explains {
        return Some(evidence.severity(Severity::Note).not_cause());
    }
    Some(evidence.verdict(format!(
        "{} wrote Upgrade a second time: {} got \"{got}\"; {}",
        hop.proxy(),
        hop.back.server,
        hop.reaction()
    )))
}

/// Behind TLS that nobody can read: no library of clients writes it twice.
fn behind_tls(session: &Session) -> Option<Evidence> {
    let (proxy, request) =
        hops::behind_tls(session).find(|(_, request)| request.offer.upgrade == Upgrade::Duplicate)?;
    let (got, detail) = what_came(request);
    Some(
        Evidence::on(proxy.back_index, detail)
            .packet(request.moment, "the proxy's request with two")
            .confidence(Confidence::Medium)
            .verdict(format!(
                "the request reached {} with \"{got}\" in Upgrade: most likely {} wrote it a second time; {}",
                proxy.back.server,
                parties::server_of(session, proxy.front_index)?,
                answer::reaction(session, proxy.back_index)
            )),
    )
}

/// What stood in the Upgrade of a request, and that as a sentence.
fn what_came(request: &Request) -> (String, String) {
    let got = quote(&joined(&request.head.fields, "Upgrade").unwrap_or_default());
    let detail = match request.head.fields.all("Upgrade").count() {
        1 => format!("upstream got Upgrade: {got}"),
        fields => format!("upstream got {fields} Upgrade fields: {got}"),
    };
    (got, detail)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn doubled() -> String {
        with_field(FORWARDED, "Upgrade: websocket")
    }

    pub(crate) fn example() -> TestSession {
        refused_with("HTTP/1.1 400 Bad Request\n\nInvalid Upgrade header").backend_leg(|leg| leg.request(&doubled()))
    }

    #[test]
    fn counts_tokens_as_well_as_fields() {
        let list = replaced(FORWARDED, "Upgrade", "Upgrade: websocket, websocket");
        assert_eq!(example().backend_leg(|leg| leg.request(&list)).cause(), Some(RULE.id));
    }

    #[test]
    fn behind_tls_the_proxy_is_likely_guilty() {
        let answer = "HTTP/1.1 400 Bad Request\n\nInvalid Upgrade header";
        let behind = session().client_leg(|leg| leg.tls(|_| {}));
        assert_eq!(behind.backend_leg(|leg| leg.request(&doubled()).response(answer)).cause(), Some(RULE.id));
        let client = answered(answer).client_leg(|leg| leg.request(&with_field(ASKED, "Upgrade: websocket")));
        assert_eq!(client.cause(), Some("handshake-rejected"), "nobody stands in front");
    }

    #[test]
    fn is_a_note_while_it_works() {
        let session = healthy().backend_leg(|leg| leg.request(&doubled()));
        assert_eq!((session.cause(), session.ids()), (None, vec![RULE.id]));
        assert_eq!(session.finding(RULE.id).unwrap().severity, Severity::Note);
    }

    #[test]
    fn is_silent_about_a_list_of_two_protocols() {
        let list = replaced(FORWARDED, "Upgrade", "Upgrade: websocket, h2c");
        assert!(healthy().backend_leg(|leg| leg.request(&list)).check(&RULE).is_none());
    }
}
