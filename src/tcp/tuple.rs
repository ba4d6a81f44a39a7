//! The two endpoints of a connection, smaller one first, so that both directions find the same connection.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;

use crate::wire::Endpoint;

/// What a segment is looked up by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    /// The lower address, the higher one, and their ports, 16 bits each.
    V4([u32; 3]),
    /// The same for IPv6.
    V6([u128; 2], u32),
}

impl Key {
    /// The key of two endpoints, and whether the first of them is the lower one.
    #[inline]
    pub(super) fn of(a: &Endpoint, b: &Endpoint) -> (Key, bool) {
        match (a.ip, b.ip) {
            (IpAddr::V4(ip_a), IpAddr::V4(ip_b)) => {
                let (ip_a, ip_b) = (ip_a.to_bits(), ip_b.to_bits());
                if (ip_a, a.port) <= (ip_b, b.port) {
                    (Key::V4([ip_a, ip_b, ports(a.port, b.port)]), true)
                } else {
                    (Key::V4([ip_b, ip_a, ports(b.port, a.port)]), false)
                }
            }
            (ip_a, ip_b) => {
                let (ip_a, ip_b) = (v6(ip_a), v6(ip_b));
                if (ip_a, a.port) <= (ip_b, b.port) {
                    (Key::V6([ip_a, ip_b], ports(a.port, b.port)), true)
                } else {
                    (Key::V6([ip_b, ip_a], ports(b.port, a.port)), false)
                }
            }
        }
    }

    /// A hash that nobody who chooses addresses and ports can predict.
    #[inline]
    pub(super) fn hash(&self, seed: &RandomState) -> u32 {
        let hash = match *self {
            Key::V4([lower, higher, ports]) => seed.hash_one((u64::from(lower) << 32 | u64::from(higher), ports)),
            Key::V6(addresses, ports) => seed.hash_one((addresses, ports)),
        };
        (hash ^ hash >> 32) as u32
    }
}

fn ports(lower: u16, higher: u16) -> u32 {
    u32::from(lower) << 16 | u32::from(higher)
}

fn v6(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// A key as a connection keeps it: 16 bytes, and for IPv6 a box.
pub(super) enum Tuple {
    V4([u32; 3]),
    V6(Box<([u128; 2], u32)>),
}

impl Tuple {
    pub(super) fn new(key: Key) -> Tuple {
        match key {
            Key::V4(words) => Tuple::V4(words),
            Key::V6(addresses, ports) => Tuple::V6(Box::new((addresses, ports))),
        }
    }

    #[inline]
    pub(super) fn key(&self) -> Key {
        match self {
            Tuple::V4(words) => Key::V4(*words),
            Tuple::V6(boxed) => Key::V6(boxed.0, boxed.1),
        }
    }

    /// The lower endpoint, or the higher one.
    pub(super) fn endpoint(&self, lower: bool) -> Endpoint {
        let (ip, ports) = match (self, lower) {
            (Tuple::V4([ip, _, ports]), true) | (Tuple::V4([_, ip, ports]), false) => {
                (IpAddr::V4(Ipv4Addr::from_bits(*ip)), *ports)
            }
            (Tuple::V6(boxed), _) => (IpAddr::V6(Ipv6Addr::from_bits(boxed.0[usize::from(!lower)])), boxed.1),
        };
        Endpoint { ip, port: if lower { (ports >> 16) as u16 } else { ports as u16 } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        let address: std::net::SocketAddr = text.parse().unwrap();
        Endpoint { ip: address.ip(), port: address.port() }
    }

    #[test]
    fn both_directions_have_one_key() {
        for (a, b) in [
            ("10.0.0.1:5000", "10.0.0.2:80"),
            ("10.0.0.1:80", "10.0.0.1:5000"),
            ("[fe80::1]:80", "[fe80::2]:5000"),
            ("[::1]:80", "[::1]:443"),
        ] {
            let (a, b) = (endpoint(a), endpoint(b));
            let (key, lower) = Key::of(&a, &b);
            assert_eq!((key, lower), (Key::of(&b, &a).0, true));
            assert!(!Key::of(&b, &a).1);
            let tuple = Tuple::new(key);
            assert_eq!((tuple.endpoint(true), tuple.endpoint(false), tuple.key()), (a, b, key));
        }
    }

    #[test]
    fn a_tuple_is_small() {
        assert_eq!(size_of::<Tuple>(), 16);
    }

    #[test]
    fn different_ports_have_different_hashes() {
        let seed = RandomState::default();
        let server = endpoint("10.0.0.2:80");
        let hashes: std::collections::HashSet<u32> =
            (0..1000).map(|port| Key::of(&Endpoint { port, ..server }, &server).0.hash(&seed)).collect();
        assert!(hashes.len() > 990);
    }
}
