//! The packets of sessions that somebody at the screen saves: from the files that are read, from that of `-w`, or from memory.

#[cfg(feature = "live")]
mod captured;

use std::path::{Path, PathBuf};

#[cfg(feature = "live")]
pub(super) use captured::{InMemory, InRecording};

use super::extract::Extract;
use super::reader::filter_of;
use crate::config::Config;
use crate::output::pcapng::selection::Selection;
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

fn selection_of(sessions: &[Judged]) -> Selection {
    let mut selection = Selection::default();
    sessions.iter().for_each(|(session, diagnosis)| selection.add(session, diagnosis));
    selection
}
