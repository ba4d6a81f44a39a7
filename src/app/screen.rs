//! The terminal user interface, and what it is fed with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::extract::Extract;
use super::failure::Failure;
use super::reader::{Listener, Reader, filter_of, is_stream, tell_counts};
use super::{FAILED, complain, status};
use crate::config::Config;
use crate::engine::Engine;
#[cfg(feature = "live")]
use crate::output::pcapng::names::Rotation;
use crate::output::pcapng::selection::Selection;
use crate::source::{Interface, Source};
use crate::tui::{self, Feed, Judged, Options, SavePackets, Theme};

/// Reads savefiles and shows them while they are read, until the person has seen enough.
pub(super) fn show(config: &Config, files: &[PathBuf]) -> Result<ExitCode, Failure> {
    filter_of(&config.filter)?; // a mistake in it is told before the terminal changes
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let options = Options {
        source: names.join(" "),
        live: is_stream(files),
        wait_for_packet: files.iter().any(|file| file == Path::new("-")),
        mask: config.mask,
        theme: theme(config),
        filter: config.query.clone(),
        columns_file: columns_file(),
        save_packets: save_packets(config, files),
    };
    let (config_of_work, files) = (config.clone(), files.to_vec());
    let work = move |instead: Option<&Path>, feed: &mut Feed| {
        let instead = instead.map(|file| vec![file.to_owned()]);
        let files = instead.as_ref().unwrap_or(&files);
        analyse(&config_of_work, files, feed).map_err(|failure| failure.to_string())
    };
    let ended = tui::run(options, Arc::new(work)).map_err(Failure::Output)?;
    if let Some(trouble) = ended.trouble {
        complain(&trouble);
        return Ok(ExitCode::from(FAILED));
    }
    Ok(status(config, ended.summary.worst, false))
}

fn analyse(config: &Config, files: &[PathBuf], feed: &mut Feed) -> Result<(), Failure> {
    let mut done = Reader::open(config, files)?.run(feed)?;
    done.damage.pop().map_or(Ok(()), |error| Err(error.into()))
}

/// Reads the files again for the packets of sessions that the person chose.
fn save_packets(config: &Config, files: &[PathBuf]) -> Result<SavePackets, &'static str> {
    if files.iter().any(|file| file == Path::new("-")) {
        return Err("what came through a pipe is not kept: put tee FILE in front, and s saves packets with -r FILE");
    }
    let (config, files) = (config.clone(), files.to_vec());
    Ok(Arc::new(move |instead, path, sessions: &[Judged]| {
        let instead = instead.map(|file| vec![file.to_owned()]);
        let files = instead.as_ref().unwrap_or(&files);
        let mut selection = Selection::default();
        sessions.iter().for_each(|(session, diagnosis)| selection.add(session, diagnosis));
        if path.exists() {
            return Err(format!("{} is there already", path.display()));
        }
        let extract = Extract::create(path, files, false).map_err(|failure| failure.to_string())?;
        let filter = filter_of(&config.filter).map_err(|failure| failure.to_string())?;
        extract.run(files, filter, config.count, &selection, &[]).map_err(|failure| failure.to_string())
    }))
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
    let options = Options {
        source: source_of(config, names),
        live: true,
        wait_for_packet: false,
        mask: config.mask,
        theme: theme(config),
        filter: config.query.clone(),
        columns_file: columns_file(),
        save_packets: save_recorded(config, &live.source),
    };
    let opened = std::sync::Mutex::new(Some(live));
    let config_of_work = config.clone();
    let work = move |instead: Option<&Path>, feed: &mut Feed| {
        let first = opened.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match (instead, first) {
            (Some(file), _) => analyse(&config_of_work, &[file.to_owned()], feed),
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

/// What was recorded holds the packets of sessions, as long as it is one file.
#[cfg(feature = "live")]
fn save_recorded(config: &Config, live: &super::record::Recorded) -> Result<SavePackets, &'static str> {
    let (Some(file), Some(recorder)) = (config.write.clone(), live.recorder()) else {
        return Err("the packets are not kept without -w: capture with -w FILE.pcapng, and s saves those of sessions");
    };
    if config.live.rotation != Rotation::default() {
        return Err(
            "the packets are in several files (-C, -G): open one of them with -r, and s saves those of sessions",
        );
    }
    let mut config = config.clone();
    // It was captured with them.
    (config.filter, config.count) = (crate::config::Filter::All, None);
    let save = save_packets(&config, &[file])?;
    Ok(Arc::new(move |instead, path, sessions: &[Judged]| {
        recorder.flush();
        save(instead, path, sessions)
    }))
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
