//! What a client sends behind an upgrade request before the answer says whether it is a tunnel's or a next request.

use crate::packet::Moment;
use crate::stream::{GapCause, StreamEvent};

/// Such bytes, up to a limit, with the packets that carried them.
#[derive(Debug, Default)]
pub(crate) struct Early {
    bytes: Vec<u8>,
    pieces: Vec<(Moment, Piece)>,
    /// Whether bytes were beyond the limit: whatever comes behind them is not kept.
    full: bool,
}

#[derive(Clone, Copy, Debug)]
enum Piece {
    Bytes(usize),
    Gap(u64, GapCause),
    Finished,
    Reset,
}

impl Early {
    /// Pieces with a packet of their own; bytes of later packets are added to the last one.
    const PIECES: usize = 256;

    /// Keeps what the stream says. `false` when this is the first time that bytes are beyond the limit: they count as
    /// missing.
    pub(crate) fn keep(&mut self, event: StreamEvent<'_>, moment: Moment, most: usize) -> bool {
        match event {
            StreamEvent::Data(bytes) => {
                let room = if self.takes_bytes() { most.saturating_sub(self.bytes.len()) } else { 0 };
                let kept = &bytes[..bytes.len().min(room)];
                let beyond = (bytes.len() - kept.len()) as u64;
                if !kept.is_empty() {
                    self.bytes.extend_from_slice(kept);
                    self.push(Piece::Bytes(kept.len()), moment);
                }
                if beyond > 0 {
                    self.push(Piece::Gap(beyond, GapCause::GivenUp), moment);
                    return std::mem::replace(&mut self.full, true);
                }
            }
            StreamEvent::Gap(missing, cause) => self.push(Piece::Gap(missing, cause), moment),
            StreamEvent::Finished => self.push(Piece::Finished, moment),
            StreamEvent::Reset => self.push(Piece::Reset, moment),
        }
        true
    }

    /// Whether all of this can be kept.
    pub(crate) fn has_room(&self, event: StreamEvent<'_>, most: usize) -> bool {
        match event {
            StreamEvent::Data(bytes) => self.takes_bytes() && self.bytes.len() + bytes.len() <= most,
            _ => self.pieces.len() < Self::PIECES,
        }
    }

    fn takes_bytes(&self) -> bool {
        let goes_on = matches!(self.pieces.last(), Some((_, Piece::Bytes(_))));
        !self.full && (self.pieces.len() < Self::PIECES || goes_on)
    }

    fn push(&mut self, piece: Piece, moment: Moment) {
        let many = self.pieces.len() >= Self::PIECES;
        match (self.pieces.last_mut(), piece) {
            (Some((_, Piece::Gap(missing, _))), Piece::Gap(more, _)) => *missing = missing.saturating_add(more),
            (Some((_, Piece::Bytes(length))), Piece::Bytes(more)) if many => *length += more,
            // Nothing comes behind the end.
            (Some((_, Piece::Finished | Piece::Reset)), _) => {}
            _ => self.pieces.push((moment, piece)),
        }
    }

    /// The bytes, in pieces with their packets.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = (Moment, &[u8])> {
        let mut at = 0;
        self.pieces.iter().filter_map(move |&(moment, piece)| match piece {
            Piece::Bytes(length) => {
                at += length;
                Some((moment, &self.bytes[at - length..at]))
            }
            _ => None,
        })
    }

    /// Says it all again, in order.
    pub(crate) fn replay(&self, mut say: impl FnMut(Moment, StreamEvent<'_>)) {
        let mut at = 0;
        for &(moment, piece) in &self.pieces {
            let event = match piece {
                Piece::Bytes(length) => {
                    at += length;
                    StreamEvent::Data(&self.bytes[at - length..at])
                }
                Piece::Gap(missing, cause) => StreamEvent::Gap(missing, cause),
                Piece::Finished => StreamEvent::Finished,
                Piece::Reset => StreamEvent::Reset,
            };
            say(moment, event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_said_again() {
        let mut early = Early::default();
        let moment = Moment::default();
        assert!(early.keep(StreamEvent::Data(b"abc"), moment, 5));
        assert!(early.keep(StreamEvent::Gap(7, GapCause::Cut), moment, 5));
        assert!(!early.keep(StreamEvent::Data(b"defg"), moment, 5));
        assert!(early.keep(StreamEvent::Data(b"h"), moment, 5));
        assert!(early.keep(StreamEvent::Gap(9, GapCause::Cut), moment, 5));
        assert!(early.keep(StreamEvent::Finished, moment, 5));
        assert!(early.keep(StreamEvent::Data(b"behind the end"), moment, 5));
        assert_eq!(early.bytes().map(|(_, bytes)| bytes).collect::<Vec<_>>(), [b"abc".as_slice(), b"de"]);
        let mut said = Vec::new();
        early.replay(|_, event| said.push(format!("{event:?}")));
        let data = |bytes: &[u8]| format!("{:?}", StreamEvent::Data(bytes));
        let expected = [data(b"abc"), "Gap(7, Cut)".into(), data(b"de"), "Gap(12, GivenUp)".into(), "Finished".into()];
        assert_eq!(said, expected);
    }

    #[test]
    fn pieces_are_bounded() {
        let (mut early, mut hostile, mut holey) = (Early::default(), Early::default(), Early::default());
        for _ in 0..10_000 {
            early.keep(StreamEvent::Data(b"x"), Moment::default(), 1 << 20);
            hostile.keep(StreamEvent::Data(b"xy"), Moment::default(), 1);
            hostile.keep(StreamEvent::Gap(1, GapCause::Cut), Moment::default(), 1);
            holey.keep(StreamEvent::Data(b"x"), Moment::default(), 1 << 20);
            holey.keep(StreamEvent::Gap(1, GapCause::Cut), Moment::default(), 1 << 20);
        }
        assert_eq!((early.pieces.len(), early.bytes.len()), (256, 10_000));
        assert_eq!((hostile.pieces.len(), holey.pieces.len()), (2, 256));
    }
}
