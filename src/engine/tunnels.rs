//! What an open tunnel tells, passed on to the sink.

use std::io;

use crate::engine::event::{self, Event, MessageKind, Place, Sink, Wants};
use crate::limits::Limits;
use crate::packet::Moment;
use crate::session::SessionId;
use crate::session::flow::{App, Flow};
use crate::session::tunnel::{TunnelListener, TunnelState};
use crate::stream::{Role, Side, StreamEvent};
use crate::wire::KeptEnds;
use crate::ws::facts::{Close, Opcode};
use crate::ws::{Control, Message, Scratch};

/// What the tunnels of all flows work with.
pub(super) struct Room<'a> {
    pub(super) wants: Wants,
    pub(super) limits: &'a Limits,
    pub(super) scratch: &'a mut Scratch,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) error: &'a mut Option<io::Error>,
}

/// Bytes, a gap or an end from one side, for the WebSocket that is open on a flow.
#[inline]
pub(super) fn go_on<'a>(flow: &'a mut Flow, side: Side, moment: Moment, event: StreamEvent<'_>, room: Room<'a>) {
    let role = flow.role_of(side);
    let Some((tunnel, limits, scratch, mut teller)) = at_work(flow, room) else { return };
    tunnel.handle(role, event, moment, limits, scratch, &mut teller);
}

/// Nothing more comes for the WebSocket on a flow, if there is one.
pub(super) fn finish<'a>(flow: &'a mut Flow, room: Room<'a>) {
    let Some((tunnel, limits, scratch, mut teller)) = at_work(flow, room) else { return };
    tunnel.finish(limits, scratch, &mut teller);
}

/// The WebSocket on a flow, and everybody whom it needs.
#[inline]
fn at_work<'a>(
    flow: &'a mut Flow,
    room: Room<'a>,
) -> Option<(&'a mut TunnelState, &'a Limits, &'a mut Scratch, Teller<'a>)> {
    let Room { wants, limits, scratch, sink, error } = room;
    let Flow { app: App::Tunnel(tunnel), ends, client_side, session, depth, .. } = flow else { return None };
    let preview = if wants.messages { limits.preview_bytes } else { 0 };
    let at = At { ends, client_side: *client_side, session: *session, depth: *depth };
    Some((tunnel, limits, scratch, Teller { at, wants, preview, sink, error }))
}

/// Where a tunnel is. The place is made of it when somebody wants to know.
struct At<'a> {
    ends: &'a KeptEnds,
    client_side: Side,
    session: Option<SessionId>,
    depth: u8,
}

impl At<'_> {
    fn place(&self) -> Place {
        let ends = self.ends.ends();
        let (client, server) = match self.client_side {
            Side::Originator => (ends.source(), ends.destination()),
            Side::Responder => (ends.destination(), ends.source()),
        };
        Place { session: self.session.unwrap_or_default(), client, server, leg: usize::from(self.depth) }
    }
}

/// Passes on what one tunnel tells.
struct Teller<'a> {
    at: At<'a>,
    wants: Wants,
    /// Bytes of a message that are wanted.
    preview: usize,
    sink: &'a mut dyn Sink,
    error: &'a mut Option<io::Error>,
}

impl Teller<'_> {
    fn emit(&mut self, event: &Event<'_>) {
        if self.error.is_none()
            && let Err(error) = self.sink.event(event)
        {
            *self.error = Some(error);
        }
    }
}

impl Teller<'_> {
    fn tell_message(&mut self, by: Role, message: &Message<'_>) {
        let kind = if message.opcode == Opcode::TEXT { MessageKind::Text } else { MessageKind::Binary };
        let message = event::Message {
            kind,
            moment: message.moment,
            bytes: message.bytes,
            compressed: message.compressed,
            fragments: message.fragments,
            preview: message.preview,
            truncated: message.truncated,
            holes: message.holes,
        };
        self.emit(&Event::Message(self.at.place(), by, message));
    }
}

impl TunnelListener for Teller<'_> {
    #[inline]
    fn preview(&self) -> usize {
        self.preview
    }

    #[inline]
    fn message(&mut self, by: Role, message: &Message<'_>) {
        if self.wants.messages {
            self.tell_message(by, message);
        }
    }

    fn control(&mut self, by: Role, control: &Control<'_>) {
        if !self.wants.messages {
            return;
        }
        let kind = match control.opcode {
            Opcode::PING => MessageKind::Ping,
            Opcode::PONG => MessageKind::Pong,
            _ => MessageKind::Close,
        };
        let message = event::Message {
            kind,
            moment: control.moment,
            bytes: control.length,
            compressed: false,
            fragments: 1,
            preview: control.payload,
            truncated: control.length > control.payload.len() as u64,
            holes: !control.whole,
        };
        self.emit(&Event::Message(self.at.place(), by, message));
    }

    fn close(&mut self, by: Role, close: &Close) {
        if self.wants.progress {
            self.emit(&Event::Close(self.at.place(), by, close.moment, close.code, &close.reason));
        }
    }
}
