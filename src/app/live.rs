//! A run on live interfaces: capture, signals, the counts at the end.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::app::failure::Failure;
use crate::app::printer::Printer;
use crate::app::signals::{self, Asked};
use crate::app::{complain, note, print, status};
use crate::cli::UsageError;
use crate::config::{Config, Filter, Input};
use crate::engine::event::Sink;
use crate::engine::{Engine, EngineOptions};
use crate::limits::Limits;
use crate::source::keylog::KeyLogFollower;
use crate::source::live::{self, Live, LiveOptions};
use crate::source::{self, Source, SourceError, filter};
use crate::tls::Origin;

/// The link types of the interface that is asked for.
pub(super) fn links(config: &Config) -> Result<ExitCode, Failure> {
    let name = match &config.input {
        Input::Live(names) => names.first().map_or("any", String::as_str),
        Input::Files(_) => return Err(UsageError("-L is for interfaces: wsflow -L -i NAME".to_owned()).into()),
    };
    print(live::list_links(name, &options(config))?.as_bytes())
}

/// Opens the interfaces, and gives up the rights that this needed: nothing that is read from packets runs with them.
pub(super) fn open(config: &Config, interfaces: &[String]) -> Result<Live, Failure> {
    open_until(config, interfaces, Arc::default())
}

fn open_until(config: &Config, interfaces: &[String], stop: Arc<AtomicBool>) -> Result<Live, Failure> {
    let expression = match &config.filter {
        Filter::All => None,
        Filter::Expression(expression) => Some(expression.clone()),
        Filter::File(name) => Some(filter::read(name)?),
    };
    let live = Live::open(interfaces, expression.as_deref(), &options(config), stop)?;
    #[cfg(target_os = "linux")]
    source::privileges::drop(config.live.user.as_deref()).map_err(UsageError)?;
    Ok(live)
}

/// Captures until it is told to stop, and tells what it saw.
pub(super) fn capture(config: &Config, interfaces: &[String]) -> Result<ExitCode, Failure> {
    if config.write.is_some() {
        let text = "-w is for files so far; capture with tcpdump -w, then: wsflow -r FILE -w FILE";
        return Err(UsageError(text.to_owned()).into());
    }
    #[cfg(feature = "tui")]
    if config.output == crate::config::Output::Tui {
        return super::screen::show_live(config, interfaces);
    }
    let mut keylog = match &config.keylog {
        Some(keylog) => {
            let opened = KeyLogFollower::open(&keylog.file);
            Some(opened.map_err(|error| Failure::Keylog(keylog.file.clone(), error))?)
        }
        None => None,
    };
    let asked = Asked::default();
    let mut live = open_until(config, interfaces, Arc::clone(&asked.stop))?;
    signals::listen(&asked);
    for interface in live.interfaces() {
        let name = interface.name.as_deref().unwrap_or("");
        note(&format!("listening on {name}, link type {}", interface.link.0));
    }
    let options = EngineOptions { live: true, filtered: config.filter != Filter::All };
    let names: Vec<PathBuf> = interfaces.iter().map(PathBuf::from).collect();
    let mut printer = Printer::new(config, &names)?;
    let mut engine = Engine::new(&Limits::default(), options, printer.wants());
    follow(&mut live, &mut engine, &mut printer, &asked, keylog.as_mut(), config.count)?;
    live.ask_for_drops();
    let drops = live.counts().drops;
    engine.lost(drops.kernel, drops.interface);
    let summary = engine.finish(&mut printer).map_err(Failure::Output)?;
    note(&counts(&live, summary.loss.wsflow, "\n"));
    Ok(status(config, printer.worst(&summary), false))
}

fn options(config: &Config) -> LiveOptions {
    let live = &config.live;
    LiveOptions {
        snap_length: live.snap_length,
        buffer: live.buffer,
        promiscuous: live.promiscuous,
        immediate: live.immediate,
        link: live.link.clone(),
    }
}

/// Hands packets to the engine until the capture stops.
fn follow(
    live: &mut Live,
    engine: &mut Engine,
    sink: &mut dyn Sink,
    asked: &Asked,
    mut keylog: Option<&mut KeyLogFollower>,
    count: Option<u64>,
) -> Result<(), Failure> {
    let mut packets = 0;
    while count.is_none_or(|count| packets < count) {
        let handled = match live.next() {
            Ok(Some(source::Input::Packet(packet))) => {
                packets += 1;
                engine.packet(&packet, sink)
            }
            Ok(Some(source::Input::Idle(now))) => {
                if let Some(keylog) = &mut keylog
                    && let Ok(text) = keylog.poll()
                    && !text.is_empty()
                {
                    engine.secrets(Origin::KeyLog, text, sink).map_err(Failure::Output)?;
                }
                engine.advance(now, sink)
            }
            Ok(Some(source::Input::Secrets { .. })) => Ok(()),
            Ok(None) => return Ok(()),
            Err(error @ SourceError::Gone { .. }) => {
                complain(&error);
                Ok(())
            }
            Err(error) => return Err(error.into()),
        };
        handled.map_err(Failure::Output)?;
        if asked.for_counts() {
            live.ask_for_drops();
            note(&counts(live, engine.summary().loss.wsflow, ", "));
        }
    }
    Ok(())
}

/// The counts as tcpdump words them, and our own.
fn counts(live: &Live, own: u64, between: &str) -> String {
    let drops = live.counts().drops;
    [
        format!("{} packets captured", live.captured()),
        format!("{} packets received by filter", live.received()),
        format!("{} packets dropped by kernel", drops.kernel),
        format!("{} packets dropped by interface", drops.interface),
        format!("{own} things dropped by wsflow"),
    ]
    .join(between)
}
