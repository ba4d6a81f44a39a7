//! The answer was right, and the client left all the same.

use std::time::Duration;

use crate::diagnosis::parties;
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::http::extension::withheld;
use crate::http::handshake::{Accept, SubprotocolAnswer, Upgrade};
use crate::http::head::Version;
use crate::session::Confidence;
use crate::session::leg::Response;
use crate::stream::Role;

/// `client-rejected-answer`.
pub const RULE: Rule = Rule {
    id: "client-rejected-answer",
    severity: Severity::Warning,
    stage: Stage::Negotiation,
    title: "The client left right after a correct 101",
    explanation: "The handshake succeeded on the wire, and the client ended the connection without a single frame. Nothing \
        in the answer is wrong, so the reason is in the client: close() in the application, a page that went away, or a \
        check of its own (a library that wants a subprotocol or a certificate).",
    signature: "a valid 101, no frame from the client, and its FIN or RST within 100 ms",
    fix: "Look into the client: its console and its log tell why. Watch for a component that opens and closes the WebSocket \
        when it is rendered twice.",
    look_alikes: "An answer that is wrong is accept-mismatch, subprotocol-mismatch or invalid-upgrade-response.",
    reference: "RFC 6455 §4.1",
    check,
};

const AT_ONCE: Duration = Duration::from_millis(100);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let leg = facts.session.first_leg();
    let tunnel = leg.tunnel.as_ref()?;
    let response = leg.response.as_deref()?;
    if tunnel.sides.client.frames.total() > 0 || !is_right(response) {
        return None;
    }
    let end = leg.first_end().filter(|end| end.by == Role::Client)?;
    let stayed = end.moment.at.since(response.moment.at);
    if stayed > AT_ONCE || leg.has_holes() || leg.half(Role::Client).packets == 0 {
        return None;
    }
    let stayed = Span(stayed);
    let client = parties::client_of(facts.session, 0)?;
    let word = client.word;
    // HTTP/1.0 has no 101 (RFC 9110 §15.2). Some proxies pass it on with the version of their backend.
    let is_old = response.head.version == Version::HTTP_10;
    let withheld = leg.request.as_deref().map(|request| withheld(&response.head.fields, &request.head.fields));
    let withheld = withheld.filter(|names| !names.is_empty()).map(|names| names.join(" and "));
    let (correct, reason, fix) = match withheld {
        _ if is_old => (
            "correct but for its version, HTTP/1.0".to_owned(),
            "some clients, such as Python's websockets, refuse that version".to_owned(),
            Some("let the server answer in HTTP/1.1: it answers in the version in which it is asked".to_owned()),
        ),
        Some(names) => (
            format!("correct but for {names} of permessage-deflate, which was offered and is not in the answer"),
            "some clients, such as Python's websockets, insist on it".to_owned(),
            Some(format!("let the server agree to {names}, or let the client not ask for it")),
        ),
        None => ("correct".to_owned(), format!("the reason is in the {word}"), None),
    };
    Some(
        Evidence::on(0, format!("the 101 is {correct}; the {word} left {stayed} later, without a frame"))
            .packet(response.moment, "the 101")
            .packet(end.moment, format!("the {word} leaves"))
            .confidence(Confidence::Medium)
            .fix_if(fix)
            .verdict(format!("{client} left {stayed} after a 101 that is {correct}, and never sent a frame: {reason}")),
    )
}

fn is_right(response: &Response) -> bool {
    let answer = &response.answer;
    response.head.status == 101
        && answer.upgrade == Upgrade::WebSocket
        && answer.connection_upgrade
        && answer.accept == Accept::Valid
        && matches!(answer.subprotocol, SubprotocolAnswer::None | SubprotocolAnswer::Selected)
        && !answer.extension_mismatch
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| leg.request(ASKED).response(SWITCHED).open().fin(Role::Client))
    }

    #[test]
    fn does_not_blame_the_client_for_leaving_a_101_of_http10() {
        let old = example().client_leg(|leg| leg.response(&SWITCHED.replace("HTTP/1.1", "HTTP/1.0")));
        assert_eq!(old.cause(), Some(RULE.id));
        assert!(old.diagnose().verdict.contains("HTTP/1.0") && !old.diagnose().verdict.contains("in the client"));
    }

    #[test]
    fn names_what_the_answer_leaves_out_of_the_offer() {
        let offer = with_field(ASKED, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover");
        let answer = with_field(SWITCHED, "Sec-WebSocket-Extensions: permessage-deflate");
        let session = session().client_leg(|leg| leg.request(&offer).response(&answer).open().fin(Role::Client));
        assert_eq!(session.cause(), Some(RULE.id));
        let verdict = session.diagnose().verdict;
        assert!(verdict.contains("server_no_context_takeover") && !verdict.contains("in the client"), "{verdict}");
    }

    #[test]
    fn is_dropped_behind_a_broken_answer() {
        let bad = replaced(SWITCHED, "Sec-WebSocket-Accept", "Sec-WebSocket-Accept: AAAA");
        let session = example().client_leg(|leg| leg.response(&bad));
        assert_eq!(session.ids(), ["accept-mismatch"]);
    }

    #[test]
    fn is_silent_when_the_client_said_anything_or_stayed_a_while() {
        let opened = || session().client_leg(|leg| leg.request(ASKED).response(SWITCHED).open());
        let close = opened().client_leg(|leg| leg.close(Role::Client, 1000, "").fin(Role::Client));
        assert!(close.check(&RULE).is_none());
        assert!(opened().client_leg(|leg| leg.after_ms(500).fin(Role::Client)).check(&RULE).is_none());
        assert!(opened().client_leg(|leg| leg.fin(Role::Server)).check(&RULE).is_none());
        assert!(opened().client_leg(|leg| leg.hole(Role::Client, 20).fin(Role::Client)).check(&RULE).is_none());
    }
}
