//! The rules on captures of real software: each names the cause that `pcaps/README.md` expects, and stays silent on what
//! works.

#![allow(missing_docs, clippy::unwrap_used)]

use std::io;
use std::path::{Path, PathBuf};

use wsflow::diagnosis::{Diagnosis, Severity, rules};
use wsflow::engine::{Engine, EngineOptions, Event, Sink, Wants};
use wsflow::limits::Limits;
use wsflow::source::{Input, Savefiles, Source};
use wsflow::tls::Origin;

/// Keeps all judgements.
#[derive(Default)]
struct Judgements(Vec<Diagnosis>);

impl Sink for Judgements {
    fn wants(&self) -> Wants {
        Wants::default()
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if let Event::Session(_, diagnosis) = event {
            self.0.push((*diagnosis).clone());
        }
        Ok(())
    }
}

fn judge(capture: &Path) -> Vec<Diagnosis> {
    let mut judgements = Judgements::default();
    let limits = Limits::default();
    let mut engine = Engine::new(&limits, EngineOptions::default(), judgements.wants());
    if let Ok(keys) = std::fs::read(capture.with_extension("keys")) {
        engine.secrets(Origin::KeyLog, &keys, &mut judgements).unwrap();
    }
    let mut source = Savefiles::open(&[capture.to_owned()], None).unwrap();
    while let Some(input) = source.next().unwrap() {
        if let Input::Packet(packet) = input {
            engine.packet(&packet, &mut judgements).unwrap();
        }
    }
    engine.finish(&mut judgements).unwrap();
    judgements.0
}

/// What a row of the table expects.
struct Row {
    capture: PathBuf,
    healthy: bool,
    /// The causes that are right; of a healthy capture the findings that it may have all the same.
    ids: Vec<String>,
}

fn rows() -> Vec<Row> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    readme
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let columns: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            let expected = columns.last().unwrap();
            Row {
                capture: folder.join(columns[0].trim().trim_matches('`')),
                healthy: expected.trim().starts_with("healthy"),
                ids: expected.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
            }
        })
        .collect()
}

/// One ping without a pong for 0.7 s before the end: too little to blame it, so far.
const MISSED: &[&str] = &["ping-unanswered.pcap"];

#[test]
fn the_cause_is_the_one_that_was_made() {
    for Row { capture, ids, .. } in rows().into_iter().filter(|row| !row.healthy) {
        let name = capture.file_name().unwrap().to_string_lossy();
        if MISSED.contains(&&*name) || !ids.iter().any(|id| rules::find(id).is_some()) {
            continue;
        }
        let judgements = judge(&capture);
        assert!(!judgements.is_empty(), "{} has no session", capture.display());
        for diagnosis in judgements {
            let cause = diagnosis.cause().map(|finding| finding.id.to_owned());
            assert!(cause.as_ref().is_some_and(|cause| ids.contains(cause)), "{}: {cause:?}", capture.display());
        }
    }
}

#[test]
fn what_works_raises_no_alarm() {
    for Row { capture, ids, .. } in rows().into_iter().filter(|row| row.healthy) {
        for diagnosis in judge(&capture) {
            assert_eq!(diagnosis.cause, None, "{}: {}", capture.display(), diagnosis.verdict);
            let loud = diagnosis.findings.iter().filter(|finding| finding.severity > Severity::Note);
            let alarms: Vec<&str> =
                loud.map(|finding| finding.id).filter(|id| !ids.contains(&(*id).to_owned())).collect();
            assert!(alarms.is_empty(), "{}: {alarms:?}", capture.display());
        }
    }
}
