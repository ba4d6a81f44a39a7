//! What is said on a connection.

use crate::http::first_bytes::FirstBytes;
use crate::http::head::{RequestHead, ResponseHead};
use crate::http::proxy_header::ProxyHeader;
use crate::packet::Moment;
use crate::stream::{Role, StreamEvent};

/// What is said on a connection, in order.
#[derive(Debug)]
pub enum Event<'a> {
    /// A PROXY header came before everything else of the client.
    ProxyHeader(ProxyHeader),
    /// What this side begins with is not HTTP/1: what it looks like, its bytes as far as they were needed to tell, and
    /// the packet that told. Said once; nothing more is told of this side, unless the dialogue was joined in
    /// mid-stream: then a message may still be found.
    NotHttp(Role, FirstBytes, &'a [u8], Moment),
    /// The head of a request.
    Request(Request),
    /// The head of a response.
    Response(Response),
    /// The next bytes of a body, chunked coding undone. Nothing more of a body is told once bytes of it are missing.
    Body(Role, &'a [u8]),
    /// The message whose head came last from this side is complete.
    MessageEnd(Role),
    /// HTTP ends here: the rest of both directions is a tunnel. Comes right behind the response that made it.
    Tunnel(TunnelKind),
    /// What a stream says inside the tunnel, untouched, and the packet that carried it: first what the client sent
    /// before the answer came, then the rest of the segment with the answer, then all that follows, ends included.
    TunnelStream(Role, Moment, StreamEvent<'a>),
    /// A stream ended inside a head.
    IncompleteHead(Role, IncompleteHead),
    /// Where messages of this side begin is lost: bytes are missing, or a length makes no sense. The search goes on
    /// at the beginning of each segment.
    Lost(Role, Moment),
    /// A bound was reached.
    Limit(Role, Bound),
}

/// A request whose head is complete.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number on this connection, from 0.
    pub index: u32,
    /// Its head.
    pub head: RequestHead,
    /// The packet with its first byte.
    pub begun: Moment,
    /// The packet that completed its head.
    pub moment: Moment,
    /// The length of its head on the wire, as far as it was captured.
    pub head_bytes: u32,
    /// Whether the capture lacks a part of the head: a field that is not here may still have been sent.
    pub cut: bool,
}

/// A response whose head is complete.
#[derive(Clone, Debug)]
pub struct Response {
    /// The index of the request that it answers: requests are answered in order (RFC 9112 §9.3.2). `None` when no
    /// request was seen that could be meant.
    pub request: Option<u32>,
    /// Whether it is interim: 1xx, but not 101. The final one follows (RFC 9110 §15.2).
    pub interim: bool,
    /// Its head.
    pub head: ResponseHead,
    /// The packet with its first byte.
    pub begun: Moment,
    /// The packet that completed its head.
    pub moment: Moment,
    /// The length of its head on the wire, as far as it was captured.
    pub head_bytes: u32,
    /// Whether the capture lacks a part of the head: a field that is not here may still have been sent.
    pub cut: bool,
}

/// What made a tunnel of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TunnelKind {
    /// A 101: the protocol of its Upgrade field goes on here (RFC 9110 §7.8).
    Upgrade,
    /// A 2xx to CONNECT: anything may follow, another HTTP dialogue included (RFC 9110 §9.3.6).
    Connect,
}

/// A bound that a dialogue reached.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Bound {
    /// [`Limits::head_bytes`](crate::limits::Limits::head_bytes): the rest of the head is left out.
    HeadBytes,
    /// [`Limits::head_fields`](crate::limits::Limits::head_fields): the rest of the fields is left out.
    HeadFields,
    /// [`Limits::early_bytes`](crate::limits::Limits::early_bytes): the rest counts as missing.
    EarlyBytes,
    /// [`Limits::pipelined_requests`](crate::limits::Limits::pipelined_requests): answers to the rest are not told whose
    /// they are.
    Pipeline,
}

/// A head that did not come to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IncompleteHead {
    /// How many bytes of it came.
    pub bytes: u32,
    /// Its beginning, escaped where it is not UTF-8. Hostile text.
    pub preview: Box<str>,
    /// The packet with its first byte.
    pub begun: Moment,
}
