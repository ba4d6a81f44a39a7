//! Wiring: a command line, a source, the engine, an output, an exit status.
//!
//! Standard output is data, standard error is status. Whatever goes wrong is one line that names the thing and the way
//! out; what was found before is printed in full.

mod extract;
mod failure;
#[cfg(feature = "live")]
mod live;
mod printer;
#[cfg(feature = "tui")]
mod screen;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::app::extract::Extract;
use crate::app::failure::Failure;
use crate::app::printer::Printer;
use crate::cli::{self, Command, UsageError};
#[cfg(feature = "tui")]
use crate::config::Output;
use crate::config::{Config, Filter, Input, Keylog, Surroundings};
use crate::diagnosis::{Severity, rules};
use crate::engine::event::Sink;
use crate::engine::{Engine, EngineOptions};
use crate::limits::Limits;
use crate::output::escape;
use crate::output::explain;
use crate::output::line::Line;
use crate::output::mask::Mask;
use crate::source::{self, Savefiles, SecretsFormat, Source, SourceError, filter};
use crate::tls::Origin;

/// Exit status: `--fail-on` matched.
const FINDINGS: u8 = 1;
/// Exit status: it could not run, or could not read to the end.
const FAILED: u8 = 2;

/// Runs the program; `line` is its command line, with its name first.
pub fn run(line: impl IntoIterator<Item = OsString>) -> ExitCode {
    match command(line) {
        Ok(status) => status,
        // Whoever read the output has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            ExitCode::from(FAILED)
        }
    }
}

fn command(line: impl IntoIterator<Item = OsString>) -> Result<ExitCode, Failure> {
    let surroundings = surroundings();
    match cli::parse(line)? {
        #[cfg(feature = "live")]
        Command::Analyse(args) if args.list_interfaces => print(source::live::list()?.as_bytes()),
        #[cfg(feature = "live")]
        Command::Analyse(args) if args.list_data_link_types => live::links(&Config::new(*args, &surroundings)?),
        Command::Analyse(args) => analyse(&Config::new(*args, &surroundings)?),
        Command::Explain(finding) => print(&explanation(finding.as_deref(), &surroundings)?),
        Command::Completions(shell) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut cli::command(), "wsflow", &mut script);
            print(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(cli::command()).section("8").render(&mut page).map_err(Failure::Output)?;
            print(&page)
        }
        Command::Print(text) => print(text.as_bytes()),
    }
}

/// One line on standard error. It may quote names of files and what is in them.
fn complain(what: &dyn fmt::Display) {
    // There is nobody left to tell when this fails.
    let _ = writeln!(io::stderr(), "wsflow: {}", escape::escaped(&what.to_string()));
}

fn surroundings() -> Surroundings {
    let variable = |name: &str| std::env::var(name).ok();
    let terminal = io::stdout().is_terminal();
    Surroundings {
        terminal,
        columns: if terminal { columns() } else { None },
        no_color: variable("NO_COLOR"),
        clicolor: variable("CLICOLOR"),
        clicolor_force: variable("CLICOLOR_FORCE"),
        term: variable("TERM"),
        ssl_key_log_file: std::env::var_os("SSLKEYLOGFILE").map(PathBuf::from),
    }
}

#[cfg(feature = "tui")]
fn columns() -> Option<usize> {
    crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns)).filter(|&columns| columns >= 40)
}

#[cfg(not(feature = "tui"))]
fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok().filter(|&columns| columns >= 40)
}

fn print(text: &[u8]) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).map_err(Failure::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn explanation(finding: Option<&str>, surroundings: &Surroundings) -> Result<Vec<u8>, Failure> {
    let config = Config::new(cli::Args::default(), surroundings)?;
    let mut line = Line::new(config.color, Mask::Nothing);
    match finding {
        None => explain::write_list(&mut line, rules::RULES),
        Some("fields") => explain::write_fields(&mut line),
        Some(id) => match rules::find(id) {
            Some(rule) => explain::write_page(&mut line, rule, config.columns.unwrap_or(100).min(100)),
            None => return Err(unknown_finding(id).into()),
        },
    }
    Ok(line.as_str().as_bytes().to_vec())
}

fn unknown_finding(id: &str) -> UsageError {
    let nearest = explain::nearest(id, rules::RULES);
    UsageError(match nearest.as_slice() {
        [] => format!("there is no finding {id}; wsflow explain lists all"),
        nearest => format!("there is no finding {id}; there is {}", nearest.join(", ")),
    })
}

/// Reads packets to the end, or as far as it goes, and prints what they show.
fn analyse(config: &Config) -> Result<ExitCode, Failure> {
    let files = match &config.input {
        Input::Files(files) => files,
        #[cfg(feature = "live")]
        Input::Live(interfaces) => return live::capture(config, interfaces),
        #[cfg(not(feature = "live"))]
        Input::Live(_) => {
            let text = "this wsflow was built without live capture; it reads files: wsflow -r FILE";
            return Err(UsageError(text.to_owned()).into());
        }
    };
    #[cfg(feature = "tui")]
    if config.output == Output::Tui {
        return screen::show(config, files);
    }
    let filter = filter_of(&config.filter)?;
    let options = EngineOptions { live: is_stream(files), filtered: filter.is_some() };
    let mut source = Savefiles::open(files, filter)?;
    let extract = config.write.as_deref().map(|file| Extract::create(file, files)).transpose()?;
    let mut printer = Printer::new(config, files)?;
    let mut engine = Engine::new(&Limits::default(), options, printer.wants());
    if let Some(keylog) = &config.keylog {
        read_keylog(&mut engine, keylog, &mut printer)?;
    }
    let damage = read(&mut source, &mut engine, &mut printer, config.count)?;
    let counts = source.counts();
    engine.lost(counts.drops.kernel, counts.drops.interface);
    engine.filtered(counts.filtered);
    let summary = engine.finish(&mut printer).map_err(Failure::Output)?;
    for error in &damage {
        complain(error);
    }
    if let (Some(extract), Some(selection)) = (extract, printer.selection()) {
        extract.run(files, filter_of(&config.filter)?, config.count, selection)?;
    }
    let worst = printer.worst(&summary);
    Ok(status(config, worst, !damage.is_empty()))
}

fn filter_of(filter: &Filter) -> Result<Option<source::Filter>, Failure> {
    let expression = match filter {
        Filter::All => return Ok(None),
        Filter::Expression(expression) => expression.clone(),
        Filter::File(name) => filter::read(name)?,
    };
    Ok(Some(source::Filter::new(&expression)?))
}

/// Whether packets come while they are captured: then sessions are told when they end.
fn is_stream(files: &[PathBuf]) -> bool {
    let standard_input = files.len() == 1 && files[0] == Path::new("-");
    standard_input
        && !File::open("/dev/stdin").and_then(|file| file.metadata()).is_ok_and(|metadata| metadata.is_file())
}

/// Who listens to the engine while a source is read.
trait Listener: Sink {
    /// Between two packets. True to read no further.
    fn between(&mut self, _engine: &mut Engine, _source: &impl Source) -> bool {
        false
    }
}

impl Listener for Printer {}

/// Hands everything that the source yields to the engine. What is wrong with the source ends a file, or all, after at
/// least one packet; it is returned, to be told when everything that was found is printed.
fn read(
    source: &mut impl Source,
    engine: &mut Engine,
    sink: &mut impl Listener,
    count: Option<u64>,
) -> Result<Vec<SourceError>, Failure> {
    let (mut packets, mut damage) = (0, Vec::new());
    while count.is_none_or(|count| packets < count) {
        let handled = match source.next() {
            Ok(Some(source::Input::Packet(packet))) => {
                packets += 1;
                engine.packet(&packet, sink)
            }
            Ok(Some(source::Input::Secrets { format: SecretsFormat::TLS_KEY_LOG, data })) => {
                engine.secrets(Origin::SecretsBlock, data, sink)
            }
            Ok(Some(source::Input::Secrets { .. })) => Ok(()),
            Ok(Some(source::Input::Idle(now))) => engine.advance(now, sink),
            Ok(None) => break,
            Err(error @ SourceError::Damaged { .. }) => {
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
        if sink.between(engine, source) {
            break;
        }
    }
    Ok(damage)
}

/// Hands a key log to the engine, piece by piece.
fn read_keylog(engine: &mut Engine, keylog: &Keylog, sink: &mut dyn Sink) -> Result<(), Failure> {
    let failed = |error| Failure::Keylog(keylog.file.clone(), error);
    let mut file = match File::open(&keylog.file) {
        Ok(file) => file,
        // The variable may be set for a browser that has not run yet.
        Err(_) if !keylog.required => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => engine.secrets(Origin::KeyLog, &piece[..length], sink).map_err(Failure::Output)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    // The last line may lack its end.
    engine.secrets(Origin::KeyLog, b"\n", sink).map_err(Failure::Output)
}

fn status(config: &Config, worst: Option<Severity>, damaged: bool) -> ExitCode {
    let found = config.fail_on.is_some_and(|least| worst >= Some(least));
    match (damaged, found) {
        (true, _) => ExitCode::from(FAILED),
        (false, true) => ExitCode::from(FINDINGS),
        (false, false) => ExitCode::SUCCESS,
    }
}
