//! The heartbeat is hardly faster than a timer.

use std::time::Duration;

use crate::diagnosis::ending::named;
use crate::diagnosis::timers;
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::packet::Moment;
use crate::session::neighbours::endings::IdleLimit;
use crate::session::{Confidence, Session};
use crate::stream::Role;

/// `heartbeat-races-timer`.
pub const RULE: Rule = Rule {
    id: "heartbeat-races-timer",
    severity: Severity::Warning,
    stage: Stage::Timers,
    title: "The heartbeat is hardly faster than the timer that it should beat",
    explanation: "Another session here was ended by an idle timer, and the pings of this one come hardly more \
        often than that timer fires: one late ping, and it ends as well.",
    signature: "a period of pings at or above 0.9 of an idle time after which other sessions were ended",
    fix: "Send pings at half the time of the shortest timer on the way, or raise the timer.",
    look_alikes: "Pings with enough room to spare.",
    reference: "nginx: proxy_read_timeout",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let server = session.first_leg().server;
    let limits = facts.neighbours.endings.idle_limits(server);
    if limits.is_empty() {
        return None;
    }
    let (leg, by, period, last) = heartbeat(session)?;
    let is_timer = |limit: &&IdleLimit| {
        limit.silence >= Duration::from_secs(1)
            && (limit.moments > 1 || timers::fit(limit.silence, Duration::MAX, None).is_some())
    };
    let limit = limits.iter().filter(is_timer).map(|limit| limit.silence).min()?;
    if period * 10 < limit * 9 || period > limit * 2 {
        return None;
    }
    let who = named(session, leg, by);
    let said = format!(
        "{who} pings every {}, and another session through {server} was ended after {} of silence",
        Span(period),
        Span(limit)
    );
    Some(Evidence::on(leg, said).packet(last, "the last ping").confidence(Confidence::Medium).not_cause())
}

/// The steady sign of life of a session: pings of three or more, or application heartbeats.
fn heartbeat(session: &Session) -> Option<(usize, Role, Duration, Moment)> {
    let legs = session.legs.iter().enumerate().filter_map(|(index, leg)| Some((index, leg.tunnel.as_deref()?)));
    legs.flat_map(|(index, tunnel)| {
        Role::BOTH.into_iter().filter_map(move |by| {
            let side = &tunnel.sides[by];
            let (count, first, last) = match side.pings.sent {
                0..=2 => (side.heartbeats.count, side.heartbeats.first?, side.heartbeats.last?),
                sent => (sent, side.pings.first?, side.pings.last?),
            };
            (count > 1).then(|| (index, by, last.at.since(first.at) / (count - 1), last))
        })
    })
    .next()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::session::SessionId;

    pub(crate) fn pinging(period: Duration) -> TestSession {
        let session = healthy().client_leg(|leg| {
            leg.with(|leg| {
                if let Some(tunnel) = &mut leg.tunnel {
                    let opened = tunnel.opened;
                    let pings = &mut tunnel.sides.server.pings;
                    (pings.sent, pings.answered, pings.first) = (5, 5, Some(opened));
                    pings.last = Some(Moment { at: opened.at.plus(period * 4), ..opened });
                }
            })
        });
        let mut other = ending(&session.session);
        (other.session, other.proxy_ended, other.idle) = (SessionId(2), true, Duration::from_secs(60));
        (other.close_frame, other.ended_by) = (false, Some(Role::Server));
        other.end = Some(START.plus(Duration::from_secs(70)));
        session.neighbours(|neighbours| _ = neighbours.endings.add(&other))
    }

    pub(crate) fn example() -> TestSession {
        pinging(Duration::from_secs(58))
    }

    #[test]
    fn warns_and_is_not_the_cause() {
        assert_eq!(example().finding(RULE.id).map(|finding| finding.severity), Some(Severity::Warning));
        assert_eq!(example().cause(), None);
    }

    #[test]
    fn is_silent_with_room_to_spare() {
        assert!(pinging(Duration::from_secs(25)).check(&RULE).is_none());
    }
}
