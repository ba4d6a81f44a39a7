//! Packets that wait in memory until it is known whether their session is written.
//!
//! With `-Y` that is known when a session is over; at the screen it is when somebody saves it. By then its packets have gone
//! by. Those of all connections share one bounded piece of memory. When it is full, whoever holds most gives: of long
//! connections the middle goes, so that their opening handshake and their last words stay; then whole connections, first
//! those of which nobody knows a session, the longest silent first.

mod packed;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;

pub use packed::Copied;

use super::selection::{Ends, Selection, ends};
use crate::limits::Limits;
use crate::packet::{Packet, PacketNumber};
use crate::session::Session;
use crate::time::Timestamp;
use crate::wire::{Dissected, Dissector, Endpoint, Flags, Ignored};
use packed::Packed;

/// A connection that holds less has no middle to give.
const LITTLE: usize = 64 << 10;
/// How long the packets of a connection that is over wait for a session that claims it.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a connection costs beside its packets.
const OVERHEAD: usize = size_of::<(Ends, Connection)>() * 3 / 2;

/// Packets that wait.
pub struct Held {
    dissector: Dissector,
    connections: HashMap<Ends, Connection, RandomState>,
    /// Connections that are over, in order of that.
    over: VecDeque<(Timestamp, Ends)>,
    /// IP fragments: whose they are is known with the last one only.
    fragments: Packed,
    bound: usize,
    counts: HeldCounts,
}

/// How much waits, and how much was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HeldCounts {
    /// Packets that wait.
    pub packets: u64,
    /// Memory that they take.
    pub bytes: usize,
    /// Packets that were given up for lack of room.
    pub left_out: u64,
}

/// The packets of one connection.
#[derive(Debug, Default)]
struct Connection {
    packets: Packed,
    /// Its last packet.
    last: PacketNumber,
    /// A session is known to have it.
    claimed: bool,
    /// FINs seen, by whether the lower end sent them; an RST is both.
    finished: [bool; 2],
    over: Option<Timestamp>,
}

impl Held {
    /// Nothing yet; so many bytes at most.
    pub fn new(bound: usize, limits: &Limits) -> Held {
        Held {
            dissector: Dissector::new(limits),
            connections: HashMap::default(),
            over: VecDeque::new(),
            fragments: Packed::default(),
            bound,
            counts: HeldCounts::default(),
        }
    }

    /// Keeps a packet if it is of a TCP connection.
    pub fn keep(&mut self, packet: &Packet<'_>) {
        self.forget_unclaimed(packet.at);
        match self.dissector.dissect(packet) {
            Dissected::Tcp(segment) => {
                let (source, flags) = (segment.ends.source(), segment.flags);
                let key = ends(source, segment.ends.destination());
                let connection = self.connections.entry(key).or_insert_with(|| {
                    self.counts.bytes += OVERHEAD;
                    Connection::default()
                });
                self.counts.add(&mut connection.packets, packet);
                connection.last = packet.number;
                if connection.ends_with(flags, source == key.0, packet.at) {
                    self.over.push_back((packet.at, key));
                }
            }
            // It quotes a segment of a connection that is there already.
            Dissected::Icmp(error) => {
                if let Some(connection) = self.connections.get_mut(&ends(error.source, error.destination)) {
                    self.counts.add(&mut connection.packets, packet);
                }
            }
            Dissected::Ignored(Ignored::Fragment) => self.counts.add(&mut self.fragments, packet),
            Dissected::Dns(_) | Dissected::Ignored(_) => {}
        }
        if self.counts.bytes > self.bound {
            self.make_room();
        }
    }

    /// A session has the connection between these two: its packets wait as long as it lasts, or as there is room.
    pub fn claim(&mut self, one: Endpoint, other: Endpoint) {
        if let Some(connection) = self.connections.get_mut(&ends(one, other)) {
            connection.claimed = true;
        }
    }

    /// The packets of a selection, in their order.
    pub fn packets_of(&self, selection: &Selection) -> Copied {
        let mut copied = Copied::default();
        for key in selection.connections() {
            let packets = self.connections.get(key).into_iter().flat_map(|connection| connection.packets.iter());
            packets.filter(|packet| selection.has(key, packet.number)).for_each(|packet| copied.push(&packet));
        }
        let fragments = self.fragments.iter().filter(|packet| selection.spans(packet.number));
        fragments.for_each(|packet| copied.push(&packet));
        copied.sort();
        copied
    }

    /// A session is over: its packets wait no longer.
    pub fn forget(&mut self, session: &Session) {
        for leg in &session.legs {
            let key = ends(leg.client, leg.server);
            let Some(connection) = self.connections.get_mut(&key) else { continue };
            let last = leg.tcp.last.packet;
            if connection.last > last {
                // The ports are used again.
                self.counts.change(&mut connection.packets, |packets| packets.retain(|number| number > last));
                connection.claimed = false;
            } else {
                self.remove(&key);
            }
        }
        if self.fragments.len() > 0 {
            let first = session.legs.iter().map(|leg| leg.tcp.first.packet).min().unwrap_or_default();
            let last = session.legs.iter().map(|leg| leg.tcp.last.packet).max().unwrap_or_default();
            let others = |number| !(first..=last).contains(&number);
            self.counts.change(&mut self.fragments, |packets| packets.retain(others));
        }
    }

    /// How much waits.
    pub fn counts(&self) -> HeldCounts {
        self.counts
    }

    /// Connections that are over and that no session claimed.
    fn forget_unclaimed(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.over.front().copied()
            && now.since(at) >= PATIENCE
        {
            self.over.pop_front();
            let unclaimed = |connection: &&Connection| connection.over == Some(at) && !connection.claimed;
            if self.connections.get(&key).filter(unclaimed).is_some() {
                self.remove(&key);
            }
        }
    }

    /// Gives up packets until a quarter of the room is free.
    fn make_room(&mut self) {
        let before = self.counts.packets;
        self.counts.change(&mut self.fragments, |packets| *packets = Packed::default());
        self.give_middles();
        self.give_connections();
        self.counts.left_out += before - self.counts.packets;
    }

    fn has_room(&self) -> bool {
        self.counts.bytes <= self.bound - self.bound / 4
    }

    fn give_middles(&mut self) {
        let large = self.connections.iter().filter(|(_, connection)| connection.packets.bytes() > LITTLE);
        let mut large: Vec<(usize, Ends)> = large.map(|(key, connection)| (connection.packets.bytes(), *key)).collect();
        large.sort_unstable_by(|one, other| other.cmp(one));
        for (_, key) in large {
            if self.has_room() {
                return;
            }
            if let Some(connection) = self.connections.get_mut(&key) {
                self.counts.change(&mut connection.packets, Packed::give_middle);
            }
        }
    }

    fn give_connections(&mut self) {
        if self.has_room() {
            return;
        }
        let connections = self.connections.iter();
        let mut silent: Vec<(bool, PacketNumber, Ends)> =
            connections.map(|(key, connection)| (connection.claimed, connection.last, *key)).collect();
        silent.sort_unstable();
        for (.., key) in silent {
            if self.has_room() {
                return;
            }
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Ends) {
        if let Some(connection) = self.connections.remove(key) {
            self.counts.bytes -= OVERHEAD + connection.packets.bytes();
            self.counts.packets -= connection.packets.len();
        }
    }
}

impl HeldCounts {
    fn add(&mut self, packets: &mut Packed, packet: &Packet<'_>) {
        self.bytes -= packets.bytes();
        packets.push(packet);
        self.bytes += packets.bytes();
        self.packets += 1;
    }

    fn change(&mut self, packets: &mut Packed, change: impl FnOnce(&mut Packed)) {
        self.bytes -= packets.bytes();
        self.packets -= packets.len();
        change(packets);
        self.bytes += packets.bytes();
        self.packets += packets.len();
    }
}

impl Connection {
    /// Notes the flags of a segment. True when the connection is over with it.
    fn ends_with(&mut self, flags: Flags, lower: bool, at: Timestamp) -> bool {
        if flags.has(Flags::SYN) {
            (self.finished, self.over) = ([false; 2], None); // the ports are used again
        }
        if flags.has(Flags::RST) {
            self.finished = [true; 2];
        } else if flags.has(Flags::FIN) {
            self.finished[usize::from(lower)] = true;
        }
        let over = self.finished == [true; 2] && self.over.is_none();
        if over {
            self.over = Some(at);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;
    use crate::packet::{InterfaceId, LinkType};

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

    fn held(bound: usize) -> Held {
        Held::new(bound, &Limits::default())
    }

    fn one(port: u16) -> Endpoint {
        Endpoint { ip: [127, 0, 0, 1].into(), port }
    }

    fn numbers_of(held: &Held, ports: (u16, u16)) -> Vec<u64> {
        held.connections[&ends(one(ports.0), one(ports.1))].packets.iter().map(|packet| packet.number.0).collect()
    }

    #[test]
    fn the_packets_of_a_session_and_no_others() {
        let (session, diagnosis) = samples::stripped();
        let (front, back) = (&session.legs[0], &session.legs[1]);
        let mut held = held(1 << 20);
        let ports = |one: Endpoint, other: Endpoint| (one.port, other.port);
        let first = front.tcp.first.packet.0;
        keep(&mut held, first, ports(front.client, front.server), 0, 10);
        keep(&mut held, first, ports(back.server, back.client), 0, 10);
        keep(&mut held, first, (1, 2), 0, 10);
        keep(&mut held, 1_000, ports(front.client, front.server), 0, 10); // the ports are used again
        let mut selection = Selection::default();
        selection.add(&session, &diagnosis);
        assert_eq!(held.packets_of(&selection).len(), 2);
        assert_eq!(held.counts().packets, 4, "they are held as long as they are not forgotten");
        held.forget(&session);
        assert_eq!(held.packets_of(&selection).len(), 0);
        assert_eq!((held.connections.len(), held.counts().packets), (2, 2));
    }

    #[test]
    fn the_middle_goes_and_the_handshake_stays() {
        let mut held = held(1 << 20);
        keep(&mut held, 1, (5, 6), 0, 100);
        (2..=3_000).for_each(|number| keep(&mut held, number, (1, 2), 0, 1_000));
        let counts = held.counts();
        assert!(counts.bytes <= 1 << 20 && counts.left_out > 2_000);
        assert_eq!(counts.packets + counts.left_out, 3_000);
        assert_eq!(held.connections.len(), 2, "who holds little gives nothing");
        let kept = numbers_of(&held, (1, 2));
        assert_eq!((kept[..10].to_vec(), kept.last()), ((2..=11).collect(), Some(&3_000)));
    }

    #[test]
    fn whole_connections_go_when_all_hold_little_those_without_a_session_first() {
        let mut held = held(1 << 20);
        for number in 1..=2_000 {
            let port = 1_000 + number as u16;
            keep(&mut held, number, (port, 80), 0, 900);
            if number % 4 == 0 {
                held.claim(one(port), one(80));
            }
        }
        let counts = held.counts();
        assert!(counts.bytes <= 1 << 20 && counts.packets + counts.left_out == 2_000);
        assert!(held.connections.contains_key(&ends(one(1_004), one(80))), "a session has it");
        assert!(!held.connections.contains_key(&ends(one(1_005), one(80))));
        assert!(held.connections.contains_key(&ends(one(2_999), one(80))), "it is new");
    }

    #[test]
    fn what_is_over_and_claimed_by_nobody_is_forgotten() {
        let mut held = held(1 << 20);
        keep(&mut held, 1, (1, 2), Flags::RST, 0);
        keep(&mut held, 2, (3, 4), Flags::FIN, 0);
        keep(&mut held, 3, (5, 6), Flags::RST, 0);
        held.claim(one(6), one(5));
        keep(&mut held, 90, (7, 8), 0, 0);
        assert_eq!(held.connections.len(), 3, "half closed, claimed, new");
    }
}
