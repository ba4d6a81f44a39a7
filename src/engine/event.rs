//! What the engine tells while it works, and who listens.

use std::io;
use std::time::Duration;

use crate::diagnosis::{Diagnosis, GroupFinding};
use crate::packet::{Moment, Packet};
use crate::session::leg::{LegEnd, Request, Response};
use crate::session::{JoinReason, Session, SessionId};
use crate::stream::Role;
use crate::time::Timestamp;
use crate::wire::{Endpoint, Ignored};

/// Where on which session something happens.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The session. Legs that are joined later take the id of the session nearer to the client.
    pub session: SessionId,
    /// The leg's client.
    pub client: Endpoint,
    /// The leg's server.
    pub server: Endpoint,
    /// The index of the leg in its session as far as is known now, from the client on.
    pub leg: usize,
}

/// The kind of a message or control frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MessageKind {
    /// Text.
    Text,
    /// Binary.
    Binary,
    /// Ping.
    Ping,
    /// Pong.
    Pong,
    /// Close.
    Close,
}

impl MessageKind {
    /// Its word in every output.
    pub const fn name(self) -> &'static str {
        match self {
            MessageKind::Text => "text",
            MessageKind::Binary => "binary",
            MessageKind::Ping => "ping",
            MessageKind::Pong => "pong",
            MessageKind::Close => "close",
        }
    }
}

/// A whole message, or a control frame.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Which kind.
    pub kind: MessageKind,
    /// The packet that completed it.
    pub moment: Moment,
    /// Application bytes after inflation.
    pub bytes: u64,
    /// Whether it was compressed on the wire.
    pub compressed: bool,
    /// Frames that it was made of.
    pub fragments: u32,
    /// Its beginning, unmasked and inflated. Bytes that the capture lacks are `?`.
    pub preview: &'a [u8],
    /// Whether the preview stands for more bytes than it has.
    pub truncated: bool,
    /// Whether bytes of it are missing from the capture.
    pub holes: bool,
}

/// What happens. Borrowed: a sink copies what it keeps.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A request that asks for a WebSocket, or what a proxy made of one.
    Request(Place, &'a Request),
    /// Its answer.
    Response(Place, Option<&'a Request>, &'a Response),
    /// A message or a control frame. Only with [`Wants::messages`].
    Message(Place, Role, Message<'a>),
    /// A Close frame: code and reason.
    Close(Place, Role, Moment, Option<u16>, &'a str),
    /// A connection of a session, or a stream of one, was ended by one side.
    End(Place, LegEnd),
    /// A connection for a session could not be opened.
    Unreachable(Place, Moment),
    /// A WebSocket that was open before the capture began was recognised.
    Adopted(Place, Moment),
    /// Live, a connection that nobody can read has come to look like a WebSocket: what is known of it. When it is over a
    /// session of that number follows, unless it turned out to be a leg of another one.
    Encrypted(&'a Session),
    /// The legs of `from` are legs of `into` from now on.
    Joined {
        /** The session that goes on. */
        into: SessionId,
        /** The one that ends. */
        from: SessionId,
        /** Why. */
        reason: JoinReason,
    },
    /// A session is over, or the capture is: the whole of it, and the judgement.
    Session(&'a Session, &'a Diagnosis),
    /// A judgement on several sessions.
    Finding(&'a GroupFinding),
    /// A bound was reached for the first time: which, in words.
    Limit(&'static str, Timestamp),
    /// The end.
    Summary(&'a Summary),
}

/// What a sink wants to hear, so that the engine need not make the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wants {
    /// [`Event::Message`] for every message and control frame.
    pub messages: bool,
    /// All events that come before a session is over.
    pub progress: bool,
}

/// Who listens to the engine.
pub trait Sink {
    /// What to make events of. Asked once.
    fn wants(&self) -> Wants;

    /// Something happened. An error ends the run: a closed pipe among them.
    fn event(&mut self, event: &Event<'_>) -> io::Result<()>;

    /// A packet that belongs to a session or may still do: for those who write packets.
    fn packet(&mut self, _packet: &Packet<'_>) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn wants(&self) -> Wants {
        (**self).wants()
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        (**self).event(event)
    }

    fn packet(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        (**self).packet(packet)
    }
}

/// Why packets or connections were left aside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IgnoredCounts {
    /// Packets: not IP.
    pub not_ip: u64,
    /// Packets: IP, not TCP.
    pub not_tcp: u64,
    /// Packets: headers cut off by the snap length.
    pub cut: u64,
    /// Packets: headers that contradict themselves.
    pub malformed: u64,
    /// Packets: of a link type that is not known.
    pub unknown_link: u64,
    /// Packets: fragments whose datagram never became whole.
    pub fragments: u64,
    /// Packets that the capture holds twice.
    pub duplicates: u64,
    /// Connections that carried no WebSocket.
    pub not_websocket: u64,
    /// Bytes of connections that the snap length cut off, and with them what would show a WebSocket.
    pub cut_bytes: u64,
    /// Packets that a filter did not select.
    pub filtered: u64,
}

impl IgnoredCounts {
    /// One more packet was left aside, for this reason. A fragment may become part of a whole datagram yet.
    pub(super) fn count(&mut self, reason: Ignored) {
        match reason {
            Ignored::NotIp => self.not_ip += 1,
            Ignored::NotTcp => self.not_tcp += 1,
            Ignored::CutHeader => self.cut += 1,
            Ignored::Malformed => self.malformed += 1,
            Ignored::UnknownLink => self.unknown_link += 1,
            Ignored::Fragment => {}
        }
    }
}

/// What was lost, and by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Loss {
    /// Packets dropped by the kernel; live only.
    pub kernel: u64,
    /// Packets dropped by the interface; live only.
    pub interface: u64,
    /// Packets and pieces dropped here because a bound was reached.
    pub wsflow: u64,
    /// Bytes of TCP streams that the capture lacks.
    pub gap_bytes: u64,
}

/// The whole run in numbers.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Packets read.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// TCP connections seen.
    pub connections: u64,
    /// Sessions by the name of their outcome, in the order of [`crate::session::Outcome`].
    pub sessions: Vec<(&'static str, u64)>,
    /// Findings by id, in the order of the rules.
    pub findings: Vec<(&'static str, u64)>,
    /// The worst severity of all findings.
    pub worst: Option<crate::diagnosis::Severity>,
    /// What was left aside.
    pub ignored: IgnoredCounts,
    /// What was lost.
    pub loss: Loss,
    /// Bounds that were reached at the cost of something in the capture: which, how often. Their sum is in `loss`.
    pub limits: Vec<(&'static str, u64)>,
    /// What sessions are compared with, or joined to, and what made room for newer of its kind: a long run forgets.
    pub forgotten: Vec<(&'static str, u64)>,
    /// The first packet.
    pub first: Option<Timestamp>,
    /// The last one.
    pub last: Option<Timestamp>,
    /// The time from the first to the last packet.
    pub duration: Duration,
}
