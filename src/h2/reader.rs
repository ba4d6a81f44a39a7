//! The frames of one direction, out of a stream of bytes that may have holes.
//!
//! ```text
//!   handle -> Preface -> Boundary -> a whole frame in the segment ---------> Piece::Frame
//!                           ^  \
//!                           |   -> Payload, collected up to a bound --------> Piece::Frame
//!                           |   -> Data, passed on as it comes -------------> Piece::Data
//!                           +------- the last byte of the frame
//!
//!   gap ---> Searching: a segment in which frames follow one another tells where they begin
//! ```

use crate::h2::frame::{Flags, FrameHeader, FrameType, PREFACE, USUAL_PAYLOAD};

/// What a direction is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Piece<'a> {
    /// A whole frame that is not DATA: its payload, and how many bytes at its end are missing or were too many to keep.
    Frame(FrameHeader, &'a [u8], u64),
    /// A DATA frame begins.
    DataBegins(FrameHeader),
    /// The next bytes of it, without padding. Never empty.
    Data(FrameHeader, &'a [u8]),
    /// So many bytes of it are missing here. Never zero.
    DataGap(FrameHeader, u64),
    /// It is complete, or its rest is not known.
    DataEnds(FrameHeader),
    /// Bytes are missing where frames begin: until they are found again, nothing is read.
    Lost,
    /// Frames were found again, after so many bytes that were not read.
    Found(u64),
}

/// Who takes the pieces.
pub(super) type Take<'t> = &'t mut dyn FnMut(Piece<'_>);

/// Reads what one side sends.
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    /// The beginning of a preface, a header or a payload.
    held: Vec<u8>,
    /// The most bytes of a payload that are kept.
    most: usize,
    /// The largest payload that the peer allows.
    pub(super) largest: u32,
    /// Bytes that were not read since frames were lost.
    unread: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Preface,
    Boundary,
    Payload { header: FrameHeader, left: u64, missing: u64 },
    Data { header: FrameHeader, left: u64, padding: Padding },
    Searching,
}

/// The padding at the end of a DATA frame.
#[derive(Clone, Copy, Debug)]
enum Padding {
    /// Its length comes next.
    Unread,
    /// So many bytes.
    Bytes(u64),
}

impl Reader {
    /// For a stream from its beginning: the client's begins with the preface.
    pub(super) fn new(preface: bool, most: usize) -> Reader {
        let state = if preface { State::Preface } else { State::Boundary };
        Reader { state, held: Vec::new(), most, largest: USUAL_PAYLOAD, unread: 0 }
    }

    /// For a stream whose beginning is missing.
    pub(super) fn mid_stream(most: usize) -> Reader {
        Reader { state: State::Searching, ..Reader::new(false, most) }
    }

    /// Whether the preface is due, and nothing came.
    pub(super) fn awaits_preface(&self) -> bool {
        matches!(self.state, State::Preface) && self.held.is_empty()
    }

    /// Takes the next bytes.
    pub(super) fn handle(&mut self, segment: &[u8], take: Take<'_>) {
        let mut rest = segment;
        while !rest.is_empty() {
            rest = match self.state {
                State::Preface => self.preface(rest),
                State::Boundary => self.boundary(rest, take),
                State::Payload { header, left, missing } => self.payload(header, left, missing, rest, take),
                State::Data { header, left, padding } => self.data(header, left, padding, rest, take),
                State::Searching => self.search(rest, take),
            }
        }
    }

    /// So many bytes are missing.
    pub(super) fn gap(&mut self, missing: u64, take: Take<'_>) {
        match self.state {
            State::Preface | State::Boundary => self.lose(missing, take),
            State::Searching => self.unread = self.unread.saturating_add(missing),
            State::Payload { header, left, missing: before } => {
                let here = missing.min(left);
                self.end_payload_or_go_on(header, left - here, before + here, take);
                if missing > left {
                    self.lose(missing - left, take);
                }
            }
            State::Data { header, left, padding } => {
                let here = missing.min(left);
                match padding {
                    Padding::Bytes(bytes) if here <= left - bytes.min(left) => take(Piece::DataGap(header, here)),
                    // Where the padding begins is in the hole.
                    _ => {
                        let content = left - if let Padding::Bytes(bytes) = padding { bytes.min(left) } else { 0 };
                        if content > 0 {
                            take(Piece::DataGap(header, content));
                        }
                        // What is left is padding, or cannot be told from it.
                        return self.skip_data(header, left, missing, take);
                    }
                }
                self.data_goes_on(header, left - here, padding, take);
                if missing > left {
                    self.lose(missing - left, take);
                }
            }
        }
    }

    /// About so many bytes are missing, nobody knows in which frame the next ones stand.
    pub(super) fn lose_place(&mut self, missing: u64, take: Take<'_>) {
        match self.state {
            State::Searching => self.unread = self.unread.saturating_add(missing),
            _ => self.lose(missing, take),
        }
    }

    /// The rest of a DATA frame is of no use, and `missing` bytes of it are missing.
    fn skip_data(&mut self, header: FrameHeader, left: u64, missing: u64, take: Take<'_>) {
        match left.checked_sub(missing) {
            Some(rest) => self.data_goes_on(header, rest, Padding::Bytes(rest), take),
            None => {
                take(Piece::DataEnds(header));
                self.lose(missing - left, take);
            }
        }
    }

    /// Bytes that were not read since it is not known where frames begin.
    pub(super) fn unread(&self) -> u64 {
        self.unread
    }

    fn lose(&mut self, missing: u64, take: Take<'_>) {
        self.held.clear();
        self.unread = missing;
        self.state = State::Searching;
        take(Piece::Lost);
    }

    fn preface<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (next, rest) = bytes.split_at(bytes.len().min(PREFACE.len() - self.held.len()));
        self.held.extend_from_slice(next);
        if !PREFACE.starts_with(&self.held) {
            // There is none: the connection was upgraded, or the capture begins behind it.
            let held = std::mem::take(&mut self.held);
            self.state = if held.len() == next.len() { State::Boundary } else { State::Searching };
            return bytes;
        }
        if self.held.len() == PREFACE.len() {
            self.held.clear();
            self.state = State::Boundary;
        }
        rest
    }

    fn boundary<'b>(&mut self, bytes: &'b [u8], take: Take<'_>) -> &'b [u8] {
        let wanted = FrameHeader::LENGTH - self.held.len();
        let Some((next, rest)) = bytes.split_at_checked(wanted) else {
            self.held.extend_from_slice(bytes);
            return &[];
        };
        self.held.extend_from_slice(next);
        let mut header = [0; FrameHeader::LENGTH];
        header.copy_from_slice(&self.held);
        self.held.clear();
        let header = FrameHeader::read(&header);
        if header.length > self.largest {
            // Nobody may send such a frame (RFC 9113 §4.2): these are no frames.
            self.lose(FrameHeader::LENGTH as u64, take);
            return rest;
        }
        let left = u64::from(header.length);
        if header.kind == FrameType::DATA {
            take(Piece::DataBegins(header));
            let padding = if header.flags.has(Flags::PADDED) { Padding::Unread } else { Padding::Bytes(0) };
            self.data_goes_on(header, left, padding, take);
            return rest;
        }
        match rest.split_at_checked(header.length as usize) {
            Some((payload, rest)) if payload.len() <= self.most => {
                take(Piece::Frame(header, payload, 0));
                rest
            }
            _ => {
                self.state = State::Payload { header, left, missing: 0 };
                rest
            }
        }
    }

    fn payload<'b>(
        &mut self,
        header: FrameHeader,
        left: u64,
        missing: u64,
        bytes: &'b [u8],
        take: Take<'_>,
    ) -> &'b [u8] {
        let (next, rest) = bytes.split_at(bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        // Behind a hole the payload makes no sense.
        let room = if missing > 0 { 0 } else { self.most.saturating_sub(self.held.len()) };
        let kept = next.len().min(room);
        self.held.extend_from_slice(&next[..kept]);
        let missing = missing + (next.len() - kept) as u64;
        self.end_payload_or_go_on(header, left - next.len() as u64, missing, take);
        rest
    }

    fn end_payload_or_go_on(&mut self, header: FrameHeader, left: u64, missing: u64, take: Take<'_>) {
        if left > 0 {
            self.state = State::Payload { header, left, missing };
            return;
        }
        self.state = State::Boundary;
        take(Piece::Frame(header, &self.held, missing));
        self.held.clear();
    }

    fn data<'b>(
        &mut self,
        header: FrameHeader,
        left: u64,
        padding: Padding,
        bytes: &'b [u8],
        take: Take<'_>,
    ) -> &'b [u8] {
        let Padding::Bytes(padding) = padding else {
            // The length of the padding; one that is longer than the frame leaves nothing (RFC 9113 §6.1).
            let padding = u64::from(bytes[0]).min(left - 1);
            self.data_goes_on(header, left - 1, Padding::Bytes(padding), take);
            return &bytes[1..];
        };
        let (next, rest) = bytes.split_at(bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        let content = usize::try_from(left - padding.min(left)).unwrap_or(usize::MAX).min(next.len());
        if content > 0 {
            take(Piece::Data(header, &next[..content]));
        }
        self.data_goes_on(header, left - next.len() as u64, Padding::Bytes(padding), take);
        rest
    }

    fn data_goes_on(&mut self, header: FrameHeader, left: u64, padding: Padding, take: Take<'_>) {
        if left > 0 {
            self.state = State::Data { header, left, padding };
        } else {
            self.state = State::Boundary;
            take(Piece::DataEnds(header));
        }
    }

    /// Looks for the place in a segment from which on frames follow one another to its end.
    fn search<'b>(&mut self, segment: &'b [u8], take: Take<'_>) -> &'b [u8] {
        match (0..segment.len()).find(|&start| frames_follow(&segment[start..], start == 0, self.largest)) {
            Some(start) => {
                self.state = State::Boundary;
                take(Piece::Found(self.unread.saturating_add(start as u64)));
                self.unread = 0;
                &segment[start..]
            }
            None => {
                self.unread = self.unread.saturating_add(segment.len() as u64);
                &[]
            }
        }
    }
}

/// Whether a segment in the middle of some connection is frames of HTTP/2, beyond doubt.
pub fn begins_with_frames(segment: &[u8]) -> bool {
    frames_follow(segment, false, USUAL_PAYLOAD)
}

/// Whether frames follow one another here: one that ends with the segment, or two headers. At the beginning of a segment,
/// where senders begin their frames, one header is enough.
fn frames_follow(bytes: &[u8], beginning: bool, largest: u32) -> bool {
    let mut headers = usize::from(beginning);
    let mut rest = bytes;
    while let Some(header) = rest.first_chunk() {
        if !FrameHeader::is_credible(header, largest) {
            return false;
        }
        headers += 1;
        let length = FrameHeader::LENGTH + FrameHeader::read(header).length as usize;
        match rest.get(length..) {
            Some([]) => return true,
            _ if headers >= 3 => return true,
            Some(next) => rest = next,
            None => return headers >= 2,
        }
    }
    headers >= 2 && rest.len() < bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::frame::tests::frame;
    use proptest::prelude::*;

    /// What is told, in words; the pieces of one DATA frame as one.
    fn told(reader: &mut Reader, segments: &[&[u8]]) -> Vec<String> {
        let mut told: Vec<String> = Vec::new();
        for segment in segments {
            reader.handle(segment, &mut |piece| tell(&mut told, piece));
        }
        told
    }

    fn tell(told: &mut Vec<String>, piece: Piece<'_>) {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        match piece {
            Piece::Frame(header, payload, missing) => {
                told.push(format!("{:?} on {}: {} -{missing}", header.kind, header.stream.0, text(payload)));
            }
            Piece::DataBegins(header) => told.push(format!("data on {}: ", header.stream.0)),
            Piece::Data(_, bytes) => told.last_mut().unwrap().push_str(&text(bytes)),
            Piece::DataGap(_, missing) => told.last_mut().unwrap().push_str(&format!("<{missing}>")),
            Piece::DataEnds(_) => told.last_mut().unwrap().push('.'),
            Piece::Lost => told.push("lost".into()),
            Piece::Found(bytes) => told.push(format!("found after {bytes}")),
        }
    }

    fn dialogue() -> Vec<u8> {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(FrameType::SETTINGS, 0, 0, &[]));
        bytes.extend(frame(FrameType::HEADERS, 4, 1, b"block"));
        bytes.extend(frame(FrameType::DATA, 0, 1, b"hello"));
        bytes.extend(frame(FrameType::DATA, 8, 1, b"\x03padded\0\0\0"));
        bytes.extend(frame(FrameType::DATA, 1, 1, b""));
        bytes.extend(frame(FrameType(0xee), 0xff, 9, b"unknown"));
        bytes
    }

    const DIALOGUE: [&str; 6] = [
        "FrameType(4) on 0:  -0",
        "FrameType(1) on 1: block -0",
        "data on 1: hello.",
        "data on 1: padded.",
        "data on 1: .",
        "FrameType(238) on 9: unknown -0",
    ];

    #[test]
    fn frames_come_whole_and_data_as_it_comes() {
        let mut reader = Reader::new(true, 100);
        assert_eq!(told(&mut reader, &[&dialogue()]), DIALOGUE);
        assert!(matches!(reader.state, State::Boundary));
    }

    #[test]
    fn payloads_are_kept_up_to_a_bound() {
        let mut reader = Reader::new(false, 4);
        assert_eq!(told(&mut reader, &[&frame(FrameType::HEADERS, 4, 1, b"too long")]), ["FrameType(1) on 1: too  -4"]);
    }

    #[test]
    fn padding_longer_than_its_frame_leaves_nothing() {
        let mut reader = Reader::new(false, 100);
        let bytes = frame(FrameType::DATA, 8, 1, b"\xffabc");
        assert_eq!(told(&mut reader, &[&bytes]), ["data on 1: ."]);
    }

    #[test]
    fn a_hole_in_a_frame_is_skipped() {
        let mut reader = Reader::new(false, 100);
        let (data, headers) = (frame(FrameType::DATA, 0, 1, b"0123456789"), frame(FrameType::HEADERS, 4, 1, b"block"));
        let mut all = Vec::new();
        let mut take = |piece: Piece<'_>| tell(&mut all, piece);
        reader.handle(&data[..12], &mut take);
        reader.gap(4, &mut take);
        reader.handle(&data[16..], &mut take);
        reader.handle(&headers[..11], &mut take);
        reader.gap(2, &mut take);
        reader.handle(&headers[13..], &mut take);
        reader.handle(&data, &mut take);
        assert_eq!(all, ["data on 1: 012<4>789.", "FrameType(1) on 1: bl -3", "data on 1: 0123456789."]);
    }

    #[test]
    fn a_hole_where_padding_begins_hides_the_rest() {
        let mut reader = Reader::new(false, 100);
        let mut all = Vec::new();
        let mut take = |piece: Piece<'_>| tell(&mut all, piece);
        let data = frame(FrameType::DATA, 8, 1, b"\x02abc\0\0");
        reader.handle(&data[..9], &mut take);
        reader.gap(2, &mut take);
        reader.handle(&data[11..], &mut take);
        reader.handle(&data[..11], &mut take);
        reader.gap(3, &mut take);
        reader.handle(&data[14..], &mut take);
        reader.handle(&data, &mut take);
        assert_eq!(all, ["data on 1: <6>.", "data on 1: a<2>.", "data on 1: abc."]);
    }

    #[test]
    fn a_hole_over_a_boundary_is_searched_behind() {
        let mut reader = Reader::new(false, 100);
        let (data, ping) = (frame(FrameType::DATA, 0, 1, b"0123456789"), frame(FrameType::PING, 0, 0, &[0; 8]));
        let mut all = Vec::new();
        let mut take = |piece: Piece<'_>| tell(&mut all, piece);
        reader.handle(&data[..14], &mut take);
        reader.gap(9, &mut take);
        assert!(matches!(reader.state, State::Searching));
        reader.handle(&[b"tail of some frame", &ping[..], &data].concat(), &mut take);
        let ping = r"FrameType(6) on 0: \x00\x00\x00\x00\x00\x00\x00\x00 -0";
        assert_eq!(all, ["data on 1: 01234<5>.", "lost", "found after 22", ping, "data on 1: 0123456789."]);
    }

    #[test]
    fn in_mid_stream_other_bytes_are_not_taken_for_frames() {
        let mut reader = Reader::mid_stream(100);
        assert!(told(&mut reader, &[b"\x81\x85\x01\x02\x03\x04hello", b"GET / HTTP/1.1\r\n\r\n", &[0; 40]]).is_empty());
        assert_eq!(told(&mut reader, &[&frame(FrameType::DATA, 1, 5, b"x")])[1..], ["data on 5: x."]);
    }

    proptest! {
        #[test]
        fn any_split_reads_the_same(cuts: Vec<u8>) {
            let all = dialogue();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| usize::from(cut) % all.len()).collect();
            cuts.extend([0, all.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &all[cut[0]..cut[1]]).collect();
            prop_assert_eq!(told(&mut Reader::new(true, 100), &pieces), DIALOGUE);
        }

        #[test]
        fn never_panics(steps: Vec<(bool, Vec<u8>)>, preface: bool) {
            let mut reader = Reader::new(preface, 16);
            for (gap, bytes) in steps {
                if gap {
                    reader.gap(bytes.len() as u64 + 1, &mut |_| {});
                } else {
                    reader.handle(&bytes, &mut |_| {});
                }
                prop_assert!(reader.held.len() <= PREFACE.len());
            }
        }
    }
}
