//! Telling a packet that the capture holds twice from one that was sent twice.
//!
//! On the `any` device, a bridge, a router, or both sides of a VLAN the same packet is captured more than once, within
//! moments and perhaps with another TTL. A retransmission has another IP identification, or another TCP timestamp, or
//! comes later.

use crate::time::Timestamp;
use crate::wire::{Flags, Segment};

/// What makes a packet this packet, in six bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Fingerprint {
    digest: u32,
    at: u16,
}

impl Fingerprint {
    /// One tick of `at` is 2^20 ns, about a millisecond; it wraps after 69 seconds.
    const TICK_BITS: u32 = 20;

    /// Two captures of one packet are at most this far apart: about 4 ms. Retransmission timers are longer.
    const TOLERANCE: u16 = 4;

    #[inline]
    pub(super) fn of(segment: &Segment<'_>) -> Fingerprint {
        let numbers = u64::from(segment.seq.0) << 32 | u64::from(segment.ack.0);
        let rest = u64::from(segment.payload_length) << 32 | u64::from(segment.window) << 16 | u64::from(segment.ip_id);
        let mut digest = mix(numbers ^ 0x9E37_79B9_7F4A_7C15, rest ^ u64::from(segment.flags.0) << 56);
        // A zero identification says nothing: it is IPv6, or a sender that never fragments (RFC 6864 §4.1).
        if segment.ip_id == 0 {
            digest = mix_options(digest, segment);
        }
        Fingerprint { digest: ((digest ^ digest >> 32) as u32).max(1), at: ticks(segment.moment.at) }
    }

    /// Whether these are two captures of one packet.
    #[inline]
    pub(super) fn matches(self, other: Fingerprint) -> bool {
        self.digest == other.digest && {
            let apart = self.at.wrapping_sub(other.at);
            apart.min(apart.wrapping_neg()) <= Self::TOLERANCE
        }
    }
}

#[inline]
fn ticks(at: Timestamp) -> u16 {
    (at.as_nanos() >> Fingerprint::TICK_BITS) as u16
}

/// A router may change the MSS of a SYN on its way through, so that of a SYN only the timestamp counts.
#[cold]
fn mix_options(digest: u64, segment: &Segment<'_>) -> u64 {
    if segment.flags.has(Flags::SYN) {
        return mix(digest, segment.options().timestamp.map_or(1, |value| u64::from(value) << 1));
    }
    segment.raw_options.chunks(8).fold(digest, |digest, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(digest, u64::from_le_bytes(word))
    })
}

#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0xA076_1D64_78BD_642F) * u128::from(b ^ 0xE703_7ED1_A0B4_28DB);
    product as u64 ^ (product >> 64) as u64
}

/// The last two packets of a half: enough for the order A B A B.
#[derive(Clone, Copy)]
pub(super) struct Recent {
    digests: [u32; 2],
    ticks: [u16; 2],
}

impl Recent {
    /// No packet yet: no digest is zero.
    pub(super) const NONE: Recent = Recent { digests: [0; 2], ticks: [0; 2] };

    #[inline]
    pub(super) fn contains(&self, print: Fingerprint) -> bool {
        let [one, other] = self.both();
        one.matches(print) || other.matches(print)
    }

    #[inline]
    pub(super) fn push(&mut self, print: Fingerprint) {
        self.digests = [print.digest, self.digests[0]];
        self.ticks = [print.at, self.ticks[0]];
    }

    /// Newest first.
    #[inline]
    pub(super) fn both(&self) -> [Fingerprint; 2] {
        let ([one, other], [at, earlier]) = (self.digests, self.ticks);
        [Fingerprint { digest: one, at }, Fingerprint { digest: other, at: earlier }]
    }
}

/// More of them, for a half of which the capture is known to hold packets twice: batches may be interleaved.
#[derive(Default)]
pub(super) struct Window {
    prints: [Fingerprint; Window::LENGTH],
    next: u8,
}

impl Window {
    const LENGTH: usize = 16;

    pub(super) fn contains(&self, print: Fingerprint) -> bool {
        self.prints.iter().any(|recent| recent.matches(print))
    }

    pub(super) fn push(&mut self, print: Fingerprint) {
        self.prints[usize::from(self.next) % Self::LENGTH] = print;
        self.next = self.next.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{InterfaceId, Moment};
    use crate::tcp::SeqNumber;
    use crate::wire::{Endpoint, Ends};

    const OPTIONS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7];

    fn segment(ip_id: u16, raw_options: &[u8], micros: u64) -> Segment<'_> {
        let end = Endpoint { ip: std::net::Ipv4Addr::LOCALHOST.into(), port: 1 };
        Segment {
            moment: Moment { at: Timestamp::from_nanos(1_000_000_000 + micros * 1000), ..Moment::default() },
            ends: Ends::new(end, end),
            seq: SeqNumber(7),
            ack: SeqNumber(9),
            flags: Flags(Flags::ACK),
            window: 501,
            raw_options,
            payload: b"",
            payload_length: 0,
            ttl: 64,
            ip_id,
            interface: InterfaceId(1),
        }
    }

    fn same(a: &Segment<'_>, b: &Segment<'_>) -> bool {
        Fingerprint::of(a).matches(Fingerprint::of(b))
    }

    #[test]
    fn another_hop_and_interface_do_not_matter() {
        let seen = segment(77, &OPTIONS, 0);
        assert!(same(&seen, &Segment { ttl: 63, interface: InterfaceId(2), ..segment(77, &OPTIONS, 3_000) }));
        assert!(same(&segment(77, &OPTIONS, 3_000), &seen), "clocks of interfaces differ");
    }

    #[test]
    fn every_field_matters() {
        let seen = segment(77, &OPTIONS, 0);
        assert!(!same(&seen, &segment(78, &OPTIONS, 0)), "identification");
        assert!(!same(&seen, &segment(77, &OPTIONS, 6_000)), "too late");
        assert!(!same(&seen, &Segment { seq: SeqNumber(8), ..seen }));
        assert!(!same(&seen, &Segment { ack: SeqNumber(8), ..seen }));
        assert!(!same(&seen, &Segment { window: 500, ..seen }));
        assert!(!same(&seen, &Segment { payload_length: 1, ..seen }));
        assert!(!same(&seen, &Segment { flags: Flags(Flags::ACK | Flags::PSH), ..seen }));
    }

    #[test]
    fn without_identification_the_timestamp_decides() {
        let later = [1, 1, 8, 10, 0, 0, 0, 10, 0, 0, 0, 7];
        assert!(same(&segment(0, &OPTIONS, 0), &segment(0, &OPTIONS, 10)));
        assert!(!same(&segment(0, &OPTIONS, 0), &segment(0, &later, 10)));
        assert!(same(&segment(5, &OPTIONS, 0), &segment(5, &later, 10)), "with one it need not");
    }

    #[test]
    fn a_clamped_mss_is_the_same_syn() {
        let syn = |options| Segment { flags: Flags(Flags::SYN), ..segment(0, options, 0) };
        let before = [2, 4, 5, 0xB4, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0];
        let after = [2, 4, 5, 0xA0, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0];
        assert!(same(&syn(&before), &syn(&after)));
    }

    #[test]
    fn two_packets_back() {
        let mut recent = Recent::NONE;
        let prints: Vec<Fingerprint> = (1..4).map(|id| Fingerprint::of(&segment(id, &OPTIONS, 0))).collect();
        recent.push(prints[0]);
        recent.push(prints[1]);
        assert!(recent.contains(prints[0]) && recent.contains(prints[1]));
        recent.push(prints[2]);
        assert!(!recent.contains(prints[0]));
    }
}
