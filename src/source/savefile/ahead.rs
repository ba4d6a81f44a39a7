//! Reading ahead: while packets are analysed, another thread reads (and unpacks) the next blocks, and finds what is in them.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use super::block::Block;
use super::file::File;
use crate::source::SourceError;

/// So many blocks wait to be used.
const WAITING: usize = 3;

/// What a file yields next: a block, or why there is none.
pub(super) type Next = Result<Block, Box<SourceError>>;

/// The blocks of a file, read when they are asked for, or ahead.
pub(super) enum Blocks {
    Here(Box<File>),
    Ahead(Ahead),
}

/// The other side of a thread that reads.
pub(super) struct Ahead {
    read: Receiver<Next>,
    used: SyncSender<Block>,
}

impl Blocks {
    /// Lets a thread of its own read, where that is worth it and the system has one to give.
    pub(super) fn of(file: File) -> Blocks {
        let file = Box::new(file);
        if file.is_worth_a_thread() {
            Ahead::start(file).map_or_else(Blocks::Here, Blocks::Ahead)
        } else {
            Blocks::Here(file)
        }
    }

    /// The next block; `None` at the end. Its room is that of one that was used.
    pub(super) fn next(&mut self, used: Block) -> Option<Next> {
        match self {
            Blocks::Here(file) => file.next(used),
            Blocks::Ahead(ahead) => ahead.next(used),
        }
    }
}

impl Ahead {
    /// Gives the file back where there is no thread.
    fn start(file: Box<File>) -> Result<Ahead, Box<File>> {
        let (hand_over, taken) = mpsc::channel::<Box<File>>();
        let (send, read) = mpsc::sync_channel(WAITING);
        let (used, recycled) = mpsc::sync_channel(WAITING + 2);
        let body = move || {
            if let Ok(mut file) = taken.recv() {
                read_all(&mut file, &send, &recycled);
            }
        };
        match thread::Builder::new().name("wsflow-read".to_owned()).spawn(body) {
            Ok(_) => match hand_over.send(file) {
                Ok(()) => Ok(Ahead { read, used }),
                Err(mpsc::SendError(file)) => Err(file),
            },
            Err(_) => Err(file),
        }
    }

    fn next(&self, used: Block) -> Option<Next> {
        // Where there is no place for it, it is freed.
        let _ = self.used.try_send(used);
        self.read.recv().ok()
    }
}

/// Reads until the end, an error, or nobody listens any more.
fn read_all(file: &mut File, send: &SyncSender<Next>, recycled: &Receiver<Block>) {
    while let Some(next) = file.next(recycled.try_recv().unwrap_or_default()) {
        let last = next.is_err();
        if send.send(next).is_err() || last {
            return;
        }
    }
}
