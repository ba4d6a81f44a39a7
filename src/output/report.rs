//! One page of Markdown that can be sent to a colleague.
//!
//! What was captured and how well; a table of sessions; for each that failed the verdict, what happened, the two requests
//! side by side, the findings, the fix; at the end what was not seen, and the command that would capture it.

mod blind_spots;
mod failure;
mod markdown;

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::diagnosis::{Diagnosis, GroupFinding, Severity};
use crate::engine::event::{Event, Sink, Summary, Wants};
use crate::output::clock;
use crate::output::mask::Mask;
use crate::output::phrase;
use crate::output::report::blind_spots::BlindSpots;
use crate::output::report::markdown::{cell, code, prose};
use crate::session::Session;
use crate::source::Interface;

/// Failed sessions that are told in full; of the others the table has a row.
const FAILURES_IN_FULL: usize = 50;
/// Rows of a table. A page is for reading.
const ROWS: usize = 200;

/// Collects the page and prints it at the end.
#[derive(Debug)]
pub struct Report<W> {
    out: W,
    mask: Mask,
    /// What was read: the names of files.
    sources: Vec<String>,
    /// Where it was captured.
    interfaces: Vec<String>,
    failed: Table,
    healthy: Table,
    /// The sections of failed sessions.
    failures: String,
    told: usize,
    groups: String,
    blind_spots: BlindSpots,
}

/// The rows of a table, the first ones.
#[derive(Debug, Default)]
struct Table {
    rows: String,
    count: usize,
}

impl<W: Write> Report<W> {
    /// Prints to `out` at the end; `sources` are the names of what is read.
    pub fn new(out: W, mask: Mask, sources: Vec<String>) -> Report<W> {
        Report {
            out,
            mask,
            sources,
            interfaces: Vec::new(),
            failed: Table::default(),
            healthy: Table::default(),
            failures: String::new(),
            told: 0,
            groups: String::new(),
            blind_spots: BlindSpots::default(),
        }
    }

    /// Where the packets were captured, as far as the capture tells.
    pub fn captured_on(&mut self, interfaces: &[Interface]) {
        let mut names: Vec<String> = interfaces.iter().take(ROWS).map(interface).collect();
        names.dedup();
        self.interfaces = names;
    }

    fn session(&mut self, session: &Session, diagnosis: &Diagnosis) {
        self.blind_spots.session(session, diagnosis);
        let failed = diagnosis.cause.is_some() || diagnosis.severity() >= Some(Severity::Warning);
        let table = if failed { &mut self.failed } else { &mut self.healthy };
        table.count += 1;
        if table.count <= ROWS {
            push_row(&mut table.rows, session, diagnosis, self.mask);
        }
        if failed && self.told < FAILURES_IN_FULL {
            self.told += 1;
            failure::write(&mut self.failures, session, diagnosis, self.mask);
        }
    }

    fn group(&mut self, group: &GroupFinding) {
        let finding = &group.finding;
        let ids: Vec<String> = group.sessions.iter().take(ROWS).map(|id| format!("s{}", id.0)).collect();
        self.put_group(format_args!(
            "- **{}** ({}): {}. {}. Sessions: {}. {}\n",
            prose(finding.id),
            finding.severity.name(),
            prose(finding.title),
            prose(&self.mask.text(&finding.evidence.detail)),
            ids.join(", "),
            prose(&self.mask.text(&finding.fix)),
        ));
    }

    fn put_group(&mut self, text: std::fmt::Arguments<'_>) {
        self.groups.write_fmt(text).expect("writing to a string cannot fail");
    }

    fn page(&self, summary: &Summary) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        let sources: Vec<String> = self.sources.iter().map(|source| code(source)).collect();
        writeln!(page, "# WebSockets in {}\n", sources.join(", "))?;
        writeln!(page, "{}\n", headline(summary))?;
        write_capture(&mut page, summary, &self.interfaces)?;
        if self.failed.count > 0 {
            writeln!(page, "\n## Sessions that failed or will\n")?;
            write_table(&mut page, &self.failed)?;
        }
        if !self.groups.is_empty() {
            writeln!(page, "\n## Together\n\n{}", self.groups.trim_end())?;
        }
        page.push_str(&self.failures);
        if self.told < self.failed.count {
            writeln!(page, "\n{} more are in the table only.", self.failed.count - self.told)?;
        }
        if self.healthy.count > 0 {
            writeln!(page, "\n## Sessions without a complaint\n")?;
            write_table(&mut page, &self.healthy)?;
        }
        self.blind_spots.write(&mut page, summary)?;
        Ok(page)
    }
}

impl<W: Write> Sink for Report<W> {
    fn wants(&self) -> Wants {
        Wants::default()
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Session(session, diagnosis) => self.session(session, diagnosis),
            Event::Finding(group) => self.group(group),
            Event::Summary(summary) => {
                let page = self.page(summary).expect("writing to a string cannot fail");
                self.out.write_all(page.as_bytes())?;
                self.out.flush()?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// `3 sessions: 1 closed, 2 rejected.`
fn headline(summary: &Summary) -> String {
    let total: u64 = summary.sessions.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return "No WebSocket was seen.".to_owned();
    }
    let outcomes = summary.sessions.iter().filter(|(_, count)| *count > 0);
    let outcomes: Vec<String> = outcomes.map(|(outcome, count)| format!("{count} {outcome}")).collect();
    format!("{}: {}.", phrase::count(total, "session"), outcomes.join(", "))
}

/// Its name, what its packets begin with, and how much of them was kept.
fn interface(interface: &Interface) -> String {
    let name = interface.name.as_deref().map_or_else(|| "unnamed".to_owned(), cell);
    let snap = match interface.snap_length {
        0 => String::new(),
        length => format!(", at most {}", phrase::bytes(length.into())),
    };
    format!("{name} (link type {}{snap})", interface.link.0)
}

fn write_capture(page: &mut String, summary: &Summary, interfaces: &[String]) -> std::fmt::Result {
    let ignored = &summary.ignored;
    writeln!(page, "| capture | |\n| --- | --- |")?;
    writeln!(page, "| packets | {}, {} |", summary.packets, phrase::bytes(summary.bytes))?;
    if let (Some(first), Some(last)) = (summary.first, summary.last) {
        let (first, last) = (clock::rfc3339(first), clock::rfc3339(last));
        writeln!(page, "| time | {first} to {last}, {} |", phrase::duration(summary.duration))?;
    }
    if !interfaces.is_empty() {
        writeln!(page, "| captured on | {} |", interfaces.join("; "))?;
    }
    writeln!(page, "| connections | {}, {} of them without a WebSocket |", summary.connections, ignored.not_websocket)?;
    writeln!(page, "| lost | {} |", loss(summary))?;
    let aside = [
        (ignored.not_ip, "not IP"),
        (ignored.not_tcp, "not TCP"),
        (ignored.cut, "cut short by the snap length"),
        (ignored.malformed, "malformed"),
        (ignored.unknown_link, "of an unknown link type"),
        (ignored.fragments, "fragments without the rest"),
        (ignored.duplicates, "captured twice"),
        (ignored.filtered, "left out by the filter"),
    ];
    let aside: Vec<String> =
        aside.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if !aside.is_empty() {
        writeln!(page, "| packets left aside | {} |", aside.join(", "))?;
    }
    for (bound, count) in &summary.limits {
        writeln!(page, "| bound reached | {}, {} |", prose(bound), phrase::count(*count, "time"))?;
    }
    for (what, count) in &summary.forgotten {
        writeln!(page, "| forgotten to make room | {count} {} |", prose(what))?;
    }
    Ok(())
}

fn loss(summary: &Summary) -> String {
    let loss = &summary.loss;
    let mut parts = Vec::new();
    for (count, by) in [(loss.kernel, "the kernel"), (loss.interface, "the interface")] {
        if count > 0 {
            parts.push(format!("{} dropped by {by}", phrase::count(count, "packet")));
        }
    }
    if loss.gap_bytes > 0 {
        parts.push(format!("{} of TCP streams are missing", phrase::bytes(loss.gap_bytes)));
    }
    if parts.is_empty() { "nothing that shows".to_owned() } else { parts.join(", ") }
}

fn write_table(page: &mut String, table: &Table) -> std::fmt::Result {
    writeln!(
        page,
        "| | outcome | way | target | status | lasted | why |\n| --- | --- | --- | --- | --- | --- | --- |"
    )?;
    page.push_str(&table.rows);
    if table.count > ROWS {
        writeln!(page, "\nand {} more.", table.count - ROWS)?;
    }
    Ok(())
}

fn push_row(rows: &mut String, session: &Session, diagnosis: &Diagnosis, mask: Mask) {
    let way: Vec<String> = phrase::path(session).map(|endpoint| endpoint.to_string()).collect();
    let request = session.legs.iter().find_map(|leg| leg.request.as_deref());
    let target = request.map_or_else(|| "-".to_owned(), |request| cell(&mask.text(request.head.target())));
    let status = session.legs.iter().find_map(|leg| leg.status());
    let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let finding = diagnosis.cause().or_else(|| diagnosis.findings.iter().max_by_key(|finding| finding.severity));
    writeln!(
        rows,
        "| s{} | {} | {} | {target} | {status} | {} | {} |",
        session.id.0,
        session.outcome.name(),
        way.join(" > "),
        phrase::duration(session.end.since(session.start)),
        finding.map_or("-", |finding| finding.id),
    )
    .expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    fn page(samples: &[(Session, Diagnosis)]) -> String {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out, Mask::Secrets, vec!["a|b.pcap".to_owned()]);
        report.captured_on(&[Interface {
            name: Some("eth0|".to_owned()),
            link: crate::packet::LinkType::ETHERNET,
            snap_length: 262_144,
            drops: crate::source::Drops::default(),
        }]);
        for (session, diagnosis) in samples {
            report.event(&Event::Session(session, diagnosis)).expect("a vector takes everything");
        }
        report.event(&Event::Summary(&samples::summary())).expect("a vector takes everything");
        String::from_utf8(out).expect("Markdown is UTF-8")
    }

    #[test]
    fn a_page() {
        insta::assert_snapshot!(page(&[samples::stripped(), samples::closed(), samples::encrypted()]));
    }

    #[test]
    fn hostile_text_stays_text() {
        let (session, mut diagnosis) = samples::stripped();
        diagnosis.findings[0].evidence.verdict = Some("<script>alert(1)</script> | ![x](http://evil) `".to_owned());
        let page = page(&[(session, diagnosis)]);
        assert!(!page.contains("<script") && !page.contains("![x]"), "{page}");
    }

    #[test]
    fn a_page_is_for_reading() {
        let samples: Vec<_> = std::iter::repeat_with(samples::stripped).take(ROWS + 5).collect();
        let page = page(&samples);
        assert!(page.contains("and 5 more."));
        assert!(page.contains(&format!("{} more are in the table only.", ROWS + 5 - FAILURES_IN_FULL)));
    }
}
