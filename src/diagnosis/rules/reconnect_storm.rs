//! One client comes again and again.

use std::time::Duration;

use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::diagnosis::{nearby, ranking};
use crate::session::{Confidence, Outcome, Session, neighbours::Ending};

/// `reconnect-storm`.
pub const RULE: Rule = Rule {
    id: "reconnect-storm",
    severity: Severity::Warning,
    stage: Stage::Closing,
    title: "One client comes again and again",
    explanation: "The same client opens session after session for the same target, and each fails or ends soon, \
        for the same reason. Many clients doing so at once keep a server from coming back.",
    signature: "five or more sessions of one client for one target within a minute, none of which lasted or \
        closed normally",
    fix: "Remove the shared reason; let clients wait with a growing, random pause before they come back.",
    look_alikes: "A page that opens several sessions, or is loaded again: these close with 1001 or stay open.",
    reference: "RFC 6455 §7.1.5, §7.2.3",
    check,
};

/// The storm is looked for in this time around the session.
const WINDOW: Duration = Duration::from_secs(60);

/// Sessions that last longer are no storm.
const SHORT: Duration = Duration::from_secs(10);

/// Fewer may be chance, or a page with several sockets.
const LEAST: usize = 5;

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let lasted = session.end.since(session.start) >= SHORT;
    if facts.neighbours.endings.len() < LEAST || lasted || is_well(session) {
        return None; // before anything is looked up among the others
    }
    let own = nearby::endings(facts.neighbours, session.end).find(|ending| ending.session == session.id)?;
    if !is_failure(own) {
        return None;
    }
    let alike = |other: &&Ending| {
        other.client == own.client
            && other.server == own.server
            && other.target == own.target
            && other.start.distance(own.start) <= WINDOW
            && is_failure(other)
            && (other.status, other.close_code) == (own.status, own.close_code)
    };
    let (mut count, mut first, mut last) = (0, own.start, own.start);
    for other in facts.neighbours.endings.iter().filter(alike) {
        count += 1;
        (first, last) = (first.min(other.start), last.max(other.start));
    }
    // At the same moment they are many sockets, not one that comes again.
    if count < LEAST || last.since(first) < Duration::from_millis(200) {
        return None;
    }
    let client = session.first_leg().client.ip;
    let said = format!("{client} came {count} times in {}, with the same end each time", Span(last.since(first)));
    Some(
        Evidence::on(0, said.clone())
            .packet(session.first_leg().tcp.first, "this session")
            .confidence(Confidence::High)
            .not_cause()
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

fn is_failure(ending: &Ending) -> bool {
    let short = ending.end.is_some_and(|end| end.since(ending.start) < SHORT);
    let normal = ending.close_frame && matches!(ending.close_code, None | Some(1000 | 1001));
    short && !normal
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::session::SessionId;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        let session = session()
            .client_leg(|leg| {
                leg.request(ASKED).response(SWITCHED).open().close(Role::Server, 1008, "no").fin(Role::Server)
            })
            .outcome(Outcome::Aborted);
        let template = ending(&session.session);
        session.neighbours(|neighbours| {
            for n in 1..8 {
                let mut other = template.clone();
                other.session = SessionId(n);
                other.start = START.plus(Duration::from_secs(n));
                other.end = Some(START.plus(Duration::from_secs(n) + Duration::from_millis(50)));
                (other.close_frame, other.close_code) = (true, Some(1008));
                neighbours.endings.push(other);
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
        let mut reloads = example();
        reloads.neighbours.endings.iter_mut().for_each(|other| other.close_code = Some(1001));
        assert!(reloads.check(&RULE).is_none());
    }
}
