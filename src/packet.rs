//! One captured packet, as a source yields it.

mod later;

pub use later::{Later, When};

use std::fmt;

use crate::time::Timestamp;

/// The number of a packet in its capture, from 1, as Wireshark shows it.
///
/// With several files read at once the numbers run on in the order of the merge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PacketNumber(pub u64);

impl fmt::Display for PacketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Debug for PacketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Which packet, and when: the reference that every fact carries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Moment {
    /// When it was captured.
    pub at: Timestamp,
    /// Its number in the capture.
    pub packet: PacketNumber,
}

/// An interface of the capture: the index in a pcapng section (sections counted on), or the kernel's ifindex live.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct InterfaceId(pub u32);

/// A link-layer header type, by its number in the registry of tcpdump.org. Unknown numbers keep their value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in host byte order.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet.
    pub const ETHERNET: LinkType = LinkType(1);
    /// PPP.
    pub const PPP: LinkType = LinkType(9);
    /// Raw IP, as some systems number it.
    pub const RAW_BSD: LinkType = LinkType(12);
    /// Raw IP, as OpenBSD numbers it.
    pub const RAW_OPENBSD: LinkType = LinkType(14);
    /// PPP in frames of HDLC, or Cisco's.
    pub const PPP_HDLC: LinkType = LinkType(50);
    /// Raw IP.
    pub const RAW: LinkType = LinkType(101);
    /// Cisco's HDLC.
    pub const CISCO_HDLC: LinkType = LinkType(104);
    /// IEEE 802.11.
    pub const IEEE802_11: LinkType = LinkType(105);
    /// OpenBSD loopback: the address family in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// OpenBSD's `enc`: what is in IPsec.
    pub const ENC: LinkType = LinkType(109);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// The log of BSD's packet filter.
    pub const PFLOG: LinkType = LinkType(117);
    /// IEEE 802.11 behind what the radio knew.
    pub const RADIOTAP: LinkType = LinkType(127);
    /// PPP behind a byte that says which way it went.
    pub const PPP_WITH_DIRECTION: LinkType = LinkType(204);
    /// Raw IPv4.
    pub const IPV4: LinkType = LinkType(228);
    /// Raw IPv6.
    pub const IPV6: LinkType = LinkType(229);
    /// The log of Linux's packet filter.
    pub const NFLOG: LinkType = LinkType(239);
    /// Darwin's capture of all interfaces: names the link type of each packet.
    pub const PKTAP: LinkType = LinkType(258);
    /// Linux cooked capture, version 2: knows the interface of each packet.
    pub const LINUX_SLL2: LinkType = LinkType(276);

    /// Whether it is one of these.
    pub const fn is_known(self) -> bool {
        matches!(
            self.0,
            0 | 1
                | 9
                | 12
                | 14
                | 50
                | 101
                | 104
                | 105
                | 108
                | 109
                | 113
                | 117
                | 127
                | 204
                | 228
                | 229
                | 239
                | 258
                | 276
        )
    }
}

/// One captured packet. Borrows its bytes from where the source has them.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Its number in the capture.
    pub number: PacketNumber,
    /// When it was captured.
    pub at: Timestamp,
    /// Where it was captured.
    pub interface: InterfaceId,
    /// What `data` begins with.
    pub link: LinkType,
    /// Its length on the wire, in bytes; more than `data` holds when a snap length cut it.
    pub length: u32,
    /// The bytes that were captured.
    pub data: &'a [u8],
}

impl Packet<'_> {
    /// Number and time.
    #[inline]
    pub fn moment(&self) -> Moment {
        Moment { at: self.at, packet: self.number }
    }
}
