//! What was found, by finding: each with the sessions that have it.

use crate::diagnosis::{Finding, GroupFinding, Severity};
use crate::session::SessionId;

/// Sessions that a finding remembers.
const SESSIONS_A_FINDING: usize = 10_000;

/// Findings of all sessions by id.
#[derive(Debug, Default)]
pub(in crate::tui) struct Findings {
    /// In order of severity, then of number.
    pub groups: Vec<FindingGroup>,
    /// What was said of several sessions at once, when the capture was over: the engine bounds it.
    pub shared: Vec<GroupFinding>,
}

/// One finding with the sessions that have it.
#[derive(Debug)]
pub(in crate::tui) struct FindingGroup {
    pub id: &'static str,
    pub severity: Severity,
    pub title: &'static str,
    /// How many sessions have it.
    pub count: usize,
    /// The first of them.
    pub sessions: Vec<SessionId>,
    /// One of them as an example: its evidence and fix.
    pub example: Finding,
}

impl Findings {
    /// The finding of that id.
    pub fn find(&self, id: &str) -> Option<&FindingGroup> {
        self.groups.iter().find(|group| group.id == id)
    }

    /// One that a session has.
    pub(super) fn add(&mut self, session: SessionId, finding: &Finding) {
        let at = self.group(finding);
        let group = &mut self.groups[at];
        group.count += 1;
        group.severity = group.severity.max(finding.severity);
        if group.sessions.len() < SESSIONS_A_FINDING {
            group.sessions.push(session);
        }
        self.order(at);
    }

    /// One of several sessions: they have told of it themselves, unless they came too fast.
    pub(super) fn add_group(&mut self, told: GroupFinding) {
        let at = self.group(&told.finding);
        let group = &mut self.groups[at];
        if group.count == 0 {
            group.count = told.sessions.len();
            group.sessions = told.sessions.iter().take(SESSIONS_A_FINDING).copied().collect();
        }
        self.order(at);
        self.shared.push(told);
    }

    fn group(&mut self, finding: &Finding) -> usize {
        if let Some(at) = self.groups.iter().position(|group| group.id == finding.id) {
            return at;
        }
        self.groups.push(FindingGroup {
            id: finding.id,
            severity: finding.severity,
            title: finding.title,
            count: 0,
            sessions: Vec::new(),
            example: finding.clone(),
        });
        self.groups.len() - 1
    }

    /// Moves a group that has grown up to its place.
    fn order(&mut self, mut at: usize) {
        let rank = |group: &FindingGroup| (group.severity, group.count);
        while at > 0 && rank(&self.groups[at - 1]) < rank(&self.groups[at]) {
            self.groups.swap(at - 1, at);
            at -= 1;
        }
    }
}
