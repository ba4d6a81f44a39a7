//! One savefile.

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use super::appearance;
use super::buffer::Buffer;
use super::compression::Compression;
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use crate::packet::LinkType;
use crate::source::{Interface, SecretsFormat, SourceError, error};
use crate::time::Timestamp;

/// A record may have so many bytes. More is damage: Wireshark's own bound is a quarter of it.
pub(super) const RECORD_BYTES: usize = 64 << 20;

/// A file that is not longer is read before a thread has begun.
const WORTH_A_THREAD: u64 = 1 << 20;

/// What the last step of reading a file came to.
///
/// Readers write into one that stays where it is: passing records up by value costs as much as finding them.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) kind: RecordKind,
    /// When it was captured. Secrets come before all: they are needed as soon as they are there.
    pub(super) at: Timestamp,
    /// Where its bytes are in the buffer's window.
    pub(super) begin: u32,
    pub(super) end: u32,
}

/// What a record is.
#[derive(Clone, Copy, Debug)]
pub(super) enum RecordKind {
    Packet {
        /// The index of its interface in the file.
        interface: u32,
        link: LinkType,
        /// Its length on the wire.
        length: u32,
    },
    Secrets(SecretsFormat),
}

/// Why there is no next record.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file ends where a record ends.
    End,
    /// It ends inside a record.
    Cut,
    /// A record makes no sense.
    Record(&'static str),
    /// The system, or the decompressor, says no.
    Read(io::Error),
}

impl From<io::Error> for Box<Stop> {
    fn from(error: io::Error) -> Box<Stop> {
        Box::new(Stop::Read(error))
    }
}

impl Stop {
    /// A record that makes no sense.
    #[cold]
    pub(super) fn record<T>(reason: &'static str) -> Result<T, Box<Stop>> {
        Err(Box::new(Stop::Record(reason)))
    }

    /// A record that does not come, or not whole.
    #[cold]
    pub(super) fn end<T>(rest: &[u8]) -> Result<T, Box<Stop>> {
        Err(Box::new(if rest.is_empty() { Stop::End } else { Stop::Cut }))
    }
}

/// A savefile while it is read.
pub(super) struct File {
    name: String,
    buffer: Buffer,
    format: Format,
    compression: Option<Compression>,
    record: Record,
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
    Done(Vec<Interface>),
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
        let mut file = File::new(name, Box::new(file));
        file.ahead = ahead && metadata.is_file() && metadata.len() > WORTH_A_THREAD;
        file.recognise().map_err(|error| *error)?;
        Ok(file)
    }

    /// Standard input. Nothing is read before the first record is asked for.
    pub(super) fn standard_input() -> File {
        File::new("standard input".to_owned(), Box::new(StandardInput))
    }

    /// Anything that can be read.
    pub(super) fn new(name: String, reader: Box<dyn Read + Send>) -> File {
        let kind = RecordKind::Secrets(SecretsFormat(0));
        File {
            name,
            buffer: Buffer::new(reader),
            format: Format::Unknown,
            compression: None,
            record: Record { kind, at: Timestamp::ZERO, begin: 0, end: 0 },
            packets: 0,
            ahead: false,
        }
    }

    /// Reads the next record; `None` at the end. What the one before it pointed to is gone.
    #[inline(always)]
    pub(super) fn advance(&mut self) -> Option<Result<(), Box<SourceError>>> {
        let read = match &mut self.format {
            Format::Pcap(pcap) => pcap.advance(&mut self.buffer, &mut self.record),
            Format::Pcapng(pcapng) => pcapng.advance(&mut self.buffer, &mut self.record),
            Format::Unknown | Format::Done(_) => return self.begin(),
        };
        match read {
            Ok(()) => {
                self.packets += u64::from(matches!(self.record.kind, RecordKind::Packet { .. }));
                Some(Ok(()))
            }
            Err(stop) => self.stop(*stop),
        }
    }

    /// The record that was read last.
    #[inline]
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// Its bytes.
    #[inline]
    pub(super) fn data(&self) -> &[u8] {
        self.buffer.part(self.record.begin, self.record.end)
    }

    /// What errors call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The interfaces met so far.
    pub(super) fn interfaces(&self) -> &[Interface] {
        match &self.format {
            Format::Pcap(pcap) => pcap.interfaces(),
            Format::Pcapng(pcapng) => pcapng.interfaces(),
            Format::Unknown => &[],
            Format::Done(interfaces) => interfaces,
        }
    }

    /// Reads the first record, when nothing was read yet.
    #[inline(never)]
    fn begin(&mut self) -> Option<Result<(), Box<SourceError>>> {
        if let Format::Done(_) = self.format {
            return None;
        }
        match self.recognise() {
            Ok(()) => self.advance(),
            Err(error) => Some(Err(error)),
        }
    }

    /// Looks at the beginning, and tells which format it is.
    fn recognise(&mut self) -> Result<(), Box<SourceError>> {
        self.look_ahead(4)?;
        self.compression = Compression::recognise(self.buffer.window());
        if let Some(compression) = self.compression {
            let nothing = Buffer::new(Box::new(io::empty()));
            let packed = std::mem::replace(&mut self.buffer, nothing).into_reader();
            self.buffer = Buffer::new(compression.unpack(packed));
        }
        self.look_ahead(Pcap::HEADER)?;
        self.format = if let Some(pcap) = Pcap::recognise(self.buffer.window()) {
            self.buffer.consume(Pcap::HEADER);
            Format::Pcap(pcap)
        } else if Pcapng::is_one(self.buffer.window()) {
            Format::Pcapng(Pcapng::default())
        } else {
            self.look_ahead(appearance::BEGINNING)?;
            self.close();
            let appearance = appearance::describe(self.buffer.window(), self.compression);
            return Err(Box::new(SourceError::NotCapture { name: self.name.clone(), appearance }));
        };
        if self.ahead {
            self.buffer.read_ahead();
        }
        Ok(())
    }

    /// Reads so many bytes, or as many as there are.
    fn look_ahead(&mut self, count: usize) -> Result<(), Box<SourceError>> {
        match self.buffer.fill(count) {
            Ok(_) => Ok(()),
            Err(error) if self.compression.is_some() => self.stop(Stop::Read(error)).unwrap_or(Ok(())),
            Err(error) => {
                self.close();
                Err(Box::new(SourceError::Open { name: self.name.clone(), error }))
            }
        }
    }

    #[cold]
    fn close(&mut self) {
        self.format = Format::Done(self.interfaces().to_vec());
    }

    #[cold]
    fn stop(&mut self, stop: Stop) -> Option<Result<(), Box<SourceError>>> {
        self.close();
        let reason = match (stop, self.compression) {
            (Stop::End, _) => return None,
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
        Some(Err(Box::new(SourceError::Damaged { name, offset, packets: self.packets, reason })))
    }
}

/// Standard input, unless that is a terminal: nobody types a capture.
struct StandardInput;

impl Read for StandardInput {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            return Err(io::Error::other("it is a terminal; pipe a capture into it: tcpdump -U -w - | wsflow -r -"));
        }
        stdin.lock().read(out)
    }
}
