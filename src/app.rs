//! Wiring: a command line, a source, the engine, an output, an exit status.
//!
//! Standard output is data, standard error is status. Whatever goes wrong is one line that names the thing and the way
//! out; what was found before is printed in full.

mod apart;
mod extract;
mod failure;
mod files;
mod keylog;
#[cfg(feature = "live")]
mod live;
mod printer;
mod reader;
#[cfg(any(feature = "live", feature = "tui"))]
mod record;
#[cfg(feature = "tui")]
mod save;
#[cfg(feature = "tui")]
mod screen;
mod signals;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::failure::Failure;
use crate::cli::{self, Command, UsageError};
#[cfg(feature = "tui")]
use crate::config::Output;
use crate::config::{Config, Input, Surroundings};
use crate::diagnosis::{Severity, rules};
use crate::output::escape;
use crate::output::explain;
use crate::output::line::Line;
use crate::output::mask::Mask;
#[cfg(feature = "live")]
use crate::source;

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
        #[cfg(feature = "live")]
        Command::Analyse(args) if args.dump_filter > 0 => live::list_filter(&args, &surroundings),
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

/// One line or more of status on standard error.
fn note(text: &str) {
    // There is nobody to tell when this fails.
    let _ = writeln!(io::stderr(), "{text}");
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

fn analyse(config: &Config) -> Result<ExitCode, Failure> {
    match &config.input {
        #[cfg(feature = "tui")]
        Input::Files(names) if config.output == Output::Tui => screen::show(config, names),
        Input::Files(names) => files::print(config, names),
        #[cfg(feature = "live")]
        Input::Live(interfaces) => live::capture(config, interfaces),
        #[cfg(not(feature = "live"))]
        Input::Live(_) => {
            let text = "this wsflow was built without live capture; it reads files: wsflow -r FILE";
            Err(UsageError(text.to_owned()).into())
        }
    }
}

/// How a run ends that went as far as it could.
fn status(config: &Config, worst: Option<Severity>, damaged: bool) -> ExitCode {
    let found = config.fail_on.is_some_and(|least| worst >= Some(least));
    match (damaged, found) {
        (true, _) => ExitCode::from(FAILED),
        (false, true) => ExitCode::from(FINDINGS),
        (false, false) => ExitCode::SUCCESS,
    }
}
