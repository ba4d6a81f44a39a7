//! The keys, from their table.

use ratatui::text::Line;

use super::page::Page;
use crate::tui::keys::{self, View};
use crate::tui::state::State;

/// ```text
/// Keys
///   Enter       open the session
///   j ↓         down
/// ```
pub(super) fn lines(view: View, state: &State, width: u16) -> Vec<Line<'static>> {
    let mut page = Page::new(state.theme, width);
    page.heading("Keys");
    for key in keys::of(view) {
        page.pair(&format!("  {}", key.shown), 14, key.says);
    }
    page.heading("The list");
    page.text(2, "state: opening, open, answered (judged soon), ending; then how the session ended.");
    page.text(2, "sent, received: messages, and a graph of their bytes over the session's life.");
    page.text(
        2,
        "filter: words that a line contains, or a query as -Y takes it: cause == \"idle-timeout\" and host ~ chat; \
         wsflow explain fields lists what can be asked.",
    );
    page.lines
}
