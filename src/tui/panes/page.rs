//! A page of text that is scrolled.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::put;
use crate::tui::format;
use crate::tui::state::Cursor;
use crate::tui::theme::Theme;

/// Draws what of the lines is seen.
pub(super) fn render(frame: &mut Frame<'_>, area: Rect, lines: &[Line<'_>], cursor: Cursor) {
    let first = cursor.offset.min(lines.len().saturating_sub(1));
    for (row, line) in lines[first.min(lines.len())..].iter().take(usize::from(area.height)).enumerate() {
        put(frame, area, row, line);
    }
}

/// Lines in the making.
#[derive(Debug)]
pub(super) struct Page {
    pub lines: Vec<Line<'static>>,
    theme: Theme,
    width: usize,
}

impl Page {
    pub fn new(theme: Theme, width: u16) -> Page {
        Page { lines: Vec::new(), theme, width: usize::from(width) }
    }

    /// An empty line, unless there is one or nothing.
    pub fn blank(&mut self) {
        if self.lines.last().is_some_and(|line| line.width() > 0) {
            self.lines.push(Line::default());
        }
    }

    /// A heading, with space above.
    pub fn heading(&mut self, text: &str) {
        self.blank();
        self.lines.push(Line::styled(text.to_owned(), self.theme.bold()));
    }

    /// A line of its own.
    pub fn line(&mut self, line: Line<'static>) {
        self.lines.push(line);
    }

    /// Safe text, in as many lines as it needs, all of them indented.
    pub fn text(&mut self, indent: usize, text: &str) {
        for line in text.lines() {
            for line in format::wrapped(line, self.width.saturating_sub(indent)) {
                self.lines.push(Line::raw(format!("{}{line}", " ".repeat(indent))));
            }
        }
    }

    /// A name and what there is to say of it, in two columns.
    pub fn pair(&mut self, name: &str, indent: usize, text: &str) {
        self.spans(name, indent, vec![Span::raw(text.to_owned())]);
    }

    /// The same, in styles. What is too long goes on below.
    pub fn spans(&mut self, name: &str, indent: usize, spans: Vec<Span<'static>>) {
        let mut name = format::left(name, indent.saturating_sub(2)) + "  ";
        let room = self.width.saturating_sub(indent);
        if spans.len() == 1 {
            for line in format::wrapped(&spans[0].content, room) {
                let name = Span::styled(std::mem::replace(&mut name, " ".repeat(indent)), self.theme.dim());
                self.lines.push(Line::from(vec![name, Span::styled(line, spans[0].style)]));
            }
            return;
        }
        let mut line = vec![Span::styled(name, self.theme.dim())];
        line.extend(spans);
        self.lines.push(Line::from(line));
    }
}
