//! From a captured packet to the TCP segment in it.
//!
//! [`Dissector::dissect`] peels link layer, tunnels and IP, joins IP fragments, and gives what is left: a TCP
//! [`Segment`], an [`IcmpError`] that quotes one, or the reason why there is neither.

use std::fmt;
use std::net::IpAddr;

use crate::packet::Moment;
use crate::tcp::SeqNumber;

/// An address and a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address. An IPv4-mapped IPv6 address stays what it was on the wire.
    pub ip: IpAddr,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.port),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.port),
        }
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
    pub const fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }
}

/// The TCP options that a passive observer needs (RFC 9293 §3.2, RFC 7323, RFC 2018).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpOptions {
    /// Maximum segment size, on a SYN.
    pub mss: Option<u16>,
    /// Window scale, on a SYN.
    pub window_scale: Option<u8>,
    /// Timestamp value (TSval).
    pub timestamp: Option<u32>,
    /// Whether a SACK option reports blocks.
    pub sack: bool,
}

/// One TCP segment, with what of its packet matters.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Packet number and time.
    pub moment: Moment,
    /// From where.
    pub source: Endpoint,
    /// To where.
    pub destination: Endpoint,
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
    pub interface: crate::packet::InterfaceId,
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
    /// The headers contradict themselves.
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
