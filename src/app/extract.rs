//! `-w` with files: they are read a second time, and the packets of the sessions shown are written.

use std::fs::{self, File, OpenOptions};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use crate::app::failure::Failure;
use crate::cli::UsageError;
use crate::limits::Limits;
use crate::output::pcapng::Writer;
use crate::output::pcapng::selection::{Picker, Selection};
use crate::source::{Input, Savefiles, SecretsFormat, Source, SourceError};

/// The file that is written. It is made before anything is read: a mistake in its name shows at once.
pub(super) struct Extract {
    name: PathBuf,
    file: File,
}

impl Extract {
    /// Makes the file. One with secrets in it is for its owner's eyes.
    pub(super) fn create(name: &Path, files: &[PathBuf], with_secrets: bool) -> Result<Extract, Failure> {
        if !files.iter().all(|file| can_be_read_twice(file)) {
            let text =
                "-w needs files that can be read twice, which a pipe cannot: tcpdump ... | tee FILE | wsflow -r -";
            return Err(UsageError(text.to_owned()).into());
        }
        if files.iter().any(|file| is_same_file(file, name)) {
            return Err(UsageError(format!("-w {} would overwrite what -r reads", name.display())).into());
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        if with_secrets {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        let file = options.open(name).map_err(|error| Failure::Write(name.to_owned(), error))?;
        Ok(Extract { name: name.to_owned(), file })
    }

    /// A file that was made by others, who know its name.
    #[cfg(feature = "tui")]
    pub(super) fn into(name: &Path, file: File) -> Extract {
        Extract { name: name.to_owned(), file }
    }

    /// Writes what is selected of the first `count` packets of the files, opened again, and `secrets` in front of them.
    /// Secrets that the files hold themselves are not written: those that are asked for are among `secrets`. How many packets
    /// were written.
    pub(super) fn run(
        &self,
        mut source: Savefiles,
        count: Option<u64>,
        selection: &Selection,
        secrets: &[u8],
    ) -> Result<u64, Failure> {
        let failed = |error| Failure::Write(self.name.clone(), error);
        let mut writer = Writer::new(BufWriter::with_capacity(64 << 10, &self.file)).map_err(failed)?;
        if !secrets.is_empty() {
            writer.secrets(SecretsFormat::TLS_KEY_LOG, secrets).map_err(failed)?;
        }
        let mut picker = Picker::new(selection, &Limits::default());
        let (mut packets, mut written, mut picked) = (0, 0, Vec::new());
        while count.is_none_or(|count| packets < count) {
            match source.next(1) {
                Ok(Some(Input::Packets(mut one))) => {
                    let Some((packet, _)) = one.next() else { continue };
                    packets += 1;
                    if !picker.picks(&packet) {
                        continue;
                    }
                    // The packet borrows the source, which has to be asked for the interface.
                    picked.clear();
                    picked.extend_from_slice(packet.data);
                    let (number, at, interface, link, length) =
                        (packet.number, packet.at, packet.interface, packet.link, packet.length);
                    let packet = crate::packet::Packet { number, at, interface, link, length, data: &picked };
                    let interface = source.interfaces().get(interface.0 as usize);
                    writer.packet(&packet, interface, selection.comment(number)).map_err(failed)?;
                    written += 1;
                }
                Ok(Some(Input::Secrets { .. } | Input::Idle(_) | Input::Interface { .. } | Input::Dropped { .. })) => {}
                Ok(None) => break,
                // It was complained about when it was met for the first time.
                Err(SourceError::Damaged { .. }) => {}
                Err(_) => break,
            }
        }
        writer.flush().map_err(failed)?;
        Ok(written)
    }
}

/// Whether a file has the same packets when it is opened again: what comes through a pipe is gone then.
pub(super) fn can_be_read_twice(file: &Path) -> bool {
    file != Path::new("-") && fs::metadata(file).is_ok_and(|metadata| metadata.is_file())
}

/// Whether two names are of one file that is there: links of both kinds lead to it.
fn is_same_file(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    let identity = |name: &Path| {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(name).map(|metadata| (metadata.dev(), metadata.ino()))
    };
    #[cfg(not(unix))]
    let identity = |name: &Path| fs::canonicalize(name);
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}
