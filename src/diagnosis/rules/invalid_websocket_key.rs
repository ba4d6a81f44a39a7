//! The client's key is none.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::backends::Meaning;
use crate::diagnosis::hops::{asks_for_websocket, first_request};
use crate::diagnosis::proxies::is_curl;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, parties};
use crate::http::handshake::Key;
use crate::session::leg::Request;
use crate::session::{Confidence, Session};

/// `invalid-websocket-key`.
pub const RULE: Rule = Rule {
    id: "invalid-websocket-key",
    severity: Severity::Error,
    stage: Stage::Request,
    title: "The client's Sec-WebSocket-Key is not valid",
    explanation: "The key is 16 random bytes in base64: 24 characters, the last two of them ==. Many servers check it \
        (ws, websockets, aiohttp, daphne, HAProxy) and answer 400; others do not. A hand-made test with a key such as test \
        fails on a server that is in order.",
    signature: "Sec-WebSocket-Key missing, repeated, or not 16 bytes of base64, in the request as the client sent it",
    fix: "Send 16 random bytes in base64, once. By hand, with curl: -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='",
    look_alikes: "A key that the client sent and the backend did not get is websocket-key-stripped.",
    reference: "RFC 6455 §4.1, §4.2.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (index, request) = first_request(session)?;
    if request.offer.key == Key::Valid || !is_handshake(request) {
        return None;
    }
    let key = describe(request);
    let curl = if is_curl(request) { "; the client is curl, so this is a test by hand" } else { "" };
    let evidence = Evidence::on(index, format!("{key}{curl}")).packet(request.moment, "the request with this key");
    let client = parties::client_of(session, index)?;
    let Some(refusal) = answer::refusal(session).filter(explains) else {
        let hung_up = answer::hung_up_at_once(session).filter(|&(last, _)| has_key_of(session, last, request));
        if let Some((last, end)) = hung_up {
            let server = parties::server_of(session, last)?;
            return Some(evidence.packet(end, "the end").confidence(Confidence::Medium).verdict(format!(
                "{client} sent an invalid handshake: {key}{curl}; {server} closed the connection without an answer"
            )));
        }
        return Some(evidence.severity(Severity::Warning).not_cause());
    };
    let evidence = evidence.packet(refusal.response.moment, "the refusal");
    let fix = is_curl(request).then_some("in the curl command: -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='");
    Some(evidence.fix_if(fix.map(str::to_owned)).verdict(format!(
        "{client} sent an invalid handshake: {key}{curl}; {} answered {}",
        refusal.maker(),
        refusal.status()
    )))
}

/// Whether a leg's request asks for the upgrade with the key as the client sent it.
fn has_key_of(session: &Session, leg: usize, asked: &Request) -> bool {
    let reached = session.legs[leg].request.as_deref().filter(|request| is_handshake(request));
    reached.is_some_and(|request| request.offer.connection_upgrade && request.offer.key == asked.offer.key)
}

/// A request that was meant for a WebSocket server, and came over HTTP/1 (HTTP/2 has no key).
fn is_handshake(request: &Request) -> bool {
    asks_for_websocket(request) && !answer::is_extended_connect(request)
}

/// Servers look at Upgrade and Connection first: who refused for their lack never saw the key.
fn explains(refusal: &Refusal<'_>) -> bool {
    let reached =
        refusal.request.is_some_and(|request| asks_for_websocket(request) && request.offer.connection_upgrade);
    match refusal.meaning() {
        Some(meaning) => meaning == Meaning::Key,
        None => reached && refusal.status() == 400,
    }
}

fn describe(request: &Request) -> String {
    let fields = &request.head.fields;
    match request.offer.key {
        Key::Repeated => format!("Sec-WebSocket-Key comes {} times", fields.all("Sec-WebSocket-Key").count()),
        Key::Malformed => {
            let key = quote(fields.first("Sec-WebSocket-Key").unwrap_or_default());
            format!("Sec-WebSocket-Key: {key} is not 16 bytes of base64")
        }
        _ => "there is no Sec-WebSocket-Key".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    const REFUSED: &str = "HTTP/1.1 400 Bad Request\nConnection: close\nContent-Type: text/html\nContent-Length: 43\n\n\
        Missing or invalid Sec-WebSocket-Key header";

    fn by_hand() -> String {
        with_field(&replaced(ASKED, "Sec-WebSocket-Key", "Sec-WebSocket-Key: test"), "User-Agent: curl/7.88.1")
    }

    pub(crate) fn example() -> TestSession {
        answered(REFUSED).client_leg(|leg| leg.request(&by_hand()))
    }

    #[test]
    fn missing_and_repeated_keys_are_named() {
        let detail = |request: &str| {
            answered(REFUSED).client_leg(|leg| leg.request(request)).finding(RULE.id).unwrap().evidence.detail
        };
        assert_eq!(detail(&replaced(ASKED, "Sec-WebSocket-Key", "")), "there is no Sec-WebSocket-Key");
        let twice = with_field(ASKED, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(detail(&twice), "Sec-WebSocket-Key comes 2 times");
    }

    #[test]
    fn a_server_may_hang_up_on_it() {
        let after = |milliseconds: u64| {
            session().client_leg(|leg| leg.request(&by_hand()).after_ms(milliseconds).fin(Role::Server)).cause()
        };
        assert_eq!((after(3), after(5000)), (Some(RULE.id), Some("no-answer")));
    }

    #[test]
    fn is_a_warning_where_nobody_minds() {
        let session = session().client_leg(|leg| leg.request(&by_hand()).response(SWITCHED).open());
        let finding = session.finding(RULE.id).unwrap();
        assert_eq!((finding.severity, finding.evidence.may_be_cause), (Severity::Warning, false));
    }

    #[test]
    fn is_not_the_cause_when_the_upgrade_never_arrived() {
        let stripped = replaced(&by_hand(), "Upgrade", "");
        let session = refused_with("HTTP/1.1 400 Bad Request\n\n")
            .client_leg(|leg| leg.request(&by_hand()))
            .backend_leg(|leg| leg.request(&stripped));
        assert_eq!(session.cause(), Some("upgrade-headers-stripped"));
    }

    #[test]
    fn is_silent_about_a_valid_key_and_over_http2() {
        assert!(answered(REFUSED).check(&RULE).is_none());
        let connect = "CONNECT /ws HTTP/2\nSec-WebSocket-Version: 13\n\n";
        assert!(answered("HTTP/2 400 x\n\n").client_leg(|leg| leg.request(connect)).check(&RULE).is_none());
    }
}
