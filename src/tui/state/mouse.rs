//! The mouse, for those who want it: a click chooses, a second one opens, the wheel moves.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;

use super::{Effect, Screen, State};
use crate::tui::keys::Action;
use crate::tui::layout;
use crate::tui::store::Store;

/// Lines that one notch of the wheel moves.
const NOTCH: usize = 3;

impl State {
    /// Hears the mouse from now on, or no longer: while it is heard the terminal selects no text.
    pub(super) fn toggle_mouse(&mut self) -> Effect {
        self.mouse = !self.mouse;
        let state = if self.mouse { "the mouse is heard; M gives it back" } else { "the mouse is the terminal's" };
        self.notice = Some(state.to_owned());
        Effect::Mouse(self.mouse)
    }

    /// The mouse did something.
    pub fn mouse(&mut self, event: MouseEvent, store: &Store) -> Effect {
        match event.kind {
            MouseEventKind::ScrollDown => self.turn(Action::Down, store),
            MouseEventKind::ScrollUp => self.turn(Action::Up, store),
            MouseEventKind::Down(MouseButton::Left) if matches!(self.screen(), Screen::Sessions) => {
                self.click(event.row, store)
            }
            _ => Effect::None,
        }
    }

    fn turn(&mut self, action: Action, store: &Store) -> Effect {
        (0..NOTCH).for_each(|_| drop(self.update(action, store)));
        Effect::None
    }

    /// The first line of the body has the heads of the columns.
    fn click(&mut self, row: u16, store: &Store) -> Effect {
        let (width, height) = self.size;
        let body = layout::areas(Rect { x: 0, y: 0, width, height }).body;
        let line = usize::from(row).checked_sub(usize::from(body.y) + 1);
        match line.map(|line| self.list.select_line(line, store)) {
            Some(true) => self.update(Action::Open, store),
            _ => Effect::None,
        }
    }
}
