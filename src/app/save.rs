//! The packets of sessions that somebody at the screen saves: from the files that are read, from that of `-w`, or from memory.

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::extract::Extract;
use super::reader::filter_of;
#[cfg(feature = "live")]
use super::record::SharedRecorder;
use crate::config::Config;
#[cfg(feature = "live")]
use crate::config::Filter;
use crate::output::pcapng::Writer;
#[cfg(feature = "live")]
use crate::output::pcapng::held::HeldCounts;
use crate::output::pcapng::selection::Selection;
use crate::source::Interface;
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
        let filter = filter_of(&self.config.filter).map_err(|failure| failure.to_string())?;
        let extract = Extract::into(target.path(), target.create()?);
        let written = extract.run(files, filter, self.config.count, selection, &[]);
        written.map(|packets| Saved { packets, missing: 0 }).map_err(|failure| failure.to_string())
    }
}

impl Packets for InFiles {
    fn save(&self, instead: Option<&Path>, sessions: &[Judged], target: &Target<'_>) -> Result<Saved, String> {
        let instead = instead.map(|file| vec![file.to_owned()]);
        let files = instead.as_ref().unwrap_or(&self.files);
        if files.iter().any(|file| file == Path::new("-")) {
            return Err(
                "what came through a pipe is not kept: put tee FILE in front, and s saves packets with -r FILE"
                    .to_owned(),
            );
        }
        self.save_from(files, &selection_of(sessions), target)
    }
}

/// What `-w` has written so far, while it is one file.
#[cfg(feature = "live")]
pub(super) struct InRecording {
    files: InFiles,
    recorder: SharedRecorder,
}

#[cfg(feature = "live")]
impl InRecording {
    /// That file.
    pub(super) fn new(config: &Config, file: &Path, recorder: SharedRecorder) -> InRecording {
        let mut files = InFiles::new(config, &[file.to_owned()]);
        // It was captured with them.
        (files.config.filter, files.config.count) = (Filter::All, None);
        InRecording { files, recorder }
    }
}

#[cfg(feature = "live")]
impl Packets for InRecording {
    fn save(&self, instead: Option<&Path>, sessions: &[Judged], target: &Target<'_>) -> Result<Saved, String> {
        self.recorder.flush();
        self.files.save(instead, sessions, target)
    }
}

/// What is held in memory.
#[cfg(feature = "live")]
pub(super) struct InMemory {
    files: InFiles,
    interfaces: Vec<Interface>,
    recorder: SharedRecorder,
}

#[cfg(feature = "live")]
impl InMemory {
    /// Of packets from these interfaces.
    pub(super) fn new(config: &Config, interfaces: &[Interface], recorder: SharedRecorder) -> InMemory {
        InMemory { files: InFiles::new(config, &[]), interfaces: interfaces.to_vec(), recorder }
    }
}

#[cfg(feature = "live")]
impl Packets for InMemory {
    fn save(&self, instead: Option<&Path>, sessions: &[Judged], target: &Target<'_>) -> Result<Saved, String> {
        if instead.is_some() {
            return self.files.save(instead, sessions, target);
        }
        let selection = selection_of(sessions);
        let packets = self.recorder.packets_of(&selection);
        if packets.is_empty() {
            return Err("none of these packets is held any more; with -w FILE all are kept".to_owned());
        }
        let write = |file| {
            let mut writer = Writer::new(BufWriter::new(file))?;
            for packet in packets.iter() {
                let interface = self.interfaces.get(packet.interface.0 as usize);
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
