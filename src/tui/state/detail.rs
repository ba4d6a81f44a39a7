//! One session, looked at from one of four sides.

use crate::session::SessionId;
use crate::tui::keys::View;
use crate::tui::state::Cursor;

/// A side to look from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::tui) enum Tab {
    Ladder,
    Headers,
    Messages,
    Timing,
}

impl Tab {
    /// All, in order.
    pub const ALL: [Tab; 4] = [Tab::Ladder, Tab::Headers, Tab::Messages, Tab::Timing];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Tab::Ladder => "ladder",
            Tab::Headers => "headers",
            Tab::Messages => "messages",
            Tab::Timing => "timing",
        }
    }

    pub(super) const fn view(self) -> View {
        match self {
            Tab::Ladder => View::Ladder,
            Tab::Headers => View::Headers,
            Tab::Messages => View::Messages,
            Tab::Timing => View::Timing,
        }
    }

    pub(super) const fn next(self) -> Tab {
        Tab::ALL[(self as usize + 1) % Tab::ALL.len()]
    }

    pub(super) const fn previous(self) -> Tab {
        Tab::ALL[(self as usize + Tab::ALL.len() - 1) % Tab::ALL.len()]
    }

    /// Whether it is a page without a chosen line.
    pub(super) const fn scrolls(self) -> bool {
        matches!(self, Tab::Headers | Tab::Timing)
    }
}

/// One session that is looked at.
#[derive(Debug)]
pub(in crate::tui) struct Detail {
    pub id: SessionId,
    pub tab: Tab,
    cursors: [Cursor; 4],
    /// Messages: in hexadecimal.
    pub hex: bool,
    /// Messages: the chosen one in full.
    pub whole: bool,
    /// Messages: stay at the newest.
    pub follow: bool,
    /// Messages: what is searched.
    pub search: String,
}

impl Detail {
    pub(super) fn new(id: SessionId) -> Detail {
        Detail {
            id,
            tab: Tab::Ladder,
            cursors: [Cursor::default(); 4],
            hex: false,
            whole: false,
            follow: false,
            search: String::new(),
        }
    }

    /// Where one is on this side of it.
    pub fn cursor(&self) -> Cursor {
        self.cursors[self.tab as usize]
    }

    pub(super) fn cursor_mut(&mut self) -> &mut Cursor {
        &mut self.cursors[self.tab as usize]
    }
}
