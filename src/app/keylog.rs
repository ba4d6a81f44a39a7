//! The key log file on its way to the engine.

use std::io;
use std::time::Duration;

use crate::app::failure::Failure;
use crate::config;
use crate::engine::Engine;
use crate::engine::event::Sink;
use crate::source::keylog::KeyLogFollower;
use crate::time::Timestamp;
use crate::tls::Origin;

/// Packets between two looks at the file.
const INTERVAL: u64 = 64;
/// Their time between two looks: connections that are over wait longer for their secrets.
const TIME: Duration = Duration::from_millis(100);

/// A key log file that is read as far as it goes, again and again.
pub(super) struct Keylog {
    follower: KeyLogFollower,
    calls: u64,
    /// The time of the packet before which the file was looked at last.
    looked: Timestamp,
    /// Whether somebody asked for it by an option.
    required: bool,
    /// Whether the engine knows that secrets may come from here.
    announced: bool,
}

impl Keylog {
    /// Opens the file. Where packets come while they are captured it may come later; else it has to be there when it was
    /// asked for. The variable may be set for a browser that has not run.
    pub(super) fn open(keylog: &config::Keylog, streaming: bool) -> Result<Option<Keylog>, Failure> {
        let failed = |error| Failure::Keylog(keylog.file.clone(), error);
        match KeyLogFollower::open(&keylog.file) {
            Ok(follower) if follower.exists() || streaming => Ok(Some(Keylog {
                follower,
                calls: 0,
                looked: Timestamp::ZERO,
                required: keylog.required,
                announced: false,
            })),
            Ok(_) if keylog.required => Err(failed(io::Error::new(io::ErrorKind::NotFound, "no such file"))),
            Err(error) if keylog.required => Err(failed(error)),
            _ => Ok(None),
        }
    }

    /// A word on a file that was asked for and is not there yet.
    pub(super) fn awaited(&self) -> Option<String> {
        let name = self.follower.path().display();
        (self.required && !self.follower.exists())
            .then(|| format!("the key log {name} is not there yet: it is waited for"))
    }

    /// Hands over what is new, now and then: to be called before every packet, with its time. Where packets were waiting to be
    /// captured, the next one may end what only its secrets make readable.
    pub(super) fn follow(&mut self, at: Timestamp, engine: &mut Engine, sink: &mut dyn Sink) -> Result<(), Failure> {
        self.calls += 1;
        if !self.calls.is_multiple_of(INTERVAL) && at.since(self.looked) < TIME {
            return Ok(());
        }
        self.looked = at;
        self.read(engine, sink)
    }

    /// Hands over what is new. Also when there is nothing yet: from now on records wait for what will come.
    pub(super) fn read(&mut self, engine: &mut Engine, sink: &mut dyn Sink) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.announced, true) {
            engine.secrets(Origin::KeyLog, b"", sink).map_err(Failure::Output)?;
        }
        loop {
            match self.follower.poll() {
                Ok([]) => return Ok(()),
                Ok(bytes) => engine.secrets(Origin::KeyLog, bytes, sink).map_err(Failure::Output)?,
                Err(error) => return Err(Failure::Keylog(self.follower.path().to_owned(), error)),
            }
        }
    }

    /// Whether all that will ever be in it can be there now: nobody may still be writing to a pipe.
    pub(super) fn is_complete(&self) -> bool {
        self.follower.is_regular()
    }

    /// Hands over what is new, a last line that lacks its end, and that this is all.
    pub(super) fn finish(&mut self, engine: &mut Engine, sink: &mut dyn Sink) -> Result<(), Failure> {
        self.read(engine, sink)?;
        engine.secrets_end(Origin::KeyLog, sink).map_err(Failure::Output)
    }
}
