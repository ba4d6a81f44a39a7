//! Sessions of a live capture, from the file of `-w` or from memory.

use std::io::BufWriter;
use std::path::Path;

use super::{InFiles, selection_of};
use crate::app::record::SharedRecorder;
use crate::config::{Config, Filter};
use crate::output::pcapng::Writer;
use crate::output::pcapng::held::HeldCounts;
use crate::source::Interface;
use crate::tui::{Judged, Packets, Saved, Target};

/// What `-w` has written so far, while it is one file.
pub(in crate::app) struct InRecording {
    files: InFiles,
    recorder: SharedRecorder,
}

impl InRecording {
    /// That file.
    pub(in crate::app) fn new(config: &Config, file: &Path, recorder: SharedRecorder) -> InRecording {
        let mut files = InFiles::new(config, &[file.to_owned()]);
        // It was captured with them.
        (files.config.filter, files.config.count) = (Filter::All, None);
        InRecording { files, recorder }
    }
}

impl Packets for InRecording {
    fn save(&self, instead: Option<&Path>, sessions: &[Judged], target: &Target<'_>) -> Result<Saved, String> {
        self.recorder.flush();
        self.files.save(instead, sessions, target)
    }
}

/// What is held in memory.
pub(in crate::app) struct InMemory {
    files: InFiles,
    interfaces: Vec<Interface>,
    recorder: SharedRecorder,
}

impl InMemory {
    /// Of packets from these interfaces.
    pub(in crate::app) fn new(config: &Config, interfaces: &[Interface], recorder: SharedRecorder) -> InMemory {
        InMemory { files: InFiles::new(config, &[]), interfaces: interfaces.to_vec(), recorder }
    }
}

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
