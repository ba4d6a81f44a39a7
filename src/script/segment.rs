//! TCP as the ends of a script speak it: sequence numbers, acknowledgments, frames on the wire (RFC 9293).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6Header, TcpHeader, TcpOptionElement};

use crate::packet::PacketNumber;
use crate::script::savefile::OwnedPacket;
use crate::script::trouble::Overlap;
use crate::script::{Action, Leg, Step};
use crate::stream::{ByRole, Role};
use crate::time::Timestamp;

/// What all connections share: the time, the capture so far, and a counter of IP identifications for each host.
pub(super) struct Hosts {
    start: Timestamp,
    now: Timestamp,
    ip_ids: HashMap<IpAddr, u16>,
    packets: Vec<OwnedPacket>,
}

impl Hosts {
    pub(super) fn starting_at(start: Timestamp) -> Hosts {
        Hosts { start, now: start, ip_ids: HashMap::new(), packets: Vec::new() }
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// The packets in order, numbered.
    pub(super) fn into_packets(mut self) -> Vec<OwnedPacket> {
        for (number, packet) in (1..).zip(&mut self.packets) {
            packet.number = PacketNumber(number);
        }
        self.packets
    }

    fn next_ip_id(&mut self, host: IpAddr) -> u16 {
        let id = self.ip_ids.entry(host).or_insert(0x1000);
        *id = id.wrapping_add(1);
        *id
    }

    /// Milliseconds since the start: the clock behind TCP timestamps.
    fn clock(&self) -> u32 {
        1_000_000 + self.now.since(self.start).as_millis() as u32
    }

    fn capture(&mut self, data: Vec<u8>, snapped: Option<usize>) {
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let mut data = data;
        data.truncate(snapped.unwrap_or(usize::MAX));
        self.packets.push(OwnedPacket { number: PacketNumber(0), at: self.now, length, data });
        self.wait(Duration::from_micros(5));
    }
}

/// One connection while its steps become packets.
pub(super) struct Line {
    addresses: ByRole<SocketAddr>,
    mss: u16,
    timestamps: bool,
    ends: ByRole<End>,
}

/// One end of it.
#[derive(Default)]
struct End {
    next_seq: u32,
    window: u16,
    /// The last bytes that it sent: some may be sent again.
    tail: Vec<u8>,
    /// The place in the capture of its last segment with data.
    last_data: Option<usize>,
    /// Its last TCP timestamp.
    clock: u32,
}

/// What differs from one segment to the next.
struct Segment<'a> {
    by: Role,
    seq: u32,
    syn: bool,
    fin: bool,
    rst: bool,
    ack: bool,
    payload: &'a [u8],
}

impl Line {
    pub(super) fn new(leg: &Leg) -> Line {
        let end = |next_seq| End { next_seq, window: 64_240, ..End::default() };
        Line {
            addresses: ByRole { client: leg.client, server: leg.server },
            mss: leg.mss,
            timestamps: leg.timestamps,
            ends: ByRole { client: end(leg.initial_seq.0), server: end(leg.initial_seq.1) },
        }
    }

    /// Makes packets of a step.
    pub(super) fn render(&mut self, step: &Step, hosts: &mut Hosts) {
        let by = step.by;
        match &step.action {
            Action::Data(bytes) => self.data(step, bytes, hosts),
            Action::Syn => self.send(step, self.segment(by, b"").syn(false), hosts),
            Action::SynAck => self.send(step, self.segment(by, b"").syn(true), hosts),
            Action::Ack => self.send(step, self.segment(by, b""), hosts),
            // RFC 9293 §3.10.7.1: who is not there has no sequence number.
            Action::Refusal => self.send(step, Segment { seq: 0, ..self.segment(by, b"").rst() }, hosts),
            Action::Rst => self.send(step, self.segment(by, b"").rst(), hosts),
            Action::Window(bytes) => {
                self.ends[by].window = *bytes;
                self.send(step, self.segment(by, b""), hosts);
            }
            Action::KeepAlive => {
                let mut probe = self.segment(by, b"");
                probe.seq = probe.seq.wrapping_sub(1);
                self.send(step, probe, hosts);
                self.acknowledge(step, hosts);
            }
            Action::Fin => {
                self.send(step, self.segment(by, b"").fin(), hosts);
                self.ends[by].next_seq = self.ends[by].next_seq.wrapping_add(1);
                self.acknowledge(step, hosts);
            }
        }
        if matches!(step.action, Action::Syn | Action::SynAck) {
            self.ends[by].next_seq = self.ends[by].next_seq.wrapping_add(1);
        }
    }

    fn data(&mut self, step: &Step, bytes: &[u8], hosts: &mut Hosts) {
        let by = step.by;
        for piece in self.pieces(bytes, &step.trouble.cuts) {
            let overlap = self.overlap(by, step.trouble.overlap);
            let payload = [&overlap, piece].concat();
            let mut segment = self.segment(by, &payload);
            segment.seq = segment.seq.wrapping_sub(overlap.len() as u32);
            let before = self.ends[by].last_data;
            let place = hosts.packets.len();
            self.send(step, segment, hosts);
            if let Some(before) = before
                && step.trouble.reordered
                && place < hosts.packets.len()
            {
                swap(&mut hosts.packets, before, place);
            }
            let end = &mut self.ends[by];
            end.last_data = (place < hosts.packets.len()).then_some(place);
            end.next_seq = end.next_seq.wrapping_add(piece.len() as u32);
            end.tail = piece[piece.len().saturating_sub(8)..].to_vec();
        }
        self.acknowledge(step, hosts);
    }

    /// The payloads of the segments: cut where the script says, and at the maximum segment size.
    fn pieces<'b>(&self, bytes: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
        let mut bounds: Vec<usize> = cuts.iter().map(|&cut| cut.min(bytes.len())).collect();
        bounds.extend([0, bytes.len()]);
        bounds.sort_unstable();
        bounds.dedup();
        bounds.windows(2).flat_map(|bound| bytes[bound[0]..bound[1]].chunks(usize::from(self.mss))).collect()
    }

    fn overlap(&self, by: Role, overlap: Option<Overlap>) -> Vec<u8> {
        let tail = &self.ends[by].tail;
        match overlap {
            None => Vec::new(),
            Some(Overlap::Same) => tail.clone(),
            Some(Overlap::Other) => tail.iter().map(|byte| byte ^ 0xff).collect(),
        }
    }

    fn segment<'a>(&self, by: Role, payload: &'a [u8]) -> Segment<'a> {
        Segment { by, seq: self.ends[by].next_seq, syn: false, fin: false, rst: false, ack: true, payload }
    }

    /// The other end takes what came.
    fn acknowledge(&mut self, step: &Step, hosts: &mut Hosts) {
        if !step.trouble.unacknowledged {
            hosts.wait(Duration::from_micros(20));
            let frame = self.frame(&self.segment(step.by.peer(), b""), hosts);
            hosts.capture(frame, None);
        }
    }

    /// Captures a segment, with the trouble that it has.
    fn send(&mut self, step: &Step, segment: Segment<'_>, hosts: &mut Hosts) {
        let trouble = &step.trouble;
        let frame = self.frame(&segment, hosts);
        self.ends[segment.by].clock = hosts.clock();
        if trouble.lost {
            return;
        }
        hosts.capture(frame.clone(), trouble.snapped);
        if trouble.duplicated {
            hosts.capture(frame, trouble.snapped);
        }
        if let Some(timer) = trouble.retransmitted {
            hosts.wait(timer);
            let again = self.frame(&segment, hosts);
            hosts.capture(again, trouble.snapped);
        }
    }

    /// The bytes on the wire.
    fn frame(&self, segment: &Segment<'_>, hosts: &mut Hosts) -> Vec<u8> {
        let (source, destination) = (self.addresses[segment.by], self.addresses[segment.by.peer()]);
        let peer = &self.ends[segment.by.peer()];
        let mut tcp = TcpHeader::new(source.port(), destination.port(), segment.seq, self.ends[segment.by].window);
        tcp.syn = segment.syn;
        tcp.fin = segment.fin;
        tcp.rst = segment.rst;
        tcp.psh = !segment.payload.is_empty();
        tcp.ack = segment.ack;
        tcp.acknowledgment_number = if segment.ack { peer.next_seq } else { 0 };
        let options = self.options(segment, peer.clock, hosts);
        let fits = tcp.set_options(&options).is_ok();
        debug_assert!(fits, "at most 24 of 40 bytes of options");
        let length = tcp.header_len() + segment.payload.len();
        let (ether_type, ip) = match (source.ip(), destination.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let length = u16::try_from(length).unwrap_or(u16::MAX);
                let mut ip = Ipv4Header::new(length, 64, IpNumber::TCP, from.octets(), to.octets()).unwrap_or_default();
                ip.identification = hosts.next_ip_id(source.ip());
                ip.dont_fragment = true;
                ip.header_checksum = ip.calc_header_checksum();
                tcp.checksum = tcp.calc_checksum_ipv4(&ip, segment.payload).unwrap_or_default();
                (EtherType::IPV4, ip.to_bytes().to_vec())
            }
            (from, to) => {
                let mut ip = Ipv6Header {
                    next_header: IpNumber::TCP,
                    hop_limit: 64,
                    source: in_ipv6(from),
                    destination: in_ipv6(to),
                    ..Ipv6Header::default()
                };
                ip.payload_length = u16::try_from(length).unwrap_or(u16::MAX);
                tcp.checksum = tcp.calc_checksum_ipv6(&ip, segment.payload).unwrap_or_default();
                (EtherType::IPV6, ip.to_bytes().to_vec())
            }
        };
        let ethernet = Ethernet2Header { source: mac(source), destination: mac(destination), ether_type };
        [&ethernet.to_bytes(), &*ip, &tcp.to_bytes(), segment.payload].concat()
    }

    fn options(&self, segment: &Segment<'_>, peer_clock: u32, hosts: &Hosts) -> Vec<TcpOptionElement> {
        let mut options = Vec::new();
        if segment.syn {
            options.push(TcpOptionElement::MaximumSegmentSize(self.mss));
            options.push(TcpOptionElement::SelectiveAcknowledgementPermitted);
        }
        if self.timestamps && !segment.rst {
            options.push(TcpOptionElement::Timestamp(hosts.clock(), peer_clock));
        }
        if segment.syn {
            options.push(TcpOptionElement::WindowScale(7));
        }
        options
    }
}

impl Segment<'_> {
    fn syn(self, ack: bool) -> Self {
        Segment { syn: true, ack, ..self }
    }

    fn fin(self) -> Self {
        Segment { fin: true, ..self }
    }

    fn rst(self) -> Self {
        Segment { rst: true, ..self }
    }
}

/// The packet at `later` was captured before that at `earlier`.
fn swap(packets: &mut [OwnedPacket], earlier: usize, later: usize) {
    let (first, second) = (packets[earlier].at, packets[later].at);
    packets.swap(earlier, later);
    packets[earlier].at = first;
    packets[later].at = second;
}

fn in_ipv6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// A locally administered address that differs from host to host.
fn mac(address: SocketAddr) -> [u8; 6] {
    let [.., a, b, c, d] = in_ipv6(address.ip());
    [2, 0, a, b, c, d]
}
