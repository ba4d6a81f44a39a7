//! The bottom line: the keys of what is looked at, a question, or what was just done.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::put;
use crate::output::escape;
use crate::tui::format;
use crate::tui::keys;
use crate::tui::state::{Prompt, State};

/// ```text
/// Enter open  / search  f filter  o sort  p pause  F follow  s save  2 findings  3 capture  ? help  q quit
/// filter: state == rejectd_          there is no field ...
/// ```
pub(super) fn render(frame: &mut Frame<'_>, area: Rect, state: &State) {
    if area.height == 0 {
        return;
    }
    match (&state.prompt, &state.notice) {
        (Some(prompt), _) => question(frame, area, prompt, state),
        (None, Some(notice)) => {
            let text = format::cut(&escape::escaped(notice), usize::from(area.width));
            put(frame, area, 0, &Line::styled(text, state.theme.bold()));
        }
        (None, None) => put(frame, area, 0, &keys_line(state, usize::from(area.width))),
    }
}

fn question(frame: &mut Frame<'_>, area: Rect, prompt: &Prompt, state: &State) {
    let words = prompt.question.words();
    let room = usize::from(area.width).saturating_sub(words.len() + 1);
    let scroll = prompt.input.visual_scroll(room.max(1));
    let value = escape::escaped(prompt.input.value()).into_owned();
    let typed: String = value.chars().skip(scroll).collect();
    let mut spans = vec![Span::styled(words, state.theme.key()), Span::raw(format::cut(&typed, room))];
    if let Some(error) = &prompt.error {
        spans.push(Span::styled(format!("   {}", escape::escaped(error)), state.theme.bad()));
    }
    put(frame, area, 0, &Line::from(spans));
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
