//! From bytes to heads: what stands where a message should begin.

use std::mem;

use super::{Bound, Call, Dialogue, Event, State};
use crate::http::first_bytes::{self, Beginning, FirstBytes};
use crate::http::head_store::{Came, RawHead};
use crate::http::open_head::{Lines, OpenHead};
use crate::http::proxy_header::{Addresses, ProxyHeader};
use crate::http::start_line::{RequestParts, StatusParts};
use crate::packet::Moment;
use crate::stream::Role;

/// What was found at the beginning of a head.
enum Found {
    /// Its end has not come.
    More,
    /// A whole one of so many bytes; it was told, and the state is that behind it.
    Head(usize),
    /// No head.
    Nothing,
}

impl Dialogue {
    /// The first bytes of a side, until it is clear what they are.
    pub(super) fn begin<'b>(&mut self, role: Role, bytes: &'b [u8], call: &mut Call<'_>) -> &'b [u8] {
        let State::Beginning(open) = &mut self.halves[role].state else { return bytes };
        if self.mid_stream {
            if first_bytes::is_message_start(role, bytes) {
                self.halves[role].state = State::Head(None);
                return bytes;
            }
            self.not_http(role, first_bytes::guess(bytes), bytes, call);
            return &[];
        }
        let mut open = open.take();
        let before = open.as_ref().map_or(0, |open| open.bytes.len());
        let all = match &mut open {
            Some(open) => {
                if first_bytes::skip_empty_lines(&open.bytes).is_empty() {
                    open.begun = call.moment;
                }
                open.bytes.extend_from_slice(bytes);
                &open.bytes
            }
            None => bytes,
        };
        match first_bytes::tell(role, all) {
            Beginning::Unclear if all.len() <= call.heads.head_bytes => {
                let open = open.unwrap_or_else(|| Box::new(OpenHead::new(bytes, call.moment, Lines::default())));
                self.halves[role].state = State::Beginning(Some(open));
                &[]
            }
            Beginning::Unclear => {
                self.not_http(role, FirstBytes::Other, all, call);
                &[]
            }
            Beginning::Http => {
                let open = open.map(|mut open| {
                    open.bytes.truncate(before);
                    open.bytes.drain(..before - first_bytes::skip_empty_lines(&open.bytes).len());
                    open
                });
                self.halves[role].state = State::Head(open.filter(|open| !open.bytes.is_empty()));
                bytes
            }
            Beginning::Proxy(length, version, addresses) => {
                self.proxy_header(version, addresses, call);
                &bytes[length - before..]
            }
            Beginning::Else(kind) => {
                self.not_http(role, kind, all, call);
                &[]
            }
        }
    }

    fn proxy_header(&mut self, version: u8, addresses: Addresses, call: &mut Call<'_>) {
        let (source, destination) = addresses.unzip();
        call.tell(Event::ProxyHeader(ProxyHeader { version, source, destination, moment: call.moment }));
        self.halves[Role::Client].state = State::Beginning(None);
    }

    /// The next bytes of a head, or the first ones: then they are read in place and only kept if the end is not there.
    pub(super) fn head<'b>(&mut self, role: Role, bytes: &'b [u8], call: &mut Call<'_>) -> &'b [u8] {
        let State::Head(open) = &mut self.halves[role].state else { return bytes };
        let limit = call.heads.head_bytes;
        let (rest, before, mut open) = match open.take() {
            None => {
                // RFC 9112 §2.2: empty lines before a message do not count.
                let bytes = first_bytes::skip_empty_lines(bytes);
                let here = &bytes[..bytes.len().min(limit)];
                if let Some(length) = self.head_again(role, here, call) {
                    return &bytes[length..];
                }
                let mut lines = Lines::default();
                match self.find_head(role, &mut lines, here, call.moment, call) {
                    Found::Head(length) => return &bytes[length..],
                    Found::Nothing => return self.no_head(role, here, lines.start_line_length(), call),
                    Found::More if here.is_empty() => return &[],
                    Found::More => (bytes, 0, Box::new(OpenHead::new(here, call.moment, lines))),
                }
            }
            Some(mut open) => {
                let before = open.bytes.len();
                let room = limit.saturating_sub(before);
                open.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
                match self.find_head(role, &mut open.lines, &open.bytes, open.begun, call) {
                    Found::Head(length) => return &bytes[length - before..],
                    Found::Nothing => return self.no_head(role, &open.bytes, open.lines.start_line_length(), call),
                    Found::More => (bytes, before, open),
                }
            }
        };
        if open.bytes.len() < limit {
            self.halves[role].state = State::Head(Some(open));
            return &[];
        }
        call.tell(Event::Limit(role, Bound::HeadBytes));
        if open.lines.start_line_length() == 0 {
            return self.no_head(role, &open.bytes, 0, call);
        }
        let kept = open.bytes.len() - before;
        open.stop_keeping();
        self.halves[role].state = State::LongHead(open);
        &rest[kept..]
    }

    /// Bytes are missing inside a head: what came of it is told, if that is enough to say what was asked or answered. The
    /// head is taken to end in the packet that lacks them, as a head that the snap length cuts does.
    pub(super) fn cut_head(&mut self, role: Role, call: &mut Call<'_>) {
        let (State::Beginning(Some(open)) | State::Head(Some(open)) | State::LongHead(open)) =
            mem::replace(&mut self.halves[role].state, State::Search)
        else {
            return self.lose(role, call);
        };
        let whole = open.lines.start_line_length() > 0;
        let start_line = if whole { open.raw().start_line } else { open.bytes.trim_ascii_end() };
        let RawHead { came, .. } = open.raw();
        let raw = RawHead { start_line, came: Came { cut: true, ..came }, ..open.raw() };
        // A version, or a status with its space, is the last thing of a start line that matters.
        let enough = match role {
            Role::Client => RequestParts::read(raw.start_line).is_some_and(|parts| parts.version.is_some()),
            Role::Server => StatusParts::read(raw.start_line).is_some() && (whole || open.bytes.get(12) == Some(&b' ')),
        };
        if !enough {
            return self.lose(role, call);
        }
        self.halves[role].lost = true;
        self.read_head(role, raw, call);
    }

    /// The next bytes of a head of which no more is kept.
    pub(super) fn long_head<'b>(&mut self, role: Role, bytes: &'b [u8], call: &mut Call<'_>) -> &'b [u8] {
        let State::LongHead(open) = &mut self.halves[role].state else { return bytes };
        let Some(length) = open.drop_until_end(bytes) else { return &[] };
        if let State::LongHead(open) = mem::replace(&mut self.halves[role].state, State::Search) {
            self.read_head(role, open.raw(), call);
        }
        &bytes[length..]
    }

    /// Looks for the end of a head in its bytes so far, and reads it.
    fn find_head(&mut self, role: Role, lines: &mut Lines, bytes: &[u8], begun: Moment, call: &mut Call<'_>) -> Found {
        let first = lines.start_line_length() == 0;
        let Some(start_line) = lines.start_line(bytes) else {
            return if first_bytes::may_be_message(role, bytes) { Found::More } else { Found::Nothing };
        };
        let mut simple = false;
        if first {
            match role {
                Role::Client => match RequestParts::read(start_line) {
                    Some(parts) => simple = parts.simple,
                    None => return Found::Nothing,
                },
                Role::Server if StatusParts::read(start_line).is_none() => return Found::Nothing,
                Role::Server => {}
            }
        }
        // HTTP/0.9 has no fields: the line is all there is.
        let end = match simple {
            true => Some(lines.start_line_length()),
            false => lines.end(bytes, call.heads.head_fields),
        };
        let Some(end) = end else { return Found::More };
        if lines.are_too_many() {
            call.tell(Event::Limit(role, Bound::HeadFields));
        }
        self.read_head(role, lines.raw(bytes, end, begun), call);
        Found::Head(end)
    }

    fn read_head(&mut self, role: Role, raw: RawHead<'_>, call: &mut Call<'_>) {
        self.heard(role, raw.came);
        match role {
            Role::Client => match call.heads.request(raw) {
                Some(head) => self.request(head, raw.came, call),
                None => self.lose(role, call),
            },
            Role::Server => match call.heads.response(raw) {
                Some(head) => self.response(head, raw.came, call),
                None => self.lose(role, call),
            },
        }
    }

    /// A whole head whose lines came before, on whatever connection: nothing but its key is read.
    fn head_again(&mut self, role: Role, bytes: &[u8], call: &mut Call<'_>) -> Option<usize> {
        let begun = call.moment;
        let came = |length| Came { length: u32::try_from(length).unwrap_or(u32::MAX), begun, cut: false };
        match role {
            Role::Client => {
                let (head, length) = call.heads.request_again(bytes)?;
                self.heard(role, came(length));
                self.request(head, came(length), call);
                Some(length)
            }
            Role::Server => {
                let (head, length) = call.heads.response_again(bytes)?;
                self.heard(role, came(length));
                self.response(head, came(length), call);
                Some(length)
            }
        }
    }

    fn heard(&mut self, role: Role, came: Came) {
        let half = &mut self.halves[role];
        half.heard = true;
        half.torn &= came.cut;
        half.body_gap = false;
    }

    /// What stands where a head should begin is none. Its first line tells, if there is one of this length.
    fn no_head<'b>(&mut self, role: Role, bytes: &[u8], line: usize, call: &mut Call<'_>) -> &'b [u8] {
        let half = &self.halves[role];
        if half.heard || half.lost || self.mid_stream {
            self.lose(role, call);
        } else {
            let telling = if line > 0 { &bytes[..line] } else { bytes };
            self.not_http(role, first_bytes::guess(telling), bytes, call);
        }
        &[]
    }

    pub(super) fn not_http(&mut self, role: Role, kind: FirstBytes, bytes: &[u8], call: &mut Call<'_>) {
        self.halves[role].state = if self.mid_stream { State::Search } else { State::Inert };
        call.tell(Event::NotHttp(role, kind, bytes, call.moment));
    }

    /// A message begins after all.
    pub(super) fn found(&mut self, role: Role) {
        if role == Role::Server {
            self.waiting.keep_last();
        }
        self.halves[role].state = State::Head(None);
    }
}

/// Whether this can be called a head: its start line is there, or what came of it leaves no doubt.
pub(super) fn is_head(role: Role, open: &OpenHead) -> bool {
    open.lines.start_line_length() > 0 || first_bytes::is_message_start(role, &open.bytes)
}
