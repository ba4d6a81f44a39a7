//! TCP as a passive observer sees it (RFC 9293): connections, ordered bytes, gaps, ends, timing.
//!
//! [`Table`](table::Table) takes segments, and tells a [`Listener`] what each stream says. It keeps one value of the
//! listener's beside each connection, so that a packet costs one look-up.

mod acknowledgment;
mod assembler;
mod closing;
pub mod connection;
mod deadlines;
mod duplicates;
mod ends;
mod eviction;
pub mod facts;
mod flight;
mod half;
mod handshake;
mod holes;
mod moments;
mod places;
mod reassembly;
mod reception;
pub mod seq;
pub(crate) mod slab;
pub mod state;
pub mod table;
mod trouble;
mod tuple;

pub use connection::Connection;
pub use facts::{ConnectionFacts, End, EndKind, HalfFacts, ZeroWindow};
pub use seq::SeqNumber;
pub use state::State;
pub use table::{Counters, Table};

use crate::packet::Moment;
use crate::stream::{Side, StreamEvent};
use crate::time::Timestamp;

/// The serial number of a connection: in order of first packets, from 1, never used again in one run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ConnectionId(pub u64);

/// Who hears what connections do. `C` is the connection as the table sees it.
///
/// The order for one connection: `opened`, `established`, any number of `stream`, `ended`, `forgotten`. All but `opened`
/// and `forgotten` may be missing. A connection that is joined in mid-stream is `opened` and `established` at once.
pub trait Listener {
    /// What the listener keeps beside each connection.
    type Stream: Default;

    /// The first packet of a connection was seen.
    fn opened(&mut self, connection: &Connection, stream: &mut Self::Stream, moment: Moment);

    /// The handshake is complete (or was before the capture began).
    fn established(&mut self, connection: &Connection, stream: &mut Self::Stream, moment: Moment);

    /// The stream that `side` sends goes on. `moment` is that of the packet which carried the bytes; for bytes that
    /// waited for a hole to fill it is earlier than now.
    fn stream(
        &mut self,
        connection: &Connection,
        stream: &mut Self::Stream,
        side: Side,
        moment: Moment,
        event: StreamEvent<'_>,
    );

    /// Nothing more can come: both sides have finished, one has reset, or the connection was refused.
    fn ended(&mut self, connection: &Connection, stream: &mut Self::Stream, moment: Moment);

    /// The table forgets the connection: some time after its end, when its ports are used again, when room is needed
    /// or when the capture is over. The listener may keep it: its facts stay as
    /// they are.
    fn forgotten(&mut self, connection: Connection, stream: Self::Stream, now: Timestamp);
}
