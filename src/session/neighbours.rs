//! What a session's judgement may know of everything else in the capture.

use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;

use crate::http::handshake::Upgrade;
use crate::packet::Moment;
use crate::session::leg::SessionId;
use crate::stream::Role;
use crate::tcp::ConnectionId;
use crate::time::Timestamp;
use crate::wire::{DnsMessage, Endpoint};

/// The rest of the capture, boiled down and bounded.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// How the other sessions ended, in order of end.
    pub endings: Vec<Ending>,
    /// Plain HTTP exchanges that are no leg of any session, in order of request.
    pub exchanges: Vec<PlainExchange>,
    /// Connections that never came up and belong to no session.
    pub failures: Vec<FailedConnection>,
    /// Servers that got an ordinary request with `Connection: upgrade` and no Upgrade field: the first such request each.
    pub static_upgrades: Vec<(Endpoint, Moment)>,
    /// DNS messages.
    pub dns: Vec<DnsMessage>,
    /// Connections that were up at some time, by server endpoint: how many, how many at the same time at most.
    pub servers: Vec<ServerUse>,
    /// When the first and the last packet of the capture came.
    pub span: (Timestamp, Timestamp),
}

/// Collects [`Neighbours`] while the capture goes by. Every list is bounded: the oldest gives way.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    neighbours: Neighbours,
    servers: HashMap<Endpoint, usize, foldhash::fast::RandomState>,
    bound: usize,
    /// What the bound made us forget.
    pub overflows: u64,
}

impl Recorder {
    /// Remembers at most `bound` things of each kind.
    pub fn new(bound: usize) -> Recorder {
        Recorder { bound: bound.max(1), ..Recorder::default() }
    }

    /// What was collected.
    pub fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    /// A packet of this time was read.
    pub fn span(&mut self, first: Timestamp, last: Timestamp) {
        self.neighbours.span = (first, last);
    }

    /// A session ended, or something more is known of how it did.
    pub fn ending(&mut self, ending: Ending) {
        self.overflows += push(&mut self.neighbours.endings, ending, self.bound);
    }

    /// A request and its answer that are no leg.
    pub fn exchange(&mut self, exchange: PlainExchange) {
        if exchange.connection_upgrade && exchange.upgrade == Upgrade::Absent {
            let known = self.neighbours.static_upgrades.iter().any(|(server, _)| *server == exchange.server);
            if !known {
                let upgrade = (exchange.server, exchange.request);
                self.overflows += push(&mut self.neighbours.static_upgrades, upgrade, self.bound);
            }
        }
        if let Some(server) = self.server(exchange.server) {
            server.http = true;
        }
        self.overflows += push(&mut self.neighbours.exchanges, exchange, self.bound);
    }

    /// A connection that never came up.
    pub fn failure(&mut self, failure: FailedConnection) {
        if let Some(server) = self.server(failure.server) {
            server.failures = server.failures.saturating_add(1);
        }
        self.overflows += push(&mut self.neighbours.failures, failure, self.bound);
    }

    /// A DNS message.
    pub fn dns(&mut self, message: DnsMessage) {
        self.overflows += push(&mut self.neighbours.dns, message, self.bound);
    }

    /// A connection to this server came up.
    pub fn established(&mut self, server: Endpoint) {
        if let Some(server) = self.server(server) {
            server.connections = server.connections.saturating_add(1);
        }
    }

    /// A connection to this server carries TLS.
    pub fn tls(&mut self, server: Endpoint) {
        if let Some(server) = self.server(server) {
            server.tls = true;
        }
    }

    /// A connection to this server begins with a PROXY header.
    pub fn proxy_header(&mut self, server: Endpoint) {
        if let Some(server) = self.server(server) {
            server.proxy_header = true;
        }
    }

    /// The entry of a server, as long as there is room for one.
    fn server(&mut self, server: Endpoint) -> Option<&mut ServerUse> {
        let servers = &mut self.neighbours.servers;
        let index = match self.servers.get(&server) {
            Some(&index) => index,
            None if servers.len() >= self.bound => {
                self.overflows += 1;
                return None;
            }
            None => {
                self.servers.insert(server, servers.len());
                servers.push(ServerUse {
                    server,
                    connections: 0,
                    failures: 0,
                    tls: false,
                    http: false,
                    proxy_header: false,
                });
                servers.len() - 1
            }
        };
        servers.get_mut(index)
    }
}

/// Adds to a list; makes room by forgetting the older half when it is full. Returns how many were forgotten.
fn push<T>(list: &mut Vec<T>, item: T, bound: usize) -> u64 {
    let mut forgotten = 0;
    if list.len() >= bound {
        forgotten = list.drain(..bound.div_ceil(2)).count() as u64;
    }
    list.push(item);
    forgotten
}

/// How a session began and ended, in the terms by which sessions are compared.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Which session.
    pub session: SessionId,
    /// The client's address on its first leg.
    pub client: IpAddr,
    /// The server of its first leg.
    pub server: Endpoint,
    /// The server of its last leg.
    pub backend: Endpoint,
    /// The target of its request, if one was seen.
    pub target: Option<std::sync::Arc<str>>,
    /// When it began.
    pub start: Timestamp,
    /// When the opening handshake was complete, if it was.
    pub opened: Option<Timestamp>,
    /// When it ended: the first FIN, RST or Close; `None` while it is open.
    pub end: Option<Timestamp>,
    /// Who sent that first end, in terms of the first leg.
    pub ended_by: Option<Role>,
    /// How long nothing had been said before the end, in either direction on any leg.
    pub idle: Duration,
    /// Whether a Close frame was sent before the end.
    pub close_frame: bool,
    /// The code of that frame.
    pub close_code: Option<u16>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Whether a proxy between its legs ended both of them.
    pub proxy_ended: bool,
}

/// A request and its answer that are no part of a session.
#[derive(Clone, Debug)]
pub struct PlainExchange {
    /// On which connection.
    pub connection: ConnectionId,
    /// From where.
    pub client: Endpoint,
    /// To where.
    pub server: Endpoint,
    /// The request's method.
    pub method: std::sync::Arc<str>,
    /// The request's target.
    pub target: std::sync::Arc<str>,
    /// Its Upgrade field.
    pub upgrade: Upgrade,
    /// Whether its Connection fields have the token `upgrade`.
    pub connection_upgrade: bool,
    /// When it was complete.
    pub request: Moment,
    /// The answer's status, and when its head was complete.
    pub response: Option<(u16, Moment)>,
}

/// A connection that was asked for and never came up.
#[derive(Clone, Debug)]
pub struct FailedConnection {
    /// Which.
    pub connection: ConnectionId,
    /// Who asked.
    pub client: Endpoint,
    /// Whom.
    pub server: Endpoint,
    /// The first SYN.
    pub syn: Moment,
    /// The RST that refused it, if one did.
    pub refused: Option<Moment>,
}

/// How a server endpoint was used.
#[derive(Clone, Debug)]
pub struct ServerUse {
    /// Which.
    pub server: Endpoint,
    /// Connections that came up.
    pub connections: u32,
    /// Connections that did not.
    pub failures: u32,
    /// Whether some connection to it carried TLS.
    pub tls: bool,
    /// Whether some connection to it carried plain HTTP that was answered as such.
    pub http: bool,
    /// Whether some connection to it began with a PROXY header.
    pub proxy_header: bool,
}
