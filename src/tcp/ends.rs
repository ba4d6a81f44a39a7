//! FINs and RSTs of a connection: every one that is over has some, so they are packed.

use crate::packet::{Later, Moment};
use crate::stream::Side;
use crate::tcp::facts::{End, EndKind};

/// The first FIN and the first RST of each side, in order of capture. Most connections have two of these.
#[derive(Default)]
pub(super) struct Ends {
    two: [Option<Packed>; 2],
    more: Option<Box<[Option<Packed>; 2]>>,
}

#[derive(Clone, Copy)]
struct Packed {
    /// Relative to the first packet of the connection.
    moment: Later,
    ip_id: u16,
    ttl: u8,
    what: What,
}

/// Who did which of the two: [`Side`] and [`EndKind`] in one byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    OriginatorFin,
    OriginatorRst,
    ResponderFin,
    ResponderRst,
}

impl What {
    const fn new(side: Side, kind: EndKind) -> What {
        match (side, kind) {
            (Side::Originator, EndKind::Fin) => What::OriginatorFin,
            (Side::Originator, EndKind::Rst) => What::OriginatorRst,
            (Side::Responder, EndKind::Fin) => What::ResponderFin,
            (Side::Responder, EndKind::Rst) => What::ResponderRst,
        }
    }

    const fn side(self) -> Side {
        if matches!(self, What::OriginatorFin | What::OriginatorRst) { Side::Originator } else { Side::Responder }
    }

    const fn kind(self) -> EndKind {
        if matches!(self, What::OriginatorFin | What::ResponderFin) { EndKind::Fin } else { EndKind::Rst }
    }
}

impl Ends {
    /// Notes an end if it is the first of its kind from its side. `first` is the first packet of the connection.
    pub(super) fn note(&mut self, first: Moment, end: End) {
        let End { side, kind, moment, ttl, ip_id } = end;
        if self.has(side, kind) {
            return;
        }
        let is_free = |place: &&mut Option<Packed>| place.is_none();
        let free = match self.two.iter_mut().find(is_free) {
            None => self.more.get_or_insert_default().iter_mut().find(is_free),
            free => free,
        };
        if let Some(free) = free {
            *free = Some(Packed { moment: Later::new(first, moment), ip_id, ttl, what: What::new(side, kind) });
        }
    }

    /// The one at this place in the order of capture.
    pub(super) fn at(&self, index: usize, first: Moment) -> Option<End> {
        let Packed { moment, ip_id, ttl, what } = *self.packed(index)?;
        Some(End { side: what.side(), kind: what.kind(), moment: moment.moment(first)?, ttl, ip_id })
    }

    /// Whether a side has ended so.
    pub(super) fn has(&self, side: Side, kind: EndKind) -> bool {
        let what = What::new(side, kind);
        (0..).map_while(|index| self.packed(index)).any(|end| end.what == what)
    }

    fn packed(&self, index: usize) -> Option<&Packed> {
        match index.checked_sub(self.two.len()) {
            None => self.two[index].as_ref(),
            Some(index) => self.more.as_ref()?.get(index)?.as_ref(),
        }
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
        assert_eq!(
            (0..).map_while(|index| ends.at(index, first)).collect::<Vec<_>>(),
            [sent[0], sent[2], sent[3], sent[4]]
        );
        assert!(ends.has(Side::Originator, fin));
        assert_eq!(size_of::<Ends>(), 40);
    }
}
