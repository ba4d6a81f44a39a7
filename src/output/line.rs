//! A line of text in the making, in a buffer that is used again and again.
//!
//! Text of the program goes in by [`Line::put`], text from the wire by [`Line::wire`], which masks and escapes it. There is
//! no third way.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use crate::diagnosis::Severity;
use crate::output::clock::Clock;
use crate::output::escape;
use crate::output::mask::Mask;
use crate::output::phrase;
use crate::session::Outcome;
use crate::time::Timestamp;
use crate::wire::Endpoint;

/// What the program says less loudly.
pub const DIM: Style = Style::new().dimmed();
/// What the eye should find first.
pub const BOLD: Style = Style::new().bold();

/// The colour of a severity. Words carry the meaning; colour adds to it.
pub const fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Error => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        Severity::Note => AnsiColor::Cyan.on_default(),
    }
}

/// The colour of an outcome.
pub const fn outcome_style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Open | Outcome::Closed => AnsiColor::Green.on_default(),
        Outcome::Encrypted => Style::new(),
        Outcome::Aborted => AnsiColor::Yellow.on_default(),
        Outcome::Rejected | Outcome::Unanswered | Outcome::Unreachable => AnsiColor::Red.on_default(),
    }
}

/// A line, or a few.
#[derive(Debug)]
pub struct Line {
    text: String,
    /// Columns since the last line feed.
    column: usize,
    color: bool,
    mask: Mask,
    /// Room for masked text.
    masked: String,
}

impl Line {
    /// An empty one.
    pub fn new(color: bool, mask: Mask) -> Line {
        Line { text: String::with_capacity(512), column: 0, color, mask, masked: String::new() }
    }

    /// What it holds.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.text.clear();
        self.column = 0;
    }

    /// How wide the current line is.
    pub fn column(&self) -> usize {
        self.column
    }

    /// Appends text of the program: no control characters in it.
    pub fn put(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += if escape::is_plain(text) { text.len() } else { text.width() };
    }

    /// Appends text of the program in a style.
    pub fn styled(&mut self, style: Style, text: &str) {
        self.begin(style);
        self.put(text);
        self.end(style);
    }

    /// Appends text that came from the wire, or that quotes it: masked and escaped.
    pub fn wire(&mut self, text: &str) {
        let text = self.mask.text_in(&mut self.masked, text);
        let start = self.text.len();
        escape::escape(&mut self.text, text);
        self.column += self.text[start..].width();
    }

    /// The same, no wider than `columns`.
    pub fn wire_within(&mut self, text: &str, columns: usize) {
        let text = self.mask.text_in(&mut self.masked, text);
        self.column += escape::push_ellipsis(&mut self.text, text, columns);
    }

    /// The same, bytes that should be UTF-8.
    pub fn wire_bytes_within(&mut self, bytes: &[u8], columns: usize) {
        match str::from_utf8(bytes) {
            Ok(text) => self.wire_within(text, columns),
            Err(_) => {
                let mut text = String::new();
                escape::escape_bytes(&mut text, bytes);
                self.wire_within(&text, columns);
            }
        }
    }

    /// Appends text from the wire with line feeds between words, so that no line is wider than `columns`; all but the first
    /// begin at `indent`. Words that are too long are not cut.
    pub fn wire_wrapped(&mut self, text: &str, indent: usize, columns: usize) {
        let text = self.mask.text(text);
        for (index, word) in text.split(' ').enumerate() {
            let word = escape::escaped(word);
            let width = word.width();
            if index > 0 && self.column + 1 + width > columns && self.column > indent {
                self.next(indent);
            } else if index > 0 {
                self.pad(0, 1);
            }
            self.text.push_str(&word);
            self.column += width;
        }
    }

    /// Appends a header field, no wider than `columns`: its value masked by its name, and escaped.
    pub fn field_within(&mut self, name: &str, value: &str, columns: usize) {
        let field = format!("{name}: {}", self.mask.field(name, value));
        self.column += escape::push_ellipsis(&mut self.text, &field, columns);
    }

    /// Appends by way of a writer of plain ASCII.
    pub fn ascii(&mut self, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        self.column += self.text.len() - start;
    }

    /// Appends a number.
    pub fn number(&mut self, number: u64) {
        self.ascii(|out| phrase::push_number(out, number));
    }

    /// Appends `1 session`, `2 sessions`.
    pub fn count(&mut self, number: u64, noun: &'static str) {
        self.ascii(|out| phrase::push_count(out, number, noun));
    }

    /// Appends an address and a port.
    pub fn endpoint(&mut self, endpoint: Endpoint) {
        self.ascii(|out| phrase::push_endpoint(out, endpoint));
    }

    /// Appends a duration.
    pub fn duration(&mut self, duration: Duration) {
        let start = self.text.len();
        phrase::push_duration(&mut self.text, duration);
        self.column += self.text[start..].chars().count(); // `µ` is one
    }

    /// Appends a time of day.
    pub fn time(&mut self, clock: &mut Clock, at: Timestamp) {
        self.ascii(|out| clock.push_time(out, at));
    }

    /// Spaces up to `column`, and at least `least` of them.
    pub fn pad(&mut self, column: usize, least: usize) {
        const SPACES: &str = "                                                                ";
        let spaces = column.saturating_sub(self.column).max(least);
        self.column += spaces;
        let mut rest = spaces;
        while rest > 0 {
            let some = rest.min(SPACES.len());
            self.text.push_str(&SPACES[..some]);
            rest -= some;
        }
    }

    /// Begins a new line, indented.
    pub fn next(&mut self, indent: usize) {
        self.text.push('\n');
        self.column = 0;
        self.pad(indent, 0);
    }

    /// Begins a style, when there is colour.
    pub fn begin(&mut self, style: Style) {
        if self.color {
            self.escape_code(&style.render());
        }
    }

    /// Ends it.
    pub fn end(&mut self, style: Style) {
        if self.color {
            self.escape_code(&style.render_reset());
        }
    }

    fn escape_code(&mut self, code: &dyn std::fmt::Display) {
        use std::fmt::Write as _;
        write!(self.text, "{code}").expect("writing to a string cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_what_is_seen() {
        let mut line = Line::new(true, Mask::Secrets);
        line.styled(BOLD, "s1");
        line.pad(4, 1);
        line.wire("東\x1b");
        assert_eq!(line.column(), 10);
        line.pad(4, 2);
        line.put("#1");
        assert_eq!(line.as_str(), "\u{1b}[1ms1\u{1b}[0m  東\\x1b  #1");
        let before = line.column();
        line.duration(Duration::from_micros(48));
        assert_eq!(line.column() - before, "48 us".len());
    }

    #[test]
    fn without_colour_there_is_no_code() {
        let mut line = Line::new(false, Mask::Secrets);
        line.styled(severity_style(Severity::Error), "error");
        line.pad(0, 1);
        line.wire("/ws?token=abc");
        assert_eq!(line.as_str(), "error /ws?token=[masked:3]");
    }
}
