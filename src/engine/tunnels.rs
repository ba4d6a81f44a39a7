//! What an open tunnel tells, passed on to the sink.

use std::io;

use crate::engine::event::{self, Event, MessageKind, Place, Sink, Wants};
use crate::session::tunnel::TunnelListener;
use crate::stream::Role;
use crate::ws::facts::{Close, Opcode};
use crate::ws::{Control, Message};

/// Passes on what one tunnel tells.
pub(super) struct Teller<'a> {
    pub(super) place: Place,
    pub(super) wants: Wants,
    pub(super) preview: usize,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) error: &'a mut Option<io::Error>,
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

impl TunnelListener for Teller<'_> {
    fn preview(&self) -> usize {
        if self.wants.messages { self.preview } else { 0 }
    }

    fn message(&mut self, by: Role, message: &Message<'_>) {
        if !self.wants.messages {
            return;
        }
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
        self.emit(&Event::Message(self.place, by, message));
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
        self.emit(&Event::Message(self.place, by, message));
    }

    fn close(&mut self, by: Role, close: &Close) {
        if self.wants.progress {
            self.emit(&Event::Close(self.place, by, close.moment, close.code, &close.reason));
        }
    }
}
