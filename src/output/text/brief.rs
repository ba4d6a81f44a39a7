//! One line a session: time, id, outcome, the way, target, status, duration, cause and verdict.
//!
//! ```text
//! 23:58:09.020  s1  rejected  127.0.0.1:39050 > 127.0.0.1:8080 > 127.0.0.1:9000  /ws  426  186 ms  upgrade-headers-stripped: ...
//! ```
//!
//! Captures hold a hundred thousand sessions: this is written into one buffer, without a formatter.

use crate::diagnosis::{Diagnosis, GroupFinding, Severity};
use crate::output::clock::Clock;
use crate::output::line::{Line, outcome_style, severity_style};
use crate::output::phrase;
use crate::session::Session;

/// Columns of a target; longer ones are cut.
const TARGET: usize = 48;
/// Columns of a verdict; longer ones are cut.
const VERDICT: usize = 120;

/// Where the columns stand. They widen as wider values come, up to a bound.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Columns {
    way: usize,
    target: usize,
    status: usize,
    duration: usize,
    verdict: usize,
}

impl Columns {
    /// Pads up to a column, that moves right when the line is beyond it already, but never by more than `most`.
    fn stop(line: &mut Line, column: &mut usize, after: usize, most: usize) {
        *column = (*column).max((line.column() + 2).min(after + most + 2)).max(after + 2);
        line.pad(*column, 2);
    }
}

/// Writes the line of a session.
pub(super) fn write(
    line: &mut Line,
    clock: &mut Clock,
    columns: &mut Columns,
    session: &Session,
    diagnosis: &Diagnosis,
) {
    line.time(clock, session.start);
    line.put("  s");
    line.number(session.id.0);
    Columns::stop(line, &mut columns.way, 14, 8);
    let outcome = session.outcome.name();
    line.styled(outcome_style(session.outcome), outcome);
    line.pad(columns.way + 11, 2);
    for (index, endpoint) in phrase::path(session).enumerate() {
        line.put(if index > 0 { " > " } else { "" });
        line.endpoint(endpoint);
    }
    Columns::stop(line, &mut columns.target, columns.way + 13, 45);
    let request = session.legs.iter().find_map(|leg| leg.request.as_deref());
    match request {
        Some(request) => line.wire_within(request.head.target(), TARGET),
        None => line.put("-"),
    }
    Columns::stop(line, &mut columns.status, columns.target, 24);
    match session.legs.iter().find_map(|leg| leg.status()) {
        Some(status) => line.number(status.into()),
        None => line.put("-"),
    }
    Columns::stop(line, &mut columns.duration, columns.status, 3);
    let duration = session.end.since(session.start);
    line.duration(duration);
    Columns::stop(line, &mut columns.verdict, columns.duration, 8);
    verdict(line, session, diagnosis);
}

/// The cause with its verdict; else the worst finding, when it is worse than a note.
fn verdict(line: &mut Line, session: &Session, diagnosis: &Diagnosis) {
    if let Some(cause) = diagnosis.cause() {
        line.styled(severity_style(cause.severity), cause.id);
        line.put(": ");
        line.wire_within(&diagnosis.verdict(session), VERDICT);
        return;
    }
    let worst = diagnosis.findings.iter().max_by_key(|finding| finding.severity);
    match worst.filter(|finding| finding.severity > Severity::Note) {
        Some(finding) => {
            line.styled(severity_style(finding.severity), finding.id);
            line.put(": ");
            line.put(finding.title);
        }
        None => line.put("-"),
    }
}

/// Writes the line of a finding that is about several sessions.
pub(super) fn write_group(line: &mut Line, group: &GroupFinding) {
    line.count(group.sessions.len() as u64, "session");
    line.pad(14, 2);
    line.styled(severity_style(group.finding.severity), group.finding.severity.name());
    line.put("  ");
    line.put(group.finding.id);
    line.put(": ");
    line.wire_within(&group.finding.evidence.detail, VERDICT);
}
