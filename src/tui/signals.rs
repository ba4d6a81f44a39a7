//! The signals that matter to whoever owns a terminal.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::tui::state::Effect;

/// All of them.
pub(super) struct Signals {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
    stop: Signal,
    go_on: Signal,
    counts: Signal,
}

impl Signals {
    /// Hears them from now on.
    pub fn new() -> io::Result<Signals> {
        let by_number = |number: rustix::process::Signal| signal(SignalKind::from_raw(number.as_raw()));
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            stop: by_number(rustix::process::Signal::TSTP)?,
            go_on: by_number(rustix::process::Signal::CONT)?,
            counts: signal(SignalKind::user_defined1())?,
        })
    }

    /// Somebody wants the program to end.
    pub async fn end(&mut self) -> Effect {
        tokio::select! {
            _ = self.terminate.recv() => Effect::Quit,
            _ = self.hang_up.recv() => Effect::Quit,
            _ = self.interrupt.recv() => Effect::Quit,
        }
    }

    /// Somebody wants the program to end, to stop for a while, or to say how far it is.
    pub async fn heard(&mut self) -> Effect {
        tokio::select! {
            _ = self.terminate.recv() => Effect::Quit,
            _ = self.hang_up.recv() => Effect::Quit,
            _ = self.interrupt.recv() => Effect::Quit,
            _ = self.stop.recv() => Effect::Stop,
            _ = self.counts.recv() => Effect::Counts,
        }
    }

    /// The program goes on. It may do so before it is heard that it had stopped.
    pub async fn continued(&mut self) {
        let _ = tokio::time::timeout(Duration::from_millis(50), self.go_on.recv()).await;
    }
}
