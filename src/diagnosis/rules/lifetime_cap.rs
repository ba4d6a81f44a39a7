//! Sessions are ended at a fixed age.

use std::time::Duration;

use crate::diagnosis::ending::ending_without_close;
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::{Confidence, Who};

/// `lifetime-cap`.
pub const RULE: Rule = Rule {
    id: "lifetime-cap",
    severity: Severity::Error,
    stage: Stage::Timers,
    title: "Sessions are ended at a fixed age, whatever is said",
    explanation: "Several sessions ended at the same age although data was flowing: something limits the lifetime \
        of a connection, and no heartbeat helps. Google's HTTP load balancer does so after 30 s by \
        default, API Gateway after two hours.",
    signature: "no Close frame; the same age at the end in several sessions; bytes in the last moments",
    fix: "Raise the limit where it is (backend service timeout of the load balancer, max_stream_duration, \
        a maximum connection age), or let clients reconnect before it.",
    look_alikes: "An idle timer: the silence before the end is the same, not the age. A reload: the instant is the \
        same.",
    reference: "Google Cloud load balancing: backend service timeout",
    check,
};

/// Ages that differ by less than this are the same.
const SAME: Duration = Duration::from_millis(250);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let end = ending_without_close(facts.session)?;
    let age = end.age();
    if end.who == Who::Client || age < Duration::from_secs(2) || end.idle() * 2 > age {
        return None;
    }
    let mut same = 0;
    for other in facts.neighbours.endings.iter().filter(|other| other.session != facts.session.id) {
        let (Some(opened), Some(ended)) = (other.opened, other.end) else { continue };
        let simultaneous = ended.distance(end.end.moment.at) < SAME;
        if other.server == facts.session.first_leg().server && !other.close_frame && !simultaneous {
            same += usize::from(ended.since(opened).abs_diff(age) < SAME);
        }
    }
    (same >= 2).then(|| {
        let who = end.name();
        Evidence::on(end.leg, format!("{who} ended it {} after it was opened, as {same} others", Span(age)))
            .packet(end.opened, "opened")
            .packet(end.end.moment, "the end")
            .confidence(if same >= 3 { Confidence::High } else { Confidence::Medium })
            .verdict(format!(
                "{who} ended the session {} after it was opened although data was flowing, and {same} others at the same age",
                Span(age)
            ))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::session::{Outcome, SessionId};
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        let busy = |leg: TestLeg| leg.open().messages(Role::Client, 300).fin(Role::Server);
        let session = session().client_leg(|leg| busy(leg.request(ASKED).response(SWITCHED))).outcome(Outcome::Aborted);
        let end = crate::diagnosis::ending::ending(&session.session).expect("it ended");
        let (age, start) = (end.age(), end.opened.at);
        let template = crate::diagnosis::test_session::ending(&session.session);
        session.neighbours(|neighbours| {
            for n in 2..6u32 {
                let mut other = template.clone();
                other.session = SessionId(n.into());
                other.opened = Some(start.plus(Duration::from_secs(n.into())));
                other.end = other.opened.map(|opened| opened.plus(age));
                neighbours.endings.push(other);
            }
        })
    }

    #[test]
    fn counts_the_others() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("4 others"), "{}", diagnosis.verdict);
    }

    #[test]
    fn is_silent_on_one_session() {
        let mut alone = example();
        alone.neighbours.endings.clear();
        assert!(alone.check(&RULE).is_none());
    }
}
