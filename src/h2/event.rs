//! What is said on an HTTP/2 connection.

use crate::h2::frame::{ErrorCode, StreamId};
use crate::http;
use crate::packet::Moment;
use crate::stream::{Role, StreamEvent};

/// What is said on a connection, in order.
#[derive(Debug)]
pub enum Event<'a> {
    /// The head of a request.
    Request(StreamId, http::Request),
    /// The head of a response.
    Response(StreamId, http::Response),
    /// The next bytes of the body of a response.
    Body(StreamId, &'a [u8]),
    /// The response was a success, and the request an extended CONNECT: this stream is a WebSocket from here on.
    Tunnel(StreamId),
    /// What the tunnel carries: first what the client sent before the answer came.
    TunnelStream(StreamId, Role, Moment, StreamEvent<'a>),
    /// Bytes on a stream whose beginning was not captured.
    Unknown(StreamId, Role, Moment, StreamEvent<'a>),
    /// This side ended a stream.
    End(StreamId, Role, StreamEnd, Moment),
    /// This side was not allowed to send any more on a stream from one packet to another: the peer took nothing.
    Stalled(StreamId, Role, Stall),
    /// A bound was reached.
    Limit(Bound),
}

/// How a stream was ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StreamEnd {
    /// END_STREAM: the sender has said everything.
    EndStream,
    /// RST_STREAM.
    Reset(ErrorCode),
    /// GOAWAY: the connection is in error, or the stream was not begun.
    GoAway(ErrorCode),
}

/// A time in which flow control let nothing pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stall {
    /// The packet that used the window up.
    pub since: Moment,
    /// The one that opened it; `None` when none did.
    pub until: Option<Moment>,
}

/// A bound that was reached.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Bound {
    /// [`Limits::head_bytes`](crate::limits::Limits::head_bytes): the rest of a head is left out.
    HeadBytes,
    /// [`Limits::head_fields`](crate::limits::Limits::head_fields): likewise.
    HeadFields,
    /// [`Limits::early_bytes`](crate::limits::Limits::early_bytes): the rest counts as missing.
    EarlyBytes,
    /// [`Limits::h2_streams`](crate::limits::Limits::h2_streams): the oldest stream is not followed any more.
    Streams,
    /// [`Limits::h2_table_bytes`](crate::limits::Limits::h2_table_bytes): fields that refer to older entries are not seen.
    TableBytes,
}

impl Bound {
    /// What the summary calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Bound::HeadBytes => "bytes of a head",
            Bound::HeadFields => "fields of a head",
            Bound::EarlyBytes => "bytes before the answer",
            Bound::Streams => "streams of an HTTP/2 connection",
            Bound::TableBytes => "bytes of an HPACK table",
        }
    }
}
