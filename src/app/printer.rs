//! The output that was asked for, as a sink on standard output.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::app::failure::Failure;
use crate::app::signals::Asked;
use crate::config::{Config, Input, Output};
use crate::diagnosis::Severity;
use crate::engine::event::{Event, Sink, Summary, Wants};
use crate::output::chosen::Chosen;
use crate::output::clock::Clock;
use crate::output::json::Json;
use crate::output::pcapng::selection::{Gather, Selection};
use crate::output::query::Query;
use crate::output::report::Report;
use crate::output::text::{Options, Text};
use crate::source::Interface;

/// What prints, and what signals ask of it. A clone prints on the same page.
#[derive(Clone)]
pub(super) struct Printer {
    sink: Arc<Mutex<Sieve>>,
    page: Page,
    asked: Asked,
    live: bool,
}

/// Lets through all sessions or some.
enum Sieve {
    All(Gather<Format>),
    Chosen(Chosen<Gather<Format>>),
}

/// How they are printed.
enum Format {
    Lines(Box<dyn Sink + Send>),
    Page(Box<Report<Page>>),
}

/// Standard output. A clone writes on the same page.
#[derive(Clone)]
struct Page(Arc<Mutex<Box<dyn Write + Send>>>);

impl Printer {
    /// As configured; `files` are what is read.
    pub(super) fn new(config: &Config, files: &[PathBuf]) -> Result<Printer, Failure> {
        let query = config.query.as_deref().map(Query::parse).transpose()?;
        let live = matches!(config.input, Input::Live(_));
        // Live, packets are written as they go by.
        let page = Page::new(config);
        let sink = Gather::new(format(config, files, page.clone()), config.write.is_some() && !live);
        let sink = match query {
            Some(query) => Sieve::Chosen(Chosen::new(sink, query)),
            None => Sieve::All(sink),
        };
        Ok(Printer { sink: Arc::new(Mutex::new(sink)), page, asked: Asked::default(), live })
    }

    /// Hands on what was printed.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.page.flush()
    }

    /// What signals ask for.
    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Whether packets come from interfaces, which hear themselves when it is to stop.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// The worst severity of what was printed.
    pub(super) fn worst(&self, summary: &Summary) -> Option<Severity> {
        match &*self.lock() {
            Sieve::All(_) => summary.worst,
            Sieve::Chosen(chosen) => chosen.worst(),
        }
    }

    /// Where the packets were captured.
    pub(super) fn captured_on(&mut self, interfaces: &[Interface]) {
        if let Format::Page(report) = self.lock().gather().inner_mut() {
            report.captured_on(interfaces);
        }
    }

    /// The packets of what was printed, when they are wanted.
    pub(super) fn selection(&self) -> Option<Selection> {
        self.lock().gather().take_selection()
    }

    fn lock(&self) -> MutexGuard<'_, Sieve> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Printer {
    fn wants(&self) -> Wants {
        self.lock().wants()
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match &mut *self.lock() {
            Sieve::All(sink) => sink.event(event),
            Sieve::Chosen(chosen) => chosen.event(event),
        }
    }
}

impl Sieve {
    fn wants(&self) -> Wants {
        match self {
            Sieve::All(sink) => sink.wants(),
            Sieve::Chosen(chosen) => chosen.wants(),
        }
    }

    fn gather(&mut self) -> &mut Gather<Format> {
        match self {
            Sieve::All(gather) => gather,
            Sieve::Chosen(chosen) => chosen.inner_mut(),
        }
    }
}

impl Sink for Format {
    fn wants(&self) -> Wants {
        match self {
            Format::Lines(sink) => sink.wants(),
            Format::Page(report) => report.wants(),
        }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match self {
            Format::Lines(sink) => sink.event(event),
            Format::Page(report) => report.event(event),
        }
    }
}

impl Page {
    fn new(config: &Config) -> Page {
        Page(Arc::new(Mutex::new(match config.line_buffered {
            true => Box::new(io::stdout()), // which is handed on line by line
            false => Box::new(BufWriter::with_capacity(64 << 10, io::stdout())),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Box<dyn Write + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }
}

fn format(config: &Config, files: &[PathBuf], out: Page) -> Format {
    match config.output {
        Output::Json => Format::Lines(Box::new(Json::new(out, config.mask, config.messages))),
        Output::Text { .. } | Output::Tui => {
            let options = Options {
                brief: config.output == Output::Text { brief: true },
                messages: config.messages,
                verbose: config.verbose,
                color: config.color,
                mask: config.mask,
                columns: config.columns,
            };
            Format::Lines(Box::new(Text::new(out, options, Clock::local())))
        }
        Output::Report => {
            let sources = files.iter().map(|file| file.display().to_string()).collect();
            Format::Page(Box::new(Report::new(out, config.mask, sources)))
        }
    }
}
