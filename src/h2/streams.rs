//! The streams of a connection that are not over.

use std::collections::BTreeMap;

use crate::h2::frame::StreamId;
use crate::http::early::Early;
use crate::stream::ByRole;

/// A stream while it is followed.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) kind: Kind,
    /// Which sides have said END_STREAM.
    pub(super) ended: ByRole<bool>,
}

/// What is known of a stream.
#[derive(Debug)]
pub(super) enum Kind {
    /// The request was seen, its final answer was not.
    Asked(Box<Asked>),
    /// It was answered, and not with a tunnel.
    Answered,
    /// It is a WebSocket.
    Tunnel,
    /// Its beginning is missing.
    Unknown,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) index: u32,
    /// Whether it is an extended CONNECT for a WebSocket (RFC 8441 §4).
    pub(super) extended_connect: bool,
    /// What the client sent behind that.
    pub(super) early: Early,
}

/// All streams, within a bound.
#[derive(Debug)]
pub(super) struct Streams {
    streams: BTreeMap<StreamId, Stream>,
    most: usize,
}

impl Streams {
    pub(super) fn new(most: usize) -> Streams {
        Streams { streams: BTreeMap::new(), most: most.max(1) }
    }

    pub(super) fn find(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.streams.get_mut(&id)
    }

    /// A new stream. Returns the one that had to give way: the oldest that is no tunnel, if there is one.
    pub(super) fn open(&mut self, id: StreamId, kind: Kind) -> Option<StreamId> {
        let evicted = if self.streams.len() >= self.most { self.oldest() } else { None };
        if let Some(evicted) = evicted {
            self.streams.remove(&evicted);
        }
        self.streams.insert(id, Stream { kind, ended: ByRole::default() });
        evicted
    }

    fn oldest(&self) -> Option<StreamId> {
        let plain = self.streams.iter().find(|(_, stream)| !matches!(stream.kind, Kind::Tunnel));
        plain.or(self.streams.first_key_value()).map(|(&id, _)| id)
    }

    pub(super) fn close(&mut self, id: StreamId) -> Option<Stream> {
        self.streams.remove(&id)
    }

    /// Streams that carry, or may carry, a WebSocket, and requests that wait for their answer.
    pub(super) fn tunnels(&self) -> Vec<StreamId> {
        let open = |stream: &Stream| matches!(stream.kind, Kind::Tunnel | Kind::Unknown);
        self.streams.iter().filter(|(_, stream)| open(stream)).map(|(&id, _)| id).collect()
    }

    /// All that are open.
    pub(super) fn ids(&self) -> Vec<StreamId> {
        self.streams.keys().copied().collect()
    }
}
