//! A minute of silence with nothing to keep it alive.

use std::time::Duration;

use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;

/// `no-keepalive`.
pub const RULE: Rule = Rule {
    id: "no-keepalive",
    severity: Severity::Note,
    stage: Stage::Timers,
    title: "Nothing keeps the session alive while it is silent",
    explanation: "There was a minute without a byte, and neither pings nor heartbeats of the application: the next \
        timer on the way that is shorter ends the session.",
    signature: "a silence of 60 s or more in an open session without pings or known heartbeats",
    fix: "Send a ping every 25 to 30 s from the server; every library can.",
    look_alikes: "A session with pings that are simply far apart.",
    reference: "RFC 6455 §5.5.2",
    check,
};

pub(in crate::diagnosis) const MINUTE: Duration = Duration::from_secs(60);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let leg = facts.session.first_leg();
    let tunnel = leg.tunnel.as_deref()?;
    let silence = tunnel.longest_idle.max(match (leg.first_end(), tunnel.last_byte) {
        (None, Some(last)) => facts.neighbours.span.1.since(last.at),
        _ => Duration::ZERO,
    });
    let alive = Role::BOTH.into_iter().any(|role| {
        let side = &tunnel.sides[role];
        side.pings.sent > 0 || side.heartbeats.count > 0 || side.frames.pong > 0
    });
    if silence < MINUTE || alive {
        return None;
    }
    Some(
        Evidence::on(0, format!("no byte for {}, and no pings or heartbeats", Span(silence)))
            .packet(tunnel.opened, "opened")
            .not_cause(),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn silent_for(silence: Duration) -> TestSession {
        healthy().client_leg(|leg| {
            leg.with(|leg| {
                if let Some(tunnel) = &mut leg.tunnel {
                    tunnel.longest_idle = silence;
                }
            })
        })
    }

    pub(crate) fn example() -> TestSession {
        silent_for(Duration::from_secs(75))
    }

    #[test]
    fn is_a_note() {
        assert_eq!(example().finding(RULE.id).map(|finding| finding.severity), Some(Severity::Note));
    }

    #[test]
    fn is_silent_with_pings_or_short_silences() {
        assert!(silent_for(Duration::from_secs(20)).check(&RULE).is_none());
        let pinged = example().client_leg(|leg| {
            leg.with(|leg| {
                if let Some(tunnel) = &mut leg.tunnel {
                    tunnel.sides.client.pings.sent = 1;
                }
            })
        });
        assert!(pinged.check(&RULE).is_none());
    }
}
