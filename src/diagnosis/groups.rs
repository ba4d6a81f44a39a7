//! Findings that several sessions share: told once for all of them, with their number.

use std::net::IpAddr;
use std::time::Duration;

use crate::diagnosis::{Diagnosis, Finding, GroupFinding};
use crate::session::SessionId;
use crate::time::Timestamp;

/// What a finding of one session has in common with those of others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shared {
    /// Where: the address and port of the server, or of the client with no port.
    pub place: (IpAddr, u16),
    /// When it happened, and how near in time others must be to be the same; `None` when the time does not matter.
    pub time: Option<(Timestamp, Duration)>,
    /// What is to be said of all of them, without their number.
    pub words: String,
}

/// The findings that several sessions share, as far as the sessions were judged.
#[derive(Debug, Default)]
pub struct Groups {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    /// The latest of the findings: it knows most of the others.
    finding: Finding,
    place: (IpAddr, u16),
    /// The first and the last time, widened by how near others must be.
    span: Option<(Timestamp, Timestamp)>,
    sessions: Vec<SessionId>,
    /// Sessions that there was no room to name.
    unnamed: u64,
}

/// Groups kept: causes that many sessions share are few.
const KEPT: usize = 256;

/// Sessions named in a group; more are counted.
const NAMED: usize = 1000;

impl Groups {
    /// Takes what was said of one session.
    pub fn add(&mut self, session: SessionId, diagnosis: &Diagnosis) {
        for finding in &diagnosis.findings {
            if let Some(shared) = &finding.evidence.shared {
                self.share(session, finding, shared);
            }
        }
    }

    fn share(&mut self, session: SessionId, finding: &Finding, shared: &Shared) {
        let near = |group: &&mut Group| match (group.span, shared.time) {
            (Some((first, last)), Some((at, _))) => first <= at && at <= last,
            (None, None) => true,
            _ => false,
        };
        let same = |group: &&mut Group| group.finding.id == finding.id && group.place == shared.place && near(group);
        let around = shared.time.map(|(at, within)| (at.minus(within), at.plus(within)));
        let full = self.groups.len() >= KEPT;
        match self.groups.iter_mut().find(same) {
            Some(group) => {
                group.finding = finding.clone();
                group.span = group.span.zip(around).map(|(one, other)| (one.0.min(other.0), one.1.max(other.1)));
                match group.sessions.len() < NAMED {
                    true => group.sessions.push(session),
                    false => group.unnamed += 1,
                }
            }
            None if full => {}
            None => self.groups.push(Group {
                finding: finding.clone(),
                place: shared.place,
                span: around,
                sessions: vec![session],
                unnamed: 0,
            }),
        }
    }

    /// What more than one session has, in the order in which it was first found.
    pub fn into_findings(self) -> Vec<GroupFinding> {
        self.groups.into_iter().filter(|group| group.sessions.len() > 1).map(Group::told).collect()
    }
}

impl Group {
    fn told(self) -> GroupFinding {
        let count = self.sessions.len() as u64 + self.unnamed;
        let mut finding = self.finding;
        let words = finding.evidence.shared.take().map(|shared| shared.words).unwrap_or_default();
        finding.evidence.detail = format!("{count} sessions: {words}");
        finding.evidence.verdict = None;
        finding.evidence.leg = None;
        GroupFinding { finding, sessions: self.sessions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Evidence;
    use crate::diagnosis::test_session::{START, answered};

    fn diagnosis(id: &'static str, port: u16, at: Option<u64>) -> Diagnosis {
        let mut finding = answered("HTTP/1.1 403 Forbidden\n\n").diagnose().diagnosis.findings.remove(0);
        let time = at.map(|at| (START.plus(Duration::from_millis(at)), Duration::from_millis(100)));
        let place = (IpAddr::from([10, 0, 0, 1]), port);
        let shared = Shared { place, time, words: format!("seen at {at:?}") };
        (finding.id, finding.evidence) = (id, Evidence { shared: Some(shared), ..Evidence::on(0, "one") });
        Diagnosis { findings: vec![finding], ..Diagnosis::default() }
    }

    fn told(diagnoses: &[Diagnosis]) -> Vec<(String, usize)> {
        let mut groups = Groups::default();
        for (number, diagnosis) in diagnoses.iter().enumerate() {
            groups.add(SessionId(number as u64 + 1), diagnosis);
        }
        let told = groups.into_findings();
        told.into_iter().map(|group| (group.finding.evidence.detail, group.sessions.len())).collect()
    }

    #[test]
    fn what_happens_in_one_place_at_one_time_is_one_group() {
        let at = |millis| diagnosis("mass-close", 80, Some(millis));
        let all = [at(0), at(90), at(180), at(5000), diagnosis("mass-close", 81, Some(90))];
        assert_eq!(told(&all), [("3 sessions: seen at Some(180)".to_owned(), 3)]);
    }

    #[test]
    fn a_timer_is_one_group_whenever_it_fires() {
        let timer = || diagnosis("idle-timeout", 80, None);
        assert_eq!(told(&[timer(), timer()]), [("2 sessions: seen at None".to_owned(), 2)]);
        assert_eq!(told(&[timer(), diagnosis("lifetime-cap", 80, None)]), []);
    }

    #[test]
    fn names_are_bounded_and_the_count_is_not() {
        let many = vec![diagnosis("idle-timeout", 80, None); NAMED + 5];
        assert_eq!(told(&many), [(format!("{} sessions: seen at None", NAMED + 5), NAMED)]);
    }
}
