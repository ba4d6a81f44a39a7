//! A leg: one WebSocket, or one attempt at one, on one connection; and what is known of it.

mod coverage;
mod end;
mod tunnel;

pub use self::coverage::Counted;
pub use self::end::{EndOf, LegEnd};
pub use self::tunnel::{Direction, Heartbeats, Pings, Tunnel};

use crate::http::handshake::{Answer, Offer};
use crate::http::head::{RequestHead, ResponseHead};
pub use crate::http::{FirstBytes, ProxyHeader};
use crate::packet::Moment;
use crate::stream::{ByRole, Role, Side};
use crate::tcp::facts::{End, ZeroWindow};
use crate::tcp::{ConnectionFacts, ConnectionId, EndKind};
pub use crate::tls::facts::{Certificate, TlsAlert, TlsFacts};
use crate::wire::Endpoint;
pub use crate::ws::facts::HeartbeatProtocol;

/// A session's serial number, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SessionId(pub u64);

/// Where a leg lies on the way from client to backend.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum LegRole {
    /// No proxy was seen.
    #[default]
    Direct,
    /// From the client to the first proxy.
    ClientProxy,
    /// Between two proxies.
    ProxyProxy,
    /// From the last proxy to the backend.
    ProxyBackend,
}

impl LegRole {
    /// Its word in every output.
    pub const fn name(self) -> &'static str {
        match self {
            LegRole::Direct => "direct",
            LegRole::ClientProxy => "client-proxy",
            LegRole::ProxyProxy => "proxy-proxy",
            LegRole::ProxyBackend => "proxy-backend",
        }
    }
}

/// What ties a leg to the one before it, most certain first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum JoinReason {
    /// The same Sec-WebSocket-Key.
    Key,
    /// A PROXY header names the client leg's addresses.
    ProxyHeader,
    /// The same request id field.
    RequestId,
    /// The same bytes in the tunnel.
    TunnelBytes,
    /// Record sizes of an encrypted leg that add up to the plain leg's bytes.
    RecordSizes,
    /// The same target, or X-Forwarded-For, while the client's leg waited.
    Request,
    /// A connection, or an attempt at one, from the proxy while the client's leg waited.
    Time,
}

impl JoinReason {
    /// Its word in every output.
    pub const fn name(self) -> &'static str {
        match self {
            JoinReason::Key => "key",
            JoinReason::ProxyHeader => "proxy-header",
            JoinReason::RequestId => "request-id",
            JoinReason::TunnelBytes => "tunnel-bytes",
            JoinReason::RecordSizes => "record-sizes",
            JoinReason::Request => "request",
            JoinReason::Time => "time",
        }
    }
}

/// What became of a leg, and of a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// Still open when the capture ended.
    Open,
    /// The closing handshake was complete.
    Closed,
    /// Established, ended without one.
    Aborted,
    /// Answered with something other than a valid 101.
    Rejected,
    /// No answer to the request.
    Unanswered,
    /// TCP or TLS never came up.
    Unreachable,
    /// TLS without keys: nothing above it is known.
    Encrypted,
}

impl Outcome {
    /// Its word in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Open => "open",
            Outcome::Closed => "closed",
            Outcome::Aborted => "aborted",
            Outcome::Rejected => "rejected",
            Outcome::Unanswered => "unanswered",
            Outcome::Unreachable => "unreachable",
            Outcome::Encrypted => "encrypted",
        }
    }
}

/// A request as a leg saw it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its head.
    pub head: RequestHead,
    /// What it offers.
    pub offer: Offer,
    /// The packet with its first byte.
    pub begun: Moment,
    /// The packet that completed its head.
    pub moment: Moment,
    /// Whether the capture lacks a part of the head: a field that is not here may still have been sent.
    pub cut: bool,
}

/// A response as a leg saw it.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its head.
    pub head: ResponseHead,
    /// What it agrees to.
    pub answer: Answer,
    /// The packet with its first byte.
    pub begun: Moment,
    /// The packet that completed its head.
    pub moment: Moment,
    /// The beginning of its body, escaped where it is not UTF-8. Hostile text.
    pub body: Box<str>,
    /// The length of its head on the wire.
    pub head_bytes: u32,
    /// Whether the capture lacks a part of the head: a field that is not here may still have been sent.
    pub cut: bool,
}

/// What an HTTP/2 connection and stream say about a leg that runs on them (RFC 9113, RFC 8441).
#[derive(Clone, Debug, Default)]
pub struct H2Facts {
    /// The stream.
    pub stream_id: u32,
    /// Whether the server's SETTINGS have ENABLE_CONNECT_PROTOCOL set to 1 (RFC 8441 §3); `None` when they were not seen.
    pub connect_protocol_enabled: Option<bool>,
    /// The RST_STREAM or GOAWAY that ended the stream: who, the error code, where.
    pub reset: Option<(Role, u32, Moment)>,
    /// Whether that was a GOAWAY.
    pub by_goaway: bool,
    /// Whether frames were looked for although no answer that opens a WebSocket was captured.
    pub probed: bool,
    /// The END_STREAM of each side, which stands for a FIN (RFC 8441 §5).
    pub finished: ByRole<Option<Moment>>,
    /// How long flow control let nothing of the peer pass: by the side that kept its window shut.
    pub zero_window: ByRole<ZeroWindow>,
}

impl H2Facts {
    /// How the stream was ended, in order: END_STREAM as a FIN, RST_STREAM as an RST (RFC 8441 §5).
    pub fn ends(&self) -> impl Iterator<Item = LegEnd> + '_ {
        let end = |by, kind, of, moment| LegEnd { by, kind, of, moment };
        let finished = |by| self.finished[by].map(|moment| end(by, EndKind::Fin, EndOf::Stream, moment));
        let mut finished = [finished(Role::Client), finished(Role::Server)];
        finished.sort_by_key(|end| end.map(|end| end.moment));
        let of = if self.by_goaway { EndOf::Streams } else { EndOf::Stream };
        let reset = self.reset.map(|(by, _, moment)| end(by, EndKind::Rst, of, moment));
        finished.into_iter().flatten().chain(reset)
    }
}

/// One leg.
#[derive(Clone, Debug)]
pub struct Leg {
    /// The connection that carries it.
    pub connection: ConnectionId,
    /// Which side of the connection the client is.
    pub client_side: Side,
    /// The client's endpoint.
    pub client: Endpoint,
    /// The server's endpoint.
    pub server: Endpoint,
    /// Where it lies.
    pub role: LegRole,
    /// The index of the leg in front of it, towards the client; `None` for the first one. Legs with the same one in front
    /// are attempts of one proxy.
    pub behind: Option<usize>,
    /// What ties it to the leg in front.
    pub joined_by: Option<JoinReason>,
    /// Whether the proxy in front asked another service here for leave to pass the request on, or gave it a copy.
    pub is_aside: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// A PROXY header in front.
    pub proxy_header: Option<ProxyHeader>,
    /// What each side began with.
    pub first_bytes: ByRole<Option<FirstBytes>>,
    /// The opening handshake's request, or the request that stands for it on a leg where the upgrade is gone.
    pub request: Option<Box<Request>>,
    /// Requests on the same connection before this one: it was reused.
    pub earlier_requests: u32,
    /// A request head that never ended: how many bytes of it came, and its beginning.
    pub incomplete_request: Option<(u32, Box<str>)>,
    /// The answer.
    pub response: Option<Box<Response>>,
    /// What came from the server where an answer should be, when it is not HTTP: its beginning, escaped.
    pub odd_answer: Option<Box<str>>,
    /// The WebSocket.
    pub tunnel: Option<Box<Tunnel>>,
    /// TLS on this leg.
    pub tls: Option<Box<TlsFacts>>,
    /// HTTP/2 on this leg.
    pub h2: Option<Box<H2Facts>>,
    /// TCP on this leg.
    pub tcp: ConnectionFacts,
}

impl Leg {
    /// A leg of which only its connection is known: the client is taken to have opened it.
    #[inline]
    pub fn new(tcp: ConnectionFacts) -> Leg {
        Leg {
            connection: tcp.id,
            client_side: Side::Originator,
            client: tcp.endpoints.originator,
            server: tcp.endpoints.responder,
            role: LegRole::Direct,
            behind: None,
            joined_by: None,
            is_aside: false,
            outcome: Outcome::Open,
            proxy_header: None,
            first_bytes: ByRole::default(),
            request: None,
            earlier_requests: 0,
            incomplete_request: None,
            response: None,
            odd_answer: None,
            tunnel: None,
            tls: None,
            h2: None,
            tcp,
        }
    }

    /// The side that plays `role`.
    pub fn side(&self, role: Role) -> Side {
        match role {
            Role::Client => self.client_side,
            Role::Server => self.client_side.peer(),
        }
    }

    /// The role that `side` plays.
    pub fn role_of(&self, side: Side) -> Role {
        if side == self.client_side { Role::Client } else { Role::Server }
    }

    /// The endpoint of `role`.
    pub fn endpoint(&self, role: Role) -> Endpoint {
        match role {
            Role::Client => self.client,
            Role::Server => self.server,
        }
    }

    /// What TCP knows of what `role` sent.
    pub fn half(&self, role: Role) -> &crate::tcp::HalfFacts {
        &self.tcp.halves[self.side(role)]
    }

    /// How long `role` would not take more: its TCP window, or on HTTP/2 that of the stream, whichever was shut longer.
    pub fn zero_window(&self, role: Role) -> ZeroWindow {
        let tcp = self.half(role).zero_window;
        match self.h2.as_deref().map(|h2| h2.zero_window[role]) {
            Some(stream) if stream.longest > tcp.longest || (stream.open && !tcp.open) => stream,
            _ => tcp,
        }
    }

    /// FINs and RSTs in order of capture, and among them what ended the stream, where the leg is one of HTTP/2.
    pub fn ends(&self) -> impl Iterator<Item = LegEnd> + '_ {
        let with_stream = self.h2.as_deref().map(|h2| {
            let mut ends: Vec<LegEnd> = h2.ends().chain(self.tcp_ends()).collect();
            ends.sort_by_key(|end| end.moment);
            ends
        });
        let of_tcp = if with_stream.is_none() { &self.tcp.ends[..] } else { &[] };
        with_stream.into_iter().flatten().chain(of_tcp.iter().map(|end| self.end_of_tcp(end)))
    }

    /// FINs and RSTs of the connection.
    pub fn tcp_ends(&self) -> impl Iterator<Item = LegEnd> + '_ {
        self.tcp.ends.iter().map(|end| self.end_of_tcp(end))
    }

    fn end_of_tcp(&self, end: &End) -> LegEnd {
        LegEnd { by: self.role_of(end.side), kind: end.kind, of: EndOf::Connection, moment: end.moment }
    }

    /// The first FIN or RST; or the close_notify that a FIN only answers, where it could be read or is known by its shape.
    pub fn first_end(&self) -> Option<LegEnd> {
        match self.h2 {
            Some(_) => self.ends().next(),
            None => self.close_notify().or_else(|| self.tcp_ends().next()),
        }
    }

    /// The close_notify that the first FIN only answers, where it could be read.
    pub fn close_notify(&self) -> Option<LegEnd> {
        self.tcp.ends.first().and_then(|end| self.close_notify_before(end))
    }

    /// What made the sender of this FIN end the connection: its peer had ended TLS before.
    fn close_notify_before(&self, fin: &End) -> Option<LegEnd> {
        let by = self.role_of(fin.side).peer();
        // By its shape, two bytes, it could be an empty frame of a server; those of a client are longer (RFC 6455 §5.1).
        let known = |tls: &&TlsFacts| tls.decrypted_by.is_some() || by == Role::Client;
        let tls = self.tls.as_deref().filter(|_| fin.kind == EndKind::Fin).filter(known)?;
        let left = |role: Role| tls.close_notify[role].filter(|notify| *notify < fin.moment);
        let moment = left(by).filter(|notify| left(by.peer()).is_none_or(|own| *notify < own))?;
        Some(LegEnd { by, kind: EndKind::Fin, of: EndOf::Tls, moment })
    }

    /// The status of the answer.
    pub fn status(&self) -> Option<u16> {
        self.response.as_deref().map(|response| response.head.status)
    }

    /// Whether the server said anything behind the request that may belong to its answer. On HTTP/2 and in TLS what is not
    /// read as one belongs to something else.
    pub fn answer_begun(&self) -> bool {
        let asked = self.request.as_deref().map(|request| request.moment);
        let spoke = || self.half(Role::Server).last_data.is_some_and(|last| asked.is_none_or(|asked| last > asked));
        let plain = self.tls.is_none() && self.h2.is_none();
        self.response.is_some() || self.odd_answer.is_some() || (plain && spoke())
    }

    /// Whether the answer ended inside its head.
    pub fn answer_broke_off(&self) -> bool {
        self.response.is_none() && self.odd_answer.as_deref().is_some_and(|odd| odd.starts_with("HTTP/1."))
    }

    /// Whether something stands where an answer should be that is none, nor the beginning of one.
    pub fn answer_is_alien(&self) -> bool {
        let other = self.tls.is_none() && self.first_bytes.server.is_some_and(|kind| kind != FirstBytes::Http);
        self.response.is_none() && !self.answer_broke_off() && (other || self.odd_answer.is_some())
    }

    /// When its request was answered, or its connection ended without an answer. `None` while who asked waits.
    pub fn settled(&self) -> Option<Moment> {
        let answered = self.response.as_deref().map(|response| response.moment);
        answered.or_else(|| self.first_end().map(|end| end.moment))
    }

    /// Whether what is said above TLS could be read without a hole, or there is no TLS.
    pub fn is_readable(&self) -> bool {
        let whole = |tls: &TlsFacts| Role::BOTH.into_iter().all(|role| tls.unread_bytes[role] == 0);
        self.tls.as_deref().is_none_or(|tls| tls.decrypted_by.is_some() && whole(tls))
    }

    /// Whether a WebSocket was established here, or was open before the capture began.
    pub fn is_established(&self) -> bool {
        self.tunnel.is_some()
    }

    /// The last payload byte of either side, retransmissions aside.
    pub fn last_data(&self) -> Option<Moment> {
        self.tcp.halves.originator.last_data.max(self.tcp.halves.responder.last_data)
    }
}
