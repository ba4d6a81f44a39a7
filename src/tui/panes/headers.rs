//! Heads side by side: what each proxy made of the request, and of the answer.

use std::collections::HashSet;

use ratatui::text::{Line, Span};

use super::page::Page;
use crate::http::head::Fields;
use crate::output::comparison::{self, Change};
use crate::output::mask::Mask;
use crate::output::phrase;
use crate::packet::Moment;
use crate::session::leg::{Request, Response};
use crate::session::{Proxy, Session};
use crate::tui::format::{left, wire, wrapped};
use crate::tui::state::State;

/// ```text
///   client sent (#4)                                 backend got (#9)
///   GET /ws HTTP/1.1                               ≠ GET /ws HTTP/1.0
///   Host: app.example                              ≠ Host: 127.0.0.1:9000
///   Upgrade: websocket                             -
///   Sec-WebSocket-Key: efFSUsyKKb34Vs3p7/BpLw==    =
///                                                  + X-Forwarded-For: 10.0.0.9
///
///   client got (#14)                                 backend answered (#12)
/// ```
pub(super) fn lines(session: &Session, state: &State, width: u16) -> Vec<Line<'static>> {
    let mut page = Page::new(state.theme, width);
    let proxies: Vec<Proxy<'_>> = session.proxies().collect();
    for proxy in &proxies {
        let last = proxy.back_index + 1 == session.legs.len();
        let first = proxy.front_index == 0;
        let sender = if first { "client sent" } else { "proxy got" };
        let receiver = if last { "backend got" } else { "next hop got" };
        requests(&mut page, proxy, (sender, receiver), state, usize::from(width));
        let answered = if first { "client got" } else { "proxy answered" };
        let answerer = if last { "backend answered" } else { "next hop answered" };
        responses(&mut page, proxy, (answered, answerer), state, usize::from(width));
    }
    if proxies.is_empty() {
        let leg = session.first_leg();
        alone(&mut page, leg.request.as_deref(), leg.response.as_deref(), state);
    }
    if page.lines.is_empty() {
        page.text(2, "No request and no answer was seen.");
    }
    page.lines
}

fn requests(page: &mut Page, proxy: &Proxy<'_>, who: (&str, &str), state: &State, width: usize) {
    match (&proxy.front.request, &proxy.back.request) {
        (Some(front), Some(back)) => {
            heads(page, who, (front.moment, back.moment), state, width);
            for row in comparison::compare(front, back) {
                let change = row.change();
                let text = |value: &Option<String>| value.as_ref().map(|value| field(row.name, value, state.mask));
                side_by_side(page, text(&row.front), text(&row.back), change, state, width);
            }
            cut_note(page, front.cut || back.cut);
        }
        (Some(front), None) => {
            page.heading(&format!("  {} ({})", who.0, front.moment.packet));
            request(page, front, state);
            page.text(2, &format!("{}: no request was seen", who.1));
        }
        (None, Some(back)) => {
            page.heading(&format!("  {} ({})", who.1, back.moment.packet));
            request(page, back, state);
        }
        (None, None) => {}
    }
}

fn responses(page: &mut Page, proxy: &Proxy<'_>, who: (&str, &str), state: &State, width: usize) {
    match (&proxy.front.response, &proxy.back.response) {
        (Some(front), Some(back)) => {
            heads(page, who, (front.moment, back.moment), state, width);
            let (line, other) = (status_line(front), status_line(back));
            let change = change_of(Some(&line), Some(&other));
            let safe = |text: &str| Some(wire(state.mask, text));
            side_by_side(page, safe(&line), safe(&other), change, state, width);
            fields(page, &front.head.fields, &back.head.fields, state, width);
            body(page, front, state);
        }
        (Some(only), None) => {
            page.heading(&format!("  {} ({})", who.0, only.moment.packet));
            response(page, only, state);
        }
        (None, Some(only)) => {
            page.heading(&format!("  {} ({}), {}: no answer was seen", who.1, only.moment.packet, who.0));
            response(page, only, state);
        }
        (None, None) if proxy.front.request.is_some() || proxy.back.request.is_some() => {
            page.blank();
            page.text(2, "No answer was seen.");
        }
        (None, None) => {}
    }
}

/// The fields of two heads: first those of the left one in their order, then what only the right one has.
fn fields(page: &mut Page, front: &Fields, back: &Fields, state: &State, width: usize) {
    let mut seen = HashSet::new();
    for name in front.iter().chain(back.iter()).map(|field| field.name) {
        if seen.insert(name.to_ascii_lowercase()) {
            let values = |fields: &Fields| {
                let values: Vec<&str> = fields.all(name).collect();
                (!values.is_empty()).then(|| values.join(", "))
            };
            let (front, back) = (values(front), values(back));
            let change = change_of(front.as_ref(), back.as_ref());
            let text = |value: Option<String>| value.map(|value| field(name, &value, state.mask));
            side_by_side(page, text(front), text(back), change, state, width);
        }
    }
}

/// What a proxy did, seen from the left: the answer goes the other way, so that what only the left has was put in.
fn change_of(front: Option<&String>, back: Option<&String>) -> Change {
    match (front, back) {
        (Some(front), Some(back)) if front == back => Change::Same,
        (Some(_), Some(_)) => Change::Changed,
        (None, _) => Change::Dropped,
        (_, None) => Change::Added,
    }
}

fn alone(page: &mut Page, asked: Option<&Request>, answered: Option<&Response>, state: &State) {
    if let Some(asked) = asked {
        page.heading(&format!("  client sent ({})", asked.moment.packet));
        request(page, asked, state);
        cut_note(page, asked.cut);
    }
    match answered {
        Some(answered) => {
            page.heading(&format!("  server answered ({})", answered.moment.packet));
            response(page, answered, state);
        }
        None if asked.is_some() => {
            page.blank();
            page.text(2, "No answer was seen.");
        }
        None => {}
    }
}

fn request(page: &mut Page, request: &Request, state: &State) {
    page.text(2, &wire(state.mask, &comparison::request_line(request)));
    for one in request.head.fields.iter() {
        page.text(2, &field(one.name, one.value, state.mask));
    }
}

fn response(page: &mut Page, response: &Response, state: &State) {
    page.text(2, &wire(state.mask, &status_line(response)));
    for one in response.head.fields.iter() {
        page.text(2, &field(one.name, one.value, state.mask));
    }
    body(page, response, state);
}

fn body(page: &mut Page, response: &Response, state: &State) {
    if !response.body.is_empty() {
        page.blank();
        for line in response.body.lines().take(20) {
            page.text(4, &wire(state.mask, line));
        }
    }
}

fn status_line(response: &Response) -> String {
    let head = &response.head;
    format!("{} {} {}", phrase::version(head.version), head.status, head.reason()).trim_end().to_owned()
}

/// A field line, masked and safe; the request line has no name.
fn field(name: &str, value: &str, mask: Mask) -> String {
    if name.is_empty() {
        return wire(mask, value);
    }
    format!("{}: {}", wire(Mask::Nothing, name), wire(Mask::Nothing, &mask.field(name, value)))
}

fn heads(page: &mut Page, (front, back): (&str, &str), (sent, got): (Moment, Moment), state: &State, width: usize) {
    let half = half(width);
    let front = left(&format!("  {front} ({})", sent.packet), half + 2);
    page.blank();
    page.line(Line::styled(format!("{front}   {back} ({})", got.packet), state.theme.bold()));
}

/// Half of the width, less what the signs take.
const fn half(width: usize) -> usize {
    width.saturating_sub(6) / 2
}

fn side_by_side(
    page: &mut Page,
    front: Option<String>,
    back: Option<String>,
    change: Change,
    state: &State,
    width: usize,
) {
    let half = half(width).max(8);
    let style = match change {
        Change::Same | Change::NotSeen => state.theme.dim(),
        Change::Changed => state.theme.warning(),
        Change::Dropped => state.theme.bad(),
        Change::Added => state.theme.good(),
    };
    let lines = |text: Option<String>| text.map(|text| wrapped(&text, half)).unwrap_or_default();
    let (front, back) = (lines(front), lines(back));
    for index in 0..front.len().max(back.len()).max(1) {
        let part = |lines: &[String]| lines.get(index).cloned().unwrap_or_default();
        let sign = if index == 0 { change.sign() } else { " " };
        let mut right = part(&back);
        if index == 0 && back.is_empty() && change == Change::Dropped {
            right = "not forwarded".to_owned();
        }
        let plain = if change == Change::Same { style } else { ratatui::style::Style::new() };
        page.line(Line::from(vec![
            Span::styled(format!("  {}", left(&part(&front), half)), plain),
            Span::styled(format!(" {sign} "), style),
            Span::styled(right, style),
        ]));
    }
}

fn cut_note(page: &mut Page, cut: bool) {
    if cut {
        page.text(2, "The capture lacks a part of this: what is not here may still have been sent.");
    }
}
