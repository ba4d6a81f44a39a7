//! The seam between transport and what is spoken over it.
//!
//! TCP makes [`StreamEvent`]s; TLS with secrets and HTTP/2 map streams to streams; HTTP/1 and WebSocket read them.

use std::ops::{Index, IndexMut};

/// Who opened the transport connection: TCP's word for the two ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// Sent the SYN, or is taken for it.
    Originator,
    /// Answered it.
    Responder,
}

impl Side {
    /// Both, originator first.
    pub const BOTH: [Side; 2] = [Side::Originator, Side::Responder];

    /// The other end.
    #[inline]
    pub const fn peer(self) -> Side {
        match self {
            Side::Originator => Side::Responder,
            Side::Responder => Side::Originator,
        }
    }
}

/// Who asks and who serves: the application protocol's word for the two ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Sends the request.
    Client,
    /// Answers it.
    Server,
}

impl Role {
    /// Both, client first.
    pub const BOTH: [Role; 2] = [Role::Client, Role::Server];

    /// The other end.
    #[inline]
    pub const fn peer(self) -> Role {
        match self {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        }
    }

    /// `client` or `server`.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Server => "server",
        }
    }
}

/// One thing for each end of a connection, by [`Side`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pair<T> {
    /// Of the end that sent the SYN.
    pub originator: T,
    /// Of the other end.
    pub responder: T,
}

impl<T> Index<Side> for Pair<T> {
    type Output = T;
    #[inline]
    fn index(&self, side: Side) -> &T {
        match side {
            Side::Originator => &self.originator,
            Side::Responder => &self.responder,
        }
    }
}

impl<T> IndexMut<Side> for Pair<T> {
    #[inline]
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Originator => &mut self.originator,
            Side::Responder => &mut self.responder,
        }
    }
}

/// One thing for each end of a dialogue, by [`Role`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ByRole<T> {
    /// Of the client, or from it.
    pub client: T,
    /// Of the server, or from it.
    pub server: T,
}

impl<T> Index<Role> for ByRole<T> {
    type Output = T;
    #[inline]
    fn index(&self, role: Role) -> &T {
        match role {
            Role::Client => &self.client,
            Role::Server => &self.server,
        }
    }
}

impl<T> IndexMut<Role> for ByRole<T> {
    #[inline]
    fn index_mut(&mut self, role: Role) -> &mut T {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }
}

/// Why bytes of a stream are missing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GapCause {
    /// The receiver acknowledged them, the capture never saw them.
    NotCaptured,
    /// The packet was captured, the snap length cut these bytes off.
    Cut,
    /// They may still come, but more was held for them than the limits allow.
    GivenUp,
    /// How many bytes were in encrypted records that went unread, or in frames of one stream of several that were not
    /// found, is an estimate: what comes behind stands at no known place.
    Estimated,
}

impl GapCause {
    /// Whether exactly so many bytes are missing as is said.
    pub const fn is_exact(self) -> bool {
        !matches!(self, GapCause::Estimated)
    }
}

/// What happens on one direction of a transport connection, in order of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamEvent<'a> {
    /// The next bytes. Never empty.
    Data(&'a [u8]),
    /// So many bytes are missing here; about so many where [`GapCause::is_exact`] says no. Never zero.
    Gap(u64, GapCause),
    /// The sender has said that nothing more comes (FIN), and all before it has been delivered.
    Finished,
    /// The sender has ended the connection at once (RST).
    Reset,
}
