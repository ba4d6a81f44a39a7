//! HTTP/2 connections: each stream that carries a WebSocket, or an attempt at one, is a flow of its own.

use crate::engine::tracker::Watch;
use crate::h2::{self, Event, Stall, StreamEnd, StreamId};
use crate::http;
use crate::http::dialogue::TunnelKind;
use crate::http::handshake::Offer;
use crate::packet::Moment;
use crate::session::flow::{App, Flow, Multiplex};
use crate::session::leg::{EndOf, H2Facts};
use crate::session::over::Over;
use crate::session::records::EntryState;
use crate::session::slab::FlowId;
use crate::stream::{Role, StreamEvent};
use crate::tcp::{Connection, EndKind};
use crate::time::Timestamp;

/// The flows of one connection.
type Streams = Vec<(StreamId, FlowId)>;

impl Watch<'_> {
    /// A connection speaks HTTP/2 from here on.
    pub(super) fn h2_begins(&mut self, id: FlowId, connection: h2::Connection) {
        if let Some(flow) = self.tracker.flows.find_mut(id) {
            flow.app = App::H2(Box::new(Multiplex { connection, streams: Vec::new(), carried: false }));
        }
    }

    /// The connection goes on. It is taken out of its flow while it speaks, so that what it tells can change flows.
    pub(super) fn multiplex(&mut self, id: FlowId, role: Role, moment: Moment, event: StreamEvent<'_>) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let App::H2(mut multiplex) = std::mem::replace(&mut flow.app, App::Speaking) else { return };
        let Multiplex { connection, streams, .. } = &mut *multiplex;
        if role == Role::Client && connection.awaits_client() && self.asks_in_http1(id, moment, event) {
            return;
        }
        connection.handle(role, event, moment, &mut |event| self.stream_told(id, streams, event));
        if let Some(flow) = self.tracker.flows.find_mut(id) {
            flow.app = App::H2(multiplex);
        }
    }

    /// One thing that is said on a stream.
    fn stream_told(&mut self, connection: FlowId, streams: &mut Streams, event: Event<'_>) {
        let find =
            |streams: &Streams, id| streams.iter().rev().find(|(stream, _)| *stream == id).map(|(_, flow)| *flow);
        match event {
            Event::Request(id, request) => self.stream_request(connection, streams, id, request),
            Event::Limit(bound) => self.tracker.bound(bound.name()),
            Event::Unknown(id, role, moment, event) => {
                let flow = find(streams, id).or_else(|| self.unknown_stream(connection, streams, id, moment));
                if let Some(flow) = flow {
                    self.probe_stream(flow);
                    self.on_stream(flow, role, moment, event);
                }
            }
            Event::Response(id, response) => {
                if let Some(flow) = find(streams, id) {
                    self.response(flow, response);
                }
            }
            Event::Body(id, bytes) => {
                if let Some(flow) = find(streams, id) {
                    self.body(flow, bytes);
                }
            }
            Event::Tunnel(id) => {
                if let Some(flow) = find(streams, id) {
                    self.tunnel_begins(flow, TunnelKind::Upgrade);
                }
            }
            Event::TunnelStream(id, role, moment, event) => {
                if let Some(flow) = find(streams, id) {
                    self.on_stream(flow, role, moment, event);
                }
            }
            Event::End(id, role, end, moment) => {
                if let Some(flow) = find(streams, id) {
                    self.stream_ended(connection, flow, role, end, moment);
                }
            }
            Event::Stalled(id, role, stall) => {
                if let Some(flow) = find(streams, id) {
                    self.stream_stalled(flow, role, stall);
                }
            }
        }
    }

    fn on_stream(&mut self, flow: FlowId, role: Role, moment: Moment, event: StreamEvent<'_>) {
        let Some(side) = self.tracker.flows.find(flow).map(|flow| flow.side(role)) else { return };
        self.application(flow, side, moment, event);
    }

    /// A request matters when it asks for a WebSocket, or may be what a proxy made of one that does.
    fn stream_request(&mut self, connection: FlowId, streams: &mut Streams, id: StreamId, request: http::Request) {
        let attempt = Offer::read(&request.head).is_attempt();
        if !attempt && !self.tracker.joiner.is_anybody_waiting() {
            return;
        }
        self.drop_bystanders(streams);
        let Some(flow) = self.stream_flow(connection, id, request.begun) else { return };
        streams.push((id, flow));
        if attempt {
            self.hand_over(connection, flow);
        }
        self.request(flow, request);
    }

    /// A stream whose beginning was not captured may be a WebSocket that was open before.
    fn unknown_stream(
        &mut self,
        connection: FlowId,
        streams: &mut Streams,
        id: StreamId,
        moment: Moment,
    ) -> Option<FlowId> {
        self.drop_bystanders(streams);
        let flow = self.stream_flow(connection, id, moment)?;
        streams.push((id, flow));
        Some(flow)
    }

    /// What comes on a stream may be frames, although nothing that was captured says so.
    fn probe_stream(&mut self, id: FlowId) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let Some(h2) = flow.rare.as_mut().and_then(|rare| rare.h2.as_mut()) else { return };
        if !std::mem::replace(&mut h2.probed, true) && matches!(flow.app, App::Inert) {
            flow.app = App::Probing(Box::default());
        }
    }

    /// The flow of a stream, with what it has from its connection.
    fn stream_flow(&mut self, connection: FlowId, id: StreamId, moment: Moment) -> Option<FlowId> {
        let parent = self.tracker.flows.find(connection)?;
        let mut flow = Flow::new(parent.connection, parent.endpoints(), parent.syn_seen, moment);
        flow.client_side = parent.client_side;
        flow.app = App::Inert;
        flow.rare().proxy_header = parent.proxy_header();
        flow.rare().h2 = Some(Box::new(H2Facts { stream_id: id.0, ..H2Facts::default() }));
        Some(self.tracker.flows.insert(flow))
    }

    /// A session that has found the connection behind one of its legs has found this stream.
    fn hand_over(&mut self, connection: FlowId, flow: FlowId) {
        let Some(session) = self.tracker.flows.find_mut(connection).and_then(|flow| flow.session.take()) else {
            return;
        };
        if let Some(record) = self.tracker.records.find_mut(session)
            && let Some(index) = record.index_of(connection)
        {
            record.entries[index].state = EntryState::Live(flow);
        }
        if let Some(flow) = self.tracker.flows.find_mut(flow) {
            flow.session = Some(session);
        }
        self.tracker.measure_depth(flow);
    }

    /// Forgets streams that turned out to be no legs: all but the latest.
    fn drop_bystanders(&mut self, streams: &mut Streams) {
        const KEPT: usize = 32;
        if streams.len() < 2 * KEPT {
            return;
        }
        let mut left = streams.len() - KEPT;
        streams.retain(|&(_, id)| {
            left = left.saturating_sub(1);
            let no_leg = self.tracker.flows.find(id).is_none_or(|flow| flow.session.is_none());
            if left > 0 && no_leg {
                self.tracker.flows.remove(id);
            }
            left == 0 || !no_leg
        });
    }

    /// One side ended a stream: END_STREAM is what a FIN is, RST_STREAM what an RST is (RFC 8441 §5).
    fn stream_ended(&mut self, connection: FlowId, id: FlowId, role: Role, end: StreamEnd, moment: Moment) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let side = flow.side(role);
        let Some(h2) = &mut flow.rare().h2 else { return };
        let (kind, of) = match end {
            StreamEnd::EndStream => (EndKind::Fin, EndOf::Stream),
            StreamEnd::Reset(_) => (EndKind::Rst, EndOf::Stream),
            StreamEnd::GoAway(_) => (EndKind::Rst, EndOf::Streams),
        };
        match end {
            StreamEnd::EndStream => {
                h2.finished[role].get_or_insert(moment);
            }
            StreamEnd::Reset(code) | StreamEnd::GoAway(code) => {
                (h2.reset, h2.by_goaway) = (Some((role, code.0, moment)), of == EndOf::Streams);
            }
        }
        let over = kind == EndKind::Rst || (h2.finished.client.is_some() && h2.finished.server.is_some());
        self.side_ended(id, side, kind, of, moment);
        if over {
            self.flow_ended(id, moment);
            self.tracker.streams_over.push_back((moment.at, connection, id));
        }
    }

    /// What `sender` had to wait for, because its peer kept the window shut.
    fn stream_stalled(&mut self, id: FlowId, sender: Role, stall: Stall) {
        let now = self.tracker.now;
        let Some(h2) = self.tracker.flows.find_mut(id).and_then(|flow| flow.rare().h2.as_mut()) else { return };
        let shut = &mut h2.zero_window[sender.peer()];
        let time = stall.until.map_or(now, |until| until.at).since(stall.since.at);
        shut.count = shut.count.saturating_add(1);
        shut.total += time;
        shut.longest = shut.longest.max(time);
        shut.first.get_or_insert(stall.since);
        shut.open |= stall.until.is_none();
    }

    /// The flows of a connection's streams that are not over.
    pub(super) fn open_streams(&self, id: FlowId) -> Vec<FlowId> {
        let Some(App::H2(multiplex)) = self.tracker.flows.find(id).map(|flow| &flow.app) else { return Vec::new() };
        let over = |id: FlowId| self.tracker.streams_over.iter().any(|&(_, _, flow)| flow == id);
        multiplex.streams.iter().map(|&(_, flow)| flow).filter(|&flow| !over(flow)).collect()
    }

    /// Puts down the streams of a connection that have been over for a while.
    pub(super) fn put_down_streams(&mut self, id: FlowId, connection: &Connection) {
        let (now, linger) = (self.tracker.now, self.tracker.limits.linger);
        while let Some(&(at, parent, flow)) = self.tracker.streams_over.front()
            && parent == id
            && now.since(at) > linger
        {
            self.tracker.streams_over.pop_front();
            let Some(App::H2(multiplex)) = self.tracker.flows.find_mut(id).map(|flow| &mut flow.app) else { continue };
            multiplex.streams.retain(|&(_, stream)| stream != flow);
            multiplex.carried = true;
            let enabled = multiplex.connection.connect_protocol_enabled();
            self.put_down_stream(id, flow, enabled, connection, now);
        }
    }

    /// The connection is forgotten, and its streams with it. Says whether one of them was a leg.
    pub(super) fn streams_forgotten(&mut self, id: FlowId, connection: &Connection, now: Timestamp) -> bool {
        let Some(App::H2(multiplex)) = self.tracker.flows.find_mut(id).map(|flow| &mut flow.app) else { return false };
        let streams = std::mem::take(&mut multiplex.streams);
        let enabled = multiplex.connection.connect_protocol_enabled();
        let mut carried = multiplex.carried;
        self.tracker.streams_over.retain(|&(_, parent, _)| parent != id);
        for (_, flow) in streams {
            carried |= self.put_down_stream(id, flow, enabled, connection, now);
        }
        carried
    }

    /// A stream is over and done with. Says whether it was a leg.
    fn put_down_stream(
        &mut self,
        parent: FlowId,
        id: FlowId,
        connect_protocol_enabled: Option<bool>,
        connection: &Connection,
        now: Timestamp,
    ) -> bool {
        self.last_words(id, connection);
        self.give_up_waiting(id, now);
        self.settle_partner(id);
        let tls = self.tracker.flows.find(parent).and_then(|flow| Some(flow.rare.as_ref()?.tls.as_ref()?.facts()));
        let Some(mut flow) = self.tracker.flows.remove(id) else { return false };
        if let Some(h2) = &mut flow.rare().h2 {
            h2.connect_protocol_enabled = connect_protocol_enabled;
        }
        let Some(session) = flow.session else { return false };
        let mut leg = flow.take_leg(connection.facts());
        leg.tls = tls.map(Box::new);
        self.tracker.put_down(session, id, Over::Told(Box::new(leg)));
        true
    }
}
