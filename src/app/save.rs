//! The packets of sessions that somebody at the screen saves: from the files that are read, from that of `-w`, or from memory.

#[cfg(feature = "live")]
mod captured;

use std::io::BufWriter;
use std::path::{Path, PathBuf};

#[cfg(feature = "live")]
pub(super) use captured::InRecording;

use super::extract::{Extract, can_be_read_twice};
use super::reader::filter_of;
use super::record::SharedRecorder;
use crate::config::Config;
use crate::output::pcapng::Writer;
use crate::output::pcapng::held::HeldCounts;
use crate::output::pcapng::selection::Selection;
use crate::source::Savefiles;
use crate::tui::{Judged, Packets, Saved, Target};

/// Files, read a second time.
pub(super) struct InFiles {
    config: Config,
    files: Vec<PathBuf>,
}

impl InFiles {
    /// Those that the command line names.
    pub(super) fn new(config: &Config, files: &[PathBuf]) -> InFiles {
        InFiles { config: config.clone(), files: files.to_vec() }
    }

    fn save_from(&self, files: &[PathBuf], selection: &Selection, target: &Target<'_>) -> Result<Saved, String> {
        let told = |failure: super::Failure| failure.to_string();
        let filter = filter_of(&self.config.filter).map_err(told)?;
        let source = Savefiles::open(files, filter).map_err(|error| error.to_string())?;
        let extract = Extract::into(target.path(), target.create()?);
        let packets = extract.run(source, self.config.count, selection, &[]).map_err(told)?;
        Ok(Saved { packets, missing: 0 })
    }
}

impl Packets for InFiles {
    fn save(&self, instead: Option<&Path>, sessions: &[Judged], target: &Target<'_>) -> Result<Saved, String> {
        let instead = instead.map(|file| vec![file.to_owned()]);
        let files = instead.as_ref().unwrap_or(&self.files);
        if !files.iter().all(|file| can_be_read_twice(file)) {
            return Err("what came through a pipe cannot be read again: wsflow -r - keeps it to be saved".to_owned());
        }
        self.save_from(files, &selection_of(sessions), target)
    }
}

/// What is held in memory.
pub(super) struct InMemory {
    files: InFiles,
    recorder: SharedRecorder,
}

impl InMemory {
    /// By this recorder.
    pub(super) fn new(config: &Config, recorder: SharedRecorder) -> InMemory {
        InMemory { files: InFiles::new(config, &[]), recorder }
    }
}

impl Packets for InMemory {
    fn save(&self, instead: Option<&Path>, sessions: &[Judged], target: &Target<'_>) -> Result<Saved, String> {
        if instead.is_some() {
            return self.files.save(instead, sessions, target);
        }
        let selection = selection_of(sessions);
        let (packets, interfaces) = (self.recorder.packets_of(&selection), self.recorder.interfaces());
        if packets.is_empty() {
            return Err(
                "none of these packets is held any more; in a file all are kept: -w FILE, or tee FILE in front \
                        of -r -"
                    .to_owned(),
            );
        }
        let write = |file| {
            let mut writer = Writer::new(BufWriter::new(file))?;
            for packet in packets.iter() {
                let interface = interfaces.get(packet.interface.0 as usize);
                writer.packet(&packet, interface, selection.comment(packet.number))?;
            }
            writer.flush()
        };
        write(target.create()?).map_err(|error| target.failed(&error))?;
        let saved = packets.len() as u64;
        Ok(Saved { packets: saved, missing: selection.packets().saturating_sub(saved) })
    }

    fn held(&self) -> Option<HeldCounts> {
        self.recorder.held()
    }
}

fn selection_of(sessions: &[Judged]) -> Selection {
    let mut selection = Selection::default();
    sessions.iter().for_each(|(session, diagnosis)| selection.add(session, diagnosis));
    selection
}
