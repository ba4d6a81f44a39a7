//! A run on live interfaces: capture, signals, the counts at the end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::app::failure::Failure;
use crate::app::files::counts;
use crate::app::keylog::Keylog;
use crate::app::printer::Printer;
use crate::app::reader::{Listener, read, tell_counts};
use crate::app::record::{self, Recorded, SharedRecorder, Witness};
#[cfg(feature = "tui")]
use crate::app::screen::holds;
use crate::app::signals;
use crate::app::{note, print, status};
use crate::cli::{Args, UsageError};
use crate::config::{Config, Filter, Input, Surroundings};
use crate::engine::{Engine, EngineOptions, Sink, Summary};
use crate::limits::Limits;
use crate::output::query::Query;
use crate::packet::LinkType;
use crate::source::filter::{self, Style};
use crate::source::live::{self, Live, LiveOptions};
use crate::source::privileges::{self, Rights};
use crate::source::{self, Savefiles, Source, SourceError};

/// The link types of the interface that is asked for.
pub(super) fn links(config: &Config) -> Result<ExitCode, Failure> {
    let name = match &config.input {
        Input::Live(names) => names.first().map_or("any", String::as_str),
        Input::Files(_) => return Err(UsageError("-L is for interfaces: wsflow -L -i NAME".to_owned()).into()),
    };
    print(live::list_links(name, &options(config))?.as_bytes())
}

/// The filter as it is compiled (`-d`): for the link type of `-y`, else for that of the file, of `any`, or of Ethernet.
pub(super) fn list_filter(args: &Args, surroundings: &Surroundings) -> Result<ExitCode, Failure> {
    let config = Config::new(args.clone(), surroundings)?;
    let expression = expression(&config)?.unwrap_or_default();
    let link = match (&config.live.link, args.read.first()) {
        (Some(name), _) => live::link_type(name)?,
        (None, Some(file)) => link_of(file)?,
        (None, None) if args.interfaces.iter().any(|name| name == "any") => LinkType::LINUX_SLL2,
        (None, None) => LinkType::ETHERNET,
    };
    let style = match args.dump_filter {
        1 => Style::Names,
        2 => Style::C,
        _ => Style::Numbers,
    };
    print(source::Filter::list(&expression, link, style)?.as_bytes())
}

/// The link type of a file's first packet.
fn link_of(file: &Path) -> Result<LinkType, Failure> {
    let mut source = Savefiles::open(&[file.to_owned()], None)?;
    loop {
        match source.next(1)? {
            Some(source::Input::Idle(_)) => {}
            Some(source::Input::Packets(mut one)) => {
                return Ok(one.next().map_or(LinkType::ETHERNET, |(packet, _)| packet.link));
            }
            _ => return Ok(LinkType::ETHERNET),
        }
    }
}

/// Captures until it is told to stop, and tells what it saw.
pub(super) fn capture(config: &Config, interfaces: &[String]) -> Result<ExitCode, Failure> {
    #[cfg(feature = "tui")]
    if config.output == crate::config::Output::Tui {
        return super::screen::show_live(config, interfaces);
    }
    // What reads other files than packets comes first: then there is no right to any.
    let names: Vec<PathBuf> = interfaces.iter().map(PathBuf::from).collect();
    let mut printer = Printer::new(config, &names)?;
    let mut opened = open(config, interfaces, Arc::clone(&printer.asked().stop))?;
    signals::listen(printer.asked());
    for interface in opened.source.interfaces() {
        let name = interface.name.as_deref().unwrap_or("");
        note(&format!("listening on {name}, link type {}", interface.link.0));
    }
    let (summary, troubles) = run(config, &mut opened, &mut printer)?;
    note(&counts(&summary, &opened.source.counts()).join("\n"));
    Ok(status(config, printer.worst(&summary), !troubles.is_empty()))
}

/// What is read from.
pub(super) struct Opened {
    /// Packets, recorded as they go by.
    pub(super) source: Recorded<Live>,
    keylog: Option<Keylog>,
    /// Whom the process became.
    #[cfg_attr(not(feature = "tui"), expect(dead_code, reason = "it is told at the screen"))]
    pub(super) user: Option<String>,
}

/// Opens interfaces, key log and the file of `-w`, and gives up the rights that this needed: nothing that is read from
/// packets runs with them. To be called before there are threads.
pub(super) fn open(config: &Config, interfaces: &[String], stop: Arc<AtomicBool>) -> Result<Opened, Failure> {
    let expression = expression(config)?;
    let query = config.query.as_deref().map(Query::parse).transpose()?;
    let live = Live::open(interfaces, expression.as_deref(), &options(config), stop)?;
    let keylog = config.keylog.as_ref().map(|keylog| Keylog::open(keylog, true)).transpose()?.flatten();
    let rights = Rights {
        user: config.live.user.as_deref(),
        // A file of its own for each period cannot be made by nobody in a folder of root's.
        stay: config.write.is_some(),
        write: config.write.as_deref().map(folder_of),
        read: config.keylog.as_ref().map(|keylog| folder_of(&keylog.file)),
        person: config.output == crate::config::Output::Tui,
    };
    let user = privileges::drop(&rights).map_err(UsageError)?;
    let interfaces = live.interfaces();
    let recording = config.write.as_deref().map(|file| record::create(file, &config.live, interfaces)).transpose()?;
    let recorder = (recording.is_some() || holds(config)).then(|| SharedRecorder::new(recording, query, holds(config)));
    Ok(Opened { source: Recorded::new(live, recorder), keylog, user })
}

/// There is no screen at which something could be saved.
#[cfg(not(feature = "tui"))]
fn holds(_config: &Config) -> bool {
    false
}

/// Captures until the end, and tells the listener what is seen. The summary, and what went wrong on the way.
pub(super) fn run(
    config: &Config,
    opened: &mut Opened,
    listener: &mut impl Listener,
) -> Result<(Summary, Vec<SourceError>), Failure> {
    let Opened { source, keylog, .. } = opened;
    let mut listener = Witness::new(listener, source.recorder());
    let options = EngineOptions { live: true, filtered: config.filter != Filter::All };
    let mut engine = Engine::new(&Limits::default(), options, listener.wants());
    if let Some(keylog) = keylog {
        keylog.awaited().into_iter().for_each(|word| listener.notice(&word));
        keylog.read(&mut engine, &mut listener)?;
    }
    let mut troubles = read(source, &mut engine, &mut listener, keylog.as_mut(), config.count)?;
    if let Some(keylog) = keylog {
        keylog.finish(&mut engine, &mut listener)?;
    }
    tell_counts(&mut engine, source);
    listener.before_the_end(&mut engine, source);
    let summary = engine.finish(&mut listener).map_err(Failure::Output)?;
    let (failure, word) = source.finish();
    if let Some(failure) = failure {
        listener.notice(&failure);
        troubles.push(failure);
    }
    if let Some(word) = word {
        listener.notice(&word);
    }
    Ok((summary, troubles))
}

fn expression(config: &Config) -> Result<Option<String>, Failure> {
    Ok(match &config.filter {
        Filter::All => None,
        Filter::Expression(expression) => Some(expression.clone()),
        Filter::File(name) => Some(filter::read(name)?),
    })
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn options(config: &Config) -> LiveOptions {
    let live = &config.live;
    LiveOptions {
        snap_length: live.snap_length,
        buffer: live.buffer,
        promiscuous: live.promiscuous,
        immediate: live.immediate,
        link: live.link.clone(),
        // Whoever sits at a screen may be patient, and can end it.
        patient: config.output == crate::config::Output::Tui,
    }
}
