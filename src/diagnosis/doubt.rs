//! What makes a finding less sure: a capture that did not see everything.

use crate::diagnosis::{Diagnosis, Evidence, Rule, Stage, rules};
use crate::session::{Leg, Session};
use crate::stream::{Role, Side};
use crate::tcp::EndKind;
use crate::time::Timestamp;

/// From one instant until another.
pub type Interval = (Timestamp, Timestamp);

/// Lowers the confidence of a finding by one when its leg was not captured well, and says why.
pub fn weigh(session: &Session, rule: &Rule, mut evidence: Evidence) -> Evidence {
    if rule.stage == Stage::Capture {
        return evidence;
    }
    let reason = evidence.leg.and_then(|index| session.legs.get(index)).and_then(|leg| reason(leg, rule.stage));
    if let Some(reason) = reason {
        evidence.confidence = evidence.confidence.lowered();
        evidence.detail.push_str("; less sure, because ");
        evidence.detail.push_str(reason);
    }
    evidence
}

/// Packets were dropped in these intervals: lowers the confidence of what they may have
/// contradicted by one. Sequence numbers tell which legs were captured whole in spite of it.
pub fn weigh_drops(session: &Session, drops: &[Interval], diagnosis: &mut Diagnosis) {
    let touched: Vec<bool> = session.legs.iter().map(|leg| drops.iter().any(|drop| may_touch(leg, drop))).collect();
    for finding in &mut diagnosis.findings {
        let Some(rule) = rules::find(finding.id).filter(|rule| rule.stage != Stage::Capture) else { continue };
        let evidence = &mut finding.evidence;
        let leg = evidence.leg.and_then(|index| session.legs.get(index));
        let may_be_wrong = match rule.stage {
            _ if RESTS_ON_ABSENCE.contains(&rule.id) => session.legs.iter().any(|leg| meets_any(leg, drops)),
            stage if leg.is_some_and(|leg| rests_on_heads(leg, stage)) => false,
            // Acknowledgements and windows come without bytes: nothing shows that one is missing.
            Stage::Network => leg.is_none_or(|leg| meets_any(leg, drops)),
            // Who left first is asked of all legs.
            Stage::Closing | Stage::Timers => touched.contains(&true),
            _ => evidence.leg.map_or(touched.contains(&true), |index| touched.get(index) == Some(&true)),
        };
        let doubted = evidence.detail.contains("; less sure, because ");
        if may_be_wrong && !doubted {
            evidence.confidence = evidence.confidence.lowered();
            evidence.detail.push_str("; less sure, because packets were dropped while it was captured");
        }
    }
}

/// Findings that speak of a connection that is not in the capture.
const RESTS_ON_ABSENCE: &[&str] = &["upstream-not-dialled"];

fn meets_any(leg: &Leg, drops: &[Interval]) -> bool {
    drops.iter().any(|drop| meets(leg, drop))
}

/// Whether packets were dropped while this leg may have gone on.
fn meets(leg: &Leg, &(from, until): &Interval) -> bool {
    let over = !leg.tcp.ends.is_empty() && leg.tcp.last.at < from;
    leg.tcp.first.at <= until && !over
}

/// Whether something of this leg may be among what was dropped.
fn may_touch(leg: &Leg, drop: &Interval) -> bool {
    if !meets(leg, drop) {
        return false;
    }
    // What came last may be missing without a trace, unless both sides had said that they were done.
    let &(_, until) = drop;
    !is_whole(leg) || (!is_done(leg) && leg.tcp.last.at <= until)
}

/// Whether every byte of both sides was captured, and acknowledged, or the connection was refused.
fn is_whole(leg: &Leg) -> bool {
    let received = Side::BOTH.into_iter().all(|side| leg.tcp.halves[side].unacknowledged_since.is_none());
    leg.tcp.refused.is_some()
        || (leg.tcp.syn.is_some() && leg.tcp.came_up() && leg.both_directions_seen() && received && !leg.has_holes())
}

/// Whether both sides sent a FIN.
fn is_done(leg: &Leg) -> bool {
    let fin = |side| leg.tcp.ends.iter().any(|end| end.side == side && end.kind == EndKind::Fin);
    leg.tcp.refused.is_some() || Side::BOTH.into_iter().all(fin)
}

/// Whether two whole heads say it.
fn rests_on_heads(leg: &Leg, stage: Stage) -> bool {
    stage < Stage::Frames && leg.request.is_some() && leg.response.is_some()
}

fn reason(leg: &Leg, stage: Stage) -> Option<&'static str> {
    // A head is read from bytes without a hole: what is missing elsewhere cannot change what it says.
    if rests_on_heads(leg, stage) {
        return None;
    }
    // The silence of a server that never answered a SYN is what was found.
    let answered = leg.tcp.came_up() || leg.half(Role::Client).bytes > 0;
    if !leg.both_directions_seen() && answered {
        return Some("only one direction of this leg was captured");
    }
    if Side::BOTH.into_iter().any(|side| leg.tcp.halves[side].cut_bytes > 0) {
        return Some("the snap length cut packets of this leg");
    }
    if leg.has_holes() {
        return Some("the capture lacks bytes of this leg");
    }
    if leg.tcp.syn.is_none() {
        return Some("the beginning of this leg was not captured");
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::weigh_drops;
    use crate::diagnosis::Evidence;
    use crate::diagnosis::test_session::*;
    use crate::session::Confidence;
    use crate::stream::Role;
    use crate::ws::facts::ViolationKind;

    fn evidence(session: &TestSession, id: &str) -> Evidence {
        session.finding(id).unwrap().evidence
    }

    #[test]
    fn a_capture_that_lacks_something_makes_a_finding_less_sure_and_says_so() {
        let dropped = |change: fn(TestLeg) -> TestLeg| {
            let session = session().client_leg(|leg| leg.request(ASKED).response(NGINX_502));
            let session = session.backend_leg(|leg| change(leg.request(FORWARDED)).fin(Role::Server));
            evidence(&session, "upstream-premature-close")
        };
        assert_eq!(dropped(|leg| leg).confidence, Confidence::High);
        let holes = dropped(|leg| leg.hole(Role::Client, 100));
        assert_eq!(holes.confidence, Confidence::Medium);
        assert!(holes.detail.ends_with("less sure, because the capture lacks bytes of this leg"));
        let late = dropped(|leg| leg.with(|leg| leg.tcp.syn = None));
        assert!(late.detail.ends_with("the beginning of this leg was not captured"));
    }

    #[test]
    fn what_two_whole_heads_say_is_not_doubted() {
        let later = refused_with("HTTP/1.1 401 Unauthorized\n\n").backend_leg(|leg| leg.hole(Role::Server, 100));
        assert_eq!(evidence(&later, "authentication-required").confidence, Confidence::High);
    }

    /// Whether a finding is less sure when packets were dropped from one millisecond of the session to another.
    fn doubted(session: &TestSession, id: &str, from: u64, until: u64) -> bool {
        let mut diagnosis = session.diagnose().diagnosis;
        let at = |milliseconds| START.plus(Duration::from_millis(milliseconds));
        weigh_drops(&session.session, &[(at(from), at(until))], &mut diagnosis);
        let finding = diagnosis.findings.into_iter().find(|finding| finding.id == id).unwrap();
        let doubted = finding.evidence.detail.ends_with("packets were dropped while it was captured");
        let before = session.finding(id).unwrap().evidence.confidence;
        assert_eq!(finding.evidence.confidence, if doubted { before.lowered() } else { before });
        doubted
    }

    #[test]
    fn a_leg_that_was_captured_whole_is_not_touched_by_drops() {
        let left = |leg: TestLeg| leg.open().messages(Role::Client, 2).fin(Role::Server).fin(Role::Client);
        let session = session()
            .client_leg(|leg| left(leg.request(ASKED).response(SWITCHED)))
            .backend_leg(|leg| left(leg.request(FORWARDED).response(SWITCHED)));
        let id = session.cause().unwrap();
        assert_eq!(id, "fin-without-close");
        assert!(!doubted(&session, id, 0, 10_000));
        let unseen = session.clone().client_leg(|leg| {
            let now = leg.now();
            leg.with(|leg| leg.tcp.halves.originator.unacknowledged_since = Some(now))
        });
        assert!(doubted(&unseen, id, 0, 10_000), "who left first is asked of all legs");
    }

    #[test]
    fn what_came_last_may_be_among_the_drops() {
        let session = session().client_leg(|leg| {
            leg.request(ASKED).response(SWITCHED).open().messages(Role::Client, 2).after_ms(1000).rst(Role::Server)
        });
        let id = session.cause().unwrap();
        assert_eq!(id, "reset-without-close");
        assert!(!doubted(&session, id, 0, 500), "the bytes behind it were in sequence");
        assert!(doubted(&session, id, 900, 1500), "a Close may have been before the RST");
        assert!(!doubted(&session, id, 2000, 2500), "it was over");
    }

    #[test]
    fn a_leg_is_touched_and_another_is_not() {
        let leg = |leg: TestLeg| leg.open().violation(Role::Client, ViolationKind::Unmasked);
        let session = session()
            .client_leg(|front| leg(front.request(ASKED).response(SWITCHED)).fin(Role::Server).fin(Role::Client))
            .backend_leg(|back| leg(back.request(FORWARDED).response(SWITCHED)).rst(Role::Server));
        assert!(!doubted(&session, "unmasked-client-frame", 0, 10_000));
        let open = session.client_leg(|leg| leg.with(|leg| leg.tcp.ends.clear()));
        assert!(doubted(&open, "unmasked-client-frame", 0, 10_000));
    }

    #[test]
    fn what_carries_no_bytes_may_be_missing_anywhere() {
        let shut = healthy().client_leg(|leg| {
            let now = leg.now();
            leg.with(|leg| {
                let window = &mut leg.tcp.halves.originator.zero_window;
                (window.count, window.longest, window.first) = (1, Duration::from_secs(2), Some(now));
            })
        });
        assert!(doubted(&shut, "slow-consumer", 0, 10));
        let page = NGINX_502.replace("nginx/1.22.1", "nginx");
        let answered = session().client_leg(|leg| leg.request(ASKED).response(&page).fin(Role::Client));
        assert!(doubted(&answered, "upstream-not-dialled", 0, 10));
    }
}
