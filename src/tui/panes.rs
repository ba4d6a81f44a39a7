//! What is seen. Each pane draws the store as the state asks for it; its picture stands above it.

mod capture;
mod columns;
mod explain;
mod findings;
mod footer;
mod headers;
mod help;
mod ladder;
mod messages;
mod page;
mod session;
mod sessions;
mod timing;
mod title;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use unicode_width::UnicodeWidthStr;

use crate::tui::format;
use crate::tui::layout;
use crate::tui::state::{Screen, State, Tab};
use crate::tui::store::Store;

/// How many lines there are to see, and how many of them fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Panel {
    pub lines: usize,
    pub rows: usize,
}

/// Draws everything.
pub(super) fn render(frame: &mut Frame<'_>, store: &Store, state: &State) {
    let areas = layout::areas(frame.area());
    title::render(frame, areas.title, store, state);
    rule(frame, areas.upper_rule, &how_listed(state), state);
    let body = areas.body;
    match state.screen() {
        Screen::Sessions => sessions::render(frame, body, store, state),
        Screen::Columns(cursor) => columns::render(frame, body, *cursor, state),
        Screen::Session(detail) => session::render(frame, body, store, state, detail),
        Screen::Findings(cursor) => findings::render(frame, body, store, state, *cursor),
        Screen::Explain(what, cursor) => {
            page::render(frame, body, &explain::lines(*what, store, state, body.width), *cursor);
        }
        Screen::Capture(cursor) => page::render(frame, body, &capture::lines(store, state, body.width), *cursor),
        Screen::Help(view, cursor) => page::render(frame, body, &help::lines(*view, state, body.width), *cursor),
    }
    rule(frame, areas.lower_rule, "", state);
    footer::render(frame, areas.footer, state);
}

/// How much there is on the screen that is seen.
pub(super) fn panel(state: &State, store: &Store) -> Panel {
    let (width, height) = state.size;
    let body = layout::areas(Rect { x: 0, y: 0, width, height }).body;
    let rows = usize::from(body.height);
    match state.screen() {
        Screen::Sessions => Panel { lines: state.list.len(), rows: rows.saturating_sub(1) },
        Screen::Columns(_) => Panel { lines: crate::tui::state::COLUMNS.len(), rows },
        Screen::Session(detail) => session::panel(body, store, state, detail),
        Screen::Findings(_) => Panel { lines: store.findings.groups.len(), rows: rows.saturating_sub(1) },
        Screen::Explain(what, _) => Panel { lines: explain::lines(*what, store, state, width).len(), rows },
        Screen::Capture(_) => Panel { lines: capture::lines(store, state, width).len(), rows },
        Screen::Help(view, _) => Panel { lines: help::lines(*view, state, width).len(), rows },
    }
}

/// What is to be known of a list that its rows do not tell: which they are, and that the chosen one changes by itself.
fn how_listed(state: &State) -> String {
    const FOLLOWING: &str = "following the newest";
    match state.screen() {
        Screen::Sessions => {}
        Screen::Session(detail) if detail.follow && detail.tab == Tab::Messages => return FOLLOWING.to_owned(),
        _ => return String::new(),
    }
    let mut words = Vec::new();
    if !state.list.filter_text().is_empty() {
        words.push(format!("only {} (Esc: all)", format::wire(state.mask, state.list.filter_text())));
    }
    if state.list.misses_sessions() {
        words.push("of some only the line is kept, which does not tell".to_owned());
    }
    if state.list.follow {
        words.push(FOLLOWING.to_owned());
    }
    words.join(" ─ ")
}

/// A rule across the screen, with words in it.
fn rule(frame: &mut Frame<'_>, area: Rect, words: &str, state: &State) {
    if area.height == 0 {
        return;
    }
    let width = usize::from(area.width);
    let words = match words {
        "" => String::new(),
        words => format!("─ {} ", format::cut(words, width.saturating_sub(4))),
    };
    let line = format!("{words}{}", "─".repeat(width.saturating_sub(words.width())));
    put(frame, area, 0, &Line::styled(line, state.theme.dim()));
}

/// Writes a line into a row of an area, as far as there is one.
fn put(frame: &mut Frame<'_>, area: Rect, row: usize, line: &Line<'_>) {
    if row < usize::from(area.height) {
        frame.buffer_mut().set_line(area.x, area.y + row as u16, line, area.width);
    }
}

/// The same, the whole row in reverse.
fn put_chosen(frame: &mut Frame<'_>, area: Rect, row: usize, line: &Line<'_>, state: &State) {
    put(frame, area, row, line);
    if row < usize::from(area.height) {
        frame.buffer_mut().set_style(Rect { y: area.y + row as u16, height: 1, ..area }, state.theme.chosen());
    }
}

#[cfg(test)]
mod tests;
