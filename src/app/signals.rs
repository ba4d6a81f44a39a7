//! What signals ask for while packets are captured, here or at the other end of a pipe.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::FAILED;

/// Flags that signals raise.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// INT, TERM or HUP: to end with the full result.
    pub(super) stop: Arc<AtomicBool>,
    /// USR1: for the counts so far.
    counts: Arc<AtomicBool>,
}

impl Asked {
    /// Whether the run is to end.
    pub(super) fn to_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether the counts were asked for since the last call.
    pub(super) fn for_counts(&self) -> bool {
        self.counts.load(Ordering::Relaxed) && self.counts.swap(false, Ordering::Relaxed)
    }
}

/// Hears signals from now on, on a thread of its own. Who asks twice to stop has waited long enough.
pub(super) fn listen(asked: &Asked) {
    let asked = asked.clone();
    let (ready, wait) = mpsc::channel::<()>();
    thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        runtime.block_on(async move {
            let kinds =
                [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::user_defined1()];
            let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup), Ok(mut user)] = kinds.map(signal) else {
                return;
            };
            drop(ready);
            loop {
                tokio::select! {
                    _ = interrupt.recv() => stop(&asked),
                    _ = terminate.recv() => stop(&asked),
                    _ = hangup.recv() => stop(&asked),
                    _ = user.recv() => asked.counts.store(true, Ordering::Relaxed),
                }
            }
        });
    });
    // Nothing is ever sent: the other end is dropped when the signals are heard, or cannot be.
    let _ = wait.recv();
}

fn stop(asked: &Asked) {
    if asked.stop.swap(true, Ordering::Relaxed) {
        process::exit(FAILED.into());
    }
}
