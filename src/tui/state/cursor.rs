//! A place in a list or a page, and what of it is seen.

use crate::tui::keys::Action;

/// The chosen line, and the first line that is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::tui) struct Cursor {
    pub selected: usize,
    pub offset: usize,
}

impl Cursor {
    /// Moves within `lines`, of which `rows` are seen. A page that `scrolls` has no chosen line: its first one moves.
    pub fn move_by(&mut self, action: Action, lines: usize, rows: usize, scrolls: bool) {
        let page = rows.max(1);
        let last = if scrolls { lines.saturating_sub(page) } else { lines.saturating_sub(1) };
        let at = if scrolls { self.offset } else { self.selected };
        self.selected = moved(action, at, page).min(last);
        if scrolls {
            self.offset = self.selected;
        }
        self.keep_visible(lines, rows);
    }

    /// To the last line.
    pub fn go_to_end(&mut self, lines: usize, rows: usize) {
        self.selected = lines.saturating_sub(1);
        self.keep_visible(lines, rows);
    }

    /// What is chosen is seen, and no room is wasted below the end.
    pub fn keep_visible(&mut self, lines: usize, rows: usize) {
        let rows = rows.max(1);
        self.selected = self.selected.min(lines.saturating_sub(1));
        self.offset = self.offset.min(self.selected).max((self.selected + 1).saturating_sub(rows));
        self.offset = self.offset.min(lines.saturating_sub(rows));
    }
}

/// Where a movement leads from `at`, without regard to the end.
pub(super) const fn moved(action: Action, at: usize, page: usize) -> usize {
    let half = if page < 2 { 1 } else { page / 2 };
    match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => at.saturating_add(1),
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => at.saturating_add(page),
        Action::HalfUp => at.saturating_sub(half),
        Action::HalfDown => at.saturating_add(half),
        Action::Top => 0,
        Action::Bottom => usize::MAX,
        _ => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_is_seen() {
        let mut cursor = Cursor::default();
        cursor.move_by(Action::Bottom, 100, 10, false);
        assert_eq!((cursor.selected, cursor.offset), (99, 90));
        cursor.move_by(Action::PageUp, 100, 10, false);
        assert_eq!((cursor.selected, cursor.offset), (89, 89));
        cursor.move_by(Action::Top, 100, 10, false);
        assert_eq!((cursor.selected, cursor.offset), (0, 0));
        cursor.move_by(Action::Down, 0, 10, false);
        assert_eq!((cursor.selected, cursor.offset), (0, 0));
    }

    #[test]
    fn a_page_ends_at_its_last_line() {
        let mut cursor = Cursor::default();
        cursor.move_by(Action::Bottom, 25, 10, true);
        assert_eq!(cursor.offset, 15);
        cursor.move_by(Action::Up, 25, 10, true);
        assert_eq!(cursor.offset, 14);
        cursor.move_by(Action::Down, 5, 10, true);
        assert_eq!(cursor.offset, 0);
    }
}
