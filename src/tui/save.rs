//! Sessions to a file, in the format that its name asks for.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::diagnosis::wording::Count;
use crate::engine::event::{Event, Sink, Summary};
use crate::output::json::Json;
use crate::output::mask::Mask;
use crate::output::report::Report;
use crate::session::SessionId;
use crate::tui::store::Store;

/// Writes sessions that are over, or what is known of them so far, and says what was done.
pub(super) fn save(path: &Path, ids: &[SessionId], store: &Store, source: &str, mask: Mask) -> Result<String, String> {
    let known: Vec<_> = ids
        .iter()
        .filter_map(|id| store.row(*id))
        .filter_map(|row| Some((row.session()?, row.diagnosis().map(|diagnosis| (**diagnosis).clone()))))
        .collect();
    if known.is_empty() {
        return Err("there is no session to save".to_owned());
    }
    let summary = Summary { sessions: outcomes(&known), ..store.figures.summary.clone() };
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let write = |sink: &mut dyn Sink, with_summary: bool| -> io::Result<()> {
        for (session, diagnosis) in &known {
            sink.event(&Event::Session(session, &diagnosis.clone().unwrap_or_default()))?;
        }
        if with_summary { sink.event(&Event::Summary(&summary)) } else { Ok(()) }
    };
    let create = || File::create_new(path).map(BufWriter::new);
    let result = match extension {
        "json" | "jsonl" | "ndjson" => create().and_then(|mut out| {
            write(&mut Json::new(&mut out, mask, false), false)?;
            out.flush()
        }),
        "md" | "markdown" => create().and_then(|mut out| {
            write(&mut Report::new(&mut out, mask, vec![source.to_owned()]), true)?;
            out.flush()
        }),
        _ => return Err("the name must end in .json (JSON Lines) or .md (a report)".to_owned()),
    };
    match result {
        Ok(()) => Ok(format!("{} saved to {}", Count(known.len() as u64, "session"), path.display())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(format!("{} is there already", path.display()))
        }
        Err(error) => Err(format!("cannot write {}: {error}", path.display())),
    }
}

type Known<'a> = (&'a std::sync::Arc<crate::session::Session>, Option<crate::diagnosis::Diagnosis>);

/// How many of each outcome.
fn outcomes(known: &[Known<'_>]) -> Vec<(&'static str, u64)> {
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
        let save = |name: &str| save(&folder.path().join(name), &ids, &store, "a.pcap", Mask::Secrets);
        assert!(save("a.json").is_ok_and(|said| said.starts_with("1 session saved")));
        let json = std::fs::read_to_string(folder.path().join("a.json")).expect("it was written");
        assert!(json.starts_with("{\"type\":\"session\"") && json.lines().count() == 1);
        assert!(save("a.md").is_ok());
        assert!(save("a.json").is_err_and(|error| error.contains("there already")), "nothing is overwritten");
        assert!(save("a.xyz").is_err_and(|error| error.contains(".json")));
    }
}
