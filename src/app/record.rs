//! `-w` while capturing: every packet, or those of the sessions that match `-Y`, on their way to the engine.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::app::failure::Failure;
use crate::app::reader::Listener;
use crate::diagnosis::Diagnosis;
use crate::engine::Engine;
use crate::engine::event::{Event, Place, Sink, Wants};
use crate::limits::Limits;
use crate::output::pcapng::held::Held;
use crate::output::pcapng::names::Rotation;
use crate::output::pcapng::recording::{Recording, RecordingError};
use crate::output::pcapng::selection::Selection;
use crate::output::query::Query;
use crate::packet::Packet;
use crate::session::Session;
use crate::source::live::{self, Live};
use crate::source::{Input, Interface, Source, SourceCounts, SourceError};

/// What is recorded, and where.
pub(super) struct Recorder {
    recording: Recording,
    /// Only what matches.
    chosen: Option<(Query, Held)>,
}

/// For the source that packets come from, and the listener that hears of sessions.
#[derive(Clone)]
pub(super) struct SharedRecorder(Arc<Mutex<Recorder>>);

impl SharedRecorder {
    /// Makes the first file.
    pub(super) fn create(
        file: &Path,
        rotation: Rotation,
        unbuffered: bool,
        interfaces: &[Interface],
        query: Option<Query>,
    ) -> Result<SharedRecorder, Failure> {
        let recording = Recording::create(file, rotation, interfaces, unbuffered, live::now())
            .map_err(|RecordingError { name, error }| Failure::Write(name, with_rights(error)))?;
        let chosen = query.map(|query| (query, Held::new(&Limits::default())));
        Ok(SharedRecorder(Arc::new(Mutex::new(Recorder { recording, chosen }))))
    }

    /// Hands on what was written, so that it can be read.
    pub(super) fn flush(&self) {
        self.lock().recording.flush();
    }

    fn lock(&self) -> MutexGuard<'_, Recorder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder {
    fn packet(&mut self, packet: &Packet<'_>) {
        match &mut self.chosen {
            Some((_, held)) => held.keep(packet),
            None => self.recording.packet(packet, None),
        }
    }

    fn hear(&mut self, event: &Event<'_>) {
        let Some((_, held)) = &mut self.chosen else { return };
        match event {
            Event::Request(place, _)
            | Event::Response(place, ..)
            | Event::Adopted(place, _)
            | Event::Unreachable(place, _) => {
                let Place { client, server, .. } = *place;
                held.claim(client, server);
            }
            Event::Session(session, diagnosis) => self.over(session, diagnosis),
            _ => {}
        }
    }

    fn over(&mut self, session: &Session, diagnosis: &Diagnosis) {
        let Some((query, held)) = &mut self.chosen else { return };
        let packets = held.release(session);
        if !query.matches(session, diagnosis) {
            return;
        }
        let mut selection = Selection::default();
        selection.add(session, diagnosis);
        for held in packets {
            let packet = held.packet();
            self.recording.packet(&packet, selection.comment(packet.number));
        }
    }
}

/// Live packets that are recorded as they go by.
pub(super) struct Recorded {
    live: Live,
    recorder: Option<SharedRecorder>,
    failure: Option<RecordingError>,
    complete: bool,
}

impl Recorded {
    /// Recorded, if there is something to record to.
    pub(super) fn new(live: Live, recorder: Option<SharedRecorder>) -> Recorded {
        Recorded { live, recorder, failure: None, complete: false }
    }

    /// Who records.
    pub(super) fn recorder(&self) -> Option<SharedRecorder> {
        self.recorder.clone()
    }

    /// Ends the files, when nothing more is told of sessions. What went wrong with them, and a word on what is missing.
    pub(super) fn finish(&mut self) -> (Option<SourceError>, Option<String>) {
        let Some(recorder) = &self.recorder else { return (None, None) };
        let mut recorder = recorder.lock();
        recorder.recording.finish(self.live.interfaces());
        let failure = self.failure.take().or_else(|| recorder.recording.take_failure());
        let left_out = recorder.chosen.as_ref().map_or(0, |(_, held)| held.left_out());
        let word = (left_out > 0).then(|| {
            let name = recorder.recording.name().display();
            format!("{left_out} packets were not kept for {name}: what waits for the end of its session is bounded")
        });
        (failure.map(told), word)
    }
}

/// Whose rights were too few.
fn with_rights(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let text = format!("{error}; it is made with the rights of who called sudo, or of the user of -Z");
            io::Error::new(io::ErrorKind::PermissionDenied, text)
        }
        _ => error,
    }
}

fn told(RecordingError { name, error }: RecordingError) -> SourceError {
    SourceError::Recording { name: name.display().to_string(), error }
}

impl Source for Recorded {
    fn next(&mut self) -> Result<Option<Input<'_>>, SourceError> {
        let Some(recorder) = &self.recorder else { return self.live.next() };
        if let Some(failure) = self.failure.take() {
            return Err(told(failure));
        }
        if self.complete {
            return Ok(None);
        }
        let input = self.live.next()?;
        let mut recorder = recorder.lock();
        match &input {
            Some(Input::Packet(packet)) => recorder.packet(packet),
            Some(Input::Idle(now)) => recorder.recording.idle(*now),
            _ => {}
        }
        self.failure = recorder.recording.take_failure();
        self.complete = recorder.recording.is_complete();
        Ok(input)
    }

    fn interfaces(&self) -> &[Interface] {
        self.live.interfaces()
    }

    fn counts(&mut self) -> SourceCounts {
        self.live.counts()
    }
}

/// A listener with a recorder in front that hears the same.
pub(super) struct Witness<'a, L> {
    listener: &'a mut L,
    recorder: Option<SharedRecorder>,
}

impl<'a, L> Witness<'a, L> {
    /// In front of `listener`.
    pub(super) fn new(listener: &'a mut L, recorder: Option<SharedRecorder>) -> Witness<'a, L> {
        Witness { listener, recorder }
    }
}

impl<L: Sink> Sink for Witness<'_, L> {
    fn wants(&self) -> Wants {
        let wants = self.listener.wants();
        let chooses = self.recorder.as_ref().is_some_and(|recorder| recorder.lock().chosen.is_some());
        Wants { progress: wants.progress || chooses, ..wants }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if let Some(recorder) = &self.recorder {
            recorder.lock().hear(event);
        }
        self.listener.event(event)
    }
}

impl<L: Listener> Listener for Witness<'_, L> {
    fn between(&mut self, engine: &mut Engine, source: &mut impl Source) -> bool {
        self.listener.between(engine, source)
    }

    fn notice(&mut self, what: &dyn fmt::Display) {
        self.listener.notice(what);
    }

    fn dropped(&mut self, what: &dyn fmt::Display) {
        self.listener.dropped(what);
    }

    fn before_the_end(&mut self, engine: &mut Engine, source: &mut impl Source) {
        self.listener.before_the_end(engine, source);
    }
}
