//! The two endpoints of a connection, smaller one first, so that both directions find the same connection.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;

use crate::wire::{Addresses, Endpoint, Ends};

/// What a segment is looked up by. Whole words: they are compared for every packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    /// The lower address and the higher one, and their ports in the same order.
    V4(u64, u32),
    /// The same for IPv6.
    V6([u128; 2], u32),
}

impl Key {
    /// The key of two endpoints, and whether the source is the lower one.
    #[inline]
    pub(super) fn of(ends: &Ends) -> (Key, bool) {
        let [port_a, port_b] = ends.ports;
        match &ends.addresses {
            Addresses::V4([a, b]) => {
                let (ip_a, ip_b) = (u64::from(*a), u64::from(*b));
                if ip_a << 16 | u64::from(port_a) <= ip_b << 16 | u64::from(port_b) {
                    (Key::V4(ip_a << 32 | ip_b, ports(port_a, port_b)), true)
                } else {
                    (Key::V4(ip_b << 32 | ip_a, ports(port_b, port_a)), false)
                }
            }
            Addresses::V6([a, b]) => Key::of_v6((u128::from_be_bytes(*a), port_a), (u128::from_be_bytes(*b), port_b)),
        }
    }

    #[inline(never)]
    fn of_v6(a: (u128, u16), b: (u128, u16)) -> (Key, bool) {
        if a <= b {
            (Key::V6([a.0, b.0], ports(a.1, b.1)), true)
        } else {
            (Key::V6([b.0, a.0], ports(b.1, a.1)), false)
        }
    }

    /// A hash that nobody who chooses addresses and ports can predict.
    #[inline]
    pub(super) fn hash(&self, seed: &RandomState) -> u32 {
        let hash = match *self {
            Key::V4(addresses, ports) => seed.hash_one((addresses, ports)),
            Key::V6(addresses, ports) => seed.hash_one((addresses, ports)),
        };
        (hash ^ hash >> 32) as u32
    }
}

#[inline]
fn ports(lower: u16, higher: u16) -> u32 {
    u32::from(lower) << 16 | u32::from(higher)
}

/// A key as a connection keeps it: 16 bytes, and for IPv6 a box.
pub(super) enum Tuple {
    V4(u64, u32),
    V6(Box<([u128; 2], u32)>),
}

impl Tuple {
    pub(super) fn new(key: Key) -> Tuple {
        match key {
            Key::V4(addresses, ports) => Tuple::V4(addresses, ports),
            Key::V6(addresses, ports) => Tuple::V6(Box::new((addresses, ports))),
        }
    }

    /// Whether this is the key's tuple.
    #[inline]
    pub(super) fn is(&self, key: &Key) -> bool {
        match (self, key) {
            (Tuple::V4(mine, mine_too), Key::V4(addresses, ports)) => mine == addresses && mine_too == ports,
            (Tuple::V6(boxed), Key::V6(addresses, ports)) => boxed.0 == *addresses && boxed.1 == *ports,
            _ => false,
        }
    }

    pub(super) fn key(&self) -> Key {
        match self {
            Tuple::V4(addresses, ports) => Key::V4(*addresses, *ports),
            Tuple::V6(boxed) => Key::V6(boxed.0, boxed.1),
        }
    }

    /// The lower endpoint, or the higher one.
    pub(super) fn endpoint(&self, lower: bool) -> Endpoint {
        let (ip, ports) = match self {
            Tuple::V4(addresses, ports) => {
                let bits = if lower { addresses >> 32 } else { *addresses } as u32;
                (IpAddr::V4(Ipv4Addr::from_bits(bits)), *ports)
            }
            Tuple::V6(boxed) => (IpAddr::V6(Ipv6Addr::from_bits(boxed.0[usize::from(!lower)])), boxed.1),
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
            let (key, lower) = Key::of(&Ends::new(a, b));
            assert_eq!((key, lower), (Key::of(&Ends::new(b, a)).0, true));
            assert!(!Key::of(&Ends::new(b, a)).1);
            let tuple = Tuple::new(key);
            assert!(tuple.is(&key) && !tuple.is(&Key::V4(0, 0)));
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
            (0..1000).map(|port| Key::of(&Ends::new(Endpoint { port, ..server }, server)).0.hash(&seed)).collect();
        assert!(hashes.len() > 990);
    }
}
