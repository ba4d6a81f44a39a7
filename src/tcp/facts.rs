//! What is known of a TCP connection, for those who judge it.

use std::time::Duration;

use crate::packet::Moment;
use crate::stream::{Pair, Side};
use crate::tcp::ConnectionId;
use crate::wire::{Endpoint, IcmpError};

/// All facts of one connection, copied out of the table.
#[derive(Clone, Debug)]
pub struct ConnectionFacts {
    /// Its serial number.
    pub id: ConnectionId,
    /// Its two ends.
    pub endpoints: Pair<Endpoint>,
    /// The first packet of it.
    pub first: Moment,
    /// The last packet of it.
    pub last: Moment,
    /// The first SYN; `None` when the capture began later.
    pub syn: Option<Moment>,
    /// How often the SYN was sent again.
    pub syn_retransmissions: u32,
    /// The first SYN-ACK.
    pub syn_ack: Option<Moment>,
    /// The end of the handshake as seen: the first ACK of the SYN-ACK.
    pub established: Option<Moment>,
    /// The RST that answered the SYN.
    pub refused: Option<Moment>,
    /// ICMP errors that quote this connection, the first four.
    pub icmp: Vec<IcmpError>,
    /// FINs and RSTs in order of capture, the first of each kind a side.
    pub ends: Vec<End>,
    /// What each side sent and how that went.
    pub halves: Pair<HalfFacts>,
}

impl ConnectionFacts {
    /// The facts of a connection before anything is known of it.
    pub fn nothing(id: ConnectionId, endpoints: Pair<Endpoint>, first: Moment) -> ConnectionFacts {
        ConnectionFacts {
            id,
            endpoints,
            first,
            last: first,
            syn: None,
            syn_retransmissions: 0,
            syn_ack: None,
            established: None,
            refused: None,
            icmp: Vec::new(),
            ends: Vec::new(),
            halves: Pair::default(),
        }
    }

    /// Whether the handshake, or the middle of a connection, was seen.
    pub fn came_up(&self) -> bool {
        self.syn.is_none() || self.syn_ack.is_some() || self.established.is_some()
    }

    /// The side that never appears in the capture although the other one talks, if there is one.
    pub fn unseen_side(&self) -> Option<Side> {
        Side::BOTH.into_iter().find(|&side| self.halves[side].packets == 0 && self.halves[side.peer()].packets > 0)
    }

    /// From SYN to SYN-ACK.
    pub fn handshake_rtt(&self) -> Option<Duration> {
        Some(self.syn_ack?.at.since(self.syn?.at))
    }
}

/// How one side ended its stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EndKind {
    /// It has sent everything.
    Fin,
    /// It has given the connection up.
    Rst,
}

/// A FIN or an RST.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// Who sent it.
    pub side: Side,
    /// Which of the two.
    pub kind: EndKind,
    /// When, and in which packet.
    pub moment: Moment,
    /// Its IP time to live. A forged reset often differs from its supposed sender's other packets.
    pub ttl: u8,
    /// Its IPv4 identification.
    pub ip_id: u16,
}

/// What one side of a connection sent, and how that went.
#[derive(Clone, Debug, Default)]
pub struct HalfFacts {
    /// Packets seen from this side, without those that the capture holds twice.
    pub packets: u64,
    /// Payload bytes, each counted once, gaps included.
    pub bytes: u64,
    /// Of these, acknowledged by the peer.
    pub acknowledged: u64,
    /// The first packet with payload.
    pub first_data: Option<Moment>,
    /// The last packet with new payload: retransmissions, keep-alives and probes do not count.
    pub last_data: Option<Moment>,
    /// Segments that repeat bytes already seen, or bring missing ones later than disorder explains.
    pub retransmissions: u32,
    /// Segments that waited for bytes which belong ahead of them and came later.
    pub out_of_order: u32,
    /// Packets that the capture holds twice.
    pub duplicates: u32,
    /// Keep-alive probes: at most one byte, one before the next expected.
    pub keep_alives: u32,
    /// Segments that repeat bytes with another content. The first copy is believed. Only bytes that wait for a hole to
    /// fill can be compared: what was delivered is not kept.
    pub conflicts: u32,
    /// Segments that came too late: for a gap that was already told, or behind the end of the stream.
    pub late: u32,
    /// Bytes that the capture lacks: they were acknowledged, or given up waiting for.
    pub gap_bytes: u64,
    /// Bytes that the snap length cut off.
    pub cut_bytes: u64,
    /// When this side sent the oldest bytes that were never acknowledged, if there are any at the end.
    pub unacknowledged_since: Option<Moment>,
    /// Times that the oldest unacknowledged bytes were sent again without any answer at all, at the end.
    pub unanswered_retransmissions: u32,
    /// The longest time from the first sending of some bytes to the retransmission that got through.
    pub longest_recovery: Duration,
    /// When this side would not take more: its own window at zero.
    pub zero_window: ZeroWindow,
    /// The maximum segment size that this side named.
    pub mss: Option<u16>,
    /// The largest payload of one segment that was acknowledged; by SACK, the largest block.
    pub largest_acknowledged: u32,
    /// The largest payload of one segment that was sent again at least twice and never acknowledged.
    pub largest_lost: u32,
    /// How often that one was sent again.
    pub largest_lost_times: u32,
    /// The usual IP time to live of this side's packets.
    pub ttl: Option<u8>,
}

impl HalfFacts {
    /// Whether bytes of this side are missing from the capture, by loss or by the snap length.
    pub fn has_holes(&self) -> bool {
        self.gap_bytes > 0 || self.cut_bytes > 0
    }
}

/// How long a receiver kept its window shut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ZeroWindow {
    /// How often it shut it.
    pub count: u32,
    /// How long in all.
    pub total: Duration,
    /// The longest time at once.
    pub longest: Duration,
    /// The first packet that said zero.
    pub first: Option<Moment>,
    /// Whether it was still shut at the end.
    pub open: bool,
}
