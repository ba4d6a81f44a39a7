//! Judgements.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use crate::diagnosis;
use crate::output::mask::Mask;
use crate::session;

/// One judgement: on a session, or a line of its own on several.
#[derive(Serialize)]
pub struct Finding<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    id: &'static str,
    severity: &'static str,
    title: &'static str,
    detail: Cow<'a, str>,
    /// Of a session; `null` when it is about no leg, or about all.
    #[serde(skip_serializing_if = "Option::is_none")]
    leg: Option<Option<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<Ids<'a>>,
    evidence: Vec<Packet<'a>>,
    fix: Cow<'a, str>,
    reference: &'static str,
    confidence: &'static str,
}

impl<'a> Finding<'a> {
    /// On several sessions, as the format says it.
    pub fn of_group(group: &'a diagnosis::GroupFinding, mask: Mask) -> Finding<'a> {
        Finding {
            r#type: Some("finding"),
            leg: None,
            sessions: Some(Ids(&group.sessions)),
            ..Finding::of_session(&group.finding, mask)
        }
    }

    pub(super) fn of_session(finding: &'a diagnosis::Finding, mask: Mask) -> Finding<'a> {
        let evidence = &finding.evidence;
        Finding {
            r#type: None,
            id: finding.id,
            severity: finding.severity.name(),
            title: finding.title,
            detail: mask.text(&evidence.detail),
            leg: Some(evidence.leg),
            sessions: None,
            evidence: evidence.packets.iter().map(|(packet, note)| Packet { packet: packet.0, note }).collect(),
            fix: mask.text(&finding.fix),
            reference: finding.reference,
            confidence: evidence.confidence.name(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Packet<'a> {
    packet: u64,
    note: &'a str,
}

pub(super) struct Ids<'a>(&'a [session::SessionId]);

impl Serialize for Ids<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|id| id.0))
    }
}
