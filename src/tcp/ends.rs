//! FINs and RSTs of a connection: every one that is over has some, so they are packed.

use crate::packet::{Later, Moment};
use crate::stream::{Pair, Side};
use crate::tcp::facts::{End, EndKind};

/// The first FIN and the first RST of each side.
pub(super) struct Ends(Pair<[Packed; 2]>);

/// What is kept of one; which it is says its place.
#[derive(Clone, Copy)]
struct Packed {
    /// Relative to the first packet of the connection.
    moment: Later,
    ip_id: u16,
    ttl: u8,
}

impl Default for Ends {
    fn default() -> Ends {
        let none = Packed { moment: Later::NONE, ip_id: 0, ttl: 0 };
        Ends(Pair { originator: [none; 2], responder: [none; 2] })
    }
}

impl Ends {
    /// Notes an end if it is the first of its kind from its side. `first` is the first packet of the connection.
    pub(super) fn note(&mut self, first: Moment, end: End) {
        let place = &mut self.0[end.side][index(end.kind)];
        if !place.moment.is_some() {
            *place = Packed { moment: Later::new(first, end.moment), ip_id: end.ip_id, ttl: end.ttl };
        }
    }

    /// All of them in order of capture.
    pub(super) fn iter(&self, first: Moment) -> impl Iterator<Item = End> + use<> {
        let mut ends: [Option<End>; 4] = [None; 4];
        let mut count = 0;
        for side in Side::BOTH {
            for kind in [EndKind::Fin, EndKind::Rst] {
                let Packed { moment, ip_id, ttl } = self.0[side][index(kind)];
                let Some(moment) = moment.moment(first) else { continue };
                // Most connections have two, which come here in order or the other way round.
                let before = |known: &Option<End>| known.is_some_and(|end| end.moment.packet <= moment.packet);
                let place = ends[..count].iter().take_while(|known| before(known)).count();
                ends[place..=count].rotate_right(1);
                ends[place] = Some(End { side, kind, moment, ttl, ip_id });
                count += 1;
            }
        }
        ends.into_iter().map_while(|end| end)
    }

    /// Whether a side has ended so.
    pub(super) fn has(&self, side: Side, kind: EndKind) -> bool {
        self.0[side][index(kind)].moment.is_some()
    }
}

fn index(kind: EndKind) -> usize {
    match kind {
        EndKind::Fin => 0,
        EndKind::Rst => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PacketNumber;
    use crate::time::Timestamp;

    #[test]
    fn the_first_of_each_kind_is_kept_in_order() {
        let first = Moment { at: Timestamp::from_parts(1_700_000_000, 0), packet: PacketNumber(7) };
        let end = |side, kind, number| End {
            side,
            kind,
            moment: Moment { packet: PacketNumber(number), ..first },
            ttl: 64,
            ip_id: number as u16,
        };
        let (fin, rst) = (EndKind::Fin, EndKind::Rst);
        let sent = [
            end(Side::Responder, fin, 8),
            end(Side::Responder, fin, 9),
            end(Side::Originator, rst, 10),
            end(Side::Responder, rst, 11),
            end(Side::Originator, fin, 12),
        ];
        let mut ends = Ends::default();
        sent.iter().for_each(|end| ends.note(first, *end));
        assert_eq!(ends.iter(first).collect::<Vec<_>>(), [sent[0], sent[2], sent[3], sent[4]]);
        assert!(ends.has(Side::Originator, fin));
        assert_eq!(size_of::<Ends>(), 64);
    }
}
