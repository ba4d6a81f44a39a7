//! The server's proof does not fit the client's key.

use crate::diagnosis::agreement;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::http::handshake::{Accept, Key, accept_value};
use crate::session::{Leg, Session};

/// `accept-mismatch`.
pub const RULE: Rule = Rule {
    id: "accept-mismatch",
    severity: Severity::Error,
    stage: Stage::Negotiation,
    title: "Sec-WebSocket-Accept does not fit the key",
    explanation: "The server proves that it speaks WebSocket by hashing the client's key: base64(SHA1(key + GUID)). A client \
        must leave when the value is absent or wrong. A hand-written server has it wrong, or a cache or filter answered \
        with another connection's 101.",
    signature: "Sec-WebSocket-Accept of a 101 is absent, or not base64(SHA1(key + 258EAFA5-E914-47DA-95CA-C5AB0DC85B11))",
    fix: "Compute the value from the key of this very request, over its text, not over its decoded bytes; or use a WebSocket \
        library. If the backend's leg has the right value, look for a cache or filter in front of it. If \
        the proxy sends a key of its own on, let it pass Sec-WebSocket-Key.",
    look_alikes: "HAProxy adds the header to some refusals too: only in a 101 does it mean anything.",
    reference: "RFC 6455 §4.1, §4.2.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (index, leg, response) = agreement::broken_101(session, |leg, response| match response.answer.accept {
        Accept::Wrong => true,
        Accept::Absent => leg.request.as_deref().is_some_and(|request| request.offer.key != Key::Absent),
        Accept::Valid | Accept::Unknown => false,
    })?;
    let accept = response.head.fields.first("Sec-WebSocket-Accept");
    let detail = format!("{}{}", compared(leg, accept), of_another_key(session, index, accept));
    let left = agreement::client_left_at_once(session);
    let end = if left.is_some() { "; the client left at once" } else { "" };
    let evidence = Evidence::on(index, format!("{detail}{end}"))
        .packet_if(leg.request.as_deref().map(|request| request.moment), "the key")
        .packet(response.moment, "the 101")
        .packet_if(left, "the client leaves")
        .verdict(format!("{} answered 101 without proof: {detail}{end}", agreement::maker(session, index)));
    Some(if agreement::client_stays(session) { evidence.severity(Severity::Warning).not_cause() } else { evidence })
}

/// That the answer fits what the proxy sent on in place of the client's key.
fn of_another_key(session: &Session, index: usize, accept: Option<&str>) -> &'static str {
    let behind = session.legs.iter().filter(|leg| leg.behind == Some(index));
    let sent = behind.filter_map(|leg| key(leg)).any(|key| accept == Some(accept_value(key).as_str()));
    if sent { ": it fits the key that the proxy sent to the backend in place of the client's" } else { "" }
}

fn key(leg: &Leg) -> Option<&str> {
    leg.request.as_deref()?.head.fields.first("Sec-WebSocket-Key")
}

fn compared(leg: &Leg, accept: Option<&str>) -> String {
    let expected = key(leg).map(accept_value).unwrap_or_default();
    match accept {
        Some(accept) => format!("Sec-WebSocket-Accept is {}, expected {expected}", quote(accept)),
        None => format!("there is no Sec-WebSocket-Accept, expected {expected}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::Outcome;
    use crate::stream::Role;

    fn wrong() -> String {
        replaced(SWITCHED, "Sec-WebSocket-Accept", "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    }

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| leg.request(ASKED).response(&wrong()).fin(Role::Client)).outcome(Outcome::Rejected)
    }

    #[test]
    fn the_leg_where_it_went_wrong_is_named() {
        let session = example().backend_leg(|leg| leg.request(FORWARDED).response(SWITCHED));
        assert!(session.diagnose().verdict.starts_with("the proxy 10.0.0.1:80"), "the backend's own value is right");
        let session = example().backend_leg(|leg| leg.request(FORWARDED).response(&wrong()));
        assert!(session.diagnose().verdict.starts_with("the backend 127.0.0.1:9000"));
    }

    #[test]
    fn says_when_the_proxy_sent_a_key_of_its_own() {
        let own = replaced(FORWARDED, "Sec-WebSocket-Key", "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==");
        let answer = format!("Sec-WebSocket-Accept: {}", accept_value("AQIDBAUGBwgJCgsMDQ4PEA=="));
        let answer = replaced(SWITCHED, "Sec-WebSocket-Accept", &answer);
        let session = session()
            .client_leg(|leg| leg.request(ASKED).response(&answer).fin(Role::Client))
            .backend_leg(|leg| leg.request(&own).response(&answer))
            .outcome(Outcome::Rejected);
        assert!(session.diagnose().verdict.contains("the key that the proxy sent"), "{}", session.diagnose().verdict);
    }

    #[test]
    fn is_a_warning_where_the_client_does_not_look() {
        let session =
            session().client_leg(|leg| leg.request(ASKED).response(&wrong()).open().messages(Role::Client, 1));
        assert_eq!((session.cause(), session.finding(RULE.id).unwrap().severity), (None, Severity::Warning));
    }

    #[test]
    fn is_silent_when_the_key_was_not_seen_and_about_refusals() {
        assert!(session().client_leg(|leg| leg.response(SWITCHED).open()).check(&RULE).is_none());
        let refused = with_field("HTTP/1.1 426 Upgrade Required\n\n", "Sec-WebSocket-Accept: AAAA");
        assert!(answered(&refused).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
