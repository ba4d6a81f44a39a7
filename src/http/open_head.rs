//! A head while its bytes come: its lines are found once, whatever pieces they come in.

use memchr::memchr;

use crate::http::field_lines::aside_in;
use crate::http::head_store::{Came, RawHead};
use crate::packet::Moment;

/// A head that is not complete, with its bytes up to the limit.
#[derive(Debug)]
pub(super) struct OpenHead {
    /// What has come, from the first byte of the start line.
    pub(super) bytes: Vec<u8>,
    /// The packet with its first byte.
    pub(super) begun: Moment,
    /// The lines found so far.
    pub(super) lines: Lines,
    /// Bytes that came and are not kept, once the limit is reached.
    dropped: usize,
    /// Whether the line that was reached then is empty so far.
    line_is_empty: bool,
}

impl OpenHead {
    pub(super) fn new(bytes: &[u8], begun: Moment, lines: Lines) -> OpenHead {
        OpenHead { bytes: bytes.to_vec(), begun, lines, dropped: 0, line_is_empty: false }
    }

    /// From now on bytes are only looked through for the end of the head.
    pub(super) fn stop_keeping(&mut self) {
        self.line_is_empty = self.bytes[self.lines.line..].iter().all(|&byte| byte == b'\r');
    }

    /// Looks through bytes that are not kept. How many of them belong to the head, if it ends here.
    pub(super) fn drop_until_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &bytes[at..]) {
            let ends = self.line_is_empty && bytes[at..at + length].iter().all(|&byte| byte == b'\r');
            self.line_is_empty = true;
            at += length + 1;
            if ends {
                self.dropped = self.dropped.saturating_add(at);
                return Some(at);
            }
        }
        self.line_is_empty &= bytes[at..].iter().all(|&byte| byte == b'\r');
        self.dropped = self.dropped.saturating_add(bytes.len());
        None
    }

    /// How many bytes of it came.
    pub(super) fn length(&self) -> usize {
        self.bytes.len().saturating_add(self.dropped)
    }

    /// The head as far as its lines are whole and kept.
    pub(super) fn raw(&self) -> RawHead<'_> {
        self.lines.raw(&self.bytes, self.length(), self.begun)
    }
}

/// Where the lines of a head are. Offsets count from its first byte.
#[derive(Clone, Default, Debug)]
pub(super) struct Lines {
    /// Where the line begins whose end has not come.
    line: usize,
    /// How far its end was looked for.
    searched: usize,
    /// The end of the start line, its line end included; 0 until it is found.
    start_line: usize,
    /// Field lines so far.
    fields: usize,
    /// Where the fields begin that are too many.
    cut: Option<usize>,
    /// Where the value is that is kept aside.
    aside: Option<(usize, usize)>,
    /// Whether a line begins with white space.
    folded: bool,
}

impl Lines {
    /// The start line without its end, once it is there. `bytes` is all of the head so far, here as below.
    pub(super) fn start_line<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        if self.start_line == 0 {
            self.start_line = self.next_line(bytes)?.1;
        }
        Some(bytes[..self.start_line].trim_ascii_end())
    }

    /// The length of the start line with its end, once it is there.
    pub(super) fn start_line_length(&self) -> usize {
        self.start_line
    }

    /// The length of the whole head, once the empty line is there that ends it (RFC 9112 §2.1). Behind the start line.
    pub(super) fn end(&mut self, bytes: &[u8], most_fields: usize) -> Option<usize> {
        loop {
            let (start, end) = self.next_line(bytes)?;
            let line = &bytes[start..end];
            if matches!(line, b"\r\n" | b"\n") {
                self.line = start;
                return Some(end);
            }
            self.fields += 1;
            if self.fields > most_fields {
                self.cut.get_or_insert(start);
            } else if matches!(line[0], b' ' | b'\t') {
                self.folded = true;
            } else if self.aside.is_none() && matches!(line[0], b'S' | b's') {
                self.aside = aside_in(line).map(|range| (start + range.start, start + range.end));
            }
        }
    }

    /// Whether there are more fields than allowed.
    pub(super) fn are_too_many(&self) -> bool {
        self.cut.is_some()
    }

    /// The head as far as its lines are whole; `length` counts what is not kept too.
    pub(super) fn raw<'a>(&self, bytes: &'a [u8], length: usize, begun: Moment) -> RawHead<'a> {
        let end = self.cut.unwrap_or(self.line).max(self.start_line);
        RawHead {
            start_line: bytes[..self.start_line].trim_ascii_end(),
            lines: &bytes[self.start_line..end],
            aside: self.aside.map(|(start, end)| (start - self.start_line, end - self.start_line)),
            folded: self.folded,
            came: Came { length: u32::try_from(length).unwrap_or(u32::MAX), begun, cut: false },
        }
    }

    /// Start and end of the next whole line.
    fn next_line(&mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        let start = self.line;
        match memchr(b'\n', &bytes[self.searched..]) {
            Some(length) => {
                self.line = self.searched + length + 1;
                self.searched = self.line;
                Some((start, self.line))
            }
            None => {
                self.searched = bytes.len();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nA: b\n\tc\r\nSec-WebSocket-Key: abc \r\n\r\nrest";

    #[test]
    fn lines_are_found_in_any_pieces() {
        for piece in 1..=HEAD.len() {
            let mut lines = Lines::default();
            let mut end = None;
            for come in (piece..=HEAD.len() + piece).step_by(piece) {
                let bytes = &HEAD[..come.min(HEAD.len())];
                if end.is_none() && lines.start_line(bytes).is_some() {
                    end = lines.end(bytes, 100);
                }
            }
            assert_eq!(end, Some(HEAD.len() - 4));
            let raw = lines.raw(HEAD, HEAD.len() - 4, Moment::default());
            assert_eq!(raw.start_line, b"GET / HTTP/1.1");
            assert_eq!(raw.lines, b"A: b\n\tc\r\nSec-WebSocket-Key: abc \r\n");
            assert!(raw.folded);
            let (start, end) = raw.aside.unwrap();
            assert_eq!(&raw.lines[start..end], b"abc");
        }
    }

    #[test]
    fn too_many_fields_are_cut_off() {
        let mut lines = Lines::default();
        lines.start_line(HEAD);
        assert_eq!(lines.end(HEAD, 2), Some(HEAD.len() - 4));
        assert!(lines.are_too_many());
        assert_eq!(lines.raw(HEAD, 0, Moment::default()).lines, b"A: b\n\tc\r\n");
    }

    #[test]
    fn the_end_of_a_long_head_is_found_in_any_pieces() {
        for kept in 17..HEAD.len() - 4 {
            for piece in 1..HEAD.len() - kept {
                let mut lines = Lines::default();
                lines.start_line(&HEAD[..kept]);
                if lines.end(&HEAD[..kept], 100).is_some() {
                    continue;
                }
                let mut open = OpenHead::new(&HEAD[..kept], Moment::default(), lines);
                open.stop_keeping();
                let mut at = kept;
                let end = HEAD[kept..].chunks(piece).find_map(|bytes| match open.drop_until_end(bytes) {
                    Some(length) => Some(at + length),
                    None => {
                        at += bytes.len();
                        None
                    }
                });
                assert_eq!(end, Some(HEAD.len() - 4), "{kept} {piece}");
                assert_eq!(open.length(), HEAD.len() - 4);
            }
        }
    }
}
