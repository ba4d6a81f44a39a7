//! The output that was asked for, as a sink on standard output.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use crate::app::failure::Failure;
use crate::config::{Config, Output};
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

/// What prints, all sessions or some.
pub(super) enum Printer {
    All(Gather<Format>),
    Chosen(Chosen<Gather<Format>>),
}

/// How it prints.
pub(super) enum Format {
    Lines(Box<dyn Sink>),
    Page(Box<Report<Box<dyn Write>>>),
}

impl Printer {
    /// As configured; `files` are what is read.
    pub(super) fn new(config: &Config, files: &[PathBuf]) -> Result<Printer, Failure> {
        let query = config.query.as_deref().map(Query::parse).transpose()?;
        let sink = Gather::new(format(config, files), config.write.is_some());
        Ok(match query {
            Some(query) => Printer::Chosen(Chosen::new(sink, query)),
            None => Printer::All(sink),
        })
    }

    /// The worst severity of what was printed.
    pub(super) fn worst(&self, summary: &Summary) -> Option<Severity> {
        match self {
            Printer::All(_) => summary.worst,
            Printer::Chosen(chosen) => chosen.worst(),
        }
    }

    /// Where the packets were captured.
    pub(super) fn captured_on(&mut self, interfaces: &[Interface]) {
        let gather = match self {
            Printer::All(gather) => gather,
            Printer::Chosen(chosen) => chosen.inner_mut(),
        };
        if let Format::Page(report) = gather.inner_mut() {
            report.captured_on(interfaces);
        }
    }

    /// The packets of what was printed, when they are wanted.
    pub(super) fn selection(&self) -> Option<&Selection> {
        match self {
            Printer::All(sink) => sink.selection(),
            Printer::Chosen(chosen) => chosen.inner().selection(),
        }
    }
}

impl Sink for Printer {
    fn wants(&self) -> Wants {
        match self {
            Printer::All(sink) => sink.wants(),
            Printer::Chosen(chosen) => chosen.wants(),
        }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match self {
            Printer::All(sink) => sink.event(event),
            Printer::Chosen(chosen) => chosen.event(event),
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

fn format(config: &Config, files: &[PathBuf]) -> Format {
    let out: Box<dyn Write> = match config.line_buffered {
        true => Box::new(io::stdout().lock()), // which is handed on line by line
        false => Box::new(BufWriter::with_capacity(64 << 10, io::stdout().lock())),
    };
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
