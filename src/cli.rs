//! The command line as it was typed.
//!
//! Filter words are free words, anywhere on the line, as with tcpdump; so commands are not clap's subcommands, which would
//! take words away from filters. The first free word decides: `explain`, `completions` and `man` are commands.
//!
//! `-r` takes one file. Words right behind it are files too when they name a file or look like one, so that
//! `-r *.pcap port 80` does what it says; [`is_file_word`] has the rule.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ErrorKind};
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum, ValueHint};

/// What the program is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Read packets and tell what they show.
    Analyse(Box<Args>),
    /// Explain a finding, or list all.
    Explain(Option<String>),
    /// Print a shell's completions.
    Completions(clap_complete::Shell),
    /// Print the manual page.
    Man,
    /// Print text that was asked for: help, the version.
    Print(String),
}

/// A command line that makes no sense, in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageError(pub String);

/// Says why a WebSocket fails: reads packets, joins both sides of the proxy, names the cause and the fix
#[derive(Parser, Clone, Debug, Default)]
#[command(name = "wsflow", version = VERSION, after_help = COMMANDS, disable_help_subcommand = true, max_term_width = 110)]
#[command(override_usage = "wsflow [OPTIONS] [FILTER...]\n       wsflow -r FILE... [OPTIONS] [FILTER...]\n       \
                            wsflow explain [FINDING]")]
pub struct Args {
    /// Packets to look at, as a pcap filter: port 443 and host 10.0.0.7
    #[arg(value_name = "FILTER", value_hint = ValueHint::Other)]
    pub words: Vec<String>,

    /// Capture on this interface; repeatable; `any` on Linux, also when neither -i nor -r is given
    #[arg(short, long = "interface", value_name = "NAME", help_heading = "Input")]
    pub interfaces: Vec<String>,

    /// Read these savefiles: pcap or pcapng, also .gz, .zst and .lz4; `-` is standard input; repeatable
    #[arg(short, long, value_name = "FILE...", value_hint = ValueHint::FilePath, help_heading = "Input")]
    pub read: Vec<PathBuf>,

    /// Take the filter from this file, or the named one of that name
    #[arg(short = 'F', long, value_name = "NAME", value_hint = ValueHint::FilePath, help_heading = "Input")]
    pub filter_file: Option<String>,

    /// Read TLS secrets from this file (NSS key log format); else from $SSLKEYLOGFILE, when set
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Input")]
    pub keylog: Option<PathBuf>,

    /// Stop after this many packets
    #[arg(short, value_name = "N", help_heading = "Input", value_parser = at_least_one::<u64>)]
    pub count: Option<u64>,

    /// What to print; without it the terminal UI on a terminal, else text
    #[arg(short, long, value_name = "FORMAT", value_enum, help_heading = "Output")]
    pub output: Option<OutputFormat>,

    /// Print every message and control frame, too (text, json)
    #[arg(long, help_heading = "Output")]
    pub messages: bool,

    /// One line a session (text)
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,

    /// Notes in full; repeatable
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,

    /// Show only the sessions that match: cause == "idle-timeout" and host ~ "chat"
    #[arg(short = 'Y', long = "where", value_name = "EXPR", help_heading = "Output")]
    pub where_: Option<String>,

    /// Write the packets of the sessions shown to this file (pcapng); live and without -Y all packets, as they come
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub write: Option<PathBuf>,

    /// Put the TLS secrets of the sessions written into the file of -w, so that Wireshark opens them
    #[arg(long, help_heading = "Output")]
    pub embed_secrets: bool,

    /// Show credentials, cookies and tokens as they are; by default they are masked
    #[arg(long, help_heading = "Output")]
    pub show_secrets: bool,

    /// Exit with status 1 when a finding is at least this severe
    #[arg(long, value_name = "SEVERITY", value_enum, help_heading = "Output")]
    pub fail_on: Option<FailOn>,

    /// When to use colour; NO_COLOR is honoured
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, help_heading = "Output")]
    pub color: ColorChoice,

    /// Hand on each line as soon as it is written
    #[arg(short = 'l', long = "line-buffered", help_heading = "Output")]
    pub line_buffered: bool,

    /// Addresses and ports as numbers: they always are
    #[arg(short, action = clap::ArgAction::Count, help_heading = "Output")]
    pub numeric: u8,

    /// List the interfaces to capture on
    #[arg(short = 'D', long, help_heading = "Capture")]
    pub list_interfaces: bool,

    /// List the link types of the interface
    #[arg(short = 'L', long, help_heading = "Capture")]
    pub list_data_link_types: bool,

    /// Capture with this link type
    #[arg(short = 'y', long, value_name = "TYPE", help_heading = "Capture")]
    pub linktype: Option<String>,

    /// Bytes to keep of each packet; 0 for all
    #[arg(short, long, value_name = "LEN", help_heading = "Capture")]
    pub snapshot_length: Option<u32>,

    /// The kernel's buffer, in KiB
    #[arg(short = 'B', long, value_name = "KIB", help_heading = "Capture")]
    pub buffer_size: Option<u32>,

    /// Do not put the interface into promiscuous mode
    #[arg(short = 'p', long, help_heading = "Capture")]
    pub no_promiscuous_mode: bool,

    /// Fetch each packet at once; loses packets on a busy line
    #[arg(long, help_heading = "Capture")]
    pub immediate_mode: bool,

    /// Print the compiled filter and stop; twice as C, three times as numbers
    #[arg(short = 'd', action = clap::ArgAction::Count, help_heading = "Capture")]
    pub dump_filter: u8,

    /// Become this user once the devices are open
    #[arg(short = 'Z', long, value_name = "USER", help_heading = "Capture")]
    pub relinquish_privileges: Option<String>,

    /// With -w: hand on each packet as soon as it comes
    #[arg(short = 'U', long, help_heading = "Capture")]
    pub packet_buffered: bool,

    /// With -w: begin a new file after this many million bytes
    #[arg(short = 'C', value_name = "SIZE", help_heading = "Capture", value_parser = at_least_one::<u64>)]
    pub file_size: Option<u64>,

    /// With -w: begin a new file after this many seconds; its name may have conversions of strftime(3)
    #[arg(short = 'G', value_name = "SECONDS", help_heading = "Capture", value_parser = at_least_one::<u64>)]
    pub rotate_seconds: Option<u64>,

    /// With -C: write over the oldest of this many files; with -G: stop after this many
    #[arg(short = 'W', value_name = "COUNT", help_heading = "Capture", value_parser = at_least_one::<u32>)]
    pub file_count: Option<u32>,
}

/// A number of things.
fn at_least_one<N: std::str::FromStr + Default + PartialEq>(text: &str) -> Result<N, &'static str> {
    text.parse().ok().filter(|number| *number != N::default()).ok_or("it takes a whole number, 1 or more")
}

/// What to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum OutputFormat {
    /// The terminal UI
    Tui,
    /// Lines for a person
    Text,
    /// JSON Lines
    Json,
    /// One page of Markdown
    Report,
}

/// The severity that makes the run fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum FailOn {
    /// Any finding
    Note,
    /// Warnings and errors
    Warning,
    /// Errors
    Error,
}

/// When to use colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

const VERSION: &str = if cfg!(feature = "live") {
    concat!(env!("CARGO_PKG_VERSION"), " (with libpcap)")
} else {
    concat!(env!("CARGO_PKG_VERSION"), " (without libpcap: no live capture, no filters)")
};

const COMMANDS: &str = "\
Commands:
  explain [FINDING]  What a finding means, its signature, its fix; without a name: all
  explain fields     What -Y can ask for
  completions SHELL  Completions for bash, elvish, fish, powershell or zsh
  man                The manual page

Exit status: 0 done, 1 --fail-on matched, 2 could not run or could not read to the end.";

/// Reads a command line, with the program's name first.
pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let matches = match Args::command().try_get_matches_from(line) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Command::Print(error.to_string()));
        }
        Err(error) => return Err(usage_error(&error)),
    };
    let mut args = Args::from_arg_matches(&matches).map_err(|error| usage_error(&error))?;
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["explain"] => Ok(Command::Explain(None)),
        ["explain", finding] => Ok(Command::Explain(Some((*finding).to_owned()))),
        ["explain", ..] => Err(UsageError(
            "explain takes one finding; for a filter by a host of that name: wsflow host explain ...".to_owned(),
        )),
        ["completions", shell] => completions(shell),
        ["completions", ..] => completions(""),
        ["man"] => Ok(Command::Man),
        ["man", ..] => {
            Err(UsageError("man takes no words; for a filter by a host of that name: wsflow host man ...".to_owned()))
        }
        _ => {
            move_files(&matches, &mut args);
            Ok(Command::Analyse(Box::new(args)))
        }
    }
}

/// The command line for those who print it: completions and the manual page.
pub fn command() -> clap::Command {
    Args::command()
}

fn completions(shell: &str) -> Result<Command, UsageError> {
    match clap_complete::Shell::from_str(shell, true) {
        Ok(shell) => Ok(Command::Completions(shell)),
        Err(_) => Err(UsageError("completions takes one shell: bash, elvish, fish, powershell or zsh".to_owned())),
    }
}

/// Moves words right behind a file of `-r` to the files.
fn move_files(matches: &ArgMatches, args: &mut Args) {
    let indices = |id: &str| -> Vec<usize> { matches.indices_of(id).into_iter().flatten().collect() };
    let (read, words) = (indices("read"), indices("words"));
    let mut files: Vec<(usize, PathBuf)> = read.into_iter().zip(args.read.drain(..)).collect();
    let mut filter = Vec::new();
    for (index, word) in words.into_iter().zip(args.words.drain(..)) {
        let behind_a_file = files.iter().any(|(before, _)| before + 1 == index);
        if behind_a_file && is_file_word(&word) {
            files.push((index, word.into()));
        } else {
            filter.push(word);
        }
    }
    files.sort_by_key(|(index, _)| *index);
    args.read = files.into_iter().map(|(_, file)| file).collect();
    args.words = filter;
}

/// Whether a word right behind a file of `-r` is a file, too: it has the name of a savefile, whether there is one or
/// not, so that a slip of the pen is not taken for a filter; or there is a file of that name and it is no word of the
/// filter language.
fn is_file_word(word: &str) -> bool {
    const SAVEFILES: [&str; 8] = [".pcap", ".pcapng", ".cap", ".dmp", ".ntar", ".gz", ".zst", ".lz4"];
    // The words that a filter begins with (pcap-filter(7)).
    const FILTER: [&str; 32] = [
        "host",
        "net",
        "port",
        "portrange",
        "src",
        "dst",
        "tcp",
        "udp",
        "sctp",
        "icmp",
        "icmp6",
        "ip",
        "ip6",
        "arp",
        "rarp",
        "ether",
        "vlan",
        "mpls",
        "gateway",
        "broadcast",
        "multicast",
        "less",
        "greater",
        "proto",
        "protochain",
        "ifname",
        "on",
        "inbound",
        "outbound",
        "wlan",
        "not",
        "len",
    ];
    let lower = word.to_ascii_lowercase();
    let named = SAVEFILES.iter().any(|suffix| lower.ends_with(suffix) && lower.len() > suffix.len());
    named || !FILTER.contains(&word) && Path::new(word).is_file()
}

/// What clap says in several lines, in one.
fn usage_error(error: &clap::Error) -> UsageError {
    let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    if error.kind() == ErrorKind::UnknownArgument
        && let Some((flag, reason)) = REFUSED.iter().find(|(flag, _)| argument == *flag)
    {
        return UsageError(format!("{flag} of tcpdump has no meaning here: {reason}"));
    }
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let text = lines.collect::<Vec<_>>().join("; ");
    let text = text.strip_prefix("error: ").unwrap_or(&text).replace("; tip: ", "; ");
    UsageError(format!("{text}; wsflow --help has all options"))
}

const TIMES: &str = "text shows the time of day, -o json all of it";
const BYTES: &str = "wsflow shows messages, not packets; --messages shows those";
const TIME_STAMPS: &str = "time stamps are taken as the interface gives them";

/// Flags of tcpdump that mean nothing here, and what to do instead.
const REFUSED: &[(&str, &str)] = &[
    ("-A", BYTES),
    ("-x", BYTES),
    ("-X", BYTES),
    ("-e", "link-layer headers are not shown"),
    ("-b", "it is about BGP"),
    ("-u", "it is about NFS"),
    ("-E", "IPsec is not decrypted; --keylog is for TLS"),
    ("-M", "TCP-MD5 signatures are not checked"),
    ("-f", "addresses are always numbers"),
    ("-N", "addresses are always numbers"),
    ("-H", "it is about 802.11"),
    ("-I", "monitor mode is for frames of 802.11, which are not read"),
    ("--monitor-mode", "it is for frames of 802.11, which are not read"),
    ("-j", TIME_STAMPS),
    ("-J", TIME_STAMPS),
    ("--time-stamp-type", TIME_STAMPS),
    ("--list-time-stamp-types", TIME_STAMPS),
    ("--time-stamp-precision", "time stamps are always kept to the nanosecond"),
    ("--nano", "time stamps are always kept to the nanosecond"),
    ("--micro", "time stamps are always kept to the nanosecond"),
    ("-K", "checksums are not checked"),
    ("--dont-verify-checksums", "checksums are not checked"),
    ("-O", "filters are always optimised"),
    ("--no-optimize", "filters are always optimised"),
    ("-Q", "both directions are needed; inbound or outbound are words of a filter"),
    ("--direction", "both directions are needed; inbound or outbound are words of a filter"),
    ("-S", "sequence numbers are not shown"),
    ("--absolute-tcp-sequence-numbers", "sequence numbers are not shown"),
    ("-t", TIMES),
    ("-T", "packets are read as what they are"),
    ("-z", "nothing is run; -w writes files"),
    ("-#", "packet numbers are always shown"),
    ("--number", "packet numbers are always shown"),
    ("-m", "it is about SNMP"),
    ("-a", "addresses are always numbers"),
    ("--count", "the last line has the counts"),
    ("--print", "sessions are always printed, also with -w"),
    ("--lengths", "packet lengths are not shown"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str) -> Result<Command, UsageError> {
        parse(std::iter::once("wsflow").chain(words.split_whitespace()).map(OsString::from))
    }

    fn args(words: &str) -> Args {
        match line(words) {
            Ok(Command::Analyse(args)) => *args,
            other => panic!("{words}: {other:?}"),
        }
    }

    fn refused(words: &str) -> String {
        let UsageError(text) = line(words).expect_err(words);
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    }

    #[test]
    fn filter_words_stand_anywhere() {
        for words in ["-i any port 443", "port 443 -i any", "port -i any 443", "-iany port 443", "-i any -- port 443"] {
            let args = args(words);
            assert_eq!(
                (args.interfaces, args.words),
                (vec!["any".to_owned()], vec!["port".to_owned(), "443".to_owned()])
            );
        }
        let args = args("-nni eth0 -s0 -c 5 -q ip[6:2] & 0x1fff = 0");
        assert_eq!((args.numeric, args.snapshot_length, args.count, args.quiet), (2, Some(0), Some(5), true));
        assert_eq!(args.words.join(" "), "ip[6:2] & 0x1fff = 0");
    }

    #[test]
    fn one_file_leaves_the_filter_alone() {
        for words in [
            "-r a.pcap host 10.0.0.7",
            "host 10.0.0.7 -r a.pcap",
            "--read=a.pcap host 10.0.0.7",
            "-ra.pcap host 10.0.0.7",
        ] {
            let args = args(words);
            assert_eq!(args.read, [PathBuf::from("a.pcap")], "{words}");
            assert_eq!(args.words, ["host", "10.0.0.7"], "{words}");
        }
        let args = args("-r - host ::1");
        assert_eq!((args.read, args.words.join(" ")), (vec![PathBuf::from("-")], "host ::1".to_owned()));
    }

    #[test]
    fn files_behind_a_file_are_files() {
        let args = args("-r a.pcap b.pcapng c.pcap.gz port 80 -r d.zst e.cap tcp x.pcap");
        let files: Vec<_> = args.read.iter().map(|file| file.to_string_lossy()).collect();
        assert_eq!(files, ["a.pcap", "b.pcapng", "c.pcap.gz", "d.zst", "e.cap"]);
        assert_eq!(args.words, ["port", "80", "tcp", "x.pcap"], "only right behind a file");
    }

    #[test]
    fn a_file_that_exists_is_a_file_whatever_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        std::fs::write(&second, "").expect("a file");
        let line =
            ["wsflow".into(), "-r".into(), first.into_os_string(), second.clone().into_os_string(), "port".into()];
        let Ok(Command::Analyse(args)) = parse(line) else { panic!("it makes sense") };
        assert_eq!(
            (args.read.len(), &args.read[1], args.words.as_slice()),
            (2, &second, ["port".to_owned()].as_slice())
        );
        assert!(!is_file_word(&folder.path().to_string_lossy()), "a folder is none");
        assert!(!is_file_word("tcp") && !is_file_word(".pcap"));
    }

    #[test]
    fn the_first_word_may_be_a_command() {
        assert!(matches!(line("explain"), Ok(Command::Explain(None))));
        assert!(matches!(line("explain idle-timeout"), Ok(Command::Explain(Some(id))) if id == "idle-timeout"));
        assert!(matches!(line("--color never explain"), Ok(Command::Explain(None))));
        assert!(matches!(line("completions zsh"), Ok(Command::Completions(clap_complete::Shell::Zsh))));
        assert!(matches!(line("man"), Ok(Command::Man)));
        assert_eq!(args("host explain").words, ["host", "explain"]);
        assert_eq!(args("-r a.pcap host man or host explain").words.len(), 5);
        assert!(refused("explain and port 80").contains("host explain"));
        assert!(refused("completions").contains("zsh"));
    }

    #[test]
    fn what_tcpdump_knows_and_wsflow_does_not_is_refused_by_name() {
        for flag in ["-A", "-X", "-e", "-t", "-K", "-O", "-S", "--nano", "--count", "-#", "-nnA", "-Q in", "-z gzip"] {
            let text = refused(&format!("-r a.pcap {flag}"));
            let named = flag.split(' ').next().expect("a flag").replace("-nnA", "-A");
            assert!(text.starts_with(&format!("{named} of tcpdump has no meaning here: ")), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named_in_one_line() {
        assert!(refused("--ouput json").contains("'--ouput'"), "{}", refused("--ouput json"));
        assert!(refused("--ouput json").contains("'--output'"));
        let text = refused("-o yaml");
        assert!(text.contains("'yaml'") && text.contains("report"), "{text}");
        assert!(refused("-c x").contains("'x'"));
        for words in ["-c 0", "-c 1.5", "-C 0", "-G 0", "-W 5000000000"] {
            assert!(refused(words).contains("a whole number, 1 or more"), "{}", refused(words));
        }
        assert!(refused("-r").contains("--read"));
    }

    #[test]
    fn help_and_version_are_printed() {
        for (flag, part) in
            [("-h", "explain [FINDING]"), ("--help", "Exit status"), ("-V", "libpcap"), ("--version", "wsflow 0.")]
        {
            assert!(matches!(line(flag), Ok(Command::Print(text)) if text.contains(part)), "{flag}");
        }
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }
}
