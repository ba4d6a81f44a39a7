//! Bytes that came before bytes that belong ahead of them. The only bytes that TCP copies here.

use std::collections::VecDeque;

use crate::packet::Moment;
use crate::tcp::SeqNumber;

/// A piece of a stream that waits. Pieces never overlap.
pub(super) struct Piece {
    pub(super) seq: SeqNumber,
    /// On the wire.
    pub(super) length: u32,
    /// What of it was captured, from its beginning.
    pub(super) data: Box<[u8]>,
    /// The packet that brought it.
    pub(super) moment: Moment,
}

impl Piece {
    /// What a piece weighs against the limits besides its bytes: itself, and what the allocator adds.
    const OVERHEAD: usize = size_of::<Piece>() + 16;

    pub(super) fn weight(&self) -> usize {
        self.data.len() + Self::OVERHEAD
    }
}

/// What became of bytes that were given to [`Assembler::insert`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Inserted {
    /// Some of them are new.
    pub(super) fresh: bool,
    /// Some of them were there already.
    pub(super) repeated: bool,
    /// Some of those had another content.
    pub(super) conflict: bool,
}

/// The pieces of one direction, in order.
#[derive(Default)]
pub(super) struct Assembler {
    pieces: VecDeque<Piece>,
    weight: usize,
}

impl Assembler {
    /// How many pieces wait.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// What they weigh, in bytes of memory.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// The piece that comes first in the stream.
    pub(super) fn first(&self) -> Option<&Piece> {
        self.pieces.front()
    }

    /// Takes the first piece out if it begins at `next`.
    pub(super) fn pop_at(&mut self, next: SeqNumber) -> Option<Piece> {
        self.first().filter(|first| first.seq == next)?;
        let piece = self.pieces.pop_front()?;
        self.weight -= piece.weight();
        Some(piece)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Assembler::default();
    }

    /// Copies those of `length` bytes from `seq` on that are not there yet: the first copy wins. `data` is what was
    /// captured of them. All sequence numbers are within 2^30 of `next`, which none precedes.
    pub(super) fn insert(
        &mut self,
        next: SeqNumber,
        seq: SeqNumber,
        data: &[u8],
        length: u32,
        moment: Moment,
    ) -> Inserted {
        let mut inserted = Inserted::default();
        let start = offset(seq, next);
        let end = start + u64::from(length);
        let part = |from: u64, to: u64| slice(data, from - start, to - start);
        let mut cursor = start;
        let mut at = self.pieces.partition_point(|piece| offset(piece.seq, next) + u64::from(piece.length) <= start);
        while cursor < end {
            let (from, to) = match self.pieces.get(at) {
                Some(piece) => {
                    let from = offset(piece.seq, next);
                    (from, from + u64::from(piece.length))
                }
                None => (u64::MAX, u64::MAX),
            };
            if cursor < from {
                let stop = end.min(from);
                let piece = Piece {
                    seq: next.plus(cursor as u32),
                    length: (stop - cursor) as u32,
                    data: part(cursor, stop).into(),
                    moment,
                };
                self.weight += piece.weight();
                self.pieces.insert(at, piece);
                inserted.fresh = true;
                cursor = stop;
            } else {
                let stop = end.min(to);
                inserted.repeated = true;
                inserted.conflict |=
                    differ(part(cursor, stop), slice(&self.pieces[at].data, cursor - from, stop - from));
                cursor = stop;
            }
            at += 1;
        }
        inserted
    }
}

fn offset(seq: SeqNumber, next: SeqNumber) -> u64 {
    seq.distance(next).max(0) as u64
}

/// What of a range was captured.
fn slice(data: &[u8], from: u64, to: u64) -> &[u8] {
    let captured = data.len() as u64;
    &data[from.min(captured) as usize..to.min(captured) as usize]
}

/// Whether two copies differ where both were captured.
fn differ(a: &[u8], b: &[u8]) -> bool {
    let both = a.len().min(b.len());
    a[..both] != b[..both]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEXT: SeqNumber = SeqNumber(u32::MAX - 20);

    fn insert(assembler: &mut Assembler, at: u32, data: &[u8]) -> Inserted {
        assembler.insert(NEXT, NEXT.plus(at), data, data.len() as u32, Moment::default())
    }

    /// What waits, with dots for holes.
    fn picture(assembler: &Assembler) -> String {
        let mut picture = String::new();
        for piece in &assembler.pieces {
            while picture.len() < piece.seq.distance(NEXT) as usize {
                picture.push('.');
            }
            picture.push_str(std::str::from_utf8(&piece.data).unwrap());
        }
        picture
    }

    #[test]
    fn pieces_fill_each_others_holes() {
        let mut held = Assembler::default();
        insert(&mut held, 30, b"gh");
        insert(&mut held, 24, b"abc");
        let inserted = insert(&mut held, 26, b"cdef");
        assert_eq!(inserted, Inserted { fresh: true, repeated: true, conflict: false });
        assert_eq!(picture(&held), format!("{}abcdefgh", ".".repeat(24)));
    }

    #[test]
    fn the_first_copy_wins() {
        let mut held = Assembler::default();
        insert(&mut held, 2, b"cd");
        let inserted = insert(&mut held, 1, b"BXXE");
        assert_eq!(inserted, Inserted { fresh: true, repeated: true, conflict: true });
        assert_eq!(picture(&held), ".BcdE");
    }

    #[test]
    fn nothing_new_is_not_fresh() {
        let mut held = Assembler::default();
        insert(&mut held, 1, b"bcde");
        assert_eq!(insert(&mut held, 2, b"cd"), Inserted { fresh: false, repeated: true, conflict: false });
        assert_eq!(held.len(), 1);
    }

    #[test]
    fn cut_bytes_neither_conflict_nor_vanish() {
        let mut held = Assembler::default();
        held.insert(NEXT, NEXT.plus(1), b"b", 4, Moment::default());
        let inserted = held.insert(NEXT, NEXT.plus(1), b"bcde", 4, Moment::default());
        assert_eq!(inserted, Inserted { fresh: false, repeated: true, conflict: false });
        let piece = held.pop_at(NEXT.plus(1)).unwrap();
        assert_eq!((&*piece.data, piece.length), (&b"b"[..], 4));
    }

    proptest! {
        /// Against the plainest model there is: one cell a byte.
        #[test]
        fn like_a_model(operations in prop::collection::vec((1u32..60, prop::collection::vec(any::<u8>(), 1..20)), 1..30)) {
            let mut held = Assembler::default();
            let mut model: Vec<Option<u8>> = vec![None; 100];
            for (at, data) in operations {
                let cells = &mut model[at as usize..at as usize + data.len()];
                let expected = Inserted {
                    fresh: cells.iter().any(Option::is_none),
                    repeated: cells.iter().any(Option::is_some),
                    conflict: cells.iter().zip(&data).any(|(cell, byte)| cell.is_some_and(|cell| cell != *byte)),
                };
                prop_assert_eq!(insert(&mut held, at, &data), expected);
                for (cell, byte) in cells.iter_mut().zip(&data) {
                    cell.get_or_insert(*byte);
                }
            }
            let mut seen = vec![None; 100];
            let mut weight = 0;
            for piece in &held.pieces {
                weight += piece.weight();
                for (i, byte) in piece.data.iter().enumerate() {
                    let cell: &mut Option<u8> = &mut seen[piece.seq.distance(NEXT) as usize + i];
                    prop_assert!(cell.replace(*byte).is_none(), "pieces overlap");
                }
            }
            prop_assert_eq!(seen, model);
            prop_assert_eq!(weight, held.weight());
        }
    }
}
