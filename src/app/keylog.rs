//! The key log file on its way to the engine.

use std::io;

use crate::app::failure::Failure;
use crate::config;
use crate::engine::Engine;
use crate::engine::event::Sink;
use crate::source::keylog::KeyLogFollower;
use crate::tls::Origin;

/// Packets between two looks at the file.
const INTERVAL: u64 = 64;

/// A key log file that is read as far as it goes, again and again.
pub(super) struct Keylog {
    follower: KeyLogFollower,
    calls: u64,
}

impl Keylog {
    /// Opens the file. Where packets come while they are captured it may come later; else it has to be there when it was
    /// asked for. The variable may be set for a browser that has not run.
    pub(super) fn open(keylog: &config::Keylog, streaming: bool) -> Result<Option<Keylog>, Failure> {
        let failed = |error| Failure::Keylog(keylog.file.clone(), error);
        match KeyLogFollower::open(&keylog.file) {
            Ok(follower) if follower.exists() || streaming => Ok(Some(Keylog { follower, calls: 0 })),
            Ok(_) if keylog.required => Err(failed(io::Error::new(io::ErrorKind::NotFound, "no such file"))),
            Err(error) if keylog.required => Err(failed(error)),
            _ => Ok(None),
        }
    }

    /// Hands over what is new, now and then: to be called for every packet.
    pub(super) fn follow(&mut self, engine: &mut Engine, sink: &mut dyn Sink) -> Result<(), Failure> {
        self.calls += 1;
        if self.calls.is_multiple_of(INTERVAL) { self.read(engine, sink) } else { Ok(()) }
    }

    /// Hands over what is new.
    pub(super) fn read(&mut self, engine: &mut Engine, sink: &mut dyn Sink) -> Result<(), Failure> {
        loop {
            match self.follower.poll() {
                Ok([]) => return Ok(()),
                Ok(bytes) => engine.secrets(Origin::KeyLog, bytes, sink).map_err(Failure::Output)?,
                Err(error) => return Err(Failure::Keylog(self.follower.path().to_owned(), error)),
            }
        }
    }

    /// Hands over what is new, and a last line that lacks its end.
    pub(super) fn finish(&mut self, engine: &mut Engine, sink: &mut dyn Sink) -> Result<(), Failure> {
        self.read(engine, sink)?;
        engine.secrets(Origin::KeyLog, b"\n", sink).map_err(Failure::Output)
    }
}
