//! Bytes of a file that were read, and not yet given away.

use std::io::{self, Read};

/// Chunks that a record of unusual length made room for; that is not used again.
const MANY: usize = 8;

/// A window on a stream: what was read and not yet consumed.
pub(super) struct Buffer {
    reader: Box<dyn Read + Send>,
    /// So much is asked of the system at once.
    chunk: usize,
    /// The bytes in `begin..end` are the window; the rest is room.
    bytes: Vec<u8>,
    begin: usize,
    end: usize,
    /// How much was consumed since the beginning of the stream.
    offset: u64,
}

impl Buffer {
    /// Nothing was read yet. It reads `chunk` bytes at a time, or what comes.
    pub(super) fn new(reader: Box<dyn Read + Send>, chunk: usize) -> Buffer {
        Buffer { reader, chunk, bytes: vec![0; chunk], begin: 0, end: 0, offset: 0 }
    }

    /// How much is asked of the system at once.
    pub(super) fn chunk(&self) -> usize {
        self.chunk
    }

    /// What was read and not yet consumed. Stays where it is until [`Buffer::fill`].
    #[inline]
    pub(super) fn window(&self) -> &[u8] {
        &self.bytes[self.begin..self.end]
    }

    /// All bytes up to the end of the window, and where the window begins: positions that last until [`Buffer::fill`].
    pub(super) fn filled(&self) -> (&[u8], usize) {
        (&self.bytes[..self.end], self.begin)
    }

    /// The whole stream again, from the beginning of the window.
    pub(super) fn into_reader(self) -> impl Read + Send {
        io::Cursor::new(self.window().to_vec()).chain(self.reader)
    }

    /// How far into the stream the window begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Moves the window on by `count` bytes of it.
    pub(super) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.begin);
        self.begin += count;
        self.offset += count as u64;
    }

    /// Gives all bytes away, and goes on in `room`; the window, which is short as a rule, moves there.
    pub(super) fn give(&mut self, mut room: Vec<u8>) -> Vec<u8> {
        let window = &self.bytes[self.begin..self.end];
        let least = self.chunk.max(window.len());
        if !(least..=least.max(MANY * self.chunk)).contains(&room.len()) {
            room = vec![0; least]; // of which the system gives what is written to
        }
        room[..window.len()].copy_from_slice(window);
        (self.begin, self.end) = (0, window.len());
        std::mem::replace(&mut self.bytes, room)
    }

    /// Reads until the window has `count` bytes; `false` when the stream ends before. Takes what comes: a pipe that
    /// delivers in pieces is not waited for longer than need be.
    pub(super) fn fill(&mut self, count: usize) -> io::Result<bool> {
        while self.end - self.begin < count {
            self.make_room(self.chunk / 2);
            match self.reader.read(&mut self.bytes[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Moves the window to the front, and grows where that leaves less than `room` behind it: only what really came
    /// makes it grow, a length field alone does not.
    fn make_room(&mut self, room: usize) {
        if self.begin > 0 {
            self.bytes.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        if self.bytes.len() - self.end < room {
            self.bytes.resize((self.bytes.len() * 2).max(self.end + room), 0);
        }
    }
}

/// The byte order of a file: of the machine that wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// The number at `offset`; 0 when `bytes` ends before.
    #[inline]
    pub(super) fn u16(self, bytes: &[u8], offset: usize) -> u16 {
        let number = array(bytes, offset);
        if self == ByteOrder::Little { u16::from_le_bytes(number) } else { u16::from_be_bytes(number) }
    }

    /// The four numbers in `bytes`.
    #[inline]
    pub(super) fn four(self, bytes: &[u8; 16]) -> [u32; 4] {
        let all = u128::from_le_bytes(*bytes);
        let [a, b, c, d] = [all as u32, (all >> 32) as u32, (all >> 64) as u32, (all >> 96) as u32];
        match self {
            ByteOrder::Little => [a, b, c, d],
            ByteOrder::Big => [a.swap_bytes(), b.swap_bytes(), c.swap_bytes(), d.swap_bytes()],
        }
    }

    /// The number at `offset`; 0 when `bytes` ends before.
    #[inline]
    pub(super) fn u32(self, bytes: &[u8], offset: usize) -> u32 {
        let number = array(bytes, offset);
        if self == ByteOrder::Little { u32::from_le_bytes(number) } else { u32::from_be_bytes(number) }
    }

    /// The number at `offset`; 0 when `bytes` ends before.
    pub(super) fn u64(self, bytes: &[u8], offset: usize) -> u64 {
        let number = array(bytes, offset);
        if self == ByteOrder::Little { u64::from_le_bytes(number) } else { u64::from_be_bytes(number) }
    }
}

#[inline]
fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces of ever other sizes.
    struct Pieces(io::Cursor<Vec<u8>>, usize);

    impl Read for Pieces {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.1 = self.1 * 31 % 100_003 + 1;
            let most = out.len().min(self.1);
            self.0.read(&mut out[..most])
        }
    }

    fn stream() -> (Vec<u8>, Box<dyn Read + Send>) {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        (bytes.clone(), Box::new(Pieces(io::Cursor::new(bytes), 7)))
    }

    /// Records of all sizes, some longer than a chunk, given away now and then: the stream comes out as it went in.
    #[test]
    fn giving_away_changes_nothing() {
        for gives in [false, true] {
            let (bytes, reader) = stream();
            let (mut buffer, mut used) = (Buffer::new(reader, 1 << 18), Vec::new());
            let mut read = Vec::new();
            for count in [1, 24, 70_000, 1_500, 300_000, 16, 65_536, 90, 400_000, 3].into_iter().cycle() {
                let whole = buffer.fill(count).unwrap();
                let count = if whole { count } else { buffer.window().len() };
                let (filled, begin) = buffer.filled();
                assert!(filled[begin..] == *buffer.window());
                buffer.consume(count);
                if gives {
                    used = buffer.give(used);
                    read.extend_from_slice(&used[begin..begin + count]);
                } else {
                    let (filled, _) = buffer.filled();
                    read.extend_from_slice(&filled[begin..begin + count]);
                }
                assert_eq!(buffer.offset(), read.len() as u64);
                if !whole {
                    break;
                }
            }
            assert!(read == bytes, "gives: {gives}");
        }
    }

    /// Fails behind its bytes.
    struct Broken(io::Cursor<Vec<u8>>);

    impl Read for Broken {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match self.0.read(out)? {
                0 => Err(io::Error::other("the disk says no")),
                read => Ok(read),
            }
        }
    }

    #[test]
    fn what_came_before_an_error_is_not_lost() {
        let mut buffer = Buffer::new(Box::new(Broken(io::Cursor::new(vec![7; 600_000]))), 1 << 16);
        assert!(buffer.fill(600_000).unwrap());
        assert_eq!(buffer.fill(600_001).unwrap_err().to_string(), "the disk says no");
        assert!(buffer.window() == vec![7; 600_000]);
    }
}
