//! One session: the verdict and its cause on top, below it one of four sides.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Panel, headers, ladder, messages, page, put, timing};
use crate::diagnosis::wording::Span as Words;
use crate::output::phrase;
use crate::session::{Outcome, Session};
use crate::tui::format::{cut, wire, wrapped};
use crate::tui::layout::split_top;
use crate::tui::state::{Detail, State, Tab};
use crate::tui::store::{Condition, Row, Store};

/// Bodies with fewer lines have a short head.
const ROOMY: u16 = 14;

/// What is said of a session that is a line in the list and no more.
pub(super) const FORGOTTEN: &str = "Its details are no longer kept: there were too many sessions.";

/// ```text
/// s7  aborted after 61.2 s   app/ws/chat   10.0.0.31:41400 > nginx 10.0.0.2:443 > 127.0.0.1:9000
/// The proxy closed both legs after 60.0 s without a byte in either direction; ...
/// error idle-timeout (high)  and 1 more   Enter explain   y copy the fix
/// ─ ladder ─ headers ─ messages ─ timing ────────────────────────────────
/// ...
/// ```
pub(super) fn render(frame: &mut Frame<'_>, area: Rect, store: &Store, state: &State, detail: &Detail) {
    let Some(row) = store.row(detail.id) else {
        let text = format!("Session s{} is no longer kept. Esc goes back.", detail.id.0);
        put(frame, area, 0, &Line::raw(text));
        return;
    };
    let head = head(row, store, state, detail, area);
    for (at, line) in head.iter().enumerate() {
        put(frame, area, at, line);
    }
    let (_, body) = split_top(area, head.len() as u16);
    let Some(session) = row.session() else {
        put(frame, body, 1, &Line::raw(FORGOTTEN));
        return;
    };
    match detail.tab {
        Tab::Ladder => ladder::render(frame, body, session, row, state, detail.cursor()),
        Tab::Messages => messages::render(frame, body, session, row, state, detail),
        Tab::Headers => page::render(frame, body, &headers::lines(session, state, body.width), detail.cursor()),
        Tab::Timing => {
            page::render(frame, body, &timing::lines(session, row, store.now, state, body.width), detail.cursor());
        }
    }
}

/// How many lines this side of it has, and how many fit.
pub(super) fn panel(area: Rect, store: &Store, state: &State, detail: &Detail) -> Panel {
    let Some(row) = store.row(detail.id) else { return Panel::default() };
    let Some(session) = row.session() else { return Panel::default() };
    let (_, body) = split_top(area, head(row, store, state, detail, area).len() as u16);
    let rows = usize::from(body.height);
    match detail.tab {
        Tab::Ladder => Panel { lines: ladder::count(session, row), rows: ladder::rows(body) },
        Tab::Messages => Panel { lines: row.messages.len(), rows: messages::rows(body, detail) },
        Tab::Headers => Panel { lines: headers::lines(session, state, body.width).len(), rows },
        Tab::Timing => Panel { lines: timing::lines(session, row, store.now, state, body.width).len(), rows },
    }
}

fn head(row: &Row, store: &Store, state: &State, detail: &Detail, area: Rect) -> Vec<Line<'static>> {
    let theme = state.theme;
    let width = usize::from(area.width);
    let mut lines = vec![first_line(row, store, state, width)];
    let room = if area.height < ROOMY { 1 } else { 3 };
    match row.session().zip(row.diagnosis()) {
        Some((session, diagnosis)) => {
            let mut verdict = wire(state.mask, &diagnosis.verdict(session));
            if let Some(first) = verdict.get(..1).map(str::to_uppercase) {
                verdict.replace_range(..1, &first);
            }
            let wrapped = wrapped(&(verdict + "."), width);
            let is_cut = wrapped.len() > room;
            lines.extend(wrapped.into_iter().take(room).map(Line::raw));
            if let (true, Some(last)) = (is_cut, lines.last_mut()) {
                *last = Line::raw(cut(&format!("{last} …"), width));
            }
            if let Some(line) = findings_line(row, state, width) {
                lines.push(line);
            }
        }
        None if row.is_over() => lines.push(Line::raw(cut(&wire(state.mask, &row.why), width))),
        None => lines.push(Line::styled("It is judged when it is over.", theme.dim())),
    }
    lines.push(tabs(detail, state, width));
    lines
}

fn first_line(row: &Row, store: &Store, state: &State, width: usize) -> Line<'static> {
    let after = match row.condition {
        Condition::Over(Outcome::Open) => " when the capture ended, after",
        _ if row.is_open() => " for",
        _ => " after",
    };
    let way = row.session().map(|session| way(session)).unwrap_or_default();
    let mut line = Line::from(vec![
        Span::styled(format!("s{}  ", row.id.0), state.theme.bold()),
        Span::styled(row.condition.word(), state.theme.condition(row.condition)),
        Span::raw(format!("{after} {}   ", Words(row.age(store.now)))),
    ]);
    // The way says more than a long target does.
    let room = width.saturating_sub(line.width());
    let target = cut(&wire(state.mask, &row.target), room.saturating_sub(way.len() + 3).max(room.min(16)));
    line.spans.push(Span::styled(target, state.theme.bold()));
    let way = cut(&format!("   {way}"), width.saturating_sub(line.width()));
    line.spans.push(Span::raw(way));
    line
}

/// Client, proxies with their software, backend.
fn way(session: &Session) -> String {
    let mut way = String::new();
    for (index, endpoint) in phrase::path(session).enumerate() {
        if index > 0 {
            way.push_str(" > ");
        }
        let proxy = session.proxies().find(|proxy| index > 0 && proxy.front.server == endpoint);
        let software = proxy.and_then(|proxy| crate::diagnosis::proxies::between(proxy.front, proxy.back));
        if let Some(software) = software {
            way.push_str(software.software.name());
            way.push(' ');
        }
        way.push_str(&endpoint.to_string());
    }
    way
}

fn findings_line(row: &Row, state: &State, width: usize) -> Option<Line<'static>> {
    let diagnosis = row.diagnosis()?;
    let finding = diagnosis.cause().or(diagnosis.findings.first())?;
    let theme = state.theme;
    let mut line = Line::from(vec![
        Span::styled(finding.severity.name(), theme.severity(finding.severity)),
        Span::styled(format!(" {}", finding.id), theme.bold()),
        Span::raw(format!(" ({} confidence)", finding.evidence.confidence.name())),
    ]);
    if diagnosis.findings.len() > 1 {
        line.spans.push(Span::raw(format!("  and {} more", diagnosis.findings.len() - 1)));
    }
    for (key, word) in [("Enter", "explain"), ("y", "copy the fix")] {
        if line.width() + key.len() + word.len() + 4 > width {
            break;
        }
        line.spans.push(Span::styled(format!("   {key}"), theme.key()));
        line.spans.push(Span::raw(format!(" {word}")));
    }
    Some(line)
}

fn tabs(detail: &Detail, state: &State, width: usize) -> Line<'static> {
    let mut line = Line::styled("─", state.theme.dim());
    for tab in Tab::ALL {
        let style = if tab == detail.tab { state.theme.chosen() } else { state.theme.bold() };
        line.spans.push(Span::styled(format!(" {} ", tab.name()), style));
        line.spans.push(Span::styled("─", state.theme.dim()));
    }
    let rest = width.saturating_sub(line.width());
    line.spans.push(Span::styled("─".repeat(rest), state.theme.dim()));
    line
}
