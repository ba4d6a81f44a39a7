//! TLS secrets on their way in and out of the program: key logs with faults, blocks in what is written.

#![expect(clippy::disallowed_methods, reason = "what takes time is measured with a clock")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const CAPTURE: &str = "pcaps/wss-with-keys.pcap";
const KEYS: &str = "pcaps/wss-with-keys.keys";

fn wsflow(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsflow"));
    command.args(arguments).env_remove("SSLKEYLOGFILE").output().expect("wsflow runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What JSON says of the capture's only session with this key log.
fn session(keys: &Path) -> serde_json::Value {
    let output = wsflow(&["-r", CAPTURE, "--keylog", &keys.display().to_string(), "-o", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let records = printed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let mut sessions = records.filter(|record| record["type"] == "session");
    let session = sessions.next().expect("a session");
    assert!(sessions.next().is_none());
    session
}

fn is_decrypted(session: &serde_json::Value) -> bool {
    session["legs"][0]["tls"]["decrypted_by"] == "keylog" && session["legs"][0]["websocket"].is_object()
}

/// What tshark reads of HTTP and WebSocket in a file, by the secrets in it alone; `None` where there is no tshark.
fn tshark(file: &Path) -> Option<String> {
    let output = Command::new("tshark")
        .args(["-n", "-o", "tls.keylog_file:", "-d", "tcp.port==8443,tls", "-Y", "tls && websocket", "-r"])
        .arg(file)
        .env_remove("SSLKEYLOGFILE")
        .output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{}", text(&output.stderr));
            Some(text(&output.stdout))
        }
        Err(_) => {
            eprintln!("SKIPPED: no tshark to open {} with", file.display());
            None
        }
    }
}

fn has_secrets(file: &Path) -> bool {
    let bytes = fs::read(file).expect("a file");
    memchr::memmem::find(&bytes, b"TRAFFIC_SECRET").is_some()
}

#[test]
fn secrets_are_written_when_they_are_asked_for_and_open_what_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let (with, without) = (folder.path().join("with.pcapng"), folder.path().join("without.pcapng"));
    let write = |file: &Path, options: &[&str]| {
        let file = file.display().to_string();
        let output = wsflow(&[&["-r", CAPTURE, "--keylog", KEYS, "-o", "json", "-w", &file], options].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    write(&without, &[]);
    write(&with, &["--embed-secrets"]);
    assert!(!has_secrets(&without) && has_secrets(&with));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&with).expect("a file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may not read it: {mode:o}");
    }
    if let Some(opened) = tshark(&with) {
        assert!(opened.lines().count() >= 6, "three messages and their echoes: {opened}");
        assert_eq!(tshark(&without).as_deref(), Some(""), "nothing opens without them");
    }
    // The block opens it for us as well, and is not passed on by itself.
    let output = wsflow(&["-r", &with.display().to_string(), "-o", "json"]);
    assert!(text(&output.stdout).contains(r#""decrypted_by":"secrets block""#));
    let (again, passed_on) = (folder.path().join("again.pcapng"), folder.path().join("passed-on.pcapng"));
    for (file, options) in [(&again, &[][..]), (&passed_on, &["--embed-secrets"][..])] {
        let (read, written) = (with.display().to_string(), file.display().to_string());
        assert!(wsflow(&[&["-r", &read, "-w", &written], options].concat()).status.success());
    }
    assert!(!has_secrets(&again) && has_secrets(&passed_on));
}

#[test]
fn only_secrets_of_the_sessions_that_are_written_go_with_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    let stranger = format!("CLIENT_TRAFFIC_SECRET_0 {} {}\n", "ab".repeat(32), "cd".repeat(32));
    fs::write(&keys, stranger.clone() + &fs::read_to_string(KEYS).expect("keys")).expect("a file");
    let written = folder.path().join("with.pcapng");
    let (keys, file) = (keys.display().to_string(), written.display().to_string());
    assert!(wsflow(&["-r", CAPTURE, "--keylog", &keys, "-w", &file, "--embed-secrets"]).status.success());
    let bytes = text(&fs::read(&written).expect("a file"));
    assert!(bytes.contains("CLIENT_TRAFFIC_SECRET_0") && !bytes.contains(&"ab".repeat(32)));
    // None of them is chosen, none is written.
    let output =
        wsflow(&["-r", CAPTURE, "--keylog", &keys, "-w", &file, "--embed-secrets", "-Y", "cause == \"no-answer\""]);
    assert!(output.status.success() && !has_secrets(&written));
    assert!(text(&output.stderr).contains("none were written"), "{}", text(&output.stderr));
}

#[test]
fn secrets_are_for_files_that_are_written() {
    let output = wsflow(&["-r", CAPTURE, "--embed-secrets"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let output = wsflow(&["-i", "lo", "-w", "/nowhere/a.pcapng", "--embed-secrets"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("-r FILE"), "{}", text(&output.stderr));
}

#[test]
fn no_output_has_a_secret_in_it() {
    let secrets: Vec<String> = fs::read_to_string(KEYS)
        .expect("keys")
        .lines()
        .filter_map(|line| Some(line.rsplit(' ').next()?.to_owned()))
        .collect();
    assert!(secrets.len() >= 4);
    for format in ["text", "json", "report"] {
        let output = wsflow(&["-r", CAPTURE, "--keylog", KEYS, "-o", format, "-v", "--show-secrets"]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!secrets.iter().any(|secret| said.contains(secret)), "{format}");
    }
}

#[test]
fn key_logs_with_faults_are_read_for_what_is_good_in_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys");
    let good = fs::read_to_string(KEYS).expect("keys");
    let random = good.split_whitespace().nth(1).expect("a random value").to_owned();
    let wrong = |line: &str| {
        let (rest, secret) = line.rsplit_once(' ').expect("a secret");
        format!("{rest} {}\n", secret.chars().rev().collect::<String>())
    };
    let wrong: String = good.lines().map(wrong).collect();
    let binary: Vec<u8> = (0..=255u8).cycle().take(300_000).collect();
    let truncated = &good[..good.len() / 2];
    let opens: [(&str, Vec<u8>, bool); 8] = [
        ("right", good.clone().into(), true),
        ("twice, in capitals, with other ends of lines", good.repeat(2).replace('\n', "\r\n").into(), true),
        ("wrong ones first", (wrong.clone() + &good).into(), true),
        ("in the middle of a binary file", [&binary[..], b"\n", good.as_bytes(), &binary[..]].concat(), true),
        ("wrong", wrong.into(), false),
        ("empty", Vec::new(), false),
        ("binary", binary.clone(), false),
        ("of another connection", good.replace(&random, &"00".repeat(32)).into(), false),
    ];
    for (name, bytes, decrypted) in opens {
        fs::write(&file, bytes).expect("a file");
        let session = session(&file);
        assert_eq!(is_decrypted(&session), decrypted, "{name}: {session}");
        if !decrypted {
            assert_eq!(session["outcome"], "encrypted", "{name}");
            assert!(session["legs"][0]["websocket"].is_null(), "{name}");
        }
    }
    // Cut anywhere it gives what its whole lines give, and never wrong text.
    fs::write(&file, truncated).expect("a file");
    let session = session(&file);
    assert!(session["outcome"] == "encrypted" || is_decrypted(&session), "{session}");
}

#[test]
fn ten_million_lines_are_read_in_bounded_memory() {
    // About 1.5 GB; a hundredth of it in the ordinary run. The keys of the capture come last.
    let lines = if std::env::var_os("WSFLOW_LARGE_TESTS").is_some() { 10_000_000u64 } else { 100_000 };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys");
    {
        use std::io::Write;
        let mut out = std::io::BufWriter::new(fs::File::create(&file).expect("a file"));
        let secret = "5c".repeat(32);
        for line in 0..lines {
            writeln!(out, "CLIENT_TRAFFIC_SECRET_0 {line:064x} {secret}").expect("room");
        }
        out.write_all(&fs::read(KEYS).expect("keys")).expect("room");
        out.flush().expect("room");
    }
    let begun = Instant::now();
    let output = Command::new("/usr/bin/env")
        .args(["sh", "-c", "ulimit -v 1500000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_wsflow")])
        .args(["-r", CAPTURE, "-o", "json", "--keylog"])
        .arg(&file)
        .env_remove("SSLKEYLOGFILE")
        .output()
        .expect("wsflow runs");
    let took = begun.elapsed();
    eprintln!("{lines} lines took {took:?}");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(r#""decrypted_by":"keylog""#), "the last lines count");
    assert!(took < Duration::from_secs(120), "{took:?}");
}
