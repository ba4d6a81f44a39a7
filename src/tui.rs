//! The terminal user interface: a list of sessions, each opened into a ladder, headers, messages and times.
//!
//! Three parts that never mix: [`store`] folds what the engine tells into rows, [`state`] says what is looked at and what a
//! key changes about it, [`panes`] draws. This file drives them: terminal events, signals, ticks and news from the engine in
//! one `select!`, on the thread of the caller. The engine works on a thread of its own.

mod feed;
mod filter;
mod format;
mod keys;
mod ladder;
mod layout;
mod panes;
mod save;
mod signals;
mod state;
mod store;
mod terminal;
mod theme;
mod worker;

#[cfg(test)]
mod samples;

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_core::Stream;
use tokio::time::{Instant, MissedTickBehavior};

pub use feed::{Feed, Interface};
pub use save::Target;
pub use theme::Theme;
pub use worker::Work;

use crate::diagnosis::Diagnosis;
use crate::engine::event::Summary;
use crate::output::mask::Mask;
use crate::output::pcapng::held::HeldCounts;
use crate::session::{Session, SessionId};
use crate::source::without_code;
use crate::tui::feed::Change;
use crate::tui::signals::Signals;
use crate::tui::state::{Columns, Effect, Question, State};
use crate::tui::store::{Progress, Store};
use crate::tui::terminal::OwnTerminal;
use crate::tui::worker::EngineThread;

/// News are shown no more often than this.
const FRAME: Duration = Duration::from_millis(50);
/// How often the engine is asked for figures.
const FIGURES: Duration = Duration::from_millis(250);

/// How the interface starts.
#[derive(Clone)]
pub struct Options {
    /// What is read or captured on, for the title. Names of files.
    pub source: String,
    /// Packets come while they are captured.
    pub live: bool,
    /// Leave the terminal alone until the first packet has come: somebody may be typing a password for the program in front
    /// of the pipe.
    pub wait_for_packet: bool,
    /// Whether secrets are masked.
    pub mask: Mask,
    /// Which colours.
    pub theme: Theme,
    /// Show only what matches from the beginning.
    pub filter: Option<String>,
    /// Where the choice of columns is kept; `None` keeps it nowhere.
    pub columns_file: Option<PathBuf>,
    /// Where the packets of sessions are.
    pub packets: Arc<dyn Packets>,
    /// Where files can be made; empty for here.
    pub folder: PathBuf,
    /// Whose rights are left, where others were given up.
    pub user: Option<String>,
}

/// A session with the judgement on it.
pub type Judged = (Arc<Session>, Arc<Diagnosis>);

/// Where the packets of sessions are.
pub trait Packets: Send + Sync {
    /// Writes those of these sessions, if there are any. `instead` is the file that the person asked to open instead of what
    /// the command line names.
    ///
    /// # Errors
    ///
    /// Why they cannot be written, and what to do to have them, in one line.
    fn save(&self, instead: Option<&Path>, sessions: &[Judged], target: &Target<'_>) -> Result<Saved, String>;

    /// How many wait in memory; `None` where they are in a file.
    fn held(&self) -> Option<HeldCounts> {
        None
    }
}

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Saved {
    /// Packets.
    pub packets: u64,
    /// Packets of the same sessions that are not there any more.
    pub missing: u64,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The figures, as far as it came.
    pub summary: Summary,
    /// What went wrong with what was read.
    pub trouble: Option<String>,
}

/// Shows what `work` finds, until the person has seen enough.
pub fn run(options: Options, work: Work) -> io::Result<Ended> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Driver::new(options, work)?.drive())
}

/// Everything that is driven.
struct Driver {
    options: Options,
    work: Work,
    engine: EngineThread,
    /// What is read instead of what the command line names.
    instead: Option<PathBuf>,
    store: Store,
    state: State,
    /// Something changed that is not on the screen yet.
    stale: bool,
}

impl Driver {
    fn new(options: Options, work: Work) -> io::Result<Driver> {
        let mut state = State::new(options.source.clone(), options.live, options.mask, options.theme);
        if let Some(kept) = options.columns_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()) {
            state.list.columns = Columns::from_text(&kept);
        }
        state.proposal.folder.clone_from(&options.folder);
        state.proposal.skip(Path::exists);
        let store = Store::default();
        if let Some(filter) = &options.filter {
            state.notice = state.list.set_filter(filter, &store).err();
        }
        let engine = EngineThread::start(&work, None, options.live)?;
        Ok(Driver { options, work, engine, instead: None, store, state, stale: true })
    }

    async fn drive(mut self) -> io::Result<Ended> {
        let mut signals = Signals::new()?;
        if self.options.wait_for_packet && !self.wait_for_packet(&mut signals).await {
            return Ok(self.end().await);
        }
        let mut terminal = OwnTerminal::take()?;
        self.state.size = terminal.size();
        let looked = self.look(&mut terminal, &mut signals).await;
        drop(terminal);
        let ended = self.end().await;
        looked.map(|()| ended)
    }

    /// True when the first packet has come, or nothing will; false when the person has no patience.
    async fn wait_for_packet(&mut self, signals: &mut Signals) -> bool {
        tokio::select! {
            () = self.engine.shared.news.notified() => {
                self.take_news();
                true
            }
            _ = signals.end() => false,
        }
    }

    async fn look(&mut self, terminal: &mut OwnTerminal, signals: &mut Signals) -> io::Result<()> {
        let mut events = EventStream::new();
        let mut figures = tokio::time::interval(FIGURES);
        figures.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_frame = Instant::now();
        let mut news = false;
        loop {
            if self.stale {
                inject_panic();
                let (store, state) = (&self.store, &self.state);
                terminal.draw(|frame| panes::render(frame, store, state))?;
                self.stale = false;
            }
            let shared = Arc::clone(&self.engine.shared);
            let running = self.store.progress == Progress::Running;
            let effect = tokio::select! {
                event = next(&mut events) => match event {
                    Some(event) => self.event(event?),
                    None => Effect::Quit, // the terminal is gone
                },
                request = signals.heard() => request,
                () = shared.news.notified(), if !news => {
                    news = true;
                    continue;
                }
                () = tokio::time::sleep_until(next_frame), if news => {
                    news = false;
                    let begun = Instant::now();
                    self.take_news();
                    // A hundred thousand rows take their time to sort: keys come first.
                    next_frame = Instant::now() + FRAME.max(begun.elapsed() * 4);
                    continue;
                }
                _ = figures.tick(), if running => {
                    shared.ask(self.state.open_in_sight(&self.store));
                    self.store.held = self.held();
                    continue;
                }
            };
            if !self.apply(effect, terminal, signals).await? {
                return Ok(());
            }
        }
    }

    fn take_news(&mut self) {
        let (changes, dropped) = self.engine.shared.take();
        for change in changes {
            if let Change::Notice(text) = &change {
                self.state.notice = Some(text.clone());
            }
            self.store.fold(change);
        }
        self.store.missed(&dropped);
        if !self.state.list.paused {
            self.state.follow_store(&self.store);
            self.stale = true;
        }
    }

    fn event(&mut self, event: Event) -> Effect {
        self.stale = true;
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.state.key(key, &self.store),
            Event::Mouse(mouse) => self.state.mouse(mouse, &self.store),
            Event::Resize(width, height) => {
                self.state.size = (width, height);
                self.state.follow_store(&self.store);
                Effect::None
            }
            _ => {
                self.stale = false;
                Effect::None
            }
        }
    }

    /// Does to the world what a key asked for. False to end.
    async fn apply(&mut self, effect: Effect, terminal: &mut OwnTerminal, signals: &mut Signals) -> io::Result<bool> {
        match effect {
            Effect::None => {}
            Effect::Quit => return Ok(false),
            Effect::Redraw => terminal.redraw()?,
            Effect::Copy(text) => terminal::copy(&text)?,
            Effect::Mouse(heard) => terminal.mouse(heard)?,
            // To all of the job, as the terminal would: the program in front of a pipe stops with us.
            Effect::Suspend => rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?,
            Effect::Stop => {
                terminal.suspend();
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)?;
                signals.continued().await;
                terminal.resume()?;
                self.state.size = terminal.size();
                self.stale = true;
            }
            Effect::Save(path, sessions) => self.save(&at_home(path), &sessions),
            Effect::Counts => {
                self.state.notice =
                    Some(counts(&self.store.figures.summary, self.options.live && !self.options.wait_for_packet));
                self.stale = true;
            }
            Effect::KeepColumns(columns) => self.keep_columns(&columns),
            Effect::Open(path) => self.open(at_home(path)).await?,
        }
        Ok(true)
    }

    fn save(&mut self, path: &Path, sessions: &[SessionId]) {
        let target = Target::new(path, self.options.user.as_deref());
        let said = save::judged(sessions, &self.store).and_then(|known| {
            if target.ending() == "pcapng" {
                let saved = self.options.packets.save(self.instead.as_deref(), &known, &target)?;
                return Ok(save::packets(known.len(), saved, &target));
            }
            let Store { findings, figures, .. } = &self.store;
            save::save(&target, &known, &findings.shared, &figures.summary, &self.options.source, self.options.mask)
        });
        match said {
            Ok(said) => {
                self.state.saved(path, said);
                self.state.proposal.skip(Path::exists);
            }
            Err(error) => self.state.ask_again(Question::Save, path, error),
        }
    }

    fn held(&self) -> Option<HeldCounts> {
        if self.instead.is_some() { None } else { self.options.packets.held() }
    }

    fn keep_columns(&mut self, columns: &str) {
        let Some(file) = &self.options.columns_file else { return };
        let kept = file.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(file, columns));
        if let Err(error) = kept {
            self.state.notice = Some(format!("the columns are not kept: {}: {error}", file.display()));
        }
    }

    /// Reads another file instead.
    async fn open(&mut self, path: PathBuf) -> io::Result<()> {
        if let Err(error) = can_be_read(&path) {
            self.state.ask_again(Question::Open, &path, error);
            return Ok(());
        }
        self.engine.stop().await;
        self.options.source = path.display().to_string();
        self.options.live = false;
        self.instead = Some(path.clone());
        self.engine = EngineThread::start(&self.work, Some(path), false)?;
        self.store = Store::default();
        let (source, mask, theme) = (self.options.source.clone(), self.options.mask, self.state.theme);
        let before = std::mem::replace(&mut self.state, State::new(source, false, mask, theme));
        (self.state.list.columns, self.state.size) = (before.list.columns, before.size);
        self.state.proposal = before.proposal;
        Ok(())
    }

    /// The engine ends with its full result, if it ends soon.
    async fn end(mut self) -> Ended {
        self.engine.stop().await;
        self.take_news();
        let trouble = match self.store.progress {
            Progress::Failed(trouble) => Some(trouble),
            Progress::Running | Progress::Done => None,
        };
        Ended { summary: self.store.figures.summary, trouble }
    }
}

/// Whether a file can be read in place of another: to open a pipe is to wait for who writes to it.
fn can_be_read(path: &Path) -> Result<(), String> {
    let cannot = |error: io::Error| format!("cannot open it: {}", without_code(&error));
    let kind = std::fs::metadata(path).map_err(cannot)?.file_type();
    if kind.is_dir() {
        return Err("it is a directory".into());
    }
    if !kind.is_file() {
        return Err("it is no regular file; pipes are read with -r".into());
    }
    std::fs::File::open(path).map(drop).map_err(cannot)
}

/// A path as a shell reads it: `~` is home.
fn at_home(path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path,
    }
}

/// What is asked for by `SIGUSR1`, in the words of the other outputs.
fn counts(summary: &Summary, captured: bool) -> String {
    let Summary { packets, loss, .. } = summary;
    let own = format!("{} things dropped by wsflow", loss.wsflow);
    match captured {
        true => format!(
            "{packets} packets captured, {} dropped by kernel, {} by interface, {own}",
            loss.kernel, loss.interface
        ),
        false => format!("{packets} packets read, {own}"),
    }
}

/// The next event of the terminal.
async fn next(events: &mut EventStream) -> Option<io::Result<Event>> {
    std::future::poll_fn(|context| Pin::new(&mut *events).poll_next(context)).await
}

/// Builds for development panic when they are asked to: so that a test can see the terminal given back.
fn inject_panic() {
    #[cfg(debug_assertions)]
    assert!(std::env::var_os("WSFLOW_PANIC").is_none(), "WSFLOW_PANIC is set");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_block_or_is_no_file_is_not_opened() {
        let refused = |path: &str| can_be_read(Path::new(path)).unwrap_err();
        assert_eq!(refused("/"), "it is a directory");
        assert!(refused("/dev/null").starts_with("it is no regular file"));
        assert!(refused("/no/such/file").starts_with("cannot open it: "));
        assert_eq!(can_be_read(Path::new("Cargo.toml")), Ok(()));
    }
}
