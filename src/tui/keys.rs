//! Keys: one table, from which they are read, the bottom line and the help are made.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What is looked at, as far as keys differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum View {
    /// The list of sessions.
    Sessions,
    /// The columns to choose from.
    Columns,
    /// A session's ladder.
    Ladder,
    /// Its requests side by side.
    Headers,
    /// Its messages.
    Messages,
    /// Its times.
    Timing,
    /// All findings.
    Findings,
    /// The explanation of one.
    Explain,
    /// The capture.
    Capture,
    /// The keys.
    Help,
}

/// What a key does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Quit,
    Back,
    Up,
    Down,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    Top,
    Bottom,
    Open,
    NextTab,
    PreviousTab,
    Tab(u8),
    Unfold,
    Fold,
    Search,
    SearchNext,
    SearchPrevious,
    Filter,
    SortNext,
    SortPrevious,
    SortChoose,
    Reverse,
    Columns,
    Pause,
    Follow,
    Select,
    Save,
    OpenFile,
    Sessions,
    Findings,
    Capture,
    Help,
    TimeStyle,
    Hex,
    CopyFix,
    Theme,
    Redraw,
    Mouse,
    Suspend,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Key {
    presses: &'static [Press],
    /// The keys as they are shown.
    pub shown: &'static str,
    views: &'static [View],
    pub action: Action,
    /// What it does, for the help.
    pub says: &'static str,
    /// The word in the bottom line; empty when it does not stand there.
    pub footer: &'static str,
}

impl Key {
    /// Whether it does something here.
    pub fn is_for(&self, view: View) -> bool {
        self.views.contains(&view)
    }
}

/// What is pressed. Shift is in the character.
type Press = (KeyCode, KeyModifiers);

const fn c(character: char) -> Press {
    (KeyCode::Char(character), KeyModifiers::NONE)
}

const fn ctrl(character: char) -> Press {
    (KeyCode::Char(character), KeyModifiers::CONTROL)
}

const fn k(code: KeyCode) -> Press {
    (code, KeyModifiers::NONE)
}

/// What a key does in a view.
pub(super) fn action(view: View, event: KeyEvent) -> Option<Action> {
    let modifiers = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT);
    let press = (event.code, modifiers);
    KEYS.iter().find(|key| key.is_for(view) && key.presses.contains(&press)).map(|key| key.action)
}

/// The keys of a view, in the order of the table.
pub(super) fn of(view: View) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.is_for(view))
}

use View::{Capture, Columns, Explain, Findings, Headers, Help, Ladder, Messages, Sessions, Timing};

const ALL: &[View] = &[Sessions, Columns, Ladder, Headers, Messages, Timing, Findings, Explain, Capture, Help];
const SESSION: &[View] = &[Ladder, Headers, Messages, Timing];
const LIST: &[View] = &[Sessions];
const FIXES: &[View] = &[Ladder, Headers, Messages, Timing, Findings, Explain];
const SEARCHED: &[View] = &[Sessions, Messages];
const TIMED: &[View] = &[Ladder, Messages];
const GROWING: &[View] = &[Sessions, Messages];
const MAIN: &[View] = &[Sessions, Ladder, Headers, Messages, Timing, Findings, Explain, Capture];

const BESIDES: &[View] = &[Ladder, Headers, Messages, Timing, Findings, Explain, Capture];

/// The table. The first line that fits counts.
#[rustfmt::skip]
const KEYS: &[Key] = &[
    Key { presses: &[k(KeyCode::Enter)], shown: "Enter", views: LIST, action: Action::Open, says: "open the session", footer: "open" },
    Key { presses: &[k(KeyCode::Enter)], shown: "Enter", views: &[Columns], action: Action::Open, says: "show the column or not", footer: "on/off" },
    Key { presses: &[c(' ')], shown: "space", views: &[Columns], action: Action::Open, says: "show the column or not", footer: "" },
    Key { presses: &[k(KeyCode::Enter)], shown: "Enter", views: &[Ladder, Headers, Timing], action: Action::Open, says: "explain the findings", footer: "explain" },
    Key { presses: &[k(KeyCode::Enter)], shown: "Enter", views: &[Messages], action: Action::Open, says: "show the message whole", footer: "whole" },
    Key { presses: &[k(KeyCode::Enter)], shown: "Enter", views: &[Findings], action: Action::Open, says: "explain the finding", footer: "explain" },
    Key { presses: &[k(KeyCode::Enter)], shown: "Enter", views: &[Explain], action: Action::Open, says: "show the sessions that have it", footer: "its sessions" },
    Key { presses: &[k(KeyCode::Tab)], shown: "Tab", views: SESSION, action: Action::NextTab, says: "next: ladder, headers, messages, timing", footer: "next" },
    Key { presses: &[k(KeyCode::BackTab)], shown: "Shift-Tab", views: SESSION, action: Action::PreviousTab, says: "the one before", footer: "" },
    Key { presses: &[c('l')], shown: "l", views: SESSION, action: Action::Tab(0), says: "ladder", footer: "" },
    Key { presses: &[c('H')], shown: "H", views: SESSION, action: Action::Tab(1), says: "headers", footer: "" },
    Key { presses: &[c('m')], shown: "m", views: SESSION, action: Action::Tab(2), says: "messages", footer: "" },
    Key { presses: &[c('i')], shown: "i", views: SESSION, action: Action::Tab(3), says: "timing", footer: "" },
    Key { presses: &[c('j'), k(KeyCode::Down), ctrl('n')], shown: "j ↓", views: ALL, action: Action::Down, says: "down", footer: "" },
    Key { presses: &[c('k'), k(KeyCode::Up), ctrl('p')], shown: "k ↑", views: ALL, action: Action::Up, says: "up", footer: "" },
    Key { presses: &[k(KeyCode::PageDown), ctrl('f')], shown: "PgDn ^F", views: ALL, action: Action::PageDown, says: "a page down", footer: "" },
    Key { presses: &[k(KeyCode::PageUp), ctrl('b')], shown: "PgUp ^B", views: ALL, action: Action::PageUp, says: "a page up", footer: "" },
    Key { presses: &[ctrl('d')], shown: "^D", views: ALL, action: Action::HalfDown, says: "half a page down", footer: "" },
    Key { presses: &[ctrl('u')], shown: "^U", views: ALL, action: Action::HalfUp, says: "half a page up", footer: "" },
    Key { presses: &[c('g'), k(KeyCode::Home), ctrl('a')], shown: "g Home", views: ALL, action: Action::Top, says: "to the top", footer: "" },
    Key { presses: &[c('G'), k(KeyCode::End), ctrl('e')], shown: "G End", views: ALL, action: Action::Bottom, says: "to the end", footer: "" },
    Key { presses: &[k(KeyCode::Right), c('+')], shown: "→ +", views: LIST, action: Action::Unfold, says: "show the legs", footer: "legs" },
    Key { presses: &[k(KeyCode::Left), c('-')], shown: "← -", views: LIST, action: Action::Fold, says: "hide the legs", footer: "" },
    Key { presses: &[c('/')], shown: "/", views: SEARCHED, action: Action::Search, says: "search", footer: "search" },
    Key { presses: &[c('n')], shown: "n", views: SEARCHED, action: Action::SearchNext, says: "the next match", footer: "" },
    Key { presses: &[c('N')], shown: "N", views: SEARCHED, action: Action::SearchPrevious, says: "the match before", footer: "" },
    Key { presses: &[c('f'), k(KeyCode::F(3))], shown: "f F3", views: LIST, action: Action::Filter, says: "show only what matches: words, or a query as -Y", footer: "filter" },
    Key { presses: &[c('>')], shown: ">", views: LIST, action: Action::SortNext, says: "sort by the next column", footer: "" },
    Key { presses: &[c('<')], shown: "<", views: LIST, action: Action::SortPrevious, says: "sort by the column before", footer: "" },
    Key { presses: &[c('S'), k(KeyCode::F(6))], shown: "S F6", views: LIST, action: Action::SortChoose, says: "sort by the column that is named", footer: "sort" },
    Key { presses: &[c('r')], shown: "r", views: LIST, action: Action::Reverse, says: "sort the other way", footer: "" },
    Key { presses: &[c('t'), k(KeyCode::F(10))], shown: "t F10", views: LIST, action: Action::Columns, says: "choose the columns", footer: "" },
    Key { presses: &[c('p')], shown: "p", views: LIST, action: Action::Pause, says: "hold the screen; the capture goes on", footer: "pause" },
    Key { presses: &[c('F')], shown: "F", views: GROWING, action: Action::Follow, says: "follow the newest", footer: "follow" },
    Key { presses: &[c(' ')], shown: "space", views: LIST, action: Action::Select, says: "choose, to be saved", footer: "" },
    Key { presses: &[c('s'), k(KeyCode::F(2))], shown: "s F2", views: MAIN, action: Action::Save, says: "save the chosen sessions, or this one: .json, .md, .pcapng", footer: "save" },
    Key { presses: &[c('x')], shown: "x", views: &[Messages], action: Action::Hex, says: "hexadecimal or text", footer: "hex" },
    Key { presses: &[c('T')], shown: "T", views: TIMED, action: Action::TimeStyle, says: "times since the start, since the one before, of the day", footer: "times" },
    Key { presses: &[c('y')], shown: "y", views: FIXES, action: Action::CopyFix, says: "copy the fix", footer: "copy fix" },
    Key { presses: &[c('1')], shown: "1", views: BESIDES, action: Action::Sessions, says: "sessions", footer: "sessions" },
    Key { presses: &[c('2')], shown: "2", views: MAIN, action: Action::Findings, says: "findings", footer: "findings" },
    Key { presses: &[c('3')], shown: "3", views: MAIN, action: Action::Capture, says: "capture", footer: "capture" },
    Key { presses: &[c('o'), c('O')], shown: "o", views: LIST, action: Action::OpenFile, says: "open another file", footer: "" },
    Key { presses: &[c('M')], shown: "M", views: MAIN, action: Action::Mouse, says: "the mouse: a click chooses, the wheel moves; off, the terminal has it", footer: "" },
    Key { presses: &[c('C')], shown: "C", views: MAIN, action: Action::Theme, says: "colours: dark, light, none", footer: "" },
    Key { presses: &[ctrl('l')], shown: "^L", views: ALL, action: Action::Redraw, says: "draw anew", footer: "" },
    Key { presses: &[ctrl('z')], shown: "^Z", views: ALL, action: Action::Suspend, says: "to the shell, until fg", footer: "" },
    Key { presses: &[c('?'), c('h'), k(KeyCode::F(1))], shown: "? h F1", views: MAIN, action: Action::Help, says: "the keys", footer: "help" },
    Key { presses: &[k(KeyCode::Esc), c('q'), k(KeyCode::Backspace)], shown: "Esc q", views: &[Columns, Ladder, Headers, Messages, Timing, Findings, Explain, Capture, Help], action: Action::Back, says: "back", footer: "back" },
    Key { presses: &[k(KeyCode::Esc)], shown: "Esc", views: LIST, action: Action::Back, says: "filter and search end", footer: "" },
    Key { presses: &[c('q')], shown: "q", views: LIST, action: Action::Quit, says: "quit", footer: "quit" },
    Key { presses: &[ctrl('c'), c('Q')], shown: "^C Q", views: ALL, action: Action::Quit, says: "quit", footer: "" },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(view: View, (code, modifiers): Press) -> Option<Action> {
        action(view, KeyEvent::new(code, modifiers))
    }

    #[test]
    fn no_key_means_two_things() {
        for view in ALL {
            let mut seen = Vec::new();
            for key in of(*view) {
                for press in key.presses {
                    assert!(!seen.contains(&press), "{press:?} in {view:?}");
                    seen.push(press);
                }
            }
        }
    }

    #[test]
    fn every_view_can_be_left_and_helped() {
        for &view in ALL {
            assert_eq!(pressed(view, ctrl('c')), Some(Action::Quit));
            assert!(matches!(pressed(view, c('q')), Some(Action::Back | Action::Quit)), "{view:?}");
        }
        assert_eq!(pressed(Sessions, (KeyCode::Char('G'), KeyModifiers::SHIFT)), Some(Action::Bottom));
        assert_eq!(pressed(Sessions, k(KeyCode::F(12))), None);
    }
}
