//! A finding in full: what it means, what shows it here, what to do.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::page::Page;
use super::session::FORGOTTEN;
use crate::diagnosis::{Finding, rules};
use crate::output::fix;
use crate::session::Session;
use crate::tui::format::wire;
use crate::tui::state::{Explained, State};
use crate::tui::store::Store;

/// ```text
/// error  upgrade-headers-stripped
/// The proxy did not forward the upgrade headers
///
/// What was seen
///   client sent Upgrade: websocket, Connection: Upgrade; upstream got Connection: close, HTTP/1.0
///   #4      request from the client
/// Fix
///   in the nginx location:
///     proxy_http_version 1.1;
/// What it means
///   ...
/// ```
pub(super) fn lines(what: Explained, store: &Store, state: &State, width: u16) -> Vec<Line<'static>> {
    let mut page = Page::new(state.theme, width);
    match what {
        Explained::Finding(id) => {
            if let Some(group) = store.findings.find(id) {
                finding(&mut page, &group.example, None, state);
                let sessions: Vec<String> = group.sessions.iter().take(200).map(|id| format!("s{}", id.0)).collect();
                page.heading(&format!("Sessions ({})", group.count));
                page.text(2, &sessions.join(" "));
            }
        }
        Explained::Session(id) => session(&mut page, store, id, state),
    }
    if page.lines.is_empty() {
        page.text(0, "There are no findings: nothing that was seen is broken.");
    }
    page.lines
}

fn session(page: &mut Page, store: &Store, id: crate::session::SessionId, state: &State) {
    let Some(row) = store.row(id) else { return };
    let Some(diagnosis) = row.diagnosis() else {
        page.text(0, if row.is_over() { FORGOTTEN } else { "The session is judged when it is over." });
        return;
    };
    for (index, one) in diagnosis.findings.iter().enumerate() {
        if index > 0 {
            page.blank();
            page.line(Line::styled("─".repeat(40), state.theme.dim()));
        }
        finding(page, one, row.session().map(|session| &**session), state);
    }
}

fn finding(page: &mut Page, finding: &Finding, session: Option<&Session>, state: &State) {
    let theme = state.theme;
    page.line(Line::from(vec![
        Span::styled(finding.severity.name(), theme.severity(finding.severity)),
        Span::styled(format!("  {}", finding.id), theme.bold()),
        Span::raw(format!("  {} confidence", finding.evidence.confidence.name())),
    ]));
    page.text(0, &wire(state.mask, finding.title));
    page.heading("What was seen");
    page.text(2, &wire(state.mask, &finding.evidence.detail));
    if let Some(leg) = finding.evidence.leg.and_then(|leg| session?.legs.get(leg)) {
        page.text(2, &format!("on the leg {} > {}", leg.client, leg.server));
    }
    for (packet, note) in &finding.evidence.packets {
        page.pair(&format!("  {packet}"), 12, &wire(state.mask, note));
    }
    fix_lines(page, &finding.fix, state);
    let Some(rule) = rules::find(finding.id) else { return };
    let sections = [
        ("What it means", rule.explanation),
        ("On the wire", rule.signature),
        ("What looks like it and is not", rule.look_alikes),
        ("Reference", rule.reference),
    ];
    for (title, text) in sections.iter().filter(|(_, text)| !text.is_empty()) {
        page.heading(title);
        page.text(2, text);
    }
}

fn fix_lines(page: &mut Page, text: &str, state: &State) {
    if text.is_empty() {
        return;
    }
    page.heading("Fix");
    for step in fix::steps(text) {
        if !step.words.is_empty() {
            let colon = if step.code.is_empty() { "" } else { ":" };
            page.text(2, &format!("{}{colon}", wire(state.mask, step.words)));
        }
        for code in step.code {
            // A line to paste is not broken.
            page.line(Line::styled(format!("    {}", wire(state.mask, code)), Style::new().patch(state.theme.good())));
        }
    }
}
