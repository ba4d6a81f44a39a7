//! Pings were not answered.

use crate::diagnosis::ending::named;
use crate::diagnosis::ranking::closed_normally;
use crate::diagnosis::wording::{Count, Span};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::packet::Moment;
use crate::session::leg::{HeartbeatProtocol, Heartbeats, Tunnel};
use crate::session::{Outcome, Session};
use crate::stream::Role;
use std::time::Duration;

/// `ping-unanswered`.
pub const RULE: Rule = Rule {
    id: "ping-unanswered",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "Pings were not answered, and the session was ended",
    explanation: "One side asked for signs of life and got none: pings without pong, or the heartbeat of an \
        application protocol. The peer hangs, its event loop is blocked, a proxy holds the bytes, or it \
        is gone. Python's websockets wait 20 s and close with 1011 `keepalive ping timeout`; engine.io \
        closes 20 s after its last `2`; daphne resets.",
    signature: "pings or application heartbeats without an answer, then a Close 1011, an end, or nothing",
    fix: "Look at the side that did not answer: a blocked event loop, a suspended tab, a handler that does \
        not yield. Answering pings is the library's work, once it gets to run.",
    look_alikes: "A ping that is sent at the very end needs no answer. One leg that shows the ping and another \
        that does not: the proxy between holds it.",
    reference: "RFC 6455 §5.5.2",
    check,
};

/// Who waited for whom, since when, for how many signs of life.
struct Waiting {
    leg: usize,
    by: Role,
    since: Moment,
    count: u64,
    what: &'static str,
}

/// A ping takes a round trip: an answer that takes longer than this is late on any path.
const PATIENCE: Duration = Duration::from_millis(400);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    if session.outcome == Outcome::Closed && closed_normally(session) {
        return None; // whoever closes in good order need not answer a last ping
    }
    let waiting = (0..session.legs.len()).rev().find_map(|leg| waiting(session, leg))?;
    let end = ending_of(facts)?;
    let waited = end.at.since(waiting.since.at);
    let says_so = facts.first_close().is_some_and(|(_, _, close)| {
        let reason = close.reason.to_ascii_lowercase();
        reason.contains("ping timeout") || reason.contains("pong timeout") || reason.contains("heartbeat timeout")
    });
    if waited < PATIENCE && !says_so {
        return None;
    }
    let peer = named(session, waiting.leg, waiting.by.peer());
    let who = named(session, waiting.leg, waiting.by);
    let count = Count(waiting.count, waiting.what);
    Some(
        Evidence::on(waiting.leg, format!("{peer} did not answer {count} of {who} for {}", Span(waited)))
            .packet(waiting.since, "the first one without an answer")
            .packet(end, "the end")
            .verdict(format!("{peer} did not answer {count} of {who} for {}, and the session was ended", Span(waited))),
    )
}

/// How the session was ended: by the first Close frame, or the first end of a leg; `None` when whoever waited is still
/// waiting, or the one who did not answer left first.
fn ending_of(facts: &Facts<'_>) -> Option<Moment> {
    let close = facts.first_close().map(|(_, _, close)| close.moment);
    let end = facts.session.legs.iter().filter_map(|leg| leg.first_end()).map(|end| end.moment).min();
    [close, end].into_iter().flatten().min()
}

fn waiting(session: &Session, leg: usize) -> Option<Waiting> {
    let this = &session.legs[leg];
    let tunnel = this.tunnel.as_deref().filter(|_| this.both_directions_seen() && !this.has_holes())?;
    Role::BOTH.into_iter().find_map(|by| {
        let pings = &tunnel.sides[by].pings;
        let pings = pings.waiting_since.filter(|_| pings.unanswered > 0).map(|since| Waiting {
            leg,
            by,
            since,
            count: pings.unanswered.into(),
            what: "ping",
        });
        let waiting = pings.or_else(|| heartbeat(tunnel, leg, by))?;
        // Whoever talks is alive; and who closed by itself in good order did not hang.
        let answered = tunnel.sides[by.peer()].last_frame.is_some_and(|last| last > waiting.since);
        (!answered || says_ping_timeout(tunnel, by)).then_some(waiting)
    })
}

fn says_ping_timeout(tunnel: &Tunnel, by: Role) -> bool {
    tunnel.sides[by].close.as_ref().is_some_and(|close| close.reason.contains("ping timeout"))
}

/// engine.io's server asks with `2` and its client answers with `3`; Phoenix' client asks, and its server replies. In other
/// protocols either side may ask, or nobody has to answer.
fn heartbeat(tunnel: &Tunnel, leg: usize, by: Role) -> Option<Waiting> {
    let (asked, answered): (&Heartbeats, &Heartbeats) =
        (&tunnel.sides[by].heartbeats, &tunnel.sides[by.peer()].heartbeats);
    let what = match (asked.protocol?, by) {
        (HeartbeatProtocol::EngineIo, Role::Server) => "engine.io ping",
        (HeartbeatProtocol::Phoenix, Role::Client) => "Phoenix heartbeat",
        _ => return None,
    };
    let since = asked.last.filter(|last| answered.last.is_none_or(|answer| answer < *last))?;
    Some(Waiting { leg, by, since, count: 1, what })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn pinged(close: impl Fn(TestLeg) -> TestLeg) -> TestSession {
        session()
            .client_leg(|leg| {
                let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Client, 1).after_ms(1000);
                let now = leg.now();
                close(leg.with(|leg| {
                    if let Some(tunnel) = &mut leg.tunnel {
                        let pings = &mut tunnel.sides.server.pings;
                        (pings.sent, pings.unanswered, pings.waiting_since) = (1, 1, Some(now));
                    }
                }))
            })
            .outcome(Outcome::Aborted)
    }

    pub(crate) fn example() -> TestSession {
        pinged(|leg| leg.after_ms(20_000).close(Role::Server, 1011, "keepalive ping timeout").fin(Role::Server))
    }

    #[test]
    fn explains_the_1011() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.starts_with("the client"), "{}", diagnosis.verdict);
    }

    #[test]
    fn a_server_that_does_not_reply_to_a_heartbeat_of_phoenix_hangs() {
        let beating = |answered: bool| {
            session()
                .client_leg(|leg| {
                    let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Client, 1).after_ms(1000);
                    let now = leg.now();
                    let beats = Heartbeats {
                        protocol: Some(HeartbeatProtocol::Phoenix),
                        count: 1,
                        first: Some(now),
                        last: Some(now),
                    };
                    let leg = leg.with(|leg| {
                        let sides = &mut leg.tunnel.as_mut().unwrap().sides;
                        sides.client.heartbeats = beats;
                        if answered {
                            sides.server.heartbeats = beats;
                        }
                    });
                    leg.after_ms(30_000).fin(Role::Client)
                })
                .outcome(Outcome::Aborted)
        };
        assert_eq!((beating(false).cause(), beating(true).cause()), (Some(RULE.id), Some("fin-without-close")));
    }

    #[test]
    fn is_silent_when_the_end_came_at_once() {
        assert!(pinged(|leg| leg.after_ms(5).close(Role::Client, 1000, "").fin(Role::Client)).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
