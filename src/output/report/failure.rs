//! The section of one session that failed.

use std::fmt::{self, Write as _};

use crate::diagnosis::{Diagnosis, Finding};
use crate::output::comparison::{self, Change};
use crate::output::fix;
use crate::output::mask::Mask;
use crate::output::phrase;
use crate::output::report::markdown::{cell, prose, push_block};
use crate::output::timeline;
use crate::session::{Leg, Session};
use crate::stream::Role;

/// Appends the section.
pub(super) fn write(page: &mut String, session: &Session, diagnosis: &Diagnosis, mask: Mask) {
    let section = Section { session, diagnosis, mask };
    section.write(page).expect("writing to a string cannot fail");
}

struct Section<'a> {
    session: &'a Session,
    diagnosis: &'a Diagnosis,
    mask: Mask,
}

impl Section<'_> {
    fn write(&self, page: &mut String) -> fmt::Result {
        let Section { session, diagnosis, mask } = *self;
        let lasted = phrase::duration(session.end.since(session.start));
        writeln!(page, "\n## s{}: {} after {lasted}\n", session.id.0, session.outcome.name())?;
        writeln!(page, "{}\n", prose(&mask.text(&diagnosis.verdict(session))))?;
        self.legs(page)?;
        for (index, finding) in diagnosis.findings.iter().enumerate() {
            self.finding(page, finding, diagnosis.cause == Some(index))?;
        }
        for proxy in session.proxies() {
            self.requests(page, proxy.front_index, proxy.back_index)?;
        }
        self.timeline(page)
    }

    fn legs(&self, page: &mut String) -> fmt::Result {
        for (index, leg) in self.session.legs.iter().enumerate() {
            let joined = leg.joined_by.map(|reason| format!(", joined by {}", phrase::join_reason(reason)));
            writeln!(
                page,
                "- leg {}: {} > {}, {}, {}{}",
                index + 1,
                leg.client,
                leg.server,
                leg.role.name(),
                leg.outcome.name(),
                joined.unwrap_or_default()
            )?;
        }
        Ok(())
    }

    fn finding(&self, page: &mut String, finding: &Finding, is_cause: bool) -> fmt::Result {
        let cause = if is_cause { ", the cause" } else { "" };
        let evidence = &finding.evidence;
        writeln!(page, "\n### {}: {}\n", finding.severity.name(), prose(finding.title))?;
        writeln!(page, "`{}`{cause}, confidence {}. {}\n", finding.id, evidence.confidence.name(), finding.reference)?;
        if !evidence.detail.is_empty() {
            writeln!(page, "{}\n", prose(&self.mask.text(&evidence.detail)))?;
        }
        for (packet, note) in &evidence.packets {
            writeln!(page, "- packet {}: {}", packet.0, prose(&self.mask.text(note)))?;
        }
        for step in fix::steps(&finding.fix) {
            let colon = if step.code.is_empty() { "" } else { ":" };
            if !step.words.is_empty() {
                writeln!(page, "\nFix: {}{colon}", prose(&self.mask.text(step.words)))?;
            }
            if !step.code.is_empty() {
                page.push('\n');
                push_block(page, "", step.code.iter().copied());
            }
        }
        Ok(())
    }

    /// Both requests at a proxy, row by row, with a sign where they differ.
    fn requests(&self, page: &mut String, front: usize, back: usize) -> fmt::Result {
        let request = |leg: usize| self.session.legs.get(leg).and_then(|leg| leg.request.as_deref());
        let (Some(came), Some(went)) = (request(front), request(back)) else { return Ok(()) };
        writeln!(page, "\n### The request on leg {} and on leg {}\n", front + 1, back + 1)?;
        writeln!(page, "| | came, packet {} | went on, packet {} |", came.moment.packet.0, went.moment.packet.0)?;
        writeln!(page, "| --- | --- | --- |")?;
        for row in comparison::compare(came, went) {
            let shown = |value: &Option<String>| match value {
                None => "-".to_owned(),
                Some(value) if row.name.is_empty() => cell(&self.mask.text(value)),
                Some(value) => cell(&format!("{}: {}", row.name, self.mask.field(row.name, value))),
            };
            let sign = match row.change() {
                Change::Same => "",
                Change::Changed => "changed",
                Change::Dropped => "**not forwarded**",
                Change::Added => "added",
                Change::NotSeen => "not seen",
            };
            writeln!(page, "| {sign} | {} | {} |", shown(&row.front), shown(&row.back))?;
        }
        Ok(())
    }

    fn timeline(&self, page: &mut String) -> fmt::Result {
        writeln!(page, "\n### What happened\n\n| after | leg | | packet |\n| --- | --- | --- | --- |")?;
        for entry in timeline::of(self.session) {
            let after = phrase::duration(entry.moment.at.since(self.session.start));
            let who = entry.by.map_or("-", |by| party(&self.session.legs[entry.leg], by, self.session.legs.len()));
            let what = cell(&self.mask.text(&entry.what));
            writeln!(page, "| {after} | {} | {who} {what} | {} |", entry.leg + 1, entry.moment.packet.0)?;
        }
        Ok(())
    }
}

/// Who an end of a leg is for the whole session.
fn party(leg: &Leg, role: Role, legs: usize) -> &'static str {
    use crate::session::LegRole::{ClientProxy, Direct, ProxyBackend, ProxyProxy};
    match (leg.role, role) {
        (Direct | ClientProxy, Role::Client) => "client:",
        (ClientProxy | ProxyProxy, Role::Server) | (ProxyProxy | ProxyBackend, Role::Client) => "proxy:",
        (ProxyBackend, Role::Server) => "backend:",
        (Direct, Role::Server) if legs > 1 => "proxy:",
        (Direct, Role::Server) => "server:",
    }
}
