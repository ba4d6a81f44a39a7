//! How numbers and pieces of wire text read in a sentence.

use std::fmt;
use std::time::Duration;

use crate::decimal;
use crate::session::Leg;
use crate::session::leg::{Counted, Tunnel};
use crate::stream::Role;

/// A duration as a person says it: `48 µs`, `0.3 ms`, `24 ms`, `3.2 s`, `5 min 3 s`, `2 h 5 min`, `12 d 3 h`.
#[derive(Clone, Copy, Debug)]
pub struct Span(pub Duration);

impl Span {
    /// Writes it without a formatter: an output may have a hundred thousand of them.
    pub fn write(self, out: &mut impl fmt::Write) -> fmt::Result {
        let micros = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        let seconds = micros.saturating_add(500_000) / 1_000_000;
        match micros {
            0..100 => one(out, micros, " µs"),
            100..10_000 => tenths(out, (micros + 50) / 100, " ms"),
            10_000..999_500 => one(out, (micros + 500) / 1000, " ms"),
            999_500..119_950_000 => tenths(out, (micros + 50_000) / 100_000, " s"),
            _ if seconds < 7200 => parts(out, seconds / 60, " min", seconds % 60, " s"),
            _ if seconds < 172_800 => parts(out, seconds / 3600, " h", seconds % 3600 / 60, " min"),
            _ => parts(out, seconds / 86_400, " d", seconds % 86_400 / 3600, " h"),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

fn one(out: &mut impl fmt::Write, amount: u64, unit: &str) -> fmt::Result {
    decimal::write(out, amount)?;
    out.write_str(unit)
}

fn tenths(out: &mut impl fmt::Write, tenths: u64, unit: &str) -> fmt::Result {
    decimal::write(out, tenths / 10)?;
    if !tenths.is_multiple_of(10) {
        out.write_char('.')?;
        decimal::write(out, tenths % 10)?;
    }
    out.write_str(unit)
}

fn parts(out: &mut impl fmt::Write, whole: u64, unit: &str, rest: u64, rest_unit: &str) -> fmt::Result {
    one(out, whole, unit)?;
    if rest == 0 {
        return Ok(());
    }
    out.write_char(' ')?;
    one(out, rest, rest_unit)
}

/// The shortest and the longest of durations that are much the same: `59.7-60 s`, or one of them when they read the same.
#[derive(Clone, Copy, Debug)]
pub struct Between(pub Duration, pub Duration);

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shortest, longest) = (Span(self.0).to_string(), Span(self.1).to_string());
        match (shortest.rsplit_once(' '), longest.rsplit_once(' ')) {
            _ if shortest == longest => f.write_str(&longest),
            (Some((number, unit)), Some((_, same))) if unit == same => write!(f, "{number}-{longest}"),
            _ => write!(f, "{shortest} to {longest}"),
        }
    }
}

/// A number with its noun: `1 message`, `12 messages`.
#[derive(Clone, Copy, Debug)]
pub struct Count(pub u64, pub &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// `, at least 12 messages from the client, 3 from the server`: the messages of a WebSocket, where the capture may lack some.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a>(pub &'a Leg, pub &'a Tunnel);

impl fmt::Display for Messages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Messages(leg, tunnel) = *self;
        let mut named = false;
        for role in Role::BOTH {
            let (name, count) = (role.name(), tunnel.messages(role));
            let counted = leg.counted(role);
            f.write_str(match counted {
                Counted::Unseen => ", what ",
                Counted::AtLeast if count > 0 => ", at least ",
                _ => ", ",
            })?;
            match counted {
                Counted::Unseen => write!(f, "the {name} sent was not captured")?,
                Counted::AtLeast if count == 0 => write!(f, "no whole message from the {name}")?,
                _ if named => write!(f, "{count} from the {name}")?,
                _ => write!(f, "{} from the {name}", Count(count, "message"))?,
            }
            named |= counted != Counted::Unseen;
        }
        Ok(())
    }
}

/// The most of a wire text that a sentence carries.
const QUOTE_CHARS: usize = 80;

/// The first line of a wire text with something in it, short enough for a sentence. Outputs escape it.
pub fn quote(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
    match line.char_indices().nth(QUOTE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_a_person_says_them() {
        let said = |micros| Span(Duration::from_micros(micros)).to_string();
        assert_eq!(said(48), "48 µs");
        assert_eq!(said(310), "0.3 ms");
        assert_eq!(said(23_600), "24 ms");
        assert_eq!(said(999_700), "1 s");
        assert_eq!(said(3_204_000), "3.2 s");
        assert_eq!(said(60_000_000), "60 s");
        assert_eq!(said(303_000_000), "5 min 3 s");
        assert_eq!(said(7_500_000_000), "2 h 5 min");
        assert_eq!(said(1_047_600_000_000), "12 d 3 h");
        assert_eq!(Span(Duration::MAX).to_string().split(' ').nth(1), Some("d"));
    }

    #[test]
    fn a_quote_is_one_short_line() {
        assert_eq!(quote("\r\n  Bad Request\nmore"), "Bad Request");
        assert_eq!(quote(&"ä".repeat(100)).chars().count(), 81);
        assert_eq!(quote(""), "");
    }
}
