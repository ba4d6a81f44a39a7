//! The PROXY protocol header that a proxy puts in front of a connection, versions 1 and 2
//! (<https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>).

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
