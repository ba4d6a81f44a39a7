//! What is left of a packet while headers are peeled off it.

use super::Ignored;

/// The rest of a packet: the bytes that were captured, and how many they were on the wire.
///
/// `length >= captured.len()`, always: a capture holds a beginning of what was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a> {
    captured: &'a [u8],
    length: usize,
}

impl<'a> Bytes<'a> {
    /// From what was captured, of a `length` on the wire. Broken files give a length below what they hold.
    pub(super) fn new(captured: &'a [u8], length: usize) -> Bytes<'a> {
        Bytes { captured, length: length.max(captured.len()) }
    }

    /// What was captured.
    pub(super) fn captured(self) -> &'a [u8] {
        self.captured
    }

    /// How many bytes there were on the wire.
    pub(super) fn length(self) -> usize {
        self.length
    }

    /// A header of fixed size, and what is behind it.
    #[inline]
    pub(super) fn split<const N: usize>(self) -> Result<(&'a [u8; N], Bytes<'a>), Ignored> {
        match self.captured.split_first_chunk() {
            Some((header, rest)) => Ok((header, Bytes { captured: rest, length: self.length - N })),
            None => Err(self.lacks(N)),
        }
    }

    /// What is behind the next `count` bytes.
    #[inline]
    pub(super) fn skip(self, count: usize) -> Result<Bytes<'a>, Ignored> {
        match self.captured.get(count..) {
            Some(rest) => Ok(Bytes { captured: rest, length: self.length - count }),
            None => Err(self.lacks(count)),
        }
    }

    /// Ends after `length` bytes on the wire, as a header says: padding goes. A header that promises more than came is
    /// believed, and the capture taken for cut.
    #[inline]
    pub(super) fn limit(self, length: usize) -> Bytes<'a> {
        Bytes { captured: &self.captured[..self.captured.len().min(length)], length }
    }

    /// Why `count` bytes cannot be had: they were sent and not captured, or were never there.
    #[cold]
    pub(super) fn lacks(self, count: usize) -> Ignored {
        if count <= self.length { Ignored::CutHeader } else { Ignored::Malformed }
    }
}

/// A big-endian number at `offset` of a header.
#[inline]
pub(super) fn u16_at<const N: usize>(header: &[u8; N], offset: usize) -> u16 {
    u16::from_be_bytes([header[offset], header[offset + 1]])
}

/// A big-endian number at `offset` of a header.
#[inline]
pub(super) fn u32_at<const N: usize>(header: &[u8; N], offset: usize) -> u32 {
    u32::from_be_bytes([header[offset], header[offset + 1], header[offset + 2], header[offset + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_snap_length_cut_is_told_from_what_never_was() {
        let bytes = Bytes::new(&[1, 2, 3], 5);
        assert_eq!(bytes.split::<5>().unwrap_err(), Ignored::CutHeader);
        assert_eq!(bytes.split::<6>().unwrap_err(), Ignored::Malformed);
        assert_eq!(bytes.skip(4).unwrap_err(), Ignored::CutHeader);
        let (head, rest) = bytes.split::<2>().unwrap();
        assert_eq!((head, rest.captured(), rest.length()), (&[1, 2], &[3][..], 3));
    }

    #[test]
    fn a_limit_trims_padding_and_believes_more() {
        let bytes = Bytes::new(&[1, 2, 3], 3);
        assert_eq!((bytes.limit(2).captured(), bytes.limit(2).length()), (&[1, 2][..], 2));
        assert_eq!((bytes.limit(9).captured(), bytes.limit(9).length()), (&[1, 2, 3][..], 9));
    }
}
