//! Savefiles in, an output out.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::extract::Extract;
use crate::app::failure::Failure;
use crate::app::printer::Printer;
use crate::app::reader::{Listener, Reader, filter_of, is_stream};
use crate::app::signals;
use crate::app::{complain, note, status};
use crate::config::Config;
use crate::engine::Engine;
use crate::source::Source;

/// Reads files and prints what they show.
pub(super) fn print(config: &Config, files: &[PathBuf]) -> Result<ExitCode, Failure> {
    let mut printer = Printer::new(config, files)?;
    if is_stream(files) {
        signals::listen(printer.asked());
    }
    let reader = Reader::open(config, files)?;
    let extract = config.write.as_deref().map(|file| Extract::create(file, files)).transpose()?;
    let done = reader.run(&mut printer)?;
    for error in &done.damage {
        complain(error);
    }
    if let (Some(extract), Some(selection)) = (extract, printer.selection()) {
        extract.run(files, filter_of(&config.filter)?, config.count, selection)?;
    }
    Ok(status(config, printer.worst(&done.summary), !done.damage.is_empty()))
}

impl Listener for Printer {
    fn between(&mut self, engine: &mut Engine, _source: &impl Source) -> bool {
        if self.asked().for_counts() {
            let summary = engine.summary();
            note(&format!("{} packets read, {} things dropped by wsflow", summary.packets, summary.loss.wsflow));
        }
        self.asked().to_stop()
    }

    fn before_the_end(&mut self, _engine: &mut Engine, source: &impl Source) {
        self.captured_on(source.interfaces());
    }
}
