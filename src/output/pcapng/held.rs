//! Packets that wait in memory until it is known whether their session is shown.
//!
//! Whether a session matches is known when it is over, and by then its packets have gone by. Those of all connections share
//! one bounded piece of memory. When it is full, whoever holds most gives: of long connections the middle goes, so that
//! their opening handshake and their last words stay; then connections of which nobody knows a session, the oldest first.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::selection::{Ends, ends};
use crate::limits::Limits;
use crate::packet::{InterfaceId, LinkType, Packet, PacketNumber};
use crate::session::Session;
use crate::time::Timestamp;
use crate::wire::{Dissected, Dissector, Endpoint, Flags, Ignored};

/// Packets at the beginning of a connection that stay: TCP's and TLS's handshakes and the opening one.
const BEGINNING: usize = 24;
/// A connection that holds less has no middle to give.
const LITTLE: usize = 32 << 10;
/// How long the packets of a connection that is over wait for a session that claims it.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a packet costs beside its bytes.
const OVERHEAD: usize = size_of::<HeldPacket>() + 16;

/// Packets that wait.
pub struct Held {
    dissector: Dissector,
    connections: HashMap<Ends, Waiting>,
    /// Connections that are over, in order of that.
    over: VecDeque<(Timestamp, Ends)>,
    /// IP fragments: whose they are is known with the last one only.
    fragments: VecDeque<HeldPacket>,
    bytes: usize,
    bound: usize,
    left_out: u64,
}

/// The packets of one connection.
#[derive(Debug, Default)]
struct Waiting {
    packets: VecDeque<HeldPacket>,
    bytes: usize,
    /// A session is known to have it.
    claimed: bool,
    /// FINs seen, by whether the lower end sent them; an RST is both.
    finished: [bool; 2],
    over: Option<Timestamp>,
}

/// A packet with bytes of its own.
#[derive(Debug)]
pub struct HeldPacket {
    number: PacketNumber,
    at: Timestamp,
    interface: InterfaceId,
    link: LinkType,
    length: u32,
    data: Box<[u8]>,
}

impl Held {
    /// Nothing yet.
    pub fn new(limits: &Limits) -> Held {
        Held {
            dissector: Dissector::new(limits),
            connections: HashMap::new(),
            over: VecDeque::new(),
            fragments: VecDeque::new(),
            bytes: 0,
            bound: limits.waiting_packet_bytes,
            left_out: 0,
        }
    }

    /// Keeps a packet if it is of a TCP connection.
    pub fn keep(&mut self, packet: &Packet<'_>) {
        self.forget_unclaimed(packet.at);
        match self.dissector.dissect(packet) {
            Dissected::Tcp(segment) => {
                let key = ends(segment.ends.source(), segment.ends.destination());
                let (flags, lower) = (segment.flags, segment.ends.source() == key.0);
                self.add(key, packet, flags, lower);
            }
            // It quotes a segment of a connection that is there already.
            Dissected::Icmp(error) => {
                let key = ends(error.source, error.destination);
                if self.connections.contains_key(&key) {
                    self.add(key, packet, Flags(0), false);
                }
            }
            Dissected::Ignored(Ignored::Fragment) => {
                let held = HeldPacket::from(packet);
                self.bytes += held.cost();
                self.fragments.push_back(held);
            }
            Dissected::Dns(_) | Dissected::Ignored(_) => {}
        }
        if self.bytes > self.bound {
            self.make_room();
        }
    }

    /// A session has the connection between these two: its packets wait as long as it lasts.
    pub fn claim(&mut self, one: Endpoint, other: Endpoint) {
        if let Some(waiting) = self.connections.get_mut(&ends(one, other)) {
            waiting.claimed = true;
        }
    }

    /// A session is over: its packets wait no longer, and are returned in their order.
    pub fn release(&mut self, session: &Session) -> Vec<HeldPacket> {
        let mut released = Vec::new();
        for leg in &session.legs {
            let key = ends(leg.client, leg.server);
            let Some(waiting) = self.connections.get_mut(&key) else { continue };
            let last = leg.tcp.last.packet;
            let until = waiting.packets.partition_point(|packet| packet.number <= last);
            for packet in waiting.packets.drain(..until) {
                waiting.bytes -= packet.cost();
                self.bytes -= packet.cost();
                if packet.number >= leg.tcp.first.packet {
                    released.push(packet);
                }
            }
            if waiting.packets.is_empty() {
                self.connections.remove(&key);
            } else {
                waiting.claimed = false;
            }
        }
        let first = session.legs.iter().map(|leg| leg.tcp.first.packet).min();
        let last = session.legs.iter().map(|leg| leg.tcp.last.packet).max();
        if let (Some(first), Some(last)) = (first, last) {
            let (of_now, rest): (Vec<_>, Vec<_>) =
                self.fragments.drain(..).partition(|packet| (first..=last).contains(&packet.number));
            self.bytes -= of_now.iter().map(HeldPacket::cost).sum::<usize>();
            self.fragments = rest.into();
            released.extend(of_now);
        }
        released.sort_unstable_by_key(|packet| packet.number);
        released
    }

    /// Packets that were given up for lack of room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn add(&mut self, key: Ends, packet: &Packet<'_>, flags: Flags, lower: bool) {
        let held = HeldPacket::from(packet);
        let waiting = self.connections.entry(key).or_default();
        self.bytes += held.cost();
        waiting.bytes += held.cost();
        waiting.packets.push_back(held);
        if flags.has(Flags::SYN) {
            (waiting.finished, waiting.over) = ([false; 2], None); // the ports are used again
        }
        if flags.has(Flags::RST) {
            waiting.finished = [true; 2];
        } else if flags.has(Flags::FIN) {
            waiting.finished[usize::from(lower)] = true;
        }
        if waiting.finished == [true; 2] && waiting.over.is_none() {
            waiting.over = Some(packet.at);
            self.over.push_back((packet.at, key));
        }
    }

    /// Connections that are over and that no session claimed.
    fn forget_unclaimed(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.over.front().copied()
            && now.since(at) >= PATIENCE
        {
            self.over.pop_front();
            let unclaimed = |waiting: &&mut Waiting| waiting.over == Some(at) && !waiting.claimed;
            if self.connections.get_mut(&key).filter(unclaimed).is_some()
                && let Some(waiting) = self.connections.remove(&key)
            {
                self.bytes -= waiting.bytes;
            }
        }
    }

    /// Gives up packets until a quarter of the room is free.
    fn make_room(&mut self) {
        let enough = self.bound - self.bound / 4;
        self.left_out += self.fragments.len() as u64;
        self.bytes -= self.fragments.drain(..).map(|packet| packet.cost()).sum::<usize>();
        let mut largest: Vec<(usize, Ends)> = self
            .connections
            .iter()
            .filter(|(_, waiting)| waiting.bytes > LITTLE)
            .map(|(key, waiting)| (waiting.bytes, *key))
            .collect();
        largest.sort_unstable_by(|one, other| other.cmp(one));
        for (_, key) in largest {
            if self.bytes <= enough {
                return;
            }
            let Some(waiting) = self.connections.get_mut(&key) else { continue };
            let before = (waiting.bytes, waiting.packets.len());
            waiting.give_middle();
            self.bytes -= before.0 - waiting.bytes;
            self.left_out += (before.1 - waiting.packets.len()) as u64;
        }
        let mut oldest: Vec<(bool, Option<PacketNumber>, Ends)> = self
            .connections
            .iter()
            .map(|(key, waiting)| (waiting.claimed, waiting.packets.front().map(|packet| packet.number), *key))
            .collect();
        oldest.sort_unstable();
        for (.., key) in oldest {
            if self.bytes <= enough {
                return;
            }
            if let Some(waiting) = self.connections.remove(&key) {
                self.bytes -= waiting.bytes;
                self.left_out += waiting.packets.len() as u64;
            }
        }
    }
}

impl Waiting {
    /// Keeps the beginning and the later half of the rest.
    fn give_middle(&mut self) {
        let rest = self.packets.len().saturating_sub(BEGINNING);
        let given = self.packets.drain(self.packets.len() - rest..self.packets.len() - rest / 2);
        self.bytes -= given.map(|packet| packet.cost()).sum::<usize>();
    }
}

impl From<&Packet<'_>> for HeldPacket {
    fn from(packet: &Packet<'_>) -> HeldPacket {
        let Packet { number, at, interface, link, length, data } = *packet;
        HeldPacket { number, at, interface, link, length, data: data.into() }
    }
}

impl HeldPacket {
    /// As a source yields it.
    pub fn packet(&self) -> Packet<'_> {
        let HeldPacket { number, at, interface, link, length, ref data } = *self;
        Packet { number, at, interface, link, length, data }
    }

    fn cost(&self) -> usize {
        self.data.len() + OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    /// Packet `number` of a connection on loopback, with so much payload.
    fn frame(ports: (u16, u16), flags: u8, payload: usize) -> Vec<u8> {
        let builder = etherparse::PacketBuilder::ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64);
        let mut builder = builder.tcp(ports.0, ports.1, 1, 100);
        if flags & Flags::FIN != 0 {
            builder = builder.fin();
        }
        if flags & Flags::RST != 0 {
            builder = builder.rst();
        }
        let mut frame = Vec::new();
        builder.write(&mut frame, &vec![0; payload]).expect("a vector takes everything");
        frame
    }

    fn keep(held: &mut Held, number: u64, ports: (u16, u16), flags: u8, payload: usize) {
        let data = frame(ports, flags, payload);
        held.keep(&Packet {
            number: PacketNumber(number),
            at: Timestamp::from_parts(1_000 + number, 0),
            interface: InterfaceId(0),
            link: LinkType::RAW,
            length: data.len() as u32,
            data: &data,
        });
    }

    fn numbers(packets: &[HeldPacket]) -> Vec<u64> {
        packets.iter().map(|packet| packet.number.0).collect()
    }

    #[test]
    fn the_packets_of_a_session_and_no_others() {
        let (session, _) = samples::stripped();
        let (front, back) = (&session.legs[0], &session.legs[1]);
        let mut held = Held::new(&Limits::default());
        let ports = |one: Endpoint, other: Endpoint| (one.port, other.port);
        let first = front.tcp.first.packet.0;
        keep(&mut held, first, ports(front.client, front.server), 0, 10);
        keep(&mut held, first, ports(back.server, back.client), 0, 10);
        keep(&mut held, first, (1, 2), 0, 10);
        keep(&mut held, 1_000, ports(front.client, front.server), 0, 10); // the ports are used again
        assert_eq!(held.release(&session).len(), 2);
        assert_eq!(held.connections.len(), 2);
        assert_eq!(held.release(&session).len(), 0);
    }

    #[test]
    fn the_middle_goes_and_the_handshake_stays() {
        let mut held = Held::new(&Limits { waiting_packet_bytes: 1 << 20, ..Limits::default() });
        keep(&mut held, 1, (5, 6), 0, 100);
        (2..=3_000).for_each(|number| keep(&mut held, number, (1, 2), 0, 1_000));
        assert!(held.bytes <= 1 << 20 && held.left_out > 2_000);
        assert_eq!(held.connections.len(), 2, "who holds little gives nothing");
        let one = |port| Endpoint { ip: [127, 0, 0, 1].into(), port };
        let kept = &held.connections[&ends(one(1), one(2))].packets;
        let kept = numbers(&kept.iter().map(|held| HeldPacket::from(&held.packet())).collect::<Vec<_>>());
        assert_eq!(kept[..BEGINNING], (2..=25).collect::<Vec<u64>>());
        assert_eq!(kept.last(), Some(&3_000));
    }

    #[test]
    fn what_is_over_and_claimed_by_nobody_is_forgotten() {
        let mut held = Held::new(&Limits::default());
        keep(&mut held, 1, (1, 2), Flags::RST, 0);
        keep(&mut held, 2, (3, 4), Flags::FIN, 0);
        keep(&mut held, 3, (5, 6), Flags::RST, 0);
        let one = |port| Endpoint { ip: [127, 0, 0, 1].into(), port };
        held.claim(one(6), one(5));
        keep(&mut held, 90, (7, 8), 0, 0);
        assert_eq!(held.connections.len(), 3, "half closed, claimed, new");
    }
}
