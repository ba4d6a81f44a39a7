//! A finding as a block: the judgement, what shows it, the fix.

use crate::diagnosis::{Finding, GroupFinding, Severity};
use crate::output::comparison::{self, Change, Row};
use crate::output::fix;
use crate::output::line::{BOLD, DIM, Line, severity_style};
use crate::output::text::Options;
use crate::packet::PacketNumber;
use crate::session::leg::Request;
use crate::session::{LegRole, Session, SessionId};

/// Everything below the first line stands here.
const INDENT: usize = 10;

/// Fixes that were told, each with its first session: a hundred sessions of one proxy need one fix.
#[derive(Debug, Default)]
pub(super) struct ToldFixes(Vec<(String, SessionId)>);

/// Fixes that are remembered. There are fewer kinds of findings; some fixes name what they are for.
const REMEMBERED: usize = 256;

impl ToldFixes {
    /// The session for which this was told before.
    fn before(&mut self, fix: &str, session: SessionId) -> Option<SessionId> {
        let before = self.0.iter().find(|(told, _)| told == fix).map(|(_, session)| *session);
        if before.is_none() && self.0.len() < REMEMBERED {
            self.0.push((fix.to_owned(), session));
        }
        before
    }
}

/// Writes a finding on a session. The cause comes with its verdict.
pub(super) fn write(
    line: &mut Line,
    options: &Options,
    told: &mut ToldFixes,
    session: &Session,
    finding: &Finding,
    verdict: Option<&str>,
) {
    line.put("s");
    line.number(session.id.0);
    let headline = verdict.unwrap_or(finding.title);
    head(line, options, finding, headline);
    if finding.severity == Severity::Note && !options.verbose {
        detail(line, options, finding);
        return;
    }
    // The verdict of a cause says what its detail says.
    if verdict.is_none() || options.verbose {
        detail(line, options, finding);
    }
    match requests_shown(session, finding) {
        Some((front, back)) => compare(line, session, finding, front, back),
        None => packets(line, finding),
    }
    match told.before(&finding.fix, session.id) {
        Some(before) if before != session.id => {
            line.next(INDENT);
            line.put("fix: as for s");
            line.number(before.0);
        }
        _ => fix_block(line, options, &finding.fix),
    }
}

/// Writes a finding on several sessions.
pub(super) fn write_group(line: &mut Line, options: &Options, group: &GroupFinding) {
    line.count(group.sessions.len() as u64, "session");
    head(line, options, &group.finding, group.finding.title);
    detail(line, options, &group.finding);
    line.next(INDENT);
    for (index, session) in group.sessions.iter().take(20).enumerate() {
        line.put(if index > 0 { " s" } else { "s" });
        line.number(session.0);
    }
    if group.sessions.len() > 20 {
        line.put(" …");
    }
    packets(line, &group.finding);
    fix_block(line, options, &group.finding.fix);
}

/// `s1 error  upgrade-headers-stripped: the proxy ...`
fn head(line: &mut Line, options: &Options, finding: &Finding, headline: &str) {
    line.put(" ");
    line.styled(severity_style(finding.severity), finding.severity.name());
    line.pad(INDENT, 2);
    line.styled(BOLD, finding.id);
    line.put(": ");
    wrapped(line, options, headline, INDENT);
}

fn detail(line: &mut Line, options: &Options, finding: &Finding) {
    if !finding.evidence.detail.is_empty() {
        line.next(INDENT);
        wrapped(line, options, &finding.evidence.detail, INDENT);
    }
}

/// The packets that show it, one a line.
fn packets(line: &mut Line, finding: &Finding) {
    for (packet, note) in &finding.evidence.packets {
        line.next(INDENT);
        number(line, *packet);
        line.pad(INDENT + 8, 2);
        line.wire(note);
    }
}

/// Both requests, when they are what the finding is about: the packets of both are its evidence.
fn requests_shown<'a>(session: &'a Session, finding: &Finding) -> Option<(&'a Request, &'a Request)> {
    let back = session.legs.get(finding.evidence.leg?)?;
    let front = session.legs.get(back.behind?)?;
    let (front, back) = (front.request.as_deref()?, back.request.as_deref()?);
    let shows = |request: &Request| finding.evidence.packets.iter().any(|(packet, _)| *packet == request.moment.packet);
    (shows(front) && shows(back)).then_some((front, back))
}

/// ```text
/// client sent    GET /ws HTTP/1.1  Upgrade: websocket  Connection: Upgrade      #4
/// backend got    GET /ws HTTP/1.0  -                   Connection: close        #9
/// ```
fn compare(line: &mut Line, session: &Session, finding: &Finding, front: &Request, back: &Request) {
    let rows = comparison::compare(front, back);
    let shown = telling(&rows);
    let (sender, receiver) = names(session, finding);
    let mut columns = [INDENT, INDENT + 15].to_vec();
    line.next(INDENT);
    line.put(sender);
    for row in &shown {
        let start = *columns.last().expect("there are two columns at least");
        let width = cell_width(row, &row.front).max(cell_width(row, &row.back));
        columns.push(start + width + 2);
    }
    for (is_front, request) in [(true, front), (false, back)] {
        if !is_front {
            line.next(INDENT);
            line.put(receiver);
        }
        for (row, &column) in shown.iter().zip(&columns[1..]) {
            line.pad(column, 2);
            cell(line, row, if is_front { &row.front } else { &row.back });
        }
        line.pad(columns[columns.len() - 1] + 2, 2);
        number(line, request.moment.packet);
    }
}

/// The rows that tell: the request line, Upgrade and Connection; when none of these was changed, all that was.
fn telling<'a>(rows: &'a [Row<'a>]) -> Vec<&'a Row<'a>> {
    let handshake = |row: &&Row<'_>| {
        row.name.is_empty() || ["upgrade", "connection"].iter().any(|name| row.name.eq_ignore_ascii_case(name))
    };
    let mut shown: Vec<_> = rows.iter().filter(handshake).collect();
    if shown.iter().all(|row| row.change() == Change::Same) {
        shown = rows.iter().filter(|row| row.name.is_empty() || row.change() != Change::Same).take(4).collect();
    }
    // The order of the field lines says nothing: Upgrade comes before Connection.
    shown.sort_by_key(|row| (!row.name.is_empty(), row.name.eq_ignore_ascii_case("connection")));
    shown
}

/// Who sent and who got the two requests, in as many words as fit.
fn names(session: &Session, finding: &Finding) -> (&'static str, &'static str) {
    let back = finding.evidence.leg.and_then(|leg| session.legs.get(leg));
    let front = back.and_then(|back| session.legs.get(back.behind?));
    let sender = match front.map(|leg| leg.role) {
        Some(LegRole::Direct | LegRole::ClientProxy) | None => "client sent",
        Some(LegRole::ProxyProxy | LegRole::ProxyBackend) => "proxy got",
    };
    let receiver = match back.map(|leg| leg.role) {
        Some(LegRole::ProxyProxy) => "next proxy got",
        _ => "backend got",
    };
    (sender, receiver)
}

/// No cell is wider.
const CELL: usize = 60;

fn cell(line: &mut Line, row: &Row<'_>, value: &Option<String>) {
    match value {
        None => line.styled(DIM, "-"),
        Some(value) if row.name.is_empty() => line.wire_within(value, CELL),
        Some(value) => line.field_within(row.name, value, CELL),
    }
}

/// How wide a cell will be.
fn cell_width(row: &Row<'_>, value: &Option<String>) -> usize {
    let mut scratch = Line::new(false, crate::output::mask::Mask::Secrets);
    cell(&mut scratch, row, value);
    scratch.column()
}

fn fix_block(line: &mut Line, options: &Options, text: &str) {
    for (index, step) in fix::steps(text).iter().enumerate() {
        line.next(INDENT);
        line.put(match (index, step.words.is_empty()) {
            (0, true) => "fix:",
            (0, false) => "fix: ",
            _ => "",
        });
        wrapped(line, options, step.words, INDENT + 2);
        if !step.code.is_empty() && !step.words.is_empty() {
            line.put(":");
        }
        for code in &step.code {
            line.next(INDENT + 2);
            line.wire(code);
        }
    }
}

fn number(line: &mut Line, packet: PacketNumber) {
    line.begin(DIM);
    line.put("#");
    line.number(packet.0);
    line.end(DIM);
}

/// Text that may quote the wire, in lines that fit the terminal.
fn wrapped(line: &mut Line, options: &Options, text: &str, indent: usize) {
    match options.columns {
        Some(columns) => line.wire_wrapped(text, indent, columns),
        None => line.wire(text),
    }
}
