//! A 101 that does not say to what it switches.

use crate::diagnosis::agreement;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::http::handshake::Upgrade;
use crate::session::leg::Response;

/// `invalid-upgrade-response`.
pub const RULE: Rule = Rule {
    id: "invalid-upgrade-response",
    severity: Severity::Error,
    stage: Stage::Negotiation,
    title: "The 101 lacks Upgrade or Connection",
    explanation: "A client must see Upgrade: websocket and Connection: Upgrade in the 101, or fail the connection. A \
        hand-written server forgot one, or something on the way took it out. nginx adds Connection by itself, but not \
        Upgrade.",
    signature: "101 without Upgrade: websocket, or without Connection: Upgrade",
    fix: "Answer with both headers: use a WebSocket library on the server.\n\
        nginx: remove proxy_hide_header Upgrade; from the location\n\
        HAProxy: remove http-response del-header rules for upgrade and connection",
    look_alikes: "A 101 over HTTP/2 has neither, and does not exist: there the answer is 200 (RFC 8441 §5).",
    reference: "RFC 6455 §4.1, §4.2.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (index, _, response) = agreement::broken_101(session, |_, response| is_broken(response))?;
    let what = match (response.answer.upgrade, response.answer.connection_upgrade) {
        (Upgrade::WebSocket | Upgrade::Duplicate, _) => "without Connection: Upgrade",
        (Upgrade::Other, _) => "with an Upgrade that is not websocket",
        (Upgrade::Absent, true) => "without Upgrade: websocket",
        (Upgrade::Absent, false) => "without Upgrade and Connection",
    };
    let left = agreement::client_left_at_once(session);
    let end = if left.is_some() { "; the client left at once" } else { "" };
    let evidence = Evidence::on(index, format!("101 {what}{end}"))
        .packet(response.moment, "the 101")
        .packet_if(left, "the client leaves")
        .verdict(format!("{} answered 101 {what}, which no client may accept{end}", agreement::maker(session, index)));
    Some(if agreement::client_stays(session) { evidence.severity(Severity::Warning).not_cause() } else { evidence })
}

fn is_broken(response: &Response) -> bool {
    !matches!(response.answer.upgrade, Upgrade::WebSocket | Upgrade::Duplicate) || !response.answer.connection_upgrade
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::Outcome;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        let bare = replaced(SWITCHED, "Upgrade", "");
        session().client_leg(|leg| leg.request(ASKED).response(&bare).fin(Role::Client)).outcome(Outcome::Rejected)
    }

    #[test]
    fn names_the_backend_that_made_it() {
        let bare = replaced(SWITCHED, "Connection", "");
        let session = example().backend_leg(|leg| leg.request(FORWARDED).response(&bare));
        assert!(session.diagnose().verdict.starts_with("the backend 127.0.0.1:9000 answered 101 without Connection"));
    }

    #[test]
    fn explains_what_the_proxy_made_of_it() {
        // Caddy 2.6 turns a 101 without Upgrade into a 200, HAProxy and Apache into a 502.
        let bare = replaced(SWITCHED, "Upgrade", "");
        for answer in ["HTTP/1.1 200 OK\nServer: Caddy\n\n", NGINX_502] {
            let session = refused_with(answer).backend_leg(|leg| leg.response(&bare));
            assert_eq!(session.ids(), [RULE.id]);
        }
    }

    #[test]
    fn is_a_warning_where_the_client_does_not_mind() {
        let bare = replaced(SWITCHED, "Connection", "");
        let session = session().client_leg(|leg| leg.request(ASKED).response(&bare).open().messages(Role::Client, 3));
        assert_eq!((session.cause(), session.finding(RULE.id).unwrap().severity), (None, Severity::Warning));
    }

    #[test]
    fn is_silent_about_a_full_answer() {
        assert!(healthy().check(&RULE).is_none());
        let lower = "HTTP/1.1 101 Switching Protocols\nupgrade: WebSocket\nconnection: keep-alive, upgrade\n\n";
        assert!(session().client_leg(|leg| leg.request(ASKED).response(lower)).check(&RULE).is_none());
    }

    #[test]
    fn a_client_that_had_left_before_did_not_leave_for_that() {
        let bare = replaced(SWITCHED, "Upgrade", "");
        let late = |leg: TestLeg| leg.request(ASKED).after_ms(1200).fin(Role::Client).response(&bare);
        let session = session().client_leg(late).outcome(Outcome::Unanswered);
        assert_eq!(session.cause(), Some("client-gave-up"));
        assert!(!session.finding(RULE.id).unwrap().evidence.detail.contains("at once"));
    }
}
