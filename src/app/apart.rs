//! Judging and printing apart from reading: on a thread of their own.
//!
//! What is read goes on while sessions that are over are judged and printed. It needs an output that says nothing while a
//! session goes on: else lines of two threads would have to be put in order.

use std::io;
use std::panic;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use crate::engine::Summary;
use crate::engine::event::{Sink, Wants};
use crate::engine::judge::{Courier, Judge, Matter, Rest};
use crate::limits::Limits;

/// So many loads may wait: a load has some hundreds of sessions, of about a kilobyte each.
const WAITING: usize = 4;

/// To the thread that judges.
pub(super) struct Apart {
    /// `None` when nothing more comes.
    send: Option<SyncSender<Load>>,
    /// `None` when it has ended, and was heard.
    thread: Option<JoinHandle<io::Result<Summary>>>,
}

enum Load {
    Matters(Vec<Matter>),
    Rest(Box<Rest>),
}

impl Apart {
    /// A judge who tells this sink; `None` when the sink wants to hear more than judgements, or the system has no thread to
    /// give.
    pub(super) fn start(limits: &Limits, mut sink: impl Sink + Send + 'static) -> Option<Box<Apart>> {
        if sink.wants() != Wants::default() {
            return None;
        }
        let (send, loads) = mpsc::sync_channel(WAITING);
        let mut judge = Judge::new(limits);
        let body = move || preside(&mut judge, &loads, &mut sink);
        let thread = thread::Builder::new().name("wsflow-judge".to_owned()).spawn(body).ok()?;
        Some(Box::new(Apart { send: Some(send), thread: Some(thread) }))
    }

    /// What the thread ends with. `None` when that was heard before.
    fn end(&mut self) -> Option<io::Result<Summary>> {
        self.send = None;
        let end = self.thread.take()?.join();
        Some(end.unwrap_or_else(|panic| panic::resume_unwind(panic)))
    }

    /// Hands over; when nobody is there to take it, says what made the thread end.
    fn hand_over(&mut self, load: Load) -> io::Result<()> {
        let taken = self.send.as_ref().is_some_and(|send| send.send(load).is_ok());
        match taken {
            true => Ok(()),
            false => self.end().map_or(Ok(()), |end| end.map(drop)),
        }
    }
}

impl Courier for Apart {
    fn bring(&mut self, matters: Vec<Matter>) -> io::Result<()> {
        self.hand_over(Load::Matters(matters))
    }

    fn close(&mut self, rest: Rest) -> io::Result<Summary> {
        self.hand_over(Load::Rest(Box::new(rest)))?;
        self.end().unwrap_or_else(|| Ok(Summary::default()))
    }
}

/// Judges what comes, until the rest has come or the sink takes no more.
fn preside(judge: &mut Judge, loads: &Receiver<Load>, sink: &mut dyn Sink) -> io::Result<Summary> {
    for load in loads {
        match load {
            Load::Matters(matters) => judge.hear(matters, sink)?,
            Load::Rest(rest) => return judge.close(*rest, sink),
        }
    }
    Ok(Summary::default()) // the run was given up
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::engine::{Engine, EngineOptions, Event};
    use crate::script::{Script, text};

    /// Takes so many sessions, and an error is what comes of the next.
    #[derive(Clone)]
    struct Patience {
        sessions: u64,
        told: Arc<AtomicU64>,
        wants: Wants,
    }

    impl Patience {
        fn of(sessions: u64) -> Patience {
            Patience { sessions, told: Arc::default(), wants: Wants::default() }
        }

        fn told(&self) -> u64 {
            self.told.load(Ordering::Relaxed)
        }
    }

    impl Sink for Patience {
        fn wants(&self) -> Wants {
            self.wants
        }

        fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
            if !matches!(event, Event::Session(..)) {
                return Ok(());
            }
            if self.told() == self.sessions {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.told.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    /// Two thousand sessions, one behind the other, few of which are kept back.
    fn run(sink: &Patience) -> io::Result<Summary> {
        let limits = Limits { sessions: 10, ..Limits::default() };
        let apart = Apart::start(&limits, sink.clone()).expect("it wants judgements only, and there is a thread");
        let mut engine = Engine::with_courier(&limits, EngineOptions::default(), Wants::default(), apart);
        let mut script = Script::new();
        for port in 10_000..12_000 {
            script = script.leg(([10, 0, 0, 7], port), ([10, 0, 0, 1], 80)).opening_handshake().client(text("hello"));
            script = script.client_fin().server_fin();
        }
        // Of these the engine tells only what comes before a judgement, and nobody wants that.
        let mut nobody = Patience::of(0);
        for packet in &script.packets() {
            engine.packet(&packet.packet(), &mut nobody)?;
        }
        engine.finish(&mut nobody)
    }

    #[test]
    fn everything_is_told_before_the_summary_is_given() {
        let sink = Patience::of(u64::MAX);
        let summary = run(&sink).expect("it takes everything");
        assert_eq!(sink.told(), 2_000);
        assert_eq!(summary.sessions.iter().map(|(_, count)| count).sum::<u64>(), 2_000);
        assert_eq!(summary.connections, 2_000);
    }

    #[test]
    fn who_takes_no_more_ends_the_run() {
        for sessions in [0, 700, 1_999] {
            let sink = Patience::of(sessions);
            let error = run(&sink).expect_err("the pipe is closed");
            assert_eq!((error.kind(), sink.told()), (io::ErrorKind::BrokenPipe, sessions));
        }
    }

    #[test]
    fn who_listens_while_sessions_go_on_is_told_in_one_thread() {
        let sink = Patience { wants: Wants { progress: true, messages: false }, ..Patience::of(0) };
        assert!(Apart::start(&Limits::default(), sink).is_none());
    }
}
