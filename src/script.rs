//! A dialogue becomes packets: for tests, benches and recipes.
//!
//! A [`Script`] is written as it would be told: who says what, when, and what went wrong on the way. It has virtual time
//! and makes real Ethernet frames with correct lengths and checksums; acknowledgments come by themselves.
//!
//! ```
//! use wsflow::script::{Script, close, text};
//!
//! let capture = Script::new()
//!     .opening_handshake()
//!     .client(text("hi").unmasked())
//!     .after_ms(25)
//!     .server(close(1002))
//!     .server_fin()
//!     .client_fin()
//!     .pcap();
//! assert_eq!(capture.len() % 2, 0);
//! ```
//!
//! Trouble is told behind what it happens to: `.client(text("a")).lost()`. Sides are those of the protocol; the client
//! opens the connection. Several connections share one time: [`Script::leg`] says which one speaks.

mod frame;
mod savefile;
mod segment;
mod trouble;

pub use frame::{
    Compressor, Frame, Spoken, binary, close, close_with, continuation, empty_close, frame, ping, pong, text,
};
pub use savefile::OwnedPacket;

use std::net::SocketAddr;
use std::time::Duration;

use crate::http::handshake::accept_value;
use crate::script::segment::{Hosts, Line};
use crate::script::trouble::Trouble;
use crate::stream::Role;
use crate::time::Timestamp;

/// A dialogue on one connection or on several.
#[derive(Clone, Debug)]
pub struct Script {
    start: Timestamp,
    legs: Vec<Leg>,
    current: usize,
    steps: Vec<Step>,
    pause: Duration,
}

/// One connection.
#[derive(Clone, Debug)]
struct Leg {
    client: SocketAddr,
    server: SocketAddr,
    initial_seq: (u32, u32),
    mss: u16,
    timestamps: bool,
    /// Whether its first packets are in the script, or said to be before the capture.
    connected: bool,
}

/// One thing that happens.
#[derive(Clone, Debug)]
struct Step {
    leg: usize,
    by: Role,
    /// The time since the step before.
    pause: Duration,
    action: Action,
    trouble: Trouble,
}

#[derive(Clone, Debug)]
enum Action {
    Syn,
    SynAck,
    Ack,
    Data(Vec<u8>),
    Fin,
    Rst,
    /// The RST of a host that nobody listens on.
    Refusal,
    /// The receive window changes, in bytes before scaling.
    Window(u16),
    /// A keep-alive probe: one byte before the next (RFC 9293 §3.8.4).
    KeepAlive,
}

impl Default for Script {
    fn default() -> Self {
        Script::new()
    }
}

impl Script {
    /// The request of RFC 6455 §1.2.
    pub const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    /// The answer to it.
    pub const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    /// How long a step takes: half a round trip.
    const STEP: Duration = Duration::from_micros(100);

    /// A script of one connection, between addresses of the documentation (RFC 5737), at the beginning of 2026.
    pub fn new() -> Script {
        let mut script = Script {
            start: Timestamp::from_parts(1_767_225_600, 0),
            legs: Vec::new(),
            current: 0,
            steps: Vec::new(),
            pause: Duration::ZERO,
        };
        script.select(([192, 0, 2, 1], 40_001).into(), ([203, 0, 113, 9], 80).into());
        script
    }

    /// From now on this connection speaks: a new one, or one that was named before.
    ///
    /// A first call before anything was said names the addresses of the script's only connection.
    #[must_use]
    pub fn leg(mut self, client: impl Into<SocketAddr>, server: impl Into<SocketAddr>) -> Script {
        if self.steps.is_empty() && self.legs.len() == 1 && !self.legs[0].connected {
            self.legs.clear();
        }
        self.select(client.into(), server.into());
        self
    }

    fn select(&mut self, client: SocketAddr, server: SocketAddr) {
        let known = self.legs.iter().position(|leg| (leg.client, leg.server) == (client, server));
        self.current = known.unwrap_or(self.legs.len());
        if known.is_none() {
            let serial = u32::try_from(self.legs.len()).unwrap_or_default();
            self.legs.push(Leg {
                client,
                server,
                initial_seq: (0x1000_0000 + serial * 0x1_0000, 0x8000_0000 + serial * 0x1_0000),
                mss: 1460,
                timestamps: false,
                connected: false,
            });
        }
    }

    /// The connection's addresses are used again by a new one: the next step is its first.
    #[must_use]
    pub fn reused(mut self) -> Script {
        let mut leg = self.legs[self.current].clone();
        leg.initial_seq = (leg.initial_seq.0.wrapping_add(1 << 24), leg.initial_seq.1.wrapping_add(1 << 24));
        leg.connected = false;
        self.current = self.legs.len();
        self.legs.push(leg);
        self
    }

    /// The first sequence numbers of the connection: the client's, the server's. Before it connects.
    #[must_use]
    pub fn initial_seq(mut self, client: u32, server: u32) -> Script {
        self.legs[self.current].initial_seq = (client, server);
        self
    }

    /// The largest payload of the connection's segments: longer ones are cut. 1460 unless said.
    #[must_use]
    pub fn mss(mut self, bytes: u16) -> Script {
        self.legs[self.current].mss = bytes.max(1);
        self
    }

    /// The connection uses TCP timestamps (RFC 7323 §3).
    #[must_use]
    pub fn timestamps(mut self) -> Script {
        self.legs[self.current].timestamps = true;
        self
    }

    /// The time of the first step.
    #[must_use]
    pub fn starting_at(mut self, start: Timestamp) -> Script {
        self.start = start;
        self
    }

    /// Nothing happens for so many milliseconds.
    #[must_use]
    pub fn after_ms(self, millis: u64) -> Script {
        self.after(Duration::from_millis(millis))
    }

    /// Nothing happens for so long.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Script {
        self.pause += pause;
        self
    }

    /// The TCP handshake. It comes by itself when something is said on a connection that has none.
    #[must_use]
    pub fn connect(mut self) -> Script {
        self.connect_if_not();
        self
    }

    /// The capture begins in the middle of the connection.
    #[must_use]
    pub fn mid_stream(mut self) -> Script {
        self.legs[self.current].connected = true;
        self
    }

    /// The client's SYN alone.
    #[must_use]
    pub fn client_syn(mut self) -> Script {
        self.legs[self.current].connected = true;
        self.step(Role::Client, Action::Syn)
    }

    /// A SYN that is answered by an RST.
    #[must_use]
    pub fn refused(self) -> Script {
        self.client_syn().step(Role::Server, Action::Refusal)
    }

    /// Connection, request and answer of RFC 6455 §1.2.
    #[must_use]
    pub fn opening_handshake(self) -> Script {
        self.request(Script::REQUEST).response(Script::RESPONSE)
    }

    /// An opening handshake with more fields on each side: whole lines, each with its line end.
    #[must_use]
    pub fn opening_handshake_with(self, request_lines: &str, response_lines: &str) -> Script {
        let with = |head: &str, lines: &str| format!("{}{lines}\r\n", &head[..head.len() - 2]);
        self.request(with(Script::REQUEST, request_lines)).response(with(Script::RESPONSE, response_lines))
    }

    /// The client sends a request, as it is given: with its line ends, and the empty line.
    #[must_use]
    pub fn request(self, request: impl AsRef<[u8]>) -> Script {
        self.say(Role::Client, request.as_ref().to_vec())
    }

    /// The server sends a response, as it is given.
    #[must_use]
    pub fn response(self, response: impl AsRef<[u8]>) -> Script {
        self.say(Role::Server, response.as_ref().to_vec())
    }

    /// The client sends frames, or bytes as they are. Its frames are masked unless they say otherwise.
    #[must_use]
    pub fn client(self, what: impl Spoken) -> Script {
        self.say(Role::Client, what.bytes(Role::Client))
    }

    /// The server sends frames, or bytes as they are. Its frames are not masked unless they say otherwise.
    #[must_use]
    pub fn server(self, what: impl Spoken) -> Script {
        self.say(Role::Server, what.bytes(Role::Server))
    }

    /// The client's FIN.
    #[must_use]
    pub fn client_fin(self) -> Script {
        self.step(Role::Client, Action::Fin)
    }

    /// The server's FIN.
    #[must_use]
    pub fn server_fin(self) -> Script {
        self.step(Role::Server, Action::Fin)
    }

    /// The client's RST.
    #[must_use]
    pub fn client_rst(self) -> Script {
        self.step(Role::Client, Action::Rst)
    }

    /// The server's RST.
    #[must_use]
    pub fn server_rst(self) -> Script {
        self.step(Role::Server, Action::Rst)
    }

    /// An end says how much more it takes: 0 shuts its window.
    #[must_use]
    pub fn window(self, by: Role, bytes: u16) -> Script {
        self.step(by, Action::Window(bytes))
    }

    /// An end asks at the TCP level whether the other one is there, and is answered.
    #[must_use]
    pub fn keep_alive(self, by: Role) -> Script {
        self.step(by, Action::KeepAlive)
    }

    /// The packets of the capture.
    pub fn packets(&self) -> Vec<OwnedPacket> {
        let mut hosts = Hosts::starting_at(self.start);
        let mut lines: Vec<Line> = self.legs.iter().map(Line::new).collect();
        for step in &self.steps {
            hosts.wait(Script::STEP + step.pause);
            lines[step.leg].render(step, &mut hosts);
        }
        hosts.into_packets()
    }

    /// The capture as a savefile: classic pcap, with nanoseconds.
    pub fn pcap(&self) -> Vec<u8> {
        savefile::pcap(&self.packets())
    }

    fn connect_if_not(&mut self) {
        let leg = &mut self.legs[self.current];
        if !std::mem::replace(&mut leg.connected, true) {
            self.push(Role::Client, Action::Syn);
            self.push(Role::Server, Action::SynAck);
            self.push(Role::Client, Action::Ack);
        }
    }

    fn say(mut self, by: Role, bytes: Vec<u8>) -> Script {
        self.connect_if_not();
        self.push(by, Action::Data(bytes));
        self
    }

    fn step(mut self, by: Role, action: Action) -> Script {
        self.connect_if_not();
        self.push(by, action);
        self
    }

    fn push(&mut self, by: Role, action: Action) {
        let pause = std::mem::take(&mut self.pause);
        self.steps.push(Step { leg: self.current, by, pause, action, trouble: Trouble::default() });
    }
}

/// The answer that belongs to a request with this key.
pub fn switching_protocols(key: &str) -> String {
    let accept = accept_value(key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

#[cfg(test)]
mod tests;
