//! What makes a finding less sure: a capture that did not see everything.

use crate::diagnosis::{Diagnosis, Evidence, Rule, Stage, rules};
use crate::session::{Leg, Session};
use crate::stream::{Role, Side};

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

/// Packets were dropped while the session went on: lowers the confidence of what they may have contradicted by one.
pub fn weigh_drops(session: &Session, diagnosis: &mut Diagnosis) {
    for finding in &mut diagnosis.findings {
        let Some(rule) = rules::find(finding.id).filter(|rule| rule.stage != Stage::Capture) else { continue };
        let evidence = &mut finding.evidence;
        let leg = evidence.leg.and_then(|index| session.legs.get(index));
        let doubted = evidence.detail.contains("; less sure, because ");
        if !doubted && !leg.is_some_and(|leg| rests_on_heads(leg, rule.stage)) {
            evidence.confidence = evidence.confidence.lowered();
            evidence.detail.push_str("; less sure, because packets were dropped while it was captured");
        }
    }
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
    use crate::diagnosis::Evidence;
    use crate::diagnosis::test_session::*;
    use crate::session::Confidence;
    use crate::stream::Role;

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
        let holes = dropped(|leg| leg.hole(Role::Server, 100));
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
}
