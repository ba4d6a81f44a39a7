//! One client comes again and again.

use std::time::Duration;

use crate::diagnosis::groups::Shared;
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, ranking};
use crate::session::neighbours::ending::SHORT;
use crate::session::neighbours::storm::WINDOW;
use crate::session::{Confidence, Outcome, Session};

/// `reconnect-storm`.
pub const RULE: Rule = Rule {
    id: "reconnect-storm",
    severity: Severity::Warning,
    stage: Stage::Closing,
    title: "One client comes again and again",
    explanation: "The same client opens session after session for the same target, and each fails or ends soon, \
        for the same reason. Many clients doing so at once keep a server from coming back.",
    signature: "five or more sessions of one client for one target within a minute, one after the other, none of which lasted or \
        closed normally",
    fix: "Remove the shared reason; let clients wait with a growing, random pause before they come back.",
    look_alikes: "A page that opens several sessions, or is loaded again: these close with 1001 or stay open.",
    reference: "RFC 6455 §7.1.5, §7.2.3",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let lasted = session.end.since(session.start) >= SHORT;
    if lasted || is_well(session) {
        return None; // before anything is looked up among the others
    }
    let storm = facts.neighbours.endings.storm(facts.own_ending())?;
    let span = storm.span.1.since(storm.span.0);
    // At the same moment they are many sockets, not one that comes again.
    if span < Duration::from_millis(200) {
        return None;
    }
    let client = session.first_leg().client.ip;
    let said = format!("{client} came {} times in {}, with the same end each time", storm.sessions, Span(span));
    Some(
        Evidence::on(0, said.clone())
            .packet(session.first_leg().tcp.first, "this session")
            .confidence(Confidence::High)
            .not_cause()
            .shared(Shared {
                place: (client, 0),
                time: Some((session.start, WINDOW)),
                words: format!("{said}; waiting between attempts would help the server to come back"),
            })
            .verdict(said),
    )
}

/// What most sessions are: still open, or closed in good order.
fn is_well(session: &Session) -> bool {
    match session.outcome {
        Outcome::Open => true,
        Outcome::Closed => ranking::closed_normally(session),
        _ => false,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::rules::encrypted_no_keys;
    use crate::diagnosis::test_session::*;

    use crate::session::SessionId;
    use crate::session::neighbours::Ending;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        let session = session()
            .client_leg(|leg| {
                leg.request(ASKED).response(SWITCHED).open().close(Role::Server, 1008, "no").fin(Role::Server)
            })
            .outcome(Outcome::Aborted);
        again(session, 1008)
    }

    /// The same six times more, closed with this code.
    fn again(session: TestSession, code: u16) -> TestSession {
        let template = ending(&session.session);
        session.neighbours(|neighbours| {
            for n in 2..8 {
                let start = START.plus(Duration::from_secs(n));
                let end = Some(start.plus(Duration::from_millis(50)));
                let other = Ending { session: SessionId(n), start, end, close_code: Some(code), ..template.clone() };
                neighbours.endings.add(&other);
            }
        })
    }

    #[test]
    fn counts_and_is_not_the_cause() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some("close-policy-violation"));
        assert!(
            diagnosis
                .findings
                .iter()
                .any(|finding| finding.id == RULE.id && finding.evidence.detail.contains("7 times"))
        );
    }

    #[test]
    fn is_silent_on_reloads() {
        let alone = || example().alone();
        assert!(alone().check(&RULE).is_none());
        assert!(again(alone(), 1001).check(&RULE).is_none());
    }

    #[test]
    fn is_silent_where_nothing_could_be_read() {
        let unread = encrypted_no_keys::tests::example().client_leg(|leg| leg.fin(Role::Server));
        assert_eq!(unread.session.outcome, Outcome::Encrypted);
        assert!(again(unread, 1008).check(&RULE).is_none());
    }

    #[test]
    fn is_silent_on_many_sockets_that_one_client_has_at_once() {
        let session = example().alone();
        let own = ending(&session.session);
        let together = session.neighbours(|neighbours| {
            for n in 2..8 {
                let start = own.start.plus(Duration::from_micros(n * 100));
                neighbours.endings.add(&Ending { session: SessionId(n), start, ..own.clone() });
            }
        });
        assert!(together.check(&RULE).is_none());
    }
}
