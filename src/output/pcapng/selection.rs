//! The packets of the sessions that are shown: gathered while they are judged, picked out when the files are read again.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;

use crate::diagnosis::Diagnosis;
use crate::engine::event::{Event, Sink, Wants};
use crate::limits::Limits;
use crate::packet::{Packet, PacketNumber};
use crate::session::{Leg, Outcome, Session};
use crate::stream::Side;
use crate::tls::secrets::ClientRandom;
use crate::wire::{Dissected, Dissector, Endpoint, Ignored};

/// Which packets, and what findings say of them.
#[derive(Debug, Default)]
pub struct Selection {
    /// What is wanted of connections, by their two ends in order.
    connections: HashMap<Ends, Vec<Span>>,
    comments: HashMap<PacketNumber, String>,
    client_randoms: Vec<ClientRandom>,
}

/// From the first to the last packet of a connection: its ports may be used again.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: PacketNumber,
    last: PacketNumber,
    /// Packets that were seen of it.
    packets: u64,
}

impl Span {
    fn of(leg: &Leg, goes_on: bool) -> Span {
        let tcp = &leg.tcp;
        let errors = tcp.icmp.iter().map(|error| error.moment.packet);
        let last = if goes_on { Some(PacketNumber(u64::MAX)) } else { errors.max() };
        let halves = Side::BOTH.map(|side| &tcp.halves[side]);
        Span {
            first: tcp.first.packet,
            last: tcp.last.packet.max(last.unwrap_or_default()),
            packets: halves.iter().map(|half| half.packets + u64::from(half.duplicates)).sum(),
        }
    }

    fn has(&self, packet: PacketNumber) -> bool {
        (self.first..=self.last).contains(&packet)
    }
}

impl Selection {
    /// Adds a session's connections, and its evidence as comments.
    pub fn add(&mut self, session: &Session, diagnosis: &Diagnosis) {
        let open = matches!(session.outcome, Outcome::Open | Outcome::Encrypted);
        for leg in &session.legs {
            let span = Span::of(leg, open && leg.tcp.ends.is_empty());
            let spans = self.connections.entry(ends(leg.client, leg.server)).or_default();
            match spans.iter_mut().find(|known| known.first == span.first) {
                // Another stream of the same connection.
                Some(known) => known.last = known.last.max(span.last),
                None => spans.push(span),
            }
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

    /// How many packets the engine saw of its connections; of those that go on, as far as it was asked.
    pub fn packets(&self) -> u64 {
        self.connections.values().flatten().map(|span| span.packets).sum()
    }

    /// The ends of its connections.
    pub(super) fn connections(&self) -> impl Iterator<Item = &Ends> {
        self.connections.keys()
    }

    /// Whether a packet between these ends is in it.
    pub(super) fn has(&self, ends: &Ends, packet: PacketNumber) -> bool {
        self.connections.get(ends).is_some_and(|spans| spans.iter().any(|span| span.has(packet)))
    }

    /// Whether a packet came while one of its connections lasted.
    pub(super) fn spans(&self, packet: PacketNumber) -> bool {
        self.connections.values().flatten().any(|span| span.has(packet))
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
                let key = ends(segment.ends.source(), segment.ends.destination());
                self.selection.has(&key, packet.number)
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
        let has = |one, other, packet| selection.has(&ends(one, other), PacketNumber(packet));
        assert!(has(client, server, 2) && has(server, client, 1));
        assert!(!has(client, server, 3), "the ports are used again");
        assert!(!has(client, session.legs[1].server, 2));
        assert_eq!(selection.comment(PacketNumber(9)), Some("s1 upgrade-headers-stripped: request to the backend"));
        assert_eq!(selection.comment(PacketNumber(1)), None);
    }

    #[test]
    fn a_connection_that_goes_on_has_no_last_packet() {
        let (mut session, diagnosis) = samples::closed();
        session.outcome = Outcome::Open;
        let later = |session: &Session| {
            let mut selection = Selection::default();
            selection.add(session, &diagnosis);
            let leg = session.first_leg();
            selection.has(&ends(leg.client, leg.server), PacketNumber(1_000_000))
        };
        assert!(!later(&session), "it ended, and another one follows");
        session.legs[0].tcp.ends.clear();
        assert!(later(&session));
    }
}
