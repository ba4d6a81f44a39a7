//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::session::SessionId;
use crate::tui::samples;

fn state() -> State {
    let mut state = State::new("a.pcap".to_owned(), false, Mask::Secrets, Theme::None);
    state.size = (100, 30);
    state
}

fn press(state: &mut State, store: &Store, keys: &str) -> Effect {
    keys.chars().map(|key| state.key(KeyEvent::from(KeyCode::Char(key)), store)).last().unwrap_or(Effect::None)
}

fn enter(state: &mut State, store: &Store) -> Effect {
    state.key(KeyEvent::from(KeyCode::Enter), store)
}

#[test]
fn in_and_out_again() {
    let (mut state, store) = (state(), samples::healthy());
    state.follow_store(&store);
    assert_eq!(enter(&mut state, &store), Effect::None);
    assert_eq!(state.view(), View::Ladder);
    state.key(KeyEvent::from(KeyCode::Tab), &store);
    assert_eq!(state.view(), View::Headers);
    press(&mut state, &store, "?");
    assert_eq!(state.view(), View::Help);
    press(&mut state, &store, "qq");
    assert_eq!(state.view(), View::Sessions);
    assert_eq!(press(&mut state, &store, "q"), Effect::Quit);
}

#[test]
fn control_c_quits_from_everywhere() {
    let store = samples::healthy();
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for keys in ["", "2", "3", "?", "t", "f", "/", "s"] {
        let mut state = state();
        press(&mut state, &store, keys);
        assert_eq!(state.key(control_c, &store), Effect::Quit, "after {keys:?}");
    }
}

#[test]
fn a_wrong_filter_is_told_and_the_old_one_stays() {
    let (mut state, store) = (state(), samples::proxied_failure());
    press(&mut state, &store, "frejected");
    enter(&mut state, &store);
    assert_eq!((state.list.filter_text(), state.list.len()), ("rejected", 1));
    let control_u = KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL);
    press(&mut state, &store, "f");
    state.key(control_u, &store);
    press(&mut state, &store, "outcom == open");
    enter(&mut state, &store);
    let error = state.prompt.as_ref().and_then(|prompt| prompt.error.clone());
    assert!(error.is_some_and(|error| error.contains(">>>outcom")));
    assert_eq!(state.list.filter_text(), "rejected");
    state.key(KeyEvent::from(KeyCode::Esc), &store);
    assert!(state.prompt.is_none());
    state.key(KeyEvent::from(KeyCode::Esc), &store);
    assert_eq!(state.list.filter_text(), "", "a second Esc shows all again");
}

#[test]
fn the_selection_stays_with_its_session() {
    let (mut state, mut store) = (state(), samples::many(50));
    state.follow_store(&store);
    press(&mut state, &store, "jjj");
    let chosen = state.list.selected();
    assert_eq!(chosen, Some(SessionId(4)));
    press(&mut state, &store, "r");
    assert_eq!(state.list.selected(), chosen);
    samples::more(&mut store, 51..80);
    state.follow_store(&store);
    assert_eq!(state.list.selected(), chosen);
    press(&mut state, &store, "r>>>>");
    assert_eq!(state.list.selected(), chosen);
}

#[test]
fn following_goes_to_the_newest() {
    let (mut state, mut store) = (state(), samples::many(5));
    press(&mut state, &store, "F");
    assert_eq!(state.list.selected(), Some(SessionId(5)));
    samples::more(&mut store, 6..9);
    state.follow_store(&store);
    assert_eq!(state.list.selected(), Some(SessionId(8)));
    press(&mut state, &store, "k");
    assert!(!state.list.follow, "who moves does not follow");
}

#[test]
fn a_held_screen_takes_no_new_rows() {
    let (mut state, mut store) = (state(), samples::many(5));
    state.follow_store(&store);
    press(&mut state, &store, "p");
    samples::more(&mut store, 6..9);
    state.follow_store(&store);
    assert_eq!(state.list.len(), 5);
    press(&mut state, &store, "p");
    assert_eq!(state.list.len(), 8);
}

#[test]
fn search_goes_round() {
    let (mut state, store) = (state(), samples::many(30));
    state.follow_store(&store);
    press(&mut state, &store, "/10.0.1.2");
    enter(&mut state, &store);
    let first = state.list.selected();
    press(&mut state, &store, "n");
    assert_ne!(state.list.selected(), first);
    press(&mut state, &store, "N");
    assert_eq!(state.list.selected(), first);
    press(&mut state, &store, "/no such thing");
    enter(&mut state, &store);
    assert!(state.prompt.is_some_and(|prompt| prompt.error.is_some()));
}

#[test]
fn what_is_chosen_is_saved() {
    let (mut state, store) = (state(), samples::many(5));
    state.follow_store(&store);
    press(&mut state, &store, " j s");
    let effect = enter(&mut state, &store);
    assert_eq!(effect, Effect::Save("wsflow-sessions.pcapng".into(), vec![SessionId(1), SessionId(3)]));
}

#[test]
fn the_ending_chooses_the_format_and_tab_the_ending() {
    let (mut state, store) = (state(), samples::many(5));
    state.follow_store(&store);
    state.proposal.folder = "/tmp".into();
    state.proposal.skip(|path| path.ends_with("wsflow-sessions.json"));
    let tab = KeyEvent::from(KeyCode::Tab);
    let asked = |state: &State| state.prompt.as_ref().map(|prompt| prompt.input.value().to_owned());
    press(&mut state, &store, "s");
    assert_eq!(asked(&state).as_deref(), Some("/tmp/wsflow-sessions-2.pcapng"));
    for ending in ["json", "md", "pcapng", "json"] {
        state.key(tab, &store);
        assert!(asked(&state).is_some_and(|name| name.ends_with(ending)), "{ending}");
    }
    let Effect::Save(path, _) = enter(&mut state, &store) else { panic!("it is saved") };
    state.ask_again(Question::Save, &path, "is there already".to_owned());
    assert_eq!(asked(&state).map(PathBuf::from), Some(path.clone()), "the name can be mended");
    state.key(KeyEvent::from(KeyCode::Esc), &store);
    state.saved(&path, "saved".to_owned());
    press(&mut state, &store, "s");
    assert!(asked(&state).is_some_and(|name| name.ends_with(".json")), "as the last time");
}

#[test]
fn a_fix_is_copied_as_lines_to_paste() {
    let (mut state, store) = (state(), samples::proxied_failure());
    state.follow_store(&store);
    enter(&mut state, &store);
    let Effect::Copy(text) = press(&mut state, &store, "y") else { panic!("there is a fix") };
    assert!(text.contains("proxy_http_version 1.1;"), "{text}");
    let mut empty = self::state();
    assert_eq!(press(&mut empty, &Store::default(), "2y"), Effect::None);
}

#[test]
fn columns_are_chosen_and_one_stays() {
    let (mut state, store) = (state(), Store::default());
    press(&mut state, &store, "t");
    let Effect::KeepColumns(kept) = enter(&mut state, &store) else { panic!("the choice is kept") };
    assert!(kept.starts_with("id state"), "{kept}");
}

#[test]
fn the_sessions_of_a_finding_are_one_key_away() {
    let (mut state, store) = (state(), samples::proxied_failure());
    press(&mut state, &store, "2");
    enter(&mut state, &store);
    assert_eq!(state.view(), View::Explain);
    enter(&mut state, &store);
    assert_eq!((state.view(), state.list.len()), (View::Sessions, 1));
    assert!(state.list.filter_text().starts_with("finding == "));
}

#[test]
fn a_click_chooses_and_another_one_opens() {
    use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let (mut state, store) = (state(), samples::many(3));
    state.follow_store(&store);
    // A title, a rule, the heads of columns, and the second session.
    let (kind, modifiers) = (MouseEventKind::Down(MouseButton::Left), KeyModifiers::NONE);
    let click = MouseEvent { kind, column: 5, row: 4, modifiers };
    state.mouse(click, &store);
    assert_eq!(state.list.selected().map(|id| id.0), Some(2));
    assert!(matches!(state.screen(), Screen::Sessions));
    state.mouse(click, &store);
    assert!(matches!(state.screen(), Screen::Session(detail) if detail.id.0 == 2));
}
