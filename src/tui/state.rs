//! What is looked at, and what a key changes about it. Draws nothing, blocks on nothing.

mod columns;
mod copy;
mod cursor;
mod detail;
mod list;
mod mouse;
mod prompt;
mod saving;

use std::path::PathBuf;

use crossterm::event::KeyEvent;

pub(super) use columns::{COLUMNS, Column, Columns};
pub(super) use cursor::Cursor;
pub(super) use detail::{Detail, Tab};
pub(super) use list::List;
pub(super) use prompt::{Prompt, Question};
pub(super) use saving::Proposal;

use crate::output::mask::Mask;
use crate::session::SessionId;
use crate::tui::keys::{self, Action, View};
use crate::tui::panes;
use crate::tui::store::Store;
use crate::tui::theme::Theme;

/// What is looked at.
#[derive(Debug)]
pub(super) enum Screen {
    /// The list of sessions.
    Sessions,
    /// The columns to choose from.
    Columns(Cursor),
    /// One session.
    Session(Box<Detail>),
    /// All findings.
    Findings(Cursor),
    /// One finding, or those of one session, in full.
    Explain(Explained, Cursor),
    /// The capture.
    Capture(Cursor),
    /// The keys, of this view first.
    Help(View, Cursor),
}

/// What is explained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Explained {
    /// The findings of a session.
    Session(SessionId),
    /// A finding of several.
    Finding(&'static str),
}

/// How times are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum TimeStyle {
    /// Since the session began.
    #[default]
    SinceStart,
    /// Since the line before.
    SinceBefore,
    /// The time of the day.
    OfDay,
}

/// What the world shall do after a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    None,
    Quit,
    /// Ask the shell to stop the job.
    Suspend,
    /// Stop, the terminal given back, until somebody says to go on.
    Stop,
    Redraw,
    /// Hear the mouse, or leave it to the terminal.
    Mouse(bool),
    /// To the clipboard.
    Copy(String),
    /// These sessions to that file.
    Save(PathBuf, Vec<SessionId>),
    /// Read another file instead.
    Open(PathBuf),
    /// Remember these columns.
    KeepColumns(String),
    /// Say how much was read, and lost.
    Counts,
}

/// What is looked at, and how.
#[derive(Debug)]
pub(super) struct State {
    /// The screen on top is seen; below are those to go back to. Never empty.
    screens: Vec<Screen>,
    pub list: List,
    pub prompt: Option<Prompt>,
    /// Where sessions are saved.
    pub proposal: Proposal,
    /// One line about what was just done. Gone with the next key.
    pub notice: Option<String>,
    pub theme: Theme,
    pub time: TimeStyle,
    pub mask: Mask,
    /// What is read or captured on, for the title.
    pub source: String,
    pub live: bool,
    /// Whether the mouse is heard.
    mouse: bool,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
}

impl State {
    /// The list of sessions.
    pub fn new(source: String, live: bool, mask: Mask, theme: Theme) -> State {
        State {
            screens: vec![Screen::Sessions],
            list: List::default(),
            prompt: None,
            proposal: Proposal::default(),
            notice: None,
            theme,
            time: TimeStyle::default(),
            mask,
            source,
            live,
            mouse: false,
            size: (80, 24),
        }
    }

    /// What is seen.
    pub fn screen(&self) -> &Screen {
        self.screens.last().expect("the list is never left")
    }

    fn screen_mut(&mut self) -> &mut Screen {
        self.screens.last_mut().expect("the list is never left")
    }

    /// What is seen, as far as keys differ.
    pub fn view(&self) -> View {
        match self.screen() {
            Screen::Sessions => View::Sessions,
            Screen::Columns(_) => View::Columns,
            Screen::Session(detail) => detail.tab.view(),
            Screen::Findings(_) => View::Findings,
            Screen::Explain(..) => View::Explain,
            Screen::Capture(_) => View::Capture,
            Screen::Help(..) => View::Help,
        }
    }

    /// The lines of the body.
    pub fn body_rows(&self) -> usize {
        let (width, height) = self.size;
        let screen = ratatui::layout::Rect { x: 0, y: 0, width, height };
        usize::from(crate::tui::layout::areas(screen).body.height)
    }

    /// The sessions in sight that go on.
    pub fn open_in_sight(&self, store: &Store) -> Vec<SessionId> {
        let seen = self.list.visible().iter().take(self.body_rows());
        let opened = match self.screen() {
            Screen::Session(detail) => Some(&detail.id),
            _ => None,
        };
        let open = |id: &&SessionId| store.row(**id).is_some_and(|row| !row.is_over());
        opened.into_iter().chain(seen).filter(open).copied().collect()
    }

    /// Takes a new state of the store into account: rows come and go, what is chosen stays.
    pub fn follow_store(&mut self, store: &Store) {
        let rows = self.body_rows().saturating_sub(1);
        self.list.sync(store, rows);
        let view = self.panel(store);
        if let Screen::Session(detail) = self.screen_mut()
            && detail.follow
            && detail.tab == Tab::Messages
        {
            detail.cursor_mut().go_to_end(view.lines, view.rows);
        }
    }

    /// A key was pressed.
    pub fn key(&mut self, event: KeyEvent, store: &Store) -> Effect {
        self.notice = None;
        if self.prompt.is_some() {
            return self.answer(event, store);
        }
        match keys::action(self.view(), event) {
            Some(action) => self.update(action, store),
            None => Effect::None,
        }
    }

    /// Does what a key stands for.
    pub fn update(&mut self, action: Action, store: &Store) -> Effect {
        match action {
            Action::Quit => return Effect::Quit,
            Action::Suspend => return Effect::Suspend,
            Action::Redraw => return Effect::Redraw,
            Action::Mouse => return self.toggle_mouse(),
            Action::CopyFix => return self.copy_fix(store),
            Action::Back => self.back(store),
            Action::Up
            | Action::Down
            | Action::PageUp
            | Action::PageDown
            | Action::HalfUp
            | Action::HalfDown
            | Action::Top
            | Action::Bottom => self.move_by(action, store),
            Action::Open => return self.open(store),
            Action::NextTab => self.tab(|tab| tab.next()),
            Action::PreviousTab => self.tab(|tab| tab.previous()),
            Action::Tab(index) => self.tab(|_| Tab::ALL[usize::from(index) % Tab::ALL.len()]),
            Action::Search => self.ask(Question::Search, ""),
            Action::SearchNext => self.search_again(true, store),
            Action::SearchPrevious => self.search_again(false, store),
            Action::Filter => {
                let text = self.list.filter_text().to_owned();
                self.ask(Question::Filter, &text);
            }
            Action::SortChoose => self.ask(Question::Sort, ""),
            Action::OpenFile => self.ask(Question::Open, ""),
            Action::Save => self.ask_where(),
            Action::SortNext => self.list.sort_by_neighbour(true, store),
            Action::SortPrevious => self.list.sort_by_neighbour(false, store),
            Action::Reverse => self.list.reverse(store),
            Action::Unfold => self.list.unfold(true),
            Action::Fold => self.list.unfold(false),
            Action::Select => self.list.choose(store),
            Action::Pause => self.list.paused = !self.list.paused,
            Action::Follow => self.follow(store),
            Action::Hex => self.hex(),
            Action::TimeStyle => self.time = self.time.next(),
            Action::Theme => {
                self.theme = self.theme.next();
                self.notice = Some(format!("colours: {}", self.theme.name()));
            }
            Action::Columns => self.screens.push(Screen::Columns(Cursor::default())),
            Action::Sessions => self.screens.truncate(1),
            Action::Findings => self.go(Screen::Findings(Cursor::default())),
            Action::Capture => self.go(Screen::Capture(Cursor::default())),
            Action::Help => {
                let view = self.view();
                self.screens.push(Screen::Help(view, Cursor::default()));
            }
        }
        self.follow_store(store);
        Effect::None
    }

    /// Opens a session.
    pub fn show_session(&mut self, id: SessionId) {
        self.screens.push(Screen::Session(Box::new(Detail::new(id))));
    }

    fn go(&mut self, screen: Screen) {
        self.screens.truncate(1);
        self.screens.push(screen);
    }

    fn back(&mut self, store: &Store) {
        if self.screens.len() > 1 {
            self.screens.pop();
        } else {
            self.list.end_search(store);
        }
    }

    fn open(&mut self, store: &Store) -> Effect {
        match self.screen_mut() {
            Screen::Sessions => {
                if let Some(id) = self.list.selected() {
                    self.show_session(id);
                }
            }
            Screen::Columns(cursor) => {
                let column = COLUMNS[cursor.selected.min(COLUMNS.len() - 1)];
                self.list.columns.toggle(column);
                return Effect::KeepColumns(self.list.columns.to_text());
            }
            Screen::Session(detail) if detail.tab == Tab::Messages => detail.whole = !detail.whole,
            Screen::Session(detail) => {
                let explained = Explained::Session(detail.id);
                self.screens.push(Screen::Explain(explained, Cursor::default()));
            }
            Screen::Findings(cursor) => {
                if let Some(group) = store.findings.groups.get(cursor.selected) {
                    self.screens.push(Screen::Explain(Explained::Finding(group.id), Cursor::default()));
                }
            }
            Screen::Explain(what, _) => {
                let what = *what;
                self.show_sessions_with(what, store);
            }
            Screen::Capture(_) | Screen::Help(..) => {}
        }
        Effect::None
    }

    /// The list, of the sessions that have a finding; of a session's findings the first one.
    fn show_sessions_with(&mut self, what: Explained, store: &Store) {
        let id = match what {
            Explained::Finding(id) => Some(id),
            Explained::Session(session) => {
                let diagnosis = store.row(session).and_then(|row| row.diagnosis());
                diagnosis.and_then(|diagnosis| diagnosis.findings.first()).map(|finding| finding.id)
            }
        };
        if let Some(group) = id.and_then(|id| store.findings.find(id)) {
            self.list.show_only(format!("finding == {}", group.id), group.sessions.clone(), store);
            self.screens.truncate(1);
        }
    }

    fn tab(&mut self, choose: impl FnOnce(Tab) -> Tab) {
        if let Screen::Session(detail) = self.screen_mut() {
            detail.tab = choose(detail.tab);
        }
    }

    fn hex(&mut self) {
        if let Screen::Session(detail) = self.screen_mut() {
            detail.hex = !detail.hex;
            detail.whole |= detail.hex;
        }
    }

    fn follow(&mut self, store: &Store) {
        match self.screen_mut() {
            Screen::Session(detail) => detail.follow = !detail.follow,
            _ => self.list.toggle_follow(store),
        }
    }

    fn move_by(&mut self, action: Action, store: &Store) {
        let panel = self.panel(store);
        match self.screen_mut() {
            Screen::Sessions => self.list.move_by(action, panel.rows, store),
            Screen::Session(detail) => {
                detail.follow = false;
                let scrolls = detail.tab.scrolls();
                detail.cursor_mut().move_by(action, panel.lines, panel.rows, scrolls);
            }
            Screen::Columns(cursor) | Screen::Findings(cursor) => {
                cursor.move_by(action, panel.lines, panel.rows, false);
            }
            Screen::Explain(_, cursor) | Screen::Capture(cursor) | Screen::Help(_, cursor) => {
                cursor.move_by(action, panel.lines, panel.rows, true);
            }
        }
    }

    /// How much there is to see, and how much of it fits.
    fn panel(&self, store: &Store) -> panes::Panel {
        panes::panel(self, store)
    }
}

impl TimeStyle {
    const fn next(self) -> TimeStyle {
        match self {
            TimeStyle::SinceStart => TimeStyle::SinceBefore,
            TimeStyle::SinceBefore => TimeStyle::OfDay,
            TimeStyle::OfDay => TimeStyle::SinceStart,
        }
    }
}

#[cfg(test)]
mod tests;
