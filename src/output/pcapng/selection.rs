//! The packets of the sessions that are shown: gathered while they are judged, picked out when the files are read again.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;

use crate::diagnosis::Diagnosis;
use crate::engine::event::{Event, Sink, Wants};
use crate::limits::Limits;
use crate::packet::{Packet, PacketNumber};
use crate::session::Session;
use crate::tls::secrets::ClientRandom;
use crate::wire::{Dissected, Dissector, Endpoint, Ignored};

/// Which packets, and what findings say of them.
#[derive(Debug, Default)]
pub struct Selection {
    /// The first and the last packet of connections, by their two ends in order.
    connections: HashMap<Ends, Vec<(PacketNumber, PacketNumber)>>,
    comments: HashMap<PacketNumber, String>,
    client_randoms: Vec<ClientRandom>,
}

impl Selection {
    /// Adds a session's connections, and its evidence as comments.
    pub fn add(&mut self, session: &Session, diagnosis: &Diagnosis) {
        for leg in &session.legs {
            let span = (leg.tcp.first.packet, leg.tcp.last.packet);
            self.connections.entry(ends(leg.client, leg.server)).or_default().push(span);
            self.client_randoms.extend(leg.tls.as_ref().and_then(|tls| tls.client_random));
        }
        for finding in &diagnosis.findings {
            for (packet, note) in &finding.evidence.packets {
                let comment = self.comments.entry(*packet).or_default();
                let separator = if comment.is_empty() { "" } else { "\n" };
                write!(comment, "{separator}s{} {}: {note}", session.id.0, finding.id)
                    .expect("writing to a string cannot fail");
            }
        }
    }

    /// What findings say of a packet.
    pub fn comment(&self, packet: PacketNumber) -> Option<&str> {
        self.comments.get(&packet).map(String::as_str)
    }

    /// The random values of the ClientHellos of its connections.
    pub fn client_randoms(&self) -> &[ClientRandom] {
        &self.client_randoms
    }

    fn has(&self, one: Endpoint, other: Endpoint, packet: PacketNumber) -> bool {
        let spans = self.connections.get(&ends(one, other));
        spans.is_some_and(|spans| spans.iter().any(|(first, last)| (*first..=*last).contains(&packet)))
    }
}

/// The two ends of a connection, in order.
pub(super) type Ends = (Endpoint, Endpoint);

/// The two ends of a connection, whoever is the client.
pub(super) fn ends(one: Endpoint, other: Endpoint) -> Ends {
    if one <= other { (one, other) } else { (other, one) }
}

/// Picks the packets of a selection, in the order in which they were read before.
pub struct Picker<'a> {
    selection: &'a Selection,
    dissector: Dissector,
}

impl<'a> Picker<'a> {
    /// For this selection.
    pub fn new(selection: &'a Selection, limits: &Limits) -> Picker<'a> {
        Picker { selection, dissector: Dissector::new(limits) }
    }

    /// Whether a packet is picked. Fragments are, whoever they belong to: that is known with the last one only.
    pub fn picks(&mut self, packet: &Packet<'_>) -> bool {
        match self.dissector.dissect(packet) {
            Dissected::Tcp(segment) => {
                self.selection.has(segment.ends.source(), segment.ends.destination(), packet.number)
            }
            // It quotes a segment of the connection, and may come behind its last packet.
            Dissected::Icmp(error) => self.selection.connections.contains_key(&ends(error.source, error.destination)),
            Dissected::Dns(_) => false,
            Dissected::Ignored(reason) => reason == Ignored::Fragment,
        }
    }
}

/// A sink in front of a sink: gathers the selection on the way.
#[derive(Debug)]
pub struct Gather<S> {
    sink: S,
    selection: Option<Selection>,
}

impl<S> Gather<S> {
    /// In front of `sink`; gathers nothing unless it is wanted.
    pub fn new(sink: S, wanted: bool) -> Gather<S> {
        Gather { sink, selection: wanted.then(Selection::default) }
    }

    /// The sink behind, to tell it something else.
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Takes what was gathered, when the run is over.
    pub fn take_selection(&mut self) -> Option<Selection> {
        self.selection.take()
    }
}

impl<S: Sink> Sink for Gather<S> {
    fn wants(&self) -> Wants {
        self.sink.wants()
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if let (Some(selection), Event::Session(session, diagnosis)) = (&mut self.selection, event) {
            selection.add(session, diagnosis);
        }
        self.sink.event(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn connections_by_their_ends_and_their_time() {
        let (session, diagnosis) = samples::stripped();
        let mut selection = Selection::default();
        selection.add(&session, &diagnosis);
        let (client, server) = (session.legs[0].client, session.legs[0].server);
        assert!(selection.has(client, server, PacketNumber(2)));
        assert!(selection.has(server, client, PacketNumber(1)));
        assert!(!selection.has(client, server, PacketNumber(3)), "the ports are used again");
        assert!(!selection.has(client, session.legs[1].server, PacketNumber(2)));
        assert_eq!(selection.comment(PacketNumber(9)), Some("s1 upgrade-headers-stripped: request to the backend"));
        assert_eq!(selection.comment(PacketNumber(1)), None);
    }
}
