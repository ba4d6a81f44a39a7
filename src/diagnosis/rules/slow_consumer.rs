//! A receiver did not keep up.

use std::time::Duration;

use crate::diagnosis::ending::named;
use crate::diagnosis::wording::{Count, Span};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::packet::Moment;
use crate::session::{Outcome, Session};
use crate::stream::Role;
use crate::tcp::ZeroWindow;

/// `slow-consumer`.
pub const RULE: Rule = Rule {
    id: "slow-consumer",
    severity: Severity::Warning,
    stage: Stage::Network,
    title: "A receiver did not keep up and shut its window",
    explanation: "One end took no more bytes for a while: its window was at zero, and the sender had to wait. On a \
        chain of legs the window of a proxy shuts because the other leg is stuck: the leg whose far end \
        shut first has the slow program.",
    signature: "a window of zero for a second or more",
    fix: "Make the slow end read faster: no blocking work in the handler of messages; drop or merge \
        messages that are out of date; bound the sender's queue.",
    look_alikes: "A zero window of some milliseconds is everyday life.",
    reference: "RFC 9293 §3.8.6.1",
    check,
};

/// Shorter pauses nobody notices.
const LEAST: Duration = Duration::from_secs(1);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (leg, role, window, first) = first_to_shut(session)?;
    let (who, peer) = (named(session, leg, role), named(session, leg, role.peer()));
    let longest = Span(window.longest);
    let times = Count(window.count.into(), "time");
    let killed = session.outcome == Outcome::Aborted && window.open;
    let said = format!("{who} shut its window {times}, for {longest} at the longest; {peer} had to wait");
    let evidence = Evidence::on(leg, said.clone()).packet(first, "window zero").verdict(said);
    Some(if killed { evidence.severity(Severity::Error) } else { evidence })
}

/// The outer end whose window was shut first: a proxy's window shuts because of another leg.
fn first_to_shut(session: &Session) -> Option<(usize, Role, ZeroWindow, Moment)> {
    let windows = session.legs.iter().enumerate().filter(|(_, leg)| leg.tunnel.is_some()).flat_map(|(index, leg)| {
        Role::BOTH.into_iter().filter_map(move |role| {
            let window = leg.zero_window(role);
            Some((index, role, window, window.first?))
        })
    });
    windows.filter(|(_, _, window, _)| window.longest >= LEAST).min_by_key(|(.., first)| *first)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn shut(longest: Duration) -> TestSession {
        session().client_leg(|leg| {
            let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Server, 3);
            let now = leg.now();
            let leg = leg.with(|leg| {
                let side = leg.side(Role::Client);
                let window = &mut leg.tcp.halves[side].zero_window;
                (window.count, window.longest, window.total, window.first) = (2, longest, longest, Some(now));
            });
            leg.close(Role::Client, 1000, "").close(Role::Server, 1000, "").fin(Role::Server)
        })
    }

    pub(crate) fn example() -> TestSession {
        shut(Duration::from_secs(3))
    }

    #[test]
    fn explains_why_it_was_slow_although_it_closed_well() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.starts_with("the client"), "{}", diagnosis.verdict);
    }

    #[test]
    fn is_silent_on_a_short_pause() {
        assert!(shut(Duration::from_millis(80)).check(&RULE).is_none());
    }
}
