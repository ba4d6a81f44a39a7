//! Packets on their way to the engine: `-w` writes them as they are captured, with `-Y` those of the sessions that match; at
//! the screen they are held in memory for whoever may save their session, also where they come through a pipe.

use std::fmt;
use std::io;
#[cfg(feature = "live")]
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "live")]
use crate::app::failure::Failure;
use crate::app::reader::Listener;
#[cfg(feature = "live")]
use crate::config;
use crate::diagnosis::Diagnosis;
use crate::engine::Engine;
use crate::engine::event::{Event, Place, Sink, Wants};
use crate::limits::Limits;
use crate::output::pcapng::held::Held;
#[cfg(feature = "tui")]
use crate::output::pcapng::held::{Copied, HeldCounts};
use crate::output::pcapng::recording::{Recording, RecordingError};
use crate::output::pcapng::selection::Selection;
use crate::output::query::Query;
use crate::packet::Packet;
use crate::session::Session;
#[cfg(feature = "live")]
use crate::source::live;
#[cfg(feature = "live")]
use crate::source::without_code;
use crate::source::{Input, Interface, Source, SourceCounts, SourceError};

/// What becomes of packets.
pub(super) struct Recorder {
    recording: Option<Recording>,
    /// Which sessions are recorded. All packets are where there is none.
    query: Option<Query>,
    held: Option<Held>,
    /// They are held when their session is over, too: somebody may save it.
    saveable: bool,
    /// Where packets come from.
    interfaces: Vec<Interface>,
}

/// For the source that packets come from, the listener that hears of sessions, and who saves them.
#[derive(Clone)]
pub(super) struct SharedRecorder(Arc<Mutex<Recorder>>);

/// The first file of `-w`.
#[cfg(feature = "live")]
pub(super) fn create(file: &Path, config: &config::Live, interfaces: &[Interface]) -> Result<Recording, Failure> {
    Recording::create(file, config.rotation, interfaces, config.unbuffered, live::now())
        .map_err(|RecordingError { name, error }| Failure::Write(name, with_rights(error)))
}

impl SharedRecorder {
    /// Records all packets, or those of the sessions that match; `saveable` packets are held as well.
    pub(super) fn new(recording: Option<Recording>, query: Option<Query>, saveable: bool) -> SharedRecorder {
        let limits = Limits::default();
        let chooses = recording.is_some() && query.is_some();
        let bound = if chooses { limits.waiting_packet_bytes } else { limits.saveable_packet_bytes };
        let held = (chooses || saveable).then(|| Held::new(bound, &limits));
        SharedRecorder(Arc::new(Mutex::new(Recorder { recording, query, held, saveable, interfaces: Vec::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Recorder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For whoever saves sessions at the screen.
#[cfg(feature = "tui")]
impl SharedRecorder {
    /// Hands on what was written, so that it can be read.
    #[cfg(feature = "live")]
    pub(super) fn flush(&self) {
        if let Some(recording) = &mut self.lock().recording {
            recording.flush();
        }
    }

    /// What is held of a selection. It is copied, so that packets need not wait until it is written.
    pub(super) fn packets_of(&self, selection: &Selection) -> Copied {
        self.lock().held.as_ref().map(|held| held.packets_of(selection)).unwrap_or_default()
    }

    /// Where packets come from, as far as is known.
    pub(super) fn interfaces(&self) -> Vec<Interface> {
        self.lock().interfaces.clone()
    }

    /// How much is held; `None` when nothing ever is.
    pub(super) fn held(&self) -> Option<HeldCounts> {
        self.lock().held.as_ref().map(Held::counts)
    }

    /// Holds nothing any more.
    pub(super) fn let_go(&self) {
        self.lock().held = None;
    }
}

impl Recorder {
    fn packet(&mut self, packet: &Packet<'_>) {
        if let Some(held) = &mut self.held {
            held.keep(packet);
        }
        if let (Some(recording), None) = (&mut self.recording, &self.query) {
            recording.packet(packet, None);
        }
    }

    fn hear(&mut self, event: &Event<'_>) {
        let Some(held) = &mut self.held else { return };
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
        let Some(held) = &mut self.held else { return };
        if let (Some(recording), Some(query)) = (&mut self.recording, &self.query)
            && query.matches(session, diagnosis)
        {
            let mut selection = Selection::default();
            selection.add(session, diagnosis);
            for packet in held.packets_of(&selection).iter() {
                recording.packet(&packet, selection.comment(packet.number));
            }
        }
        if self.saveable {
            session.legs.iter().for_each(|leg| held.claim(leg.client, leg.server));
        } else {
            held.forget(session);
        }
    }
}

/// Packets that are recorded as they go by.
pub(super) struct Recorded<S> {
    source: S,
    recorder: Option<SharedRecorder>,
    /// So many interfaces are known to the recorder.
    interfaces: usize,
    failure: Option<RecordingError>,
    complete: bool,
}

impl<S: Source> Recorded<S> {
    /// Recorded, if there is somebody to record them.
    pub(super) fn new(source: S, recorder: Option<SharedRecorder>) -> Recorded<S> {
        Recorded { source, recorder, interfaces: 0, failure: None, complete: false }
    }

    /// Who records.
    #[cfg(feature = "live")]
    pub(super) fn recorder(&self) -> Option<SharedRecorder> {
        self.recorder.clone()
    }

    /// Ends the files, when nothing more is told of sessions. What went wrong with them, and a word on what is missing.
    #[cfg(feature = "live")]
    pub(super) fn finish(&mut self) -> (Option<SourceError>, Option<String>) {
        let Some(recorder) = &self.recorder else { return (None, None) };
        let mut recorder = recorder.lock();
        let left_out = recorder.held.as_ref().map_or(0, |held| held.counts().left_out);
        let saveable = recorder.saveable;
        let Some(recording) = &mut recorder.recording else { return (None, None) };
        recording.finish(self.source.interfaces());
        let failure = self.failure.take().or_else(|| recording.take_failure());
        let word = (left_out > 0 && !saveable).then(|| {
            let name = recording.name().display();
            format!("{left_out} packets were not kept for {name}: what waits for the end of its session is bounded")
        });
        (failure.map(told), word)
    }
}

/// Whose rights were too few.
#[cfg(feature = "live")]
fn with_rights(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let why = without_code(&error);
            let text = format!("{why}; it is made with the rights of who called sudo, or of the user of -Z");
            io::Error::new(io::ErrorKind::PermissionDenied, text)
        }
        _ => error,
    }
}

fn told(RecordingError { name, error }: RecordingError) -> SourceError {
    SourceError::Recording { name: name.display().to_string(), error }
}

impl<S: Source> Source for Recorded<S> {
    fn next(&mut self, most: usize) -> Result<Option<Input<'_>>, SourceError> {
        let Some(recorder) = &self.recorder else { return self.source.next(most) };
        if self.source.interfaces().len() > self.interfaces {
            self.interfaces = self.source.interfaces().len();
            recorder.lock().interfaces = self.source.interfaces().to_vec();
        }
        if let Some(failure) = self.failure.take() {
            return Err(told(failure));
        }
        if self.complete {
            return Ok(None);
        }
        // One by one: what becomes of a packet depends on what was told of those before it.
        let input = self.source.next(1)?;
        let mut recorder = recorder.lock();
        if let Some(Input::Packets(packets)) = &input {
            packets.clone().for_each(|(packet, _)| recorder.packet(&packet));
        }
        if let Some(recording) = &mut recorder.recording {
            if let Some(Input::Idle(now)) = &input {
                recording.idle(*now);
            }
            self.failure = recording.take_failure();
            self.complete = recording.is_complete();
        }
        Ok(input)
    }

    fn interfaces(&self) -> &[Interface] {
        self.source.interfaces()
    }

    fn counts(&mut self) -> SourceCounts {
        self.source.counts()
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
        let holds = self.recorder.as_ref().is_some_and(|recorder| recorder.lock().held.is_some());
        Wants { progress: wants.progress || holds, ..wants }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if let Some(recorder) = &self.recorder {
            recorder.lock().hear(event);
        }
        self.listener.event(event)
    }
}

impl<L: Listener> Listener for Witness<'_, L> {
    fn behind(&mut self, engine: &mut Engine) {
        self.listener.behind(engine);
    }

    fn between(&mut self, engine: &mut Engine, source: &mut impl Source) -> bool {
        self.listener.between(engine, source)
    }

    fn silent(&mut self) -> io::Result<()> {
        self.listener.silent()
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
