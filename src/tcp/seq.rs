//! Sequence numbers: modular, and never a panic (RFC 9293 §3.4).

use std::fmt;

/// A TCP sequence number. Compare with [`SeqNumber::distance`]: the order is modular.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// This number moved on by `bytes`.
    #[inline]
    #[must_use]
    pub const fn plus(self, bytes: u32) -> SeqNumber {
        SeqNumber(self.0.wrapping_add(bytes))
    }

    /// How far `self` is behind (negative) or ahead of (positive) `base`, as the shorter way round.
    #[inline]
    pub const fn distance(self, base: SeqNumber) -> i32 {
        self.0.wrapping_sub(base.0) as i32
    }
}

impl fmt::Debug for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_modular() {
        let last = SeqNumber(u32::MAX);
        assert_eq!(last.plus(3), SeqNumber(2));
        assert_eq!(last.plus(3).distance(last), 3);
        assert_eq!(last.distance(last.plus(3)), -3);
    }
}
