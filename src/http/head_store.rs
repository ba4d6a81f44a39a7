//! What all dialogues share: the heads that were seen lately, so that equal ones share memory, and the bounds.

use std::hash::{BuildHasher, Hasher};
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::http::field_lines::{FieldLines, find_aside};
use crate::http::fields::Fields;
use crate::http::head::{RequestHead, ResponseHead};
use crate::http::start_line::{RequestLine, RequestParts, StatusLine, StatusParts};
use crate::http::text::text;
use crate::limits::Limits;
use crate::packet::Moment;
use crate::stream::{ByRole, Role};

/// The heads that were seen lately, and the bounds of a dialogue.
#[derive(Debug)]
pub struct HeadStore {
    hasher: RandomState,
    request_lines: Recent<RequestLine>,
    status_lines: Recent<StatusLine>,
    fields: Recent<FieldLines>,
    /// The last lines of each side: the next ones are likely the same.
    last: ByRole<Option<LastLines>>,
    pub(super) head_bytes: usize,
    pub(super) head_fields: usize,
    pub(super) early_bytes: usize,
    pub(super) pipelined_requests: usize,
}

/// Lines as they were on the wire, and the length of the value that was kept aside of them.
#[derive(Clone, Debug)]
pub(super) struct LastLines {
    pub(super) lines: Arc<FieldLines>,
    pub(super) aside: usize,
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
    /// The length of all of it.
    pub(super) length: u32,
    /// The packet with its first byte.
    pub(super) begun: Moment,
    /// Whether a part of it is missing.
    pub(super) cut: bool,
    /// Whether its lines are those that came last, but for the value kept aside.
    pub(super) repeats: bool,
}

impl HeadStore {
    /// An empty store.
    pub fn new(limits: &Limits) -> HeadStore {
        HeadStore {
            hasher: RandomState::default(),
            request_lines: Recent::default(),
            status_lines: Recent::default(),
            fields: Recent::default(),
            last: ByRole::default(),
            head_bytes: limits.head_bytes,
            head_fields: limits.head_fields,
            early_bytes: limits.early_bytes,
            pipelined_requests: limits.pipelined_requests,
        }
    }

    /// The lines that came last from this side.
    pub(super) fn last(&self, role: Role) -> Option<&LastLines> {
        self.last[role].as_ref()
    }

    /// The head of a request; `None` when its first line is none.
    pub(super) fn request(&mut self, raw: RawHead<'_>) -> Option<RequestHead> {
        let parts = RequestParts::read(raw.start_line)?;
        let (method, target) = (text(parts.method), text(parts.target));
        let same =
            |line: &RequestLine| *line.method == *method && *line.target == *target && line.version == parts.version;
        let make = || RequestLine { method: (&*method).into(), target: (&*target).into(), version: parts.version };
        let line = self.request_lines.share(self.hasher.hash_one(raw.start_line), raw.start_line.len(), same, make);
        Some(RequestHead { line, fields: self.fields(raw, Role::Client) })
    }

    /// The head of a response; `None` when its first line is none.
    pub(super) fn response(&mut self, raw: RawHead<'_>) -> Option<ResponseHead> {
        let parts = StatusParts::read(raw.start_line)?;
        let reason = text(parts.reason);
        let same =
            |line: &StatusLine| *line.reason == *reason && line.status == parts.status && line.version == parts.version;
        let make = || StatusLine { version: parts.version, status: parts.status, reason: (&*reason).into() };
        let line = self.status_lines.share(self.hasher.hash_one(raw.start_line), raw.start_line.len(), same, make);
        Some(ResponseHead { line, fields: self.fields(raw, Role::Server) })
    }

    fn fields(&mut self, raw: RawHead<'_>, role: Role) -> Fields {
        let aside = raw.aside.map(|(start, end)| start..end);
        if raw.repeats
            && let Some(last) = &self.last[role]
        {
            return Fields::of(last.lines.clone(), aside.map(|range| &raw.lines[range]));
        }
        match str::from_utf8(raw.lines) {
            Ok(lines) if !raw.folded => {
                let length = aside.as_ref().map_or(0, Range::len);
                let fields = self.shared_fields(lines, aside);
                self.last[role] = Some(LastLines { lines: fields.shared().clone(), aside: length });
                fields
            }
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
        let same = |shared: &FieldLines| shared.matches(before, after);
        let value = aside.clone().map(|range| &bytes[range]);
        let make = || FieldLines::read(lines, aside);
        let shared = self.fields.share(hasher.finish(), bytes.len(), same, make);
        Fields::of(shared, value)
    }
}

/// Values that were seen lately, each once. Two generations: when the young one is full it becomes the old one, and what
/// was old and not seen since is let go. Whoever holds a value keeps it.
#[derive(Debug)]
struct Recent<T> {
    young: HashTable<(u64, Arc<T>)>,
    old: HashTable<(u64, Arc<T>)>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent { young: HashTable::new(), old: HashTable::new() }
    }
}

impl<T> Recent<T> {
    /// Values of one generation. A server has a few kinds of clients; proxies stamp a date on answers every second.
    const MOST: usize = 512;
    /// Longer values are not shared: with their cookies and tokens they are all different. In bytes on the wire.
    const LONGEST: usize = 4 << 10;

    /// The value with this hash that is the `same`, or a new one.
    fn share(&mut self, hash: u64, length: usize, same: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> Arc<T> {
        if length > Self::LONGEST {
            return Arc::new(make());
        }
        let fits = |entry: &(u64, Arc<T>)| entry.0 == hash && same(&entry.1);
        if let Some((_, value)) = self.young.find(hash, fits) {
            return value.clone();
        }
        let entry = match self.old.find_entry(hash, fits) {
            Ok(entry) => entry.remove().0,
            Err(_) => (hash, Arc::new(make())),
        };
        if self.young.len() == Self::MOST {
            self.old = mem::take(&mut self.young);
        }
        let value = entry.1.clone();
        self.young.insert_unique(hash, entry, |entry| entry.0);
        value
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
        let begun = Moment::default();
        let raw = RawHead {
            start_line: start_line.as_bytes(),
            lines,
            aside,
            folded,
            length: 0,
            begun,
            cut: false,
            repeats: false,
        };
        store.request(raw).unwrap()
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
