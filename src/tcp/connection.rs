//! A connection as the table keeps it: 216 bytes while all is well.
//!
//! What is rare stands in boxes of its own, and moments are relative to the first one.

use std::fmt;

use crate::packet::{Later, Moment};
use crate::stream::{Pair, Side};
use crate::tcp::ConnectionId;
use crate::tcp::facts::{ConnectionFacts, End, EndKind, HalfFacts};
use crate::tcp::flight::Flights;
use crate::tcp::half::Half;
use crate::tcp::moments::Early;
use crate::tcp::trouble::{Rare, Trouble};
use crate::tcp::tuple::{Key, Tuple};
use crate::wire::Endpoint;

/// A connection that is being followed.
#[repr(C)] // what every packet touches comes first, in as few cache lines as may be
pub struct Connection {
    tuple: Tuple,
    last: Later,
    flags: u32,
    first: Moment,
    pub(super) rare: Option<Box<Rare>>,
    pub(super) flights: Option<Box<Flights>>,
    pub(super) halves: Pair<Half>,
    id: ConnectionId,
    marks: [Early; 4],
}

/// A moment that comes once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    SynAck,
    Established,
    FirstData(Side),
}

impl Mark {
    fn index(self) -> usize {
        match self {
            Mark::SynAck => 0,
            Mark::Established => 1,
            Mark::FirstData(Side::Originator) => 2,
            Mark::FirstData(Side::Responder) => 3,
        }
    }
}

impl Connection {
    /// The originator is the higher endpoint of the tuple.
    const ORIGINATOR_HIGHER: u32 = 1;
    /// The first packet was the SYN.
    pub(super) const SYN_FIRST: u32 = 1 << 1;
    /// The handshake is complete, or was before the capture began.
    pub(super) const UP: u32 = 1 << 2;
    /// Nothing more can come.
    pub(super) const ENDED: u32 = 1 << 3;
    /// The SYN was answered by an RST.
    pub(super) const REFUSED: u32 = 1 << 4;

    /// A connection of which nothing is known but its endpoints.
    pub(super) fn new(id: ConnectionId, key: Key, originator_is_lower: bool, first: Moment) -> Connection {
        Connection {
            halves: Pair { originator: Half::NEW, responder: Half::NEW },
            id,
            first,
            last: Later::new(first, first),
            flags: if originator_is_lower { 0 } else { Self::ORIGINATOR_HIGHER },
            tuple: Tuple::new(key),
            rare: None,
            flights: None,
            marks: [Early::NONE; 4],
        }
    }

    /// Its serial number.
    #[inline]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// One of its ends.
    pub fn endpoint(&self, side: Side) -> Endpoint {
        self.tuple.endpoint((side == Side::Originator) != self.is(Self::ORIGINATOR_HIGHER))
    }

    /// Whether the capture saw its SYN or SYN-ACK.
    pub fn syn_seen(&self) -> bool {
        self.halves.originator.is(Half::SYN) || self.halves.responder.is(Half::SYN)
    }

    /// Whether it came up, as far as was seen.
    pub fn established_seen(&self) -> bool {
        self.is(Self::UP)
    }

    /// Whether nothing more can come.
    pub fn has_ended(&self) -> bool {
        self.is(Self::ENDED)
    }

    /// Its first packet.
    pub fn first(&self) -> Moment {
        self.first
    }

    /// Its last packet.
    pub fn last(&self) -> Moment {
        self.last.moment(self.first).unwrap_or(self.first)
    }

    /// How far the stream of `side` was delivered, gaps included.
    pub fn bytes(&self, side: Side) -> u64 {
        self.halves[side].bytes
    }

    /// The last packet with new payload from `side`.
    pub fn last_data(&self, side: Side) -> Option<Moment> {
        self.halves[side].last_data.moment(self.first)
    }

    /// FINs and RSTs in order of capture, the first of each kind a side.
    pub fn ends(&self) -> impl Iterator<Item = End> + '_ {
        (0..).map_while(|index| self.rare.as_ref()?.ends.at(index, self.first))
    }

    /// All that is known of it.
    pub fn facts(&self) -> ConnectionFacts {
        let odd = self.rare.as_deref().and_then(|rare| rare.odd.as_deref());
        let refusal = || self.ends().find(|end| end.kind == EndKind::Rst);
        ConnectionFacts {
            id: self.id,
            endpoints: Pair { originator: self.endpoint(Side::Originator), responder: self.endpoint(Side::Responder) },
            first: self.first,
            last: self.last(),
            syn: if self.is(Self::SYN_FIRST) { Some(self.first) } else { odd.and_then(|odd| odd.syn) },
            syn_retransmissions: odd.map_or(0, |odd| odd.syn_retransmissions),
            syn_ack: self.mark(Mark::SynAck),
            established: self.mark(Mark::Established),
            refused: self.is(Self::REFUSED).then(refusal).flatten().map(|end| end.moment),
            icmp: odd.map_or_else(Vec::new, |odd| odd.icmp.clone()),
            ends: self.ends().collect(),
            halves: Pair { originator: self.half_facts(Side::Originator), responder: self.half_facts(Side::Responder) },
        }
    }

    fn half_facts(&self, side: Side) -> HalfFacts {
        let half = &self.halves[side];
        let smooth = HalfFacts {
            packets: half.packets.into(),
            bytes: half.bytes,
            acknowledged: self.acknowledged(side),
            first_data: self.mark(Mark::FirstData(side)),
            last_data: self.last_data(side),
            unacknowledged_since: (half.outstanding() > 0).then(|| self.first_sent(side, half.acked)).flatten(),
            mss: (half.mss > 0).then_some(half.mss),
            largest_acknowledged: half.largest_acknowledged,
            ttl: (half.ttl_votes > 0 || half.ttl > 0).then_some(half.ttl),
            ..HalfFacts::default()
        };
        let Some(trouble) = self.trouble(side) else { return smooth };
        let (largest_lost, largest_lost_times) = trouble.largest_lost();
        HalfFacts {
            packets: u64::from(trouble.packets_carry) << 32 | smooth.packets,
            retransmissions: trouble.retransmissions,
            out_of_order: trouble.out_of_order,
            duplicates: trouble.duplicates,
            keep_alives: trouble.keep_alives,
            conflicts: trouble.conflicts,
            late: trouble.late,
            gap_bytes: trouble.gap_bytes,
            cut_bytes: trouble.cut_bytes,
            unanswered_retransmissions: trouble.unanswered,
            longest_recovery: trouble.longest_recovery,
            zero_window: trouble.zero_window(half.is(Half::SHUT), self.last().at),
            largest_lost,
            largest_lost_times,
            ..smooth
        }
    }

    /// Bytes of `side` that its peer has acknowledged.
    fn acknowledged(&self, side: Side) -> u64 {
        let half = &self.halves[side];
        if half.is(Half::ACKED) { half.bytes.saturating_sub(u64::from(half.outstanding())) } else { 0 }
    }

    /// When the outstanding byte at `seq` was first sent.
    pub(super) fn first_sent(&self, side: Side, seq: crate::tcp::SeqNumber) -> Option<Moment> {
        match self.flights.as_deref().map(|flights| &flights[side]).filter(|flight| !flight.is_empty()) {
            Some(flight) => flight.sent(seq, self.first),
            None => self.last_data(side),
        }
    }

    #[inline]
    pub(super) fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether it is up, and nothing rare is known of it.
    #[inline]
    pub(super) fn is_well(&self) -> bool {
        self.flags & (Self::UP | Self::ENDED) == Self::UP && self.rare.is_none()
    }

    pub(super) fn set(&mut self, flag: u32) {
        self.flags |= flag;
    }

    /// A packet of it was seen.
    #[inline]
    pub(super) fn touch(&mut self, moment: Moment) {
        self.last = self.packed(moment);
    }

    #[inline]
    pub(super) fn packed(&self, moment: Moment) -> Later {
        Later::new(self.first, moment)
    }

    /// Which side sent a segment whose source is the lower endpoint, or is not.
    #[inline]
    pub(super) fn side(&self, source_is_lower: bool) -> Side {
        if source_is_lower != self.is(Self::ORIGINATOR_HIGHER) { Side::Originator } else { Side::Responder }
    }

    /// Whether it is between the endpoints of this key.
    #[inline]
    pub(super) fn is_between(&self, key: &Key) -> bool {
        self.tuple.is(key)
    }

    pub(super) fn key(&self) -> Key {
        self.tuple.key()
    }

    /// The last packet, packed.
    #[inline]
    pub(super) fn last_packed(&self) -> Later {
        self.last
    }

    pub(super) fn mark(&self, mark: Mark) -> Option<Moment> {
        self.marks[mark.index()].moment(self.first).or_else(|| {
            let late = self.rare.as_ref()?.odd.as_ref()?.marks.iter().find(|(known, _)| *known == mark)?;
            Some(late.1)
        })
    }

    /// Notes a moment the first time.
    pub(super) fn set_mark(&mut self, mark: Mark, moment: Moment) {
        if self.mark(mark).is_some() {
            return;
        }
        match Early::new(self.first, moment) {
            Some(early) => self.marks[mark.index()] = early,
            None => self.rare_mut().odd_mut().marks.push((mark, moment)),
        }
    }

    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    #[inline]
    pub(super) fn trouble(&self, side: Side) -> Option<&Trouble> {
        self.rare.as_ref()?.halves[side].as_deref()
    }

    /// Whether something of this side waits for a hole to fill.
    #[inline]
    pub(super) fn is_waiting(&self, side: Side) -> bool {
        self.trouble(side).is_some_and(|trouble| trouble.first_waiting().is_some())
    }

    pub(super) fn trouble_mut(&mut self, side: Side) -> &mut Trouble {
        self.rare_mut().halves[side].get_or_insert_default()
    }

    /// Whether a side has ended so.
    pub(super) fn has_end(&self, side: Side, kind: EndKind) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.ends.has(side, kind))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (originator, responder) = (self.endpoint(Side::Originator), self.endpoint(Side::Responder));
        write!(f, "#{} {originator} > {responder}", self.id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_small() {
        assert_eq!(size_of::<Connection>(), 216);
    }
}
