//! A proxy ended a silent session when its timer ran out.

use std::time::Duration;

use crate::diagnosis::ending::{Ending, ending_without_close};
use crate::diagnosis::proxies::{self, Fingerprint, Software};
use crate::diagnosis::timers::{self, Fit};
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::{Confidence, Who};
use crate::stream::Role;

/// `idle-timeout`.
pub const RULE: Rule = Rule {
    id: "idle-timeout",
    severity: Severity::Error,
    stage: Stage::Timers,
    title: "The proxy closed the session because nothing was said",
    explanation: "Nothing was said in either direction for the time of the proxy's idle timer, and the proxy \
        closed both legs without a Close frame; the client reports 1006. nginx logs this at level info \
        only: `upstream timed out ... while proxying upgraded connection`. Any byte in either direction \
        sets nginx's timer anew.",
    signature: "the proxy ends both legs within milliseconds, no Close frame, after a silence of a timer's \
        length that is longer than any before it",
    fix: "Send a ping from the application or the server more often than half of that time, and raise the \
        timer.\n\
        in the nginx location: proxy_read_timeout 3600s; proxy_send_timeout 3600s;\n\
        HAProxy: \
        timeout tunnel 1h\n\
        Apache: ProxyTimeout 3600\n\
        Varnish: pipe_timeout is a parameter of \
        varnishd\n\
        Envoy: stream_idle_timeout of the HTTP connection manager",
    look_alikes: "A proxy that was killed or reloaded: the silence before it has any length. A limit on the age of \
        a session: traffic does not help against it.",
    reference: "nginx: proxy_read_timeout; HAProxy: timeout tunnel",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let end = ending_without_close(facts.session)?;
    let software = software(&end);
    let alone = end.who == Who::Server && facts.session.legs.len() == 1;
    // On one leg the closer may be a proxy only where it says so itself.
    if end.who != Who::Proxy && !(alone && software.is_some()) {
        return None;
    }
    let idle = end.idle();
    let fit = timers::fit(idle, software)?;
    // A longer silence was survived before: then no timer of this length is there.
    if end.survived() > idle + Duration::from_millis(400) || is_shared_moment(facts, &end) {
        return None;
    }
    let others = sharing(facts, idle);
    if alone && fit.known.is_none() && others < 2 {
        return None;
    }
    Some(evidence(&end, idle, fit, others, alone))
}

fn evidence(end: &Ending<'_>, idle: Duration, fit: Fit, others: usize, alone: bool) -> Evidence {
    let proxy = end.name();
    let known = fit.known.map(|known| format!("; {} s is also {known}", fit.seconds)).unwrap_or_default();
    let shared = match others {
        0 => String::new(),
        1 => "; another session ended after the same silence".to_owned(),
        _ => format!("; {others} other sessions ended after the same silence"),
    };
    let confidence = match (alone, others) {
        (true, _) => Confidence::Medium,
        (false, 2..) => Confidence::High,
        (false, _) if fit.known.is_some() || idle >= Duration::from_secs(2) => Confidence::High,
        _ => Confidence::Medium,
    };
    let mut evidence = Evidence::on(
        end.leg,
        format!("{proxy} ended it with {} after {} of silence on all legs{shared}{known}", end.flag(), Span(idle)),
    )
    .packet(end.last_byte, "the last byte of either side")
    .packet(end.end.moment, "the proxy ends this leg");
    for (_, echo) in end.echoes().take(2) {
        evidence = evidence.packet(echo.moment, "the end of the other leg");
    }
    evidence.confidence(confidence).verdict(format!(
        "{proxy} closed the session after {} without a byte in either direction, {} after it was opened: an idle timer of \
         {} s; no Close frame, the client reports 1006",
        Span(idle),
        Span(end.age()),
        fit.seconds
    ))
}

/// The software of the one who ended it, by its fingerprint.
fn software(end: &Ending<'_>) -> Option<Software> {
    let legs = &end.session.legs;
    let named = |print: Option<Fingerprint<'_>>| print.map(|print| print.software);
    let between = match end.end.by {
        Role::Client => legs[end.leg].behind.and_then(|front| named(proxies::between(&legs[front], &legs[end.leg]))),
        Role::Server => {
            let back = legs.iter().find(|leg| leg.behind == Some(end.leg));
            back.and_then(|back| named(proxies::between(&legs[end.leg], back)))
        }
    };
    between.or_else(|| named(proxies::answering(&legs[end.leg])))
}

/// How many other sessions a proxy ended after the same silence.
fn sharing(facts: &Facts<'_>, idle: Duration) -> usize {
    let near = |other: Duration| other.abs_diff(idle) <= Duration::from_millis(350);
    let endings = facts.neighbours.endings.iter();
    endings
        .filter(|other| {
            other.session != facts.session.id && !other.close_frame && other.end.is_some() && near(other.idle)
        })
        .count()
}

/// Whether sessions of other silences ended at the same instant: then it was no timer of this one.
fn is_shared_moment(facts: &Facts<'_>, end: &Ending<'_>) -> bool {
    facts.neighbours.endings.iter().any(|other| {
        other.session != facts.session.id
            && other.end.is_some_and(|at| at.distance(end.end.moment.at) < Duration::from_millis(100))
            && other.idle.abs_diff(end.idle()) > Duration::from_millis(400)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::session::SessionId;

    pub(crate) fn idle_for(milliseconds: u64) -> TestSession {
        let silent =
            |leg: TestLeg| leg.open().messages(Role::Client, 1).messages(Role::Server, 1).after_ms(milliseconds);
        session()
            .client_leg(|leg| {
                silent(leg.request(ASKED).response(SWITCHED)).after_ms(2).fin(Role::Server).fin(Role::Client)
            })
            .backend_leg(|leg| silent(leg.request(FORWARDED).response(SWITCHED)).fin(Role::Client).fin(Role::Server))
            .outcome(crate::session::Outcome::Aborted)
    }

    pub(crate) fn example() -> TestSession {
        idle_for(60_000)
    }

    #[test]
    fn names_the_timer() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("an idle timer of 60 s"), "{}", diagnosis.verdict);
    }

    #[test]
    fn a_silence_of_any_other_length_is_no_timer() {
        assert!(idle_for(3370).check(&RULE).is_none());
        assert_eq!(idle_for(3370).cause(), Some("proxy-closed"));
    }

    #[test]
    fn is_silent_when_others_ended_at_the_same_instant() {
        let session = example().neighbours(|neighbours| {
            let mut other = neighbours_ending();
            other.session = SessionId(9);
            neighbours.endings.push(other);
        });
        assert!(session.check(&RULE).is_none());
    }

    fn neighbours_ending() -> crate::session::neighbours::Ending {
        let session = example().session;
        let mut other = ending_of_neighbour(&session);
        other.end = crate::diagnosis::ending::ending(&session).map(|end| end.end.moment.at);
        other.idle = Duration::from_secs(5);
        other
    }

    fn ending_of_neighbour(session: &crate::session::Session) -> crate::session::neighbours::Ending {
        crate::diagnosis::test_session::ending(session)
    }

    #[test]
    fn is_silent_when_the_client_or_the_backend_left() {
        let left = session().client_leg(|leg| {
            leg.request(ASKED).response(SWITCHED).open().messages(Role::Client, 1).after_ms(60_000).fin(Role::Client)
        });
        assert!(left.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
