//! Savefiles, read to the end or as far as it goes, and handed to the engine.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app::apart::Apart;
use crate::app::failure::Failure;
use crate::app::keylog::Keylog;
use crate::app::printer::Printer;
#[cfg(feature = "tui")]
use crate::app::record::{Recorded, SharedRecorder};
use crate::config::{self, Config};
use crate::diagnosis::wording::Span;
use crate::engine::event::{Sink, Summary};
use crate::engine::{Engine, EngineOptions};
use crate::limits::Limits;
use crate::packet::InterfaceId;
use crate::source::{Clocks, Filter, Input, Packets, Savefiles, SecretsFormat, Source, SourceError, filter};
use crate::tls::Origin;

/// Files that are open.
pub(super) struct Reader<S = Savefiles> {
    source: S,
    /// By which times the files are merged.
    clocks: Clocks,
    /// What the person should know before.
    notices: Vec<String>,
    options: EngineOptions,
    keylog: Option<Keylog>,
    count: Option<u64>,
}

/// What came of reading.
pub(super) struct Done {
    /// The whole run in numbers.
    pub(super) summary: Summary,
    /// What was wrong with the files, behind what could be read.
    pub(super) damage: Vec<SourceError>,
    /// What read them: it still knows the secrets.
    pub(super) engine: Engine,
    /// By which times the files were merged.
    pub(super) clocks: Clocks,
}

/// Who listens to the engine, and looks at what it knows now and then.
pub(super) trait Listener: Sink {
    /// Behind each packet, where packets come while they are captured.
    fn behind(&mut self, _engine: &mut Engine) {}

    /// Between packets, or whatever else was read. True to read no further.
    fn between(&mut self, _engine: &mut Engine, _source: &mut impl Source) -> bool {
        false
    }

    /// Nothing comes at the moment: what was printed can be seen.
    fn silent(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Something happened to the source that the person should know now.
    fn notice(&mut self, what: &dyn fmt::Display);

    /// Packets were dropped while capturing. What the screen shows all the time need not be told.
    fn dropped(&mut self, _what: &dyn fmt::Display) {}

    /// All packets were read; the sessions that are still open come next.
    fn before_the_end(&mut self, _engine: &mut Engine, _source: &mut impl Source) {}
}

impl Reader {
    /// Opens the files, and the key log.
    pub(super) fn open(config: &Config, files: &[PathBuf]) -> Result<Reader, Failure> {
        let filter = filter_of(&config.filter)?;
        let options = EngineOptions { live: is_stream(files), filtered: filter.is_some() };
        let source = Savefiles::open(files, filter)?;
        let keylog = config.keylog.as_ref().map(|keylog| Keylog::open(keylog, options.live)).transpose()?;
        let (clocks, notices) = (source.clocks(), source.other_clocks().map(told).collect());
        Ok(Reader { source, clocks, notices, options, keylog: keylog.flatten(), count: config.count })
    }

    /// Their packets are recorded as they go by.
    #[cfg(feature = "tui")]
    pub(super) fn recorded(self, recorder: Option<SharedRecorder>) -> Reader<Recorded<Savefiles>> {
        let Reader { source, clocks, notices, options, keylog, count } = self;
        Reader { source: Recorded::new(source, recorder), clocks, notices, options, keylog, count }
    }

    /// Reads them to the end, or until what is printed is read no more. Where judgements alone are printed, that is done beside the reading.
    pub(super) fn print(self, printer: &Printer) -> Result<Done, Failure> {
        let (limits, wants) = (Limits::default(), printer.wants());
        let apart = if self.options.live { None } else { Apart::start(&limits, printer.clone()) };
        let engine = match apart {
            Some(apart) => Engine::with_courier(&limits, self.options, wants, apart),
            None => Engine::new(&limits, self.options, wants),
        };
        self.run_with(engine, &mut printer.clone())
    }
}

impl<S: Source> Reader<S> {
    /// Reads them to the end, or until the listener has heard enough.
    #[cfg(feature = "tui")]
    pub(super) fn run(self, listener: &mut impl Listener) -> Result<Done, Failure> {
        let engine = Engine::new(&Limits::default(), self.options, listener.wants());
        self.run_with(engine, listener)
    }

    fn run_with(mut self, mut engine: Engine, listener: &mut impl Listener) -> Result<Done, Failure> {
        for notice in &self.notices {
            listener.notice(notice);
        }
        let follow = match self.keylog.as_mut() {
            // The capture is over, and so is the key log: what it does not have now it will never have.
            Some(keylog) if !self.options.live && keylog.is_complete() => {
                keylog.finish(&mut engine, listener)?;
                None
            }
            Some(keylog) => {
                keylog.awaited().into_iter().for_each(|word| listener.notice(&word));
                keylog.read(&mut engine, listener)?;
                Some(keylog)
            }
            None => None,
        };
        let damage = read(&mut self.source, &mut engine, listener, follow, self.count)?;
        if let Some(keylog) = &mut self.keylog {
            keylog.finish(&mut engine, listener)?;
        }
        tell_counts(&mut engine, &mut self.source);
        listener.before_the_end(&mut engine, &mut self.source);
        let summary = engine.finish(listener).map_err(Failure::Output)?;
        Ok(Done { summary, damage, engine, clocks: self.clocks })
    }
}

/// By how much the clock of a file differs.
fn told((name, ahead): (&str, i64)) -> String {
    let span = Span(Duration::from_nanos(ahead.unsigned_abs()));
    let (is, moved) = if ahead > 0 { ("ahead", "back") } else { ("behind", "on") };
    format!("the clock of {name} is {span} {is}: its times are moved {moved}")
}

/// Hands everything that a source yields to the engine, and what is new in the key log. What is wrong with the source
/// behind the first packet ends one file of several, or all; one interface of several, or all.
pub(super) fn read(
    source: &mut impl Source,
    engine: &mut Engine,
    listener: &mut impl Listener,
    mut keylog: Option<&mut Keylog>,
    count: Option<u64>,
) -> Result<Vec<SourceError>, Failure> {
    let (mut packets, mut damage) = (0, Vec::new());
    while count.is_none_or(|count| packets < count) {
        let (mut changed, mut dropped) = (None, None);
        let most = count.map_or(usize::MAX, |count| usize::try_from(count - packets).unwrap_or(usize::MAX));
        let handled = match source.next(most) {
            Ok(Some(Input::Packets(next))) => {
                packets += next.len() as u64;
                if engine.is_live() || keylog.is_some() {
                    one_by_one(next, engine, listener, keylog.as_deref_mut())?;
                    Ok(())
                } else {
                    engine.packets(next, listener)
                }
            }
            Ok(Some(Input::Secrets { format: SecretsFormat::TLS_KEY_LOG, data })) => {
                engine.secrets(Origin::SecretsBlock, data, listener)
            }
            Ok(Some(Input::Secrets { .. })) => Ok(()),
            Ok(Some(Input::Idle(now))) => {
                if let Some(keylog) = &mut keylog {
                    keylog.read(engine, listener)?;
                }
                engine.advance(now, listener).and_then(|()| listener.silent())
            }
            Ok(Some(Input::Interface { id, change })) => {
                changed = Some((id, change));
                Ok(())
            }
            Ok(Some(Input::Dropped { id, packets })) => {
                dropped = Some((id, packets));
                Ok(())
            }
            Ok(None) => break,
            Err(error) if error.goes_on() => {
                if !matches!(error, SourceError::Damaged { .. }) {
                    listener.notice(&error);
                }
                damage.push(error);
                Ok(())
            }
            Err(error) if packets == 0 => return Err(error.into()),
            Err(error) => {
                damage.push(error);
                break;
            }
        };
        handled.map_err(Failure::Output)?;
        if let Some((id, change)) = changed {
            listener.notice(&format_args!("the interface {} {}", name_of(source, id), change.words()));
        }
        if let Some((id, packets)) = dropped {
            tell_counts(engine, source);
            let name = name_of(source, id);
            listener.dropped(&format_args!(
                "{packets} packets were dropped on {name}; a larger buffer may help: -B 262144"
            ));
        }
        if listener.between(engine, source) {
            break;
        }
    }
    Ok(damage)
}

/// Hands packets to the engine, and looks between them for what must not be late: secrets that were logged meanwhile, and,
/// live, what is to be told of encrypted connections.
fn one_by_one(
    packets: Packets<'_>,
    engine: &mut Engine,
    listener: &mut impl Listener,
    mut keylog: Option<&mut Keylog>,
) -> Result<(), Failure> {
    for (packet, headers) in packets {
        if let Some(keylog) = &mut keylog {
            keylog.follow(packet.at, engine, listener)?;
        }
        engine.packet_behind(headers, &packet, listener).map_err(Failure::Output)?;
        listener.behind(engine);
    }
    Ok(())
}

fn name_of(source: &impl Source, InterfaceId(index): InterfaceId) -> String {
    source.interfaces().get(index as usize).and_then(|interface| interface.name.clone()).unwrap_or_default()
}

/// Tells the engine what became of packets before they got there.
pub(super) fn tell_counts(engine: &mut Engine, source: &mut impl Source) {
    let counts = source.counts();
    engine.lost(counts.drops.kernel, counts.drops.interface, counts.at);
    engine.filtered(counts.filtered);
}

/// The filter that is configured.
pub(super) fn filter_of(filter: &config::Filter) -> Result<Option<Filter>, Failure> {
    let expression = match filter {
        config::Filter::All => return Ok(None),
        config::Filter::Expression(expression) => expression.clone(),
        config::Filter::File(name) => filter::read(name)?,
    };
    Ok(Some(Filter::new(&expression)?))
}

/// Whether packets come while they are captured: then sessions are told when they end.
pub(super) fn is_stream(files: &[PathBuf]) -> bool {
    let standard_input = files.len() == 1 && files[0] == Path::new("-");
    standard_input
        && !File::open("/dev/stdin").and_then(|file| file.metadata()).is_ok_and(|metadata| metadata.is_file())
}
