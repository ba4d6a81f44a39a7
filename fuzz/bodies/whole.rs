//! The body of the whole: a savefile in, every output out.

use std::io::{self, Cursor, Write};

use wsflow::engine::{Engine, EngineOptions, Event, Sink, Wants};
use wsflow::limits::Limits;
use wsflow::output::clock::Clock;
use wsflow::output::json::Json;
use wsflow::output::mask::Mask;
use wsflow::output::text::{Options, Text};
use wsflow::source::{Input, Savefiles, Source};
use wsflow::tls::Origin;

/// The input is a savefile. Whatever it says, nothing of it reaches a terminal as a control character, and every line of
/// the JSON is an object.
pub fn engine(data: &[u8]) {
    let mut both = Both { text: Text::new(Plain, OPTIONS, Clock::utc()), json: Json::new(Plain, Mask::Secrets, true) };
    let mut source = Savefiles::read("it", Cursor::new(data.to_vec()));
    let mut engine = Engine::new(&Limits::default(), EngineOptions { live: false, filtered: true }, both.wants());
    while let Ok(Some(input)) = source.next(usize::MAX) {
        match input {
            Input::Packets(packets) => engine.packets(packets, &mut both),
            Input::Secrets { data, .. } => engine.secrets(Origin::SecretsBlock, data, &mut both),
            Input::Idle(now) => engine.advance(now, &mut both),
            Input::Interface { .. } | Input::Dropped { .. } => Ok(()),
        }
        .expect("this sink takes everything");
    }
    let summary = engine.finish(&mut both).expect("this sink takes everything");
    assert!(summary.first <= summary.last);
}

const OPTIONS: Options =
    Options { brief: false, messages: true, verbose: true, color: false, mask: Mask::Secrets, columns: Some(100) };

/// Tells two outputs.
struct Both {
    text: Text<Plain>,
    json: Json<Plain>,
}

impl Sink for Both {
    fn wants(&self) -> Wants {
        Wants { messages: true, progress: true }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if let Event::Session(session, diagnosis) = event {
            assert!(!session.legs.is_empty() && !diagnosis.verdict(session).is_empty());
        }
        self.text.event(event)?;
        self.json.event(event)
    }
}

/// Takes only what a terminal prints.
struct Plain;

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).expect("output is UTF-8");
        assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
