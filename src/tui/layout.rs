//! Where things are: a title, what is looked at, the keys.
//!
//! ```text
//! wsflow  broken.pcap        title
//! ───────────────────        rule, where there is room
//! ...                        body
//! ───────────────────        rule
//! Enter open  q quit         footer
//! ```

use ratatui::layout::Rect;

/// A screen divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Areas {
    pub title: Rect,
    pub upper_rule: Rect,
    pub body: Rect,
    pub lower_rule: Rect,
    pub footer: Rect,
}

/// Heights below this have no room for rules.
const ROOMY: u16 = 10;

/// Divides a screen of any size. Areas that find no room are empty.
pub(super) fn areas(screen: Rect) -> Areas {
    let rule = u16::from(screen.height >= ROOMY);
    let title = u16::from(screen.height >= 3);
    let footer = u16::from(screen.height >= 2);
    let body = screen.height.saturating_sub(title + 2 * rule + footer);
    let mut y = screen.y;
    let mut next = |height: u16| {
        let area = Rect { y, height, ..screen };
        y += height;
        area
    };
    Areas { title: next(title), upper_rule: next(rule), body: next(body), lower_rule: next(rule), footer: next(footer) }
}

/// The first `rows` lines of an area, and the rest.
pub(super) fn split_top(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    (Rect { height: rows, ..area }, Rect { y: area.y + rows, height: area.height - rows, ..area })
}

/// All but the last `rows` lines of an area, and those.
pub(super) fn split_bottom(area: Rect, rows: u16) -> (Rect, Rect) {
    split_top(area, area.height.saturating_sub(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_divided_without_rest() {
        for height in 0..40 {
            let areas = areas(Rect { x: 0, y: 0, width: 80, height });
            let parts = [areas.title, areas.upper_rule, areas.body, areas.lower_rule, areas.footer];
            assert_eq!(parts.iter().map(|part| part.height).sum::<u16>(), height);
            assert!(areas.footer.bottom() <= height);
        }
    }
}
