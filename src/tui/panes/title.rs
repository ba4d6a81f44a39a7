//! The title: what is captured, how much of it is open or failing, how fast it comes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::put;
use crate::diagnosis::wording::Count;
use crate::tui::format::{self, compact};
use crate::tui::state::State;
use crate::tui::store::{Progress, Store};

/// ```text
/// wsflow  any  port 80 or port 443    14 sessions  14 open  2 silent > 45 s       12k packets/s, none lost
/// wsflow  broken.pcap                 3 of 120 sessions  3 failing                  81k packets, none lost
/// ```
pub(super) fn render(frame: &mut Frame<'_>, area: Rect, store: &Store, state: &State) {
    if area.height == 0 {
        return;
    }
    let theme = state.theme;
    let all = Count(store.rows().len() as u64, "session");
    let mut counts = vec![Span::raw(match state.list.filter_text() {
        "" => all.to_string(),
        _ => format!("{} of {all}", state.list.len()),
    })];
    if store.tally.open > 0 {
        counts.push(Span::styled(format!("  {} open", store.tally.open), theme.good()));
    }
    if store.tally.failing > 0 {
        counts.push(Span::styled(format!("  {} failing", store.tally.failing), theme.bad()));
    }
    if state.list.silent > 0 {
        counts.push(Span::styled(format!("  {} silent > 45 s", state.list.silent), theme.warning()));
    }
    let right = figures(store, state);
    let counts = Line::from(counts);
    let width = usize::from(area.width);
    let named = "wsflow  ".len();
    let source_room = width.saturating_sub(named + counts.width() + right.width() + 6);
    let source = format::cut(&format::wire(state.mask, &state.source), source_room.max(8));
    let mut line = Line::from(vec![Span::styled("wsflow", theme.bold()), Span::raw(format!("  {source}"))]);
    if line.width() + counts.width() + 4 <= width {
        line.spans.push(Span::raw("    "));
        line.spans.extend(counts.spans);
    }
    if line.width() + right.width() + 2 <= width {
        line.spans.push(Span::raw(" ".repeat(width - line.width() - right.width())));
        line.spans.push(Span::raw(right));
    }
    put(frame, area, 0, &line);
}

fn figures(store: &Store, state: &State) -> String {
    let summary = &store.figures.summary;
    let packets = match (store.rate, state.live) {
        (Some(rate), true) => format!("{} packets/s", compact(rate as u64)),
        _ => format!("{} packets", compact(summary.packets)),
    };
    let lost = summary.loss.kernel + summary.loss.interface;
    let lost = if lost == 0 { "none lost".to_owned() } else { format!("{} lost", compact(lost)) };
    let state = match &store.progress {
        _ if state.list.paused => "  held",
        Progress::Running if state.live => "",
        Progress::Running => "  reading ...",
        Progress::Done => "",
        Progress::Failed(_) => "  not to the end",
    };
    format!("{packets}, {lost}{state}")
}
