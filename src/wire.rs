//! From a captured packet to the TCP segment in it.
//!
//! [`Dissector::dissect`] peels link layer, tunnels and IP, joins IP fragments, and gives what is left: a TCP
//! [`Segment`], an [`IcmpError`] that quotes one, or the reason why there is neither.

mod bytes;
mod dns;
mod ends;
mod fragments;
mod headers;
mod icmp;
mod ip;
mod link;
mod pseudo;
#[cfg(test)]
mod samples;
mod serial;
mod tcp;
mod tunnel;
mod wifi;

use std::fmt;
use std::net::IpAddr;

use crate::decimal::Digits;
use crate::limits::Limits;
use crate::packet::{InterfaceId, Moment, Packet};
use crate::tcp::SeqNumber;

pub use ends::{Addresses, Ends, KeptEnds};
pub use headers::Headers;

use bytes::Bytes;
use fragments::FragmentTable;
use ip::Datagram;
use link::Layer;

/// An address and a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address. An IPv4-mapped IPv6 address stays what it was on the wire.
    pub ip: IpAddr,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// Writes `10.0.0.1:80` or `[fe80::1]:80`.
    pub fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let ip = match self.ip {
            IpAddr::V4(ip) => ip.octets(),
            IpAddr::V6(ip) => return write!(out, "[{ip}]:{}", self.port),
        };
        let mut digits = Digits::new();
        digits.number(self.port.into());
        for (octet, sign) in std::iter::zip(ip, *b"...:").rev() {
            digits.sign(sign);
            digits.number(octet.into());
        }
        out.write_str(digits.as_str())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// TCP control bits (RFC 9293 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment field is significant.
    pub const ACK: u8 = 0x10;

    /// Whether all of `bits` are set.
    #[inline]
    pub const fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }
}

/// The TCP options that a passive observer needs (RFC 9293 §3.2, RFC 7323).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpOptions {
    /// Maximum segment size, on a SYN.
    pub mss: Option<u16>,
    /// Window scale, on a SYN.
    pub window_scale: Option<u8>,
    /// Timestamp value (TSval).
    pub timestamp: Option<u32>,
}

/// One TCP segment, with what of its packet matters.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Packet number and time.
    pub moment: Moment,
    /// From where to where.
    pub ends: Ends,
    /// Sequence number of the first byte (of the SYN, if it has one).
    pub seq: SeqNumber,
    /// Acknowledgment number; meaningful when `flags` has ACK.
    pub ack: SeqNumber,
    /// Control bits.
    pub flags: Flags,
    /// The window field, not scaled.
    pub window: u16,
    /// The raw options; read them with [`Segment::options`].
    pub raw_options: &'a [u8],
    /// The payload that was captured.
    pub payload: &'a [u8],
    /// The length of the payload on the wire; more than `payload` holds when the snap length cut it.
    pub payload_length: u32,
    /// IP time to live, or hop limit.
    pub ttl: u8,
    /// IPv4 identification; 0 for IPv6.
    pub ip_id: u16,
    /// Where it was captured.
    pub interface: InterfaceId,
}

/// An ICMP or ICMPv6 error, tied to the TCP connection whose segment it quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpError {
    /// Packet number and time.
    pub moment: Moment,
    /// Who sent it.
    pub from: IpAddr,
    /// Source of the quoted segment.
    pub source: Endpoint,
    /// Destination of the quoted segment.
    pub destination: Endpoint,
    /// What it says.
    pub kind: IcmpKind,
}

/// What an ICMP error says (RFC 792, RFC 1191, RFC 4443).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IcmpKind {
    /// Destination unreachable, with its code.
    Unreachable(u8),
    /// Fragmentation needed, or Packet Too Big, with the MTU that it names (0: none named).
    PacketTooBig(u32),
    /// Time exceeded.
    TimeExceeded,
    /// Any other error: type and code.
    Other(u8, u8),
}

/// Why a packet holds nothing for us. Counted, and shown in the summary.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ignored {
    /// Not IP: ARP, LLDP, ...
    NotIp,
    /// IP, but neither TCP nor an ICMP error that quotes TCP.
    NotTcp,
    /// A fragment, held until the rest of its datagram comes.
    Fragment,
    /// The headers are cut off by the snap length.
    CutHeader,
    /// The headers contradict themselves, or more of them are nested than the limits allow.
    Malformed,
    /// A link type that is not known here.
    UnknownLink,
}

/// A DNS answer or question seen beside the connections: so that "host not found" can be named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsMessage {
    /// Packet number and time.
    pub moment: Moment,
    /// Who asks.
    pub client: IpAddr,
    /// The name asked for, without the final dot. Hostile text.
    pub name: String,
    /// `None` for a question, else the response code (RFC 1035 §4.1.1): 0 is success, 3 is NXDOMAIN.
    pub answer: Option<u8>,
    /// The addresses of the answer, at most four.
    pub addresses: Vec<IpAddr>,
}

/// What [`Dissector::dissect`] found in a packet.
#[derive(Clone, Debug)]
pub enum Dissected<'a> {
    /// A TCP segment.
    Tcp(Segment<'a>),
    /// An ICMP error about a TCP segment.
    Icmp(IcmpError),
    /// A DNS message over UDP.
    Dns(DnsMessage),
    /// Nothing for us.
    Ignored(Ignored),
}

/// What a [`Dissector`] did beside giving segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DissectorCounts {
    /// Datagrams put together from fragments.
    pub datagrams_joined: u64,
    /// Fragments given up because the rest of their datagram did not come in time.
    pub fragments_expired: u64,
    /// Fragments given up because [`Limits::fragmented_datagrams`] or [`Limits::fragment_bytes`] was reached.
    pub fragments_evicted: u64,
    /// Fragments that repeat a part of others. The first copy of each byte is believed.
    pub fragments_overlapping: u64,
    /// Packets with more nested headers than [`Limits::nested_headers`].
    pub too_deep: u64,
}

/// Takes packets apart. Keeps IP fragments until their datagram is whole, and nothing else.
#[derive(Debug)]
pub struct Dissector {
    nested_headers: usize,
    too_deep: u64,
    fragments: FragmentTable,
    /// What was joined last, one for each fragmented datagram that may be nested in another one.
    joined: [Vec<u8>; 2],
}

impl Dissector {
    /// One with no fragments yet.
    pub fn new(limits: &Limits) -> Dissector {
        Dissector {
            nested_headers: limits.nested_headers,
            too_deep: 0,
            fragments: FragmentTable::new(limits),
            joined: Default::default(),
        }
    }

    /// Peels a packet down to what is for us. Checksums are not looked at: captures are full of unfinished ones.
    #[inline]
    pub fn dissect<'a>(&'a mut self, packet: &Packet<'a>) -> Dissected<'a> {
        match Headers::read(packet.link, packet.length, packet.data) {
            Some(headers) => Dissected::Tcp(headers.segment(packet)),
            None => self.peel(packet).unwrap_or_else(Dissected::Ignored),
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> DissectorCounts {
        DissectorCounts { too_deep: self.too_deep, ..self.fragments.counts() }
    }

    /// Fragments that still wait for the rest of their datagram.
    pub fn fragments_held(&self) -> usize {
        self.fragments.held()
    }

    /// One header after the other.
    #[inline(never)]
    fn peel<'a>(&'a mut self, packet: &Packet<'a>) -> Result<Dissected<'a>, Ignored> {
        let mut joined = self.joined.iter_mut();
        let (interface, mut layer, mut bytes) = link::first(packet)?;
        for _ in 0..self.nested_headers {
            if layer != Layer::Ip {
                (layer, bytes) = link::peel(layer, bytes)?;
                continue;
            }
            let mut datagram = Datagram::parse(bytes)?;
            if datagram.fragment.is_some() {
                let whole = self.fragments.handle(&datagram, interface, packet.at)?;
                let buffer = joined.next().ok_or(Ignored::Malformed)?;
                *buffer = whole.captured;
                datagram.join(whole.protocol, Bytes::new(buffer, whole.length))?;
            }
            let origin = Origin { moment: packet.moment(), interface };
            match datagram.protocol {
                ip::TCP => return tcp::segment(&datagram, origin).map(Dissected::Tcp),
                ip::ICMP | ip::ICMPV6 => return icmp::error(&datagram, origin).map(Dissected::Icmp),
                ip::UDP => {
                    let (ports, payload) = ip::udp(datagram.payload)?;
                    if ports.contains(&dns::PORT) {
                        return dns::message(&datagram, ports, payload, origin).map(Dissected::Dns);
                    }
                    (layer, bytes) = tunnel::over_udp(ports[1], payload)?;
                }
                protocol => (layer, bytes) = tunnel::over_ip(protocol, datagram.payload)?,
            }
        }
        self.too_deep += 1;
        Err(Ignored::Malformed)
    }
}

/// Where what is dissected comes from.
#[derive(Clone, Copy)]
struct Origin {
    moment: Moment,
    interface: InterfaceId,
}

#[cfg(test)]
mod tests {
    use etherparse::{LaxNetSlice, LaxSlicedPacket, PacketBuilder, TransportSlice};
    use proptest::prelude::*;

    use super::samples::packet;
    use super::*;
    use crate::packet::{LinkType, PacketNumber};
    use crate::time::Timestamp;

    /// Every link type that is known, and one that is not.
    const LINKS: [u16; 21] =
        [0, 1, 9, 12, 14, 50, 101, 104, 105, 108, 109, 113, 117, 127, 204, 228, 229, 239, 258, 276, 147];

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            packets in prop::collection::vec((0..LINKS.len(), any::<u16>(), prop::collection::vec(any::<u8>(), 0..200)), 1..8),
        ) {
            let mut dissector = Dissector::new(&Limits::default());
            for (link, length, data) in &packets {
                let hostile = Packet { length: u32::from(*length), ..packet(LinkType(LINKS[*link]), data) };
                if let Dissected::Tcp(segment) = dissector.dissect(&hostile) {
                    segment.options();
                    prop_assert!(segment.payload.len() <= segment.payload_length as usize);
                }
            }
        }

        /// Bytes that are nearly right get deeper than arbitrary ones.
        #[test]
        fn damaged_packets_never_panic(
            sample in 0usize..6,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            use super::samples::{ethernet, ip4, tcp4, tcp6, udp4};
            let vxlan = [&[8, 0, 0, 0, 0, 0, 42, 0], &ethernet(&[0x8100], &tcp4(b"x"))[..]].concat();
            let mut data = ethernet(&[0x88A8, 0x8100], &match sample {
                0 => tcp4(b"GET /"),
                1 => tcp6(b"GET /"),
                2 => udp4(30000, 4789, &vxlan),
                3 => udp4(53, 30000, b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01\xC0\x0C\0\x01\0\x01\0\0\0\0\0\x04abcd"),
                4 => ip4(ip::ICMP, &[&[3, 1, 0, 0, 0, 0, 0, 0], &tcp4(b"x")[..]].concat()),
                _ => ip4(ip::GRE, &[&[0xB0, 0, 0x65, 0x58], &[0; 12][..], &ethernet(&[], &tcp6(b"x"))].concat()),
            });
            for (at, value) in &damage {
                let at = at.index(data.len());
                data[at] = *value;
            }
            let mut cut_packet = packet(LinkType::ETHERNET, &data);
            cut_packet.data = &data[..cut.index(data.len() + 1)];
            let mut dissector = Dissector::new(&Limits::default());
            for packet in [packet(LinkType::ETHERNET, &data), cut_packet] {
                if let Dissected::Tcp(segment) = dissector.dissect(&packet) {
                    segment.options();
                }
            }
        }

        /// What the short way finds in a packet, the long way finds as well.
        #[test]
        fn the_usual_packet_is_nothing_special(
            (v6, link) in (any::<bool>(), 0usize..4),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            cut in any::<prop::sample::Index>(),
            length in any::<u16>(),
        ) {
            let ip = if v6 { samples::tcp6(b"GET / HTTP/1.1") } else { samples::tcp4(b"GET / HTTP/1.1") };
            let frame = samples::ethernet(&[0x8100][..link / 3], &ip);
            let (link, mut data) = match link {
                0 => (LinkType::LINUX_SLL, [&[0, 0], &frame[..12], &frame[12..]].concat()),
                1 => (LinkType::LINUX_SLL2, [&frame[12..14], &[0; 18], &ip].concat()),
                _ => (LinkType::ETHERNET, frame),
            };
            for (at, value) in &damage {
                let at = at.index(data.len());
                data[at] = *value;
            }
            let captured = &data[..cut.index(data.len() + 1)];
            for (captured, length) in [(&data[..], data.len()), (captured, data.len()), (&data[..], length.into())] {
                let packet = Packet { length: length as u32, ..packet(link, captured) };
                if let Some(headers) = Headers::read(packet.link, packet.length, packet.data) {
                    let short = headers.segment(&packet);
                    match Dissector::new(&Limits::default()).peel(&packet) {
                        Ok(Dissected::Tcp(long)) => prop_assert_eq!(format!("{:?}", short), format!("{:?}", long)),
                        other => return Err(TestCaseError::fail(format!("{short:?} {other:?}"))),
                    };
                } else if damage.is_empty() && captured.len() == data.len() {
                    return Err(TestCaseError::fail("an undamaged packet went the long way"));
                }
            }
        }

        /// What etherparse builds and reads back is what is found here: an independent opinion.
        #[test]
        fn agrees_with_etherparse(
            (v6, vlan, ttl) in (any::<bool>(), any::<bool>(), any::<u8>()),
            (ports, seq, ack, window) in (any::<[u16; 2]>(), any::<u32>(), any::<u32>(), any::<u16>()),
            payload in prop::collection::vec(any::<u8>(), 0..100),
            cut in any::<prop::sample::Index>(),
        ) {
            let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
            let ip = match (vlan, v6) {
                (false, false) => link.ipv4([10, 1, 2, 3], [10, 3, 2, 1], ttl),
                (true, false) => link.single_vlan(7u16.try_into().unwrap()).ipv4([10, 1, 2, 3], [10, 3, 2, 1], ttl),
                (false, true) => link.ipv6([1; 16], [2; 16], ttl),
                (true, true) => link.single_vlan(7u16.try_into().unwrap()).ipv6([1; 16], [2; 16], ttl),
            };
            let tcp = ip.tcp(ports[0], ports[1], seq, window).ack(ack).psh();
            let mut data = Vec::new();
            tcp.write(&mut data, &payload).unwrap();
            let captured = &data[..cut.index(data.len() + 1)];
            let theirs = LaxSlicedPacket::from_ethernet(captured);
            let ours = Packet { length: data.len() as u32, ..packet(LinkType::ETHERNET, captured) };
            let mut dissector = Dissector::new(&Limits::default());
            match (dissector.dissect(&ours), theirs.as_ref().map(|packet| (&packet.net, &packet.transport))) {
                (Dissected::Tcp(ours), Ok((Some(net), Some(TransportSlice::Tcp(tcp))))) => {
                    let (source, destination): (IpAddr, IpAddr) = match net {
                        LaxNetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
                        LaxNetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
                        LaxNetSlice::Arp(_) => return Err(TestCaseError::fail("ARP")),
                    };
                    prop_assert_eq!(ours.ends.source(), Endpoint { ip: source, port: tcp.source_port() });
                    prop_assert_eq!(ours.ends.destination(), Endpoint { ip: destination, port: tcp.destination_port() });
                    prop_assert_eq!((ours.seq.0, ours.ack.0), (tcp.sequence_number(), tcp.acknowledgment_number()));
                    prop_assert_eq!((ours.window, ours.ttl), (tcp.window_size(), ttl));
                    prop_assert_eq!(ours.flags, Flags(Flags::ACK | Flags::PSH));
                    prop_assert_eq!(ours.payload, tcp.payload());
                    prop_assert_eq!(ours.payload_length as usize, payload.len());
                }
                (Dissected::Ignored(Ignored::CutHeader), Err(_) | Ok((_, None))) => {}
                (ours, theirs) => return Err(TestCaseError::fail(format!("{ours:?} {theirs:?}"))),
            }
        }
    }

    #[test]
    fn moment_and_interface_are_those_of_the_packet() {
        let data = samples::tcp4(b"");
        let packet = Packet {
            number: PacketNumber(7),
            at: Timestamp::from_parts(5, 6),
            interface: InterfaceId(3),
            ..packet(LinkType::RAW, &data)
        };
        match Dissector::new(&Limits::default()).dissect(&packet) {
            Dissected::Tcp(segment) => {
                assert_eq!(segment.moment, packet.moment());
                assert_eq!(segment.interface, InterfaceId(3));
            }
            other => panic!("{other:?}"),
        };
    }
}
