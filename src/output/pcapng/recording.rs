//! Packets into files while they are captured: into one, or one after another by size or time.
//!
//! Files end where a block ends, whatever happens: what is handed to the system is whole blocks, and when the disk is full
//! what it took of the last ones is cut off again.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Writer;
use super::names::{Names, Rotation};
use crate::packet::Packet;
use crate::source::Interface;
use crate::time::Timestamp;

/// Bytes that are gathered before the system gets them.
const BUFFER: usize = 256 << 10;

/// What packets are recorded to.
#[derive(Debug)]
pub struct Recording {
    names: Names,
    rotation: Rotation,
    interfaces: Vec<Interface>,
    /// Hand on each packet at once.
    unbuffered: bool,
    /// `None` once writing has failed, or all files that were asked for are full.
    file: Option<Writer<Blocks>>,
    name: PathBuf,
    /// When the files of this period of `-G` began.
    period: Timestamp,
    /// Of the file among those of its period.
    number: u32,
    /// Periods that have begun.
    periods: u32,
    failure: Option<io::Error>,
    at: Timestamp,
}

/// Why a file cannot be made or written.
#[derive(Debug)]
pub struct RecordingError {
    /// Which.
    pub name: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl Recording {
    /// Makes the first file. `interfaces` are those that packets will come from.
    pub fn create(
        template: &Path,
        rotation: Rotation,
        interfaces: &[Interface],
        unbuffered: bool,
        now: Timestamp,
    ) -> Result<Recording, RecordingError> {
        let names = Names::new(template, rotation);
        let (name, file) = create(&names, now, 0)?;
        Ok(Recording {
            names,
            rotation,
            interfaces: interfaces.to_vec(),
            unbuffered,
            file: Some(file),
            name,
            period: now,
            number: 0,
            periods: 1,
            failure: None,
            at: now,
        })
    }

    /// Writes a packet. What goes wrong is kept for [`Recording::take_failure`].
    pub fn packet(&mut self, packet: &Packet<'_>, comment: Option<&str>) {
        self.rotate(packet.at);
        let interface = self.interfaces.get(packet.interface.0 as usize);
        let Some(file) = &mut self.file else { return };
        let written = file.packet(packet, interface, comment);
        let written = written.and_then(|()| if self.unbuffered { file.flush() } else { Ok(()) });
        self.note(written);
    }

    /// Nothing comes now: what was written is handed on.
    pub fn idle(&mut self, now: Timestamp) {
        self.rotate(now);
        self.flush();
    }

    /// Hands on what was written, so that others can read it.
    pub fn flush(&mut self) {
        let Some(file) = &mut self.file else { return };
        let flushed = file.flush();
        self.note(flushed);
    }

    /// Ends the file with what was dropped on each interface.
    pub fn finish(&mut self, interfaces: &[Interface]) {
        self.interfaces = interfaces.to_vec();
        self.close();
    }

    /// Whether all files that were asked for are full (`-G` with `-W`).
    pub fn is_complete(&self) -> bool {
        self.file.is_none() && self.failure.is_none() && self.rotation.seconds.is_some()
    }

    /// What went wrong since the last call.
    pub fn take_failure(&mut self) -> Option<RecordingError> {
        self.failure.take().map(|error| RecordingError { name: self.name.clone(), error })
    }

    /// The file that is written now.
    pub fn name(&self) -> &Path {
        &self.name
    }

    fn rotate(&mut self, now: Timestamp) {
        self.at = self.at.max(now);
        let Some(file) = &self.file else { return };
        let due = self.rotation.seconds.is_some_and(|seconds| now.since(self.period).as_secs() >= seconds);
        let full = self.rotation.bytes.is_some_and(|bytes| file.get_ref().length() > bytes);
        if !due && !full {
            return;
        }
        self.close();
        if due {
            if self.rotation.files.is_some_and(|files| self.periods >= files) {
                return;
            }
            (self.period, self.number, self.periods) = (now, 0, self.periods + 1);
        } else {
            self.number = self.names.next(self.number);
        }
        match create(&self.names, self.period, self.number) {
            Ok((name, file)) => (self.name, self.file) = (name, Some(file)),
            Err(RecordingError { name, error }) => (self.name, self.failure) = (name, Some(error)),
        }
    }

    fn close(&mut self) {
        let Some(mut file) = self.file.take() else { return };
        let closed = file.statistics(&self.interfaces, self.at).and_then(|()| file.flush());
        self.failure = self.failure.take().or(closed.err());
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.file = None;
            self.failure = Some(error);
        }
    }
}

fn create(names: &Names, at: Timestamp, number: u32) -> Result<(PathBuf, Writer<Blocks>), RecordingError> {
    let failed = |name: &Path, error| RecordingError { name: name.to_owned(), error };
    let name = names
        .name(at, number)
        .map_err(|reason| failed(Path::new("the file of -w"), io::Error::new(io::ErrorKind::InvalidInput, reason)))?;
    let file = File::create(&name).map_err(|error| failed(&name, error))?;
    let writer = Writer::new(Blocks { file, handed_on: 0, pending: Vec::with_capacity(BUFFER), ends: Vec::new() });
    let writer = writer.and_then(|mut writer| writer.flush().map(|()| writer));
    writer.map(|writer| (name.clone(), writer)).map_err(|error| failed(&name, error))
}

/// A file that takes whole blocks: [`Writer`] writes each with one call.
#[derive(Debug)]
struct Blocks {
    file: File,
    /// Bytes that the system has.
    handed_on: u64,
    pending: Vec<u8>,
    /// Where its blocks end.
    ends: Vec<usize>,
}

impl Blocks {
    fn length(&self) -> u64 {
        self.handed_on + self.pending.len() as u64
    }

    /// Writes what is pending. How much of it the system took, and what it said then.
    fn hand_on(&mut self) -> (usize, io::Result<()>) {
        let mut taken = 0;
        while taken < self.pending.len() {
            match self.file.write(&self.pending[taken..]) {
                Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
                Ok(more) => taken += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (taken, Err(error)),
            }
        }
        (taken, Ok(()))
    }
}

impl Write for Blocks {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        if self.pending.len() + block.len() > BUFFER {
            self.flush()?;
        }
        self.pending.extend_from_slice(block);
        self.ends.push(self.pending.len());
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let (taken, written) = self.hand_on();
        let whole = self.ends.iter().rev().find(|end| **end <= taken).copied().unwrap_or(0);
        self.handed_on += whole as u64;
        if written.is_err() {
            // A pipe cannot be cut, and need not be.
            let _ = self.file.set_len(self.handed_on);
            let _ = self.file.seek(SeekFrom::Start(self.handed_on));
        }
        self.pending.clear();
        self.ends.clear();
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{InterfaceId, LinkType, PacketNumber};
    use crate::source::{Drops, Input, Savefiles, Source};

    fn at(second: u64) -> Timestamp {
        Timestamp::from_parts(1_795_219_089 + second, 0)
    }

    fn record(recording: &mut Recording, number: u64, second: u64) {
        let data = &[7; 1000];
        let (interface, link) = (InterfaceId(0), LinkType::ETHERNET);
        let packet = Packet { number: PacketNumber(number), at: at(second), interface, link, length: 1000, data };
        recording.packet(&packet, None);
    }

    fn packets(file: &Path) -> usize {
        let mut source = Savefiles::open(&[file.to_owned()], None).expect("a capture file");
        let mut packets = 0;
        while let Some(input) = source.next(usize::MAX).expect("a whole file") {
            packets += if let Input::Packets(some) = input { some.len() } else { 0 };
        }
        packets
    }

    fn create(file: &Path, rotation: Rotation) -> Recording {
        let interface = Interface {
            name: Some("lo".to_owned()),
            link: LinkType::ETHERNET,
            snap_length: 0,
            drops: Drops::default(),
        };
        Recording::create(file, rotation, &[interface], false, at(0)).expect("a file can be made")
    }

    #[test]
    fn a_ring_of_files_by_size_keeps_the_latest() {
        let folder = tempfile::tempdir().expect("a folder");
        let rotation = Rotation { bytes: Some(2500), files: Some(2), seconds: None };
        let mut recording = create(&folder.path().join("ring"), rotation);
        (1..=7).for_each(|number| record(&mut recording, number, 0));
        recording.finish(&[]);
        assert!(recording.take_failure().is_none());
        // Three packets pass 2,500 bytes: 1-3, 4-6, and 7 over the first.
        assert_eq!(packets(&folder.path().join("ring0")), 1);
        assert_eq!(packets(&folder.path().join("ring1")), 3);
    }

    #[test]
    fn so_many_files_by_time_and_it_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let rotation = Rotation { bytes: None, files: Some(2), seconds: Some(10) };
        let mut recording = create(&folder.path().join("at-%s"), rotation);
        record(&mut recording, 1, 3);
        record(&mut recording, 2, 12);
        assert!(!recording.is_complete());
        recording.idle(at(22));
        assert!(recording.is_complete());
        record(&mut recording, 3, 23);
        assert!(recording.take_failure().is_none());
        assert_eq!(packets(&folder.path().join("at-1795219089")), 1);
        assert_eq!(packets(&folder.path().join("at-1795219101")), 1);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_device_that_is_full_is_told_once() {
        let mut recording = create(Path::new("/dev/null"), Rotation::default());
        let file = File::options().write(true).open("/dev/full").expect("a device that is always full");
        recording.file = Some(
            Writer::new(Blocks { file, handed_on: 0, pending: Vec::new(), ends: Vec::new() })
                .expect("a block that waits in memory"),
        );
        record(&mut recording, 1, 0);
        recording.idle(at(1));
        assert!(recording.take_failure().is_some_and(|failure| failure.error.kind() == io::ErrorKind::StorageFull));
        record(&mut recording, 2, 2);
        recording.finish(&[]);
        assert!(recording.take_failure().is_none(), "nothing more is written");
    }
}
