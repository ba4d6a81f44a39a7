//! Bytes of a file, read ahead.

use std::io::{self, Read};

/// What is asked of the system at once. Larger ones are not faster, and this one fits in the processor's cache.
const CHUNK: usize = 256 << 10;

/// A window on a stream: what was read and not yet consumed.
pub(super) struct Buffer {
    reader: Box<dyn Read + Send>,
    /// The bytes in `begin..end` are the window; the rest is room.
    bytes: Vec<u8>,
    begin: usize,
    end: usize,
    /// How much was consumed since the beginning of the stream.
    offset: u64,
}

impl Buffer {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Buffer {
        Buffer { reader, bytes: vec![0; CHUNK], begin: 0, end: 0, offset: 0 }
    }

    /// What was read and not yet consumed. Stays where it is until [`Buffer::fill`].
    #[inline]
    pub(super) fn window(&self) -> &[u8] {
        &self.bytes[self.begin..self.end]
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
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.begin);
        self.begin += count;
        self.offset += count as u64;
    }

    /// Reads until the window has `count` bytes; `false` when the stream ends before. Takes what comes: a pipe that
    /// delivers in pieces is not waited for longer than need be.
    #[inline]
    pub(super) fn fill(&mut self, count: usize) -> io::Result<bool> {
        if self.end - self.begin >= count { Ok(true) } else { self.read(count) }
    }

    #[cold]
    fn read(&mut self, count: usize) -> io::Result<bool> {
        self.bytes.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        while self.end < count {
            if self.end == self.bytes.len() {
                // Only what really comes makes it grow: a length field alone does not.
                self.bytes.resize(self.bytes.len() * 2, 0);
            }
            match self.reader.read(&mut self.bytes[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
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

    /// The four numbers that `bytes` begins with; zeros when it is shorter.
    #[inline]
    pub(super) fn four(self, bytes: &[u8]) -> [u32; 4] {
        let Some(bytes) = bytes.first_chunk::<16>() else { return [0; 4] };
        let native = [0, 4, 8, 12].map(|offset| u32::from_le_bytes(array(bytes, offset)));
        if self == ByteOrder::Little { native } else { native.map(u32::swap_bytes) }
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
