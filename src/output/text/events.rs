//! One line an event.

use crate::diagnosis::wording::Messages;
use crate::engine::event::{Event, Message, MessageKind, Place};
use crate::output::clock::Clock;
use crate::output::line::{DIM, Line, outcome_style};
use crate::output::phrase;
use crate::packet::Moment;
use crate::session::leg::{Counted, Request, Response};
use crate::session::{Outcome, Session, SessionId};
use crate::stream::Role;
use crate::time::Timestamp;

/// Where the session's tag begins: behind the time and two spaces.
const TAG: usize = 14;
/// Where packet numbers stand when there is no terminal to fit.
const PACKETS: usize = 106;
/// A target may be this wide.
const TARGET: usize = 60;
/// A preview may be this wide, where the line is not bounded by a terminal.
const PREVIEW: usize = 72;

/// Where the columns stand. They widen as wider values come, up to a bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Where addresses begin.
    addresses: usize,
    /// Where what happened begins.
    what: usize,
    /// Where packet numbers begin.
    packets: usize,
}

/// When an event happened.
pub(super) fn time_of(event: &Event<'_>) -> Option<Timestamp> {
    match event {
        Event::Request(_, request) => Some(request.moment.at),
        Event::Response(_, _, response) => Some(response.moment.at),
        Event::Message(_, _, message) => Some(message.moment.at),
        Event::Close(_, _, moment, ..) | Event::Unreachable(_, moment) | Event::Adopted(_, moment) => Some(moment.at),
        Event::End(_, end) => Some(end.moment.at),
        Event::Limit(_, at) => Some(*at),
        Event::Encrypted(session) => Some(session.end),
        Event::Joined { .. } | Event::Session(..) | Event::Finding(_) | Event::Summary(_) => None,
    }
}

impl Layout {
    pub(super) fn new(columns: Option<usize>) -> Layout {
        let packets = columns.map_or(PACKETS, |columns| columns.saturating_sub(8));
        Layout { addresses: TAG + 4, what: TAG + 32, packets }
    }

    /// Writes the line of an event that comes before its session is over.
    pub(super) fn event(&mut self, line: &mut Line, clock: &mut Clock, event: &Event<'_>) {
        match event {
            Event::Request(place, request) => {
                self.begin(line, clock, place, Role::Client, request.moment);
                self.request(line, request);
            }
            Event::Response(place, request, response) => {
                self.begin(line, clock, place, Role::Server, response.moment);
                self.response(line, *request, response);
            }
            Event::Message(place, by, message) => {
                self.begin(line, clock, place, *by, message.moment);
                self.message(line, message);
            }
            Event::Close(place, by, moment, code, reason) => {
                self.begin(line, clock, place, *by, *moment);
                close(line, *code, reason);
                self.packet(line, *moment);
            }
            Event::End(place, end) => {
                self.begin(line, clock, place, end.by, end.moment);
                line.put(end.flag());
                self.packet(line, end.moment);
            }
            Event::Unreachable(place, moment) => {
                self.begin(line, clock, place, Role::Client, *moment);
                line.put("the connection was not opened");
                self.packet(line, *moment);
            }
            Event::Adopted(place, moment) => {
                self.begin(line, clock, place, Role::Client, *moment);
                line.put("a websocket that was open before the capture began");
                self.packet(line, *moment);
            }
            Event::Encrypted(session) => self.encrypted(line, clock, session),
            Event::Joined { into, from, reason } => {
                line.pad(TAG, 0);
                self.tag(line, *from);
                line.put("goes on as ");
                tag(line, *into);
                line.put(": ");
                line.put(phrase::join_reason(*reason));
            }
            Event::Limit(what, at) => {
                line.time(clock, *at);
                line.put("  a bound was reached, some things are only counted from now on: ");
                line.put(what);
            }
            Event::Session(..) | Event::Finding(_) | Event::Summary(_) => {}
        }
    }

    /// Writes the line of a session's end.
    pub(super) fn session_end(&mut self, line: &mut Line, clock: &mut Clock, session: &Session) {
        line.time(clock, session.end);
        line.pad(TAG, 2);
        self.tag(line, session.id);
        line.styled(outcome_style(session.outcome), session.outcome.name());
        line.put(if session.outcome == Outcome::Open { " for " } else { " after " });
        let duration = session.end.since(session.start);
        line.duration(duration);
        let leg = session.first_leg();
        let Some(tunnel) = leg.tunnel.as_deref() else { return };
        if Role::BOTH.into_iter().any(|role| leg.counted(role) != Counted::All) {
            return line.put(&Messages(leg, tunnel).to_string());
        }
        line.put(", ");
        line.count(tunnel.messages(Role::Client), "message");
        line.put(" from the client, ");
        line.number(tunnel.messages(Role::Server));
        line.put(" from the server");
    }

    /// Time, tag and addresses; the arrow shows who speaks.
    fn begin(&mut self, line: &mut Line, clock: &mut Clock, place: &Place, by: Role, moment: Moment) {
        line.time(clock, moment.at);
        line.pad(TAG, 2);
        self.tag(line, place.session);
        line.pad(line.column() + 2 * place.leg.min(8), 0);
        line.endpoint(place.client);
        line.put(if by == Role::Client { " > " } else { " < " });
        if place.client.ip == place.server.ip {
            line.put(":");
            line.number(place.server.port.into());
        } else {
            line.endpoint(place.server);
        }
        self.what = self.what.max((line.column() + 2).min(self.addresses + 50));
        line.pad(self.what, 2);
    }

    fn tag(&mut self, line: &mut Line, session: SessionId) {
        tag(line, session);
        self.addresses = self.addresses.max((line.column() + 2).min(TAG + 10));
        line.pad(self.addresses, 2);
    }

    fn encrypted(&mut self, line: &mut Line, clock: &mut Clock, session: &Session) {
        let leg = session.first_leg();
        let place = Place { session: session.id, client: leg.client, server: leg.server, leg: 0 };
        self.begin(line, clock, &place, Role::Client, leg.tcp.last);
        line.put("encrypted, and likely a websocket");
        let Some(tls) = leg.tls.as_deref() else { return };
        if let Some(name) = &tls.sni {
            line.put(" to ");
            line.wire_within(name, TARGET);
        }
        for (index, reason) in tls.likely_websocket.iter().enumerate() {
            line.put(if index == 0 { ": " } else { ", " });
            line.put(reason);
        }
        self.packet(line, leg.tcp.last);
    }

    fn request(&self, line: &mut Line, request: &Request) {
        line.wire(request.head.method());
        line.put(" ");
        line.wire_within(request.head.target(), TARGET);
        line.put("  ");
        line.wire(&phrase::request(request));
        self.packet(line, request.moment);
    }

    fn response(&self, line: &mut Line, request: Option<&Request>, response: &Response) {
        line.number(response.head.status.into());
        if !response.head.reason().is_empty() {
            line.put(" ");
            line.wire_within(response.head.reason(), TARGET);
        }
        if let Some(request) = request {
            line.put(", ");
            let latency = response.begun.at.since(request.moment.at);
            line.duration(latency);
        }
        self.packet(line, response.moment);
    }

    fn message(&self, line: &mut Line, message: &Message<'_>) {
        line.put(message.kind.name());
        line.put(" ");
        line.number(message.bytes);
        line.put(" B");
        if message.compressed {
            line.put(" deflated");
        }
        if message.fragments > 1 {
            line.put(" in ");
            line.count(message.fragments.into(), "fragment");
        }
        line.put("  ");
        let room = self.packets.saturating_sub(line.column() + 2).clamp(16, PREVIEW);
        preview(line, message, room);
        if message.truncated && !line.as_str().ends_with('…') {
            line.put("…");
        }
        if message.holes {
            line.put(" (bytes missing)");
        }
        self.packet(line, message.moment);
    }

    fn packet(&self, line: &mut Line, moment: Moment) {
        line.pad(self.packets, 2);
        line.begin(DIM);
        line.put("#");
        line.number(moment.packet.0);
        line.end(DIM);
    }
}

fn tag(line: &mut Line, session: SessionId) {
    line.put("s");
    line.number(session.0);
}

fn close(line: &mut Line, code: Option<u16>, reason: &str) {
    line.put("Close");
    if let Some(code) = code {
        line.put(" ");
        line.number(code.into());
    }
    if !reason.is_empty() {
        line.put(" \"");
        line.wire_within(reason, TARGET);
        line.put("\"");
    }
}

/// The beginning of a payload: text as text, other bytes in hexadecimal.
fn preview(line: &mut Line, message: &Message<'_>, room: usize) {
    match (message.kind, message.preview) {
        (MessageKind::Close, &[high, low, ref reason @ ..]) => {
            line.number(u16::from_be_bytes([high, low]).into());
            line.put(if reason.is_empty() { "" } else { " " });
            line.wire_bytes_within(reason, room);
        }
        (MessageKind::Binary, bytes) => hex(line, bytes, room),
        (MessageKind::Ping | MessageKind::Pong, bytes) if str::from_utf8(bytes).is_err() => hex(line, bytes, room),
        (_, bytes) => line.wire_bytes_within(bytes, room),
    }
}

fn hex(line: &mut Line, bytes: &[u8], room: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let shown = bytes.len().min(room / 3);
    line.ascii(|out| {
        for (index, &byte) in bytes[..shown].iter().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    });
    if shown < bytes.len() {
        line.put(" …");
    }
}
