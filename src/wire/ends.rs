//! Where a segment comes from and where it goes, as its headers have it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Endpoint;

/// Source and destination, in whole words: a connection is looked up by them for every packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// Source and destination address.
    pub addresses: Addresses,
    /// Source and destination port.
    pub ports: [u16; 2],
}

/// Two addresses of one family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addresses {
    /// IPv4, in host byte order.
    V4([u32; 2]),
    /// IPv6, as on the wire.
    V6([[u8; 16]; 2]),
}

/// [`Ends`] as a connection keeps them: 16 bytes, and for IPv6 a box.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeptEnds {
    /// Addresses in host byte order, and ports.
    V4([u32; 2], [u16; 2]),
    /// Any.
    V6(Box<Ends>),
}

impl From<Ends> for KeptEnds {
    fn from(ends: Ends) -> KeptEnds {
        match ends.addresses {
            Addresses::V4(addresses) => KeptEnds::V4(addresses, ends.ports),
            Addresses::V6(_) => KeptEnds::V6(Box::new(ends)),
        }
    }
}

impl KeptEnds {
    /// As they were.
    pub fn ends(&self) -> Ends {
        match self {
            KeptEnds::V4(addresses, ports) => Ends { addresses: Addresses::V4(*addresses), ports: *ports },
            KeptEnds::V6(ends) => **ends,
        }
    }
}

impl Ends {
    /// From one endpoint to another. Where only one of the two is IPv4, it is mapped.
    pub fn new(source: Endpoint, destination: Endpoint) -> Ends {
        let addresses = match (source.ip, destination.ip) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Addresses::V4([source.to_bits(), destination.to_bits()]),
            (source, destination) => Addresses::V6([octets(source), octets(destination)]),
        };
        Ends { addresses, ports: [source.port, destination.port] }
    }

    /// From where.
    pub fn source(&self) -> Endpoint {
        self.end(0)
    }

    /// To where.
    pub fn destination(&self) -> Endpoint {
        self.end(1)
    }

    fn end(&self, index: usize) -> Endpoint {
        let ip = match self.addresses {
            Addresses::V4(both) => IpAddr::V4(Ipv4Addr::from_bits(both[index])),
            Addresses::V6(both) => IpAddr::V6(Ipv6Addr::from(both[index])),
        };
        Endpoint { ip, port: self.ports[index] }
    }
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_ends_are_small() {
        assert_eq!(size_of::<KeptEnds>(), 16);
    }

    #[test]
    fn endpoints_come_back() {
        for [source, destination] in [["10.0.0.1:5000", "10.0.0.2:80"], ["[fe80::1]:5000", "[::1]:80"]] {
            let ends = [source, destination].map(|text| {
                let address: std::net::SocketAddr = text.parse().unwrap();
                Endpoint { ip: address.ip(), port: address.port() }
            });
            let both = Ends::new(ends[0], ends[1]);
            assert_eq!([both.source(), both.destination()], ends);
            assert_eq!(KeptEnds::from(both).ends(), both);
        }
    }
}
