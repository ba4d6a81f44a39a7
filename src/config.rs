//! The command line as it is meant: defaults filled in, contradictions refused.

use std::path::PathBuf;

use crate::cli::{Args, ColorChoice, FailOn, OutputFormat, UsageError};
use crate::diagnosis::Severity;
use crate::output::mask::Mask;
use crate::output::pcapng::names::Rotation;

/// What a run does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Where packets come from.
    pub input: Input,
    /// Which of them count.
    pub filter: Filter,
    /// TLS secrets.
    pub keylog: Option<Keylog>,
    /// Packets to read at most.
    pub count: Option<u64>,
    /// What to print.
    pub output: Output,
    /// Which sessions to show.
    pub query: Option<String>,
    /// The file to write the packets of the sessions shown to.
    pub write: Option<PathBuf>,
    /// Whether that file gets the TLS secrets of these sessions.
    pub embed_secrets: bool,
    /// Also every message and control frame.
    pub messages: bool,
    /// Notes in full.
    pub verbose: bool,
    /// Whether secrets are masked.
    pub mask: Mask,
    /// With colour.
    pub color: bool,
    /// How wide the terminal is that is printed to.
    pub columns: Option<usize>,
    /// Hand on each line as soon as it is written.
    pub line_buffered: bool,
    /// A finding of at least this severity makes the run fail.
    pub fail_on: Option<Severity>,
    /// How to capture.
    pub live: Live,
}

/// How to capture.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Live {
    /// Bytes to keep of each packet; 0 for all.
    pub snap_length: u32,
    /// The kernel's buffer in bytes, when one was asked for.
    pub buffer: Option<i32>,
    /// Whether to put interfaces into promiscuous mode.
    pub promiscuous: bool,
    /// Whether to fetch each packet at once.
    pub immediate: bool,
    /// The link type to ask for.
    pub link: Option<String>,
    /// Whom to become once the devices are open.
    pub user: Option<String>,
    /// When the next file of `write` begins.
    pub rotation: Rotation,
    /// Hand on each packet to the file as soon as it comes.
    pub unbuffered: bool,
}

/// Where packets come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Savefiles; `-` is standard input.
    Files(Vec<PathBuf>),
    /// Interfaces.
    Live(Vec<String>),
}

/// Which packets count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    /// All.
    All,
    /// Those that an expression selects.
    Expression(String),
    /// Those that the expression in a file selects, or the named one.
    File(String),
}

/// Where TLS secrets are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keylog {
    /// The file.
    pub file: PathBuf,
    /// Whether somebody asked for it by an option: then it has to be there.
    pub required: bool,
}

/// What is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// The terminal user interface.
    Tui,
    /// Lines for a person.
    Text {
        /// One a session.
        brief: bool,
    },
    /// JSON Lines.
    Json,
    /// One page.
    Report,
}

/// What surrounds the program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Surroundings {
    /// Whether standard output is a terminal.
    pub terminal: bool,
    /// How wide it is, in columns.
    pub columns: Option<usize>,
    /// `NO_COLOR`
    pub no_color: Option<String>,
    /// `CLICOLOR`
    pub clicolor: Option<String>,
    /// `CLICOLOR_FORCE`
    pub clicolor_force: Option<String>,
    /// `TERM`
    pub term: Option<String>,
    /// `SSLKEYLOGFILE`
    pub ssl_key_log_file: Option<PathBuf>,
}

impl Config {
    /// What these arguments mean in these surroundings.
    pub fn new(args: Args, surroundings: &Surroundings) -> Result<Config, UsageError> {
        let output = output(&args, surroundings)?;
        if args.write.as_ref().is_some_and(|file| file.as_os_str() == "-") {
            return Err(usage("-w - is not possible: sessions are printed on standard output"));
        }
        let rotation = rotation(&args)?;
        refuse_capture_options(&args)?;
        Ok(Config {
            embed_secrets: embed_secrets(&args)?,
            write: args.write.clone(),
            filter: filter(&args)?,
            keylog: keylog(args.keylog, surroundings),
            count: args.count,
            output,
            query: query(args.where_, args.messages)?,
            messages: args.messages,
            verbose: args.verbose > 0,
            mask: if args.show_secrets { Mask::Nothing } else { Mask::Secrets },
            color: color(args.color, surroundings),
            columns: if surroundings.terminal { surroundings.columns } else { None },
            line_buffered: args.line_buffered || surroundings.terminal,
            fail_on: args.fail_on.map(severity),
            live: Live {
                snap_length: args.snapshot_length.unwrap_or(0),
                buffer: args.buffer_size.map(buffer).transpose()?,
                promiscuous: !args.no_promiscuous_mode,
                immediate: args.immediate_mode,
                link: args.linktype,
                user: args.relinquish_privileges,
                rotation,
                unbuffered: args.packet_buffered,
            },
            input: input(args.read, args.interfaces)?,
        })
    }
}

fn input(files: Vec<PathBuf>, interfaces: Vec<String>) -> Result<Input, UsageError> {
    match (files.is_empty(), interfaces.is_empty()) {
        (false, false) => Err(usage("-i and -r exclude each other: packets come from a line or from files")),
        (false, true) => match files.iter().filter(|file| file.as_os_str() == "-").count() {
            0 | 1 => Ok(Input::Files(files)),
            _ => Err(usage("-r - can be given once: there is one standard input")),
        },
        // The same packets twice would be told as such.
        (true, false) => Ok(Input::Live(interfaces.into_iter().fold(Vec::new(), |mut names, name| {
            if !names.contains(&name) {
                names.push(name);
            }
            names
        }))),
        (true, true) => Ok(Input::Live(vec!["any".to_owned()])),
    }
}

fn filter(args: &Args) -> Result<Filter, UsageError> {
    match (&args.filter_file, args.words.is_empty()) {
        (Some(_), false) => {
            Err(usage(&format!("-F and filter words exclude each other; the words were: {}", args.words.join(" "))))
        }
        (Some(file), true) => Ok(Filter::File(file.clone())),
        (None, false) => Ok(Filter::Expression(args.words.join(" "))),
        (None, true) => Ok(Filter::All),
    }
}

fn keylog(option: Option<PathBuf>, surroundings: &Surroundings) -> Option<Keylog> {
    let asked = option.map(|file| Keylog { file, required: true });
    let variable = surroundings.ssl_key_log_file.clone().filter(|file| !file.as_os_str().is_empty());
    asked.or_else(|| variable.map(|file| Keylog { file, required: false }))
}

fn output(args: &Args, surroundings: &Surroundings) -> Result<Output, UsageError> {
    let cuts = args.write.is_some() && !args.read.is_empty();
    let asked = args.output.unwrap_or(if surroundings.terminal { OutputFormat::Tui } else { OutputFormat::Text });
    let output = match asked {
        OutputFormat::Tui if !surroundings.terminal => {
            return Err(usage("-o tui needs a terminal as standard output; for a pipe or a file: -o text"));
        }
        // One line a session, every message, and packets cut out of a file are not what a screen is for.
        OutputFormat::Tui if args.output.is_none() && (args.quiet || args.messages || cuts) => {
            Output::Text { brief: args.quiet }
        }
        OutputFormat::Tui if cfg!(feature = "tui") => Output::Tui,
        OutputFormat::Tui | OutputFormat::Text => Output::Text { brief: args.quiet },
        OutputFormat::Json => Output::Json,
        OutputFormat::Report => Output::Report,
    };
    match output {
        Output::Report if args.messages => {
            Err(usage("--messages is for -o text and -o json; a report has no messages"))
        }
        Output::Tui if cuts || args.messages => {
            let text = "-w with -r, and --messages, are not for -o tui: there, s saves the packets of sessions";
            Err(usage(text))
        }
        Output::Json | Output::Report | Output::Tui if args.quiet => {
            Err(usage("-q is for -o text: one line a session"))
        }
        output => Ok(output),
    }
}

fn query(expression: Option<String>, messages: bool) -> Result<Option<String>, UsageError> {
    match expression {
        Some(_) if messages => {
            Err(usage("-Y and --messages exclude each other: messages are told before their session is known"))
        }
        expression => Ok(expression),
    }
}

/// Which sessions there are, and which secrets open them, is known at the end only; their block comes first in a file.
fn embed_secrets(args: &Args) -> Result<bool, UsageError> {
    if args.embed_secrets && args.write.is_none() {
        return Err(usage("--embed-secrets is for -w: wsflow -r FILE --keylog KEYS --embed-secrets -w FILE"));
    }
    if args.embed_secrets && args.read.is_empty() {
        return Err(usage(
            "--embed-secrets is for -w with files: capture first, then wsflow -r FILE --keylog KEYS -w FILE",
        ));
    }
    Ok(args.embed_secrets)
}

/// tcpdump's `-C` counts in millions of bytes.
fn rotation(args: &Args) -> Result<Rotation, UsageError> {
    let options = [
        (args.file_size.is_some(), "-C"),
        (args.rotate_seconds.is_some(), "-G"),
        (args.file_count.is_some(), "-W"),
        (args.packet_buffered, "-U"),
    ];
    let given = options.iter().find(|(given, _)| *given);
    if let Some((_, option)) = given
        && (args.write.is_none() || !args.read.is_empty())
    {
        return Err(usage(&format!("{option} is for -w while capturing")));
    }
    match (args.file_size, args.rotate_seconds, args.file_count) {
        (None, None, Some(_)) => Err(usage("-W counts files: it needs -C, for a ring of them, or -G, for so many")),
        (Some(_), Some(_), Some(_)) => Err(usage("-W is for -C or -G alone: a ring by size, or so many files by time")),
        (size, seconds, files) => {
            Ok(Rotation { bytes: size.map(|millions| millions.saturating_mul(1_000_000)), seconds, files })
        }
    }
}

/// In bytes, as libpcap counts.
fn buffer(kib: u32) -> Result<i32, UsageError> {
    const MOST: u32 = i32::MAX as u32 >> 10;
    let bytes = i32::try_from(u64::from(kib) << 10);
    bytes.map_err(|_| usage(&format!("-B counts KiB: {MOST} are the most that a capture can ask for")))
}

/// What says how to capture says nothing about a file. `-y` also says for which link type `-d` compiles.
fn refuse_capture_options(args: &Args) -> Result<(), UsageError> {
    let options = [
        (args.snapshot_length.is_some(), "-s"),
        (args.buffer_size.is_some(), "-B"),
        (args.linktype.is_some() && args.dump_filter == 0, "-y"),
        (args.no_promiscuous_mode, "-p"),
        (args.immediate_mode, "--immediate-mode"),
        (args.relinquish_privileges.is_some(), "-Z"),
    ];
    match options.iter().find(|(given, _)| *given && !args.read.is_empty()) {
        Some((_, option)) => Err(usage(&format!("{option} is for capturing; -r reads packets as they were captured"))),
        None => Ok(()),
    }
}

/// By the conventions of no-color.org and bixense.com/clicolors.
fn color(choice: ColorChoice, surroundings: &Surroundings) -> bool {
    let set = |variable: &Option<String>| variable.as_deref().is_some_and(|value| !value.is_empty());
    let is = |variable: &Option<String>, value: &str| variable.as_deref() == Some(value);
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if set(&surroundings.no_color) => false,
        ColorChoice::Auto if set(&surroundings.clicolor_force) && !is(&surroundings.clicolor_force, "0") => true,
        ColorChoice::Auto => {
            surroundings.terminal && !is(&surroundings.clicolor, "0") && !is(&surroundings.term, "dumb")
        }
    }
}

const fn severity(fail_on: FailOn) -> Severity {
    match fail_on {
        FailOn::Note => Severity::Note,
        FailOn::Warning => Severity::Warning,
        FailOn::Error => Severity::Error,
    }
}

fn usage(text: &str) -> UsageError {
    UsageError(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut Args)) -> Result<Config, UsageError> {
        let mut args = Args { read: vec!["a.pcap".into()], ..Args::default() };
        change(&mut args);
        Config::new(args, &Surroundings::default())
    }

    #[test]
    fn defaults() {
        let config = config(|_| {}).expect("a file is enough");
        assert_eq!(config.input, Input::Files(vec!["a.pcap".into()]));
        assert_eq!((config.output, config.mask, config.color), (Output::Text { brief: false }, Mask::Secrets, false));
        let live = Config::new(Args::default(), &Surroundings::default()).expect("nothing is enough");
        assert_eq!(live.input, Input::Live(vec!["any".to_owned()]));
        let large = |kib| Config::new(Args { buffer_size: Some(kib), ..Args::default() }, &Surroundings::default());
        assert!(large(2_097_151).is_ok_and(|config| config.live.buffer == Some(2_147_482_624)));
        assert!(large(2_097_152).is_err_and(|error| error.0.contains("-B counts KiB: 2097151")));
        let twice = Args { interfaces: ["lo", "eth0", "lo"].map(str::to_owned).to_vec(), ..Args::default() };
        let twice = Config::new(twice, &Surroundings::default()).expect("each once");
        assert_eq!(twice.input, Input::Live(vec!["lo".to_owned(), "eth0".to_owned()]));
    }

    #[test]
    fn a_terminal_gets_the_interface_and_a_pipe_gets_text() {
        let terminal = Surroundings { terminal: true, ..Surroundings::default() };
        let output = |change: fn(&mut Args), surroundings: &Surroundings| {
            let mut args = Args { read: vec!["a.pcap".into()], ..Args::default() };
            change(&mut args);
            Config::new(args, surroundings).map(|config| config.output)
        };
        let expected = if cfg!(feature = "tui") { Output::Tui } else { Output::Text { brief: false } };
        assert_eq!(output(|_| {}, &terminal), Ok(expected));
        assert_eq!(output(|args| args.quiet = true, &terminal), Ok(Output::Text { brief: true }));
        assert_eq!(output(|args| args.messages = true, &terminal), Ok(Output::Text { brief: false }));
        let pipe = Surroundings::default();
        assert!(output(|args| args.output = Some(OutputFormat::Tui), &pipe).is_err_and(|e| e.0.contains("-o text")));
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = |change: fn(&mut Args)| config(change).expect_err("a contradiction").0;
        assert!(refused(|args| args.interfaces = vec!["lo".to_owned()]).contains("-i and -r"));
        assert!(refused(|args| args.read = vec!["-".into(), "-".into()]).contains("-r -"));
        let both = refused(|args| {
            args.filter_file = Some("f".to_owned());
            args.words = vec!["port".to_owned(), "80".to_owned()];
        });
        assert!(both.contains("port 80"), "{both}");
        assert!(refused(|args| (args.output, args.quiet) = (Some(OutputFormat::Json), true)).contains("-q"));
        assert!(refused(|args| args.snapshot_length = Some(96)).contains("-s is for capturing"));
        assert!(refused(|args| args.relinquish_privileges = Some("nobody".to_owned())).contains("-Z is for capturing"));
        assert!(config(|args| (args.linktype, args.dump_filter) = (Some("EN10MB".to_owned()), 1)).is_ok());
        assert!(refused(|args| args.embed_secrets = true).contains("--embed-secrets is for -w"));
        assert!(
            refused(|args| (args.write, args.file_size) = (Some("b".into()), Some(1))).contains("-C is for -w while")
        );
        assert!(
            refused(|args| (args.output, args.messages) = (Some(OutputFormat::Report), true)).contains("--messages")
        );
    }

    #[test]
    fn files_change_by_size_or_by_time() {
        let live = |size, seconds, files| {
            let write = Some("a.pcapng".into());
            let (file_size, rotate_seconds, file_count) = (size, seconds, files);
            let args = Args { write, file_size, rotate_seconds, file_count, ..Args::default() };
            Config::new(args, &Surroundings::default()).map(|config| config.live.rotation)
        };
        let ring = Rotation { bytes: Some(5_000_000), seconds: None, files: Some(3) };
        assert_eq!(live(Some(5), None, Some(3)), Ok(ring));
        assert!(live(None, Some(60), Some(3)).is_ok());
        assert!(live(None, None, Some(3)).is_err_and(|error| error.0.contains("-W")));
        assert!(live(Some(1), Some(60), Some(3)).is_err_and(|error| error.0.contains("-W")));
        let without_file = Args { rotate_seconds: Some(1), ..Args::default() };
        assert!(Config::new(without_file, &Surroundings::default()).is_err_and(|error| error.0.contains("-G")));
    }

    #[test]
    fn colour_by_its_conventions() {
        let terminal = Surroundings { terminal: true, ..Surroundings::default() };
        let pipe = Surroundings::default();
        let some = |value: &str| Some(value.to_owned());
        assert!(color(ColorChoice::Auto, &terminal));
        assert!(!color(ColorChoice::Auto, &pipe));
        assert!(color(ColorChoice::Always, &pipe));
        assert!(!color(ColorChoice::Never, &terminal));
        assert!(!color(ColorChoice::Auto, &Surroundings { no_color: some("1"), ..terminal.clone() }));
        assert!(color(ColorChoice::Auto, &Surroundings { no_color: some(""), ..terminal.clone() }));
        assert!(color(ColorChoice::Auto, &Surroundings { clicolor_force: some("1"), ..pipe.clone() }));
        assert!(!color(ColorChoice::Auto, &Surroundings { clicolor_force: some("0"), ..pipe }));
        assert!(!color(ColorChoice::Auto, &Surroundings { clicolor: some("0"), ..terminal.clone() }));
        assert!(!color(ColorChoice::Auto, &Surroundings { term: some("dumb"), ..terminal }));
    }

    #[test]
    fn secrets_may_be_named_by_the_environment() {
        let surroundings = Surroundings { ssl_key_log_file: Some("keys".into()), ..Surroundings::default() };
        let from_variable = keylog(None, &surroundings);
        assert_eq!(from_variable, Some(Keylog { file: "keys".into(), required: false }));
        let from_option = keylog(Some("mine".into()), &surroundings);
        assert_eq!(from_option, Some(Keylog { file: "mine".into(), required: true }));
    }
}
