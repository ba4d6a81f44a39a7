//! The PROXY protocol header that a proxy puts in front of a connection, versions 1 and 2
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::packet::Moment;
use crate::wire::Endpoint;

/// A PROXY protocol header that came before anything else on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProxyHeader {
    /// 1 (text) or 2 (binary).
    pub version: u8,
    /// The client that it names.
    pub source: Option<Endpoint>,
    /// The address that the client connected to.
    pub destination: Option<Endpoint>,
    /// The packet with it.
    pub moment: Moment,
}

/// The addresses that a header names: source and destination.
pub(super) type Addresses = Option<(Endpoint, Endpoint)>;

/// What bytes say of a PROXY header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Read {
    /// There is none.
    None,
    /// There may be one, or the rest of it is to come.
    Incomplete,
    /// One of so many bytes, with its version.
    Header(usize, u8, Addresses),
}

/// Reads a header at the beginning of these bytes.
pub(super) fn read(bytes: &[u8]) -> Read {
    const LINE: &[u8] = b"PROXY ";
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let begins = |with: &[u8]| bytes.starts_with(with) || with.starts_with(bytes);
    if begins(SIGNATURE) {
        read_binary(bytes)
    } else if begins(LINE) {
        read_line(bytes)
    } else {
        Read::None
    }
}

/// Version 1: one line of at most 107 bytes (§2.1).
fn read_line(bytes: &[u8]) -> Read {
    const LONGEST: usize = 107;
    let line = &bytes[..bytes.len().min(LONGEST)];
    let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
        return if line.len() == LONGEST { Read::None } else { Read::Incomplete };
    };
    let Ok(text) = str::from_utf8(&line[..end]) else { return Read::None };
    let mut words = text.trim_end().split(' ').skip(1);
    let addresses = match words.next() {
        Some("UNKNOWN") => None,
        Some("TCP4" | "TCP6") => {
            let mut word = || words.next();
            let (source, destination) = (word(), word());
            let (source_port, destination_port) = (word(), word());
            let endpoint = |ip: Option<&str>, port: Option<&str>| {
                Some(Endpoint { ip: ip?.parse().ok()?, port: port?.parse().ok()? })
            };
            let source = endpoint(source, source_port);
            match source.zip(endpoint(destination, destination_port)) {
                Some(addresses) => Some(addresses),
                None => return Read::None,
            }
        }
        _ => return Read::None,
    };
    Read::Header(end + 1, 1, addresses)
}

/// Version 2: signature, version and command, family, length, addresses, and more that does not matter here (§2.2).
fn read_binary(bytes: &[u8]) -> Read {
    let [_, _, _, _, _, _, _, _, _, _, _, _, command, family, high, low, rest @ ..] = bytes else {
        return Read::Incomplete;
    };
    if command >> 4 != 2 {
        return Read::None;
    }
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let Some(rest) = rest.get(..length) else { return Read::Incomplete };
    // LOCAL (0) is the proxy's own health check: its addresses mean nothing.
    let addresses = if command & 0xf == 1 { binary_addresses(*family, rest) } else { None };
    Read::Header(16 + length, 2, addresses)
}

fn binary_addresses(family: u8, bytes: &[u8]) -> Addresses {
    let (source, destination, ports) = match family >> 4 {
        1 => {
            let (source, rest) = bytes.split_first_chunk::<4>()?;
            let (destination, ports) = rest.split_first_chunk::<4>()?;
            (IpAddr::from(Ipv4Addr::from(*source)), IpAddr::from(Ipv4Addr::from(*destination)), ports)
        }
        2 => {
            let (source, rest) = bytes.split_first_chunk::<16>()?;
            let (destination, ports) = rest.split_first_chunk::<16>()?;
            (IpAddr::from(Ipv6Addr::from(*source)), IpAddr::from(Ipv6Addr::from(*destination)), ports)
        }
        _ => return None,
    };
    let &[a, b, c, d] = ports.first_chunk::<4>()?;
    let endpoint = |ip, port| Endpoint { ip, port: u16::from_be_bytes(port) };
    Some((endpoint(source, [a, b]), endpoint(destination, [c, d])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(source: &str, destination: &str) -> Addresses {
        let endpoint = |text: &str| {
            let address: std::net::SocketAddr = text.parse().unwrap();
            Endpoint { ip: address.ip(), port: address.port() }
        };
        Some((endpoint(source), endpoint(destination)))
    }

    /// The text of §2.1 with documentation addresses.
    #[test]
    fn version_1() {
        let line = b"PROXY TCP4 198.51.100.1 203.0.113.9 56324 443\r\nGET /";
        assert_eq!(read(line), Read::Header(47, 1, addresses("198.51.100.1:56324", "203.0.113.9:443")));
        let line = b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n";
        assert_eq!(read(line), Read::Header(line.len(), 1, addresses("[2001:db8::1]:1", "[2001:db8::2]:2")));
        assert_eq!(read(b"PROXY UNKNOWN ff:: whatever\r\n"), Read::Header(29, 1, None));
        for length in 0..line.len() {
            assert_eq!(read(&line[..length]), Read::Incomplete);
        }
        for broken in
            ["PROXY TCP4 a b 1 2\r\n", "PROXY TCP4 1.2.3.4\r\n", "PROXY \r\n", "PROXY / HTTP/1.1\r\n", "PROPFIND"]
        {
            assert_eq!(read(broken.as_bytes()), Read::None, "{broken}");
        }
        assert_eq!(read(&[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat()), Read::None);
    }

    #[test]
    fn version_2() {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f".to_vec();
        header.extend([198, 51, 100, 1, 203, 0, 113, 9, 0xdc, 4, 1, 0xbb, 4, 0, 0]);
        assert_eq!(read(&header), Read::Header(31, 2, addresses("198.51.100.1:56324", "203.0.113.9:443")));
        for length in 0..header.len() {
            assert_eq!(read(&header[..length]), Read::Incomplete);
        }
        header[12] = 0x20;
        assert_eq!(read(&header), Read::Header(31, 2, None));
        header[12] = 0x31;
        assert_eq!(read(&header), Read::None);
        let short = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x03abc";
        assert_eq!(read(short), Read::Header(19, 2, None));
    }
}
