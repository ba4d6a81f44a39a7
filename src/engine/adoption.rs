//! WebSockets whose opening handshake was not seen: bytes that prove to be frames are taken up as a session.

use crate::engine::event::Event;
use crate::engine::tracker::Watch;
use crate::http::FirstBytes;
use crate::packet::Moment;
use crate::session::flow::{App, Loose};
use crate::session::slab::FlowId;
use crate::session::tunnel::TunnelState;
use crate::stream::{Role, Side, StreamEvent};
use crate::ws::{Adoption, Judgement};

impl Watch<'_> {
    /// Bytes of a protocol that is not known: they may be frames of a WebSocket that was open before the capture began.
    pub(super) fn probe(&mut self, id: FlowId, side: Side, moment: Moment, event: StreamEvent<'_>) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let App::Probing(adoption) = &mut flow.app else { return };
        match adoption.follow(side, event, moment) {
            Judgement::Undecided => {}
            Judgement::Other => flow.app = App::Inert,
            Judgement::WebSocket { client } => {
                let App::Probing(adoption) = std::mem::replace(&mut flow.app, App::Inert) else { return };
                self.adopt(id, client, *adoption);
            }
        }
    }

    /// HTTP lost its way because bytes are missing: the opening handshake may be among them.
    pub(super) fn look_for_frames(&mut self, id: FlowId, side: Side, moment: Moment, event: StreamEvent<'_>) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        if !matches!(flow.app, App::Http(_)) {
            return;
        }
        let client_side = flow.syn_seen.then_some(flow.client_side);
        let Some(rare) = &mut flow.rare else { return };
        let Some(adoption) = &mut rare.adoption else { return };
        let judgement = adoption.follow(side, event, moment);
        match (judgement, rare.adoption.take()) {
            (Judgement::Undecided, adoption) => rare.adoption = adoption,
            (Judgement::WebSocket { client }, Some(adoption)) if client_side.is_none_or(|side| side == client) => {
                self.adopt(id, client, *adoption);
            }
            _ => {}
        }
    }

    /// A WebSocket that was open before the capture began: its bytes so far are frames.
    pub(super) fn adopt(&mut self, id: FlowId, client: Side, adoption: Adoption) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        flow.client_side = client;
        let held = adoption.into_held();
        let first =
            Side::BOTH.into_iter().filter_map(|side| held[side].packets.first()).map(|(moment, _)| *moment).min();
        let moment = first.unwrap_or(flow.opened);
        let mut tunnel = TunnelState::new(None, moment);
        tunnel.join(&held[client], &held[client.peer()]);
        flow.app = App::Tunnel(Box::new(tunnel));
        flow.rare().loose = Some(Loose::default());
        for role in Role::BOTH {
            flow.rare().first_bytes[role].get_or_insert(FirstBytes::WebSocket);
        }
        self.ensure_session(id);
        if self.tracker.wants.progress
            && let Some(place) = self.tracker.place(id)
        {
            self.emit(&Event::Adopted(place, moment));
        }
        let mut pieces: Vec<(Moment, Side, &[u8])> = Vec::new();
        for side in Side::BOTH {
            pieces.extend(held[side].pieces().map(|(moment, bytes)| (moment, side, bytes)));
        }
        pieces.sort_by_key(|(moment, ..)| *moment);
        for (moment, side, bytes) in pieces {
            self.application(id, side, moment, StreamEvent::Data(bytes));
        }
    }
}
