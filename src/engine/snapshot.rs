//! What is known of sessions while they go on, for those who show them.

use std::io;
use std::time::Duration;

use crate::engine::{Engine, Event, Sink};
use crate::session::flow::App;
use crate::session::over::Over;
use crate::session::records::{self, Entries, Entry, EntryState, Record};
use crate::session::slab::FlowId;
use crate::session::spare::Spare;
use crate::session::{Leg, Outcome, Session, SessionId};

/// Encrypted connections that are looked at with each snapshot: their facts are made of sizes and times, which takes a
/// microsecond.
const LOOKED_AT: usize = 256;

/// How often encrypted connections are told of.
const INTERVAL: Duration = Duration::from_secs(1);

/// A look at sessions that are not over.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// As far as they have come. Nothing says yet how they end: their outcome is open, or encrypted.
    pub sessions: Vec<Session>,
    /// Sessions of an earlier snapshot that are none of their own: the connection is a leg of another one.
    pub dropped: Vec<SessionId>,
}

impl Engine {
    /// These sessions as they are now, and encrypted connections that look like WebSockets, some more with each snapshot.
    pub fn snapshot(&mut self, of: &[SessionId]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.sessions.extend(of.iter().filter_map(|&id| self.so_far(id)));
        self.encrypted_so_far(&mut snapshot.sessions);
        snapshot.dropped.extend(self.drop_promises().into_iter().map(|(session, _)| session));
        snapshot
    }

    /// Live, now and then: tells of encrypted connections that look like WebSockets, once of each, and when one of them became
    /// a leg of another session. For those who take no snapshots; to be called for every packet.
    #[inline]
    pub fn tell_encrypted(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        let due = self.options.live && self.now.since(self.told_encrypted) >= INTERVAL;
        if due { self.tell_encrypted_now(sink) } else { Ok(()) }
    }

    fn tell_encrypted_now(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        self.told_encrypted = self.now;
        let (known, mut sessions) = (self.tracker.promises.len(), Vec::new());
        self.encrypted_so_far(&mut sessions);
        let new = |session: &&Session| self.tracker.promises[known..].iter().any(|&(id, _)| id == session.id);
        for session in sessions.iter().filter(new) {
            sink.event(&Event::Encrypted(session))?;
        }
        for (from, flow) in self.drop_promises() {
            let leg = flow.and_then(|id| Some((id, self.tracker.flows.find(id)?.session?)));
            let Some((id, into)) = leg else { continue };
            let record = self.tracker.records.find(into);
            let reason = record.and_then(|record| record.entries.get(record.index_of(id)?)?.joined_by);
            if let Some(reason) = reason {
                sink.event(&Event::Joined { into, from, reason })?;
            }
        }
        Ok(())
    }

    /// A session all of whose legs are followed.
    fn so_far(&self, id: SessionId) -> Option<Session> {
        let record = self.tracker.records.find(id)?;
        let entries = record.entries.iter().map(|entry| match entry.state {
            EntryState::Live(flow) => {
                let leg = self.leg_so_far(id, flow)?;
                Some(Entry { behind: entry.behind, joined_by: entry.joined_by, ..entry_of(leg) })
            }
            EntryState::Done(_) => None,
        });
        let entries: Option<Vec<Entry>> = entries.collect();
        let record = Record { start: record.start, entries: Entries::Many(entries?), live: 0 };
        records::complete(id, record, &mut Spare::default()).map(open)
    }

    fn leg_so_far(&self, session: SessionId, id: FlowId) -> Option<Leg> {
        let flow = self.tracker.flows.find(id)?;
        let connection = self.table.connection(&flow.client(), &flow.server())?;
        (flow.session == Some(session) && connection.id() == flow.connection)
            .then(|| flow.leg_so_far(connection.facts()))
    }

    /// Those that have no session get the number that they will have in the end.
    fn encrypted_so_far(&mut self, sessions: &mut Vec<Session>) {
        let encrypted = self.tracker.partners.encrypted().skip(self.looked_at);
        let looked_at: Vec<FlowId> = encrypted.take(LOOKED_AT).collect();
        self.looked_at = if looked_at.len() < LOOKED_AT { 0 } else { self.looked_at + LOOKED_AT };
        for id in looked_at {
            let Some(flow) = self.tracker.flows.find(id).filter(|flow| flow.session.is_none()) else { continue };
            let Some(connection) = self.table.connection(&flow.client(), &flow.server()) else { continue };
            if connection.id() != flow.connection || connection.has_ended() || !looks_like_websocket(flow) {
                continue;
            }
            let (leg, start) = (flow.leg_so_far(connection.facts()), flow.opened.at);
            let Some(session) = self.tracker.promise(id) else { continue };
            let record = Record { start, entries: Entries::One(entry_of(leg)), live: 0 };
            let session = records::complete(session, record, &mut Spare::default()).map(open);
            sessions.extend(session.map(|session| Session { outcome: Outcome::Encrypted, ..session }));
        }
    }

    /// What was promised to connections that are gone, or have become legs: these are named.
    fn drop_promises(&mut self) -> Vec<(SessionId, Option<FlowId>)> {
        let (flows, mut dropped) = (&self.tracker.flows, Vec::new());
        self.tracker.promises.retain(|&(session, id)| {
            let flow = flows.find(id).filter(|flow| flow.promised() == Some(session));
            let becomes_it = flow.is_some_and(|flow| flow.session.is_none_or(|own| own == session));
            if !becomes_it {
                dropped.push((session, flow.map(|_| id)));
            }
            flow.is_some_and(|flow| flow.session.is_none())
        });
        dropped
    }
}

/// Whether sizes and times say so, of a connection that has been up for a moment.
fn looks_like_websocket(flow: &crate::session::flow::Flow) -> bool {
    // What is read needs no guess.
    if matches!(flow.app, App::H2(_)) {
        return false;
    }
    let tls = flow.rare.as_ref().filter(|rare| !rare.shadow).and_then(|rare| rare.tls.as_ref());
    tls.is_some_and(|tls| {
        let facts = tls.facts();
        facts.handshake_done.is_some() && !facts.likely_websocket.is_empty()
    })
}

/// A leg as if it were over, and the only one.
fn entry_of(leg: Leg) -> Entry {
    Entry { behind: None, joined_by: None, state: EntryState::Done(Over::Told(Box::new(leg))) }
}

/// Nothing is over yet.
fn open(mut session: Session) -> Session {
    session.outcome = Outcome::Open;
    session.ended_by = None;
    session.legs.iter_mut().for_each(|leg| leg.outcome = Outcome::Open);
    session
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::engine::{EngineOptions, Event, Sink, Wants};
    use crate::limits::Limits;
    use crate::script::{Script, text};
    use crate::stream::Side;

    /// Remembers what is over.
    #[derive(Default)]
    struct Told(Vec<(SessionId, Outcome)>);

    impl Sink for Told {
        fn wants(&self) -> Wants {
            Wants { messages: true, progress: true }
        }

        fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
            if let Event::Session(session, _) = event {
                self.0.push((session.id, session.outcome));
            }
            Ok(())
        }
    }

    fn live() -> Engine {
        let options = EngineOptions { live: true, ..EngineOptions::default() };
        Engine::new(&Limits::default(), options, Told::default().wants())
    }

    #[test]
    fn an_open_session_has_what_tcp_knows() {
        let script = Script::new().opening_handshake().client(text("once")).client(text("twice")).retransmitted();
        let (mut engine, mut sink) = (live(), Told::default());
        for packet in script.packets() {
            engine.packet(&packet.packet(), &mut sink).expect("it takes everything");
        }
        let snapshot = engine.snapshot(&[SessionId(1), SessionId(2)]);
        let [session] = &snapshot.sessions[..] else { panic!("{snapshot:?}") };
        assert_eq!((session.id, session.outcome, session.ended_by), (SessionId(1), Outcome::Open, None));
        let leg = session.first_leg();
        assert!(leg.tcp.handshake_rtt().is_some());
        assert_eq!(leg.tcp.halves[Side::Originator].retransmissions, 1);
        assert_eq!(leg.tunnel.as_ref().map(|tunnel| tunnel.sides.client.messages.text), Some(2));
        engine.finish(&mut sink).expect("it takes everything");
        assert!(engine.snapshot(&[SessionId(1)]).sessions.is_empty(), "it is over");
        assert_eq!(sink.0.len(), 1);
    }

    #[test]
    fn what_was_dropped_meanwhile_makes_findings_less_sure_where_it_may_have_been() {
        let begun = || Script::new().opening_handshake().client(text("once")).after_ms(50);
        let details = |script: Script, dropped: u64| {
            let (mut engine, mut sink) = (live(), Details::default());
            for packet in script.packets() {
                engine.packet(&packet.packet(), &mut sink).expect("it takes everything");
            }
            engine.lost(dropped, 0, None);
            engine.finish(&mut sink).expect("it takes everything");
            sink.0
        };
        let less_sure = |details: &[String]| details.iter().any(|detail| detail.contains("packets were dropped while"));
        let reset = || begun().server_rst();
        assert!(!details(reset(), 0).is_empty() && !less_sure(&details(reset(), 0)));
        assert!(less_sure(&details(reset(), 3)), "{:?}", details(reset(), 3));
        let whole = details(begun().client_fin().server_fin(), 3);
        assert!(!whole.is_empty() && !less_sure(&whole), "both sides were done, and nothing is missing: {whole:?}");
    }

    /// Remembers what findings say.
    #[derive(Default)]
    struct Details(Vec<String>);

    impl Sink for Details {
        fn wants(&self) -> Wants {
            Wants::default()
        }

        fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
            if let Event::Session(_, diagnosis) = event {
                self.0.extend(diagnosis.findings.iter().map(|finding| finding.evidence.detail.clone()));
            }
            Ok(())
        }
    }

    /// The client's side of a proxy that speaks TLS, without keys.
    #[test]
    #[cfg(feature = "live")]
    fn an_encrypted_session_has_its_number_while_it_is_open() {
        use crate::source::{Filter, Input, Savefiles, Source};
        let filter = Filter::new("port 8443").expect("a filter");
        let mut source = Savefiles::open(&["pcaps/wss-with-keys.pcap".into()], Some(filter)).expect("a capture");
        let (mut engine, mut sink, mut packets) = (live(), Told::default(), 0);
        while let Ok(Some(input)) = source.next(1) {
            let Input::Packets(mut one) = input else { continue };
            let Some((packet, _)) = one.next() else { continue };
            packets += 1;
            engine.packet(&packet, &mut sink).expect("it takes everything");
            let snapshot = engine.snapshot(&[]);
            if let [session] = &snapshot.sessions[..] {
                assert_eq!((session.id, session.outcome), (SessionId(1), Outcome::Encrypted));
                assert!(sink.0.is_empty() && packets > 6);
                packets = 1000;
            }
        }
        assert!(packets > 1000, "it was seen while it was open");
        engine.finish(&mut sink).expect("it takes everything");
        assert_eq!(sink.0, [(SessionId(1), Outcome::Encrypted)]);
    }

    /// Remembers in words what is told of encrypted connections, and of sessions that are over.
    #[derive(Default)]
    struct Words(Vec<String>);

    impl Sink for Words {
        fn wants(&self) -> Wants {
            Wants::default()
        }

        fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
            match event {
                Event::Encrypted(session) => self.0.push(format!("{} is likely one", session.id.0)),
                Event::Joined { into, from, .. } => self.0.push(format!("{} is a leg of {}", from.0, into.0)),
                Event::Session(session, _) => self.0.push(format!("{} {}", session.id.0, session.outcome.name())),
                _ => {}
            }
            Ok(())
        }
    }

    /// What is told of a proxy that speaks TLS, without keys: of what this filter takes.
    #[cfg(feature = "live")]
    fn told_of_encrypted(live: bool, filter: &str) -> Vec<String> {
        use crate::source::{Filter, Input, Savefiles, Source};
        let filter = Filter::new(filter).expect("a filter");
        let mut source = Savefiles::open(&["pcaps/wss-with-keys.pcap".into()], Some(filter)).expect("a capture");
        let options = EngineOptions { live, ..EngineOptions::default() };
        let (mut engine, mut sink) = (Engine::new(&Limits::default(), options, Wants::default()), Words::default());
        while let Ok(Some(input)) = source.next(1) {
            let Input::Packets(mut one) = input else { continue };
            let Some((packet, _)) = one.next() else { continue };
            engine.packet(&packet, &mut sink).expect("it takes everything");
            engine.told_encrypted = crate::time::Timestamp::ZERO; // it is shorter than the interval
            engine.tell_encrypted(&mut sink).expect("it takes everything");
        }
        engine.finish(&mut sink).expect("it takes everything");
        sink.0
    }

    #[test]
    #[cfg(feature = "live")]
    fn an_encrypted_connection_is_told_once_while_it_is_open_and_keeps_its_number() {
        assert_eq!(told_of_encrypted(true, "port 8443"), ["1 is likely one", "1 encrypted"]);
        assert_eq!(told_of_encrypted(false, "port 8443"), ["1 encrypted"], "from a file it is told when it is over");
        let with_the_leg_behind = told_of_encrypted(true, "tcp");
        assert_eq!(with_the_leg_behind, ["2 is likely one", "2 encrypted"], "the leg in front gives the number");
    }
}
