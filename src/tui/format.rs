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

/// Safe text from this column on.
pub(super) fn behind(text: &str, column: usize) -> &str {
    let mut width = 0;
    let mut from = text.char_indices().skip_while(|(_, character)| {
        width += character.width().unwrap_or(0);
        width <= column
    });
    from.next().map_or("", |(at, _)| &text[at..])
}

/// Safe text in at most so many columns, of what is told apart by its end, as an address with its port is.
pub(super) fn cut_front(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let (mut from, mut width) = (text.len(), 0);
    for (at, character) in text.char_indices().rev() {
        width += character.width().unwrap_or(0);
        if width + 1 > columns {
            break;
        }
        from = at;
    }
    if columns > 0 { format!("…{}", &text[from..]) } else { String::new() }
}

/// Host, path and query in at most so many columns. The path says most: first the query gives way to it, then the host.
pub(super) fn cut_target(text: &str, columns: usize) -> String {
    let (host, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
    let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let room = columns.saturating_sub(path.width() + usize::from(!query.is_empty()));
    match path.len() < 2 || host.width() <= room {
        true => cut(text, columns),
        false if room >= 2 => cut(&format!("{}{rest}", cut(host, room)), columns),
        false => cut(&format!("…{rest}"), columns),
    }
}

/// Safe text in lines of at most so many columns, broken between words, and within those that are too long. What is set in
/// stays so.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let words = text.trim_start_matches(' ');
    let inset = " ".repeat((text.len() - words.len()).min(columns / 2));
    let (mut lines, mut line, mut width) = (Vec::new(), inset.clone(), inset.len());
    for word in words.split(' ') {
        let wide = word.width();
        if width > inset.len() && width + 1 + wide > columns {
            lines.push(std::mem::replace(&mut line, inset.clone()));
            width = inset.len();
        }
        if width > inset.len() {
            line.push(' ');
            width += 1;
        }
        for character in word.chars() {
            let wide = character.width().unwrap_or(0);
            if width + wide > columns {
                lines.push(std::mem::replace(&mut line, inset.clone()));
                width = inset.len();
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
    fn what_is_set_in_stays_so() {
        assert_eq!(wrapped("    \"members\": [1, 2]", 14), ["    \"members\":", "    [1, 2]"]);
        assert_eq!(wrapped("        abcdef", 8), ["    abcd", "    ef"]);
        assert_eq!(wrapped("", 8), [""]);
    }

    #[test]
    fn what_tells_apart_stays() {
        assert_eq!(cut_front("192.168.100.200:50122", 15), "….100.200:50122");
        assert_eq!(cut_front("日本語", 5), "…本語");
        assert_eq!([behind("日本語", 0), behind("日本語", 2), behind("日本語", 6)], ["日本語", "本語", ""]);
        assert_eq!([cut_front("abc", 3), cut_front("abc", 2), cut_front("abc", 0)], ["abc", "…c", ""]);
        let target = |columns| cut_target("app.example/ws/chat?room=1", columns);
        assert_eq!([26, 20, 12].map(target), ["app.example/ws/chat?room=1", "app.example/ws/chat…", "ap…/ws/chat…"]);
        assert_eq!([10, 6].map(target), ["…/ws/chat…", "…/ws/…"]);
        assert_eq!(cut_target("a-host-without-a-path/", 8), "a-host-…");
        for columns in 0..30 {
            assert!(target(columns).width() <= columns && cut_front("[2001:db8::1]:443", columns).width() <= columns);
        }
    }

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
