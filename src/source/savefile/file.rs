//! One savefile.

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ahead::Next;
use super::appearance;
use super::block::Block;
use super::buffer::Buffer;
use super::compression::Compression;
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use crate::source::{SourceError, error};

/// A record may have so many bytes. More is damage: Wireshark's own bound is a quarter of it.
pub(super) const RECORD_BYTES: usize = 64 << 20;

/// A file that is not longer is read before a thread has begun.
const WORTH_A_THREAD: u64 = 1 << 20;

/// What a thread asks of the system at once. More is not faster, and a few blocks of this size stay in the processor's cache.
const CHUNK: usize = 256 << 10;

/// The same where there is none, which may be one of a thousand files; and a pipe holds no more.
const SHORT_CHUNK: usize = 64 << 10;

/// Why no more records are found in the bytes that were read.
#[derive(Debug)]
pub(super) enum Lack {
    /// The next record is not whole: of it so many bytes are needed to go on.
    Bytes(usize),
    /// The next record makes no sense.
    Sense(&'static str),
}

/// How long standard input is waited for at a time: a stop is heard within this time, and secrets that were logged.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Why there is no next record.
#[derive(Debug)]
enum Stop {
    /// More may come, but nothing has come yet.
    Silent,
    /// The file ends where a record ends.
    End,
    /// It ends inside a record.
    Cut,
    /// A record makes no sense.
    Record(&'static str),
    /// The system, or the decompressor, says no.
    Read(io::Error),
}

/// A savefile while it is read.
pub(super) struct File {
    name: String,
    buffer: Buffer,
    format: Format,
    compression: Option<Compression>,
    packets: u64,
    /// Whether another thread may read what comes next.
    ahead: bool,
}

enum Format {
    /// Not looked at yet.
    Unknown,
    Pcap(Pcap),
    Pcapng(Pcapng),
    /// Read to its end, or as far as it can be.
    Done,
}

impl File {
    /// Opens a file and reads its header. `ahead`: a thread of its own may read on while records are analysed.
    pub(super) fn open(path: &Path, ahead: bool) -> Result<File, SourceError> {
        let name = path.display().to_string();
        let opened = std::fs::File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = match opened {
            Ok(opened) => opened,
            Err(error) => return Err(SourceError::Open { name, error }),
        };
        if metadata.is_dir() {
            let appearance = format!("it is a directory; name files: -r {}/*.pcap*", name.trim_end_matches('/'));
            return Err(SourceError::NotCapture { name, appearance });
        }
        let ahead = ahead && metadata.is_file() && metadata.len() > WORTH_A_THREAD;
        let mut file = File::with(name, Box::new(file), ahead);
        file.recognise().map_err(|error| *error)?;
        Ok(file)
    }

    /// Standard input. Nothing is read before the first record is asked for.
    pub(super) fn standard_input() -> File {
        File::new("standard input".to_owned(), Box::new(StandardInput))
    }

    /// Anything that can be read.
    pub(super) fn new(name: String, reader: Box<dyn Read + Send>) -> File {
        File::with(name, reader, false)
    }

    fn with(name: String, reader: Box<dyn Read + Send>, ahead: bool) -> File {
        let buffer = Buffer::new(reader, if ahead { CHUNK } else { SHORT_CHUNK });
        File { name, buffer, format: Format::Unknown, compression: None, packets: 0, ahead }
    }

    /// Reads the next block, as far as it comes at once; `None` at the end. Its room is that of one that was used. An empty
    /// one says that nothing has come for a while.
    pub(super) fn next(&mut self, used: Block) -> Option<Next> {
        let mut block = used;
        block.clear();
        if let Format::Unknown = self.format {
            match self.recognise() {
                Ok(true) => {}
                Ok(false) => return Some(Ok(block)),
                Err(error) => return Some(Err(error)),
            }
        }
        loop {
            let (bytes, begin) = self.buffer.filled();
            let (end, lack) = match &mut self.format {
                Format::Pcap(pcap) => pcap.find(bytes, begin, &mut block),
                Format::Pcapng(pcapng) => pcapng.find(bytes, begin, &mut block),
                Format::Unknown | Format::Done => return None,
            };
            self.buffer.consume(end - begin);
            // What is wrong behind it is found again by the next call.
            if !block.is_empty() {
                self.packets += block.packets.len() as u64;
                block.bytes = self.buffer.give(block.bytes);
                return Some(Ok(block));
            }
            match self.read_on(lack) {
                Ok(()) => {}
                Err(Stop::Silent) => return Some(Ok(block)),
                Err(stop) => return self.stop(stop).map(Err),
            }
        }
    }

    /// Reads what is lacking.
    fn read_on(&mut self, lack: Lack) -> Result<(), Stop> {
        let whole = match lack {
            Lack::Bytes(count) => self.buffer.fill(count).map_err(Stop::of)?,
            Lack::Sense(reason) => return Err(Stop::Record(reason)),
        };
        match whole {
            true => Ok(()),
            false if self.buffer.window().is_empty() => Err(Stop::End),
            false => Err(Stop::Cut),
        }
    }

    /// What errors call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was opened to be read ahead, and is long enough.
    pub(super) fn is_worth_a_thread(&self) -> bool {
        self.ahead
    }

    /// Looks at the beginning, and tells which format it is; `false` where it has not come yet.
    fn recognise(&mut self) -> Result<bool, Box<SourceError>> {
        if !self.look_ahead(4)? {
            return Ok(false);
        }
        self.compression = Compression::recognise(self.buffer.window());
        if let Some(compression) = self.compression {
            let chunk = self.buffer.chunk();
            let nothing = Buffer::new(Box::new(io::empty()), 0);
            let packed = std::mem::replace(&mut self.buffer, nothing).into_reader();
            self.buffer = Buffer::new(compression.unpack(Patient(packed)), chunk);
        }
        if !self.look_ahead(Pcap::HEADER)? {
            return Ok(false);
        }
        self.format = if let Some(pcap) = Pcap::recognise(self.buffer.window()) {
            self.buffer.consume(Pcap::HEADER);
            Format::Pcap(pcap)
        } else if Pcapng::is_one(self.buffer.window()) {
            Format::Pcapng(Pcapng::default())
        } else {
            if !self.look_ahead(appearance::BEGINNING)? {
                return Ok(false);
            }
            self.format = Format::Done;
            let appearance = appearance::describe(self.buffer.window(), self.compression);
            return Err(Box::new(SourceError::NotCapture { name: self.name.clone(), appearance }));
        };
        Ok(true)
    }

    /// Reads so many bytes, or as many as there are; `false` where more may come.
    fn look_ahead(&mut self, count: usize) -> Result<bool, Box<SourceError>> {
        match self.buffer.fill(count) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if self.compression.is_some() => self.stop(Stop::Read(error)).map_or(Ok(true), Err),
            Err(error) => {
                self.format = Format::Done;
                Err(Box::new(SourceError::Open { name: self.name.clone(), error }))
            }
        }
    }

    /// There is nothing more, and what was wrong, if anything was.
    #[cold]
    fn stop(&mut self, stop: Stop) -> Option<Box<SourceError>> {
        self.format = Format::Done;
        let reason = match (stop, self.compression) {
            (Stop::End | Stop::Silent, _) => return None,
            (Stop::Cut, _) => "it ends inside a record; the capture was cut short, or goes on".to_owned(),
            (Stop::Record(reason), _) => reason.to_owned(),
            (Stop::Read(error), Some(format)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                format!("its {format} compression ends too early; the file was cut short, or is still being written")
            }
            // What the system says, or a decompressor: these tell programmers more, and not in words.
            (Stop::Read(error), Some(format)) if error.raw_os_error().is_none() => {
                format!("its {format} compression is broken")
            }
            (Stop::Read(error), _) => error::without_code(&error),
        };
        let (name, offset) = (self.name.clone(), self.buffer.offset());
        Some(Box::new(SourceError::Damaged { name, offset, packets: self.packets, reason }))
    }
}

impl Stop {
    fn of(error: io::Error) -> Stop {
        if error.kind() == io::ErrorKind::WouldBlock { Stop::Silent } else { Stop::Read(error) }
    }
}

/// Standard input, unless that is a terminal: nobody types a capture. Where nothing comes for a while, that is an error of the
/// kind `WouldBlock`.
struct StandardInput;

impl Read for StandardInput {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            return Err(io::Error::other("it is a terminal; pipe a capture into it: tcpdump -U -w - | wsflow -r -"));
        }
        if poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&PATIENCE))? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(rustix::io::read(stdin, out)?)
    }
}

/// A reader that is waited for: decompressors cannot go on where they were interrupted.
struct Patient<R>(R);

impl<R: Read> Read for Patient<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(out) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}
