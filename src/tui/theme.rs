//! Colours. Words say everything; bold and reverse tell what is chosen; colour adds to it and may be missing.

use ratatui::style::{Color, Modifier, Style};

use crate::diagnosis::Severity;
use crate::session::Outcome;
use crate::tui::store::Condition;

/// Which colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Theme {
    /// For a dark background.
    #[default]
    Dark,
    /// For a light one.
    Light,
    /// None: words, bold and reverse.
    None,
}

impl Theme {
    /// The next one, for a key.
    pub(super) const fn next(self) -> Theme {
        match self {
            Theme::Dark => Theme::Light,
            Theme::Light => Theme::None,
            Theme::None => Theme::Dark,
        }
    }

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Theme::Dark => "dark",
            Theme::Light => "light",
            Theme::None => "none",
        }
    }

    /// What is said less loudly.
    pub(super) const fn dim(self) -> Style {
        match self {
            Theme::Dark => Style::new().fg(Color::DarkGray),
            Theme::Light => Style::new().fg(Color::Gray),
            Theme::None => Style::new().add_modifier(Modifier::DIM),
        }
    }

    /// What the eye should find first.
    pub(super) const fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The chosen line: in one colour, so that it is one line.
    pub(super) const fn chosen(self) -> Style {
        Style::new().fg(Color::Reset).add_modifier(Modifier::REVERSED)
    }

    /// The heads of columns.
    pub(super) const fn head(self) -> Style {
        self.colored(Color::Cyan, Color::Blue)
    }

    /// A key in the bottom line.
    pub(super) const fn key(self) -> Style {
        self.colored(Color::Cyan, Color::Blue).add_modifier(Modifier::BOLD)
    }

    /// Traffic from this end: the client's is not the server's.
    pub(super) const fn client(self) -> Style {
        self.colored(Color::Green, Color::Green)
    }

    /// Traffic from the other end.
    pub(super) const fn server(self) -> Style {
        self.colored(Color::Blue, Color::Blue)
    }

    /// What is well.
    pub(super) const fn good(self) -> Style {
        self.colored(Color::Green, Color::Green)
    }

    /// What may bite.
    pub(super) const fn warning(self) -> Style {
        // Yellow cannot be read on white.
        self.colored(Color::Yellow, Color::Magenta)
    }

    /// What is broken.
    pub(super) const fn bad(self) -> Style {
        self.colored(Color::Red, Color::Red).add_modifier(Modifier::BOLD)
    }

    /// A severity's word.
    pub(super) const fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Error => self.bad(),
            Severity::Warning => self.warning(),
            Severity::Note => self.head(),
        }
    }

    /// A session's word.
    pub(super) const fn condition(self, condition: Condition) -> Style {
        match condition {
            Condition::Open | Condition::Over(Outcome::Open | Outcome::Closed) => self.good(),
            Condition::Over(Outcome::Aborted) | Condition::Answered => self.warning(),
            Condition::Over(Outcome::Rejected | Outcome::Unanswered | Outcome::Unreachable) => self.bad(),
            Condition::Opening | Condition::Ending | Condition::Encrypted | Condition::Over(Outcome::Encrypted) => {
                Style::new()
            }
        }
    }

    const fn colored(self, dark: Color, light: Color) -> Style {
        match self {
            Theme::Dark => Style::new().fg(dark),
            Theme::Light => Style::new().fg(light),
            Theme::None => Style::new(),
        }
    }
}
