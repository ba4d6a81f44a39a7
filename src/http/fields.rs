//! Field lines, in the order and case of the wire (RFC 9110 §5, RFC 9112 §5), in little memory.
//!
//! A session keeps its heads for life, and a capture may hold a million handshakes that differ in nothing but
//! Sec-WebSocket-Key and Sec-WebSocket-Accept. So that value is kept aside, in place, and all the rest is shared.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One field line, as it was on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// The name, in its own case.
    pub name: &'a str,
    /// The value without the white space around it.
    pub value: &'a str,
}

/// The field lines of a head. Bytes that are not UTF-8 were escaped as `\xff` when the head was read, and folded lines
/// were joined (RFC 9112 §5.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Fields {
    lines: Arc<FieldLines>,
    aside: Aside,
}

impl Fields {
    /// From the lines behind the start line.
    pub fn new(lines: &str) -> Fields {
        let aside = find_aside(lines.as_bytes());
        Fields::of(Arc::new(FieldLines::read(lines, aside.clone())), aside.map(|range| &lines.as_bytes()[range]))
    }

    /// Shared lines, with the value that was kept aside of these.
    pub(super) fn of(lines: Arc<FieldLines>, aside: Option<&[u8]>) -> Fields {
        Fields { lines, aside: aside.map_or(Aside::EMPTY, Aside::new) }
    }

    pub(super) fn shared(&self) -> &Arc<FieldLines> {
        &self.lines
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        let FieldLines { text, places, .. } = &*self.lines;
        let field =
            |(index, place): (usize, &Place)| Field { name: &text[place.name()], value: self.value(index, *place) };
        places.iter().enumerate().map(field)
    }

    /// Those whose names mean something here, in order.
    pub(super) fn known(&self) -> impl Iterator<Item = (Known, &str)> {
        let places = self.lines.places.iter().enumerate();
        let known = places.filter(|(_, place)| place.known != Known::Other);
        known.map(|(index, place)| (place.known, self.value(index, *place)))
    }

    /// The values of one of these, in order.
    pub(super) fn values(&self, known: Known) -> impl Iterator<Item = &str> {
        let places: &[Place] = if self.have(known) { &self.lines.places } else { &[] };
        let named = places.iter().enumerate().filter(move |(_, place)| place.known == known);
        named.map(|(index, place)| self.value(index, *place))
    }

    /// Whether there is one of these.
    pub(super) fn have(&self, known: Known) -> bool {
        self.lines.have & known.bit() != 0
    }

    fn value(&self, index: usize, place: Place) -> &str {
        if index == self.lines.aside { self.aside.as_str() } else { &self.lines.text[place.value()] }
    }

    /// The values of all fields of that name (case does not matter), in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// The value of the first field of that name.
    pub fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Whether there is a field of that name.
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// The elements of the comma-separated list that all fields of that name form together (RFC 9110 §5.6.1).
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(elements)
    }

    /// Whether that list has this element, whatever its case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(token))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.places.is_empty()
    }

    /// Whether these share their memory with those.
    pub fn shares_with(&self, other: &Fields) -> bool {
        Arc::ptr_eq(&self.lines, &other.lines)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|field| (field.name, field.value))).finish()
    }
}

/// The elements of one comma-separated value (RFC 9110 §5.6.1).
pub(super) fn elements(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim_ascii).filter(|element| !element.is_empty())
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
    Other,
}

impl Known {
    fn bit(self) -> u16 {
        1 << self as u16
    }

    fn of(name: &str) -> Known {
        const NAMES: [(&str, Known); 9] = [
            ("Connection", Known::Connection),
            ("Upgrade", Known::Upgrade),
            ("Content-Length", Known::ContentLength),
            ("Transfer-Encoding", Known::TransferEncoding),
            ("Sec-WebSocket-Key", Known::WebSocketKey),
            ("Sec-WebSocket-Accept", Known::WebSocketAccept),
            ("Sec-WebSocket-Version", Known::WebSocketVersion),
            ("Sec-WebSocket-Protocol", Known::WebSocketProtocol),
            ("Sec-WebSocket-Extensions", Known::WebSocketExtensions),
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

/// What heads that are equal but for the value kept aside have in common.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct FieldLines {
    /// The lines without that value.
    text: Box<str>,
    places: Box<[Place]>,
    /// Which known names there are, a bit each.
    have: u16,
    /// Where in the text it would stand; the end of it when all values are here.
    gap: usize,
    /// The index of its field; `usize::MAX` when all values are here.
    aside: usize,
}

impl FieldLines {
    /// Reads lines; the value at `aside` is left out.
    pub(super) fn read(lines: &str, aside: Option<Range<usize>>) -> FieldLines {
        let (before, after) = match &aside {
            Some(range) => (&lines[..range.start], &lines[range.end..]),
            None => (lines, ""),
        };
        let text: Box<str> = [before, after].concat().into();
        let mut places = Vec::new();
        let mut aside_index = usize::MAX;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            if let Some(place) = Place::find(line, start) {
                if aside.as_ref().is_some_and(|range| (start..start + line.len()).contains(&range.start)) {
                    aside_index = places.len();
                }
                places.push(place);
            }
            start += line.len();
        }
        let have = places.iter().fold(0, |bits, place| bits | place.known.bit());
        FieldLines { places: places.into(), have, gap: before.len(), aside: aside_index, text }
    }

    /// Whether these are the lines that have `before` in front of the value kept aside and `after` behind it.
    pub(super) fn matches(&self, before: &[u8], after: &[u8]) -> bool {
        let (own_before, own_after) = self.text.as_bytes().split_at(self.gap);
        own_before == before && own_after == after
    }

    /// Whether bytes begin with these lines and an empty one, with any plain value of that length at its place. Where
    /// that value is, and how long the lines are.
    pub(super) fn find_in(&self, bytes: &[u8], aside: usize) -> Option<(Range<usize>, usize)> {
        let (before, after) = self.text.as_bytes().split_at(self.gap);
        let (value, behind) = bytes.strip_prefix(before)?.split_at_checked(aside)?;
        let plain = value.iter().all(u8::is_ascii_graphic);
        let ends = behind.strip_prefix(after)?.starts_with(b"\r\n");
        (plain && ends).then_some((self.gap..self.gap + aside, self.text.len() + aside))
    }
}

/// Where a field stands in the text. Heads are far below 4 GiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    name_start: u32,
    name_end: u32,
    value_start: u32,
    value_end: u32,
    known: Known,
}

impl Place {
    /// In a line that begins at `start`. White space before the colon is wrong (RFC 9112 §5.1) and left out. A line
    /// without a colon is no field.
    fn find(line: &str, start: usize) -> Option<Place> {
        let colon = line.find(':')?;
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

    fn name(self) -> Range<usize> {
        self.name_start as usize..self.name_end as usize
    }

    fn value(self) -> Range<usize> {
        self.value_start as usize..self.value_end as usize
    }
}

/// A value kept aside: a key has 24 characters, an accept value 28.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Aside {
    length: u8,
    bytes: [u8; Aside::MOST],
}

impl Aside {
    const MOST: usize = 28;
    const EMPTY: Aside = Aside { length: 0, bytes: [0; Aside::MOST] };

    fn new(value: &[u8]) -> Aside {
        let mut aside = Aside::EMPTY;
        let value = &value[..value.len().min(Aside::MOST)];
        aside.bytes[..value.len()].copy_from_slice(value);
        aside.length = value.len() as u8;
        aside
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
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
    let is = |name: &[u8]| line.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    let name = [KEY, ACCEPT].into_iter().find(|name| is(name))?;
    let value = line[name.len()..].trim_ascii_start();
    let start = line.len() - value.len();
    let value = value.trim_ascii_end();
    let plain = value.iter().all(|byte| byte.is_ascii_graphic());
    ((1..=Aside::MOST).contains(&value.len()) && plain).then(|| start..start + value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_lists_over_several_lines() {
        let fields = Fields::new("Connection: keep-alive\r\nHost: a\r\nconnection: Upgrade , x\r\n");
        assert!(fields.has_token("Connection", "upgrade"));
        assert!(!fields.has_token("Host", "upgrade"));
        assert_eq!(fields.list("connection").collect::<Vec<_>>(), ["keep-alive", "Upgrade", "x"]);
    }

    #[test]
    fn the_value_kept_aside_is_read_in_its_place() {
        let lines = "Host: a\r\nsec-websocket-KEY:  dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: b\r\n";
        let fields = Fields::new(lines);
        let all: Vec<_> = fields.iter().map(|field| (field.name, field.value)).collect();
        assert_eq!(all, [("Host", "a"), ("sec-websocket-KEY", "dGhlIHNhbXBsZSBub25jZQ=="), ("Origin", "b")]);
        assert_eq!(fields.lines.text.len(), lines.len() - 24);
    }

    #[test]
    fn odd_lines_are_read_as_well_as_may_be() {
        let fields = Fields::new("no colon\nA : b \n:c\r\nd:\r\nSec-WebSocket-Key:\nSec-WebSocket-Key: a b\n last:x");
        let all: Vec<_> = fields.iter().map(|field| (field.name, field.value)).collect();
        assert_eq!(
            all,
            [("A", "b"), ("", "c"), ("d", ""), ("Sec-WebSocket-Key", ""), ("Sec-WebSocket-Key", "a b"), (" last", "x")]
        );
    }

    #[test]
    fn lines_with_the_value_at_another_place_are_others() {
        let (first, second) =
            ("Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: \r\n", "Sec-WebSocket-Key: \r\nSec-WebSocket-Key: a\r\n");
        let lines = FieldLines::read(first, find_aside(first.as_bytes()));
        assert!(lines.matches(b"Sec-WebSocket-Key: ", b"\r\nSec-WebSocket-Key: \r\n"));
        assert!(!lines.matches(b"Sec-WebSocket-Key: \r\nSec-WebSocket-Key: ", b"\r\n"));
        assert_eq!(find_aside(second.as_bytes()), Some(40..41));
        assert_eq!(lines.find_in(b"Sec-WebSocket-Key: xy\r\nSec-WebSocket-Key: \r\n\r\n", 2), Some((19..21, 44)));
        assert_eq!(lines.find_in(b"Sec-WebSocket-Key: x \r\nSec-WebSocket-Key: \r\n\r\n", 2), None);
        assert_eq!(lines.find_in(b"Sec-WebSocket-Key: xy\r\nSec-WebSocket-Key: \r\nA", 2), None);
    }

    #[test]
    fn fields_are_small() {
        assert_eq!(size_of::<Fields>(), 40);
    }
}
