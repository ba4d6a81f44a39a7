//! What a session's judgement may know of everything else in the capture.

pub mod beginnings;
pub mod ending;
pub mod endings;
pub mod recurrence;
pub mod storm;

pub use ending::{Ending, PathId};
pub use endings::Endings;
use hashbrown::HashMap;

use crate::http::handshake::Upgrade;
use crate::http::head::RequestLine;
use crate::packet::Moment;
use crate::tcp::ConnectionId;
use crate::time::Timestamp;
use crate::wire::{DnsMessage, Endpoint};

/// The rest of the capture, boiled down and bounded.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// How sessions ended, the one that is judged among them.
    pub endings: Endings,
    /// Plain HTTP exchanges that are no leg of any session, in order of request.
    pub exchanges: Vec<PlainExchange>,
    /// Connections that never came up and belong to no session.
    pub failures: Vec<FailedConnection>,
    /// Servers that got an ordinary request with `Connection: upgrade` and no Upgrade field: the first such request each.
    pub static_upgrades: HashMap<Endpoint, Moment, foldhash::fast::RandomState>,
    /// DNS messages.
    pub dns: Vec<DnsMessage>,
    /// How servers were used.
    pub servers: HashMap<Endpoint, ServerUse, foldhash::fast::RandomState>,
    /// When the first and the last packet of the capture came.
    pub span: (Timestamp, Timestamp),
}

/// One thing for [`Neighbours`].
#[derive(Clone, Debug)]
pub enum Note {
    /// When the first and the last packet came.
    Span(Timestamp, Timestamp),
    /// A session ended, or was still open at the end.
    Ending(Ending),
    /// A request and its answer that are no leg.
    Exchange(Box<PlainExchange>),
    /// A connection that never came up.
    Failure(FailedConnection),
    /// A DNS message.
    Dns(DnsMessage),
    /// A connection to this server came up.
    Established(Endpoint),
    /// A connection to this server carries TLS.
    Tls(Endpoint),
    /// A connection to this server begins with a PROXY header.
    ProxyHeader(Endpoint),
}

/// Collects [`Neighbours`] while the capture goes by. Every list is bounded: the oldest gives way.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    neighbours: Neighbours,
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

    /// Takes a note.
    pub fn note(&mut self, note: Note) {
        match note {
            Note::Span(first, last) => self.neighbours.span = (first, last),
            Note::Ending(ending) => self.overflows += self.neighbours.endings.add(&ending),
            Note::Exchange(exchange) => self.exchange(*exchange),
            Note::Failure(failure) => self.failure(failure),
            Note::Dns(message) => self.overflows += push(&mut self.neighbours.dns, message, self.bound),
            Note::Established(server) => self.used(server, |server| {
                server.connections = server.connections.saturating_add(1);
            }),
            Note::Tls(server) => self.used(server, |server| server.tls = true),
            Note::ProxyHeader(server) => self.used(server, |server| server.proxy_header = true),
        }
    }

    fn exchange(&mut self, exchange: PlainExchange) {
        if exchange.connection_upgrade && exchange.upgrade == Upgrade::Absent {
            let known = &mut self.neighbours.static_upgrades;
            if known.len() < self.bound {
                known.entry(exchange.server).or_insert(exchange.request);
            }
        }
        self.used(exchange.server, |server| server.http = true);
        self.overflows += push(&mut self.neighbours.exchanges, exchange, self.bound);
    }

    fn failure(&mut self, failure: FailedConnection) {
        self.used(failure.server, |server| server.failures = server.failures.saturating_add(1));
        self.overflows += push(&mut self.neighbours.failures, failure, self.bound);
    }

    /// Notes how a server is used, as long as there is room for it.
    fn used(&mut self, server: Endpoint, note: impl FnOnce(&mut ServerUse)) {
        let servers = &mut self.neighbours.servers;
        if servers.len() >= self.bound && !servers.contains_key(&server) {
            self.overflows += 1;
            return;
        }
        note(servers.entry(server).or_default());
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

/// A request and its answer that are no part of a session.
#[derive(Clone, Debug)]
pub struct PlainExchange {
    /// On which connection.
    pub connection: ConnectionId,
    /// From where.
    pub client: Endpoint,
    /// To where.
    pub server: Endpoint,
    /// The request's line.
    pub asked: RequestLine,
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
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerUse {
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
