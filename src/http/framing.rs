//! Where a message ends: the length of its body (RFC 9112 §6, §7). Bodies are skipped, not copied.

use crate::http::field_lines::Known;
use crate::http::fields::{Fields, elements};
use crate::http::head::{RequestHead, ResponseHead};
use crate::stream::GapCause;

/// What is still to come of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunked),
    /// All until the stream ends.
    UntilClose,
}

/// How a body goes on with the next bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// So many bytes of content come first.
    Content(usize),
    /// So many bytes of chunked coding come first: nothing of the content.
    Coding(usize),
    /// This is no chunked coding.
    Broken,
}

impl Body {
    /// The body of a request: `Ok(None)` when there is none; `Err` when its length cannot be told (RFC 9112 §6.3).
    pub(super) fn of_request(head: &RequestHead) -> Result<Option<Body>, ()> {
        match Lengths::read(&head.fields) {
            Lengths { coded: true, chunked_last: true, .. } => Ok(Some(Body::Chunked(Chunked::default()))),
            Lengths { coded: true, .. } | Lengths { contradictory: true, .. } => Err(()),
            Lengths { length: Some(length), .. } if length > 0 => Ok(Some(Body::Length(length))),
            _ => Ok(None),
        }
    }

    /// The body of a final response; `to_head` if its request was HEAD (RFC 9112 §6.3).
    pub(super) fn of_response(head: &ResponseHead, to_head: bool) -> Option<Body> {
        if to_head || matches!(head.status, 100..=199 | 204 | 304) {
            return None;
        }
        match Lengths::read(&head.fields) {
            Lengths { coded: true, chunked_last: true, .. } => Some(Body::Chunked(Chunked::default())),
            Lengths { coded: true, .. } | Lengths { contradictory: true, .. } => Some(Body::UntilClose),
            Lengths { length: Some(0), .. } => None,
            Lengths { length: Some(length), .. } => Some(Body::Length(length)),
            _ => Some(Body::UntilClose),
        }
    }

    /// Takes the beginning of these bytes, which must not be empty.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        match self {
            Body::Length(length) => Step::Content(take(length, bytes.len())),
            Body::Chunked(chunked) => chunked.step(bytes),
            Body::UntilClose => Step::Content(bytes.len()),
        }
    }

    /// Goes on behind missing bytes, if they were all content.
    pub(super) fn skip(&mut self, missing: u64, cause: GapCause) -> bool {
        match self {
            Body::UntilClose => true,
            _ if !cause.is_exact() => false,
            Body::Length(length) | Body::Chunked(Chunked::Data(length)) if missing <= *length => {
                *length -= missing;
                true
            }
            _ => false,
        }
    }

    /// Whether all of it has come.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Body::Length(0) | Body::Chunked(Chunked::End))
    }
}

/// What the fields say of the length.
#[derive(Default)]
struct Lengths {
    /// Whether there is a Transfer-Encoding: it overrides Content-Length (RFC 9112 §6.3).
    coded: bool,
    /// Whether the last transfer coding is chunked.
    chunked_last: bool,
    /// The Content-Length.
    length: Option<u64>,
    /// Whether Content-Length is no number, or several that differ.
    contradictory: bool,
}

impl Lengths {
    fn read(fields: &Fields) -> Lengths {
        let mut lengths = Lengths::default();
        if !fields.have(Known::ContentLength) && !fields.have(Known::TransferEncoding) {
            return lengths;
        }
        for (name, value) in fields.known() {
            match name {
                Known::ContentLength => lengths.add(value),
                Known::TransferEncoding => {
                    if let Some(last) = elements(value).last() {
                        lengths.coded = true;
                        lengths.chunked_last = last.eq_ignore_ascii_case("chunked");
                    }
                }
                _ => {}
            }
        }
        lengths
    }

    /// The same length again, in one field or in several, is forgiven (RFC 9110 §8.6).
    fn add(&mut self, value: &str) {
        for element in value.split(',').map(str::trim) {
            let plain = element.bytes().all(|byte| byte.is_ascii_digit());
            match element.parse().ok().filter(|_| plain) {
                Some(length) if self.length.is_none_or(|before| before == length) => self.length = Some(length),
                _ => self.contradictory = true,
            }
        }
    }
}

/// The place in a chunked body (RFC 9112 §7.1), by what comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chunked {
    /// The digits of a size: how many came, and their value.
    Size(u8, u64),
    /// The rest of the line with the size: white space, extensions (§7.1.1).
    Extension(u64),
    /// So many bytes of content.
    Data(u64),
    /// The line end behind the content.
    DataEnd,
    /// A trailer field or the empty line at the end (§7.1.2); whether the line has begun.
    Trailer(bool),
    /// Nothing.
    End,
}

impl Default for Chunked {
    fn default() -> Self {
        Chunked::Size(0, 0)
    }
}

impl Chunked {
    fn step(&mut self, bytes: &[u8]) -> Step {
        if let Chunked::Data(length) = self {
            let content = take(length, bytes.len());
            if *length == 0 {
                *self = Chunked::DataEnd;
            }
            return Step::Content(content);
        }
        let mut taken = 0;
        while let Some(&byte) = bytes.get(taken)
            && !matches!(self, Chunked::Data(_) | Chunked::End)
        {
            let Some(next) = self.next(byte) else { return Step::Broken };
            *self = next;
            taken += 1;
        }
        Step::Coding(taken)
    }

    /// The place behind this byte of coding. Line ends without CR are forgiven (RFC 9112 §2.2).
    fn next(self, byte: u8) -> Option<Chunked> {
        let behind_size = |size| if size == 0 { Chunked::Trailer(false) } else { Chunked::Data(size) };
        Some(match (self, byte) {
            (Chunked::Size(0, _), b'\r' | b'\n') => return None,
            (Chunked::Size(_, size) | Chunked::Extension(size), b'\n') => behind_size(size),
            (Chunked::Size(1.., size), b'\r' | b' ' | b'\t' | b';') => Chunked::Extension(size),
            (Chunked::Size(digits, size), _) => {
                let digit = char::from(byte).to_digit(16)?;
                // Sixteen digits fill 64 bits: larger sizes are nonsense.
                Chunked::Size(digits + 1, if digits < 16 { size << 4 | u64::from(digit) } else { return None })
            }
            (Chunked::Extension(size), _) => Chunked::Extension(size),
            (Chunked::DataEnd, b'\r') => Chunked::DataEnd,
            (Chunked::DataEnd, b'\n') => Chunked::Size(0, 0),
            (Chunked::DataEnd, _) => return None,
            (Chunked::Trailer(begun), b'\n') => {
                if begun {
                    Chunked::Trailer(false)
                } else {
                    Chunked::End
                }
            }
            (Chunked::Trailer(begun), b'\r') => Chunked::Trailer(begun),
            (Chunked::Trailer(_), _) => Chunked::Trailer(true),
            (Chunked::Data(_) | Chunked::End, _) => self,
        })
    }
}

/// Takes up to `available` off `left`.
fn take(left: &mut u64, available: usize) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(available);
    *left -= taken as u64;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::Version;

    fn request(lines: &str) -> Result<Option<Body>, ()> {
        Body::of_request(&RequestHead::new("POST", "/", Some(Version::HTTP_11), lines))
    }

    fn response(status: u16, lines: &str) -> Option<Body> {
        Body::of_response(&ResponseHead::new(Version::HTTP_11, status, "", lines), false)
    }

    const CHUNKED: Body = Body::Chunked(Chunked::Size(0, 0));

    /// RFC 9112 §6.3, its numbered rules.
    #[test]
    fn rfc9112_6_3_body_length() {
        let to_head = ResponseHead::new(Version::HTTP_11, 200, "", "Content-Length: 9\r\n");
        assert_eq!(Body::of_response(&to_head, true), None);
        for status in [100, 101, 204, 304] {
            assert_eq!(response(status, "Content-Length: 9\r\n"), None);
        }
        assert_eq!(response(200, "Transfer-Encoding: gzip, Chunked\r\nContent-Length: 9\r\n"), Some(CHUNKED));
        assert_eq!(response(200, "Transfer-Encoding: gzip\r\nContent-Length: 9\r\n"), Some(Body::UntilClose));
        assert_eq!(request("Transfer-Encoding: gzip\r\n"), Err(()));
        assert_eq!(request("Content-Length: 9, 10\r\n"), Err(()));
        assert_eq!(request("Content-Length: x\r\n"), Err(()));
        assert_eq!(request("Content-Length: -1\r\n"), Err(()));
        assert_eq!(request("Content-Length: 99999999999999999999\r\n"), Err(()));
        assert_eq!(response(200, "Content-Length: 9\r\nContent-Length: 10\r\n"), Some(Body::UntilClose));
        assert_eq!(request("Content-Length: 9, 9\r\ncontent-length: 9\r\n"), Ok(Some(Body::Length(9))));
        assert_eq!(response(200, "Content-Length: 9\r\n"), Some(Body::Length(9)));
        assert_eq!(response(200, "Content-Length: 0\r\n"), None);
        assert_eq!(request("Transfer-Encoding: chunked\r\n"), Ok(Some(CHUNKED)));
        assert_eq!(request("Host: a\r\n"), Ok(None));
        assert_eq!(response(200, "Server: a\r\n"), Some(Body::UntilClose));
    }

    /// The content of a chunked body, fed in pieces, and what stands behind it; `None` if it is broken.
    fn content(bytes: &[u8], piece: usize) -> Option<(Vec<u8>, usize)> {
        let (mut body, mut content, mut at) = (CHUNKED, Vec::new(), 0);
        while at < bytes.len() && !body.is_complete() {
            let piece = &bytes[at..bytes.len().min(at + piece)];
            match body.step(piece) {
                Step::Content(length) => {
                    content.extend_from_slice(&piece[..length]);
                    at += length;
                }
                Step::Coding(length) => at += length,
                Step::Broken => return None,
            }
        }
        body.is_complete().then_some((content, bytes.len() - at))
    }

    #[test]
    fn chunks_in_any_pieces() {
        let body = b"4\r\nWiki\r\n6;name=\"v;\";x\r\npedia \r\nE \r\nin \r\n\r\nchunks.\r\n000\r\nTrailer: a\r\nB: c\r\n\r\nGET";
        for piece in 1..body.len() {
            assert_eq!(content(body, piece), Some((b"Wikipedia in \r\n\r\nchunks.".to_vec(), 3)), "{piece}");
        }
        assert_eq!(content(b"1\nx\n0\n\n", 3), Some((b"x".to_vec(), 0)));
    }

    #[test]
    fn chunks_that_are_none() {
        for broken in ["\r\n", "x\r\n", "-1\r\n", "1\r\nxy\r\n", "00000000000000001\r\n", "0x1\r\n"] {
            assert_eq!(content(broken.as_bytes(), 100), None, "{broken:?}");
        }
    }

    #[test]
    fn missing_bytes_inside_content_do_no_harm() {
        let skip = |body: &mut Body, missing| body.skip(missing, GapCause::NotCaptured);
        let mut body = Body::Length(10);
        assert!(skip(&mut body, 4) && body == Body::Length(6) && !skip(&mut body, 7));
        assert!(skip(&mut body, 6) && body.is_complete());
        let mut body = Body::Chunked(Chunked::Data(10));
        assert!(!skip(&mut body, 11) && skip(&mut body, 9));
        assert!(!skip(&mut CHUNKED.clone(), 1));
        assert!(skip(&mut Body::UntilClose.clone(), u64::MAX));
    }

    #[test]
    fn behind_an_estimate_no_place_is_known() {
        assert!(!Body::Length(10).skip(4, GapCause::Estimated));
        assert!(!Body::Chunked(Chunked::Data(10)).skip(4, GapCause::Estimated));
        assert!(Body::UntilClose.skip(4, GapCause::Estimated));
    }
}
