//! Sessions: one WebSocket as its users see it, made of legs, each on one connection.

pub mod aside;
pub mod closing;
pub mod completed;
pub mod course;
pub mod flow;
pub mod joiner;
pub mod leg;
pub mod liveness;
pub mod neighbours;
pub mod opening;
pub mod over;
pub mod records;
pub mod slab;
pub mod spare;
pub mod tunnel;

pub use leg::{JoinReason, Leg, LegRole, Outcome, SessionId};
pub use neighbours::Neighbours;

use crate::stream::Role;
use crate::time::Timestamp;

/// One WebSocket as its users see it: an attempt that failed included.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its serial number.
    pub id: SessionId,
    /// Its legs, from the client on. Never empty.
    pub legs: Vec<Leg>,
    /// The first packet of its first leg's request, or connection.
    pub start: Timestamp,
    /// The last packet of its legs.
    pub end: Timestamp,
    /// What became of it: of the leg nearest to the client that was captured.
    pub outcome: Outcome,
    /// Who ended it.
    pub ended_by: Option<EndedBy>,
}

impl Session {
    /// The leg nearest to the client.
    pub fn first_leg(&self) -> &Leg {
        &self.legs[0]
    }

    /// Every place where a proxy stands: the leg in front of it and a leg behind it. A proxy that tries one backend after
    /// another stands in several pairs, with the same leg in front. Where it only asked for leave, it passed nothing on.
    pub fn proxies(&self) -> impl Iterator<Item = Proxy<'_>> {
        self.legs.iter().enumerate().filter(|(_, leg)| !leg.is_aside).filter_map(|(back_index, back)| {
            let front_index = back.behind?;
            Some(Proxy { front_index, front: self.legs.get(front_index)?, back_index, back })
        })
    }

    /// The last leg: the one nearest to the backend, the last attempt when there were several.
    pub fn last_leg(&self) -> &Leg {
        &self.legs[self.legs.len() - 1]
    }
}

/// A proxy, by the two legs that meet in it.
#[derive(Clone, Copy, Debug)]
pub struct Proxy<'a> {
    /// The index of the leg in front of it, towards the client.
    pub front_index: usize,
    /// That leg.
    pub front: &'a Leg,
    /// The index of the leg behind it, towards the backend.
    pub back_index: usize,
    /// That leg.
    pub back: &'a Leg,
}

/// Who ended a session, as the contract words it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndedBy {
    /// Who.
    pub who: Who,
    /// By what.
    pub via: Via,
    /// In which phase.
    pub phase: Phase,
    /// How sure that is.
    pub confidence: Confidence,
}

/// A party.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Who {
    /// The client.
    Client,
    /// A proxy between two legs.
    Proxy,
    /// The backend, or the server of a direct session.
    Server,
    /// Nobody at the ends: the path.
    Network,
    /// It cannot be told.
    Unknown,
}

impl Who {
    /// Its word in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Who::Client => "client",
            Who::Proxy => "proxy",
            Who::Server => "server",
            Who::Network => "network",
            Who::Unknown => "unknown",
        }
    }
}

/// The means by which a session was ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Via {
    /// A Close frame.
    CloseFrame,
    /// A FIN.
    Fin,
    /// An RST.
    Rst,
    /// A TLS alert.
    TlsAlert,
    /// An HTTP status.
    HttpStatus,
    /// An HTTP/2 RST_STREAM or GOAWAY.
    H2Reset,
    /// Silence.
    Timeout,
    /// Nothing that was seen.
    None,
}

impl Via {
    /// Its word in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Via::CloseFrame => "close-frame",
            Via::Fin => "fin",
            Via::Rst => "rst",
            Via::TlsAlert => "tls-alert",
            Via::HttpStatus => "http-status",
            Via::H2Reset => "h2-reset",
            Via::Timeout => "timeout",
            Via::None => "none",
        }
    }
}

/// How far a session had come when it ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// TCP was coming up.
    Connect,
    /// TLS was.
    Tls,
    /// The opening handshake was on.
    Opening,
    /// It was open.
    Open,
    /// The closing handshake was on.
    Closing,
}

impl Phase {
    /// Its word in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Connect => "connect",
            Phase::Tls => "tls",
            Phase::Opening => "opening",
            Phase::Open => "open",
            Phase::Closing => "closing",
        }
    }
}

/// How sure a statement is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Confidence {
    /// Only the symptom is visible.
    Low,
    /// A known mechanism matches, alternatives exist.
    Medium,
    /// The wire shows it.
    High,
}

impl Confidence {
    /// Its word in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
    }

    /// One level less sure.
    #[must_use]
    pub const fn lowered(self) -> Confidence {
        match self {
            Confidence::High => Confidence::Medium,
            _ => Confidence::Low,
        }
    }
}

/// A leg of a session together with a role in it: who did something.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Party {
    /// Which leg, from the client on.
    pub leg: usize,
    /// Which end of it.
    pub role: Role,
}
