//! Sessions of a live capture, from the file of `-w`.

use std::path::Path;

use super::InFiles;
use crate::app::record::SharedRecorder;
use crate::config::{Config, Filter};
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
