//! The client never finished its request.

use crate::diagnosis::wording::{Count, Span, quote};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, parties};
use crate::session::Confidence;
use crate::stream::Role;

/// `request-incomplete`.
pub const RULE: Rule = Rule {
    id: "request-incomplete",
    severity: Severity::Error,
    stage: Stage::Request,
    title: "The request never came to its end",
    explanation: "The head of a request ends with an empty line, and that line never came. Servers wait some seconds or a \
        minute, then close or answer 408. A hand-written client forgot the line, or the path loses large packets.",
    signature: "a request head without its end; the server closes, or answers 400 or 408",
    fix: "End the head with an empty line (CR LF CR LF). If the client is in order, look for an MTU that is too small on \
        the way.",
    look_alikes: "A head that the capture cut off or lost is not incomplete: then this finding is not made.",
    reference: "RFC 9112 §2.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (index, leg) = session.legs.iter().enumerate().find(|(_, leg)| leg.incomplete_request.is_some())?;
    let (bytes, beginning) = leg.incomplete_request.as_ref()?;
    let half = leg.half(Role::Client);
    if half.has_holes() || !leg.both_directions_seen() {
        return None;
    }
    let ended = leg.first_end().filter(|end| end.by == Role::Server);
    let status = leg.status().filter(|status| matches!(status, 400 | 408));
    let (client, server) = (parties::client_of(session, index)?, parties::server_of(session, index)?);
    let what = match (status, ended) {
        (Some(status), _) => format!("answered {status}"),
        (None, Some(end)) => format!("gave up after {}", Span(end.moment.at.since(leg.tcp.first.at))),
        (None, None) => return None,
    };
    let size = Count(u64::from(*bytes), "byte");
    Some(
        Evidence::on(index, format!("the head stops after {size} ({}); the server {what}", quote(beginning)))
            .packet_if(half.last_data, "the last that came of the request")
            .packet_if(ended.map(|end| end.moment), "the server's end")
            .confidence(Confidence::High)
            .verdict(format!("{client} never finished its request: {size} came, and no empty line; {server} {what}")),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    const HALF: &str = "GET /ws HTTP/1.1\r\nHost: app.example\r\n";

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| leg.incomplete_request(HALF).after_ms(10_000).fin(Role::Server))
    }

    #[test]
    fn a_408_says_the_same() {
        let session =
            session().client_leg(|leg| leg.incomplete_request(HALF).response("HTTP/1.1 408 Request Timeout\n\n"));
        assert_eq!(session.cause(), Some(RULE.id));
    }

    #[test]
    fn is_silent_when_the_capture_lacks_the_rest() {
        let session =
            session().client_leg(|leg| leg.incomplete_request(HALF).hole(Role::Client, 100).fin(Role::Server));
        assert!(session.check(&RULE).is_none());
    }

    #[test]
    fn is_silent_while_the_server_waits_and_when_the_client_left() {
        assert!(session().client_leg(|leg| leg.incomplete_request(HALF)).check(&RULE).is_none());
        assert!(session().client_leg(|leg| leg.incomplete_request(HALF).fin(Role::Client)).check(&RULE).is_none());
    }
}
