//! One connection that speaks HTTP/1.x, heard from outside.

use std::mem;

use crate::http::early::Early;
pub use crate::http::event::{Bound, Event, IncompleteHead, Request, Response, TunnelKind};
use crate::http::first_bytes::{self, Beginning, FirstBytes};
use crate::http::framing::{Body, Step};
use crate::http::handshake::{Answer, Offer};
use crate::http::head_store::{HeadStore, RawHead};
use crate::http::open_head::{Lines, OpenHead, length_of};
use crate::http::proxy_header::{Addresses, ProxyHeader};
use crate::http::start_line::{RequestParts, StatusParts};
use crate::http::text::preview;
use crate::http::waiting::{Queue, Waiting};
use crate::packet::Moment;
use crate::stream::{ByRole, Role, StreamEvent};

/// The state of one HTTP/1.x connection, both directions.
#[derive(Debug, Default)]
pub struct Dialogue {
    halves: ByRole<Half>,
    /// Requests so far.
    requests: u32,
    /// Requests without a final answer.
    waiting: Queue,
    /// What the client sent behind an upgrade request that has no answer yet.
    early: Option<Box<Early>>,
    tunnel: Option<TunnelKind>,
    mid_stream: bool,
    /// Whether the head that is being told lacks a part.
    cut: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    state: State,
    /// Whether a head of this side was read.
    heard: bool,
    /// Whether bytes were missed where messages begin or end.
    lost: bool,
    /// Whether bytes of the present body were missed: the rest would make a wrong text with what came before.
    body_gap: bool,
}

/// What one direction is in the middle of.
#[derive(Debug)]
enum State {
    /// Nothing came yet, or too little to tell what it is.
    Beginning(Option<Box<OpenHead>>),
    /// Between messages, or in a head.
    Head(Option<Box<OpenHead>>),
    /// In a head above the limit, of which no more is kept.
    LongHead(Box<OpenHead>),
    /// In a body.
    Body(Body),
    /// Behind an upgrade request, until its answer says what the bytes are.
    Held,
    /// Somewhere: a segment that begins with a message will tell.
    Search,
    /// Not HTTP, or over.
    Inert,
    /// In the tunnel.
    Tunnel,
}

impl Default for State {
    fn default() -> Self {
        State::Beginning(None)
    }
}

/// What a call brings along: the packet, the shared store, and who listens.
struct Call<'c> {
    moment: Moment,
    heads: &'c mut HeadStore,
    listener: &'c mut dyn FnMut(Event<'_>),
}

impl Call<'_> {
    fn tell(&mut self, event: Event<'_>) {
        (self.listener)(event);
    }
}

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
    /// For a connection whose beginning was captured.
    pub fn new() -> Dialogue {
        Dialogue::default()
    }

    /// For a connection that was joined in mid-stream: a first message is looked for at the beginning of each segment.
    pub fn mid_stream() -> Dialogue {
        Dialogue { mid_stream: true, ..Dialogue::default() }
    }

    /// Takes what a stream says: the one that `role` sends. `moment` is that of the packet which carried it.
    pub fn handle(
        &mut self,
        role: Role,
        event: StreamEvent<'_>,
        moment: Moment,
        heads: &mut HeadStore,
        listener: &mut dyn FnMut(Event<'_>),
    ) {
        self.stream(role, event, &mut Call { moment, heads, listener });
    }

    /// What the client sent behind its upgrade request while there is no answer, in pieces with their packets.
    pub fn early(&self) -> impl Iterator<Item = (Moment, &[u8])> {
        self.early.iter().flat_map(|early| early.bytes())
    }

    /// Whether HTTP is over in both directions: the streams may as well go past the dialogue from now on.
    pub fn is_tunnel(&self) -> bool {
        Role::BOTH.into_iter().all(|role| matches!(self.halves[role].state, State::Tunnel))
    }

    /// Whether nothing more will be told: both sides speak something else, or are over.
    pub fn is_inert(&self) -> bool {
        Role::BOTH.into_iter().all(|role| matches!(self.halves[role].state, State::Inert))
    }

    /// The head that `role` is in the middle of.
    pub fn incomplete_head(&self, role: Role) -> Option<IncompleteHead> {
        match &self.halves[role].state {
            State::Head(Some(open)) | State::LongHead(open) if is_head(role, open) => {
                Some(IncompleteHead { bytes: open.length(), preview: preview(&open.bytes), begun: open.begun })
            }
            _ => None,
        }
    }

    /// The requests that have no final answer yet, oldest first, by their index.
    pub fn unanswered(&self) -> impl Iterator<Item = u32> {
        self.waiting.indexes()
    }

    fn stream(&mut self, role: Role, event: StreamEvent<'_>, call: &mut Call<'_>) {
        match self.halves[role].state {
            State::Inert => {}
            State::Tunnel => call.tell(Event::TunnelStream(role, call.moment, event)),
            State::Held => self.hold(event, call),
            _ => match event {
                StreamEvent::Data(bytes) => self.data(role, bytes, call),
                StreamEvent::Gap(missing, _) => self.gap(role, missing, call),
                StreamEvent::Finished | StreamEvent::Reset => self.finish(role, event, call),
            },
        }
    }

    fn data(&mut self, role: Role, segment: &[u8], call: &mut Call<'_>) {
        let mut rest = segment;
        while !rest.is_empty() {
            rest = match &self.halves[role].state {
                State::Beginning(_) => self.begin(role, rest, call),
                State::Head(_) => self.head(role, rest, call),
                State::LongHead(_) => self.long_head(role, rest, call),
                State::Body(_) => self.body(role, rest, call),
                State::Search if rest.len() == segment.len() && first_bytes::is_message_start(role, rest) => {
                    self.found(role);
                    rest
                }
                State::Search | State::Inert => return,
                State::Held | State::Tunnel => return self.stream(role, StreamEvent::Data(rest), call),
            }
        }
    }

    fn gap(&mut self, role: Role, missing: u64, call: &mut Call<'_>) {
        match &mut self.halves[role].state {
            State::Body(body) => {
                if body.skip(missing) {
                    let complete = body.is_complete();
                    self.halves[role].body_gap = true;
                    if complete {
                        self.end_message(role, call);
                    }
                } else {
                    self.lose(role, call);
                }
            }
            State::Beginning(None) if self.mid_stream => {}
            State::Beginning(_) | State::Head(_) | State::LongHead(_) => self.cut_head(role, call),
            State::Search | State::Inert | State::Held | State::Tunnel => {}
        }
    }

    fn finish(&mut self, role: Role, event: StreamEvent<'_>, call: &mut Call<'_>) {
        let incomplete = self.incomplete_head(role);
        match mem::replace(&mut self.halves[role].state, State::Inert) {
            State::Body(Body::UntilClose) if event == StreamEvent::Finished => call.tell(Event::MessageEnd(role)),
            State::Beginning(Some(open)) | State::Head(Some(open)) | State::LongHead(open) => match incomplete {
                Some(incomplete) => call.tell(Event::IncompleteHead(role, incomplete)),
                None if !self.halves[role].heard => {
                    self.not_http(role, first_bytes::guess(&open.bytes), &open.bytes, call);
                }
                None => {}
            },
            _ => {}
        }
    }

    /// The first bytes of a side, until it is clear what they are.
    fn begin<'b>(&mut self, role: Role, bytes: &'b [u8], call: &mut Call<'_>) -> &'b [u8] {
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
    fn head<'b>(&mut self, role: Role, bytes: &'b [u8], call: &mut Call<'_>) -> &'b [u8] {
        let State::Head(open) = &mut self.halves[role].state else { return bytes };
        let limit = call.heads.head_bytes;
        let (rest, before, mut open) = match open.take() {
            None => {
                // RFC 9112 §2.2: empty lines before a message do not count.
                let bytes = first_bytes::skip_empty_lines(bytes);
                let here = &bytes[..bytes.len().min(limit)];
                let mut lines = Lines::default();
                match self.find_head(role, &mut lines, here, call.moment, call) {
                    Found::Head(length) => return &bytes[length..],
                    Found::Nothing => return self.no_head(role, here, call),
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
                    Found::Nothing => return self.no_head(role, &open.bytes, call),
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
            return self.no_head(role, &open.bytes, call);
        }
        let kept = open.bytes.len() - before;
        open.stop_keeping();
        self.halves[role].state = State::LongHead(open);
        &rest[kept..]
    }

    /// Bytes are missing inside a head: what came of it is told, if that is enough to say what was asked or answered. The
    /// head is taken to end in the packet that lacks them, as a head that the snap length cuts does.
    fn cut_head(&mut self, role: Role, call: &mut Call<'_>) {
        let (State::Beginning(Some(open)) | State::Head(Some(open)) | State::LongHead(open)) =
            mem::replace(&mut self.halves[role].state, State::Search)
        else {
            return self.lose(role, call);
        };
        let mut lines = open.lines.clone();
        let whole = lines.start_line(&open.bytes).is_some();
        let raw = match whole {
            true => {
                lines.end(&open.bytes, call.heads.head_fields);
                lines.raw(&open.bytes)
            }
            // A version, or a status with its space, is the last thing of a start line that matters.
            false => RawHead { start_line: open.bytes.trim_ascii_end(), lines: &[], aside: None, folded: false },
        };
        let enough = match role {
            Role::Client => RequestParts::read(raw.start_line).is_some_and(|parts| parts.version.is_some()),
            Role::Server => StatusParts::read(raw.start_line).is_some() && (whole || open.bytes.get(12) == Some(&b' ')),
        };
        if !enough {
            return self.lose(role, call);
        }
        self.cut = true;
        self.read_head(role, raw, open.length(), open.begun, call);
        self.cut = false;
    }

    fn long_head<'b>(&mut self, role: Role, bytes: &'b [u8], call: &mut Call<'_>) -> &'b [u8] {
        let State::LongHead(open) = &mut self.halves[role].state else { return bytes };
        let Some(length) = open.drop_until_end(bytes) else { return &[] };
        if let State::LongHead(open) = mem::replace(&mut self.halves[role].state, State::Search) {
            self.read_head(role, open.lines.raw(&open.bytes), open.length(), open.begun, call);
        }
        &bytes[length..]
    }

    /// Looks for the end of a head in its bytes so far, and reads it.
    fn find_head(&mut self, role: Role, lines: &mut Lines, bytes: &[u8], begun: Moment, call: &mut Call<'_>) -> Found {
        let first = lines.start_line_length() == 0;
        let Some(start_line) = lines.start_line(bytes) else { return Found::More };
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
        let end = if simple { Some(lines.start_line_length()) } else { lines.end(bytes, call.heads.head_fields) };
        let Some(end) = end else { return Found::More };
        if lines.are_too_many() {
            call.tell(Event::Limit(role, Bound::HeadFields));
        }
        self.read_head(role, lines.raw(bytes), length_of(end), begun, call);
        Found::Head(end)
    }

    fn read_head(&mut self, role: Role, raw: RawHead<'_>, head_bytes: u32, begun: Moment, call: &mut Call<'_>) {
        self.halves[role].heard = true;
        self.halves[role].body_gap = false;
        match role {
            Role::Client => self.request(raw, head_bytes, begun, call),
            Role::Server => self.response(raw, head_bytes, begun, call),
        }
    }

    fn request(&mut self, raw: RawHead<'_>, head_bytes: u32, begun: Moment, call: &mut Call<'_>) {
        let Some(head) = call.heads.request(raw) else { return self.lose(Role::Client, call) };
        let offer = Offer::read(&head);
        let body = Body::of_request(&head);
        let index = self.requests;
        self.requests = self.requests.saturating_add(1);
        self.await_answer(Waiting { index, head: head.clone(), offer: offer.clone() }, call);
        let cut = self.cut;
        call.tell(Event::Request(Request { index, head, offer, begun, moment: call.moment, head_bytes, cut }));
        match body {
            Ok(None) => self.end_message(Role::Client, call),
            Ok(Some(body)) => self.halves[Role::Client].state = State::Body(body),
            Err(()) => self.lose(Role::Client, call),
        }
    }

    fn await_answer(&mut self, request: Waiting, call: &mut Call<'_>) {
        let most = call.heads.pipelined_requests;
        let server = &self.halves[Role::Server].state;
        if !matches!(server, State::Head(_) | State::LongHead(_) | State::Body(_)) {
            self.waiting.forget_oldest(most); // Answers are not seen, or not yet.
        }
        if !self.waiting.push(request, most) {
            call.tell(Event::Limit(Role::Client, Bound::Pipeline));
        }
    }

    fn response(&mut self, raw: RawHead<'_>, head_bytes: u32, begun: Moment, call: &mut Call<'_>) {
        let Some(head) = call.heads.response(raw) else { return self.lose(Role::Server, call) };
        let asked = self.waiting.first();
        let answer = Answer::read(&head, asked.map(|asked| (&asked.head, &asked.offer)));
        let body = Body::of_response(&head, asked.is_some_and(|asked| asked.is("HEAD")));
        let tunnel = match head.status {
            101 => Some(TunnelKind::Upgrade),
            200..=299 if asked.is_some_and(|asked| asked.is("CONNECT")) => Some(TunnelKind::Connect),
            _ => None,
        };
        let request = asked.map(|asked| asked.index);
        let interim = matches!(head.status, 100 | 102..=199);
        let (moment, cut) = (call.moment, self.cut);
        call.tell(Event::Response(Response { request, interim, head, answer, begun, moment, head_bytes, cut }));
        if interim {
            return self.end_message(Role::Server, call);
        }
        let held = self.waiting.answered().is_some_and(|asked| asked.may_switch());
        match (tunnel, body) {
            (Some(kind), _) => {
                call.tell(Event::MessageEnd(Role::Server));
                return self.open_tunnel(kind, call);
            }
            (None, Some(body)) => self.halves[Role::Server].state = State::Body(body),
            (None, None) => self.end_message(Role::Server, call),
        }
        if held {
            self.release(State::Head(None), call);
        }
    }

    fn body<'b>(&mut self, role: Role, bytes: &'b [u8], call: &mut Call<'_>) -> &'b [u8] {
        let Half { state: State::Body(body), body_gap, .. } = &mut self.halves[role] else { return bytes };
        let step = body.step(bytes);
        let complete = body.is_complete();
        let taken = match step {
            Step::Content(taken) => {
                if taken > 0 && !*body_gap {
                    call.tell(Event::Body(role, &bytes[..taken]));
                }
                taken
            }
            Step::Coding(taken) => taken,
            Step::Broken => {
                self.lose(role, call);
                return &[];
            }
        };
        if complete {
            self.end_message(role, call);
        }
        &bytes[taken..]
    }

    fn end_message(&mut self, role: Role, call: &mut Call<'_>) {
        call.tell(Event::MessageEnd(role));
        self.halves[role].state = match (role, self.tunnel) {
            (_, Some(_)) => State::Tunnel,
            // What follows may be a tunnel's.
            (Role::Client, None) if self.waiting.may_switch(self.requests.wrapping_sub(1)) => State::Held,
            _ => State::Head(None),
        };
    }

    /// HTTP is over: what was held back is the tunnel's, and all that follows.
    fn open_tunnel(&mut self, kind: TunnelKind, call: &mut Call<'_>) {
        self.tunnel = Some(kind);
        call.tell(Event::Tunnel(kind));
        self.halves[Role::Server].state = State::Tunnel;
        match mem::replace(&mut self.halves[Role::Client].state, State::Tunnel) {
            State::Held => self.release(State::Tunnel, call),
            State::Head(Some(open)) | State::Beginning(Some(open)) => {
                call.tell(Event::TunnelStream(Role::Client, open.begun, StreamEvent::Data(&open.bytes)));
            }
            State::Inert => self.halves[Role::Client].state = State::Inert,
            _ => {}
        }
    }

    /// Keeps what the client says until it is clear what it is.
    fn hold(&mut self, event: StreamEvent<'_>, call: &mut Call<'_>) {
        let early = self.early.get_or_insert_default();
        if !early.keep(event, call.moment, call.heads.early_bytes) {
            call.tell(Event::Limit(Role::Client, Bound::EarlyBytes));
        }
    }

    /// The answer came: what was held goes on from this state.
    fn release(&mut self, state: State, call: &mut Call<'_>) {
        if !matches!(self.halves[Role::Client].state, State::Held | State::Tunnel) {
            return;
        }
        self.halves[Role::Client].state = state;
        if let Some(early) = self.early.take() {
            early.replay(|moment, event| {
                self.stream(Role::Client, event, &mut Call { moment, heads: call.heads, listener: call.listener });
            });
        }
    }

    /// What stands where a head should begin is none.
    fn no_head<'b>(&mut self, role: Role, bytes: &[u8], call: &mut Call<'_>) -> &'b [u8] {
        let half = &self.halves[role];
        if half.heard || half.lost || self.mid_stream {
            self.lose(role, call);
        } else {
            self.not_http(role, first_bytes::guess(bytes), bytes, call);
        }
        &[]
    }

    fn not_http(&mut self, role: Role, kind: FirstBytes, bytes: &[u8], call: &mut Call<'_>) {
        self.halves[role].state = if self.mid_stream { State::Search } else { State::Inert };
        call.tell(Event::NotHttp(role, kind, bytes, call.moment));
    }

    fn lose(&mut self, role: Role, call: &mut Call<'_>) {
        self.halves[role].lost = true;
        self.halves[role].state = State::Search;
        call.tell(Event::Lost(role, call.moment));
    }

    /// A message begins after all.
    fn found(&mut self, role: Role) {
        if role == Role::Server {
            self.waiting.keep_last();
        }
        self.halves[role].state = State::Head(None);
    }
}

/// Whether this can be called a head: its start line is there, or what came of it leaves no doubt.
fn is_head(role: Role, open: &OpenHead) -> bool {
    open.lines.start_line_length() > 0 || first_bytes::is_message_start(role, &open.bytes)
}
