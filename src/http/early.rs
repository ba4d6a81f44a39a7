//! What a client sends behind an upgrade request before the answer says whether it is a tunnel's or a next request.

use crate::packet::Moment;
use crate::stream::{GapCause, StreamEvent};

/// Such bytes, up to a limit, with the packets that carried them.
#[derive(Debug, Default)]
pub(super) struct Early {
    bytes: Vec<u8>,
    pieces: Vec<(Moment, Piece)>,
}

#[derive(Clone, Copy, Debug)]
enum Piece {
    Bytes(usize),
    Gap(u64, GapCause),
    Finished,
    Reset,
}

impl Early {
    /// Keeps what the stream says. `false` when this is the first time that bytes are beyond the limit: they count as
    /// missing.
    pub(super) fn keep(&mut self, event: StreamEvent<'_>, moment: Moment, most: usize) -> bool {
        let piece = match event {
            StreamEvent::Data(bytes) => return self.keep_bytes(bytes, moment, most),
            StreamEvent::Gap(missing, cause) => Piece::Gap(missing, cause),
            StreamEvent::Finished => Piece::Finished,
            StreamEvent::Reset => Piece::Reset,
        };
        self.pieces.push((moment, piece));
        true
    }

    fn keep_bytes(&mut self, bytes: &[u8], moment: Moment, most: usize) -> bool {
        let kept = &bytes[..bytes.len().min(most.saturating_sub(self.bytes.len()))];
        self.bytes.extend_from_slice(kept);
        if !kept.is_empty() {
            self.pieces.push((moment, Piece::Bytes(kept.len())));
        }
        let beyond = (bytes.len() - kept.len()) as u64;
        match self.pieces.last_mut() {
            _ if beyond == 0 => true,
            Some((_, Piece::Gap(missing, GapCause::GivenUp))) => {
                *missing = missing.saturating_add(beyond);
                true
            }
            _ => {
                self.pieces.push((moment, Piece::Gap(beyond, GapCause::GivenUp)));
                false
            }
        }
    }

    /// The bytes, in pieces with their packets.
    pub(super) fn bytes(&self) -> impl Iterator<Item = (Moment, &[u8])> {
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
    pub(super) fn replay(&self, mut say: impl FnMut(Moment, StreamEvent<'_>)) {
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
        assert!(early.keep(StreamEvent::Finished, moment, 5));
        assert_eq!(early.bytes().map(|(_, bytes)| bytes).collect::<Vec<_>>(), [b"abc".as_slice(), b"de"]);
        let mut said = Vec::new();
        early.replay(|_, event| said.push(format!("{event:?}")));
        let data = |bytes: &[u8]| format!("{:?}", StreamEvent::Data(bytes));
        let expected = [data(b"abc"), "Gap(7, Cut)".into(), data(b"de"), "Gap(3, GivenUp)".into(), "Finished".into()];
        assert_eq!(said, expected);
    }
}
