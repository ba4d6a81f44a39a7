//! The capture: what comes in, what is lost, what is left aside and why.

use ratatui::text::{Line, Span};

use super::page::Page;
use crate::limits::Limits;
use crate::output::clock;
use crate::output::pcapng::held::HeldCounts;
use crate::output::phrase;
use crate::tui::format::wire;
use crate::tui::state::State;
use crate::tui::store::{Progress, Store};

const INDENT: usize = 30;

/// ```text
/// Capture
///   from                        broken.pcap
///   packets                     81234, 12.4 MB
///   lost                        none by the kernel, none by the interface
/// Left aside
///   not TCP                     912 packets
/// Bounds reached
///   sessions kept               3 times
/// Forgotten to make room for newer ones
///   neighbours of sessions      83616
/// Held to be saved
///   packets                     81234 in 12.4 MB of memory
///   no longer held              912 packets
/// ```
pub(super) fn lines(store: &Store, state: &State, width: u16) -> Vec<Line<'static>> {
    let mut page = Page::new(state.theme, width);
    page.heading("Capture");
    origin(&mut page, store, state);
    notices(&mut page, store, state);
    losses(&mut page, store, state);
    outcomes(&mut page, store);
    left_aside(&mut page, store);
    bounds(&mut page, store);
    forgotten(&mut page, store);
    held(&mut page, store);
    page.lines
}

fn origin(page: &mut Page, store: &Store, state: &State) {
    let summary = &store.figures.summary;
    page.pair("  from", INDENT, &wire(state.mask, &state.source));
    let progress = match &store.progress {
        Progress::Running if state.live => "capturing".to_owned(),
        Progress::Running => "being read".to_owned(),
        Progress::Done => "read to the end".to_owned(),
        Progress::Failed(trouble) => wire(state.mask, trouble),
    };
    page.pair("  state", INDENT, &progress);
    page.pair("  packets", INDENT, &format!("{}, {}", summary.packets, phrase::bytes(summary.bytes)));
    if let (Some(rate), true) = (store.rate, state.live) {
        page.pair("  packets a second", INDENT, &format!("{rate:.0}"));
    }
    if let (Some(first), Some(last)) = (summary.first, summary.last) {
        page.pair("  first", INDENT, &clock::rfc3339(first));
        page.pair("  last", INDENT, &clock::rfc3339(last));
        page.pair("  time", INDENT, &phrase::duration(last.since(first)));
    }
    page.pair("  connections", INDENT, &summary.connections.to_string());
    for interface in &store.figures.interfaces {
        let name = format!("  interface {}", wire(state.mask, &interface.name));
        page.pair(&name, INDENT, &format!("{} dropped", phrase::count(interface.dropped, "packet")));
    }
}

fn notices(page: &mut Page, store: &Store, state: &State) {
    if !store.notices.is_empty() {
        page.heading("What happened");
    }
    for (at, text) in &store.notices {
        page.pair(&format!("  {}", clock::rfc3339(*at)), INDENT + 6, &wire(state.mask, text));
    }
}

fn losses(page: &mut Page, store: &Store, state: &State) {
    let loss = &store.figures.summary.loss;
    page.heading("Lost");
    let lost = |count: u64| if count == 0 { "none".to_owned() } else { phrase::count(count, "packet") };
    let style = |count: u64| if count > 0 { state.theme.bad() } else { ratatui::style::Style::new() };
    page.spans("  by the kernel", INDENT, vec![Span::styled(lost(loss.kernel), style(loss.kernel))]);
    page.spans("  by the interface", INDENT, vec![Span::styled(lost(loss.interface), style(loss.interface))]);
    let gaps = if loss.gap_bytes == 0 { "none".to_owned() } else { phrase::bytes(loss.gap_bytes) };
    page.spans("  bytes that streams lack", INDENT, vec![Span::styled(gaps, style(loss.gap_bytes))]);
    if store.messages_dropped > 0 {
        let text = format!("{} came faster than they could be shown", store.messages_dropped);
        page.pair("  messages not shown", INDENT, &text);
    }
    if store.forgotten() > 0 {
        page.pair("  details no longer kept", INDENT, &phrase::count(store.forgotten() as u64, "session"));
    }
    if store.rows_dropped > 0 {
        page.pair("  sessions no longer listed", INDENT, &store.rows_dropped.to_string());
    }
}

fn outcomes(page: &mut Page, store: &Store) {
    let sessions: Vec<_> = store.figures.summary.sessions.iter().filter(|(_, count)| *count > 0).collect();
    if !sessions.is_empty() {
        page.heading("Sessions that are over");
        for (outcome, count) in sessions {
            page.pair(&format!("  {outcome}"), INDENT, &count.to_string());
        }
    }
}

fn left_aside(page: &mut Page, store: &Store) {
    let ignored = &store.figures.summary.ignored;
    let reasons = [
        ("connections without a WebSocket", ignored.not_websocket, "connection"),
        ("not IP", ignored.not_ip, "packet"),
        ("not TCP", ignored.not_tcp, "packet"),
        ("cut by the snap length", ignored.cut, "packet"),
        ("malformed", ignored.malformed, "packet"),
        ("of an unknown link type", ignored.unknown_link, "packet"),
        ("fragments without the rest", ignored.fragments, "packet"),
        ("captured twice", ignored.duplicates, "packet"),
        ("left out by the filter", ignored.filtered, "packet"),
    ];
    if reasons.iter().any(|(_, count, _)| *count > 0) {
        page.heading("Left aside");
    }
    for (reason, count, noun) in reasons.into_iter().filter(|(_, count, _)| *count > 0) {
        page.pair(&format!("  {reason}"), INDENT + 6, &phrase::count(count, noun));
    }
}

fn bounds(page: &mut Page, store: &Store) {
    let limits = &store.figures.summary.limits;
    if !limits.is_empty() {
        page.heading("Bounds reached");
        for (bound, count) in limits {
            page.pair(&format!("  {bound}"), INDENT + 6, &phrase::count(*count, "time"));
        }
    }
}

fn forgotten(page: &mut Page, store: &Store) {
    let forgotten = &store.figures.summary.forgotten;
    if !forgotten.is_empty() {
        page.heading("Forgotten to make room for newer ones");
        for (what, count) in forgotten {
            page.pair(&format!("  {what}"), INDENT + 6, &count.to_string());
        }
    }
}

fn held(page: &mut Page, store: &Store) {
    let Some(HeldCounts { packets, bytes, left_out }) = store.held else { return };
    page.heading("Held to be saved");
    let most = phrase::bytes(Limits::default().saveable_packet_bytes as u64);
    page.pair("  packets", INDENT, &format!("{packets} in {} of memory, {most} at most", phrase::bytes(bytes as u64)));
    if left_out > 0 {
        page.pair("  no longer held", INDENT, &phrase::count(left_out, "packet"));
    }
}
