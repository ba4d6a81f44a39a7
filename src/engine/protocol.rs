//! What a connection speaks: its first bytes decide, and what it says goes to those who understand it.

use crate::engine::tracker::Watch;
use crate::h2;
use crate::http::{self, FirstBytes};
use crate::packet::Moment;
use crate::session::flow::App;
use crate::session::slab::FlowId;
use crate::stream::{Role, Side, StreamEvent};
use crate::tls;

impl Watch<'_> {
    /// The first thing that a connection says: decides who is the client, and what is spoken.
    pub(super) fn first_data(&mut self, id: FlowId, side: Side, moment: Moment, event: StreamEvent<'_>) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let StreamEvent::Data(bytes) = event else { return };
        if !flow.syn_seen {
            flow.client_side = guess_client(side, bytes).unwrap_or(flow.client_side);
        }
        let role = flow.role_of(side);
        if tls::begins_record(bytes) && !flow.is_encrypted() {
            self.tls_begins(id, role, bytes, moment);
            return;
        }
        let dialogue = if flow.syn_seen { http::Dialogue::new() } else { http::Dialogue::mid_stream() };
        flow.app = App::Http(Box::new(dialogue));
        self.dialogue(id, role, moment, event);
    }

    /// HTTP/1: what is said goes to the dialogue of the flow.
    pub(super) fn dialogue(&mut self, id: FlowId, role: Role, moment: Moment, event: StreamEvent<'_>) {
        self.speak(id, |dialogue, heads, listener| dialogue.handle(role, event, moment, heads, listener));
    }

    /// Nothing more is said: what the dialogue of the flow kept back comes out.
    pub(super) fn dialogue_ends(&mut self, id: FlowId) {
        let Some(flow) = self.tracker.flows.find(id) else { return };
        if matches!(&flow.app, App::Http(dialogue) if dialogue.holds_answer()) {
            self.speak(id, |dialogue, heads, listener| dialogue.give_up_waiting(heads, listener));
        }
    }

    /// Takes the dialogue out of the flow while it speaks, so that what it tells can change the flow.
    fn speak(
        &mut self,
        id: FlowId,
        about: impl FnOnce(&mut http::Dialogue, &mut http::HeadStore, &mut dyn FnMut(http::Event<'_>)),
    ) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let App::Http(mut dialogue) = std::mem::replace(&mut flow.app, App::Inert) else { return };
        flow.app = App::Speaking;
        let Some(mut heads) = self.tracker.heads.take() else { return };
        about(&mut dialogue, &mut heads, &mut |event| self.told(id, event));
        self.tracker.heads = Some(heads);
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        // What was told may have made a tunnel, or another protocol, of the connection.
        if matches!(flow.app, App::Speaking) {
            flow.app = if dialogue.is_inert() || dialogue.is_tunnel() { App::Inert } else { App::Http(dialogue) };
        }
    }

    /// The client of a server that greeted in HTTP/2 says its first bytes. Whether it asks in HTTP/1 all the same, as one
    /// does who took the server for another: then its request is read as one.
    pub(super) fn asks_in_http1(&mut self, id: FlowId, moment: Moment, event: StreamEvent<'_>) -> bool {
        let asks = matches!(event, StreamEvent::Data(bytes) if begins_request(bytes));
        if asks && let Some(flow) = self.tracker.flows.find_mut(id) {
            flow.app = App::Http(Box::new(http::Dialogue::new()));
            self.dialogue(id, Role::Client, moment, event);
        }
        asks
    }

    /// One thing that a dialogue tells.
    fn told(&mut self, id: FlowId, event: http::Event<'_>) {
        match event {
            http::Event::ProxyHeader(header) => self.proxy_header(id, header),
            http::Event::Request(request) => self.request(id, request),
            http::Event::Response(response) => self.response(id, response),
            http::Event::Body(Role::Server, bytes) => self.body(id, bytes),
            http::Event::Tunnel(kind) => self.tunnel_begins(id, kind),
            http::Event::TunnelStream(role, moment, event) => {
                let Some(side) = self.tracker.flows.find(id).map(|flow| flow.side(role)) else { return };
                self.application(id, side, moment, event);
            }
            http::Event::NotHttp(role, first, bytes, moment) => self.not_http(id, role, first, bytes, moment),
            http::Event::IncompleteHead(role, head) => self.incomplete_head(id, role, head),
            http::Event::Limit(_, bound) => self.tracker.bound(bound_name(bound)),
            http::Event::Lost(..) => {
                if let Some(flow) = self.tracker.flows.find_mut(id) {
                    flow.rare().adoption.get_or_insert_default();
                }
            }
            http::Event::Body(Role::Client, _) | http::Event::MessageEnd(_) => {}
        }
    }

    /// What this side says is not HTTP.
    fn not_http(&mut self, id: FlowId, role: Role, first: FirstBytes, bytes: &[u8], moment: Moment) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let nothing_before = !flow.opening.is_asked() && !flow.opening.is_answered();
        flow.rare().first_bytes[role].get_or_insert(first);
        match first {
            FirstBytes::TlsHandshake | FirstBytes::TlsRecord if nothing_before => {
                self.tls_begins(id, role, bytes, moment);
                return;
            }
            FirstBytes::Http2 if nothing_before => {
                let connection = h2::Connection::new(&self.tracker.limits);
                self.h2_begins(id, connection);
                self.multiplex(id, role, moment, StreamEvent::Data(bytes));
                return;
            }
            FirstBytes::Http2 => flow.app = App::Inert,
            _ if !flow.syn_seen && nothing_before && h2::begins_with_frames(bytes) => {
                let connection = h2::Connection::mid_stream(&self.tracker.limits);
                self.h2_begins(id, connection);
                self.multiplex(id, role, moment, StreamEvent::Data(bytes));
                return;
            }
            _ if !flow.syn_seen || flow.is_attempt() => {
                let side = flow.side(role);
                flow.app = App::Probing(Box::default());
                self.probe(id, side, moment, StreamEvent::Data(bytes));
            }
            _ => {}
        }
        if role == Role::Server {
            self.odd_answer(id, bytes, moment);
        }
    }
}

/// Who the client is, where the first bytes tell: only a client sends a request, only a server an answer.
fn guess_client(side: Side, bytes: &[u8]) -> Option<Side> {
    // A TLS handshake record: type 22, and the type of its first message (RFC 8446 §4): 1 ClientHello, 2 ServerHello.
    let hello = if bytes.starts_with(&[0x16, 0x03]) { bytes.get(5) } else { None };
    if bytes.starts_with(b"HTTP/1.") || hello == Some(&2) {
        Some(side.peer())
    } else if bytes.starts_with(b"PRI * HTTP/2.0") || begins_request(bytes) || hello == Some(&1) {
        Some(side)
    } else {
        None
    }
}

/// Whether a request of HTTP/1 begins here.
fn begins_request(bytes: &[u8]) -> bool {
    const METHODS: [&[u8]; 7] = [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"DELETE ", b"CONNECT "];
    METHODS.iter().any(|method| bytes.starts_with(method))
}

fn bound_name(bound: http::dialogue::Bound) -> &'static str {
    match bound {
        http::dialogue::Bound::HeadBytes => "bytes of a head",
        http::dialogue::Bound::HeadFields => "fields of a head",
        http::dialogue::Bound::EarlyBytes => "bytes before the answer",
        http::dialogue::Bound::Pipeline => "requests without answer",
    }
}
