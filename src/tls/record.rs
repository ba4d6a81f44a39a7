//! The record layer (RFC 8446 §5.1, RFC 5246 §6.2): a stream of bytes cut into records, over holes too.

use std::borrow::Cow;

/// What a record carries, by its number. Unknown numbers keep their value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ContentType(pub u8);

impl ContentType {
    /// change_cipher_spec.
    pub const CHANGE_CIPHER_SPEC: ContentType = ContentType(20);
    /// alert.
    pub const ALERT: ContentType = ContentType(21);
    /// handshake.
    pub const HANDSHAKE: ContentType = ContentType(22);
    /// application_data.
    pub const APPLICATION_DATA: ContentType = ContentType(23);
    /// heartbeat (RFC 6520).
    pub const HEARTBEAT: ContentType = ContentType(24);
}

/// The five bytes before every record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RecordHeader {
    /// What it carries; for an encrypted record of TLS 1.3 always application_data.
    pub content: ContentType,
    /// legacy_record_version.
    pub version: u16,
    /// Bytes behind the header.
    pub length: u16,
}

impl RecordHeader {
    /// Bytes of a header.
    pub const LENGTH: usize = 5;

    /// Reads a header; whether it may be one is for [`RecordHeader::is_plausible`] to say.
    pub const fn parse(bytes: [u8; 5]) -> RecordHeader {
        RecordHeader {
            content: ContentType(bytes[0]),
            version: u16::from_be_bytes([bytes[1], bytes[2]]),
            length: u16::from_be_bytes([bytes[3], bytes[4]]),
        }
    }

    /// The header as it was on the wire: TLS 1.3 authenticates it (RFC 8446 §5.2).
    pub const fn to_bytes(self) -> [u8; 5] {
        let [v, w] = self.version.to_be_bytes();
        let [l, m] = self.length.to_be_bytes();
        [self.content.0, v, w, l, m]
    }

    /// Whether a record may begin like this: a known type, SSL 3.0 to TLS 1.3, no more bytes than
    /// a ciphertext may have (RFC 5246 §6.2.3), none only for application data.
    pub const fn is_plausible(self) -> bool {
        matches!(self.content.0, 20..=24)
            && matches!(self.version, 0x0300..=0x0304)
            && self.length <= (1 << 14) + 2048
            && (self.length > 0 || self.content.0 == ContentType::APPLICATION_DATA.0)
    }
}

/// Whether `bytes`, the first of a stream or of a segment, begin a TLS record; with as many of them as there are.
pub fn begins_record(bytes: &[u8]) -> bool {
    let Some((header, rest)) = bytes.split_first_chunk::<{ RecordHeader::LENGTH }>() else { return false };
    let header = RecordHeader::parse(*header);
    header.is_plausible() && successor_is_plausible(header, rest)
}

/// Whether behind the body of `header` another record begins, as far as that can be seen.
fn successor_is_plausible(header: RecordHeader, behind: &[u8]) -> bool {
    behind
        .get(usize::from(header.length)..)
        .and_then(|next| next.first_chunk())
        .is_none_or(|next| RecordHeader::parse(*next).is_plausible())
}

/// What [`RecordReader::next`] found.
#[derive(Debug)]
pub enum Step<'a> {
    /// A record and its body. Borrowed when all of it lies in the input, else put together.
    Record(RecordHeader, Cow<'a, [u8]>),
    /// A whole record whose body was not wanted.
    Passed(RecordHeader),
    /// A record with bytes missing from its body, and what of it came before these; nothing when it was not wanted.
    Damaged(RecordHeader, Vec<u8>),
    /// So many bytes belong to records whose boundaries are not known: they are missing, or stood between the hole
    /// and the next header.
    Lost(u64),
    /// The stream does not begin with a record: it is something else, and nothing more comes out of it.
    NotTls,
}

/// Cuts one direction into records.
///
/// A record that lies in the input as a whole is not copied, and nothing is kept of one whose body is not wanted.
/// Holds at most one record.
#[derive(Debug)]
pub struct RecordReader {
    state: State,
    header: [u8; RecordHeader::LENGTH],
    /// How many bytes of `header` there are.
    have: u8,
    /// The record whose body comes.
    current: RecordHeader,
    /// How many bytes of the body are still to come.
    left: u32,
    /// Whether bytes of it are missing.
    damaged: bool,
    wanted: bool,
    body: Vec<u8>,
    lost: u64,
    /// Whether any record was seen.
    begun: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A header comes.
    Header,
    /// A body comes.
    Body,
    /// The boundary is lost: the next plausible header is looked for.
    Seek,
    /// This is not TLS.
    NotTls,
}

impl RecordReader {
    /// A reader at the beginning of a stream.
    pub fn new() -> RecordReader {
        RecordReader {
            state: State::Header,
            header: [0; RecordHeader::LENGTH],
            have: 0,
            current: RecordHeader::parse([0; RecordHeader::LENGTH]),
            left: 0,
            damaged: false,
            wanted: false,
            body: Vec::new(),
            lost: 0,
            begun: false,
        }
    }

    /// A reader in the middle of a stream: a record may be under way.
    pub fn joined() -> RecordReader {
        RecordReader { state: State::Seek, begun: true, ..RecordReader::new() }
    }

    /// The next step that `input` allows; takes from it what it read. `None` when all of it is read. `wanted` says for
    /// each header whether the body is of use.
    #[inline]
    pub fn next<'a>(&mut self, input: &mut &'a [u8], wanted: impl Fn(RecordHeader) -> bool) -> Option<Step<'a>> {
        loop {
            match self.state {
                State::Header => {
                    // Most headers lie in one piece.
                    if let (0, Some((header, rest))) = (self.have, input.split_first_chunk()) {
                        self.header = *header;
                        self.have = RecordHeader::LENGTH as u8;
                        *input = rest;
                    } else if !self.fill_header(input) {
                        return None;
                    }
                    let header = RecordHeader::parse(self.header);
                    if !header.is_plausible() {
                        if !self.begun {
                            self.state = State::NotTls;
                            return Some(Step::NotTls);
                        }
                        self.state = State::Seek;
                        continue;
                    }
                    self.begin_body(header, wanted(header));
                }
                State::Body => return self.body(input),
                State::Seek => {
                    let header = self.seek(input)?;
                    self.begin_body(header, wanted(header));
                    let lost = std::mem::take(&mut self.lost);
                    if lost > 0 {
                        return Some(Step::Lost(lost));
                    }
                }
                State::NotTls => {
                    *input = &[];
                    return None;
                }
            }
        }
    }

    /// `bytes` of the stream are missing here. What the hole does to records shows in this step, and in those after it.
    pub fn gap(&mut self, bytes: u64) -> Option<Step<'static>> {
        match self.state {
            _ if bytes == 0 => {}
            State::Body => {
                self.damaged = true;
                self.wanted = false;
                // A record that ends with the hole is over; there may be no byte more to find that out with.
                let beyond = bytes.checked_sub(self.left.into());
                self.left = u64::from(self.left).saturating_sub(bytes) as u32;
                let beyond = beyond?;
                let step = self.end_body();
                if beyond > 0 {
                    self.state = State::Seek;
                    self.lost = self.lost.saturating_add(beyond);
                }
                return Some(step);
            }
            State::Header | State::Seek => {
                self.lost = self.lost.saturating_add(bytes).saturating_add(self.have.into());
                self.have = 0;
                self.state = State::Seek;
            }
            State::NotTls => {}
        }
        None
    }

    /// The stream ends. What is left belongs to a record that never became whole: how many bytes of it came, header
    /// included, and whether any came at all.
    pub fn finish(&mut self) -> u64 {
        let left = match self.state {
            State::Header => u64::from(self.have),
            State::Body => RecordHeader::LENGTH as u64 + u64::from(self.current.length) - u64::from(self.left),
            State::Seek => self.lost.saturating_add(self.have.into()),
            State::NotTls => 0,
        };
        *self = RecordReader::joined();
        left
    }

    /// Whether the stream is not TLS.
    pub fn is_not_tls(&self) -> bool {
        self.state == State::NotTls
    }

    fn fill_header(&mut self, input: &mut &[u8]) -> bool {
        let have = usize::from(self.have);
        let take = (RecordHeader::LENGTH - have).min(input.len());
        self.header[have..have + take].copy_from_slice(&input[..take]);
        *input = &input[take..];
        self.have += take as u8;
        usize::from(self.have) == RecordHeader::LENGTH
    }

    fn begin_body(&mut self, header: RecordHeader, wanted: bool) {
        self.begun = true;
        self.current = header;
        self.left = u32::from(header.length);
        self.damaged = false;
        self.wanted = wanted;
        self.have = 0;
        self.state = State::Body;
    }

    #[inline]
    fn body<'a>(&mut self, input: &mut &'a [u8]) -> Option<Step<'a>> {
        let take = (self.left as usize).min(input.len());
        let (bytes, rest) = input.split_at(take);
        *input = rest;
        self.left -= take as u32;
        if self.wanted {
            if self.left == 0 && self.body.is_empty() {
                self.state = State::Header;
                return Some(Step::Record(self.current, Cow::Borrowed(bytes)));
            }
            self.body.reserve_exact(usize::from(self.current.length) - self.body.len());
            self.body.extend_from_slice(bytes);
        }
        (self.left == 0).then(|| self.end_body())
    }

    fn end_body<'a>(&mut self) -> Step<'a> {
        self.state = State::Header;
        let body = std::mem::take(&mut self.body);
        if self.damaged {
            Step::Damaged(self.current, body)
        } else if self.wanted {
            Step::Record(self.current, Cow::Owned(body))
        } else {
            Step::Passed(self.current)
        }
    }

    /// Looks for a header that is plausible, and whose successor is, as far as it can be seen. Keeps the last four
    /// bytes in `header`, for a header may be split.
    fn seek(&mut self, input: &mut &[u8]) -> Option<RecordHeader> {
        let whole = *input;
        for _ in 0..self.have {
            if !self.fill_header(input) {
                return None;
            }
            let header = RecordHeader::parse(self.header);
            if header.is_plausible() && successor_is_plausible(header, input) {
                return Some(header);
            }
            self.header.copy_within(1.., 0);
            self.have -= 1;
            self.lost = self.lost.saturating_add(1);
        }
        self.have = 0;
        let last = whole.len().saturating_sub(RecordHeader::LENGTH - 1);
        // The version's first byte rules out all but one in 256 places of ciphertext.
        let start = (0..last).find(|&start| whole[start + 1] == 3 && begins_record(&whole[start..])).unwrap_or(last);
        self.lost = self.lost.saturating_add(start as u64);
        *input = &whole[start..];
        self.fill_header(input).then(|| RecordHeader::parse(self.header))
    }
}

impl Default for RecordReader {
    fn default() -> Self {
        RecordReader::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(content: u8, body: &[u8]) -> Vec<u8> {
        let [high, low] = (body.len() as u16).to_be_bytes();
        [&[content, 3, 3, high, low], body].concat()
    }

    /// What came out, one thing a step: type and body, or what is missing.
    #[derive(Clone, PartialEq, Eq, Debug)]
    enum Out {
        Record(u8, Vec<u8>),
        Passed(u8, u16),
        Damaged(u8, Vec<u8>),
        Lost(u64),
        NotTls,
    }

    fn out(step: Step<'_>) -> Out {
        match step {
            Step::Record(header, body) => Out::Record(header.content.0, body.into_owned()),
            Step::Passed(header) => Out::Passed(header.content.0, header.length),
            Step::Damaged(header, body) => Out::Damaged(header.content.0, body),
            Step::Lost(bytes) => Out::Lost(bytes),
            Step::NotTls => Out::NotTls,
        }
    }

    fn read(reader: &mut RecordReader, mut input: &[u8], wanted: bool) -> Vec<Out> {
        std::iter::from_fn(|| reader.next(&mut input, |_| wanted).map(out)).collect()
    }

    #[test]
    fn a_record_within_the_input_is_not_copied() {
        let bytes = record(23, b"hello");
        let step = RecordReader::new().next(&mut &bytes[..], |_| true);
        assert!(matches!(step, Some(Step::Record(_, Cow::Borrowed(b"hello")))));
    }

    #[test]
    fn a_hole_inside_a_record_damages_this_one_only() {
        let mut reader = RecordReader::new();
        assert_eq!(read(&mut reader, &record(22, b"0123456789")[..8], true), []);
        assert!(reader.gap(4).is_none());
        let rest = [b"789".to_vec(), record(23, b"next")].concat();
        let damaged = Out::Damaged(22, b"012".to_vec());
        assert_eq!(read(&mut reader, &rest, true), [damaged, Out::Record(23, b"next".to_vec())]);
    }

    #[test]
    fn a_hole_up_to_the_end_of_a_record_ends_it() {
        let mut reader = RecordReader::new();
        read(&mut reader, &record(23, b"0123456789")[..8], true);
        assert_eq!(reader.gap(7).map(out), Some(Out::Damaged(23, b"012".to_vec())));
        assert_eq!(read(&mut reader, &record(23, b"next"), true), [Out::Record(23, b"next".to_vec())]);
    }

    #[test]
    fn a_hole_over_a_boundary_is_followed_by_a_search() {
        let mut reader = RecordReader::new();
        read(&mut reader, &record(23, b"0123456789")[..8], true);
        // 7 bytes of this record, 20 of others that are not known.
        assert_eq!(reader.gap(27).map(out), Some(Out::Damaged(23, b"012".to_vec())));
        // The rest of such a record, in which something looks like a header without a successor that does.
        let noise = [b"xyz".to_vec(), record(23, b"no header behind")[..9].to_vec(), vec![0xEE; 30]].concat();
        let lost = 20 + noise.len() as u64;
        let rest = [noise, record(23, b"next"), record(21, b"..")].concat();
        let (next, last) = (Out::Record(23, b"next".to_vec()), Out::Record(21, b"..".to_vec()));
        assert_eq!(read(&mut reader, &rest, true), [Out::Lost(lost), next, last]);
    }

    #[test]
    fn what_is_not_tls_from_the_first_byte_stays_so() {
        let mut reader = RecordReader::new();
        assert_eq!(read(&mut reader, b"HTTP/1.1 400 Bad Request", true), [Out::NotTls]);
        assert_eq!(read(&mut reader, &record(23, b"x"), true), []);
    }

    #[test]
    fn the_end_says_how_much_was_under_way() {
        let mut reader = RecordReader::new();
        read(&mut reader, &record(23, b"0123456789")[..8], false);
        assert_eq!((reader.finish(), reader.finish()), (8, 0));
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same(
            records in prop::collection::vec((20u8..=24, prop::collection::vec(any::<u8>(), 1..200)), 1..12),
            cuts in prop::collection::vec(1usize..60, 1..40),
            wanted in any::<bool>(),
        ) {
            let stream: Vec<u8> = records.iter().flat_map(|(content, body)| record(*content, body)).collect();
            let expected: Vec<Out> = records
                .into_iter()
                .map(|(content, body)| {
                    if wanted { Out::Record(content, body) } else { Out::Passed(content, body.len() as u16) }
                })
                .collect();
            let mut reader = RecordReader::new();
            let mut seen = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                let (piece, behind) = rest.split_at((*cut).min(rest.len()));
                seen.extend(read(&mut reader, piece, wanted));
                rest = behind;
                if rest.is_empty() { break }
            }
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn every_byte_is_accounted_for(
            pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..40),
            joined in any::<bool>(),
        ) {
            let mut reader = if joined { RecordReader::joined() } else { RecordReader::new() };
            let (mut given, mut accounted) = (0, 0);
            let mut count = |step: Step<'_>| accounted += match step {
                Step::Record(header, _) | Step::Passed(header) | Step::Damaged(header, _) => 5 + u64::from(header.length),
                Step::Lost(bytes) => bytes,
                Step::NotTls => 0,
            };
            for (hole, bytes) in &pieces {
                given += bytes.len() as u64;
                if *hole {
                    reader.gap(bytes.len() as u64).into_iter().for_each(&mut count);
                } else {
                    let mut input = &bytes[..];
                    while let Some(step) = reader.next(&mut input, |_| true) { count(step) }
                }
            }
            if !reader.is_not_tls() {
                accounted += reader.finish();
                prop_assert_eq!(given, accounted);
            }
        }
    }
}
