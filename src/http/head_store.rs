//! What all dialogues share: the heads that were seen lately, so that equal ones share memory and are known at one
//! glance, and the bounds.

use std::hash::{BuildHasher, Hasher};
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use crate::http::field_lines::{FieldLines, aside_in, find_aside};
use crate::http::fields::Fields;
use crate::http::head::{RequestHead, ResponseHead};
use crate::http::start_line::{RequestLine, StartLine, StatusLine};
use crate::http::text::text;
use crate::limits::Limits;
use crate::packet::Moment;

/// The heads that were seen lately, and the bounds of a dialogue.
#[derive(Debug)]
pub struct HeadStore {
    hasher: RandomState,
    end: Finder<'static>,
    requests: Heads<RequestLine>,
    responses: Heads<StatusLine>,
    fields: Recent<Arc<FieldLines>>,
    pub(super) head_bytes: usize,
    pub(super) head_fields: usize,
    pub(super) early_bytes: usize,
    pub(super) pipelined_requests: usize,
}

/// A head as it came: its parts, and how it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawHead<'a> {
    /// The start line without its end.
    pub(super) start_line: &'a [u8],
    /// The field lines, without the empty line behind them.
    pub(super) lines: &'a [u8],
    /// Where in `lines` the value is that is kept aside.
    pub(super) aside: Option<(usize, usize)>,
    /// Whether some line begins with white space: it goes on with the one before (RFC 9112 §5.2).
    pub(super) folded: bool,
    /// How it came.
    pub(super) came: Came,
}

/// How a head came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Came {
    /// The length of all of it.
    pub(super) length: u32,
    /// The packet with its first byte.
    pub(super) begun: Moment,
    /// Whether a part of it is missing.
    pub(super) cut: bool,
}

impl HeadStore {
    /// An empty store.
    pub fn new(limits: &Limits) -> HeadStore {
        HeadStore {
            hasher: RandomState::default(),
            end: Finder::new(b"\r\n\r\n"),
            requests: Heads::default(),
            responses: Heads::default(),
            fields: Recent::default(),
            head_bytes: limits.head_bytes,
            head_fields: limits.head_fields,
            early_bytes: limits.early_bytes,
            pipelined_requests: limits.pipelined_requests,
        }
    }

    /// The head of a request, and its length, where these bytes begin with one whose field lines came before.
    pub(super) fn request_again(&mut self, bytes: &[u8]) -> Option<(RequestHead, usize)> {
        let whole = Whole::find(bytes, &self.end)?;
        let (line, fields) = self.requests.again(&self.hasher, whole)?;
        Some((RequestHead { line, fields }, whole.length))
    }

    /// The same for a response.
    pub(super) fn response_again(&mut self, bytes: &[u8]) -> Option<(ResponseHead, usize)> {
        let whole = Whole::find(bytes, &self.end)?;
        let (line, fields) = self.responses.again(&self.hasher, whole)?;
        Some((ResponseHead { line, fields }, whole.length))
    }

    /// The head of a request; `None` when its first line is none.
    pub(super) fn request(&mut self, raw: RawHead<'_>) -> Option<RequestHead> {
        let line = self.requests.start_line(&self.hasher, raw.start_line)?;
        let fields = self.fields(raw);
        self.requests.expect(&self.hasher, raw.lines, &fields);
        Some(RequestHead { line, fields })
    }

    /// The head of a response; `None` when its first line is none.
    pub(super) fn response(&mut self, raw: RawHead<'_>) -> Option<ResponseHead> {
        let line = self.responses.start_line(&self.hasher, raw.start_line)?;
        let fields = self.fields(raw);
        self.responses.expect(&self.hasher, raw.lines, &fields);
        Some(ResponseHead { line, fields })
    }

    fn fields(&mut self, raw: RawHead<'_>) -> Fields {
        match str::from_utf8(raw.lines) {
            Ok(lines) if !raw.folded => self.shared_fields(lines, raw.aside.map(|(start, end)| start..end)),
            _ => {
                let lines = unfold(&text(raw.lines));
                let aside = find_aside(lines.as_bytes());
                self.shared_fields(&lines, aside)
            }
        }
    }

    fn shared_fields(&mut self, lines: &str, aside: Option<Range<usize>>) -> Fields {
        let bytes = lines.as_bytes();
        let (before, after) = match &aside {
            Some(range) => (&bytes[..range.start], &bytes[range.end..]),
            None => (bytes, &[][..]),
        };
        let mut hasher = self.hasher.build_hasher();
        hasher.write(before);
        hasher.write(after);
        let hash = hasher.finish();
        let value = aside.clone().map(|range| &bytes[range]);
        if let Some(shared) = self.fields.find(hash, |shared| shared.matches(before, after)) {
            return Fields::of(shared.clone(), value);
        }
        let shared = Arc::new(FieldLines::read(lines, aside));
        self.fields.add(hash, bytes.len(), || shared.clone());
        Fields::of(shared, value)
    }
}

/// A whole head, as the usual ones are: all its lines end in CRLF.
#[derive(Clone, Copy)]
struct Whole<'a> {
    start_line: &'a [u8],
    /// With the empty line behind them.
    lines: &'a [u8],
    length: usize,
}

impl<'a> Whole<'a> {
    fn find(bytes: &'a [u8], end: &Finder<'_>) -> Option<Whole<'a>> {
        let (start_line, rest) = bytes.split_at(memchr(b'\n', bytes)? + 1);
        let lines = &rest[..end.find(rest)? + b"\r\n\r\n".len()];
        Some(Whole { start_line: start_line.trim_ascii_end(), lines, length: start_line.len() + lines.len() })
    }
}

/// What field lines have in common that differ in the value kept aside alone: their length, and the first and the last of
/// them. Host, with which most programs begin or end, tells servers apart; Server and Date tell clients apart.
fn likeness(hasher: &RandomState, lines: &[u8]) -> u64 {
    let first = memchr(b'\n', lines).map_or(lines, |end| &lines[..end]);
    let before = lines.strip_suffix(b"\n").unwrap_or(lines);
    let last = memrchr(b'\n', before).map_or(before, |end| &before[end + 1..]);
    let mut hasher = hasher.build_hasher();
    hasher.write_usize(lines.len());
    for line in [first, last] {
        if aside_in(line).is_none() {
            hasher.write(line);
        }
    }
    hasher.finish()
}

/// The heads of one side.
#[derive(Debug)]
struct Heads<L> {
    start_lines: Recent<Arc<L>>,
    /// The field lines that came last of those that are alike.
    last: Recent<LastLines>,
}

/// Lines, and the length of the value that was kept aside of them.
#[derive(Debug)]
struct LastLines {
    lines: Arc<FieldLines>,
    aside: usize,
}

impl<L> Default for Heads<L> {
    fn default() -> Self {
        Heads { start_lines: Recent::default(), last: Recent::default() }
    }
}

impl<L: StartLine> Heads<L> {
    /// The parts of a head whose field lines are those to be expected. Of them nothing but the value kept aside is read.
    fn again(&mut self, hasher: &RandomState, head: Whole<'_>) -> Option<(Arc<L>, Fields)> {
        let (lines, _) = head.lines.split_at(head.lines.len() - b"\r\n".len());
        let LastLines { lines, aside } = self.last.find(likeness(hasher, lines), |_| true)?;
        let value = lines.find_in(head.lines, *aside)?;
        let fields = Fields::of(lines.clone(), (!value.is_empty()).then(|| &head.lines[value]));
        let line = self.start_line(hasher, head.start_line)?;
        line.has_fields().then_some((line, fields))
    }

    /// This start line, shared with heads that have the same. `None` when it is none.
    fn start_line(&mut self, hasher: &RandomState, bytes: &[u8]) -> Option<Arc<L>> {
        let hash = hasher.hash_one(bytes);
        if let Some(line) = self.start_lines.find(hash, |line| line.is(bytes)) {
            return Some(line.clone());
        }
        let line = Arc::new(L::read(bytes)?);
        self.start_lines.add(hash, bytes.len(), || line.clone());
        Some(line)
    }

    /// From now on these are the field lines to be expected of those that are alike.
    fn expect(&mut self, hasher: &RandomState, lines: &[u8], fields: &Fields) {
        let alike = likeness(hasher, lines);
        let last = LastLines { lines: fields.shared().clone(), aside: fields.aside_length() };
        match self.last.find(alike, |_| true) {
            Some(known) => *known = last,
            None => self.last.add(alike, lines.len(), || last),
        }
    }
}

/// Values that were seen lately, each once. Two generations: when the young one is full it becomes the old one, and what
/// was old and not seen since is let go.
#[derive(Debug)]
struct Recent<T> {
    young: HashTable<(u64, T)>,
    old: HashTable<(u64, T)>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent { young: HashTable::new(), old: HashTable::new() }
    }
}

impl<T> Recent<T> {
    /// Values of one generation. A server has a few kinds of clients; proxies stamp a date on answers every second.
    const MOST: usize = 512;
    /// Longer values are not kept: with their cookies and tokens they are all different. In bytes on the wire.
    const LONGEST: usize = 4 << 10;

    /// The value with this hash that is the `same`.
    fn find(&mut self, hash: u64, same: impl Fn(&T) -> bool) -> Option<&mut T> {
        let fits = |entry: &(u64, T)| entry.0 == hash && same(&entry.1);
        if let Ok(entry) = self.old.find_entry(hash, fits) {
            let (entry, _) = entry.remove();
            self.insert(entry);
        }
        self.young.find_mut(hash, fits).map(|(_, value)| value)
    }

    /// Adds a value that is not there, unless it is too long.
    fn add(&mut self, hash: u64, length: usize, value: impl FnOnce() -> T) {
        if length <= Self::LONGEST {
            self.insert((hash, value()));
        }
    }

    fn insert(&mut self, entry: (u64, T)) {
        if self.young.len() == Self::MOST {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert_unique(entry.0, entry, |entry| entry.0);
    }
}

/// Joins folded lines to the ones before: the line end becomes a space (RFC 9112 §5.2).
fn unfold(lines: &str) -> String {
    let mut joined = String::with_capacity(lines.len());
    for line in lines.split_inclusive('\n') {
        if line.starts_with([' ', '\t']) && !joined.is_empty() {
            joined.truncate(joined.trim_end().len());
            joined.push(' ');
            joined.push_str(line.trim_start_matches([' ', '\t']));
        } else {
            joined.push_str(line);
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(store: &mut HeadStore, target: &str, lines: &[u8]) -> RequestHead {
        let folded = lines.windows(2).any(|pair| pair == b"\n ");
        let start_line = format!("GET {target} HTTP/1.1");
        let aside = find_aside(lines).map(|range| (range.start, range.end));
        let came = Came { length: 0, begun: Moment::default(), cut: false };
        store.request(RawHead { start_line: start_line.as_bytes(), lines, aside, folded, came }).unwrap()
    }

    fn store() -> HeadStore {
        HeadStore::new(&Limits::default())
    }

    #[test]
    fn heads_that_differ_in_their_key_share_their_memory() {
        let mut store = store();
        let one = request(&mut store, "/", b"Host: a\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: x\r\n");
        let two = request(&mut store, "/", b"Host: a\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAQ==\r\nOrigin: x\r\n");
        let three = request(&mut store, "/b", b"Host: b\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAQ==\r\n");
        assert!(one.fields.shares_with(&two.fields) && Arc::ptr_eq(&one.line, &two.line));
        assert!(!one.fields.shares_with(&three.fields) && !Arc::ptr_eq(&one.line, &three.line));
        assert_ne!(one, two);
        assert_eq!(one.fields.first("sec-websocket-key"), Some("AAAAAAAAAAAAAAAAAAAAAA=="));
        assert_eq!(two.fields.first("sec-websocket-key"), Some("AAAAAAAAAAAAAAAAAAAAAQ=="));
        assert_eq!(two.fields.first("Origin"), Some("x"));
    }

    #[test]
    fn a_head_that_came_before_is_known_at_one_glance() {
        let mut store = store();
        let lines = |host: &str, key: &str| format!("Host: {host}\r\nSec-WebSocket-Key: {key}\r\n");
        let bytes = |target: &str, lines: &str| format!("GET {target} HTTP/1.1\r\n{lines}\r\nrest").into_bytes();
        let keys = ["AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAQ=="];
        assert!(store.request_again(&bytes("/a", &lines("a", keys[0]))).is_none());
        let a = request(&mut store, "/a", lines("a", keys[0]).as_bytes());
        let b = request(&mut store, "/b", lines("b", keys[0]).as_bytes());
        for (target, host, first) in [("/a", "a", &a), ("/b", "b", &b)] {
            let lines = lines(host, keys[1]);
            let (again, length) = store.request_again(&bytes(target, &lines)).unwrap();
            assert!(Arc::ptr_eq(&again.line, &first.line) && again.fields.shares_with(&first.fields));
            assert_eq!(again.fields.first("Sec-WebSocket-Key"), Some(keys[1]));
            assert_eq!(bytes(target, &lines)[length..], *b"rest");
        }
        let (new, _) = store.request_again(&bytes("/new", &lines("b", keys[1]))).unwrap();
        assert!(*new.target == *"/new" && new.fields.shares_with(&b.fields));
        // What is alike need not be the same: the last is expected.
        let agent = |agent: &str| format!("Host: a\r\nUser-Agent: {agent}\r\nOrigin: c\r\n{}", lines("b", keys[0]));
        request(&mut store, "/a", agent("one").as_bytes());
        assert!(store.request_again(&bytes("/a", &agent("two"))).is_none());
        request(&mut store, "/a", agent("two").as_bytes());
        assert!(store.request_again(&bytes("/a", &agent("one"))).is_none());
        assert!(store.request_again(&bytes("/a", &agent("two"))).is_some());
        for other in [lines("c", keys[1]), lines("b", "A"), lines("b", "AAAAAAAAAA AAAAAAAAAAA=="), "\r\n".to_owned()] {
            assert!(store.request_again(&bytes("/b", &other)).is_none(), "{other}");
        }
        assert!(store.request_again(b"GET /old\r\n\r\n").is_none(), "HTTP/0.9 has no fields");
    }

    #[test]
    fn the_store_is_bounded_and_forgets_the_oldest() {
        let mut store = store();
        let first = request(&mut store, "/", b"Host: first\r\n");
        for number in 0..10_000 {
            let other = request(&mut store, &format!("/{number}"), format!("Host: {number}\r\n").as_bytes());
            assert_eq!(other.host(), Some(&*number.to_string()));
            if number < 1500 && number % 100 == 0 {
                assert!(request(&mut store, "/", b"Host: first\r\n").fields.shares_with(&first.fields));
            }
        }
        assert!(store.fields.young.len() <= 512 && store.fields.old.len() <= 512);
        let again = request(&mut store, "/", b"Host: first\r\n");
        assert!(again == first && !again.fields.shares_with(&first.fields));
    }

    #[test]
    fn lines_that_are_folded_or_no_utf8() {
        let mut store = store();
        let head = request(&mut store, "/", b"A: b\r\n\tc\r\n  d\r\nSec-WebSocket-Key:\r\n dGVzdA==\r\nE: \xff\r\n");
        let all: Vec<_> = head.fields.iter().map(|field| (field.name, field.value)).collect();
        assert_eq!(all, [("A", "b c d"), ("Sec-WebSocket-Key", "dGVzdA=="), ("E", "\\xff")]);
    }
}
