//! The program as its users meet it: options, exit statuses, one line for what goes wrong.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Output, Stdio};

use assert_cmd::Command;
use serde_json::Value;
use wsflow::script::{Script, text as websocket_text};
use wsflow::time::Timestamp;

/// A proxy that strips the upgrade: one session, rejected.
const STRIPPED: &str = "pcaps/nginx-upgrade-stripped.pcap";

fn wsflow(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program runs")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("wsflow").expect("it is built");
    command
        .args(arguments)
        .env_remove("SSLKEYLOGFILE")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env("TZ", "UTC");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

/// It fails with status 2, prints nothing, and says one line that has all of these in it.
#[track_caller]
fn refused(arguments: &[&str], parts: &[&str]) {
    let output = wsflow(arguments);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(text(&output.stdout), "");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("wsflow: "), "{error}");
    for part in parts {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    fs::write(path("empty.pcap"), "").expect("a file");
    fs::write(path("page.pcap"), "<html>not a capture</html>").expect("a file");
    refused(&["-r", &path("none.pcap")], &["none.pcap", "No such file"]);
    refused(&["-r", &path("empty.pcap")], &["empty.pcap", "empty"]);
    refused(&["-r", &path("page.pcap")], &["page.pcap"]);
    refused(&["-r", &path("")], &["irectory"]);
    refused(&["-r", STRIPPED, "typo.pcap"], &["typo.pcap", "No such file"]);
}

#[test]
fn command_lines_that_make_no_sense() {
    refused(&["--frobnicate"], &["--frobnicate", "--help"]);
    refused(&["-r", STRIPPED, "-A"], &["-A of tcpdump"]);
    refused(&["-r", STRIPPED, "-o", "yaml"], &["yaml", "json"]);
    refused(&["-r", STRIPPED, "-i", "lo"], &["-i and -r"]);
    refused(&["-r", STRIPPED, "--keylog", "no-such.keys"], &["no-such.keys", "no such file"]);
    refused(&["explain", "idle-timout"], &["idle-timout"]);
    refused(&["explain", "zzzzzz"], &["wsflow explain lists all"]);
    refused(&["completions", "tcsh"], &["bash"]);
}

#[cfg(feature = "live")]
#[test]
fn filters() {
    refused(&["-r", STRIPPED, "port", "http", "and"], &["port http and", "pcap-filter"]);
    refused(&["-r", STRIPPED, "-F", "no-such-filter"], &["no-such-filter"]);
    refused(&["-r", STRIPPED, "-F", "websocket-ports", "port", "80"], &["-F", "port 80"]);
    let output = wsflow(&["-r", STRIPPED, "-q", "port", "9000"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!text(&output.stdout).contains(":8080"), "the client's leg is filtered out");
    let output = wsflow(&["-r", STRIPPED, "-o", "json", "port", "1"]);
    let summary = text(&output.stdout);
    assert!(summary.contains(r#""packets":0"#) && summary.contains(r#""filtered":20"#), "{summary}");
}

#[test]
fn sessions_are_chosen() {
    refused(&["-r", STRIPPED, "-Y", "hots ~ x"], &[">>>hots ~ x", "host"]);
    refused(&["-r", STRIPPED, "-Y", "tls", "--messages"], &["-Y and --messages"]);
    let chosen = |query: &str| wsflow(&["-r", STRIPPED, "-q", "--fail-on", "error", "-Y", query]);
    let none = chosen("outcome == closed");
    assert_eq!((none.status.code(), text(&none.stdout)), (Some(0), String::new()), "what is not shown does not count");
    let one = chosen("cause == upgrade-headers-stripped and status == 426");
    assert_eq!((one.status.code(), text(&one.stdout).lines().count()), (Some(1), 1));
    assert!(text(&wsflow(&["explain", "fields"]).stdout).contains("cause"));
}

#[test]
fn packets_of_the_sessions_shown_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = folder.path().join("out.pcapng").to_string_lossy().into_owned();
    let output =
        wsflow(&["-r", STRIPPED, "pcaps/nginx-healthy.pcap", "-q", "-Y", "outcome == rejected", "-w", &written]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (again, before) = (wsflow(&["-r", &written, "-q"]), wsflow(&["-r", STRIPPED, "-q"]));
    assert_eq!(text(&again.stdout), text(&before.stdout), "the same session, and nothing else");
    refused(&["-r", &written, "-w", &written], &["overwrite"]);
    refused(&["-r", "-", "-w", &written], &["tee"]);
    refused(&["-r", STRIPPED, "-w", "no/such/folder/x.pcapng"], &["no/such/folder", "cannot write"]);
}

#[test]
fn what_is_read_is_not_written_over_whatever_it_is_called() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    fs::copy(STRIPPED, path("a.pcap")).expect("there is room");
    fs::hard_link(path("a.pcap"), path("b.pcap")).expect("a link");
    std::os::unix::fs::symlink(path("a.pcap"), path("c.pcap")).expect("a link");
    for written in ["a.pcap", "b.pcap", "c.pcap"] {
        refused(&["-r", &path("a.pcap"), "-w", &path(written)], &["-w", "would overwrite"]);
    }
    let left = fs::read(path("a.pcap")).expect("it is there");
    assert!(left == fs::read(STRIPPED).expect("it is there"));
    refused(&["-r", "/dev/null", "-w", &path("d.pcapng")], &["/dev/null"]);
    let mut command = command(&["-r", "/dev/stdin", "-w", &path("e.pcapng")]);
    let output = command.write_stdin(fs::read(STRIPPED).expect("it is there")).output().expect("the program runs");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(text(&output.stderr).contains("read twice, which a pipe cannot"), "{}", text(&output.stderr));
}

#[test]
fn a_cut_file_is_read_up_to_the_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let cut = folder.path().join("cut.pcap");
    let whole = fs::read(STRIPPED).expect("the capture");
    fs::write(&cut, &whole[..whole.len() - 7]).expect("a file");
    let output = wsflow(&["-r", &cut.to_string_lossy(), "-o", "json"]);
    let (found, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(2));
    assert!(found.contains(r#""cause":"upgrade-headers-stripped""#), "nothing is lost: {found}");
    assert!(found.contains(r#""type":"summary","packets":19,"#), "{found}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("cut.pcap") && error.contains("19 packets"), "{error}");
}

#[test]
fn standard_input_is_a_file_too() {
    let whole = fs::read(STRIPPED).expect("the capture");
    let output = command(&["-r", "-", "-q"]).write_stdin(whole).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), text(&wsflow(&["-r", STRIPPED, "-q"]).stdout));
}

#[test]
fn an_interrupt_ends_a_pipe_that_stalls_with_the_full_result() {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("wsflow"))
        .args(["-r", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(&fs::read(STRIPPED).expect("the capture")).expect("it is read");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let first = lines.next().expect("it prints while packets come").expect("text");
    assert!(first.contains("asks for websocket"), "{first}");
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill runs").success());
    let rest: Vec<String> = lines.map(|line| line.expect("text")).collect();
    let last = rest.last().expect("it goes on");
    assert!(last.starts_with("1 session: 1 rejected.") || last.ends_with("none lost."), "{last}");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    drop(input); // until now more might have come
}

#[test]
fn several_files_are_one_capture() {
    let output = wsflow(&["-r", STRIPPED, "pcaps/nginx-healthy.pcap", "-q"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let one = wsflow(&["-r", "pcaps/nginx-healthy.pcap", "-q"]);
    let lines = |output: &Output| text(&output.stdout).lines().count();
    assert_eq!(lines(&output), lines(&one) + 1);
}

#[test]
fn exit_statuses() {
    for (arguments, status) in [
        (&["--fail-on", "error"][..], 1),
        (&["--fail-on", "note"], 1),
        (&[], 0),
        (&["-c", "3", "--fail-on", "error"], 0),
    ] {
        let output = wsflow(&[&["-r", STRIPPED, "-q"], arguments].concat());
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("wsflow"))
        .args(["-r", STRIPPED, "-l"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn json_is_one_object_a_line() {
    let output = wsflow(&["-r", STRIPPED, "-o", "json"]);
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(types, ["session", "summary"]);
    assert_eq!(lines[0]["legs"][1]["request"]["version"], "HTTP/1.0");
    assert_eq!(lines[0]["findings"][0]["id"], lines[0]["cause"]);
}

#[test]
fn every_output_reads_every_capture() {
    let captures = fs::read_dir("pcaps").expect("the folder of captures");
    let mut names: Vec<_> = captures.filter_map(|entry| Some(entry.ok()?.path())).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng"));
    names.sort();
    assert!(names.len() > 20, "they are all here");
    for name in names {
        for format in ["text", "json", "report"] {
            let output = wsflow(&["-r", &name.to_string_lossy(), "-o", format]);
            let shown = text(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{}: {}", name.display(), text(&output.stderr));
            assert!(!shown.is_empty(), "{}", name.display());
            assert!(
                !shown.contains(|character: char| character.is_control() && character != '\n'),
                "{}",
                name.display()
            );
        }
    }
}

#[test]
fn colour_only_on_demand_in_a_pipe() {
    let has_colour = |arguments: &[&str]| text(&wsflow(arguments).stdout).contains('\x1b');
    assert!(!has_colour(&["-r", STRIPPED]));
    assert!(has_colour(&["-r", STRIPPED, "--color", "always"]));
    let forced = command(&["-r", STRIPPED]).env("CLICOLOR_FORCE", "1").output().expect("the program runs");
    assert!(text(&forced.stdout).contains('\x1b'));
}

#[test]
fn findings_are_explained() {
    let list = text(&wsflow(&["explain"]).stdout);
    let ids: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(ids.contains(&"upgrade-headers-stripped"), "{list}");
    for id in ids {
        let page = text(&wsflow(&["explain", id]).stdout);
        assert!(page.starts_with(id) && page.contains("What it means"), "{page}");
    }
}

#[test]
fn packagers_get_what_they_need() {
    assert!(text(&wsflow(&["completions", "bash"]).stdout).contains("--show-secrets"));
    let page = text(&wsflow(&["man"]).stdout);
    assert!(page.starts_with(".") && page.contains("show\\-secrets"), "{page}");
    assert!(text(&wsflow(&["--version"]).stdout).starts_with("wsflow 0."));
    assert!(text(&wsflow(&["-h"]).stdout).contains("explain [FINDING]"));
}

#[cfg(feature = "live")]
#[test]
fn an_interface_that_is_not_there() {
    refused(&["-i", "no-such-interface", "port", "443"], &["no-such-interface"]);
}

#[test]
fn files_of_hosts_whose_clocks_differ_are_one_capture() {
    const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 7], 40_001);
    const FRONT: ([u8; 4], u16) = ([10, 0, 0, 1], 80);
    const DIAL: ([u8; 4], u16) = ([10, 0, 0, 1], 50_001);
    const BACKEND: ([u8; 4], u16) = ([10, 0, 0, 9], 9000);
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, leg: Script| {
        let path = folder.path().join(name).to_string_lossy().into_owned();
        fs::write(&path, leg.pcap()).expect("a file");
        path
    };
    let start = Timestamp::from_parts(1_700_000_000, 0);
    let leg = |client, server, at| Script::new().starting_at(at).leg(client, server).opening_handshake();
    let front = file("front.pcap", leg(CLIENT, FRONT, start).client(websocket_text("hello")));
    // The backend's host is 40 ms ahead.
    let back = file("back.pcap", leg(DIAL, BACKEND, start.moved(40_000_000)).client(websocket_text("hello")));
    let output = wsflow(&["-r", &front, "-r", &back, "-o", "json"]);
    let sessions: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("one object a line"))
        .filter(|object| object["type"] == "session")
        .collect();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!(sessions[0]["legs"][1]["joined_by"], "key");
    assert!(text(&output.stderr).contains("back.pcap is 40 ms ahead"), "{}", text(&output.stderr));
}
