//! Where sessions are saved: the name that is proposed, and the format that its ending asks for.

use std::path::{Path, PathBuf};

use tui_input::Input;

use super::{Question, Screen, State};
use crate::session::SessionId;

/// The formats by their endings: packets, JSON Lines, a report.
const ENDINGS: [&str; 3] = ["pcapng", "json", "md"];

/// The name that is proposed.
#[derive(Debug)]
pub(in crate::tui) struct Proposal {
    /// Where files can be made; empty for here.
    pub folder: PathBuf,
    number: u32,
    ending: String,
}

impl Default for Proposal {
    fn default() -> Self {
        Proposal { folder: PathBuf::new(), number: 1, ending: ENDINGS[0].to_owned() }
    }
}

impl Proposal {
    /// Goes on to a name that nothing has.
    pub fn skip(&mut self, is_there: impl Fn(&Path) -> bool) {
        let taken = |number| ENDINGS.iter().any(|ending| is_there(&self.path(number, ending)));
        self.number = (self.number..).find(|&number| !taken(number)).unwrap_or(self.number);
    }

    fn path(&self, number: u32, ending: &str) -> PathBuf {
        let name = match number {
            1 => format!("wsflow-sessions.{ending}"),
            _ => format!("wsflow-sessions-{number}.{ending}"),
        };
        self.folder.join(name)
    }
}

impl State {
    /// Asks where to save.
    pub(super) fn ask_where(&mut self) {
        let Proposal { number, ending, .. } = &self.proposal;
        let path = self.proposal.path(*number, ending).display().to_string();
        self.ask(Question::Save, &path);
    }

    /// It was saved: the next file is likely to be of the same kind.
    pub fn saved(&mut self, path: &Path, said: String) {
        if let Some(ending) = path.extension().and_then(|ending| ending.to_str()) {
            ending.clone_into(&mut self.proposal.ending);
        }
        self.notice = Some(said);
    }

    /// The name that is asked for gets the next ending.
    pub(super) fn next_format(&mut self) {
        let Some(prompt) = &mut self.prompt else { return };
        let mut path = PathBuf::from(prompt.input.value());
        let now = path.extension().and_then(|now| ENDINGS.iter().position(|ending| now == *ending));
        if path.set_extension(ENDINGS[now.map_or(0, |at| (at + 1) % ENDINGS.len())]) {
            (prompt.input, prompt.error) = (Input::new(path.display().to_string()), None);
        }
    }

    /// The chosen sessions; where one is looked at, that one.
    pub(super) fn sessions_to_save(&self) -> Vec<SessionId> {
        match self.screen() {
            Screen::Session(detail) => vec![detail.id],
            _ => self.list.to_save(),
        }
    }
}
