//! Sessions to a file, in the format that its name asks for.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use crate::diagnosis::wording::Count;
use crate::engine::event::{Event, Sink, Summary};
use crate::output::json::Json;
use crate::output::mask::Mask;
use crate::output::report::Report;
use crate::session::SessionId;
use crate::tui::Judged;
use crate::tui::store::Store;

/// The sessions with their judgements; of those that are open what is known so far.
pub(super) fn judged(ids: &[SessionId], store: &Store) -> Result<Vec<Judged>, String> {
    let rows = ids.iter().filter_map(|id| store.row(*id));
    let known: Vec<Judged> = rows
        .filter_map(|row| Some((Arc::clone(row.session()?), row.diagnosis().map(Arc::clone).unwrap_or_default())))
        .collect();
    if known.is_empty() { Err("there is no session to save".to_owned()) } else { Ok(known) }
}

/// Writes sessions, and says what was done. `run` is the run that they are of.
pub(super) fn save(path: &Path, known: &[Judged], run: &Summary, source: &str, mask: Mask) -> Result<String, String> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let create = || File::create_new(path).map(BufWriter::new);
    let result = match extension {
        "json" | "jsonl" | "ndjson" => create().and_then(|mut out| {
            tell(&mut Json::new(&mut out, mask, false), known)?;
            out.flush()
        }),
        "md" | "markdown" => create().and_then(|mut out| {
            let mut report = Report::new(&mut out, mask, vec![source.to_owned()]);
            tell(&mut report, known)?;
            report.event(&Event::Summary(&Summary { sessions: outcomes(known), ..run.clone() }))?;
            out.flush()
        }),
        _ => return Err("the name must end in .json (JSON Lines), .md (a report) or .pcapng (the packets)".to_owned()),
    };
    match result {
        Ok(()) => Ok(saved(known.len(), path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(format!("{} is there already", path.display()))
        }
        Err(error) => Err(format!("cannot write {}: {error}", path.display())),
    }
}

/// What was done.
pub(super) fn saved(count: usize, path: &Path) -> String {
    format!("{} saved to {}", Count(count as u64, "session"), path.display())
}

fn tell(sink: &mut dyn Sink, known: &[Judged]) -> io::Result<()> {
    known.iter().try_for_each(|(session, diagnosis)| sink.event(&Event::Session(session, diagnosis)))
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
        let save = |name: &str| save(&folder.path().join(name), &known, run, "a.pcap", Mask::Secrets);
        assert!(save("a.json").is_ok_and(|said| said.starts_with("1 session saved")));
        let json = std::fs::read_to_string(folder.path().join("a.json")).expect("it was written");
        assert!(json.starts_with("{\"type\":\"session\"") && json.lines().count() == 1);
        assert!(save("a.md").is_ok());
        assert!(save("a.json").is_err_and(|error| error.contains("there already")), "nothing is overwritten");
        assert!(save("a.xyz").is_err_and(|error| error.contains(".json")));
    }
}
