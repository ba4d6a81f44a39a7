//! The columns to choose from.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{put, put_chosen};
use crate::tui::format::left;
use crate::tui::state::{COLUMNS, Cursor, State};

/// ```text
/// [x] state      open, closed, aborted, rejected ...
/// [ ] bytes      application bytes both ways
/// ```
pub(super) fn render(frame: &mut Frame<'_>, area: Rect, cursor: Cursor, state: &State) {
    for (index, column) in COLUMNS.iter().enumerate().skip(cursor.offset) {
        let mark = if state.list.columns.has(*column) { "[x] " } else { "[ ] " };
        let line = Line::from(vec![
            Span::raw(mark),
            Span::styled(left(column.name(), 11), state.theme.bold()),
            Span::raw(column.says()),
        ]);
        let at = index - cursor.offset;
        match index == cursor.selected {
            true => put_chosen(frame, area, at, &line, state),
            false => put(frame, area, at, &line),
        }
    }
}
