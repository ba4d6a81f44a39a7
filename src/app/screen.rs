//! The terminal user interface, and what it is fed with.

use std::fmt;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::extract::can_be_read_twice;
use super::failure::Failure;
use super::keylog::Keylog;
use super::reader::{Listener, Reader, filter_of, is_stream, tell_counts};
use super::record::{SharedRecorder, Witness};
#[cfg(feature = "live")]
use super::save::InRecording;
use super::save::{InFiles, InMemory};
use super::{FAILED, complain, status};
use crate::cli::UsageError;
use crate::config::Config;
#[cfg(feature = "live")]
use crate::config::Output;
use crate::engine::Engine;
#[cfg(feature = "live")]
use crate::output::pcapng::names::Rotation;
use crate::output::query::Query;
use crate::source::{Clocks, Interface, Savefiles, Source};
#[cfg(feature = "live")]
use crate::tui::Packets;
use crate::tui::{self, Feed, Options, Theme};

/// Reads savefiles and shows them while they are read, until the person has seen enough.
pub(super) fn show(config: &Config, files: &[PathBuf]) -> Result<ExitCode, Failure> {
    check(config, files)?;
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    // What comes through a pipe is gone when somebody saves it.
    let pipes = !files.iter().all(|file| can_be_read_twice(file));
    let recorder = pipes.then(|| SharedRecorder::new(None, None, true));
    let options = Options {
        source: names.join(" "),
        live: is_stream(files),
        wait_for_packet: files.iter().any(|file| file == Path::new("-")),
        mask: config.mask,
        theme: theme(config),
        filter: config.query.clone(),
        columns_file: columns_file(),
        packets: match &recorder {
            Some(recorder) => Arc::new(InMemory::new(config, recorder.clone())),
            None => Arc::new(InFiles::new(config, files)),
        },
        folder: folder(),
        user: None,
    };
    let (config_of_work, files) = (config.clone(), files.to_vec());
    let work = move |instead: Option<&Path>, feed: &mut Feed| {
        if let (Some(_), Some(recorder)) = (instead, &recorder) {
            recorder.let_go();
        }
        match instead {
            Some(file) => analyse(&config_of_work, &[file.to_owned()], None, feed),
            None => analyse(&config_of_work, &files, recorder.clone(), feed),
        }
        .map_err(|failure| failure.to_string())
    };
    let ended = tui::run(options, Arc::new(work)).map_err(Failure::Output)?;
    if let Some(trouble) = ended.trouble {
        complain(&trouble);
        return Ok(ExitCode::from(FAILED));
    }
    Ok(status(config, ended.summary.worst, false))
}

/// Mistakes are told before the terminal changes. What comes through a pipe is not touched.
fn check(config: &Config, files: &[PathBuf]) -> Result<(), Failure> {
    filter_of(&config.filter)?;
    config.query.as_deref().map(Query::parse).transpose()?;
    config.keylog.as_ref().map(|keylog| Keylog::open(keylog, is_stream(files))).transpose()?;
    let standard_input = |file: &&PathBuf| *file == Path::new("-");
    if files.iter().any(|file| standard_input(&file)) && io::stdin().is_terminal() {
        let text = "standard input is a terminal; pipe a capture into it: tcpdump -U -w - | wsflow -r -";
        return Err(UsageError(text.to_owned()).into());
    }
    let is_pipe = |file: &&PathBuf| fs::metadata(file).is_ok_and(|file| !file.is_file() && !file.is_dir());
    let others: Vec<PathBuf> = files.iter().filter(|file| !standard_input(file) && !is_pipe(file)).cloned().collect();
    Savefiles::open_by(&others, None, &Clocks::default())?;
    Ok(())
}

fn analyse(
    config: &Config,
    files: &[PathBuf],
    recorder: Option<SharedRecorder>,
    feed: &mut Feed,
) -> Result<(), Failure> {
    let mut listener = Witness::new(feed, recorder.clone());
    let mut done = Reader::open(config, files)?.recorded(recorder).run(&mut listener)?;
    done.damage.pop().map_or(Ok(()), |error| Err(error.into()))
}

impl Listener for Feed {
    fn between(&mut self, engine: &mut Engine, source: &mut impl Source) -> bool {
        if self.is_asked() {
            tell_counts(engine, source);
            self.show(engine, interfaces(source));
        }
        self.is_stopped()
    }

    fn notice(&mut self, what: &dyn fmt::Display) {
        Feed::notice(self, what.to_string());
    }

    fn before_the_end(&mut self, engine: &mut Engine, source: &mut impl Source) {
        self.show(engine, interfaces(source));
    }
}

fn interfaces(source: &impl Source) -> Vec<tui::Interface> {
    let shown =
        |interface: &Interface| Some(tui::Interface { name: interface.name.clone()?, dropped: interface.drops.kernel });
    source.interfaces().iter().filter_map(shown).collect()
}

/// Captures on interfaces and shows what they carry, until the person has seen enough.
#[cfg(feature = "live")]
pub(super) fn show_live(config: &Config, names: &[String]) -> Result<ExitCode, Failure> {
    let live = super::live::open(config, names, Arc::default())?;
    let recorder = live.source.recorder().expect("at the screen packets are recorded or held");
    let options = Options {
        source: source_of(config, names),
        live: true,
        wait_for_packet: false,
        mask: config.mask,
        theme: theme(config),
        filter: config.query.clone(),
        columns_file: columns_file(),
        packets: packets(config, recorder.clone()),
        folder: folder(),
        user: live.user.clone(),
    };
    let opened = std::sync::Mutex::new(Some(live));
    let config_of_work = config.clone();
    let work = move |instead: Option<&Path>, feed: &mut Feed| {
        let first = opened.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match (instead, first) {
            (Some(file), _) => {
                recorder.let_go();
                analyse(&config_of_work, &[file.to_owned()], None, feed)
            }
            (None, Some(mut live)) => capture(&config_of_work, &mut live, feed),
            (None, None) => Ok(()), // the capture was left for a file, and its rights are gone
        }
        .map_err(|failure| failure.to_string())
    };
    let ended = tui::run(options, Arc::new(work)).map_err(Failure::Output)?;
    if let Some(trouble) = ended.trouble {
        complain(&trouble);
        return Ok(ExitCode::from(FAILED));
    }
    Ok(status(config, ended.summary.worst, false))
}

#[cfg(feature = "live")]
fn capture(config: &Config, live: &mut super::live::Opened, feed: &mut Feed) -> Result<(), Failure> {
    let (_, mut troubles) = super::live::run(config, live, feed)?;
    troubles.pop().map_or(Ok(()), |error| Err(error.into()))
}

/// What is captured on, in the words of the command line.
#[cfg(feature = "live")]
fn source_of(config: &Config, names: &[String]) -> String {
    let mut source = names.join(" ");
    match &config.filter {
        crate::config::Filter::All => {}
        crate::config::Filter::Expression(words) => source.push_str(&format!("  {words}")),
        crate::config::Filter::File(name) => source.push_str(&format!("  -F {name}")),
    }
    if let Some(file) = &config.write {
        source.push_str(&format!("  -w {}", file.display()));
    }
    source
}

/// Where the packets of sessions are: in the file of `-w` while it is one with all of them, else in memory.
#[cfg(feature = "live")]
fn packets(config: &Config, recorder: SharedRecorder) -> Arc<dyn Packets> {
    match &config.write {
        Some(file) if !holds(config) => Arc::new(InRecording::new(config, file, recorder)),
        _ => Arc::new(InMemory::new(config, recorder)),
    }
}

/// Whether packets are held in memory for whoever saves a session.
#[cfg(feature = "live")]
pub(super) fn holds(config: &Config) -> bool {
    let recorded = config.write.is_some() && config.query.is_none() && config.live.rotation == Rotation::default();
    config.output == Output::Tui && !recorded
}

/// A folder where this user may make files: this one, else that of temporary files.
fn folder() -> PathBuf {
    match rustix::fs::access(".", rustix::fs::Access::WRITE_OK) {
        Ok(()) => PathBuf::new(),
        Err(_) => std::env::temp_dir(),
    }
}

/// Terminals that say so have a light background: `COLORFGBG` ends in the number of its colour.
fn theme(config: &Config) -> Theme {
    let background = std::env::var("COLORFGBG").ok();
    let background = background.as_deref().and_then(|colors| colors.rsplit(';').next());
    match (config.color, background) {
        (false, _) => Theme::None,
        (true, Some("7" | "15")) => Theme::Light,
        (true, _) => Theme::Dark,
    }
}

/// The XDG Base Directory Specification says where.
fn columns_file() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(folder.join("wsflow/columns"))
}
