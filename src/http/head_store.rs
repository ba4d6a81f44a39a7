//! What all dialogues share: the heads that were seen lately, so that equal ones share memory and are known at one
//! glance, and the bounds.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use memchr::memchr;
use memchr::memmem::Finder;

use crate::http::field_lines::{FieldLines, find_aside, is_plain};
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
    request_lines: Recent<RequestLine>,
    status_lines: Recent<Arc<StatusLine>>,
    fields: Recent<Arc<FieldLines>>,
    asides: Asides,
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
            request_lines: Recent::default(),
            status_lines: Recent::default(),
            fields: Recent::default(),
            asides: Asides::default(),
            head_bytes: limits.head_bytes,
            head_fields: limits.head_fields,
            early_bytes: limits.early_bytes,
            pipelined_requests: limits.pipelined_requests,
        }
    }

    /// The head of a request, and its length, where these bytes begin with one whose field lines came before.
    pub(super) fn request_again(&mut self, bytes: &[u8]) -> Option<(RequestHead, usize)> {
        let whole = Whole::find(bytes, &self.end)?;
        let fields = self.fields_again(whole.lines)?;
        let line = self.request_lines.start_line(&self.hasher, whole.start_line)?;
        // A line without a version may be one of HTTP/0.9, which has no fields.
        line.version().is_some().then_some((RequestHead { line, fields }, whole.length))
    }

    /// The same for a response.
    pub(super) fn response_again(&mut self, bytes: &[u8]) -> Option<(ResponseHead, usize)> {
        let whole = Whole::find(bytes, &self.end)?;
        let fields = self.fields_again(whole.lines)?;
        let line = self.status_lines.start_line(&self.hasher, whole.start_line)?;
        Some((ResponseHead { line, fields }, whole.length))
    }

    /// The head of a request; `None` when its first line is none.
    pub(super) fn request(&mut self, raw: RawHead<'_>) -> Option<RequestHead> {
        let line = self.request_lines.start_line(&self.hasher, raw.start_line)?;
        Some(RequestHead { line, fields: self.fields(raw) })
    }

    /// The head of a response; `None` when its first line is none.
    pub(super) fn response(&mut self, raw: RawHead<'_>) -> Option<ResponseHead> {
        let line = self.status_lines.start_line(&self.hasher, raw.start_line)?;
        Some(ResponseHead { line, fields: self.fields(raw) })
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
        let place = aside.clone().unwrap_or(lines.len()..lines.len());
        let parts = Parts::of(lines.as_bytes(), &place);
        self.asides.remember(lines.len(), place);
        let hash = parts.hash(&self.hasher);
        if let Some(shared) = self.fields.find(hash, |shared| shared.matches(parts.before, parts.after)) {
            return Fields::of(shared.clone(), parts.aside);
        }
        let shared = Arc::new(FieldLines::read(lines, aside));
        self.fields.add(hash, lines.len(), || shared.clone());
        Fields::of(shared, parts.aside)
    }

    /// The fields in these lines, where they came before with another value aside: nothing but that value is looked at.
    fn fields_again(&mut self, lines: &[u8]) -> Option<Fields> {
        let parts = Parts::of(lines, self.asides.recall(lines.len())?);
        let hash = parts.hash(&self.hasher);
        let shared = self.fields.find(hash, |shared| shared.matches(parts.before, parts.after))?;
        is_plain(parts.aside).then(|| Fields::of(shared.clone(), parts.aside))
    }
}

/// A whole head, as the usual ones are: all its lines end in CRLF.
#[derive(Clone, Copy)]
struct Whole<'a> {
    start_line: &'a [u8],
    lines: &'a [u8],
    length: usize,
}

impl<'a> Whole<'a> {
    fn find(bytes: &'a [u8], end: &Finder<'_>) -> Option<Whole<'a>> {
        const END: &[u8] = b"\r\n\r\n";
        let fields = memchr(b'\n', bytes)? + 1;
        // Nearly always a head is all that its segment has. Where it is not, these are no lines that came before.
        let length = if bytes.ends_with(END) { bytes.len() } else { end.find(bytes)? + END.len() };
        let lines = bytes.get(fields..length - b"\r\n".len())?;
        Some(Whole { start_line: bytes[..fields].trim_ascii_end(), lines, length })
    }
}

/// Field lines, by what they share with those of other heads and what not.
#[derive(Clone, Copy)]
struct Parts<'a> {
    before: &'a [u8],
    /// The value that is kept aside; empty where there is none.
    aside: &'a [u8],
    after: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(lines: &'a [u8], aside: &Range<usize>) -> Parts<'a> {
        Parts { before: &lines[..aside.start], aside: &lines[aside.clone()], after: &lines[aside.end..] }
    }

    fn hash(&self, hasher: &RandomState) -> u64 {
        let mut hasher = hasher.build_hasher();
        hasher.write(self.before);
        hasher.write(self.after);
        hasher.finish()
    }
}

/// Where the value that is kept aside was in the lines that came last of each length: in lines that came before it is
/// there again.
#[derive(Debug)]
struct Asides(Box<[(usize, Range<usize>)]>);

impl Default for Asides {
    fn default() -> Self {
        Asides(vec![(usize::MAX, 0..0); Asides::LENGTHS].into())
    }
}

impl Asides {
    const LENGTHS: usize = 512;

    fn remember(&mut self, length: usize, aside: Range<usize>) {
        self.0[length % Asides::LENGTHS] = (length, aside);
    }

    fn recall(&self, length: usize) -> Option<&Range<usize>> {
        let (known, aside) = &self.0[length % Asides::LENGTHS];
        (*known == length).then_some(aside)
    }
}

/// Values that were seen lately, each once, in pairs by their hash: what comes new takes the place of the one of its pair
/// that was not seen for longer.
#[derive(Debug)]
struct Recent<T> {
    pairs: Box<[Pair<T>]>,
    /// The hash of what was asked for last and not there, for each pair.
    missed: Box<[u64]>,
}

type Pair<T> = [Option<(u64, T)>; 2];

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent {
            pairs: (0..Self::PAIRS).map(|_| [None, None]).collect(),
            missed: (0..Self::PAIRS).map(|_| 0).collect(),
        }
    }
}

impl<T> Recent<T> {
    /// A server has a few kinds of clients; proxies stamp a date on answers every second.
    const PAIRS: usize = 512;
    /// Longer values are not kept: with their cookies and tokens they are all different. In bytes on the wire.
    const LONGEST: usize = 4 << 10;

    /// The value with this hash that is the `same`.
    fn find(&mut self, hash: u64, same: impl Fn(&T) -> bool) -> Option<&T> {
        let pair = self.pair(hash);
        let is = |value: &Option<(u64, T)>| value.as_ref().is_some_and(|(at, value)| *at == hash && same(value));
        if !is(&pair[0]) {
            if !is(&pair[1]) {
                return None;
            }
            pair.swap(0, 1);
        }
        pair[0].as_ref().map(|(_, value)| value)
    }

    /// Adds a value that is not there, unless it is too long.
    fn add(&mut self, hash: u64, length: usize, value: impl FnOnce() -> T) {
        if length <= Self::LONGEST {
            let pair = self.pair(hash);
            pair.swap(0, 1);
            pair[0] = Some((hash, value()));
        }
    }

    fn pair(&mut self, hash: u64) -> &mut Pair<T> {
        &mut self.pairs[hash as usize % Self::PAIRS]
    }

    /// Whether what has this hash was asked for a short while ago, when it was not there yet.
    fn comes_again(&mut self, hash: u64) -> bool {
        std::mem::replace(&mut self.missed[hash as usize % Self::PAIRS], hash) == hash
    }
}

impl<L: StartLine> Recent<L> {
    /// This start line, shared with heads that have the same. `None` when it is none. A target may have a token in it, and
    /// never come again: a line is kept here when it comes for the second time.
    fn start_line(&mut self, hasher: &RandomState, bytes: &[u8]) -> Option<L> {
        let hash = hasher.hash_one(bytes);
        if let Some(line) = self.find(hash, |line| line.is(bytes)) {
            return Some(line.clone());
        }
        let line = L::read(bytes)?;
        if self.comes_again(hash) {
            self.add(hash, bytes.len(), || line.clone());
        }
        Some(line)
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
        request(&mut store, "/", b"Host: first\r\n");
        let one = request(&mut store, "/", b"Host: a\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: x\r\n");
        let two = request(&mut store, "/", b"Host: a\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAQ==\r\nOrigin: x\r\n");
        let three = request(&mut store, "/b", b"Host: b\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAQ==\r\n");
        assert!(one.fields.shares_with(&two.fields) && one.line.shares_with(&two.line));
        assert!(!one.fields.shares_with(&three.fields) && !one.line.shares_with(&three.line));
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
        let mut twice = |target: &str, host: &str| {
            let [_, second] = [keys[0]; 2].map(|key| request(&mut store, target, lines(host, key).as_bytes()));
            second
        };
        let (a, b) = (twice("/a", "a"), twice("/b", "b"));
        for (target, host, first) in [("/a", "a", &a), ("/b", "b", &b)] {
            let lines = lines(host, keys[1]);
            let (again, length) = store.request_again(&bytes(target, &lines)).unwrap();
            assert!(again.line.shares_with(&first.line) && again.fields.shares_with(&first.fields));
            assert_eq!(again.fields.first("Sec-WebSocket-Key"), Some(keys[1]));
            assert_eq!(bytes(target, &lines)[length..], *b"rest");
        }
        let (new, _) = store.request_again(&bytes("/new", &lines("b", keys[1]))).unwrap();
        assert!(new.target() == "/new" && new.fields.shares_with(&b.fields));
        // Of the same length, with the key at another place: the place that came last is looked at.
        let agent = |agent: &str| format!("User-Agent: {agent}\r\n{}Origin: c\r\n", lines("b", keys[0]));
        let moved = |agent: &str| format!("User-Agent: {agent}\r\nOrigin: c\r\n{}", lines("b", keys[0]));
        for lines in [agent("one"), agent("two"), moved("one"), moved("two")] {
            assert!(store.request_again(&bytes("/a", &lines)).is_none());
            request(&mut store, "/a", lines.as_bytes());
        }
        assert!(store.request_again(&bytes("/a", &moved("one"))).is_some());
        assert!(store.request_again(&bytes("/a", &agent("one"))).is_none());
        request(&mut store, "/a", agent("one").as_bytes());
        assert!(store.request_again(&bytes("/a", &agent("two"))).is_some());
        for other in [lines("c", keys[1]), lines("b", "A"), lines("b", "AAAAAAAAAA AAAAAAAAAAA=="), "\r\n".to_owned()] {
            assert!(store.request_again(&bytes("/b", &other)).is_none(), "{other}");
        }
        assert!(store.request_again(b"GET /old\r\n\r\n").is_none(), "HTTP/0.9 has no fields");
    }

    #[test]
    fn the_store_is_bounded_and_keeps_what_comes_again() {
        let mut store = store();
        request(&mut store, "/", b"Host: first\r\n");
        let first = request(&mut store, "/", b"Host: first\r\n");
        for number in 0..10_000 {
            let other = request(&mut store, &format!("/{number}"), format!("Host: {number}\r\n").as_bytes());
            assert_eq!((other.host(), other.target()), (Some(&*number.to_string()), &*format!("/{number}")));
            let again = request(&mut store, "/", b"Host: first\r\n");
            assert!(again.fields.shares_with(&first.fields) && again.line.shares_with(&first.line));
        }
        for number in 0..10_000 {
            request(&mut store, &format!("/{number}"), format!("Host: {number}\r\n").as_bytes());
        }
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
