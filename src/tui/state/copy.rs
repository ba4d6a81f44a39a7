//! What goes to the clipboard.

use super::{Effect, Explained, Screen, State};
use crate::output::fix;
use crate::session::SessionId;
use crate::tui::store::Store;

impl State {
    /// The fix of what is looked at.
    pub(super) fn copy_fix(&mut self, store: &Store) -> Effect {
        let text = match self.screen() {
            Screen::Findings(cursor) => store.findings.groups.get(cursor.selected).map(|group| &*group.example.fix),
            Screen::Explain(Explained::Finding(id), _) => store.findings.find(id).map(|group| &*group.example.fix),
            Screen::Explain(Explained::Session(id), _) => first_fix(store, *id),
            Screen::Session(detail) => first_fix(store, detail.id),
            _ => None,
        };
        match text {
            Some(text) => {
                self.notice = Some("the fix is in the clipboard, where the terminal allows it (OSC 52)".to_owned());
                Effect::Copy(paste(text))
            }
            None => {
                self.notice = Some("there is nothing to fix".to_owned());
                Effect::None
            }
        }
    }
}

/// The fix of the cause, or of the first finding.
fn first_fix(store: &Store, id: SessionId) -> Option<&str> {
    let diagnosis = store.row(id)?.diagnosis()?;
    diagnosis.cause().or(diagnosis.findings.first()).map(|finding| &*finding.fix)
}

/// The lines to paste; where there are none, the words.
fn paste(text: &str) -> String {
    let steps = fix::steps(text);
    let code: Vec<&str> = steps.iter().flat_map(|step| step.code.iter().copied()).collect();
    if code.is_empty() { text.to_owned() } else { code.join("\n") + "\n" }
}
