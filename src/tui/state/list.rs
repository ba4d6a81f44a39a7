//! The list of sessions: in which order, which of them, which one is chosen.
//!
//! A row that changed is taken out of the order and put in again: a hundred thousand are not sorted for the sake of one.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::columns::Key;
use super::cursor::moved;
use super::{Column, Columns};
use crate::session::SessionId;
use crate::time::Timestamp;
use crate::tui::filter::{self, RowFilter};
use crate::tui::keys::Action;
use crate::tui::store::{Row, Store};

/// Silence that a person should look at: most proxies close after a minute of it.
pub(in crate::tui) const LONG_SILENCE: Duration = Duration::from_secs(45);

/// How often ages are compared, and silent sessions counted.
const SECOND: Duration = Duration::from_secs(1);

/// The list of sessions.
#[derive(Debug)]
pub(in crate::tui) struct List {
    /// The sessions that are shown, from the least on, each with what it is compared by.
    sorted: Vec<(Key, SessionId)>,
    /// The sessions that are shown, in the order in which they are.
    order: Vec<SessionId>,
    /// The time that ages are compared at, and that silent sessions were counted at.
    sorted_at: Timestamp,
    counted_at: Timestamp,
    /// The chosen one. It stays chosen while others come and go.
    selected: Option<SessionId>,
    /// The first one that is seen.
    pub offset: usize,
    pub sort: Column,
    pub descending: bool,
    pub columns: Columns,
    filter: Option<Filter>,
    /// Whether there are sessions of which the filter cannot tell, because only their line is kept.
    undecided: bool,
    pub search: String,
    unfolded: HashSet<SessionId>,
    /// Those to be saved.
    chosen: BTreeSet<SessionId>,
    pub follow: bool,
    pub paused: bool,
    /// Open sessions that have been silent for long.
    pub silent: usize,
    /// The version of the store that `order` was made of.
    version: Option<u64>,
    /// Lines that are seen.
    rows: usize,
}

#[derive(Debug)]
struct Filter {
    text: String,
    matches: Box<dyn RowFilter>,
}

impl Default for List {
    fn default() -> Self {
        List {
            sorted: Vec::new(),
            order: Vec::new(),
            sorted_at: Timestamp::ZERO,
            counted_at: Timestamp::ZERO,
            selected: None,
            offset: 0,
            sort: Column::Id,
            descending: false,
            columns: Columns::default(),
            filter: None,
            undecided: false,
            search: String::new(),
            unfolded: HashSet::new(),
            chosen: BTreeSet::new(),
            follow: false,
            paused: false,
            silent: 0,
            version: None,
            rows: 20,
        }
    }
}

impl List {
    /// How many are shown.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Those from the first that is seen on.
    pub fn visible(&self) -> &[SessionId] {
        &self.order[self.offset.min(self.order.len())..]
    }

    /// The chosen one.
    pub fn selected(&self) -> Option<SessionId> {
        self.selected
    }

    /// Whether the legs of a session are shown.
    pub fn is_unfolded(&self, id: SessionId) -> bool {
        self.unfolded.contains(&id)
    }

    /// Whether a session is to be saved.
    pub fn is_chosen(&self, id: SessionId) -> bool {
        self.chosen.contains(&id)
    }

    /// What only those match that are shown.
    pub fn filter_text(&self) -> &str {
        self.filter.as_ref().map_or("", |filter| &filter.text)
    }

    /// Whether there are sessions of which the filter cannot tell, because only their line is kept.
    pub fn misses_sessions(&self) -> bool {
        self.undecided
    }

    /// The sessions to be saved: the chosen ones, else the selected one.
    pub fn to_save(&self) -> Vec<SessionId> {
        if self.chosen.is_empty() { self.selected.into_iter().collect() } else { self.chosen.iter().copied().collect() }
    }

    /// Takes rows that are new, changed or gone into account. `rows` are seen.
    pub fn sync(&mut self, store: &Store, rows: usize) {
        self.rows = rows;
        self.count_silent(store);
        let held = self.paused && self.version.is_some();
        let older = self.sort.goes_with_time() && store.now.since(self.sorted_at) >= SECOND;
        if (self.version != Some(store.version) || older) && !held {
            let before = self.position();
            let changed = self.version.filter(|_| !older).and_then(|version| store.changed_since(version));
            match changed {
                Some(changed) if changed.len() <= self.sorted.len() / 2 + 64 => self.put_in_order(changed, store),
                _ => self.make_order(store),
            }
            self.version = Some(store.version);
            if self.selected.is_none_or(|id| store.row(id).is_none()) || self.position().is_none() {
                let nearest = before.unwrap_or(0).min(self.order.len().saturating_sub(1));
                self.selected = self.order.get(nearest).copied();
            }
            if self.follow {
                self.selected = self.order.iter().copied().max().or(self.selected);
            }
        }
        self.keep_visible(rows, store);
    }

    fn count_silent(&mut self, store: &Store) {
        if store.now.since(self.counted_at) >= SECOND {
            self.counted_at = store.now;
            let silent = |row: &&Row| row.is_open() && row.idle(store.now).is_some_and(|idle| idle > LONG_SILENCE);
            self.silent = store.rows().values().filter(silent).count();
        }
    }

    fn make_order(&mut self, store: &Store) {
        self.sorted_at = store.now;
        self.undecided = false;
        let mut sorted = std::mem::take(&mut self.sorted);
        sorted.clear();
        for row in store.rows().values() {
            if self.is_shown(row) {
                sorted.push((self.sort.key(row, self.sorted_at), row.id));
            }
        }
        sorted.sort_unstable();
        self.sorted = sorted;
        self.show_order();
    }

    /// Moves the rows that changed to where they belong now.
    fn put_in_order(&mut self, changed: &[SessionId], store: &Store) {
        let mut seen: HashSet<SessionId, RandomState> = HashSet::default();
        let mut moved: Vec<(Key, SessionId)> = Vec::new();
        for &id in changed {
            if !seen.insert(id) {
                continue;
            }
            let row = store.row(id).filter(|row| self.is_shown(row));
            let entry = row.map(|row| (self.sort.key(row, self.sorted_at), id));
            match entry {
                // It is where it belongs.
                Some(entry) if self.sorted.binary_search(&entry).is_ok() => {
                    seen.remove(&id);
                }
                Some(entry) => moved.push(entry),
                None => {}
            }
        }
        if seen.is_empty() {
            return;
        }
        self.sorted.retain(|(_, id)| !seen.contains(id));
        moved.sort_unstable();
        self.sorted.extend(moved);
        self.sorted.sort(); // two runs, each in order: they are merged
        self.show_order();
    }

    fn is_shown(&mut self, row: &Row) -> bool {
        let Some(filter) = &self.filter else { return true };
        let matches = filter.matches.matches(row);
        self.undecided |= matches.is_none();
        matches == Some(true)
    }

    fn show_order(&mut self) {
        self.order.clear();
        self.order.extend(self.sorted.iter().map(|(_, id)| *id));
        if self.descending {
            self.order.reverse();
        }
    }

    fn position(&self) -> Option<usize> {
        let selected = self.selected?;
        self.order.iter().position(|id| *id == selected)
    }

    /// Lines that a session takes.
    fn height(&self, id: SessionId, store: &Store) -> usize {
        let legs = || store.row(id).and_then(Row::session).map_or(0, |session| session.legs.len());
        1 + if self.is_unfolded(id) { legs() } else { 0 }
    }

    fn keep_visible(&mut self, rows: usize, store: &Store) {
        self.offset = self.offset.min(self.order.len().saturating_sub(1));
        let Some(position) = self.position() else { return };
        self.offset = self.offset.min(position);
        // From the chosen one upwards, as many as fit.
        let (mut first, mut used) = (position, self.height(self.order[position], store));
        while first > self.offset && used + self.height(self.order[first - 1], store) <= rows {
            first -= 1;
            used += self.height(self.order[first], store);
        }
        self.offset = first;
        // No room is wasted below the end.
        while self.offset > 0 && self.order.len() - self.offset < rows && self.fits_from(self.offset - 1, rows, store) {
            self.offset -= 1;
        }
    }

    fn fits_from(&self, first: usize, rows: usize, store: &Store) -> bool {
        self.order[first..].iter().map(|id| self.height(*id, store)).sum::<usize>() <= rows
    }

    pub(super) fn move_by(&mut self, action: Action, rows: usize, store: &Store) {
        self.follow &= matches!(action, Action::Bottom);
        let last = self.order.len().saturating_sub(1);
        let to = moved(action, self.position().unwrap_or(0), rows.max(1)).min(last);
        self.selected = self.order.get(to).copied();
        self.keep_visible(rows, store);
    }

    /// Selects the session that is seen on this line. True when it was selected already.
    pub(super) fn select_line(&mut self, line: usize, store: &Store) -> bool {
        let mut below = 0;
        let hit = self.visible().iter().copied().find(|id| {
            below += self.height(*id, store);
            line < below
        });
        let again = hit.is_some() && self.selected == hit;
        if hit.is_some() {
            (self.selected, self.follow) = (hit, false);
        }
        again
    }

    /// Shows or hides the legs of the chosen session.
    pub(super) fn unfold(&mut self, unfold: bool) {
        let Some(id) = self.selected else { return };
        if unfold {
            self.unfolded.insert(id);
        } else {
            self.unfolded.remove(&id);
        }
    }

    /// Chooses the selected session to be saved, or no longer, and goes on to the next.
    pub(super) fn choose(&mut self, store: &Store) {
        let Some(id) = self.selected else { return };
        if !self.chosen.remove(&id) {
            self.chosen.insert(id);
        }
        self.move_by(Action::Down, self.rows, store);
    }

    pub(super) fn toggle_follow(&mut self, store: &Store) {
        self.follow = !self.follow;
        self.changed(store);
    }

    /// Sorts by a column; by the same one again the other way.
    pub(super) fn sort_by(&mut self, column: Column, store: &Store) {
        self.descending = if self.sort == column { !self.descending } else { column.greatest_first() };
        self.sort = column;
        self.changed(store);
    }

    /// Sorts by the next column that is shown, or the one before.
    pub(super) fn sort_by_neighbour(&mut self, next: bool, store: &Store) {
        let mut columns: Vec<Column> = self.columns.iter().collect();
        if !columns.contains(&Column::Id) {
            columns.insert(0, Column::Id);
        }
        let at = columns.iter().position(|column| *column == self.sort).unwrap_or(0);
        let step = if next { 1 } else { columns.len() - 1 };
        let column = columns[(at + step) % columns.len()];
        self.sort = column;
        self.descending = column.greatest_first();
        self.changed(store);
    }

    pub(super) fn reverse(&mut self, store: &Store) {
        self.descending = !self.descending;
        self.changed(store);
    }

    /// Shows only what matches; everything when there is nothing to match. What is wrong with it is said, and the filter
    /// stays as it was.
    pub(in crate::tui) fn set_filter(&mut self, text: &str, store: &Store) -> Result<(), String> {
        self.filter = match text.trim() {
            "" => None,
            text => Some(Filter { text: text.to_owned(), matches: filter::parse(text)? }),
        };
        self.changed(store);
        Ok(())
    }

    /// Shows only these sessions; `text` says which they are.
    pub(super) fn show_only(&mut self, text: String, sessions: Vec<SessionId>, store: &Store) {
        self.filter = Some(Filter { text, matches: Box::new(Among(sessions.into_iter().collect())) });
        self.selected = None;
        self.changed(store);
    }

    pub(super) fn end_search(&mut self, store: &Store) {
        self.search.clear();
        self.filter = None;
        self.changed(store);
    }

    /// Selects the next session, or the one before, that says what is searched. False when there is none.
    pub(super) fn search(&mut self, forward: bool, store: &Store) -> bool {
        let wanted = self.search.to_lowercase();
        let count = self.order.len();
        let at = self.position().unwrap_or(0);
        let says =
            |index: &usize| store.row(self.order[*index]).is_some_and(|row| filter::words(row).contains(&wanted));
        let found = (1..=count)
            .map(|step| if forward { (at + step) % count } else { (at + count - step % count) % count })
            .find(says);
        if let Some(index) = found {
            self.follow = false;
            self.selected = Some(self.order[index]);
        }
        found.is_some()
    }

    /// The order must be made anew, also while the screen is held.
    fn changed(&mut self, store: &Store) {
        self.version = None;
        self.sync(store, self.rows);
    }
}

/// Sessions by their number.
#[derive(Debug)]
struct Among(BTreeSet<SessionId>);

impl RowFilter for Among {
    fn matches(&self, row: &Row) -> Option<bool> {
        Some(self.0.contains(&row.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::samples;
    use crate::tui::state::COLUMNS;

    #[test]
    fn rows_that_change_are_moved_as_if_all_were_sorted() {
        for column in COLUMNS {
            let (mut store, mut list) = (samples::many(500), List::default());
            list.sort_by(column, &store);
            samples::more(&mut store, 100..130); // each says one word more
            samples::more(&mut store, 501..511);
            list.sync(&store, 20);
            let mut anew = List::default();
            (anew.sort, anew.descending) = (list.sort, list.descending);
            anew.sync(&store, 20);
            assert_eq!(list.order.len(), 510, "{column:?}");
            assert_eq!(list.order, anew.order, "{column:?}");
        }
    }

    #[test]
    fn a_filter_that_lines_cannot_answer_says_so() {
        let store = samples::many(30_050); // of the oldest fifty only the line is kept
        let mut list = List::default();
        for (filter, shown, misses) in
            [("client ~ 10.0.1.7:", 1, false), ("messages == 1", 30_000, true), ("messages == 1 and id < 51", 0, true)]
        {
            list.set_filter(filter, &store).unwrap();
            assert_eq!((list.len(), list.misses_sessions()), (shown, misses), "{filter}");
        }
        list.set_filter("", &store).unwrap();
        assert_eq!((list.len(), list.misses_sessions()), (30_050, false));
    }
}
