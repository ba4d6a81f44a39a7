//! What the field lines of many heads have in common: their text, where the fields are in it, and which.

use std::ops::Range;

use memchr::{memchr, memchr_iter};

use crate::http::handshake::Said;

/// The longest value that is kept aside: a key has 24 characters, an accept value 28.
pub(super) const LONGEST_ASIDE: usize = 28;

/// What heads that are equal but for the value kept aside have in common. Heads are far below 4 GiB, and 65,536 fields.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct FieldLines {
    /// The lines without that value.
    text: Box<str>,
    places: Box<[Place]>,
    /// Which known names there are, a bit each.
    have: u16,
    /// The index of the field whose value is kept aside, if one is.
    aside: Option<u16>,
    /// Where in the text that would stand; the end of it when all values are here.
    gap: u32,
    said: Said,
}

impl FieldLines {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Whether the value of the field of this index is kept aside.
    pub(super) fn is_aside(&self, index: usize) -> bool {
        self.aside.is_some_and(|aside| usize::from(aside) == index)
    }

    /// Whether there is a field of this name.
    pub(super) fn have(&self, known: Known) -> bool {
        self.have & known.bit() != 0
    }

    /// What they say of a WebSocket, as far as it does not depend on the value kept aside.
    pub(super) fn said(&self) -> &Said {
        &self.said
    }

    /// The name of the field whose value is kept aside.
    pub(super) fn name_aside(&self) -> Option<Known> {
        Some(self.places[usize::from(self.aside?)].known)
    }

    /// Reads lines; the value at `aside` is left out.
    pub(super) fn read(lines: &str, aside: Option<Range<usize>>) -> FieldLines {
        let (before, after) = match &aside {
            Some(range) => (&lines[..range.start], &lines[range.end..]),
            None => (lines, ""),
        };
        let text: Box<str> = [before, after].concat().into();
        let mut places = Vec::with_capacity(memchr_iter(b'\n', text.as_bytes()).count());
        let mut aside_index = None;
        let mut start = 0;
        while start < text.len() {
            let end = memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |length| start + length + 1);
            if let Some(place) = Place::find(&text[start..end], start) {
                if aside.as_ref().is_some_and(|range| (start..end).contains(&range.start)) {
                    aside_index = u16::try_from(places.len()).ok();
                }
                places.push(place);
            }
            start = end;
        }
        let have = places.iter().fold(0, |bits, place| bits | place.known.bit());
        let said = Said::read(places.iter().map(|place| (place.known, &text[place.value()])));
        FieldLines { places: places.into(), have, aside: aside_index, gap: before.len() as u32, said, text }
    }

    /// Whether these are the lines that have `before` in front of the value kept aside and `after` behind it.
    pub(super) fn matches(&self, before: &[u8], after: &[u8]) -> bool {
        let (own_before, own_after) = self.text.as_bytes().split_at(self.gap as usize);
        own_before == before && own_after == after
    }
}

/// Where a field stands in the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    name_start: u32,
    name_end: u32,
    value_start: u32,
    value_end: u32,
    pub(super) known: Known,
}

impl Place {
    /// In a line that begins at `start`. White space before the colon is wrong (RFC 9112 §5.1) and left out. A line
    /// without a colon is no field.
    fn find(line: &str, start: usize) -> Option<Place> {
        // The name of a pseudo-header field begins with a colon (RFC 9113 §8.3).
        let pseudo = matches!(line.as_bytes(), [b':', rest @ ..] if rest.contains(&b':'));
        let colon = line.bytes().skip(usize::from(pseudo)).position(|byte| byte == b':')? + usize::from(pseudo);
        let name = line[..colon].trim_ascii_end();
        let behind = &line[colon + 1..];
        let value = behind.trim_ascii_start();
        let value_start = start + colon + 1 + (behind.len() - value.len());
        let at = |offset: usize| u32::try_from(offset).ok();
        Some(Place {
            name_start: at(start)?,
            name_end: at(start + name.len())?,
            value_start: at(value_start)?,
            value_end: at(value_start + value.trim_ascii_end().len())?,
            known: Known::of(name),
        })
    }

    pub(super) fn name(self) -> Range<usize> {
        self.name_start as usize..self.name_end as usize
    }

    pub(super) fn value(self) -> Range<usize> {
        self.value_start as usize..self.value_end as usize
    }
}

/// Where in these lines the value is that is worth keeping aside: that of the first Sec-WebSocket-Key or
/// Sec-WebSocket-Accept, if it is short and plain.
pub(super) fn find_aside(lines: &[u8]) -> Option<Range<usize>> {
    let mut start = 0;
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        if let Some(range) = aside_in(line) {
            return Some(start + range.start..start + range.end);
        }
        start += line.len();
    }
    None
}

/// The same in one line.
pub(super) fn aside_in(line: &[u8]) -> Option<Range<usize>> {
    const KEY: &[u8] = b"Sec-WebSocket-Key:";
    const ACCEPT: &[u8] = b"Sec-WebSocket-Accept:";
    // The first letter in which these names differ, to know most others by.
    if !matches!(line.get(14), Some(b'K' | b'k' | b'A' | b'a')) {
        return None;
    }
    let is = |name: &[u8]| line.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    let name = [KEY, ACCEPT].into_iter().find(|name| is(name))?;
    let value = line[name.len()..].trim_ascii_start();
    let start = line.len() - value.len();
    let value = value.trim_ascii_end();
    ((1..=LONGEST_ASIDE).contains(&value.len()) && is_plain(value)).then(|| start..start + value.len())
}

/// Whether a value has no white space and no other odd byte in it.
pub(super) fn is_plain(value: &[u8]) -> bool {
    // Without a way out all bytes are looked at together.
    value.iter().fold(true, |plain, byte| plain & byte.is_ascii_graphic())
}

/// Names that the reading of heads looks for: they are recognised once, when lines are seen for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    Connection,
    Upgrade,
    ContentLength,
    TransferEncoding,
    WebSocketKey,
    WebSocketAccept,
    WebSocketVersion,
    WebSocketProtocol,
    WebSocketExtensions,
    /// Sec-WebSocket-* of another name.
    WebSocketOther,
    /// Names by which a proxy says for whom it asks.
    Forwarded,
    Other,
}

impl Known {
    fn bit(self) -> u16 {
        1 << self as u16
    }

    fn of(name: &str) -> Known {
        const NAMES: [(&str, Known); 15] = [
            ("Connection", Known::Connection),
            ("Upgrade", Known::Upgrade),
            ("Content-Length", Known::ContentLength),
            ("Transfer-Encoding", Known::TransferEncoding),
            ("Sec-WebSocket-Key", Known::WebSocketKey),
            ("Sec-WebSocket-Accept", Known::WebSocketAccept),
            ("Sec-WebSocket-Version", Known::WebSocketVersion),
            ("Sec-WebSocket-Protocol", Known::WebSocketProtocol),
            ("Sec-WebSocket-Extensions", Known::WebSocketExtensions),
            ("X-Forwarded-For", Known::Forwarded),
            ("X-Real-IP", Known::Forwarded),
            ("Forwarded", Known::Forwarded),
            ("Via", Known::Forwarded),
            ("X-Forwarded-Proto", Known::Forwarded),
            ("X-Forwarded-Host", Known::Forwarded),
        ];
        match NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) {
            Some((_, known)) => *known,
            None if name.get(..14).is_some_and(|begin| begin.eq_ignore_ascii_case("Sec-WebSocket-")) => {
                Known::WebSocketOther
            }
            None => Known::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_the_value_at_another_place_are_others() {
        let (first, second) =
            ("Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: \r\n", "Sec-WebSocket-Key: \r\nSec-WebSocket-Key: a\r\n");
        let lines = FieldLines::read(first, find_aside(first.as_bytes()));
        assert!(lines.matches(b"Sec-WebSocket-Key: ", b"\r\nSec-WebSocket-Key: \r\n"));
        assert!(!lines.matches(b"Sec-WebSocket-Key: \r\nSec-WebSocket-Key: ", b"\r\n"));
        assert_eq!(find_aside(second.as_bytes()), Some(40..41));
    }
}
