//! A sink in front of a sink: lets through the sessions that match a query. What is not shown does not count.

use std::collections::{BTreeMap, HashSet};
use std::io;

use crate::diagnosis::{Diagnosis, Finding, Severity};
use crate::engine::event::{Event, Sink, Summary, Wants};
use crate::output::query::Query;
use crate::session::{Outcome, Session, SessionId};

/// Lets through what matches.
#[derive(Debug)]
pub struct Chosen<S> {
    sink: S,
    query: Query,
    /// The sessions that matched, for findings about several.
    sessions: HashSet<SessionId>,
    outcomes: BTreeMap<Outcome, u64>,
    findings: Vec<(&'static str, u64)>,
    worst: Option<Severity>,
}

impl<S: Sink> Chosen<S> {
    /// In front of `sink`.
    pub fn new(sink: S, query: Query) -> Chosen<S> {
        Chosen { sink, query, sessions: HashSet::new(), outcomes: BTreeMap::new(), findings: Vec::new(), worst: None }
    }

    /// The sink behind, to tell it something else.
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// The worst severity of what was let through.
    pub fn worst(&self) -> Option<Severity> {
        self.worst
    }

    fn session(&mut self, session: &Session, diagnosis: &Diagnosis) {
        self.sessions.insert(session.id);
        *self.outcomes.entry(session.outcome).or_default() += 1;
        diagnosis.findings.iter().for_each(|finding| self.finding(finding));
    }

    fn finding(&mut self, finding: &Finding) {
        self.worst = self.worst.max(Some(finding.severity));
        match self.findings.iter_mut().find(|(id, _)| *id == finding.id) {
            Some((_, count)) => *count += 1,
            None => self.findings.push((finding.id, 1)),
        }
    }

    /// The summary with the sessions and findings that were let through.
    fn summary(&self, summary: &Summary) -> Summary {
        Summary {
            sessions: self.outcomes.iter().map(|(outcome, count)| (outcome.name(), *count)).collect(),
            findings: self.findings.clone(),
            worst: self.worst,
            ..summary.clone()
        }
    }
}

impl<S: Sink> Sink for Chosen<S> {
    /// Whether a session matches is known when it is over: nothing can be told before.
    fn wants(&self) -> Wants {
        Wants { messages: false, progress: false }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Session(session, diagnosis) if self.query.matches(session, diagnosis) => {
                self.session(session, diagnosis);
                self.sink.event(event)
            }
            Event::Finding(group) if group.sessions.iter().any(|id| self.sessions.contains(id)) => {
                self.finding(&group.finding);
                self.sink.event(event)
            }
            Event::Summary(summary) => self.sink.event(&Event::Summary(&self.summary(summary))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    /// Remembers what it is told.
    #[derive(Default)]
    struct Told {
        sessions: Vec<u64>,
        summary: Option<Summary>,
    }

    impl Sink for Told {
        fn wants(&self) -> Wants {
            Wants { messages: true, progress: true }
        }

        fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
            match event {
                Event::Session(session, _) => self.sessions.push(session.id.0),
                Event::Summary(summary) => self.summary = Some((*summary).clone()),
                _ => {}
            }
            Ok(())
        }
    }

    #[test]
    fn what_is_not_shown_does_not_count() {
        let query = Query::parse("outcome != rejected").expect("it is well formed");
        let mut chosen = Chosen::new(Told::default(), query);
        assert_eq!(chosen.wants(), Wants::default());
        for (session, diagnosis) in [samples::stripped(), samples::closed(), samples::encrypted()] {
            chosen.event(&Event::Session(&session, &diagnosis)).expect("it takes everything");
        }
        chosen.event(&Event::Summary(&samples::summary())).expect("it takes everything");
        assert_eq!(chosen.worst(), Some(Severity::Note));
        assert_eq!(chosen.inner_mut().sessions, [2, 3]);
        let summary = chosen.inner_mut().summary.as_ref().expect("it comes last");
        assert_eq!(summary.sessions, [("closed", 1), ("encrypted", 1)]);
        assert_eq!(summary.findings, [("encrypted-no-keys", 1)]);
        assert_eq!(summary.packets, 46);
    }
}
