//! engine.io refuses, and says why in its own words.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::backends::Meaning;
use crate::diagnosis::complaint::Complaint;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `engine-io-error`.
pub const RULE: Rule = Rule {
    id: "engine-io-error",
    severity: Severity::Error,
    stage: Stage::Response,
    title: "engine.io refused the request",
    explanation: "socket.io's transport answers with a code: 0 the transport parameter is missing or unknown, 3 a request \
        that it cannot use, 4 refused by allowRequest, 5 a client of another protocol version (EIO=3 is socket.io 2, EIO=4 \
        is 3 and 4).",
    signature: "engine.io's error body, as JSON with a code or as bare text; python-engineio's as a JSON string",
    fix: "0: let the query with EIO and transport through. 3: use the client of the same major version. 4: look at \
        allowRequest. 5: update the client, or set allowEIO3: true on the server.",
    look_alikes: "Session ID unknown is sticky-session-missing; code 3 in JSON for transport=websocket means that the upgrade \
        was lost on the way.",
    reference: "engine.io protocol",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refusal = answer::refusal(facts.session)?;
    let confidence = refusal.complains_about(Complaint::EngineIo)?;
    let (means, fix) = meaning(&refusal);
    let said = refusal.said();
    Some(
        Evidence::on(refusal.made_on, format!("answered {said}: {means}"))
            .packet_if(refusal.request.map(|request| request.moment), "the request")
            .packet(refusal.response.moment, "the refusal")
            .confidence(confidence)
            .fix(fix)
            .verdict(format!("{} refused the request with {said}: {means}", refusal.maker())),
    )
}

/// What it means, and what to do about it.
fn meaning(refusal: &Refusal<'_>) -> (&'static str, &'static str) {
    let is_python = refusal.reading().and_then(|reading| reading.software) == Some("python-engineio");
    match refusal.meaning() {
        Some(Meaning::EngineIo(0)) if is_python => (
            "the server does not take the transport that the query names",
            "look at transports= of the server; let the query with EIO and transport=websocket reach it",
        ),
        Some(Meaning::EngineIo(5)) if is_python => (
            "client and server speak different versions of the protocol",
            "use a client that speaks EIO=4 (socket.io-client 3 or 4, python-socketio 5), or the server's versions for the older \
             client (python-socketio 4, Flask-SocketIO 4)",
        ),
        Some(Meaning::EngineIo(0)) => (
            "the transport parameter of the query is missing or unknown",
            "let the query with EIO and transport=websocket reach the backend",
        ),
        Some(Meaning::EngineIo(4)) => ("allowRequest refused it", "look at allowRequest in the server's options"),
        Some(Meaning::EngineIo(5)) => (
            "client and server speak different versions of the protocol",
            "use the socket.io client of the server's major version, or set allowEIO3: true on the server",
        ),
        _ => (
            "engine.io cannot use the request",
            "compare the request with one of a socket.io client of the server's major version",
        ),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        refused_with("HTTP/1.1 400 Bad Request\n\n{\"code\":5,\"message\":\"Unsupported protocol version\"}")
    }

    #[test]
    fn bare_text_is_known_too() {
        assert_eq!(refused_with("HTTP/1.1 400 Bad Request\n\nTransport unknown").cause(), Some(RULE.id));
    }

    #[test]
    fn is_dropped_when_the_query_was_lost() {
        let with_query = ASKED.replace("/ws ", "/socket.io/?EIO=4&transport=websocket ");
        let without = FORWARDED.replace("/ws ", "/socket.io/ ");
        let session = refused_with("HTTP/1.1 400 Bad Request\n\nTransport unknown")
            .client_leg(|leg| leg.request(&with_query))
            .backend_leg(|leg| leg.request(&without));
        assert_eq!(session.ids(), ["query-lost"]);
    }

    #[test]
    fn is_silent_about_the_code_for_a_lost_upgrade_and_for_a_lost_session() {
        let lost = "HTTP/1.1 400 Bad Request\n\n{\"code\":3,\"message\":\"Bad request\"}";
        assert!(refused_with(lost).check(&RULE).is_none());
        assert!(refused_with("HTTP/1.1 400 Bad Request\n\nSession ID unknown").check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
