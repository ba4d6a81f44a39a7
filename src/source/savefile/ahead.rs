//! Reading ahead: while records are analysed, another thread fetches (and unpacks) what comes next.

use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

/// What is asked of the system at once. Larger ones are not faster, and a few of this size stay in the processor's cache.
pub(super) const CHUNK: usize = 256 << 10;

/// Room in front of what a chunk holds, for the end of the one before: a record may lie on both.
pub(super) const HEADROOM: usize = 64 << 10;

/// So many chunks wait to be consumed.
const WAITING: usize = 3;

/// Bytes that were read: `bytes[begin..end]`.
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) begin: usize,
    pub(super) end: usize,
}

/// The reading side of a thread that reads.
pub(super) struct Ahead {
    read: Receiver<io::Result<Chunk>>,
    used: SyncSender<Vec<u8>>,
}

impl Ahead {
    /// Lets a thread of its own read; gives the reader back where the system has no thread to give.
    pub(super) fn start(reader: Box<dyn Read + Send>) -> Result<Ahead, Box<dyn Read + Send>> {
        let (hand_over, taken) = mpsc::channel();
        let (send, read) = mpsc::sync_channel(WAITING);
        let (used, recycled) = mpsc::sync_channel(WAITING + 2);
        let body = move || {
            if let Ok(reader) = taken.recv() {
                read_all(reader, &send, &recycled);
            }
        };
        match thread::Builder::new().name("wsflow-read".to_owned()).spawn(body) {
            Ok(_) => match hand_over.send(reader) {
                Ok(()) => Ok(Ahead { read, used }),
                Err(mpsc::SendError(reader)) => Err(reader),
            },
            Err(_) => Err(reader),
        }
    }

    /// The next chunk; `None` at the end. Waits for it.
    pub(super) fn next(&self) -> io::Result<Option<Chunk>> {
        self.read.recv().ok().transpose()
    }

    /// Gives back the room of a chunk.
    pub(super) fn recycle(&self, bytes: Vec<u8>) {
        // Where there is no place for it, it is freed.
        let _ = self.used.try_send(bytes);
    }
}

/// Reads until the end, an error, or nobody listens any more.
fn read_all(mut reader: Box<dyn Read + Send>, send: &SyncSender<io::Result<Chunk>>, recycled: &Receiver<Vec<u8>>) {
    loop {
        let mut bytes = recycled.try_recv().unwrap_or_default();
        bytes.resize(HEADROOM + CHUNK, 0);
        let read = match reader.read(&mut bytes[HEADROOM..]) {
            Ok(0) => return,
            Ok(read) => Ok(Chunk { bytes, begin: HEADROOM, end: HEADROOM + read }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let last = read.is_err();
        if send.send(read).is_err() || last {
            return;
        }
    }
}
