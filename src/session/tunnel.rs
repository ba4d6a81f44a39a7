//! A WebSocket while it is open: the decoders of both directions, and what only both together tell.

use std::time::Duration;

use crate::http::handshake::PermessageDeflate;
use crate::limits::Limits;
use crate::packet::{Later, Moment, When};
use crate::session::leg::{Direction, Heartbeats, Tunnel};
use crate::session::liveness::PingTracker;
use crate::stream::{ByRole, Role, StreamEvent};
use crate::time::Timestamp;
use crate::ws::facts::{Close, Opcode};
use crate::ws::masks::Masks;
use crate::ws::{Agreed, Control, Decoder, DeflateDirection, FrameListener, Held, Message, Scratch, heartbeat};

/// A pause that is worth to be remembered, in nanoseconds.
const SILENCE: u64 = 1_000_000_000;

/// Who hears of messages and closes while a tunnel is open.
pub trait TunnelListener {
    /// How many bytes of each message are wanted; 0 when messages are not.
    fn preview(&self) -> usize;
    /// A whole message.
    fn message(&mut self, by: Role, message: &Message<'_>);
    /// A control frame.
    fn control(&mut self, by: Role, control: &Control<'_>);
    /// The first Close frame of this side.
    fn close(&mut self, by: Role, close: &Close);
}

/// A WebSocket while it is open.
#[derive(Debug)]
pub struct TunnelState {
    decoders: ByRole<Decoder>,
    both: Both,
}

/// What is known of both directions together.
#[derive(Debug)]
struct Both {
    /// All other moments are relative to it.
    opened: Moment,
    last_byte: Later,
    /// The end of the last silence.
    silent_until: Later,
    /// The length of the last silence, and of the longest pause, in nanoseconds.
    silence: u64,
    longest_idle: u64,
    pings: ByRole<Option<Box<PingTracker>>>,
    rare: Option<Box<Rare>>,
}

/// What most have not, as long as they are open.
#[derive(Debug, Default)]
struct Rare {
    closes: ByRole<Option<Close>>,
    first_close: Option<Role>,
    heartbeats: ByRole<Option<Box<Heartbeats>>>,
    /// Bytes in the packet of the 101, behind it.
    frame_with_answer: bool,
    /// The last byte before one side ended, where the other went on.
    last_before_end: Later,
}

impl TunnelState {
    /// Open from `opened` on. `agreed` is what the opening handshake says; `None` when it was not seen.
    pub fn new(agreed: Option<Option<PermessageDeflate>>, opened: Moment) -> TunnelState {
        let handshake_seen = agreed.is_some();
        let deflate = agreed.flatten();
        let direction = |no_context_takeover: fn(&PermessageDeflate) -> bool| Agreed {
            deflate: deflate
                .as_ref()
                .map(|deflate| DeflateDirection { no_context_takeover: no_context_takeover(deflate) }),
            handshake_seen,
        };
        let mut client = Decoder::new(Role::Client, direction(|deflate| deflate.client_no_context_takeover));
        if !handshake_seen {
            client.keep_masks();
        }
        TunnelState {
            decoders: ByRole {
                client,
                server: Decoder::new(Role::Server, direction(|deflate| deflate.server_no_context_takeover)),
            },
            both: Both {
                opened,
                last_byte: Later::NONE,
                silent_until: Later::NONE,
                silence: 0,
                longest_idle: 0,
                pings: ByRole::default(),
                rare: None,
            },
        }
    }

    /// It was open before the capture began: these bytes come next, and begin with frames.
    pub fn join(&mut self, client: &Held, server: &Held) {
        self.decoders.client.join(client);
        self.decoders.server.join(server);
    }

    /// The opening handshake does not tell whose tunnel this is: its bytes have to.
    pub fn keep_masks(&mut self) {
        self.decoders.client.keep_masks();
    }

    /// The masking keys, where they are kept.
    pub fn masks(&self) -> Option<Masks> {
        self.decoders.client.masks()
    }

    /// The stream that `role` sends goes on.
    #[inline]
    pub fn handle<L: TunnelListener>(
        &mut self,
        role: Role,
        event: StreamEvent<'_>,
        moment: Moment,
        limits: &Limits,
        scratch: &mut Scratch,
        listener: &mut L,
    ) {
        let when = When::new(self.both.opened, moment);
        if self.decoders[role.peer()].is_over() {
            self.both.goes_on();
        }
        let decoder = &mut self.decoders[role];
        let mut hearing = Hearing { role, both: &mut self.both, limits, listener };
        match event {
            StreamEvent::Data(bytes) => {
                hearing.both.byte(role, when);
                decoder.handle(bytes, when, scratch, &mut hearing);
            }
            StreamEvent::Gap(bytes, cause) => {
                hearing.both.byte(role, when);
                match cause.is_exact() {
                    true => decoder.gap(bytes, when, scratch, &mut hearing),
                    false => decoder.lose_place(bytes, when, scratch, &mut hearing),
                }
            }
            StreamEvent::Finished | StreamEvent::Reset => decoder.finish(when.base, scratch, &mut hearing),
        }
    }

    /// Nothing more comes.
    pub fn finish<L: TunnelListener>(&mut self, limits: &Limits, scratch: &mut Scratch, listener: &mut L) {
        let opened = self.both.opened;
        for role in Role::BOTH {
            let mut hearing = Hearing { role, both: &mut self.both, limits, listener };
            self.decoders[role].finish(opened, scratch, &mut hearing);
        }
    }

    /// The last byte in either direction.
    pub fn last_byte(&self) -> Option<Moment> {
        self.both.last_byte.moment(self.both.opened)
    }

    /// The last byte in either direction before one side ended, where the other went on.
    pub fn last_before_end(&self) -> Option<Moment> {
        self.both.rare.as_ref()?.last_before_end.moment(self.both.opened)
    }

    /// What `role` sent so far: how many bytes, and when its last frame began.
    pub fn sent(&self, role: Role) -> (u64, Option<Timestamp>) {
        let decoder = &self.decoders[role];
        (decoder.bytes(), decoder.last_frame(self.both.opened).map(|moment| moment.at))
    }

    /// When it was opened.
    pub fn opened(&self) -> Moment {
        self.both.opened
    }

    /// The first Close frame of this side.
    pub fn close(&self, role: Role) -> Option<&Close> {
        self.both.rare.as_ref()?.closes[role].as_ref()
    }

    /// Who sent the first Close frame.
    pub fn first_close(&self) -> Option<Role> {
        self.both.rare.as_ref()?.first_close
    }

    /// All that is known.
    pub fn facts(&self) -> Tunnel {
        *self.facts_in(Box::default())
    }

    /// All that is known, in room that is there: what stands in it is written over.
    pub fn facts_in(&self, mut room: Box<Tunnel>) -> Box<Tunnel> {
        let Tunnel { mut sides, .. } = *room;
        Role::BOTH.into_iter().for_each(|role| *sides[role] = self.direction(role));
        *room = Tunnel {
            sides,
            first_close: self.first_close(),
            handshake_seen: self.decoders.client.handshake_seen(),
            opened: self.both.opened,
            last_byte: self.last_byte(),
            last_before_end: self.last_before_end(),
            longest_idle: Duration::from_nanos(self.both.longest_idle),
            last_silence: self.both.last_silence(),
            frame_with_answer: self.both.rare.as_ref().is_some_and(|rare| rare.frame_with_answer),
        };
        room
    }

    fn direction(&self, role: Role) -> Direction {
        let mut frames = self.decoders[role].facts(self.both.opened);
        // The decoder counts a frame at its header. One that never came to its end was not sent: it is told of apart.
        if let Some(open) = frames.open_frame {
            frames.frames.uncount(open.opcode);
        }
        Direction {
            frames: frames.frames,
            messages: frames.messages,
            close: self.close(role).cloned(),
            pings: self.both.pings[role].as_ref().map(|pings| pings.facts()).unwrap_or_default(),
            violations: frames.violations,
            first_frame: frames.first_data,
            last_frame: frames.last_frame,
            last_message: frames.last_data,
            largest_frame: frames.largest_frame,
            largest_message: frames.largest_message,
            open_frame: frames.open_frame,
            open_message: frames.open_message,
            lost_bytes: frames.lost_bytes,
            bytes: frames.bytes,
            first_bytes: crate::http::text::text(&frames.first_bytes).into(),
            heartbeats: self.both.heartbeats(role),
            longest_silence: frames.longest_silence,
            masks: frames.masks,
        }
    }
}

impl Both {
    #[inline]
    fn byte(&mut self, role: Role, when: When) {
        let (last, at) = (self.last_byte, when.later);
        if !last.is_some() {
            if role == Role::Server && when.moment.packet == self.opened.packet {
                self.rare().frame_with_answer = true;
            }
            self.last_byte = at;
            return;
        }
        let silence = u64::try_from(at.nanos() - last.nanos()).unwrap_or(0);
        self.longest_idle = self.longest_idle.max(silence);
        if silence >= SILENCE {
            (self.silence, self.silent_until) = (silence, at);
        }
        if at.is_behind(last) {
            self.last_byte = at;
        }
    }

    /// One side has ended, and the other has more to say.
    #[cold]
    fn goes_on(&mut self) {
        let last = self.last_byte;
        let before = &mut self.rare().last_before_end;
        if !before.is_some() {
            *before = last;
        }
    }

    fn last_silence(&self) -> Option<(Duration, Moment)> {
        Some((Duration::from_nanos(self.silence), self.silent_until.moment(self.opened)?))
    }

    fn heartbeats(&self, role: Role) -> Heartbeats {
        self.rare.as_ref().and_then(|rare| rare.heartbeats[role].as_deref().copied()).unwrap_or_default()
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

/// A decoder's listener: what concerns both directions is noted, the rest passed on.
struct Hearing<'a, L> {
    role: Role,
    both: &'a mut Both,
    limits: &'a Limits,
    listener: &'a mut L,
}

impl<L: TunnelListener> FrameListener for Hearing<'_, L> {
    fn preview(&self) -> usize {
        self.listener.preview()
    }

    fn control(&mut self, control: Control<'_>) {
        match control.opcode {
            Opcode::PING => {
                let pings = self.both.pings[self.role].get_or_insert_default();
                pings.ping(control.payload, control.moment, self.limits.pings_waiting);
            }
            Opcode::PONG => {
                let pings = self.both.pings[self.role.peer()].get_or_insert_default();
                pings.pong(control.payload, control.moment, self.limits.pings_waiting);
            }
            Opcode::CLOSE if self.both.rare().closes[self.role].is_none() => {
                let close = read_close(&control);
                self.listener.close(self.role, &close);
                let rare = self.both.rare();
                rare.first_close.get_or_insert(self.role);
                rare.closes[self.role] = Some(close);
            }
            _ => {}
        }
        self.listener.control(self.role, &control);
    }

    #[inline]
    fn message(&mut self, message: Message<'_>) {
        if message.opcode == Opcode::TEXT
            && !message.truncated
            && message.preview.len() <= crate::ws::message::SHORT_TEXT
            && let Some(beat) = heartbeat::recognise(self.role, message.preview)
        {
            let beats = self.both.rare().heartbeats[self.role].get_or_insert_default();
            beats.protocol.get_or_insert(beat.protocol);
            beats.count = beats.count.saturating_add(1);
            beats.first.get_or_insert(message.moment);
            beats.last = Some(message.moment);
        }
        self.listener.message(self.role, &message);
    }
}

/// RFC 6455 §5.5.1: two bytes of code, then the reason; or nothing at all.
fn read_close(control: &Control<'_>) -> Close {
    let (code, reason) = match control.payload {
        [high, low, reason @ ..] => (Some(u16::from_be_bytes([*high, *low])), reason),
        _ => (None, &[][..]),
    };
    Close { code, reason: crate::http::text::text(reason).into(), moment: control.moment }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_websocket_is_small() {
        assert_eq!(size_of::<TunnelState>(), 256);
    }
}
