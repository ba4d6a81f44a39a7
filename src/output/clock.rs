//! Instants as text: RFC 3339 in UTC for programs and reports, the time of day in the local zone for a person at a terminal.

use jiff::tz::{Offset, TimeZone};

use crate::decimal::Digits;
use crate::time::Timestamp;

/// A zone's offset changes at a quarter of an hour at the earliest, so it is asked for once in each.
const QUARTER_HOUR: i64 = 900;

/// Writes times of day in one zone.
#[derive(Debug)]
pub struct Clock {
    zone: TimeZone,
    /// The quarter of an hour since the epoch that `offset` holds for.
    quarter: i64,
    offset: i64,
}

impl Clock {
    /// In UTC.
    pub fn utc() -> Clock {
        Clock::new(TimeZone::UTC)
    }

    /// In the zone of this machine.
    pub fn local() -> Clock {
        Clock::new(TimeZone::system())
    }

    fn new(zone: TimeZone) -> Clock {
        Clock { zone, quarter: i64::MIN, offset: 0 }
    }

    /// Appends `23:58:09.027`.
    pub fn push_time(&mut self, out: &mut String, at: Timestamp) {
        let mut digits = Digits::new();
        digits.last_of(at.as_nanos() / 1_000_000, 3);
        digits.sign(b'.');
        time_of_day(&mut digits, self.local_second(at).rem_euclid(86_400) as u64);
        out.push_str(digits.as_str());
    }

    /// The day in this zone, counted from 1970-01-01.
    pub fn day(&mut self, at: Timestamp) -> i64 {
        self.local_second(at).div_euclid(86_400)
    }

    /// Appends `2026-11-20`.
    pub fn push_date(&mut self, out: &mut String, at: Timestamp) {
        push_date(out, self.local_second(at));
    }

    fn local_second(&mut self, at: Timestamp) -> i64 {
        let second = seconds(at);
        let quarter = second.div_euclid(QUARTER_HOUR);
        if quarter != self.quarter {
            self.quarter = quarter;
            let offset =
                jiff::Timestamp::from_second(second).map_or(Offset::UTC, |instant| self.zone.to_offset(instant));
            self.offset = i64::from(offset.seconds());
        }
        second + self.offset
    }
}

/// `2026-11-20T23:58:09.027123456Z` (RFC 3339 §5.6).
pub fn rfc3339(at: Timestamp) -> String {
    let mut out = String::with_capacity(30);
    push_date(&mut out, seconds(at));
    let mut digits = Digits::new();
    digits.sign(b'Z');
    digits.last_of(at.as_nanos(), 9);
    digits.sign(b'.');
    time_of_day(&mut digits, at.as_nanos() / 1_000_000_000 % 86_400);
    digits.sign(b'T');
    out.push_str(digits.as_str());
    out
}

/// Writes many instants in RFC 3339: what is the same for a whole second is worked out once.
#[derive(Debug, Default)]
pub struct Rfc3339 {
    second: Option<u64>,
    /// `2026-11-20T23:58:09.`
    prefix: String,
}

impl Rfc3339 {
    /// Appends what [`rfc3339`] gives.
    pub fn push(&mut self, out: &mut String, at: Timestamp) {
        let second = at.as_nanos() / 1_000_000_000;
        if self.second != Some(second) {
            self.second = Some(second);
            self.prefix = rfc3339(at);
            self.prefix.truncate("2026-11-20T23:58:09.".len());
        }
        out.push_str(&self.prefix);
        let mut digits = Digits::new();
        digits.sign(b'Z');
        digits.last_of(at.as_nanos(), 9);
        out.push_str(digits.as_str());
    }
}

/// Seconds since the epoch: at most 18 446 744 073, the year 2554.
fn seconds(at: Timestamp) -> i64 {
    (at.as_nanos() / 1_000_000_000) as i64
}

fn push_date(out: &mut String, second: i64) {
    let date = jiff::Timestamp::from_second(second).map(|instant| Offset::UTC.to_datetime(instant)).unwrap_or_default();
    let mut digits = Digits::new();
    digits.last_of(date.day().unsigned_abs().into(), 2);
    digits.sign(b'-');
    digits.last_of(date.month().unsigned_abs().into(), 2);
    digits.sign(b'-');
    digits.last_of(date.year().unsigned_abs().into(), 4);
    out.push_str(digits.as_str());
}

/// Puts `23:58:09` in front, from the second of the day.
fn time_of_day(digits: &mut Digits, second: u64) {
    digits.last_of(second % 60, 2);
    digits.sign(b':');
    digits.last_of(second / 60 % 60, 2);
    digits.sign(b':');
    digits.last_of(second / 3600, 2);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    /// 2026-11-20T23:58:09.027123456Z
    const AT: Timestamp = Timestamp::from_parts(1_795_219_089, 27_123_456);

    #[test]
    fn utc() {
        assert_eq!(rfc3339(AT), "2026-11-20T23:58:09.027123456Z");
        assert_eq!(rfc3339(Timestamp::ZERO), "1970-01-01T00:00:00.000000000Z");
        let last = Timestamp::from_nanos(u64::MAX);
        assert_eq!(rfc3339(last), "2554-07-21T23:34:33.709551615Z");
        let (mut many, next) = (Rfc3339::default(), AT.plus(std::time::Duration::from_secs(3)));
        for at in [AT, AT.plus(std::time::Duration::from_nanos(1)), next, AT, last, Timestamp::ZERO] {
            assert_eq!(written(|out| many.push(out, at)), rfc3339(at));
        }
        assert_eq!(written(|out| Clock::utc().push_time(out, AT)), "23:58:09.027");
    }

    #[test]
    fn a_zone_with_its_changes() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a valid POSIX zone");
        let mut clock = Clock::new(zone);
        assert_eq!(written(|out| clock.push_time(out, AT)), "00:58:09.027");
        assert_eq!(written(|out| clock.push_date(out, AT)), "2026-11-21");
        // Summer time ends on 2026-10-25 at 01:00 UTC: 03:00 becomes 02:00.
        let change = Timestamp::from_parts(1_792_890_000, 0);
        let before = Timestamp::from_nanos(change.as_nanos() - 1);
        assert_eq!(written(|out| clock.push_time(out, before)), "02:59:59.999");
        assert_eq!(written(|out| clock.push_time(out, change)), "02:00:00.000");
        assert_eq!(clock.day(AT), 20_778);
    }
}
