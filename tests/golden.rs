//! The captures in `pcaps/`, and what must be said of them: their README is the list of expectations.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// A row of the table in `pcaps/README.md`.
struct Row {
    capture: String,
    expected: String,
}

fn rows() -> Vec<Row> {
    let readme = fs::read_to_string("pcaps/README.md").expect("the README of the captures");
    let rows: Vec<Row> = readme
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let capture = cells[0].trim_matches('`').to_owned();
            Row { capture, expected: cells.last().expect("a cell").trim_end_matches('|').trim().to_owned() }
        })
        .collect();
    assert!(rows.len() > 20, "the table was found");
    rows
}

fn records(capture: &str) -> Vec<serde_json::Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsflow"));
    command.env_remove("SSLKEYLOGFILE").args(["-r", &format!("pcaps/{capture}"), "-o", "json"]);
    let keys = format!("pcaps/{}", capture.replace(".pcap", ".keys"));
    if fs::exists(&keys).is_ok_and(|exists| exists) {
        command.args(["--keylog", &keys]);
    }
    let output = command.output().expect("wsflow runs");
    assert!(output.status.success(), "{capture}: {}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    printed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn every_capture_has_a_row() {
    let listed: BTreeSet<String> = rows().into_iter().map(|row| row.capture).collect();
    let there: BTreeSet<String> = fs::read_dir("pcaps")
        .expect("the captures")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".pcap") || name.ends_with(".pcapng"))
        .collect();
    assert_eq!(there, listed);
}

#[test]
fn every_capture_is_judged_as_its_row_says() {
    for Row { capture, expected } in rows() {
        let records = records(&capture);
        let sessions: Vec<_> = records.iter().filter(|record| record["type"] == "session").collect();
        let causes: BTreeSet<&str> = sessions.iter().filter_map(|session| session["cause"].as_str()).collect();
        let ids: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        if !expected.starts_with("healthy") {
            let right = ids.first().expect("a cause in the row");
            assert_eq!(causes, BTreeSet::from([*right]), "{capture}");
            continue;
        }
        assert!(causes.is_empty(), "{capture} is healthy, and blamed: {causes:?}");
        let findings = sessions.iter().flat_map(|session| session["findings"].as_array().expect("findings"));
        for finding in findings.filter(|finding| finding["severity"] != "note") {
            let id = finding["id"].as_str().expect("an id");
            assert!(ids.contains(&id), "{capture} is healthy, and {id} is an alarm");
        }
    }
}

#[test]
fn the_readme_lists_the_findings() {
    let readme = fs::read_to_string("README.md").expect("the README");
    let table = wsflow::diagnosis::rules::markdown_table();
    assert!(
        readme.contains(&table),
        "the table of findings in README.md is not that of the rules; it should be:\n{table}"
    );
}
