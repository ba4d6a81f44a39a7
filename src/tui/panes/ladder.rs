//! The ladder: who said what to whom, and when.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{put, put_chosen};
use crate::diagnosis::wording::Span as Words;
use crate::output::clock::Clock;
use crate::output::mask::Mask;
use crate::session::Session;
use crate::stream::Role;
use crate::time::Timestamp;
use crate::tui::format::{self, cut, left, right};
use crate::tui::ladder::{self, Arrow, Ladder, Step, What};
use crate::tui::layout::{split_bottom, split_top};
use crate::tui::state::{Cursor, State, TimeStyle};
use crate::tui::store::Row;

/// The column of times, and a space.
pub(super) const TIME: usize = 14;
/// Arrows that are shorter than this say nothing: then each line names both ends instead.
const SHORTEST: usize = 14;
/// Arrows that are longer than this make the eye walk.
const LONGEST: usize = 44;

/// ```text
///               client               proxy                    backend
///               10.0.0.31:41400      10.0.0.2:443|:50210      127.0.0.1:9000
///      0.0000   │── SYN ────────────▶│                        │
///     +0.0021   │── GET /ws/chat ───▶│── GET /ws/chat ───────▶│
///     +0.0044   │◀── 101 ────────────│◀── 101 ────────────────│
///               ·            60 s of silence                  ·
///    +60.0121   │◀── FIN ────────────│── FIN ────────────────▶│
/// #4 client > proxy: GET /ws/chat    #9 proxy > backend: GET /ws/chat
/// ```
pub(super) fn render(frame: &mut Frame<'_>, area: Rect, session: &Session, row: &Row, state: &State, cursor: Cursor) {
    let ladder = ladder::of(session, &row.messages);
    let rail = Rail::new(&ladder, usize::from(area.width));
    let (head, rest) = split_top(area, head_rows(area));
    if let Some(rail) = &rail {
        let words: Vec<&str> = ladder.stations.iter().map(|station| station.word).collect();
        let addresses: Vec<&str> = ladder.stations.iter().map(|station| station.address.as_str()).collect();
        put(frame, head, 0, &Line::styled(rail.heads(&words), state.theme.dim()));
        put(frame, head, 1, &Line::styled(rail.heads(&addresses), state.theme.head()));
    }
    let (body, bottom) = split_bottom(rest, foot_rows(rest));
    let mut times = Times::new(state.time, session.start);
    for (index, step) in ladder.steps.iter().enumerate() {
        let time = times.tell(step);
        let Some(at) = index.checked_sub(cursor.offset) else { continue };
        if at >= usize::from(body.height) {
            break;
        }
        let line = match &rail {
            Some(rail) => rail.line(&time, step, state),
            None => flat(&time, step, &ladder, state),
        };
        if index == cursor.selected {
            put_chosen(frame, body, at, &line, state);
        } else {
            put(frame, body, at, &line);
        }
    }
    if let Some(step) = ladder.steps.get(cursor.selected) {
        put(frame, bottom, 0, &whole(step, &ladder, state));
    }
}

/// How many steps there are.
pub(super) fn count(session: &Session, row: &Row) -> usize {
    ladder::of(session, &row.messages).steps.len()
}

/// How many steps fit.
pub(super) fn rows(area: Rect) -> usize {
    let (_, rest) = split_top(area, head_rows(area));
    usize::from(split_bottom(rest, foot_rows(rest)).0.height)
}

const fn head_rows(area: Rect) -> u16 {
    if area.height >= 6 { 2 } else { 0 }
}

const fn foot_rows(area: Rect) -> u16 {
    if area.height >= 4 { 1 } else { 0 }
}

/// The uprights of the ladder, where there is room for them.
struct Rail {
    /// Columns from one upright to the next.
    gap: usize,
    stations: usize,
}

impl Rail {
    fn new(ladder: &Ladder, width: usize) -> Option<Rail> {
        let gaps = ladder.stations.len() - 1;
        let gap = (width.saturating_sub(TIME + 18) / gaps.max(1)).min(LONGEST);
        (gap >= SHORTEST).then_some(Rail { gap, stations: ladder.stations.len() })
    }

    fn heads(&self, texts: &[&str]) -> String {
        let mut line = " ".repeat(TIME);
        for (index, text) in texts.iter().enumerate() {
            let room = if index + 1 == texts.len() { usize::MAX } else { self.gap - 1 };
            line.push_str(&cut(text, room));
            let filled = line.width() - TIME;
            line.push_str(&" ".repeat(((index + 1) * self.gap).saturating_sub(filled)));
        }
        line
    }

    fn line(&self, time: &str, step: &Step, state: &State) -> Line<'static> {
        let theme = state.theme;
        let mut spans = vec![Span::styled(left(time, TIME), theme.dim())];
        match &step.what {
            What::Arrows(arrows) => {
                for gap in 0..self.stations - 1 {
                    spans.push(Span::styled("│", theme.dim()));
                    match arrows.iter().find(|arrow| arrow.gap == gap) {
                        Some(arrow) => spans.push(Span::styled(self.arrow(arrow, state.mask), style(arrow, state))),
                        None => spans.push(Span::raw(" ".repeat(self.gap - 1))),
                    }
                }
                spans.push(Span::styled("│", theme.dim()));
                if let Some(elsewhere) = arrows.iter().find_map(|arrow| arrow.elsewhere.as_ref()) {
                    spans.push(Span::styled(format!(" {elsewhere}"), theme.dim()));
                }
            }
            What::Remark(arrow) => {
                spans.push(Span::styled(format!("  {}", label(arrow, state.mask)), theme.warning()));
            }
            What::Silence(_) | What::Forgotten(_) => {
                let width = self.gap * (self.stations - 1) - 1;
                let text = words(step);
                let before = width.saturating_sub(text.width()) / 2;
                spans.push(Span::styled(format!("·{}·", left(&(" ".repeat(before) + &text), width)), theme.dim()));
            }
        }
        Line::from(spans)
    }

    /// `── GET /ws ────▶`, one column shorter than the gap.
    fn arrow(&self, arrow: &Arrow, mask: Mask) -> String {
        let width = self.gap - 1;
        let label = cut(&label(arrow, mask), width - 6);
        let rest = "─".repeat(width - 5 - label.width());
        match arrow.by {
            Role::Client => format!("── {label} {rest}▶"),
            Role::Server => format!("◀── {label} {rest}"),
        }
    }
}

/// A line where there is no room for arrows.
fn flat(time: &str, step: &Step, ladder: &Ladder, state: &State) -> Line<'static> {
    let text = match &step.what {
        What::Arrows(arrows) => {
            arrows.iter().map(|arrow| between(arrow, ladder, state.mask)).collect::<Vec<_>>().join("  ")
        }
        What::Remark(arrow) => label(arrow, state.mask),
        What::Silence(_) | What::Forgotten(_) => words(step),
    };
    Line::from(vec![Span::styled(left(time, TIME), state.theme.dim()), Span::raw(text)])
}

/// The chosen step in full, with its packets.
fn whole(step: &Step, ladder: &Ladder, state: &State) -> Line<'static> {
    let mut line = Line::default();
    let arrows = match &step.what {
        What::Arrows(arrows) => &arrows[..],
        What::Remark(arrow) => std::slice::from_ref(arrow),
        What::Silence(_) | What::Forgotten(_) => return Line::styled(words(step), state.theme.dim()),
    };
    for arrow in arrows {
        line.spans.push(Span::styled(format!("{} ", arrow.moment.packet), state.theme.key()));
        line.spans.push(Span::raw(format!("{}   ", between(arrow, ladder, state.mask))));
    }
    line
}

/// `client > proxy: GET /ws`.
fn between(arrow: &Arrow, ladder: &Ladder, mask: Mask) -> String {
    let word = |index: usize| ladder.stations.get(index).map_or("?", |station| station.word);
    let (from, to) = match arrow.by {
        Role::Client => (arrow.gap, arrow.gap + 1),
        Role::Server => (arrow.gap + 1, arrow.gap),
    };
    format!("{} > {}: {}", word(from), word(to), label(arrow, mask))
}

fn label(arrow: &Arrow, mask: Mask) -> String {
    format::wire_bytes(mask, &arrow.label)
}

fn words(step: &Step) -> String {
    match &step.what {
        What::Silence(duration) => format!("{} of silence", Words(*duration)),
        What::Forgotten(count) => format!("{count} earlier messages are no longer kept"),
        What::Arrows(_) | What::Remark(_) => String::new(),
    }
}

fn style(arrow: &Arrow, state: &State) -> Style {
    let verb = arrow.label.split(|&byte| byte == b' ').next().unwrap_or_default();
    let is_failure = verb.len() == 3 && matches!(verb[0], b'4' | b'5') && verb.iter().all(u8::is_ascii_digit);
    match verb {
        b"RST" | b"RST:" => state.theme.bad(),
        _ if is_failure => state.theme.bad(),
        b"FIN" | b"Close" | b"close" => state.theme.warning(),
        _ if arrow.by == Role::Client => state.theme.client(),
        _ => state.theme.server(),
    }
}

/// Tells times, each in the light of the one before.
pub(super) struct Times {
    style: TimeStyle,
    start: Timestamp,
    before: Option<Timestamp>,
    clock: Clock,
}

impl Times {
    pub fn new(style: TimeStyle, start: Timestamp) -> Times {
        Times { style, start, before: None, clock: Clock::local() }
    }

    /// The time of a step; silence has none.
    fn tell(&mut self, step: &Step) -> String {
        match step.what {
            What::Silence(_) | What::Forgotten(_) => String::new(),
            _ => self.at(step.at),
        }
    }

    /// The time of something.
    pub fn at(&mut self, at: Timestamp) -> String {
        let text = match (self.style, self.before) {
            (TimeStyle::OfDay, _) => {
                let mut text = String::new();
                self.clock.push_time(&mut text, at);
                text
            }
            (TimeStyle::SinceBefore, Some(before)) => format!("+{}", format::seconds(at.since(before))),
            _ => format::seconds(at.since(self.start)),
        };
        self.before = Some(at);
        right(&text, TIME - 2)
    }
}
