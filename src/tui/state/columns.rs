//! The columns of the list: which there are, which are shown, how rows compare by them.

use std::sync::Arc;

use crate::time::Timestamp;
use crate::tui::store::Row;
use crate::wire::Endpoint;

/// A column.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::tui) enum Column {
    Id,
    State,
    Client,
    Target,
    Server,
    Age,
    Idle,
    FromClient,
    FromServer,
    Ping,
    Bytes,
    Why,
}

/// All, in the order in which they stand.
pub(in crate::tui) const COLUMNS: [Column; 12] = [
    Column::Id,
    Column::State,
    Column::Client,
    Column::Target,
    Column::Server,
    Column::Age,
    Column::Idle,
    Column::FromClient,
    Column::FromServer,
    Column::Ping,
    Column::Bytes,
    Column::Why,
];

impl Column {
    /// Its head.
    pub const fn name(self) -> &'static str {
        match self {
            Column::Id => "id",
            Column::State => "state",
            Column::Client => "client",
            Column::Target => "target",
            Column::Server => "server",
            Column::Age => "age",
            Column::Idle => "idle",
            Column::FromClient => "sent",
            Column::FromServer => "received",
            Column::Ping => "ping",
            Column::Bytes => "bytes",
            Column::Why => "why",
        }
    }

    /// What it says, for those who choose.
    pub const fn says(self) -> &'static str {
        match self {
            Column::Id => "the session's number",
            Column::State => "open, closed, aborted, rejected ...",
            Column::Client => "the client's address and port",
            Column::Target => "host and path of the request",
            Column::Server => "proxy > backend, or the server",
            Column::Age => "how long it has lasted",
            Column::Idle => "how long nothing was said",
            Column::FromClient => "messages from the client, and their bytes over its life",
            Column::FromServer => "messages from the server, and their bytes over its life",
            Column::Ping => "from a ping to its pong",
            Column::Bytes => "application bytes both ways",
            Column::Why => "the cause, or how it ended",
        }
    }

    /// Columns of the screen: at least, and at most with room to spare.
    pub const fn width(self) -> (usize, usize) {
        match self {
            Column::Id => (5, 7),
            Column::State => (11, 11),
            Column::Client => (15, 21),
            Column::Target => (14, 36),
            Column::Server => (12, 24),
            Column::Age | Column::Idle => (5, 5),
            Column::FromClient | Column::FromServer => (8, 9),
            Column::Ping => (6, 6),
            Column::Bytes => (6, 6),
            Column::Why => (28, 60),
        }
    }

    /// What gives way first when a screen is narrow: the greatest.
    const fn dispensable(self) -> u8 {
        match self {
            Column::State => 0,
            Column::Target => 1,
            Column::Why => 2,
            Column::Client => 3,
            Column::Server => 4,
            Column::Age => 5,
            Column::Idle => 6,
            Column::FromClient => 7,
            Column::FromServer => 8,
            Column::Ping => 9,
            Column::Id => 10,
            Column::Bytes => 11,
        }
    }

    /// What rows are compared by.
    pub(super) fn key(self, row: &Row, now: Timestamp) -> Key {
        let nanos = |duration: std::time::Duration| Key::Number(duration.as_nanos() as u64);
        match self {
            Column::Id => Key::Number(row.id.0),
            Column::State => Key::Word(row.condition.word()),
            Column::Client => Key::Endpoint(row.client),
            Column::Target => Key::Text(Arc::clone(&row.target)),
            Column::Server => Key::Endpoint(row.backend),
            Column::Age => nanos(row.age(now)),
            Column::Idle => row.idle(now).map_or(Key::Number(0), nanos),
            Column::FromClient => Key::Number(row.talk.client.messages),
            Column::FromServer => Key::Number(row.talk.server.messages),
            Column::Ping => row.rtt.map_or(Key::Number(0), nanos),
            Column::Bytes => Key::Number(row.talk.client.bytes + row.talk.server.bytes),
            Column::Why => Key::Text(Arc::clone(&row.why)),
        }
    }

    /// Whether rows change by it while time goes by.
    pub(super) const fn goes_with_time(self) -> bool {
        matches!(self, Column::Age | Column::Idle)
    }

    /// Whether the first sorting by it shows the greatest first: what is large is what is looked for.
    pub(super) const fn greatest_first(self) -> bool {
        !matches!(self, Column::Id | Column::State | Column::Client | Column::Target | Column::Server | Column::Why)
    }
}

/// What rows are compared by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Key {
    Number(u64),
    Endpoint(Endpoint),
    Word(&'static str),
    Text(Arc<str>),
}

/// The columns that are shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::tui) struct Columns {
    shown: Vec<Column>,
}

impl Default for Columns {
    fn default() -> Self {
        let hidden = [Column::Id, Column::Bytes];
        Columns { shown: COLUMNS.into_iter().filter(|column| !hidden.contains(column)).collect() }
    }
}

impl Columns {
    /// From the names that were kept; the usual ones when none of them is known.
    pub fn from_text(text: &str) -> Columns {
        let named = |column: &Column| text.split_whitespace().any(|name| name == column.name());
        let shown: Vec<Column> = COLUMNS.into_iter().filter(named).collect();
        if shown.is_empty() { Columns::default() } else { Columns { shown } }
    }

    /// Names to be kept.
    pub fn to_text(&self) -> String {
        let names: Vec<&str> = self.shown.iter().map(|column| column.name()).collect();
        names.join(" ")
    }

    /// Whether a column is shown.
    pub fn has(&self, column: Column) -> bool {
        self.shown.contains(&column)
    }

    /// Those that are shown, in order.
    pub fn iter(&self) -> impl Iterator<Item = Column> + '_ {
        self.shown.iter().copied()
    }

    /// Shows a column, or no longer. One always stays.
    pub(super) fn toggle(&mut self, column: Column) {
        match self.shown.iter().position(|shown| *shown == column) {
            Some(index) if self.shown.len() > 1 => {
                self.shown.remove(index);
            }
            Some(_) => {}
            None => {
                self.shown.push(column);
                self.shown.sort_unstable();
            }
        }
    }

    /// The columns that find room in `width`, each with its own: as many as possible, with a space between two.
    pub fn laid_out(&self, width: usize) -> Vec<(Column, usize)> {
        let mut shown = self.shown.clone();
        let least = |columns: &[Column]| columns.iter().map(|column| column.width().0 + 1).sum::<usize>();
        while shown.len() > 1 && least(&shown) > width + 1 {
            let last = (0..shown.len()).max_by_key(|&index| shown[index].dispensable()).unwrap_or(0);
            shown.remove(last);
        }
        let mut rest = (width + 1).saturating_sub(least(&shown));
        let mut laid_out: Vec<(Column, usize)> = shown.iter().map(|column| (*column, column.width().0)).collect();
        let mut order: Vec<usize> = (0..laid_out.len()).collect();
        order.sort_by_key(|&index| laid_out[index].0.dispensable());
        for index in order {
            let (column, columns) = &mut laid_out[index];
            let more = (column.width().1 - *columns).min(rest);
            *columns += more;
            rest -= more;
        }
        if let [(_, only)] = &mut laid_out[..] {
            *only = (*only).min(width);
        }
        laid_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_any_width() {
        let columns = Columns::default();
        for width in 0..250 {
            let laid_out = columns.laid_out(width);
            let used = laid_out.iter().map(|(_, columns)| columns + 1).sum::<usize>() - 1;
            assert!(used <= width.max(1) || laid_out.len() == 1, "{used} of {width}");
        }
        assert!(columns.laid_out(30).iter().any(|(column, _)| *column == Column::Target));
        assert_eq!(columns.laid_out(200).len(), 10);
    }

    #[test]
    fn columns_are_kept_by_name() {
        let mut columns = Columns::default();
        columns.toggle(Column::Ping);
        columns.toggle(Column::Id);
        assert_eq!(Columns::from_text(&columns.to_text()), columns);
        assert_eq!(Columns::from_text("no such names"), Columns::default());
    }
}
