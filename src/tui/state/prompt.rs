//! A question in the bottom line, and what its answer does.

use std::path::{Path, PathBuf};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::{COLUMNS, Effect, Screen, State};
use crate::tui::format;
use crate::tui::store::Store;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::tui) enum Question {
    Search,
    Filter,
    Sort,
    Save,
    Open,
}

impl Question {
    /// The words in front of the answer.
    pub const fn words(self) -> &'static str {
        match self {
            Question::Search => "/",
            Question::Filter => "filter: ",
            Question::Sort => "sort by: ",
            Question::Save => "save to: ",
            Question::Open => "open: ",
        }
    }

    /// What can be answered.
    pub const fn hint(self) -> &'static str {
        match self {
            Question::Search | Question::Open => "",
            Question::Filter => "words, or a query: cause == idle-timeout",
            Question::Sort => "the name of a column, or its beginning",
            Question::Save => "Tab: pcapng, json, md",
        }
    }
}

/// A question that waits for its answer.
#[derive(Debug)]
pub(in crate::tui) struct Prompt {
    pub question: Question,
    pub input: Input,
    /// What was wrong with the answer.
    pub error: Option<String>,
}

impl State {
    /// Asks.
    pub(super) fn ask(&mut self, question: Question, answer: &str) {
        self.prompt = Some(Prompt { question, input: Input::new(answer.to_owned()), error: None });
    }

    /// Asks for a name once more, which can be mended: what was wrong with it is said.
    pub fn ask_again(&mut self, question: Question, path: &Path, error: String) {
        let input = Input::new(path.display().to_string());
        self.prompt = Some(Prompt { question, input, error: Some(error) });
    }

    /// A key while something is asked.
    pub(super) fn answer(&mut self, event: KeyEvent, store: &Store) -> Effect {
        let Some(prompt) = &mut self.prompt else { return Effect::None };
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        match event.code {
            KeyCode::Char('c') if control => return Effect::Quit,
            KeyCode::Esc => self.prompt = None,
            KeyCode::Backspace if prompt.input.value().is_empty() => self.prompt = None,
            KeyCode::Enter => return self.answered(store),
            KeyCode::Tab if prompt.question == Question::Save => self.next_format(),
            _ => {
                prompt.error = None;
                prompt.input.handle_event(&Event::Key(event));
            }
        }
        Effect::None
    }

    fn answered(&mut self, store: &Store) -> Effect {
        let Some(prompt) = &mut self.prompt else { return Effect::None };
        let answer = prompt.input.value().trim().to_owned();
        let question = prompt.question;
        let result = match question {
            Question::Filter => self.list.set_filter(&answer, store).map(|()| Effect::None),
            Question::Sort => self.sort_by_name(&answer, store),
            Question::Search => self.search(&answer, store),
            Question::Open => match answer.is_empty() {
                true => Ok(Effect::None),
                false => Ok(Effect::Open(PathBuf::from(answer))),
            },
            Question::Save => match answer.is_empty() {
                true => Ok(Effect::None),
                false => Ok(Effect::Save(PathBuf::from(answer), self.sessions_to_save())),
            },
        };
        match result {
            Ok(effect) => {
                self.prompt = None;
                self.follow_store(store);
                effect
            }
            Err(error) => {
                if let Some(prompt) = &mut self.prompt {
                    prompt.error = Some(error);
                }
                Effect::None
            }
        }
    }

    fn sort_by_name(&mut self, name: &str, store: &Store) -> Result<Effect, String> {
        let column = COLUMNS.into_iter().find(|column| !name.is_empty() && column.name().starts_with(name));
        let Some(column) = column else {
            let names: Vec<&str> = COLUMNS.iter().map(|column| column.name()).collect();
            return Err(format!("columns: {}", names.join(" ")));
        };
        self.list.sort_by(column, store);
        Ok(Effect::None)
    }

    fn search(&mut self, words: &str, store: &Store) -> Result<Effect, String> {
        match self.screen_mut() {
            Screen::Session(detail) => words.clone_into(&mut detail.search),
            _ => words.clone_into(&mut self.list.search),
        }
        if words.is_empty() || self.search_from_here(true, store) {
            Ok(Effect::None)
        } else {
            Err("not found".to_owned())
        }
    }

    /// The next match, or the one before.
    pub(super) fn search_again(&mut self, forward: bool, store: &Store) {
        let words = match self.screen() {
            Screen::Session(detail) => &detail.search,
            _ => &self.list.search,
        };
        if words.is_empty() {
            self.ask(Question::Search, "");
        } else if !self.search_from_here(forward, store) {
            self.notice = Some("not found".to_owned());
        }
    }

    fn search_from_here(&mut self, forward: bool, store: &Store) -> bool {
        let (mask, panel) = (self.mask, self.panel(store));
        let Screen::Session(detail) = self.screen_mut() else { return self.list.search(forward, store) };
        let Some(row) = store.row(detail.id) else { return false };
        let wanted = detail.search.to_lowercase();
        let count = row.messages.len();
        let at = detail.cursor().selected;
        let says = |index: &usize| {
            let entry = row.messages.at(*index);
            entry.is_some_and(|entry| {
                format::wire_bytes(mask, &entry.heard.preview).to_lowercase().contains(&wanted)
                    || entry.heard.kind.name().contains(&wanted)
            })
        };
        let found = (1..=count)
            .map(|step| if forward { (at + step) % count } else { (at + count - step % count) % count })
            .find(says);
        if let Some(index) = found {
            detail.follow = false;
            let cursor = detail.cursor_mut();
            cursor.selected = index;
            cursor.keep_visible(panel.lines, panel.rows);
        }
        found.is_some()
    }
}
