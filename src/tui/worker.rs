//! The engine's thread.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::tui::feed::{Change, Feed, Shared};

/// How long the engine may take to end when nobody looks any more.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads packets to their end, or until [`Feed::is_stopped`], and tells the feed; on a thread of its own.
///
/// Its first argument is the file that the person asked to open instead of what the command line names. What went wrong is
/// returned as one line; what was found before is shown all the same.
pub type Work = Arc<dyn Fn(Option<&Path>, &mut Feed) -> Result<(), String> + Send + Sync>;

/// The thread, and what it shares with the screen.
pub(super) struct EngineThread {
    pub shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl EngineThread {
    /// Starts it.
    pub fn start(work: &Work, file: Option<PathBuf>, live: bool) -> io::Result<EngineThread> {
        let shared = Arc::new(Shared::default());
        shared.ask(Vec::new());
        let (work, mut feed, ended) = (Arc::clone(work), Feed::new(Arc::clone(&shared), live), Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
            let mut at_the_end = AtTheEnd { shared: ended, trouble: Some("the engine panicked".to_owned()) };
            at_the_end.trouble = work(file.as_deref(), &mut feed).err();
        })?;
        Ok(EngineThread { shared, thread: Some(thread) })
    }

    /// Asks it to end, and waits a little.
    pub async fn stop(&mut self) {
        self.shared.stop();
        let Some(thread) = self.thread.take() else { return };
        let deadline = Instant::now() + PATIENCE;
        while !thread.is_finished() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Says how it ended, also when it panicked.
struct AtTheEnd {
    shared: Arc<Shared>,
    trouble: Option<String>,
}

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        self.shared.push(Change::Ended(self.trouble.take()), false);
    }
}
