//! Sessions are ended at a fixed age.

use std::time::Duration;

use crate::diagnosis::groups::Shared;
use crate::diagnosis::wording::{Between, Span};
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

/// At so many different moments sessions must have ended at that age.
const LEAST: u32 = 3;

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let end = facts.ending_without_close()?;
    let age = end.age();
    if end.who == Who::Client || age < Duration::from_secs(1) || end.idle() * 2 > age {
        return None;
    }
    let (own, endings) = (facts.own_ending(), &facts.neighbours.endings);
    own.cut_at()?;
    let same = endings.as_old_as(own);
    if same.moments < LEAST {
        return None;
    }
    let (who, others, all) = (end.name(), same.sessions - 1, endings.cut(own.server));
    let ages = Between(same.shortest, same.longest);
    Some(
        Evidence::on(
            end.leg,
            format!("{who} ended it {} after it was opened; {} of {all} that it cut off were {ages} old", Span(age), same.sessions),
        )
        .packet(end.opened, "opened")
        .packet(end.end.moment, "the end")
        .confidence(if same.moments > LEAST { Confidence::High } else { Confidence::Medium })
        .shared(Shared {
            place: (own.server.ip, own.server.port),
            time: None,
            words: format!("{who} ended {} of {all} that it cut off when they were {ages} old", same.sessions),
        })
        .verdict(format!(
            "{who} ended the session {} after it was opened although data was flowing, and {others} others at the same age \
             ({ages})",
            Span(age)
        )),
    )
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
                neighbours.endings.add(&other);
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
        assert!(example().alone().check(&RULE).is_none());
    }
}
