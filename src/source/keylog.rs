//! A key log file, followed while it grows.
//!
//! The program that writes it may start later than the capture, may be restarted, may rotate the file: whatever of this
//! happens, every line is read once it is there. A FIFO works too.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Bytes read at a time.
const CHUNK: usize = 64 << 10;

/// Follows one key log file. Does not parse it: see [`crate::tls::SecretStore::feed`].
pub struct KeyLogFollower {
    path: PathBuf,
    open: Option<Followed>,
    /// Whether the last byte given out ended a line.
    at_line_start: bool,
    buffer: Zeroizing<Box<[u8]>>,
}

/// The file that is open now.
struct Followed {
    file: File,
    identity: Option<Identity>,
    /// Bytes read so far.
    position: u64,
    regular: bool,
}

/// What tells a file from one that took its name: device and inode.
type Identity = (u64, u64);

impl KeyLogFollower {
    /// Follows the file at `path`. It need not exist yet.
    ///
    /// # Errors
    ///
    /// When it exists and cannot be read, or is a folder.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<KeyLogFollower> {
        let mut follower = KeyLogFollower {
            path: path.into(),
            open: None,
            at_line_start: true,
            buffer: Zeroizing::new(vec![0; CHUNK].into_boxed_slice()),
        };
        follower.reopen()?;
        Ok(follower)
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is such a file now.
    pub fn exists(&self) -> bool {
        self.open.is_some()
    }

    /// Whether there is such a file now, and it is one that ends: no pipe.
    pub fn is_regular(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.regular)
    }

    /// The bytes that came since the last call, at most 64 KiB; empty when there are none now. Never waits. Call it
    /// until it is empty, then again some time later.
    ///
    /// When another file has taken the name, or the file was cut, the new one is read from its beginning, with a line
    /// feed before it should the old one have ended inside a line.
    ///
    /// # Errors
    ///
    /// When reading fails. The next call tries again.
    pub fn poll(&mut self) -> io::Result<&[u8]> {
        let mut length = self.read()?;
        if length == 0 && self.was_replaced() {
            self.reopen()?;
            if !self.at_line_start {
                self.at_line_start = true;
                return Ok(b"\n");
            }
            length = self.read()?;
        }
        let bytes = &self.buffer[..length];
        if let Some(last) = bytes.last() {
            self.at_line_start = *last == b'\n';
        }
        Ok(bytes)
    }

    fn read(&mut self) -> io::Result<usize> {
        let Some(open) = &mut self.open else { return Ok(0) };
        loop {
            match open.file.read(&mut self.buffer) {
                Ok(length) => {
                    open.position += length as u64;
                    return Ok(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A FIFO whose writer has nothing to say now.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the path now names another file than the one that is open, or a shorter one.
    fn was_replaced(&self) -> bool {
        let Ok(metadata) = fs::metadata(&self.path) else { return false };
        match &self.open {
            None => true,
            Some(open) => open.identity != identity(&metadata) || open.regular && metadata.len() < open.position,
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::fs::OpenOptionsExt;
            // To open a FIFO without a writer must not wait for one.
            options.custom_flags(libc::O_NONBLOCK);
        }
        let file = match options.open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.open = None;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.open = Some(Followed { file, identity: identity(&metadata), position: 0, regular: metadata.is_file() });
        Ok(())
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

/// Elsewhere a file that was replaced shows by its length only.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<Identity> {
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn drain(follower: &mut KeyLogFollower) -> String {
        let mut all = Vec::new();
        loop {
            let bytes = follower.poll().unwrap();
            if bytes.is_empty() {
                return String::from_utf8(all).unwrap();
            }
            all.extend_from_slice(bytes);
        }
    }

    #[test]
    fn a_file_that_appears_grows_is_cut_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let mut follower = KeyLogFollower::open(&path).unwrap();
        assert_eq!(drain(&mut follower), "");
        assert!(!follower.exists());

        fs::write(&path, "one\ntw").unwrap();
        assert_eq!(drain(&mut follower), "one\ntw");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"o\n").unwrap();
        assert_eq!(drain(&mut follower), "o\n");
        file.write_all(b"half").unwrap();
        assert_eq!(drain(&mut follower), "half");

        // Cut: what was half stays alone.
        fs::write(&path, "new\n").unwrap();
        assert_eq!(drain(&mut follower), "\nnew\n");

        // Another file of the same name, longer than the first.
        let other = folder.path().join("other");
        fs::write(&other, "another one\n").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(drain(&mut follower), "another one\n");

        // Gone, and back.
        fs::remove_file(&path).unwrap();
        assert_eq!(drain(&mut follower), "");
        fs::write(&path, "back\n").unwrap();
        assert_eq!(drain(&mut follower), "back\n");
    }

    #[test]
    fn a_long_file_comes_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let text = "0123456789\n".repeat(20_000);
        fs::write(&path, &text).unwrap();
        let mut follower = KeyLogFollower::open(&path).unwrap();
        assert_eq!(follower.poll().unwrap().len(), CHUNK);
        assert_eq!(drain(&mut follower), text[CHUNK..]);
    }

    #[test]
    fn a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(KeyLogFollower::open(folder.path()).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_fifo_without_a_writer_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut follower = KeyLogFollower::open(&path).unwrap();
        assert_eq!(drain(&mut follower), "");
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        assert_eq!(drain(&mut follower), "");
        writer.write_all(b"line\n").unwrap();
        assert_eq!(drain(&mut follower), "line\n");
        drop(writer);
        assert_eq!(drain(&mut follower), "");
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"again\n").unwrap();
        assert_eq!(drain(&mut follower), "again\n");
    }
}
