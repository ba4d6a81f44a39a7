//! Healthy sessions, badly captured: packets are missing, cut, doubled, the beginning or the end was not captured. Nothing of
//! that is the fault of anybody whom a finding could blame.

use std::io;

use wsflow::diagnosis::Severity;
use wsflow::engine::{Engine, EngineOptions, Event, Sink, Wants};
use wsflow::limits::Limits;
use wsflow::script::{Compressor, OwnedPacket, Script, binary, close, continuation, ping, pong, text};

/// Collects what was blamed.
#[derive(Default)]
struct Blamed(Vec<String>);

impl Sink for Blamed {
    fn wants(&self) -> Wants {
        Wants::default()
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let findings = match event {
            Event::Session(_, diagnosis) => &diagnosis.findings[..],
            Event::Finding(group) => std::slice::from_ref(&group.finding),
            _ => &[],
        };
        let loud = findings.iter().filter(|finding| finding.severity > Severity::Note);
        self.0.extend(loud.map(|finding| format!("{}: {}", finding.id, finding.evidence.detail)));
        Ok(())
    }
}

fn blamed(packets: &[OwnedPacket]) -> Vec<String> {
    let mut blamed = Blamed::default();
    let mut engine = Engine::new(&Limits::default(), EngineOptions::default(), blamed.wants());
    for packet in packets {
        engine.packet(&packet.packet(), &mut blamed).expect("this sink takes everything");
    }
    engine.finish(&mut blamed).expect("this sink takes everything");
    blamed.0
}

const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// What is said on a healthy WebSocket with permessage-deflate.
fn talk(script: Script, compressor: &mut Compressor) -> Script {
    let long: String = (0..400).map(|number| format!("{number} ")).collect();
    script
        .client(text("hello, hello, hello").compressed_by(compressor))
        .after_ms(20)
        .server(text("welcome"))
        .server(binary(long.as_bytes()))
        .after_ms(200)
        .client(text("in ").not_final())
        .client(continuation("two parts"))
        .server(ping("beat"))
        .client(pong("beat"))
        .after_ms(50)
        .server(text("that was all"))
}

/// The client closes; the server ends the connection (RFC 6455 §7.1.1).
fn goodbye(script: Script) -> Script {
    script.client(close(1000)).server(close(1000)).server_fin().client_fin()
}

fn direct() -> Script {
    goodbye(talk(Script::new().opening_handshake_with(DEFLATE, DEFLATE), &mut Compressor::default()))
}

/// Heads over many segments: a hole may be inside of them.
fn in_small_segments() -> Script {
    let script = Script::new().mss(48).request(Script::REQUEST).response(Script::RESPONSE);
    goodbye(script.client(text("hello")).server(text("welcome")).client(text("so long")))
}

/// Through a proxy that does its work: what one leg says, the other says half a millisecond later.
fn proxied() -> Script {
    let (client, front) = (([192, 0, 2, 1], 40_001), ([203, 0, 113, 9], 80));
    let (proxy, backend) = (([203, 0, 113, 9], 50_000), ([203, 0, 113, 20], 9000));
    let forwarded = Script::REQUEST.replace("Origin:", "X-Forwarded-For: 192.0.2.1\r\nOrigin:");
    let mut script = Script::new().leg(client, front).request(Script::REQUEST).leg(proxy, backend).request(forwarded);
    script = script.response(Script::RESPONSE).leg(client, front).response(Script::RESPONSE);
    for number in 0..3 {
        let (question, answer) = (format!("question {number}"), format!("answer {number}"));
        script = script.client(text(&question)).leg(proxy, backend).client(text(&question)).after_ms(3);
        script = script.server(text(&answer)).leg(client, front).server(text(&answer)).after_ms(100);
    }
    script = script.client(close(1000)).leg(proxy, backend).client(close(1000)).server(close(1000)).server_fin();
    script.leg(client, front).server(close(1000)).server_fin().client_fin().leg(proxy, backend).client_fin()
}

fn captures() -> [(&'static str, Vec<OwnedPacket>); 3] {
    [("direct", direct()), ("small segments", in_small_segments()), ("proxied", proxied())]
        .map(|(name, script)| (name, script.packets()))
}

/// Asserts that nobody is blamed for any of these captures.
fn nobody_is_blamed(what: &str, of: impl Fn(&[OwnedPacket], usize) -> Vec<OwnedPacket>) {
    for (name, packets) in captures() {
        for index in 0..packets.len() {
            let found = blamed(&of(&packets, index));
            assert!(found.is_empty(), "{name}, {what} {index} of {}: {found:#?}", packets.len());
        }
    }
}

#[test]
fn nothing_is_missing() {
    nobody_is_blamed("whole", |packets, _| packets.to_vec());
}

#[test]
fn one_packet_is_missing() {
    nobody_is_blamed("without packet", |packets, index| [&packets[..index], &packets[index + 1..]].concat());
}

#[test]
fn three_packets_are_missing() {
    nobody_is_blamed("without three from", |packets, index| {
        let behind = packets.len().min(index + 3);
        [&packets[..index], &packets[behind..]].concat()
    });
}

#[test]
fn every_packet_comes_twice() {
    nobody_is_blamed("doubled up to", |packets, index| {
        let doubled = packets[..=index].iter().flat_map(|packet| [packet.clone(), packet.clone()]);
        doubled.chain(packets[index + 1..].iter().cloned()).collect()
    });
}

/// As where each direction comes from a queue of its own: the data change places, the times stay in order.
#[test]
fn two_packets_stand_in_the_wrong_order() {
    nobody_is_blamed("in place of the packet before it", |packets, index| {
        let mut packets = packets.to_vec();
        if let Some(before) = index.checked_sub(1) {
            packets.swap(before, index);
            let at = packets[before].at;
            packets[before].at = std::mem::replace(&mut packets[index].at, at);
        }
        packets
    });
}

#[test]
fn the_beginning_was_not_captured() {
    nobody_is_blamed("from", |packets, index| packets[index..].to_vec());
}

#[test]
fn the_end_was_not_captured() {
    nobody_is_blamed("up to", |packets, index| packets[..index].to_vec());
}

#[test]
fn one_side_was_not_captured() {
    for (name, packets) in captures() {
        for port in [40_001_u16, 80, 50_000, 9000] {
            // The source port, behind the Ethernet and IPv4 headers.
            let from = |packet: &OwnedPacket| u16::from_be_bytes([packet.data[34], packet.data[35]]);
            let others: Vec<_> = packets.iter().filter(|packet| from(packet) != port).cloned().collect();
            let found = blamed(&others);
            assert!(found.is_empty(), "{name} without what port {port} sends: {found:#?}");
        }
    }
}

#[test]
fn the_snap_length_cut_packets() {
    for (name, packets) in captures() {
        for snap in (54..400).step_by(3) {
            let cut = packets.iter().cloned().map(|mut packet| {
                packet.data.truncate(snap);
                packet
            });
            let found = blamed(&cut.collect::<Vec<_>>());
            assert!(found.is_empty(), "{name} with -s {snap}: {found:#?}");
        }
    }
}

/// A client that says goodbye and goes without waiting for an answer. Where no frame of it can be told, because the head of
/// the 101 was cut, it may have closed as it should.
#[test]
fn the_snap_length_cut_the_answer_and_with_it_the_place_where_frames_begin() {
    let long = vec![b'x'; 1000];
    let script = Script::new().opening_handshake().client(binary(&long)).after_ms(20).client(binary(&long));
    let packets = script.client(close(1000)).client_fin().server_fin().packets();
    for snap in (54..400).step_by(3) {
        let cut = packets.iter().cloned().map(|mut packet| {
            packet.data.truncate(snap);
            packet
        });
        let mut found = blamed(&cut.collect::<Vec<_>>());
        found.retain(|finding| !finding.starts_with("close-handshake-incomplete"));
        assert!(found.is_empty(), "with -s {snap}: {found:#?}");
    }
}
