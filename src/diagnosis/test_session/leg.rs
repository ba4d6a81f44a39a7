//! A leg of a test session, told step by step.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::diagnosis::test_session::START;
use crate::http::handshake::{Answer, Offer};
use crate::http::head::{RequestHead, ResponseHead, Version};
use crate::packet::{Moment, PacketNumber};
use crate::session::Leg;
use crate::session::leg::{
    Direction, FirstBytes, H2Facts, JoinReason, ProxyHeader, Request, Response, TlsAlert, TlsFacts, Tunnel,
};
use crate::stream::{Pair, Role};
use crate::tcp::{ConnectionFacts, ConnectionId, End, EndKind, HalfFacts};
use crate::wire::{Endpoint, IcmpError, IcmpKind};
use crate::ws::facts::{Close, Violation, ViolationKind};

/// A leg while it is told.
#[derive(Clone, Debug)]
pub struct TestLeg {
    leg: Leg,
    index: usize,
    clock: Moment,
}

impl TestLeg {
    /// Goes on with a leg where it was left.
    pub(super) fn going_on(leg: Leg, index: usize) -> TestLeg {
        TestLeg { clock: leg.tcp.last, leg, index }
    }

    pub(super) fn into_leg(self) -> Leg {
        self.leg
    }

    /// Time goes by.
    pub fn after_ms(mut self, milliseconds: u64) -> TestLeg {
        self.clock.at = self.clock.at.plus(Duration::from_millis(milliseconds));
        self.leg.tcp.last.at = self.clock.at;
        self
    }

    /// The client's request: a head in text, lines ended by `\n`.
    pub fn request(mut self, head: &str) -> TestLeg {
        let moment = self.tick(Duration::from_micros(100));
        let (start, lines) = head.split_once('\n').expect("a test head has lines");
        let mut words = start.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let head = RequestHead::new(method, target, words.next().and_then(version), &field_lines(lines));
        let offer = Offer::read(&head);
        self.leg.request = Some(Box::new(Request { offer, begun: moment, moment, head, cut: false }));
        self.leg.first_bytes.client.get_or_insert(FirstBytes::Http);
        self.sends(Role::Client, 200, moment);
        self
    }

    /// The server's answer: a head in text, and a body behind an empty line. It comes 20 ms later, 5 ms earlier on each
    /// leg further back.
    pub fn response(mut self, text: &str) -> TestLeg {
        let moment = self.tick(Duration::from_millis(20_u64.saturating_sub(5 * self.index as u64)));
        let (head, body) = text.split_once("\n\n").expect("a test head ends with an empty line");
        let (start, lines) = head.split_once('\n').unwrap_or((head, ""));
        let mut words = start.splitn(3, ' ');
        let version = words.next().and_then(version).unwrap_or(Version::HTTP_11);
        let status = words.next().and_then(|status| status.parse().ok()).expect("a test answer has a status");
        let head = ResponseHead::new(version, status, words.next().unwrap_or(""), &field_lines(lines));
        let answer = Answer::read(&head, self.leg.request.as_deref().map(|request| &request.head));
        let head_bytes = u32::try_from(text.len()).expect("a test answer is short");
        let body = body.into();
        self.leg.response =
            Some(Box::new(Response { head, answer, begun: moment, moment, body, head_bytes, cut: false }));
        self.leg.first_bytes.server.get_or_insert(FirstBytes::Http);
        self.sends(Role::Server, 200, moment);
        self
    }

    /// The answer is no HTTP.
    pub fn odd_answer(mut self, kind: FirstBytes, text: &str) -> TestLeg {
        let moment = self.tick(Duration::from_millis(5));
        self.leg.odd_answer = Some(text.into());
        self.leg.first_bytes.server = Some(kind);
        self.sends(Role::Server, 20, moment);
        self
    }

    /// A request whose head does not end.
    pub fn incomplete_request(mut self, beginning: &str) -> TestLeg {
        let moment = self.tick(Duration::from_micros(100));
        self.leg.incomplete_request = Some((beginning.len() as u32, beginning.into()));
        self.leg.first_bytes.client = Some(FirstBytes::Http);
        self.sends(Role::Client, beginning.len() as u64, moment);
        self
    }

    /// A PROXY header before everything else.
    pub fn proxy_header(mut self, version: u8) -> TestLeg {
        let moment = self.tick(Duration::from_micros(50));
        self.leg.proxy_header = Some(ProxyHeader { version, source: None, destination: None, moment });
        self.sends(Role::Client, 40, moment);
        self
    }

    /// The WebSocket is open from here on.
    pub fn open(mut self) -> TestLeg {
        let handshake_seen = self.leg.response.is_some();
        let last_byte = Some(self.clock);
        let tunnel = Tunnel { handshake_seen, opened: self.clock, last_byte, ..Tunnel::default() };
        self.leg.tunnel = Some(Box::new(tunnel));
        self
    }

    /// So many text messages of ten bytes.
    pub fn messages(mut self, by: Role, count: u32) -> TestLeg {
        for _ in 0..count {
            let moment = self.tick(Duration::from_millis(10));
            self.sends(by, 16, moment);
            let side = self.side(by);
            side.frames.text += 1;
            side.messages.text += 1;
            side.messages.bytes += 10;
            side.first_frame.get_or_insert(moment);
            (side.last_frame, side.last_message) = (Some(moment), Some(moment));
            side.largest_frame = Some((10, moment));
        }
        self
    }

    /// A Close frame.
    pub fn close(mut self, by: Role, code: u16, reason: &str) -> TestLeg {
        let moment = self.tick(Duration::from_millis(1));
        self.sends(by, 8, moment);
        let side = self.side(by);
        side.frames.close += 1;
        side.last_frame = Some(moment);
        side.close = Some(Close { code: (code != 0).then_some(code), reason: reason.into(), moment });
        let tunnel = self.tunnel();
        tunnel.first_close.get_or_insert(by);
        self
    }

    /// A frame that breaks the protocol.
    pub fn violation(mut self, by: Role, kind: ViolationKind) -> TestLeg {
        let moment = self.tick(Duration::from_millis(1));
        self.sends(by, 8, moment);
        self.side(by).violations.push(Violation { kind, moment });
        self
    }

    /// A FIN.
    pub fn fin(self, by: Role) -> TestLeg {
        self.end(by, EndKind::Fin)
    }

    /// An RST.
    pub fn rst(self, by: Role) -> TestLeg {
        self.end(by, EndKind::Rst)
    }

    /// The SYN is answered by an RST.
    pub fn refused(mut self) -> TestLeg {
        self.never_came_up();
        let moment = self.tick(Duration::from_micros(80));
        self.leg.tcp.refused = Some(moment);
        self.end(Role::Server, EndKind::Rst)
    }

    /// The SYN is sent so many times more, at 1, 3, 7, ... seconds, and nothing comes back.
    pub fn unanswered_syn(mut self, retransmissions: u32) -> TestLeg {
        self.never_came_up();
        self.leg.tcp.syn_retransmissions = retransmissions;
        self.leg.half_mut(Role::Server).packets = 0;
        self.after_ms(((1 << retransmissions) - 1) * 1000)
    }

    /// An ICMP destination unreachable with this code answers the SYN.
    pub fn unreachable(mut self, code: u8) -> TestLeg {
        self.never_came_up();
        self.leg.half_mut(Role::Server).packets = 0;
        let moment = self.tick(Duration::from_millis(1));
        self.leg.tcp.icmp.push(IcmpError {
            moment,
            from: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 254)),
            source: self.leg.client,
            destination: self.leg.server,
            kind: IcmpKind::Unreachable(code),
        });
        self
    }

    /// Changes the TLS facts, which are made.
    pub fn tls(mut self, change: impl FnOnce(&mut TlsFacts)) -> TestLeg {
        let hello = self.tick(Duration::from_micros(100));
        let tls = self.leg.tls.get_or_insert_default();
        tls.client_hello.get_or_insert(hello);
        change(tls);
        self.leg.first_bytes.client = Some(FirstBytes::TlsHandshake);
        self.sends(Role::Client, 300, hello);
        self
    }

    /// The server's flight came too.
    pub fn server_hello(mut self, version: &'static str) -> TestLeg {
        let moment = self.tick(Duration::from_millis(1));
        let tls = self.leg.tls.get_or_insert_default();
        (tls.server_hello, tls.version) = (Some(moment), Some(version));
        self.leg.first_bytes.server = Some(FirstBytes::TlsHandshake);
        self.sends(Role::Server, 900, moment);
        self
    }

    /// A fatal alert in clear.
    pub fn alert(mut self, by: Role, description: u8) -> TestLeg {
        let moment = self.tick(Duration::from_millis(1));
        self.sends(by, 7, moment);
        let tls = self.leg.tls.get_or_insert_default();
        tls.alerts.push(TlsAlert { by, level: Some(2), description: Some(description), moment });
        self
    }

    /// Changes the HTTP/2 facts, which are made.
    pub fn h2(mut self, change: impl FnOnce(&mut H2Facts)) -> TestLeg {
        change(self.leg.h2.get_or_insert_default());
        self
    }

    /// Nothing of this side was captured.
    pub fn unseen(mut self, role: Role) -> TestLeg {
        let side = self.leg.side(role);
        self.leg.tcp.halves[side] = HalfFacts::default();
        self
    }

    /// The capture lacks bytes of this side.
    pub fn hole(mut self, role: Role, bytes: u64) -> TestLeg {
        self.leg.half_mut(role).gap_bytes += bytes;
        self
    }

    /// Changes anything.
    pub fn with(mut self, change: impl FnOnce(&mut Leg)) -> TestLeg {
        change(&mut self.leg);
        self
    }

    /// The instant that the clock of the leg shows.
    pub fn now(&self) -> Moment {
        self.clock
    }

    fn end(mut self, by: Role, kind: EndKind) -> TestLeg {
        let moment = self.tick(Duration::from_millis(1));
        let side = self.leg.side(by);
        self.leg.tcp.ends.push(End { side, kind, moment, ttl: 64, ip_id: 0 });
        self
    }

    fn tick(&mut self, later: Duration) -> Moment {
        self.clock.at = self.clock.at.plus(later);
        self.clock.packet.0 += 1;
        self.leg.tcp.last = self.clock;
        self.clock
    }

    fn sends(&mut self, role: Role, bytes: u64, moment: Moment) {
        let half = self.leg.half_mut(role);
        half.packets += 1;
        half.bytes += bytes;
        half.acknowledged += bytes;
        half.first_data.get_or_insert(moment);
        half.last_data = Some(moment);
        if let Some(tunnel) = &mut self.leg.tunnel {
            tunnel.last_byte = Some(moment);
            tunnel.sides[role].bytes += bytes;
        }
    }

    fn tunnel(&mut self) -> &mut Tunnel {
        self.leg.tunnel.as_mut().expect("the test leg was opened")
    }

    fn side(&mut self, role: Role) -> &mut Direction {
        &mut self.tunnel().sides[role]
    }

    fn never_came_up(&mut self) {
        (self.leg.tcp.syn_ack, self.leg.tcp.established) = (None, None);
    }
}

impl Leg {
    fn half_mut(&mut self, role: Role) -> &mut HalfFacts {
        let side = self.side(role);
        &mut self.tcp.halves[side]
    }
}

/// The client 10.0.0.7 asks the proxy 10.0.0.1:80; what is behind it is on the loopback, from port 9000 on.
pub(super) fn new(index: usize, behind: Option<usize>) -> Leg {
    let endpoint = |ip: [u8; 4], port| Endpoint { ip: IpAddr::from(ip), port };
    let (client, server) = match index {
        0 => (endpoint([10, 0, 0, 7], 40_000), endpoint([10, 0, 0, 1], 80)),
        _ => (endpoint([127, 0, 0, 1], 50_000 + index as u16), endpoint([127, 0, 0, 1], 8999 + index as u16)),
    };
    let first = PacketNumber(100 * index as u64 + 1);
    let start = START.plus(Duration::from_millis(index as u64));
    let at = |micros, packet| Moment {
        at: start.plus(Duration::from_micros(micros)),
        packet: PacketNumber(first.0 + packet),
    };
    let half = || HalfFacts { packets: 1, ..HalfFacts::default() };
    let tcp = ConnectionFacts {
        id: ConnectionId(index as u64 + 1),
        endpoints: Pair { originator: client, responder: server },
        first: at(0, 0),
        last: at(100, 2),
        syn: Some(at(0, 0)),
        syn_retransmissions: 0,
        syn_ack: Some(at(50, 1)),
        established: Some(at(100, 2)),
        refused: None,
        icmp: Vec::new(),
        ends: Vec::new(),
        halves: Pair { originator: half(), responder: half() },
    };
    Leg { behind, joined_by: behind.map(|_| JoinReason::Key), ..Leg::new(tcp) }
}

fn version(word: &str) -> Option<Version> {
    match word {
        "HTTP/1.0" => Some(Version::HTTP_10),
        "HTTP/1.1" => Some(Version::HTTP_11),
        "HTTP/2" => Some(Version { major: 2, minor: 0 }),
        _ => None,
    }
}

fn field_lines(text: &str) -> String {
    text.lines().filter(|line| !line.is_empty()).flat_map(|line| [line, "\r\n"]).collect()
}
