//! All findings, each with the sessions that have it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{put, put_chosen};
use crate::tui::format::left;
use crate::tui::state::{Cursor, State};
use crate::tui::store::{FindingGroup, Progress, Store};

/// ```text
/// severity  sessions  finding                    what
/// error           12  upgrade-headers-stripped   The proxy did not forward the upgrade headers   s1 s4 s9 ...
/// note             2  encrypted-no-keys          TLS without keys   s3 s7
/// ```
pub(super) fn render(frame: &mut Frame<'_>, area: Rect, store: &Store, state: &State, cursor: Cursor) {
    let groups = &store.findings.groups;
    let ids = groups.iter().map(|group| group.id.len()).max().unwrap_or(0).max("finding".len());
    let head = format!("severity  sessions  {}  what", left("finding", ids));
    put(frame, area, 0, &Line::styled(head, state.theme.head()));
    if groups.is_empty() {
        let text = match store.progress {
            Progress::Running if state.live => "No findings yet. Sessions are judged when they are over.",
            Progress::Running => "No findings yet. Sessions are judged when the whole capture is read.",
            _ => "No findings: nothing that was seen is broken.",
        };
        put(frame, area, 2, &Line::raw(text));
        return;
    }
    for (index, group) in groups.iter().enumerate().skip(cursor.offset) {
        let at = 1 + index - cursor.offset;
        match index == cursor.selected {
            true => put_chosen(frame, area, at, &line(group, ids, state), state),
            false => put(frame, area, at, &line(group, ids, state)),
        }
    }
}

fn line(group: &FindingGroup, ids: usize, state: &State) -> Line<'static> {
    let theme = state.theme;
    let mut sessions: String = group.sessions.iter().take(12).map(|id| format!(" s{}", id.0)).collect();
    if group.count > 12 {
        sessions.push_str(" …");
    }
    Line::from(vec![
        Span::styled(left(group.severity.name(), 10), theme.severity(group.severity)),
        Span::raw(format!("{:>8}  ", group.count)),
        Span::styled(left(group.id, ids), theme.bold()),
        Span::raw(format!("  {}  ", group.title)),
        Span::styled(sessions, theme.dim()),
    ])
}
