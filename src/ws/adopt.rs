//! Connections that were open before the capture began: are they WebSockets, and which side is the client?

use crate::packet::Moment;
use crate::stream::{Pair, Role, Side};
use crate::ws::resync::{Held, Search};

/// Evidence, in bits, that both sides together have to show when both talk.
const TOGETHER: u32 = 40;
/// Of these, what each side has to show at least: more than one header.
const EACH: u32 = 10;
/// Evidence that one side has to show on its own when the other is silent, or not captured.
const ALONE: u32 = 48;
/// Evidence that it has to show when the other talks and shows none.
const AGAINST: u32 = 96;

/// Segments after which a connection without any candidate is no WebSocket.
const PATIENCE: u32 = 64;
/// Segments after which a connection is given up that has candidates, but never a convincing one.
const LONG_PATIENCE: u32 = 512;

/// What is thought of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// More has to be seen.
    Undecided,
    /// It is no WebSocket, or looks so little like one that it is not worth waiting.
    Other,
    /// It is a WebSocket, and this side is its client.
    WebSocket {
        /// The side whose frames are masked.
        client: Side,
    },
}

/// Watches a connection whose beginning was not captured.
#[derive(Clone, Debug)]
pub struct Adoption {
    searches: Pair<Search>,
    segments: u32,
}

impl Default for Adoption {
    fn default() -> Adoption {
        // Compression is taken to be possible; that a frame begins inside a segment is not looked for.
        let search = || Search::new(None, true, false);
        Adoption { searches: Pair { originator: search(), responder: search() }, segments: 0 }
    }
}

impl Adoption {
    /// Nothing seen yet.
    pub fn new() -> Adoption {
        Adoption::default()
    }

    /// `side` sent these bytes, in one packet.
    pub fn handle(&mut self, side: Side, bytes: &[u8], moment: Moment) -> Judgement {
        self.segments = self.segments.saturating_add(1);
        self.searches[side].add(bytes, moment);
        self.judge()
    }

    /// So many bytes of `side` are missing here.
    pub fn gap(&mut self, side: Side, bytes: u64) {
        self.searches[side].gap(bytes);
    }

    /// The bytes of both sides from the first credible frame on, each for [`Decoder::adopt`](crate::ws::Decoder::adopt).
    pub fn into_held(mut self) -> Pair<Held> {
        Pair { originator: self.searches.originator.take_best(), responder: self.searches.responder.take_best() }
    }

    fn judge(&self) -> Judgement {
        for client in Side::BOTH {
            let sent = self.evidence(client, Role::Client);
            let answered = self.evidence(client.peer(), Role::Server);
            let enough = match (sent, answered) {
                (0, 0) => continue,
                (alone, 0) => alone >= self.needed_against(client.peer()),
                (0, alone) => alone >= self.needed_against(client),
                (sent, answered) => sent.min(answered) >= EACH && sent + answered >= TOGETHER,
            };
            if enough {
                return Judgement::WebSocket { client };
            }
        }
        let candidates = Side::BOTH.into_iter().any(|side| self.searches[side].evidence().is_some());
        let patience = if candidates { LONG_PATIENCE } else { PATIENCE };
        if self.segments >= patience { Judgement::Other } else { Judgement::Undecided }
    }

    /// What speaks for `side` being the one that plays `role`.
    fn evidence(&self, side: Side, role: Role) -> u32 {
        match self.searches[side].evidence() {
            Some((sender, bits)) if sender == role => bits,
            _ => 0,
        }
    }

    /// What one side has to show alone while `other` shows nothing.
    fn needed_against(&self, other: Side) -> u32 {
        if self.searches[other].has_begun() { AGAINST } else { ALONE }
    }
}
