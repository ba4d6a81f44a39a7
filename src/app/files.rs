//! Savefiles in, an output out.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::extract::Extract;
use crate::app::failure::Failure;
use crate::app::printer::Printer;
use crate::app::reader::{Listener, Reader, filter_of, is_stream};
use crate::app::signals;
use crate::app::{complain, note, status};
use crate::config::Config;
use crate::engine::{Engine, Summary};
use crate::source::{Savefiles, Source, SourceCounts};

/// Reads files and prints what they show.
pub(super) fn print(config: &Config, files: &[PathBuf]) -> Result<ExitCode, Failure> {
    let printer = Printer::new(config, files)?;
    if is_stream(files) {
        signals::listen(printer.asked());
    }
    let reader = Reader::open(config, files)?;
    let extract = config.write.as_deref().map(|file| Extract::create(file, files, config.embed_secrets)).transpose()?;
    let done = reader.print(&printer)?;
    for error in &done.damage {
        complain(error);
    }
    if let (Some(extract), Some(selection)) = (extract, printer.selection()) {
        let randoms = if config.embed_secrets { selection.client_randoms() } else { &[] };
        let secrets = done.engine.key_log(randoms);
        if config.embed_secrets && secrets.is_empty() {
            complain(&"no TLS secrets of these sessions are known: none were written");
        }
        let again = Savefiles::open_by(files, filter_of(&config.filter)?, &done.clocks)?;
        extract.run(again, config.count, &selection, &secrets)?;
    }
    Ok(status(config, printer.worst(&done.summary), !done.damage.is_empty()))
}

impl Listener for Printer {
    fn behind(&mut self, engine: &mut Engine) {
        let _ = engine.tell_encrypted(self); // who reads no more is noticed with the next line
    }

    fn between(&mut self, engine: &mut Engine, source: &mut impl Source) -> bool {
        if self.asked().for_counts() {
            note(&counts(&engine.summary(), &source.counts()).join(", "));
        }
        self.behind(engine);
        self.asked().to_stop() && !self.is_live()
    }

    fn silent(&mut self) -> io::Result<()> {
        self.flush()
    }

    fn notice(&mut self, what: &dyn fmt::Display) {
        complain(what);
    }

    fn dropped(&mut self, what: &dyn fmt::Display) {
        complain(what);
    }

    fn before_the_end(&mut self, _engine: &mut Engine, source: &mut impl Source) {
        self.captured_on(source.interfaces());
    }
}

/// The counts as tcpdump words them, and our own.
pub(super) fn counts(summary: &Summary, source: &SourceCounts) -> Vec<String> {
    let own = format!("{} things dropped by wsflow", summary.loss.wsflow);
    match source.received {
        None => vec![format!("{} packets read", summary.packets), own],
        Some(received) => vec![
            format!("{} packets captured", summary.packets),
            format!("{received} packets received by filter"),
            format!("{} packets dropped by kernel", source.drops.kernel),
            format!("{} packets dropped by interface", source.drops.interface),
            own,
        ],
    }
}
