//! Connections that were open before the capture began: are they WebSockets, and which side is the client?

use crate::packet::Moment;
use crate::stream::{GapCause, Pair, Role, Side, StreamEvent};
use crate::ws::resync::{Held, Search};

/// Evidence, in bits, that both sides together have to show when both talk.
const TOGETHER: u32 = 40;
/// Of these, what each side has to show at least: more than one header.
const EACH: u32 = 10;
/// Evidence that one side has to show on its own when the other is silent, or not captured.
const ALONE: u32 = 48;
/// Evidence that a client has to show when its server talks and shows none.
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

    /// What `side` did next.
    pub fn follow(&mut self, side: Side, event: StreamEvent<'_>, moment: Moment) -> Judgement {
        match event {
            StreamEvent::Data(bytes) => self.handle(side, bytes, moment),
            StreamEvent::Gap(bytes, cause) => {
                self.gap(side, bytes, cause);
                Judgement::Undecided
            }
            StreamEvent::Finished | StreamEvent::Reset => self.finish(),
        }
    }

    /// `side` sent these bytes, in one packet.
    pub fn handle(&mut self, side: Side, bytes: &[u8], moment: Moment) -> Judgement {
        self.segments = self.segments.saturating_add(1);
        self.searches[side].add(bytes, moment);
        self.recognised(1).unwrap_or_else(|| {
            let candidates = Side::BOTH.into_iter().any(|side| self.searches[side].evidence().is_some());
            let patience = if candidates { LONG_PATIENCE } else { PATIENCE };
            if self.segments >= patience { Judgement::Other } else { Judgement::Undecided }
        })
    }

    /// So many bytes of `side` are missing here.
    pub fn gap(&mut self, side: Side, bytes: u64, cause: GapCause) {
        match cause.is_exact() {
            true => self.searches[side].gap(bytes),
            false => self.searches[side].lose_place(bytes),
        }
    }

    /// The judgement when nothing more comes. Masked frames are so unlike anything else that half the evidence is enough.
    pub fn finish(&self) -> Judgement {
        self.recognised(2).unwrap_or(Judgement::Other)
    }

    /// The bytes of both sides from the first credible frame on: for [`Decoder::join`](crate::ws::Decoder::join).
    pub fn into_held(mut self) -> Pair<Held> {
        Pair { originator: self.searches.originator.take_best(), responder: self.searches.responder.take_best() }
    }

    /// Whether there is enough evidence, or a part of that (the `share`-th) where there are masked frames.
    fn recognised(&self, share: u32) -> Option<Judgement> {
        Side::BOTH.into_iter().find_map(|client| {
            let sent = self.evidence(client, Role::Client);
            let answered = self.evidence(client.peer(), Role::Server);
            let enough = match (sent, answered) {
                (0, 0) => false,
                (alone, 0) if self.searches[client.peer()].has_begun() => alone >= AGAINST / share,
                (alone, 0) => alone >= ALONE / share,
                // A header without a mask is not much. A client that talks has to show that it masks.
                (0, alone) => alone >= ALONE && !self.searches[client].has_begun(),
                (sent, answered) => sent.min(answered) >= EACH && sent + answered >= TOGETHER / share,
            };
            enough.then_some(Judgement::WebSocket { client })
        })
    }

    /// What speaks for `side` being the one that plays `role`.
    fn evidence(&self, side: Side, role: Role) -> u32 {
        match self.searches[side].evidence() {
            Some((sender, bits)) if sender == role => bits,
            _ => 0,
        }
    }
}
