//! Every screen as it is seen, at three sizes; and every screen at any size.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use crate::output::mask::Mask;
use crate::output::pcapng::held::HeldCounts;
use crate::tui::keys::Action;
use crate::tui::panes;
use crate::tui::samples;
use crate::tui::state::{Question, State};
use crate::tui::store::Store;
use crate::tui::theme::Theme;

/// What is seen after these keys.
fn seen(store: &Store, (width, height): (u16, u16), actions: &[Action]) -> TestBackend {
    let mut state = State::new("a.pcap".to_owned(), false, Mask::Secrets, Theme::None);
    state.size = (width, height);
    state.follow_store(store);
    for action in actions {
        state.update(*action, store);
    }
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a buffer is always there");
    terminal.draw(|frame| panes::render(frame, store, &state)).expect("a buffer takes everything");
    terminal.backend().clone()
}

const SMALL: (u16, u16) = (60, 20);
const USUAL: (u16, u16) = (100, 30);
const LARGE: (u16, u16) = (200, 50);

macro_rules! pictures {
    ($name:ident, $store:expr, $actions:expr) => {
        #[test]
        fn $name() {
            let store = $store;
            for (size, name) in [(SMALL, "small"), (USUAL, "usual"), (LARGE, "large")] {
                insta::assert_snapshot!(format!("{}-{name}", stringify!($name)), seen(&store, size, &$actions));
            }
        }
    };
}

pictures!(an_empty_list, Store::default(), []);
pictures!(a_failure_in_the_list, samples::proxied_failure(), [Action::Unfold]);
pictures!(a_failure_as_a_ladder, samples::proxied_failure(), [Action::Open, Action::Bottom]);
pictures!(a_failure_by_its_headers, samples::proxied_failure(), [Action::Open, Action::NextTab]);
pictures!(a_failure_explained, samples::proxied_failure(), [Action::Open, Action::Open]);
pictures!(findings, samples::proxied_failure(), [Action::Findings]);
pictures!(a_healthy_session, samples::healthy(), [Action::Open]);
pictures!(messages, samples::healthy(), [Action::Open, Action::Tab(2), Action::Down, Action::Open]);
pictures!(an_open_session, samples::still_open(), [Action::Open]);
pictures!(an_idle_timeout, samples::idle_timeout(), [Action::Open]);
pictures!(an_idle_timeout_by_its_times, samples::idle_timeout(), [Action::Open, Action::Tab(3)]);
pictures!(the_capture, samples::proxied_failure(), [Action::Capture]);
pictures!(the_keys, Store::default(), [Action::Help]);
pictures!(the_columns, Store::default(), [Action::Columns]);

#[test]
fn a_list_that_is_not_all_and_that_moves_by_itself_says_so() {
    let store = samples::many(12);
    let mut state = State::new("a.pcap".to_owned(), true, Mask::Secrets, Theme::None);
    state.size = USUAL;
    state.list.set_filter("id <= 3", &store).expect("it can be read");
    state.update(Action::Follow, &store);
    let mut terminal = Terminal::new(TestBackend::new(100, 30)).expect("a buffer is always there");
    terminal.draw(|frame| panes::render(frame, &store, &state)).expect("a buffer takes everything");
    let seen = terminal.backend().to_string();
    for words in ["3 of 12 sessions", "─ only id <= 3 (Esc: all) ─ following the newest ─"] {
        assert!(seen.contains(words), "{words:?} is not in:\n{seen}");
    }
}

#[test]
fn of_a_handshake_that_was_not_captured_both_halves_are_missed() {
    let seen = seen(&samples::mid_stream(), USUAL, &[Action::Open, Action::Tab(1)]).to_string();
    assert!(seen.contains("No request and no answer was seen."), "{seen}");
}

/// Ways to every screen.
const WAYS: &[&[Action]] = &[
    &[],
    &[Action::Unfold],
    &[Action::Columns],
    &[Action::Open],
    &[Action::Open, Action::NextTab],
    &[Action::Open, Action::Tab(2), Action::Hex],
    &[Action::Open, Action::Tab(3)],
    &[Action::Open, Action::Open],
    &[Action::Findings],
    &[Action::Capture],
    &[Action::Help],
    &[Action::Filter],
    &[Action::Save],
];

#[test]
fn no_size_is_too_small() {
    let stores = [Store::default(), samples::proxied_failure(), samples::healthy()];
    for store in &stores {
        for way in WAYS {
            for width in (1..24).chain([60, 99]) {
                for height in 1..14 {
                    seen(store, (width, height), way);
                }
            }
        }
    }
}

#[test]
fn secrets_and_control_characters_are_not_seen() {
    let store = samples::proxied_failure();
    for way in WAYS {
        let screen = seen(&store, LARGE, way).to_string();
        assert!(!screen.contains("s3cr3t-value"), "{screen}");
    }
}

#[test]
fn what_is_held_to_be_saved_is_counted() {
    let mut store = samples::proxied_failure();
    assert!(!seen(&store, LARGE, &[Action::Capture]).to_string().contains("Held"), "the packets are in a file");
    store.held = Some(HeldCounts { packets: 81_234, bytes: 12_400_000, left_out: 912 });
    let screen = seen(&store, LARGE, &[Action::Capture]).to_string();
    assert!(screen.contains("81234 in 12.4 MB of memory, 134.2 MB at most"), "{screen}");
    assert!(screen.contains("no longer held              912 packets"), "{screen}");
}

#[test]
fn what_is_too_long_for_the_bottom_line_goes_on_above_it() {
    let store = samples::proxied_failure();
    let mut state = State::new("a.pcap".to_owned(), false, Mask::Secrets, Theme::None);
    state.size = SMALL;
    state.follow_store(&store);
    let path = std::path::Path::new("/root/here.pcapng");
    state.ask_again(Question::Save, path, format!("alice may not write it: {} finally", "much to say ".repeat(9)));
    let mut terminal = Terminal::new(TestBackend::new(SMALL.0, SMALL.1)).expect("a buffer is always there");
    let mut look = |state: &State| {
        terminal.draw(|frame| panes::render(frame, &store, state)).expect("a buffer takes everything");
        terminal.backend().to_string()
    };
    let asked = look(&state);
    assert!(
        asked.contains("alice may not") && asked.contains("finally") && asked.contains("save to: /root"),
        "{asked}"
    );
    state.saved(path, format!("saved: {} finally", "much to say ".repeat(9)));
    state.prompt = None;
    let said = look(&state);
    assert!(said.contains("saved: much") && said.contains("finally"), "{said}");
}

/// What a look at a hundred thousand sessions costs. Run with `--run-ignored only` and `--no-capture`.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn a_hundred_thousand_sessions() {
    let begin = std::time::Instant::now();
    let mut store = samples::many(100_000);
    println!("fold of 200000 changes: {:?}", begin.elapsed());
    let mut state = State::new("a.pcap".to_owned(), true, Mask::Secrets, Theme::Dark);
    state.size = USUAL;
    let mut terminal = Terminal::new(TestBackend::new(USUAL.0, USUAL.1)).expect("a buffer is always there");
    let mut measure = |what: &str, state: &mut State, store: &Store, action: Option<Action>| {
        let begin = std::time::Instant::now();
        match action {
            Some(action) => drop(state.update(action, store)),
            None => state.follow_store(store),
        }
        let updated = begin.elapsed();
        terminal.draw(|frame| panes::render(frame, store, state)).expect("a buffer takes everything");
        println!("{what}: update {updated:?}, draw {:?}", begin.elapsed() - updated);
    };
    measure("the first look", &mut state, &store, None);
    measure("a key", &mut state, &store, Some(Action::Down));
    measure("to the end", &mut state, &store, Some(Action::Bottom));
    samples::more(&mut store, 100_001..100_101);
    measure("a hundred more", &mut state, &store, None);
    measure("by state", &mut state, &store, Some(Action::SortNext));
    samples::more(&mut store, 100_101..100_201);
    measure("a hundred more, sorted", &mut state, &store, None);
}
