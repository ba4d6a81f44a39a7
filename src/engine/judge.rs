//! Judging: what becomes of sessions that are over.
//!
//! A [`Judge`] knows nothing of connections, only what it is told, in order: so it works beside the engine, or on a thread of
//! its own while the engine goes on ([`Courier`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use crate::diagnosis::groups::Groups;
use crate::diagnosis::{self, Diagnosis, Facts, Severity};
use crate::engine::event::{Event, Sink, Summary};
use crate::engine::strays::{self, Unclaimed};
use crate::limits::Limits;
use crate::session::neighbours::{Endings, Note, Recorder};
use crate::session::records::{self, Record};
use crate::session::spare::Spare;
use crate::session::{Leg, Outcome, Session, SessionId};
use crate::stream::Side;
use crate::time::Timestamp;

/// Times of loss that are told apart; more are taken for one.
const DROPS: usize = 1024;

/// What a judge has to hear.
pub enum Matter {
    /// Something that sessions are judged by, without being one's own.
    Note(Note),
    /// Packets were dropped from then until then, as far as can be told.
    Dropped(Timestamp, Timestamp),
    /// A session is over, and its judgement is due.
    Session(SessionId, Record),
}

/// What is left when the capture is over.
pub struct Rest {
    /// Sessions that were kept to be judged last.
    pub sessions: Vec<(SessionId, Record)>,
    /// Connections that no session claims. They are sessions of their own where somebody asked for them, where sessions lead
    /// to the same server, or where there is nothing else to tell.
    pub unclaimed: Vec<Unclaimed>,
    /// Somebody chose these packets with a filter: connections that failed are what is asked for.
    pub filtered: bool,
    /// The greatest number of a session so far.
    pub last: SessionId,
    /// What the engine has counted.
    pub summary: Summary,
}

/// Brings what is to be judged to a judge elsewhere, in order. An error is the sink's, and ends the run.
pub trait Courier {
    /// Brings some of it; returns when there is room for more.
    fn bring(&mut self, matters: Vec<Matter>) -> io::Result<()>;

    /// Brings the rest, and waits until all is told.
    fn close(&mut self, rest: Rest) -> io::Result<Summary>;
}

/// Judges sessions, and tells of them.
#[derive(Default)]
pub struct Judge {
    recorder: Recorder,
    /// From when until when packets were dropped.
    drops: Vec<(Timestamp, Timestamp)>,
    spare: Spare,
    groups: Groups,
    tally: Tally,
}

impl Judge {
    /// Remembers as much of everything else as the limits allow.
    pub fn new(limits: &Limits) -> Judge {
        Judge { recorder: Recorder::new(limits.bystanders), ..Judge::default() }
    }

    /// Hears of these, in order. Sessions are told to the sink.
    pub fn hear(&mut self, matters: impl IntoIterator<Item = Matter>, sink: &mut dyn Sink) -> io::Result<()> {
        for matter in matters {
            match matter {
                Matter::Note(note) => self.recorder.note(note),
                Matter::Dropped(from, until) => self.dropped(from, until),
                Matter::Session(id, record) => self.judge(id, record, sink)?,
            }
        }
        Ok(())
    }

    /// The capture is over: tells of everything that is left, and the summary.
    pub fn close(&mut self, rest: Rest, sink: &mut dyn Sink) -> io::Result<Summary> {
        let Rest { mut sessions, unclaimed, filtered, mut last, mut summary } = rest;
        let alone = self.tally.outcomes.is_empty() && sessions.is_empty();
        let scanned = if alone { strays::scanned(&unclaimed) } else { BTreeSet::new() };
        let mut failures = unclaimed;
        failures.retain(|failure| {
            let alone = alone && !scanned.contains(&failure.ends());
            failure.legs().iter().any(|leg| self.is_session(leg, filtered, alone))
        });
        for Unclaimed { first, behind } in failures {
            last.0 += 1;
            let record = Record::of_legs(first, behind);
            record.ending(last).into_iter().for_each(|ending| self.recorder.note(Note::Ending(ending)));
            sessions.push((last, record));
        }
        sessions.sort_by_key(|(id, record)| (record.start, *id));
        sessions.into_iter().try_for_each(|(id, record)| self.judge(id, record, sink))?;
        for finding in std::mem::take(&mut self.groups).into_findings() {
            sink.event(&Event::Finding(&finding))?;
        }
        self.add_to(&mut summary);
        sink.event(&Event::Summary(&summary))?;
        Ok(summary)
    }

    /// Adds what was counted here to what the engine has counted.
    pub fn add_to(&self, summary: &mut Summary) {
        summary.sessions = self.tally.outcomes.iter().map(|(outcome, count)| (outcome.name(), *count)).collect();
        summary.findings = self.tally.findings.iter().map(|(id, count)| (*id, *count)).collect();
        summary.worst = self.tally.worst;
        summary.loss.gap_bytes = self.tally.gap_bytes;
        let overflows = self.recorder.overflows;
        if overflows > 0 {
            summary.forgotten.push(("neighbours of sessions", overflows));
        }
    }

    /// How sessions ended, as far as they were counted.
    pub fn endings(&self) -> &Endings {
        &self.recorder.neighbours().endings
    }

    /// Neighbouring times of loss are one.
    fn dropped(&mut self, from: Timestamp, until: Timestamp) {
        let full = self.drops.len() == DROPS;
        match self.drops.last_mut() {
            Some((_, last)) if full || *last == from => *last = until,
            _ => self.drops.push((from, until)),
        }
    }

    fn judge(&mut self, id: SessionId, record: Record, sink: &mut dyn Sink) -> io::Result<()> {
        let Some(session) = records::complete(id, record, &mut self.spare) else { return Ok(()) };
        let mut diagnosis = diagnosis::diagnose(&Facts::new(&session, self.recorder.neighbours()));
        if !self.drops.is_empty() {
            diagnosis::weigh_drops(&session, &self.drops, &mut diagnosis);
        }
        self.tally.add(&session, &diagnosis);
        self.groups.add(session.id, &diagnosis);
        sink.event(&Event::Session(&session, &diagnosis))?;
        self.spare.take_back(session);
        Ok(())
    }

    /// Whether a connection that no session claims is one itself.
    fn is_session(&self, leg: &Leg, filtered: bool, alone: bool) -> bool {
        /// Longer than any pause between attempts at two addresses of one name.
        const TRYING: Duration = Duration::from_secs(5);
        if alone && leg.response.is_some() {
            return true; // of which only the answers were captured
        }
        // Of the addresses of a name the first one that answers is taken (RFC 8305).
        let came_up = || leg.tcp.came_up() || self.endings().began_elsewhere(leg.server, leg.tcp.first.at, TRYING);
        (filtered || alone || self.endings().know(leg.server)) && !came_up()
    }
}

/// What is counted of sessions and findings.
#[derive(Debug, Default)]
struct Tally {
    outcomes: BTreeMap<Outcome, u64>,
    findings: BTreeMap<&'static str, u64>,
    worst: Option<Severity>,
    gap_bytes: u64,
}

impl Tally {
    fn add(&mut self, session: &Session, diagnosis: &Diagnosis) {
        *self.outcomes.entry(session.outcome).or_default() += 1;
        for leg in &session.legs {
            self.gap_bytes += Side::BOTH.into_iter().map(|side| leg.tcp.halves[side].gap_bytes).sum::<u64>();
        }
        for finding in &diagnosis.findings {
            *self.findings.entry(finding.id).or_default() += 1;
            self.worst = self.worst.max(Some(finding.severity));
        }
    }
}
