//! Many sessions ended at the same instant.

use std::time::Duration;

use crate::diagnosis::ending::ending_without_close;
use crate::diagnosis::nearby;
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::{Confidence, Who};
use crate::stream::Role;

/// `mass-close`.
pub const RULE: Rule = Rule {
    id: "mass-close",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "Many sessions ended at the same instant",
    explanation: "Several sessions of one server ended within a tenth of a second, whatever their ages: a reload, \
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

/// Sessions that end within this time of each other end together.
const TOGETHER: Duration = Duration::from_millis(100);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let end = ending_without_close(facts.session).filter(|end| end.who != Who::Client)?;
    let (server, backend) = (facts.session.first_leg().server, facts.session.last_leg().server);
    let together = nearby::ended_at(facts.neighbours, end.end.moment.at, TOGETHER).filter(|other| {
        other.session != facts.session.id
            && (other.server == server || other.backend == backend)
            && !other.close_frame
            && other.ended_by != Some(Role::Client)
    });
    let (mut count, mut ages) = (0, Duration::ZERO);
    for other in together {
        count += 1;
        let age = other.opened.zip(other.end).map_or(Duration::ZERO, |(opened, ended)| ended.since(opened));
        ages = ages.max(age.abs_diff(end.age()));
    }
    if count < 2 {
        return None;
    }
    let who = end.name();
    // Sessions that began together and fell silent together may as well share a timer.
    let confidence = if ages > Duration::from_millis(300) { Confidence::High } else { Confidence::Medium };
    Some(
        Evidence::on(end.leg, format!("{who} ended this session and {count} others within {}", Span(TOGETHER)))
            .packet(end.end.moment, "the end")
            .confidence(confidence)
            .verdict(format!(
                "{who} ended this session and {count} others at the same instant, without a Close frame: a reload, a restart \
                 or a crash"
            )),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::session::{Outcome, SessionId};

    pub(crate) fn example() -> TestSession {
        let open = |leg: TestLeg| leg.open().messages(Role::Server, 3);
        let session = session()
            .client_leg(|leg| open(leg.request(ASKED).response(SWITCHED)).fin(Role::Server))
            .outcome(Outcome::Aborted);
        let at = crate::diagnosis::ending::ending(&session.session).map(|end| end.end.moment.at);
        let template = crate::diagnosis::test_session::ending(&session.session);
        session.neighbours(|neighbours| {
            for n in 2..8 {
                let mut other = template.clone();
                (other.session, other.end, other.ended_by) = (SessionId(n), at, Some(Role::Server));
                other.opened = at.map(|at| crate::time::Timestamp::from_nanos(at.as_nanos() - n * 1_000_000_000));
                neighbours.endings.push(other);
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
        let mut clients = example();
        clients.neighbours.endings.iter_mut().for_each(|other| other.ended_by = Some(Role::Client));
        assert!(clients.check(&RULE).is_none());
        clients.neighbours.endings.clear();
        assert!(clients.check(&RULE).is_none());
    }
}
