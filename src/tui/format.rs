//! Numbers and text for narrow columns.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::output::escape;
use crate::output::mask::Mask;
use crate::wire::Endpoint;

/// Text from the wire, masked and safe to show.
pub(super) fn wire(mask: Mask, text: &str) -> String {
    escape::escaped(&mask.text(text)).into_owned()
}

/// Bytes from the wire that should be text.
pub(super) fn wire_bytes(mask: Mask, bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => wire(mask, text),
        Err(_) => {
            let mut text = String::new();
            escape::escape_bytes(&mut text, bytes);
            wire(mask, &text)
        }
    }
}

/// Safe text in exactly so many columns: cut with `…`, or filled with spaces behind it.
pub(super) fn left(text: &str, columns: usize) -> String {
    let mut out = cut(text, columns);
    let width = out.width();
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width)));
    out
}

/// The same, with the spaces in front.
pub(super) fn right(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let mut out = " ".repeat(columns.saturating_sub(text.width()));
    out.push_str(&text);
    out
}

/// Safe text in at most so many columns.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let (mut out, mut width) = (String::with_capacity(columns + 4), 0);
    for character in text.chars() {
        let wide = character.width().unwrap_or(0);
        if width + wide + 1 > columns {
            break;
        }
        out.push(character);
        width += wide;
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// Safe text in lines of at most so many columns, broken between words, and within those that are too long.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let (mut lines, mut line, mut width) = (Vec::new(), String::new(), 0);
    for word in text.split(' ') {
        let wide = word.width();
        if width > 0 && width + 1 + wide > columns {
            lines.push(std::mem::take(&mut line));
            width = 0;
        }
        if width > 0 {
            line.push(' ');
            width += 1;
        }
        for character in word.chars() {
            let wide = character.width().unwrap_or(0);
            if width + wide > columns {
                lines.push(std::mem::take(&mut line));
                width = 0;
            }
            line.push(character);
            width += wide;
        }
    }
    lines.push(line);
    lines
}

/// `1234`, `12k`, `2.1M`: at most five columns.
pub(super) fn compact(number: u64) -> String {
    const UNITS: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    if number < 1_000 {
        return number.to_string();
    }
    let (mut rest, mut unit) = (number, 0);
    while rest >= 1_000_000 {
        (rest, unit) = (rest / 1_000, unit + 1);
    }
    match rest {
        ..10_000 => format!("{}.{}{}", rest / 1_000, rest % 1_000 / 100, UNITS[unit]),
        _ => format!("{}{}", rest / 1_000, UNITS[unit]),
    }
}

/// `0.8s`, `41s`, `41m`, `5h`, `12d`: at most four columns for what people meet.
pub(super) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{}.{}s", seconds, duration.subsec_millis() / 100),
        10..100 => format!("{seconds}s"),
        100..6_000 => format!("{}m", seconds / 60),
        6_000..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `0.3ms`, `12ms`, `1.2s`: at most five columns.
pub(super) fn short(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..10_000 => format!("{}.{}ms", micros / 1_000, micros % 1_000 / 100),
        10_000..1_000_000 => format!("{}ms", micros / 1_000),
        1_000_000..100_000_000 => format!("{}.{}s", micros / 1_000_000, micros % 1_000_000 / 100_000),
        _ => age(duration),
    }
}

/// `+0.0021`, `60.0`: seconds with as many decimals as matter at that distance.
pub(super) fn seconds(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    match seconds {
        0..100 => format!("{seconds}.{:04}", nanos / 100_000),
        100..10_000 => format!("{seconds}.{:02}", nanos / 10_000_000),
        _ => format!("{seconds}"),
    }
}

/// `:9000` where the address goes without saying, else address and port.
pub(super) fn port_or_endpoint(endpoint: Endpoint, said: Endpoint) -> String {
    if endpoint.ip.is_loopback() || endpoint.ip == said.ip {
        format!(":{}", endpoint.port)
    } else {
        endpoint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_kept_whatever_is_in_them() {
        for text in ["", "a", "abcdef", "日本語テキスト", "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}"] {
            for columns in 0..9 {
                assert_eq!(left(text, columns).width(), columns, "{text} in {columns}");
                assert_eq!(right(text, columns).width(), columns, "{text} in {columns}");
                assert!(wrapped(text, columns).iter().all(|line| line.width() <= columns.max(2)));
            }
        }
        assert_eq!((left("abcdef", 4), right("ab", 4)), ("abc…".to_owned(), "  ab".to_owned()));
    }

    #[test]
    fn numbers_are_short() {
        let said = |number| compact(number);
        assert_eq!((said(999), said(1_234), said(18_900)), ("999".into(), "1.2k".into(), "18k".into()));
        assert_eq!((said(999_999), said(2_100_000), said(u64::MAX)), ("999k".into(), "2.1M".into(), "18E".into()));
        let said = |millis| age(Duration::from_millis(millis));
        assert_eq!((said(840), said(61_000), said(2_460_000)), ("0.8s".into(), "61s".into(), "41m".into()));
        let said = |micros| short(Duration::from_micros(micros));
        assert_eq!((said(310), said(12_900), said(1_250_000)), ("0.3ms".into(), "12ms".into(), "1.2s".into()));
    }

    #[test]
    fn wire_text_is_made_safe() {
        assert_eq!(wire(Mask::Secrets, "a\x1b[31m?token=s3cret99"), "a\\x1b[31m?token=[masked:8]");
        assert_eq!(wire_bytes(Mask::Secrets, b"\xff\x07"), "\\xff\\x07");
    }
}
