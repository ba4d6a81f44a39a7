//! One connection that speaks HTTP/1.x, heard from outside.

mod ahead;
mod heads;

use std::mem;

use crate::http::early::Early;
pub use crate::http::event::{Bound, Event, IncompleteHead, Request, Response, TunnelKind};
use crate::http::first_bytes;
use crate::http::framing::{Body, Step};
use crate::http::head::{RequestHead, ResponseHead};
use crate::http::head_store::{Came, HeadStore};
use crate::http::open_head::OpenHead;
use crate::http::text::preview;
use crate::http::waiting::{Queue, Waiting};
use crate::packet::Moment;
use crate::stream::{ByRole, GapCause, Role, StreamEvent};

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
    /// An answer to a request which the capture has later.
    ahead: Option<Box<ahead::Answer>>,
    /// Whether answers come although no request does.
    unasked: bool,
    tunnel: Option<TunnelKind>,
    mid_stream: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    state: State,
    /// Whether a head of this side was read.
    heard: bool,
    /// Whether bytes were missed where messages begin or end.
    lost: bool,
    /// Whether the last head lost bytes on the way to the capture: where it ended is not known.
    torn: bool,
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
    /// Behind an upgrade request, until its answer says what the bytes are; an answer, until its request is there.
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
        let call = &mut Call { moment, heads, listener };
        match role {
            Role::Client if self.ahead.is_some() => self.client_catches_up(event, call),
            _ => self.stream(role, event, call),
        }
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
            State::Head(Some(open)) | State::LongHead(open) if heads::is_head(role, open) => Some(IncompleteHead {
                bytes: u32::try_from(open.length()).unwrap_or(u32::MAX),
                preview: preview(&open.bytes),
                begun: open.begun,
            }),
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
            State::Held if role == Role::Server => self.hold_behind_answer(event, call),
            State::Held => self.hold(event, call),
            _ => match event {
                StreamEvent::Data(bytes) => self.data(role, bytes, call),
                StreamEvent::Gap(missing, cause) => self.gap(role, missing, cause, call),
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

    fn gap(&mut self, role: Role, missing: u64, cause: GapCause, call: &mut Call<'_>) {
        match &mut self.halves[role].state {
            State::Body(body) => {
                if body.skip(missing, cause) {
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
            State::Beginning(_) | State::Head(_) | State::LongHead(_) => {
                self.halves[role].torn = cause != GapCause::Cut;
                self.cut_head(role, call);
            }
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

    fn request(&mut self, head: RequestHead, came: Came, call: &mut Call<'_>) {
        let body = Body::of_request(&head);
        let index = self.requests;
        self.requests = self.requests.saturating_add(1);
        self.await_answer(Waiting::new(index, &head), call);
        let Came { length: head_bytes, begun, cut } = came;
        call.tell(Event::Request(Request { index, head, begun, moment: call.moment, head_bytes, cut }));
        match body {
            // Where it ends is not known, but what may follow an upgrade request is.
            _ if cut && self.waiting.may_switch(index) => self.halves[Role::Client].state = State::Held,
            _ if cut => self.halves[Role::Client].state = State::Search,
            Ok(None) => self.end_message(Role::Client, call),
            Ok(Some(body)) => self.halves[Role::Client].state = State::Body(body),
            Err(()) => self.lose(Role::Client, call),
        }
        self.release_answer(call);
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

    fn response(&mut self, head: ResponseHead, came: Came, call: &mut Call<'_>) {
        if head.status == 101 && self.waiting.first().is_none() && self.incomplete_head(Role::Client).is_some() {
            // Nobody switches before the request is complete: the capture lacks a part of it.
            self.halves[Role::Client].torn = true;
            self.cut_head(Role::Client, call);
        }
        if self.is_ahead() {
            return self.hold_answer(head, came, call.moment);
        }
        let asked = self.waiting.first();
        let body = Body::of_response(&head, asked.is_some_and(|asked| asked.is_head));
        let tunnel = match head.status {
            101 => Some(TunnelKind::Upgrade),
            200..=299 if asked.is_some_and(|asked| asked.is_connect) => Some(TunnelKind::Connect),
            _ => None,
        };
        let request = asked.map(|asked| asked.index);
        let interim = matches!(head.status, 100 | 102..=199);
        let (Came { length: head_bytes, begun, cut }, moment) = (came, call.moment);
        call.tell(Event::Response(Response { request, interim, head, begun, moment, head_bytes, cut }));
        // An interim answer has no body, and leaves the request waiting (RFC 9110 §15.2).
        let asked = if interim { None } else { self.waiting.answered() };
        match (tunnel, body) {
            (Some(kind), _) => {
                call.tell(Event::MessageEnd(Role::Server));
                return self.open_tunnel(kind, call);
            }
            _ if cut => self.halves[Role::Server].state = State::Search,
            (None, Some(body)) => self.halves[Role::Server].state = State::Body(body),
            (None, None) => self.end_message(Role::Server, call),
        }
        if asked.is_some_and(|asked| asked.may_switch) {
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
        for role in Role::BOTH.into_iter().filter(|&role| self.halves[role].torn) {
            // The rest of a head may come before the first frame.
            let lost = StreamEvent::Gap(1, GapCause::Estimated);
            call.tell(Event::TunnelStream(role, call.moment, lost));
        }
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

    fn lose(&mut self, role: Role, call: &mut Call<'_>) {
        self.halves[role].lost = true;
        self.halves[role].state = State::Search;
        call.tell(Event::Lost(role, call.moment));
    }
}
