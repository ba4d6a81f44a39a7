//! Sessions to a file, in the format that its name asks for.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use crate::diagnosis::GroupFinding;
use crate::diagnosis::wording::Count;
use crate::engine::event::{Event, Sink, Summary};
use crate::output::json::Json;
use crate::output::mask::Mask;
use crate::output::report::Report;
use crate::session::SessionId;
use crate::source::without_code;
use crate::tui::store::Store;
use crate::tui::{Judged, Saved};

/// The sessions with their judgements; of those that are open what is known so far.
pub(super) fn judged(ids: &[SessionId], store: &Store) -> Result<Vec<Judged>, String> {
    let rows = ids.iter().filter_map(|id| store.row(*id));
    let known: Vec<Judged> = rows
        .filter_map(|row| Some((Arc::clone(row.session()?), row.diagnosis().map(Arc::clone).unwrap_or_default())))
        .collect();
    match (known.is_empty(), ids.is_empty()) {
        (true, true) => Err("there is no session to save".to_owned()),
        (true, false) => Err("the details of these sessions are no longer kept".to_owned()),
        (false, _) => Ok(known),
    }
}

/// A file that is asked for, and not there yet.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    path: &'a Path,
    /// Whose rights are left, where others were given up.
    user: Option<&'a str>,
}

impl<'a> Target<'a> {
    pub(super) fn new(path: &'a Path, user: Option<&'a str>) -> Target<'a> {
        Target { path, user }
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        self.path
    }

    pub(super) fn ending(&self) -> &str {
        self.path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()
    }

    /// Makes the file, for its owner's eyes: nothing in packets is masked.
    ///
    /// # Errors
    ///
    /// When it is there already, or cannot be made: in one line that says what to do.
    pub fn create(&self) -> Result<File, String> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.path).map_err(|error| self.failed(&error))
    }

    /// What went wrong with it, and what to do.
    pub fn failed(&self, error: &io::Error) -> String {
        let path = self.path.display();
        match (error.kind(), self.user) {
            (io::ErrorKind::AlreadyExists, _) => format!("{path} is there already"),
            (io::ErrorKind::PermissionDenied, Some(user)) => format!(
                "{user} may not write {path}: other rights were given up when the capture began; choose another folder, as {}, \
                 or start it with -Z USER",
                std::env::temp_dir().display()
            ),
            _ => format!("cannot write {path}: {}", without_code(error)),
        }
    }
}

/// Writes sessions, and says what was done. `run` is the run that they are of.
pub(super) fn save(
    target: &Target<'_>,
    known: &[Judged],
    shared: &[GroupFinding],
    run: &Summary,
    source: &str,
    mask: Mask,
) -> Result<String, String> {
    let create = || target.create().map(BufWriter::new);
    let written = match target.ending() {
        "json" | "jsonl" | "ndjson" => {
            let mut out = create()?;
            tell(&mut Json::new(&mut out, mask, false), known, shared).and_then(|()| out.flush())
        }
        "md" | "markdown" => {
            let mut out = create()?;
            let mut report = Report::new(&mut out, mask, vec![source.to_owned()]);
            let summary = Summary { sessions: outcomes(known), ..run.clone() };
            tell(&mut report, known, shared)
                .and_then(|()| report.event(&Event::Summary(&summary)))
                .and_then(|()| out.flush())
        }
        _ => return Err("the name must end in .pcapng (the packets), .json (JSON Lines) or .md (a report)".to_owned()),
    };
    written.map(|()| said(known.len(), target)).map_err(|error| target.failed(&error))
}

/// What was done, of packets.
pub(super) fn packets(sessions: usize, saved: Saved, target: &Target<'_>) -> String {
    let Saved { packets, missing } = saved;
    let said = format!("{}, {}", said(sessions, target), Count(packets, "packet"));
    match missing {
        0 => said,
        1 => said + "; 1 more was no longer held",
        more => format!("{said}; {more} more were no longer held"),
    }
}

fn said(sessions: usize, target: &Target<'_>) -> String {
    format!("{} saved to {}", Count(sessions as u64, "session"), target.path.display())
}

/// The sessions, and what was said of them and of others at once.
fn tell(sink: &mut dyn Sink, known: &[Judged], shared: &[GroupFinding]) -> io::Result<()> {
    known.iter().try_for_each(|(session, diagnosis)| sink.event(&Event::Session(session, diagnosis)))?;
    let saved = |id: &SessionId| known.iter().any(|(session, _)| session.id == *id);
    let theirs = shared.iter().filter(|finding| finding.sessions.iter().any(saved));
    theirs.into_iter().try_for_each(|finding| sink.event(&Event::Finding(finding)))
}

/// How many of each outcome.
fn outcomes(known: &[Judged]) -> Vec<(&'static str, u64)> {
    let mut outcomes: Vec<(&'static str, u64)> = Vec::new();
    for (session, _) in known {
        let name = session.outcome.name();
        match outcomes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => outcomes.push((name, 1)),
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::samples;

    #[test]
    fn the_name_chooses_the_format() {
        let folder = tempfile::tempdir().expect("a folder for a moment");
        let store = samples::proxied_failure();
        let ids: Vec<_> = store.rows().keys().copied().collect();
        let known = judged(&ids, &store).expect("there is one");
        let run = &store.figures.summary;
        let save = |name: &str| {
            let path = folder.path().join(name);
            save(&Target::new(&path, None), &known, &[], run, "a.pcap", Mask::Secrets)
        };
        assert!(save("a.json").is_ok_and(|said| said.starts_with("1 session saved")));
        let json = std::fs::read_to_string(folder.path().join("a.json")).expect("it was written");
        assert!(json.starts_with("{\"type\":\"session\"") && json.lines().count() == 1);
        let finding = known[0].1.findings[0].clone();
        let shared = |sessions| GroupFinding { finding: finding.clone(), sessions };
        let shared = [shared(vec![ids[0], SessionId(99)]), shared(vec![SessionId(99)])];
        let path = folder.path().join("b.json");
        super::save(&Target::new(&path, None), &known, &shared, run, "a.pcap", Mask::Secrets).expect("there is room");
        let json = std::fs::read_to_string(&path).expect("it was written");
        assert_eq!(json.lines().filter(|line| line.starts_with("{\"type\":\"finding\"")).count(), 1, "{json}");
        assert!(save("a.md").is_ok());
        assert!(save("a.json").is_err_and(|error| error.contains("there already")), "nothing is overwritten");
        assert!(save("a.xyz").is_err_and(|error| error.contains(".json")));
    }

    #[test]
    fn what_was_saved_and_what_was_not_is_told() {
        let target = Target::new(Path::new("a.pcapng"), Some("nobody"));
        let told = |packets, missing| super::packets(2, Saved { packets, missing }, &target);
        assert_eq!(told(40, 0), "2 sessions saved to a.pcapng, 40 packets");
        assert_eq!(told(1, 12), "2 sessions saved to a.pcapng, 1 packet; 12 more were no longer held");
        let denied = target.failed(&io::ErrorKind::PermissionDenied.into());
        assert!(denied.contains("nobody may not write") && denied.contains("-Z USER"), "{denied}");
    }
}
