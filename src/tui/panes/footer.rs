//! The bottom line: the keys of what is looked at, a question, or what was just done.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;
use unicode_width::UnicodeWidthStr;

use super::put;
use crate::output::escape;
use crate::tui::format;
use crate::tui::keys;
use crate::tui::state::{Prompt, State};

/// ```text
/// Enter open  / search  f filter  o sort  p pause  F follow  s save  2 findings  3 capture  ? help  q quit
/// filter: state == rejectd_          there is no field ...
/// ```
///
/// What does not fit goes on above it.
pub(super) fn render(frame: &mut Frame<'_>, area: Rect, state: &State) {
    if area.height == 0 {
        return;
    }
    match (&state.prompt, &state.notice) {
        (Some(prompt), _) => question(frame, area, prompt, state),
        (None, Some(notice)) => say(frame, area, &escape::escaped(notice), state.theme.bold()),
        (None, None) => put(frame, area, 0, &keys_line(state, usize::from(area.width))),
    }
}

/// Words that end on this line, and begin as far above it as they must.
fn say(frame: &mut Frame<'_>, area: Rect, words: &str, style: Style) {
    let mut lines = format::wrapped(words, usize::from(area.width));
    lines.truncate(usize::from(area.y).max(1));
    let rows = lines.len().max(1) as u16;
    let area = Rect { y: area.bottom() - rows, height: rows, ..area };
    frame.render_widget(Clear, area);
    for (row, line) in lines.into_iter().enumerate() {
        put(frame, area, row, &Line::styled(line, style));
    }
}

fn question(frame: &mut Frame<'_>, area: Rect, prompt: &Prompt, state: &State) {
    let words = prompt.question.words();
    let room = usize::from(area.width).saturating_sub(words.len() + 1);
    let scroll = prompt.input.visual_scroll(room.max(1));
    let value = escape::escaped(prompt.input.value()).into_owned();
    let typed = format::behind(&value, scroll);
    let mut line =
        Line::from(vec![Span::styled(words, state.theme.key()), Span::raw(format::cut(typed, room)), Span::raw("   ")]);
    let (aside, style) = match &prompt.error {
        Some(error) => (escape::escaped(error).into_owned(), state.theme.bad()),
        None => (prompt.question.hint().to_owned(), state.theme.dim()),
    };
    let fits = line.width() + aside.width() <= usize::from(area.width);
    if fits {
        line.spans.push(Span::styled(aside, style));
    } else if prompt.error.is_some() && area.y > 1 {
        say(frame, Rect { y: area.y - 1, ..area }, &aside, style);
    }
    put(frame, area, 0, &line);
    let cursor = words.len() + prompt.input.visual_cursor().saturating_sub(scroll);
    let x = area.x + (cursor as u16).min(area.width.saturating_sub(1));
    frame.set_cursor_position(Position { x, y: area.y });
}

/// The keys that have a word, as many as fit; help and the way out come first, for they must.
fn keys_line(state: &State, width: usize) -> Line<'static> {
    let shown: Vec<&keys::Key> = keys::of(state.view()).filter(|key| !key.footer.is_empty()).collect();
    let first_key = |key: &keys::Key| key.shown.split(' ').next().unwrap_or(key.shown);
    let room = |key: &keys::Key| first_key(key).chars().count() + 1 + key.footer.chars().count() + 2;
    let (last, others): (Vec<_>, Vec<_>) =
        shown.into_iter().partition(|key| matches!(key.footer, "help" | "quit" | "back"));
    let mut rest = width.saturating_sub(last.iter().map(|key| room(key)).sum());
    let mut line = Line::default();
    let fitting = others.into_iter().filter(|key| {
        let fits = room(key) <= rest;
        rest = if fits { rest - room(key) } else { rest };
        fits
    });
    for key in fitting.collect::<Vec<_>>().into_iter().chain(last) {
        line.spans.push(Span::styled(first_key(key), state.theme.key()));
        line.spans.push(Span::raw(format!(" {}  ", key.footer)));
    }
    line
}
