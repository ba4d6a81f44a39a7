//! What makes a finding less sure: a capture that did not see everything.

use crate::diagnosis::{Evidence, Rule, Stage};
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

fn reason(leg: &Leg, stage: Stage) -> Option<&'static str> {
    // A head is read from bytes without a hole: what is missing elsewhere cannot change what it says.
    if stage < Stage::Frames && leg.request.is_some() && leg.response.is_some() {
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
