//! Many sessions ended at the same instant.

use std::time::Duration;

use crate::diagnosis::groups::Shared;
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::{Confidence, Who};

/// `mass-close`.
pub const RULE: Rule = Rule {
    id: "mass-close",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "Many sessions ended at the same instant",
    explanation: "Several sessions of one server ended within a tenth of a second or so, whatever their ages: a reload, \
        a deployment, a kill for lack of memory, or a backend that died. With nginx sessions of old \
        workers end worker_shutdown_timeout after a reload.",
    signature: "three or more sessions of one server or backend end within 100 ms, not by their clients",
    fix: "Look for a reload, a deployment or a crash at this time; drain connections before a \
        stop.\n\
        nginx: worker_shutdown_timeout bounds how long old workers keep sessions after a reload",
    look_alikes: "One client that closes all its sessions.",
    reference: "nginx: worker_shutdown_timeout",
    check,
};

/// Sessions that end within this time of another one of them end together.
const TOGETHER: Duration = Duration::from_millis(150);

/// Fewer may be chance.
const LEAST: u32 = 3;

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let end = facts.ending_without_close().filter(|end| end.who != Who::Client)?;
    let own = facts.own_ending();
    own.cut_at()?;
    let together = facts.neighbours.endings.at_the_instant_of(own);
    if together.sessions < LEAST {
        return None;
    }
    let (who, count) = (end.name(), together.sessions - 1);
    let within = Span(together.span.1.since(together.span.0));
    // Sessions that began together and fell silent together may as well share a timer.
    let ages = together.ages.1.saturating_sub(own.age()).max(own.age().saturating_sub(together.ages.0));
    let confidence = if ages > Duration::from_millis(300) { Confidence::High } else { Confidence::Medium };
    Some(
        Evidence::on(end.leg, format!("{who} ended this session and {count} others within {within}"))
            .packet(end.end.moment, "the end")
            .confidence(confidence)
            .shared(Shared {
                place: (own.server.ip, own.server.port),
                time: Some((end.end.moment.at, TOGETHER)),
                words: format!(
                    "{who} ended them at the same instant, without a Close frame, as in a reload, a restart or a crash"
                ),
            })
            .verdict(format!(
                "{who} ended this session and {count} others within {within}, without a Close frame, as in a reload, a \
                 restart or a crash"
            )),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::session::neighbours::Ending;
    use crate::session::{Outcome, SessionId};
    use crate::stream::Role;
    use crate::time::Timestamp;

    pub(crate) fn example() -> TestSession {
        let open = |leg: TestLeg| leg.open().messages(Role::Server, 3);
        let session = session()
            .client_leg(|leg| open(leg.request(ASKED).response(SWITCHED)).fin(Role::Server))
            .outcome(Outcome::Aborted);
        let template = ending(&session.session);
        session.neighbours(|neighbours| {
            for n in 2..8 {
                let mut other = template.clone();
                other.session = SessionId(n);
                other.end = other.end.map(|at| at.plus(Duration::from_millis(4 * n)));
                other.opened = other.end.map(|at| Timestamp::from_nanos(at.as_nanos() - n * 1_000_000_000));
                neighbours.endings.add(&other);
            }
        })
    }

    #[test]
    fn counts_the_others() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("6 others"), "{}", diagnosis.verdict);
    }

    #[test]
    fn is_silent_when_clients_left_or_it_was_alone() {
        let alone = || example().alone();
        assert!(alone().check(&RULE).is_none());
        let template = ending(&example().session);
        let clients = alone().neighbours(|neighbours| {
            for n in 2..8 {
                let left = Ending { session: SessionId(n), ended_by: Some(Role::Client), ..template.clone() };
                neighbours.endings.add(&left);
            }
        });
        assert!(clients.check(&RULE).is_none());
    }
}
