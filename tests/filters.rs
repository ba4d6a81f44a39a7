//! The filters in `capture-filters/` select what their README says, and nothing else.
#![cfg(feature = "live")]
#![allow(clippy::unwrap_used)]

use etherparse::PacketBuilder;
use wsflow::packet::{InterfaceId, LinkType, Packet, PacketNumber};
use wsflow::source::filter::{self, Filter};
use wsflow::time::Timestamp;

fn selects(filter: &mut Filter, link: LinkType, data: &[u8]) -> bool {
    let packet = Packet {
        number: PacketNumber(1),
        at: Timestamp::ZERO,
        interface: InterfaceId(0),
        link,
        length: data.len() as u32,
        data,
    };
    filter.selects(&packet).unwrap()
}

/// Checks a filter of ours on Ethernet frames, those that it must select and those that it must not.
fn check(name: &str, selected: &[Case], rest: &[Case]) {
    let mut filter = Filter::new(&filter::read(name).unwrap()).unwrap();
    for (what, frame) in selected {
        assert!(selects(&mut filter, LinkType::ETHERNET, frame), "{name} must select {what}");
    }
    for (what, frame) in rest {
        assert!(!selects(&mut filter, LinkType::ETHERNET, frame), "{name} must not select {what}");
    }
}

/// What a segment is besides its payload.
#[derive(Clone, Copy)]
enum Kind {
    Data,
    Syn,
    SynAck,
    Fin,
    Rst,
}

/// An Ethernet frame with a TCP segment; with timestamps, as nearly every one has.
fn tcp(v6: bool, ports: (u16, u16), kind: Kind, payload: &[u8]) -> Vec<u8> {
    let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let ip = if v6 { link.ipv6([1; 16], [2; 16], 64) } else { link.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64) };
    let tcp = ip.tcp(ports.0, ports.1, 1, 1000);
    let tcp = match kind {
        Kind::Data => tcp.ack(7).psh(),
        Kind::Syn => tcp.syn(),
        Kind::SynAck => tcp.syn().ack(7),
        Kind::Fin => tcp.ack(7).fin(),
        Kind::Rst => tcp.rst(),
    };
    let tcp = tcp.options_raw(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]).unwrap();
    let mut frame = Vec::new();
    tcp.write(&mut frame, payload).unwrap();
    frame
}

fn udp(ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
    let mut frame = Vec::new();
    ip.udp(ports.0, ports.1).write(&mut frame, payload).unwrap();
    frame
}

/// An Ethernet frame with an IP packet of this protocol, by hand.
fn ip(v6: bool, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = tcp(v6, (9, 9), Kind::Data, &[]);
    frame.truncate(if v6 { 54 } else { 34 });
    frame[if v6 { 20 } else { 23 }] = protocol;
    [&frame, payload].concat()
}

/// The same frame as a later fragment of its datagram.
fn later_fragment(mut frame: Vec<u8>) -> Vec<u8> {
    frame[20..22].copy_from_slice(&185u16.to_be_bytes());
    frame
}

fn with_ether_type(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[2; 12], &ether_type.to_be_bytes()[..], payload].concat()
}

/// The same frame behind VLAN tags.
fn tagged(frame: &[u8], tags: usize) -> Vec<u8> {
    let tags = [[0x81, 0x00, 0x00, 0x07]; 2][..tags].concat();
    [&frame[..12], &tags, &frame[12..]].concat()
}

/// A frame, and what it is in words.
type Case = (&'static str, Vec<u8>);

/// What filters by port must select, and what not.
fn port_cases() -> (Vec<Case>, Vec<Case>) {
    let selected = vec![
        ("a request", tcp(false, (40000, 80), Kind::Data, b"GET / HTTP/1.1")),
        ("its answer", tcp(false, (80, 40000), Kind::Data, b"HTTP/1.1 101")),
        ("TLS", tcp(false, (40000, 443), Kind::Syn, b"")),
        ("a backend", tcp(false, (40000, 8080), Kind::Data, b"x")),
        ("IPv6", tcp(true, (40000, 80), Kind::Data, b"x")),
        ("a later fragment", later_fragment(ip(false, 6, b"anything at all"))),
        ("an IPv6 fragment", ip(true, 44, &[6, 0, 5, 0x80, 0, 0, 0, 7, 1, 2, 3])),
        ("unreachable", ip(false, 1, &[3, 1, 0, 0, 0, 0, 0, 0])),
        ("too big", ip(true, 58, &[2, 0, 0, 0, 0, 0, 5, 0])),
        ("a name", udp((53, 40000), b"x")),
    ];
    let rest = vec![
        ("ssh", tcp(false, (40000, 22), Kind::Data, b"SSH-2.0")),
        ("a later fragment of UDP", later_fragment(udp((1, 2), b"anything"))),
        ("a ping", ip(false, 1, &[8, 0, 0, 0, 0, 0, 0, 0])),
        ("an IPv6 ping", ip(true, 58, &[128, 0, 0, 0, 0, 0, 0, 0])),
        ("other UDP", udp((40000, 4789), b"x")),
        ("ARP", with_ether_type(0x0806, &[0; 46])),
    ];
    (selected, rest)
}

#[test]
fn ports() {
    let (selected, mut rest) = port_cases();
    rest.push(("a tagged frame", tagged(&selected[0].1, 1)));
    check("websocket-ports", &selected, &rest);
}

#[test]
fn ports_behind_tags() {
    let (selected, rest) = port_cases();
    for tags in 0..=2 {
        let behind =
            |cases: &[Case]| -> Vec<Case> { cases.iter().map(|(what, frame)| (*what, tagged(frame, tags))).collect() };
        check("websocket-ports-vlan", &behind(&selected), &behind(&rest));
    }
}

/// Why the order in websocket-ports-vlan is as it is.
#[test]
fn the_word_vlan_moves_what_is_behind_it() {
    let frame = tcp(false, (40000, 80), Kind::Data, b"x");
    let mut wrong = Filter::new("vlan or tcp port 80").unwrap();
    assert!(!selects(&mut wrong, LinkType::ETHERNET, &frame));
    let mut right = Filter::new("tcp port 80 or vlan").unwrap();
    assert!(selects(&mut right, LinkType::ETHERNET, &frame));
}

#[test]
fn tunnels() {
    let inner = tcp(false, (40000, 80), Kind::Data, b"x");
    let inner_ip = &inner[14..];
    let selected = [
        ("VXLAN", udp((40000, 4789), &[&[8, 0, 0, 0, 0, 0, 7, 0], &inner[..]].concat())),
        ("VXLAN, old port", udp((40000, 8472), &[&[8, 0, 0, 0, 0, 0, 7, 0], &inner[..]].concat())),
        ("Geneve", udp((40000, 6081), &[&[0, 0, 0x65, 0x58, 0, 0, 7, 0], &inner[..]].concat())),
        ("a later fragment", later_fragment(udp((40000, 4789), &inner))),
        ("an IPv6 fragment", ip(true, 44, &[17, 0, 5, 0x80, 0, 0, 0, 7, 1, 2, 3])),
        ("GRE", ip(false, 47, &[&[0, 0, 8, 0], inner_ip].concat())),
        ("GRE over IPv6", ip(true, 47, &[&[0, 0, 8, 0], inner_ip].concat())),
        ("IP in IP", ip(false, 4, inner_ip)),
        ("IPv6 in IPv4", ip(false, 41, &tcp(true, (1, 80), Kind::Data, b"x")[14..])),
        ("MPLS in IP", ip(false, 137, &[&[0, 0, 0x11, 64], inner_ip].concat())),
        ("MPLS", with_ether_type(0x8847, &[&[0, 0, 0x11, 64], inner_ip].concat())),
        ("PPPoE", with_ether_type(0x8864, &[&[0x11, 0, 0, 1, 0, 60, 0, 0x21], inner_ip].concat())),
    ];
    let rest = [
        ("plain TCP", inner.clone()),
        ("plain TCP over IPv6", tcp(true, (40000, 80), Kind::Data, b"x")),
        ("other UDP", udp((40000, 53), b"x")),
        ("PPPoE discovery", with_ether_type(0x8863, &[0; 46])),
    ];
    check("websocket-tunnels", &selected, &rest);
}

#[test]
fn handshakes() {
    for v6 in [false, true] {
        let with = |kind, payload: &[u8]| tcp(v6, (40000, 12345), kind, payload);
        let selected = [
            ("SYN", with(Kind::Syn, b"")),
            ("SYN-ACK", with(Kind::SynAck, b"")),
            ("FIN", with(Kind::Fin, b"")),
            ("RST", with(Kind::Rst, b"")),
            ("a request", with(Kind::Data, b"GET /chat HTTP/1.1\r\n")),
            ("an answer", with(Kind::Data, b"HTTP/1.1 101 Switching Protocols\r\n")),
            ("HTTP/2", with(Kind::Data, b"PRI * HTTP/2.0\r\n")),
            ("a PROXY line", with(Kind::Data, b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n")),
            ("a PROXY header", with(Kind::Data, b"\r\n\r\n\0\r\nQUIT\n")),
            ("a TLS hello", with(Kind::Data, &[0x16, 3, 1, 2, 0])),
            ("a TLS alert", with(Kind::Data, &[0x15, 3, 3, 0, 2, 2, 48])),
            ("a Close without a code", with(Kind::Data, &[0x88, 0x00])),
            ("a Ping", with(Kind::Data, &[0x89, 0x80, 1, 2, 3, 4])),
            ("a Pong", with(Kind::Data, &[0x8A, 0x00])),
            ("an ICMP error", ip(v6, if v6 { 58 } else { 1 }, &[if v6 { 1 } else { 3 }, 1, 0, 0, 0, 0, 0, 0])),
        ];
        let rest = [
            ("an ACK", with(Kind::Data, b"")),
            ("a text frame", with(Kind::Data, &[0x81, 0x02, b'h', b'i'])),
            ("TLS application data", with(Kind::Data, &[0x17, 3, 3, 0, 2, 1, 1])),
            ("other text", with(Kind::Data, b"hello world")),
            ("UDP", udp((40000, 12345), b"GET /")),
        ];
        check("websocket-handshakes", &selected, &rest);
    }
}

#[test]
fn filters_without_tags_fit_every_link_type() {
    let frame = tcp(false, (40000, 80), Kind::Data, b"GET / HTTP/1.1");
    let tunnel = ip(false, 4, &frame[14..]);
    for (name, frame) in [("websocket-ports", &frame), ("websocket-handshakes", &frame), ("websocket-tunnels", &tunnel)]
    {
        let mut filter = Filter::new(&filter::read(name).unwrap()).unwrap();
        let sll2 = [&[8, 0], &[0; 18][..], &frame[14..]].concat();
        assert!(selects(&mut filter, LinkType::LINUX_SLL2, &sll2), "{name}");
        assert!(selects(&mut filter, LinkType::RAW, &frame[14..]), "{name}");
    }
}

#[test]
fn every_filter_is_in_the_readme_and_known_by_name() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/capture-filters");
    let readme = std::fs::read_to_string(format!("{folder}/README.md")).unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".bpf") else { continue };
        files += 1;
        assert!(filter::NAMED.iter().any(|(named, _)| *named == name), "{name} has no name in source::filter");
        assert!(readme.contains(&format!("| `{file}` |")), "{name} has no row in the README");
    }
    assert_eq!(files, filter::NAMED.len());
}
