//! Messages: both ways, each in a line; the chosen one in full below.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::ladder::{TIME, Times};
use super::{put, put_chosen};
use crate::engine::event::MessageKind;
use crate::session::Session;
use crate::stream::Role;
use crate::tui::feed::Heard;
use crate::tui::format::{self, left, right};
use crate::tui::layout::{split_bottom, split_top};
use crate::tui::state::{Detail, State};
use crate::tui::store::Row;

/// ```text
///    time       from         kind    bytes  packet   text
///      0.0102   client    >  text       27  #12      {"join":"lobby"}
///      0.9000   server    <  text       61  #15      {"joined":true,"members":14}
/// ─ #15  text, 61 bytes, 1 frame, compressed ─
/// {
///   "joined": true,
/// ```
pub(super) fn render(frame: &mut Frame<'_>, area: Rect, session: &Session, row: &Row, state: &State, detail: &Detail) {
    let (head, rest) = split_top(area, 1);
    let legs = session.legs.len() > 1;
    let title =
        format!("{}  {}  kind    bytes  packet    text", right("time", TIME - 2), left("from", from_width(legs)));
    put(frame, head, 0, &Line::styled(title, state.theme.head()));
    let (body, below) = split_bottom(rest, whole_rows(rest, detail));
    if row.messages.len() == 0 {
        put(frame, body, 1, &Line::raw("  No message and no control frame was seen."));
        return;
    }
    let cursor = detail.cursor();
    let mut times = Times::new(state.time, session.start);
    for (index, entry) in row.messages.iter().enumerate() {
        let time = times.at(entry.heard.moment.at);
        let Some(at) = index.checked_sub(cursor.offset) else { continue };
        if at >= usize::from(body.height) {
            break;
        }
        let leg = session.legs.iter().position(|leg| entry.is_on(leg));
        let line = line(&time, leg.filter(|_| legs), entry.by, &entry.heard, state, detail.hex);
        match index == cursor.selected {
            true => put_chosen(frame, body, at, &line, state),
            false => put(frame, body, at, &line),
        }
    }
    if let (true, Some(entry)) = (detail.whole, row.messages.at(cursor.selected)) {
        for (at, line) in whole(&entry.heard, state, detail.hex, below.width).iter().enumerate() {
            put(frame, below, at, line);
        }
    }
}

/// How many messages fit.
pub(super) fn rows(area: Rect, detail: &Detail) -> usize {
    let (_, rest) = split_top(area, 1);
    usize::from(split_bottom(rest, whole_rows(rest, detail)).0.height)
}

const fn whole_rows(area: Rect, detail: &Detail) -> u16 {
    if detail.whole { area.height / 2 } else { 0 }
}

const fn from_width(legs: bool) -> usize {
    if legs { 16 } else { 9 }
}

fn line(time: &str, leg: Option<usize>, by: Role, heard: &Heard, state: &State, hex: bool) -> Line<'static> {
    let theme = state.theme;
    let (sign, style) = match by {
        Role::Client => (">", theme.client()),
        Role::Server => ("<", theme.server()),
    };
    let from = match leg {
        Some(leg) => format!("{} leg {} {sign}", left(by.name(), 6), leg + 1),
        None => format!("{} {sign}", left(by.name(), 6)),
    };
    let holes = if heard.holes { " (bytes are missing)" } else { "" };
    Line::from(vec![
        Span::styled(time.to_owned(), theme.dim()),
        Span::styled(format!("  {}  ", left(&from, from_width(leg.is_some()))), style),
        Span::raw(left(heard.kind.name(), 6)),
        Span::raw(format!("{}  ", right(&format::compact(heard.bytes), 7))),
        Span::styled(left(&heard.moment.packet.to_string(), 10), theme.dim()),
        Span::raw(preview(heard, state, hex)),
        Span::styled(holes, theme.warning()),
    ])
}

/// The beginning of it in one line.
fn preview(heard: &Heard, state: &State, hex: bool) -> String {
    let bytes = &heard.preview[..];
    let text = match heard.kind {
        _ if hex => hexadecimal(bytes),
        MessageKind::Close => close(bytes, state),
        MessageKind::Binary => hexadecimal(bytes),
        MessageKind::Ping | MessageKind::Pong if str::from_utf8(bytes).is_err() => hexadecimal(bytes),
        _ => format::wire_bytes(state.mask, bytes),
    };
    if heard.truncated { text + " …" } else { text }
}

fn close(bytes: &[u8], state: &State) -> String {
    match bytes {
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            format!("{code} {}", format::wire_bytes(state.mask, reason)).trim_end().to_owned()
        }
        _ => "no code".to_owned(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

/// The chosen message: what it was, and all of it that is kept.
fn whole(heard: &Heard, state: &State, hex: bool, width: u16) -> Vec<Line<'static>> {
    let compressed = if heard.compressed { ", compressed" } else { "" };
    let frames = crate::diagnosis::wording::Count(u64::from(heard.fragments), "frame");
    let bytes = crate::diagnosis::wording::Count(heard.bytes, "byte");
    let title = format!("─ {}  {}, {bytes}, {frames}{compressed} ─", heard.moment.packet, heard.kind.name());
    let mut lines = vec![Line::styled(title, state.theme.bold())];
    let is_text = matches!(heard.kind, MessageKind::Text) && !hex;
    if is_text {
        let text = json(&heard.preview).unwrap_or_else(|| String::from_utf8_lossy(&heard.preview).into_owned());
        for line in text.lines() {
            let line = format::wire(state.mask, line);
            lines.extend(format::wrapped(&line, usize::from(width)).into_iter().map(Line::raw));
        }
    } else if heard.kind == MessageKind::Close && !hex {
        lines.push(Line::raw(close(&heard.preview, state)));
    } else {
        lines.extend(dump(&heard.preview).into_iter().map(Line::raw));
    }
    if heard.truncated {
        lines.push(Line::styled(format!("the first {} bytes of it are kept", heard.preview.len()), state.theme.dim()));
    }
    lines
}

/// JSON, a member a line, otherwise as it was written; `None` when it is something else.
fn json(text: &[u8]) -> Option<String> {
    let text = str::from_utf8(text).ok()?.trim();
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let (mut out, mut depth, mut in_string, mut escaped) = (String::new(), 0, false, false);
    for character in text.chars() {
        if in_string {
            out.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '{' | '[' => {
                depth += 1;
                out.push(character);
                line_feed(&mut out, depth);
            }
            '}' | ']' => {
                depth -= 1;
                line_feed(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                line_feed(&mut out, depth);
            }
            ':' => out.push_str(": "),
            character if character.is_ascii_whitespace() => {}
            character => {
                in_string = character == '"';
                out.push(character);
            }
        }
    }
    Some(out)
}

fn line_feed(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Offsets, bytes in hexadecimal, and what of them is text, as hexdump -C writes it.
fn dump(bytes: &[u8]) -> Vec<String> {
    let line = |(index, bytes): (usize, &[u8])| {
        let mut digits = String::new();
        for (at, byte) in bytes.iter().enumerate() {
            digits.push_str(&format!("{byte:02x}{}", if at == 7 { "  " } else { " " }));
        }
        let text: String =
            bytes.iter().map(|&byte| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' }).collect();
        format!("{:08x}  {digits:<50}|{text}|", index * 16)
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_hexdump_writes_them() {
        assert_eq!(
            dump(b"hello, \x00world!!x"),
            ["00000000  68 65 6c 6c 6f 2c 20 00  77 6f 72 6c 64 21 21 78  |hello, .world!!x|",]
        );
        assert_eq!(dump(b"a")[0], "00000000  61                                                |a|");
    }

    #[test]
    fn json_is_unfolded() {
        assert_eq!(
            json(br#"{"b":[1e2], "a":"{\",:"}"#).as_deref(),
            Some("{\n  \"b\": [\n    1e2\n  ],\n  \"a\": \"{\\\",:\"\n}")
        );
        assert_eq!(json(b"2"), None, "a heartbeat of engine.io is a number");
        assert_eq!(json(b"{\"a\":"), None);
    }
}
