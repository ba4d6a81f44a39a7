//! Field lines, in the order and case of the wire (RFC 9110 §5, RFC 9112 §5), in little memory.
//!
//! A session keeps its heads for life, and a capture may hold a million handshakes that differ in nothing but
//! Sec-WebSocket-Key and Sec-WebSocket-Accept. So that value is kept aside, in place, and all the rest is shared.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::http::field_lines::{FieldLines, Known, LONGEST_ASIDE, Place, find_aside};
use crate::http::handshake::Said;

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
        let value = aside.clone().map_or("", |range| &lines[range]);
        Fields::of(Arc::new(FieldLines::read(lines, aside)), value.as_bytes())
    }

    /// Shared lines, with the value that was kept aside of these; empty where none was.
    pub(super) fn of(lines: Arc<FieldLines>, aside: &[u8]) -> Fields {
        Fields { lines, aside: Aside::new(aside) }
    }

    /// What they say of a WebSocket, as far as it does not depend on the value kept aside.
    pub(super) fn said(&self) -> &Said {
        self.lines.said()
    }

    /// The value that is kept aside, if it is one of these.
    pub(super) fn aside(&self, known: Known) -> Option<&[u8]> {
        (self.lines.name_aside() == Some(known)).then(|| self.aside.as_bytes())
    }

    /// The value that is kept aside, that of Sec-WebSocket-Key or Sec-WebSocket-Accept; empty where none is.
    pub fn value_aside(&self) -> &[u8] {
        self.aside.as_bytes()
    }

    /// Puts another value in its place; what is too long for it is cut.
    pub fn put_aside(&mut self, value: &[u8]) {
        self.aside = Aside::new(value);
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        let (text, places) = (self.lines.text(), self.lines.places());
        let field =
            |(index, place): (usize, &Place)| Field { name: &text[place.name()], value: self.value(index, *place) };
        places.iter().enumerate().map(field)
    }

    /// Those whose names mean something here, in order.
    pub(super) fn known(&self) -> impl Iterator<Item = (Known, &str)> {
        let places = self.lines.places().iter().enumerate();
        let known = places.filter(|(_, place)| place.known != Known::Other);
        known.map(|(index, place)| (place.known, self.value(index, *place)))
    }

    /// The values of fields of this name, in order.
    pub(super) fn values(&self, known: Known) -> impl Iterator<Item = &str> {
        self.named(known).map(|(index, place)| self.value(index, place))
    }

    /// The same, as bytes.
    pub(super) fn raw_values(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.named(known).map(|(index, place)| match self.lines.is_aside(index) {
            true => self.aside.as_bytes(),
            false => self.lines.text()[place.value()].as_bytes(),
        })
    }

    fn named(&self, known: Known) -> impl Iterator<Item = (usize, Place)> {
        let places: &[Place] = if self.have(known) { self.lines.places() } else { &[] };
        places.iter().copied().enumerate().filter(move |(_, place)| place.known == known)
    }

    /// Whether there is a field of this name.
    pub(super) fn have(&self, known: Known) -> bool {
        self.lines.have(known)
    }

    fn value(&self, index: usize, place: Place) -> &str {
        if self.lines.is_aside(index) { self.aside.as_str() } else { &self.lines.text()[place.value()] }
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

    /// Whether a proxy says in one of them for whom it asks: Via (RFC 9110 §7.6.3), Forwarded (RFC 7239), or a field that
    /// is older than that.
    pub fn say_forwarded(&self) -> bool {
        self.have(Known::Forwarded)
    }

    /// Whether a proxy says that it asks for this client, in a field that is older than Forwarded.
    pub fn name_client(&self, client: IpAddr) -> bool {
        self.list("X-Forwarded-For").chain(self.all("X-Real-IP")).any(|from| from.parse() == Ok(client))
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
        self.lines.places().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.places().is_empty()
    }

    /// Where they are: the same for all that share their memory.
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.lines).addr()
    }

    /// The length of the lines in bytes, but for the value that is kept aside.
    pub fn length(&self) -> usize {
        self.lines.text().len()
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

/// A value kept aside: a key has 24 characters, an accept value 28.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Aside {
    length: u8,
    bytes: [u8; LONGEST_ASIDE],
}

impl Aside {
    fn new(value: &[u8]) -> Aside {
        let mut aside = Aside { length: 0, bytes: [0; LONGEST_ASIDE] };
        let value = &value[..value.len().min(LONGEST_ASIDE)];
        aside.bytes[..value.len()].copy_from_slice(value);
        aside.length = value.len() as u8;
        aside
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
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
        assert_eq!(fields.lines.text().len(), lines.len() - 24);
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
    fn fields_are_small() {
        assert_eq!(size_of::<Fields>(), 40);
    }
}
