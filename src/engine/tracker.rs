//! From what connections say to sessions: finds attempts at a WebSocket, follows them, and tells what happens.

use std::collections::VecDeque;
use std::io;

use crate::engine::dialling::Dialling;
use crate::engine::event::{Event, Place, Sink, Wants};
use crate::engine::judge::Matter;
use crate::engine::late_joins::JoinedLate;
use crate::engine::partners::Partners;
use crate::engine::recognition::Sightings;
use crate::engine::strays::Strays;
use crate::engine::tunnels::{self, Room};
use crate::http::HeadStore;
use crate::limits::Limits;
use crate::packet::Moment;
use crate::session::SessionId;
use crate::session::completed::Completed;
use crate::session::flow::{App, Flow};
use crate::session::joiner::Joiner;
use crate::session::leg::EndOf;
use crate::session::neighbours::Note;
use crate::session::opening::Kinds;
use crate::session::records::Records;
use crate::session::slab::{FlowId, Slab};
use crate::stream::{Pair, Side, StreamEvent};
use crate::tcp::{Connection, EndKind, Listener};
use crate::time::Timestamp;
use crate::tls;
use crate::ws::Scratch;

/// What the table of connections keeps for us beside each one.
pub type Stream = Option<FlowId>;

/// Connections remembered because a proxy may have opened them for a session: each is about two kilobytes.
const STRAYS: usize = 1024;

/// Everything that is followed above TCP.
pub struct Tracker {
    pub(super) limits: Limits,
    pub(super) wants: Wants,
    pub(super) flows: Slab<Flow>,
    pub(super) records: Records,
    pub(super) joiner: Joiner,
    pub(super) heads: Option<Box<HeadStore>>,
    pub(super) kinds: Kinds,
    pub(super) scratch: Scratch,
    /// For the judge: what it has not heard yet.
    pub(super) matters: Vec<Matter>,
    pub(super) strays: Strays,
    /// Connections that are being opened; live only.
    pub(super) dialling: Option<Dialling>,
    pub(super) completed: Completed,
    /// Those of them that are not counted among the neighbours yet.
    pub(super) uncounted: Vec<SessionId>,
    pub(super) secrets: Option<tls::SecretStore>,
    /// Legs that may belong to an encrypted one.
    pub(super) partners: Partners,
    /// Frames of legs that stand alone because their opening handshake was not seen.
    pub(super) sightings: Sightings,
    /// Sessions that were joined when the capture was over, for whoever was told of them while it went on.
    pub(super) joined_late: Vec<JoinedLate>,
    /// Numbers of sessions that were told of encrypted connections before they were found to be some.
    pub(super) promises: Vec<(SessionId, FlowId)>,
    /// The time of the packet that is being handled.
    pub(super) now: Timestamp,
    /// Connections that carried no WebSocket.
    pub not_websocket: u64,
    /// Streams of HTTP/2 connections that are over, with their connections and the time: they are put down a little
    /// later, for what TCP does next belongs to them too.
    pub(super) streams_over: VecDeque<(Timestamp, FlowId, FlowId)>,
    /// Bounds that were reached: which, how often.
    pub bounds: Vec<(&'static str, u64)>,
}

impl Tracker {
    /// Follows within these limits, and tells what is wanted. `live`: sessions are judged as soon as they are over.
    pub fn new(limits: &Limits, wants: Wants, live: bool) -> Tracker {
        Tracker {
            limits: limits.clone(),
            wants,
            flows: Slab::default(),
            records: Records::default(),
            joiner: Joiner::new(limits.bystanders),
            heads: Some(Box::new(HeadStore::new(limits))),
            kinds: Kinds::default(),
            scratch: Scratch::new(limits),
            matters: Vec::new(),
            strays: Strays::new(STRAYS),
            dialling: live.then(Dialling::default),
            completed: Completed::default(),
            uncounted: Vec::new(),
            secrets: Some(tls::SecretStore::new(limits)),
            partners: Partners::default(),
            sightings: Sightings::default(),
            joined_late: Vec::new(),
            promises: Vec::new(),
            now: Timestamp::ZERO,
            not_websocket: 0,
            streams_over: VecDeque::new(),
            bounds: Vec::new(),
        }
    }

    /// Something that sessions are judged by.
    pub(super) fn note(&mut self, note: Note) {
        self.matters.push(Matter::Note(note));
    }

    /// A bound was reached.
    pub(super) fn bound(&mut self, name: &'static str) {
        match self.bounds.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => self.bounds.push((name, 1)),
        }
    }

    /// The number that a session of this flow will have.
    pub(super) fn promise(&mut self, id: FlowId) -> Option<SessionId> {
        let flow = self.flows.find_mut(id)?;
        if let Some(promised) = flow.promised() {
            return Some(promised);
        }
        let session = self.records.promise();
        flow.rare().promised = Some(session);
        self.promises.push((session, id));
        Some(session)
    }

    /// Notes how many proxies are in front of a flow.
    pub(super) fn measure_depth(&mut self, id: FlowId) {
        let Some(flow) = self.flows.find_mut(id) else { return };
        let record = flow.session.and_then(|session| self.records.find(session));
        let depth = record.and_then(|record| Some(record.depth(record.index_of(id)?)));
        flow.depth = depth.unwrap_or(0).min(usize::from(u8::MAX)) as u8;
    }

    /// Where a flow is, for events; `None` when it is no leg.
    pub(super) fn place(&self, id: FlowId) -> Option<Place> {
        let flow = self.flows.find(id)?;
        let session = flow.session?;
        Some(Place { session, client: flow.client(), server: flow.server(), leg: usize::from(flow.depth) })
    }
}

/// The tracker at work: with somebody who listens. The first error that the sink returns is kept, and ends the run.
pub struct Watch<'a> {
    /// The tracker.
    pub tracker: &'a mut Tracker,
    /// Who listens.
    pub sink: &'a mut dyn Sink,
    /// What went wrong with the listener.
    pub error: Option<io::Error>,
}

impl<'a> Watch<'a> {
    /// At work at this time.
    #[inline]
    pub fn new(tracker: &'a mut Tracker, sink: &'a mut dyn Sink, now: Timestamp) -> Watch<'a> {
        tracker.now = now;
        Watch { tracker, sink, error: None }
    }

    /// What went wrong with the listener, if anything did.
    #[inline]
    pub fn result(self) -> io::Result<()> {
        self.error.map_or(Ok(()), Err)
    }
}

impl Watch<'_> {
    /// Tells the sink, as long as it takes anything.
    pub(super) fn emit(&mut self, event: &Event<'_>) {
        if self.error.is_none()
            && let Err(error) = self.sink.event(event)
        {
            self.error = Some(error);
        }
    }

    /// The flow of a connection, made with its first bytes.
    fn flow(&mut self, connection: &Connection, stream: &mut Stream, moment: Moment) -> FlowId {
        *stream.get_or_insert_with(|| {
            let endpoints = Pair {
                originator: connection.endpoint(Side::Originator),
                responder: connection.endpoint(Side::Responder),
            };
            self.tracker.flows.insert(Flow::new(connection.id(), endpoints, connection.syn_seen(), moment))
        })
    }

    /// Bytes, a gap or an end of one direction, for whatever is spoken on this flow.
    pub(super) fn application(&mut self, id: FlowId, side: Side, moment: Moment, event: StreamEvent<'_>) {
        let (flows, room) = self.split();
        let Some(flow) = flows.find_mut(id) else { return };
        let role = flow.role_of(side);
        match &flow.app {
            App::Tunnel(_) => {
                tunnels::go_on(flow, side, moment, event, room);
                self.recognise(id, moment);
            }
            App::Inert | App::Speaking => {}
            App::H2(_) => self.multiplex(id, role, moment, event),
            App::Http(_) => {
                self.dialogue(id, role, moment, event);
                self.look_for_frames(id, side, moment, event);
            }
            App::Probing(_) => self.probe(id, side, moment, event),
            App::Waiting => self.first_data(id, side, moment, event),
        }
    }

    /// The flows, and what a tunnel on one of them needs.
    #[inline]
    pub(super) fn split(&mut self) -> (&mut Slab<Flow>, Room<'_>) {
        let Tracker { flows, limits, scratch, wants, .. } = &mut *self.tracker;
        (flows, Room { wants: *wants, limits, scratch, sink: &mut *self.sink, error: &mut self.error })
    }
}

impl Listener for Watch<'_> {
    type Stream = Stream;

    fn opened(&mut self, connection: &Connection, _stream: &mut Stream, _moment: Moment) {
        if let Some(dialling) = &mut self.tracker.dialling {
            dialling.begins(connection);
        }
    }

    fn established(&mut self, connection: &Connection, _stream: &mut Stream, _moment: Moment) {
        self.tracker.note(Note::Established(connection.endpoint(Side::Responder)));
        if let Some(dialling) = &mut self.tracker.dialling {
            dialling.comes_up(connection.id());
        }
    }

    fn stream(
        &mut self,
        connection: &Connection,
        stream: &mut Stream,
        side: Side,
        moment: Moment,
        event: StreamEvent<'_>,
    ) {
        let id = match (*stream, event) {
            (Some(id), _) => id,
            (None, StreamEvent::Data(_) | StreamEvent::Gap(..)) => self.flow(connection, stream, moment),
            (None, _) => return,
        };
        let (flows, room) = self.split();
        match flows.find_mut(id) {
            Some(flow) if flow.is_encrypted() => self.encrypted(id, side, moment, event),
            Some(flow) if flow.is_tunnel() && flow.rare.is_none() => tunnels::go_on(flow, side, moment, event, room),
            _ => self.application(id, side, moment, event),
        }
        if !self.tracker.streams_over.is_empty() {
            self.put_down_streams(id, connection);
        }
        let end = match event {
            StreamEvent::Finished => EndKind::Fin,
            StreamEvent::Reset => EndKind::Rst,
            _ => return,
        };
        self.side_ended(id, side, end, EndOf::Connection, moment);
    }

    fn ended(&mut self, connection: &Connection, stream: &mut Stream, moment: Moment) {
        match *stream {
            Some(id) => self.flow_ended(id, moment),
            None => self.connection_failed(connection, moment),
        }
    }

    fn forgotten(&mut self, connection: Connection, stream: Stream, now: Timestamp) {
        match stream {
            Some(id) => self.flow_forgotten(id, connection, now),
            None => self.silent_connection_forgotten(&connection),
        }
    }
}
