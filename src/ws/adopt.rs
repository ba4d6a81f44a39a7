//! Connections that were open before the capture began: are they WebSockets, and which side is the client?

use crate::packet::Moment;
use crate::stream::{Pair, Role, Side};

/// What is thought of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// More has to be seen.
    Undecided,
    /// It is no WebSocket, or looks so little like one that nobody should wait any longer.
    Other,
    /// It is a WebSocket, and this side is its client.
    WebSocket {
        /// The side whose frames are masked.
        client: Side,
    },
}

/// The bytes of one side that were held while it was undecided.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The packets, with where their bytes end in `bytes`.
    pub packets: Vec<(Moment, usize)>,
    /// The bytes, from the first credible frame on.
    pub bytes: Vec<u8>,
    /// Bytes that came before.
    pub lost: u64,
}

impl Held {
    /// The held bytes, packet by packet, for [`Decoder::handle`](crate::ws::Decoder::handle).
    pub fn pieces(&self) -> impl Iterator<Item = (Moment, &[u8])> {
        let mut start = 0;
        self.packets.iter().map(move |&(moment, end)| {
            let piece = &self.bytes[start..end];
            start = end;
            (moment, piece)
        })
    }
}

/// Watches a connection whose beginning was not captured.
#[derive(Clone, Debug, Default)]
pub struct Adoption {
    held: Pair<Held>,
}

impl Adoption {
    /// Nothing seen yet.
    pub fn new() -> Adoption {
        Adoption::default()
    }

    /// `side` sent these bytes, in one packet.
    pub fn handle(&mut self, _side: Side, _bytes: &[u8], _moment: Moment) -> Judgement {
        Judgement::Undecided
    }

    /// So many bytes of `side` are missing here.
    pub fn gap(&mut self, _side: Side, _bytes: u64) {}

    /// What the judgement is now that nothing more comes: with less evidence than in the middle of a stream.
    pub fn finish(&mut self) -> Judgement {
        Judgement::Other
    }

    /// The bytes of both sides that were held, for the decoders; the role of the originator.
    pub fn into_held(self, client: Side) -> (Pair<Held>, Role) {
        (self.held, if client == Side::Originator { Role::Client } else { Role::Server })
    }
}
