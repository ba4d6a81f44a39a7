//! Capture time. The core never reads a clock: every instant it knows came in with a packet.

use std::fmt;
use std::time::Duration;

/// An instant of the capture, in nanoseconds since the Unix epoch.
///
/// Arithmetic saturates: captures carry hostile and broken timestamps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Before everything; what an engine believes before its first packet.
    pub const ZERO: Timestamp = Timestamp(0);

    /// From nanoseconds since the Unix epoch.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Timestamp(nanos)
    }

    /// From seconds and a fraction in nanoseconds.
    #[inline]
    pub const fn from_parts(seconds: u64, nanos: u32) -> Self {
        Timestamp(seconds.saturating_mul(1_000_000_000).saturating_add(nanos as u64))
    }

    /// Nanoseconds since the Unix epoch.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time since `earlier`; zero when `earlier` is later.
    #[inline]
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The distance to `other`, whichever comes first.
    pub const fn distance(self, other: Timestamp) -> Duration {
        Duration::from_nanos(self.0.abs_diff(other.0))
    }

    /// This instant moved by so many nanoseconds, later or earlier.
    #[inline]
    pub const fn moved(self, nanos: i64) -> Timestamp {
        Timestamp(self.0.saturating_add_signed(nanos))
    }

    /// This instant moved later.
    #[inline]
    pub const fn plus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(nanos(duration)))
    }

    /// This instant moved earlier.
    #[inline]
    pub const fn minus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(nanos(duration)))
    }
}

/// A duration in nanoseconds; what is longer than 584 years is that.
const fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let early = Timestamp::from_parts(1, 5);
        let late = Timestamp::from_parts(2, 0);
        assert_eq!(late.since(early), Duration::from_nanos(999_999_995));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.distance(late), late.distance(early));
        assert_eq!(Timestamp::from_nanos(u64::MAX).plus(Duration::MAX), Timestamp::from_nanos(u64::MAX));
        assert_eq!(late.minus(Duration::from_nanos(999_999_995)), early);
        assert_eq!(Timestamp::from_nanos(u64::MAX).minus(Duration::MAX), Timestamp::ZERO);
    }
}
