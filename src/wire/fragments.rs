//! IP fragments, joined (RFC 791 §3.2, RFC 8200 §4.5, RFC 5722).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::bytes::Bytes;
use super::ip::{Datagram, Fragment};
use super::{DissectorCounts, Ignored};
use crate::limits::Limits;
use crate::packet::InterfaceId;
use crate::time::Timestamp;

/// What a held piece costs beside its bytes: a bound on bytes alone would let tiny fragments take any memory.
const PIECE_OVERHEAD: usize = 64;

/// A datagram has 65,535 bytes at most: its length field says no more.
const DATAGRAM_BYTES: usize = 65_535;

/// All datagrams of which some fragments were seen. When a bound is reached the oldest one goes.
#[derive(Debug)]
pub(super) struct FragmentTable {
    datagrams: BTreeMap<Key, Partial>,
    /// The keys of `datagrams`, oldest first.
    by_age: BTreeMap<u64, Key>,
    /// The sum of the costs of `datagrams`.
    cost: usize,
    next_serial: u64,
    counts: DissectorCounts,
    max_datagrams: usize,
    max_cost: usize,
    max_age: Duration,
}

/// What the fragments of one datagram have in common. A capture on all interfaces sees a datagram once on each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// RFC 791 has the protocol in the key; RFC 8200 has not, and there it is 0.
    protocol: u8,
    interface: u32,
}

/// A whole datagram's payload.
pub(super) struct Whole {
    /// What its payload is, as its first fragment says.
    pub(super) protocol: u8,
    /// Its bytes up to the first one that the snap length cut off.
    pub(super) captured: Vec<u8>,
    /// Its length on the wire.
    pub(super) length: usize,
}

impl FragmentTable {
    pub(super) fn new(limits: &Limits) -> FragmentTable {
        FragmentTable {
            datagrams: BTreeMap::new(),
            by_age: BTreeMap::new(),
            cost: 0,
            next_serial: 0,
            counts: DissectorCounts::default(),
            max_datagrams: limits.fragmented_datagrams,
            max_cost: limits.fragment_bytes,
            max_age: limits.fragment_time,
        }
    }

    pub(super) fn counts(&self) -> DissectorCounts {
        self.counts
    }

    /// Fragments that wait.
    pub(super) fn held(&self) -> usize {
        self.datagrams.values().map(|partial| partial.fragments as usize).sum()
    }

    /// Takes a fragment. Gives the datagram when that is whole now, else [`Ignored::Fragment`].
    pub(super) fn handle(
        &mut self,
        datagram: &Datagram<'_>,
        interface: InterfaceId,
        at: Timestamp,
    ) -> Result<Whole, Ignored> {
        self.expire(at);
        let fragment = datagram.fragment.ok_or(Ignored::Malformed)?;
        let length = datagram.payload.length();
        // RFC 8200 §4.5: all but the last are multiples of 8 bytes.
        if length == 0 || fragment.offset + length > DATAGRAM_BYTES || fragment.more && !length.is_multiple_of(8) {
            return Err(Ignored::Malformed);
        }
        let key = Key {
            source: datagram.source,
            destination: datagram.destination,
            id: fragment.id,
            protocol: if datagram.source.is_ipv4() { datagram.protocol } else { 0 },
            interface: interface.0,
        };
        let partial = self.datagrams.entry(key).or_insert_with(|| {
            let serial = self.next_serial;
            self.next_serial += 1;
            self.by_age.insert(serial, key);
            Partial::new(serial, at)
        });
        let cost = partial.cost;
        let added = partial.add(fragment, datagram.protocol, datagram.payload)?;
        self.cost += partial.cost - cost;
        self.counts.fragments_overlapping += u64::from(added == Added::Overlapping);
        if partial.is_whole() {
            self.counts.datagrams_joined += 1;
            return self.remove(key).map(Partial::join).ok_or(Ignored::Malformed);
        }
        while self.datagrams.len() > self.max_datagrams || self.cost > self.max_cost {
            self.counts.fragments_evicted += self.remove_oldest();
        }
        Err(Ignored::Fragment)
    }

    /// Gives up what is older than the time-out.
    fn expire(&mut self, now: Timestamp) {
        while let Some((_, key)) = self.by_age.first_key_value()
            && self.datagrams.get(key).is_none_or(|partial| now.since(partial.begun) > self.max_age)
        {
            self.counts.fragments_expired += self.remove_oldest();
        }
    }

    /// Removes the oldest datagram, and says how many fragments it had.
    fn remove_oldest(&mut self) -> u64 {
        let oldest = self.by_age.pop_first().and_then(|(_, key)| self.remove(key));
        oldest.map_or(0, |partial| u64::from(partial.fragments))
    }

    fn remove(&mut self, key: Key) -> Option<Partial> {
        let partial = self.datagrams.remove(&key)?;
        self.by_age.remove(&partial.serial);
        self.cost -= partial.cost;
        Some(partial)
    }
}

/// A datagram of which some fragments were seen.
#[derive(Debug)]
struct Partial {
    serial: u64,
    begun: Timestamp,
    /// Fragments taken, repeated ones too.
    fragments: u32,
    /// What the payload is; what the fragment at offset 0 says, once that is there.
    protocol: u8,
    /// In order of their offsets; none overlaps another.
    pieces: Vec<Piece>,
    /// Bytes on the wire that the pieces stand for.
    filled: usize,
    /// The length of the whole, once the last fragment is there.
    end: Option<usize>,
    /// What it counts for in the bound on bytes.
    cost: usize,
}

/// A part of a datagram.
#[derive(Debug)]
struct Piece {
    offset: usize,
    /// Its length on the wire.
    length: usize,
    /// The beginning of it that was captured.
    captured: Box<[u8]>,
}

impl Piece {
    fn end(&self) -> usize {
        self.offset + self.length
    }
}

/// How a fragment fitted in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Added {
    Clean,
    Overlapping,
}

impl Partial {
    fn new(serial: u64, begun: Timestamp) -> Partial {
        Partial { serial, begun, fragments: 0, protocol: 0, pieces: Vec::new(), filled: 0, end: None, cost: 0 }
    }

    /// Adds what of a fragment is new. Of bytes that came before the first copy stays. A fragment that contradicts
    /// the end of the datagram is refused.
    fn add(&mut self, fragment: Fragment, protocol: u8, payload: Bytes<'_>) -> Result<Added, Ignored> {
        let (begin, end) = (fragment.offset, fragment.offset + payload.length());
        let reach = self.pieces.last().map_or(0, Piece::end).max(end);
        if self.end.is_some_and(|known| reach > known || !fragment.more && end != known)
            || !fragment.more && reach > end
        {
            return Err(Ignored::Malformed);
        }
        if !fragment.more {
            self.end = Some(end);
        }
        if begin == 0 || self.pieces.is_empty() {
            self.protocol = protocol;
        }
        self.fragments += 1;

        let mut added = Added::Clean;
        let mut from = begin;
        let mut index = self.pieces.partition_point(|piece| piece.end() <= from);
        while from < end {
            let hole_end = self.pieces.get(index).map_or(end, |piece| piece.offset.min(end));
            if from < hole_end {
                let captured = payload.captured();
                let part = captured.get(from - begin..captured.len().min(hole_end - begin)).unwrap_or_default();
                self.insert(index, Piece { offset: from, length: hole_end - from, captured: part.into() });
                index += 1;
            }
            match self.pieces.get(index) {
                Some(piece) if piece.offset < end => {
                    added = Added::Overlapping;
                    from = piece.end();
                    index += 1;
                }
                _ => break,
            }
        }
        Ok(added)
    }

    fn insert(&mut self, index: usize, piece: Piece) {
        self.filled += piece.length;
        self.cost += piece.captured.len() + PIECE_OVERHEAD;
        self.pieces.insert(index, piece);
    }

    fn is_whole(&self) -> bool {
        self.end == Some(self.filled)
    }

    fn join(self) -> Whole {
        let mut captured = Vec::with_capacity(self.filled);
        for piece in &self.pieces {
            captured.extend_from_slice(&piece.captured);
            if piece.captured.len() < piece.length {
                break;
            }
        }
        Whole { protocol: self.protocol, captured, length: self.filled }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{ip4, packet, tcp4, tcp6, udp4};
    use super::super::{Dissected, Dissector, ip};
    use super::*;
    use crate::packet::LinkType;

    /// Cuts a raw IPv4 packet into fragments with so many bytes of payload, a multiple of 8.
    fn fragments4(data: &[u8], bytes: usize) -> Vec<Vec<u8>> {
        let (header, payload) = data.split_at(20);
        let count = payload.len().div_ceil(bytes);
        let fragment = |(index, part): (usize, &[u8])| {
            let more = if index + 1 < count { 0x2000 } else { 0 };
            let mut packet = [header, part].concat();
            let length = packet.len() as u16;
            packet[2..4].copy_from_slice(&length.to_be_bytes());
            packet[6..8].copy_from_slice(&((index * bytes / 8) as u16 | more).to_be_bytes());
            packet
        };
        payload.chunks(bytes).enumerate().map(fragment).collect()
    }

    /// The same for a raw IPv6 packet.
    fn fragments6(data: &[u8], bytes: usize) -> Vec<Vec<u8>> {
        let (header, payload) = data.split_at(40);
        let count = payload.len().div_ceil(bytes);
        let fragment = |(index, part): (usize, &[u8])| {
            let place = (index * bytes) as u16 | u16::from(index + 1 < count);
            let mut packet = [header, &[header[6], 0], &place.to_be_bytes(), &[0, 0, 0, 7], part].concat();
            let length = (packet.len() - 40) as u16;
            packet[4..6].copy_from_slice(&length.to_be_bytes());
            packet[6] = 44;
            packet
        };
        payload.chunks(bytes).enumerate().map(fragment).collect()
    }

    /// The payload of the segment that a packet completes.
    fn payload_of(dissector: &mut Dissector, data: &[u8]) -> Result<Vec<u8>, Ignored> {
        match dissector.dissect(&packet(LinkType::RAW, data)) {
            Dissected::Tcp(segment) => {
                assert_eq!(segment.payload_length as usize, segment.payload.len());
                Ok(segment.payload.to_vec())
            }
            Dissected::Ignored(ignored) => Err(ignored),
            other => panic!("{other:?}"),
        }
    }

    fn numbered(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index % 251) as u8).collect()
    }

    proptest! {
        #[test]
        fn any_order_and_any_repetition_give_the_same_bytes(
            (length, bytes) in (100usize..3000, 1usize..40),
            order in prop::collection::vec(any::<prop::sample::Index>(), 400),
        ) {
            let payload = numbered(length);
            for fragments in [fragments4(&tcp4(&payload), bytes * 8), fragments6(&tcp6(&payload), bytes * 8)] {
                if fragments.len() < 2 {
                    continue;
                }
                let mut dissector = Dissector::new(&Limits::default());
                let mut seen = vec![false; fragments.len()];
                let picks = order.iter().map(|index| index.index(fragments.len())).chain(0..fragments.len());
                for pick in picks {
                    seen[pick] = true;
                    let found = payload_of(&mut dissector, &fragments[pick]);
                    if seen.iter().all(|&seen| seen) {
                        prop_assert_eq!(found, Ok(payload.clone()));
                        break;
                    }
                    prop_assert_eq!(found, Err(Ignored::Fragment));
                }
                prop_assert_eq!(dissector.counts().datagrams_joined, 1);
                prop_assert_eq!(dissector.fragments_held(), 0);
            }
        }
    }

    #[test]
    fn of_overlapping_fragments_the_first_copy_stays() {
        let whole = tcp4(&numbered(100));
        let parts = fragments4(&whole, 40);
        let mut dissector = Dissector::new(&Limits::default());
        // Bytes 24 to 64 of 120, all wrong but the 16 in the middle that nothing else says.
        let mut wide = parts[0][..20].to_vec();
        wide[2..4].copy_from_slice(&60u16.to_be_bytes());
        wide[6..8].copy_from_slice(&(0x2000 | 3u16).to_be_bytes());
        wide.extend_from_slice(&[0xEE; 40]);
        assert_eq!(payload_of(&mut dissector, &parts[0]), Err(Ignored::Fragment));
        assert_eq!(payload_of(&mut dissector, &parts[2]), Err(Ignored::Fragment));
        assert_eq!(payload_of(&mut dissector, &wide), Err(Ignored::Fragment));
        let mut expected = numbered(100);
        expected[20..44].fill(0xEE);
        assert_eq!(payload_of(&mut dissector, &parts[1]), Ok(expected));
        assert_eq!(dissector.counts().fragments_overlapping, 2);
    }

    #[test]
    fn the_two_ends_of_a_datagram_cannot_differ() {
        let whole = tcp4(&numbered(100));
        let parts = fragments4(&whole, 40);
        let mut dissector = Dissector::new(&Limits::default());
        let mut early_end = parts[1].clone();
        early_end[6] = 0;
        assert_eq!(payload_of(&mut dissector, &parts[2]), Err(Ignored::Fragment));
        assert_eq!(payload_of(&mut dissector, &early_end), Err(Ignored::Malformed));
        assert_eq!(payload_of(&mut dissector, &parts[0]), Err(Ignored::Fragment));
        assert_eq!(payload_of(&mut dissector, &parts[1]), Ok(numbered(100)));
    }

    #[test]
    fn a_datagram_longer_than_its_length_field_can_say_is_malformed() {
        let mut last = ip4(ip::TCP, &[0; 16]);
        last[6..8].copy_from_slice(&0x1FFFu16.to_be_bytes());
        assert_eq!(payload_of(&mut Dissector::new(&Limits::default()), &last), Err(Ignored::Malformed));
    }

    #[test]
    fn a_cut_fragment_shortens_what_was_captured_and_not_the_length() {
        let whole = tcp4(&numbered(100));
        let parts = fragments4(&whole, 40);
        let mut dissector = Dissector::new(&Limits::default());
        let mut cut = packet(LinkType::RAW, &parts[1]);
        cut.data = &parts[1][..30];
        assert!(matches!(dissector.dissect(&cut), Dissected::Ignored(Ignored::Fragment)));
        dissector.dissect(&packet(LinkType::RAW, &parts[0]));
        match dissector.dissect(&packet(LinkType::RAW, &parts[2])) {
            Dissected::Tcp(segment) => {
                assert_eq!((segment.payload, segment.payload_length), (&numbered(30)[..], 100));
            }
            other => panic!("{other:?}"),
        };
    }

    #[test]
    fn a_fragmented_datagram_in_a_fragmented_tunnel() {
        let mut dissector = Dissector::new(&Limits::default());
        let inner = fragments4(&tcp4(&numbered(100)), 64);
        let mut found = Err(Ignored::Fragment);
        for part in inner {
            let frame = super::super::samples::ethernet(&[], &part);
            let outer = udp4(30000, 4789, &[&[8, 0, 0, 0, 0, 0, 42, 0], &frame[..]].concat());
            for part in fragments4(&outer, 48) {
                assert_eq!(found, Err(Ignored::Fragment));
                found = payload_of(&mut dissector, &part);
            }
        }
        assert_eq!(found, Ok(numbered(100)));
        assert_eq!(dissector.counts().datagrams_joined, 3);
    }

    /// First fragments of different datagrams, that is of different identifications.
    fn first_fragment(id: u16) -> Vec<u8> {
        let mut part = fragments4(&tcp4(&numbered(100)), 40).swap_remove(0);
        part[4..6].copy_from_slice(&id.to_be_bytes());
        part
    }

    #[test]
    fn bounds_hold_and_what_they_cost_is_counted() {
        let few = Limits { fragmented_datagrams: 3, ..Limits::default() };
        let small = Limits { fragment_bytes: 3 * (40 + PIECE_OVERHEAD), ..Limits::default() };
        for limits in [few, small] {
            let mut dissector = Dissector::new(&limits);
            for id in 0..100 {
                assert_eq!(payload_of(&mut dissector, &first_fragment(id)), Err(Ignored::Fragment));
            }
            assert_eq!(dissector.fragments_held(), 3);
            assert_eq!(dissector.counts().fragments_evicted, 97);
        }
    }

    #[test]
    fn a_datagram_does_not_wait_for_ever() {
        let limits = Limits::default();
        let mut dissector = Dissector::new(&limits);
        let parts = fragments4(&tcp4(&numbered(100)), 64);
        let at = |seconds| Timestamp::from_parts(seconds, 0);
        for (time, part) in [(at(1), &parts[0]), (at(32), &parts[1])] {
            let late = crate::packet::Packet { at: time, ..packet(LinkType::RAW, part) };
            assert!(matches!(dissector.dissect(&late), Dissected::Ignored(Ignored::Fragment)));
        }
        assert_eq!((dissector.counts().fragments_expired, dissector.fragments_held()), (1, 1));
    }
}
