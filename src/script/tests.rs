//! The facts that the packets of a script must hold, found out without any of the program's own readers.

use super::*;

/// The fields of a frame, read by hand.
#[derive(Debug)]
struct Read {
    source: u16,
    seq: u32,
    ack: u32,
    flags: u8,
    payload: Vec<u8>,
    ip_id: u16,
}

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const PSH_ACK: u8 = 0x18;

fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// The Internet checksum (RFC 1071); zero over bytes that hold their own.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Reads a whole frame and checks its lengths and checksums.
fn read(packet: &OwnedPacket) -> Read {
    let frame = &packet.data;
    assert_eq!(packet.length as usize, frame.len());
    let ip = &frame[14..];
    let (addresses, tcp, ip_id) = match be16(&frame[12..]) {
        0x0800 => {
            assert_eq!((ip[0], ip[9]), (0x45, 6));
            assert_eq!(usize::from(be16(&ip[2..])), ip.len());
            assert_eq!(checksum(&ip[..20]), 0, "IP header");
            (&ip[12..20], &ip[20..], be16(&ip[4..]))
        }
        0x86dd => {
            assert_eq!((ip[0] >> 4, ip[6]), (6, 6));
            assert_eq!(usize::from(be16(&ip[4..])), ip.len() - 40);
            (&ip[8..40], &ip[40..], 0)
        }
        other => panic!("ether type {other:#x}"),
    };
    let pseudo = [addresses, &(tcp.len() as u32).to_be_bytes(), &[0, 0, 0, 6], tcp].concat();
    assert_eq!(checksum(&pseudo), 0, "TCP");
    let offset = usize::from(tcp[12] >> 4) * 4;
    Read {
        source: be16(tcp),
        seq: be32(&tcp[4..]),
        ack: be32(&tcp[8..]),
        flags: tcp[13],
        payload: tcp[offset..].to_vec(),
        ip_id,
    }
}

fn reads(script: &Script) -> Vec<Read> {
    script.packets().iter().map(read).collect()
}

/// The payloads that the client sent, in order of capture.
fn client_payloads(script: &Script) -> Vec<String> {
    let text = |read: Read| String::from_utf8_lossy(&read.payload).into_owned();
    reads(script).into_iter().filter(|read| read.source >= 40_000 && !read.payload.is_empty()).map(text).collect()
}

#[test]
fn a_connection_from_syn_to_fin() {
    let script = Script::new().client("hello").server("welcome").client_fin().server_fin();
    let packets = script.packets();
    assert!(packets.windows(2).all(|pair| pair[0].at < pair[1].at && pair[0].number < pair[1].number));
    let seen: Vec<_> = reads(&script).into_iter().map(|read| (read.source, read.flags, read.seq, read.ack)).collect();
    let (client, server) = (0x1000_0000, 0x8000_0000);
    let expected = [
        (40_001, SYN, client, 0),
        (80, SYN | ACK, server, client + 1),
        (40_001, ACK, client + 1, server + 1),
        (40_001, PSH_ACK, client + 1, server + 1),
        (80, ACK, server + 1, client + 6),
        (80, PSH_ACK, server + 1, client + 6),
        (40_001, ACK, client + 6, server + 8),
        (40_001, ACK | 1, client + 6, server + 8),
        (80, ACK, server + 8, client + 7),
        (80, ACK | 1, server + 8, client + 7),
        (40_001, ACK, client + 7, server + 9),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_refusal() {
    let seen: Vec<_> = reads(&Script::new().refused()).iter().map(|read| (read.flags, read.seq, read.ack)).collect();
    assert_eq!(seen, [(SYN, 0x1000_0000, 0), (ACK | 4, 0, 0x1000_0001)]);
}

#[test]
fn ip_identifications_go_up_for_each_host() {
    let script = Script::new().opening_handshake().client_fin().server_rst();
    for port in [40_001, 80] {
        let ids: Vec<u16> = reads(&script).iter().filter(|read| read.source == port).map(|read| read.ip_id).collect();
        assert!(ids.len() > 3 && ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
    }
}

#[test]
fn sequence_numbers_wrap_round() {
    let script = Script::new().initial_seq(u32::MAX - 2, u32::MAX).client("hello").server("x");
    let last = reads(&script).pop().unwrap();
    assert_eq!((last.seq, last.ack), (3, 1));
}

#[test]
fn ipv6_timestamps_and_large_payloads() {
    let script = Script::new()
        .leg(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 40_001), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 2], 80))
        .timestamps()
        .mss(1000)
        .client(vec![b'x'; 2500]);
    let sizes: Vec<usize> = client_payloads(&script).iter().map(String::len).collect();
    assert_eq!(sizes, [1000, 1000, 500]);
    assert_eq!(script.packets()[0].data.len(), 14 + 40 + 20 + 20);
}

#[test]
fn time_is_what_the_script_says() {
    let packets = Script::new().client_syn().after_ms(25).server("x").packets();
    assert_eq!(packets[1].at.since(packets[0].at), Duration::from_micros(25_000 + 100 + 5));
}

#[test]
fn segments_in_trouble() {
    let two = || Script::new().client("abcd").client("efgh");
    assert_eq!(client_payloads(&two()), ["abcd", "efgh"]);
    assert_eq!(client_payloads(&two().lost()), ["abcd"]);
    assert_eq!(client_payloads(&two().coalesced()), ["abcdefgh"]);
    assert_eq!(client_payloads(&two().duplicated()), ["abcd", "efgh", "efgh"]);
    assert_eq!(client_payloads(&two().retransmitted()), ["abcd", "efgh", "efgh"]);
    assert_eq!(client_payloads(&two().reordered()), ["efgh", "abcd"]);
    assert_eq!(client_payloads(&two().overlapping()), ["abcd", "abcdefgh"]);
    assert_eq!(client_payloads(&two().split_at(1).split_at(3)), ["abcd", "e", "fg", "h"]);
    assert_eq!(client_payloads(&two().in_pieces_of(3)), ["abcd", "efg", "h"]);
    assert_ne!(client_payloads(&two().conflicting())[1], "abcdefgh");
    let lost = reads(&two().lost());
    assert_eq!(lost[lost.len() - 1].ack, 0x1000_0001 + 8, "it arrived all the same");
    let copies = two().duplicated().packets();
    let [.., one, two, _] = &*copies else { panic!("no copies") };
    assert_eq!(one.data, two.data);
    let again = reads(&Script::new().client("x").retransmitted());
    assert_ne!(again[3].ip_id, again[4].ip_id);
}

#[test]
fn acknowledgments_do_not_run_ahead_of_a_reordered_segment() {
    let script = Script::new().client("abcd").client("efgh").reordered();
    let seen: Vec<_> = reads(&script)[3..].iter().map(|read| (read.source, read.seq, read.ack)).collect();
    let (client, server) = (0x1000_0001, 0x8000_0001);
    assert_eq!(seen, [(40_001, client + 4, server), (40_001, client, server), (80, server, client + 8)]);
    let packets = script.packets();
    assert!(packets.windows(2).all(|pair| pair[0].at < pair[1].at));
}

#[test]
fn snapped_packets_keep_their_length() {
    let packets = Script::new().client("a long message that is cut").snapped(60).packets();
    assert_eq!((packets[3].data.len(), packets[3].length), (60, 80));
}

#[test]
fn several_connections_share_the_time() {
    let (front, back) = (([192, 0, 2, 1], 40_001), ([192, 0, 2, 80], 41_000));
    let script = Script::new()
        .leg(front, ([192, 0, 2, 80], 80))
        .client("to the proxy")
        .leg(back, ([192, 0, 2, 90], 8080))
        .client("to the backend")
        .leg(front, ([192, 0, 2, 80], 80))
        .client("again");
    assert_eq!(client_payloads(&script), ["to the proxy", "to the backend", "again"]);
    let again = reads(&script).into_iter().rfind(|read| read.payload == b"again").unwrap();
    assert_eq!(again.seq, 0x1000_0001 + 12);
    assert_eq!(reads(&script).iter().filter(|read| read.flags == SYN).count(), 2);
}

#[test]
fn ports_used_again() {
    let script = Script::new().client("a").client_rst().reused().client("b");
    let syns: Vec<u32> = reads(&script).iter().filter(|read| read.flags == SYN).map(|read| read.seq).collect();
    assert_eq!(syns.len(), 2);
    assert_ne!(syns[0], syns[1]);
}

/// RFC 6455 §5.7.
#[test]
fn rfc6455_5_7_frames() {
    assert_eq!(text("Hello").bytes(Role::Server), *b"\x81\x05Hello");
    assert_eq!(text("Hello").bytes(Role::Client), *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    let fragments = text("Hello").fragmented_at(&[3]);
    assert_eq!(fragments.bytes(Role::Server), *b"\x01\x03Hel\x80\x02lo");
    assert_eq!(ping("Hello").bytes(Role::Server), *b"\x89\x05Hello");
    assert_eq!(binary([0; 256]).bytes(Role::Server)[..4], [0x82, 0x7e, 1, 0]);
    assert_eq!(binary(vec![0; 65_536]).bytes(Role::Server)[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(close_with(1002, "x").bytes(Role::Server), *b"\x88\x03\x03\xeax");
    assert_eq!(text("a").long_length(true).masked().bytes(Role::Server).len(), 2 + 8 + 4 + 1);
    assert_eq!(text("a").announcing(9).reserved(2).not_final().bytes(Role::Server), *b"\x21\x09a");
}

/// RFC 7692 §7.2.3.1, §7.2.3.2.
#[test]
fn rfc7692_7_2_3_compressed_messages() {
    assert_eq!(text("Hello").compressed().bytes(Role::Server), *b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
    let mut compressor = Compressor::default();
    let _ = text("Hello").compressed_by(&mut compressor);
    assert_eq!(text("Hello").compressed_by(&mut compressor).bytes(Role::Server), *b"\xc1\x05\xf2\x00\x11\x00\x00");
    let long: Vec<u8> = (0..100_000u32).flat_map(|number| (number.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    let mut inflate = flate2::Decompress::new(false);
    let compressed = [compressor_output(&long), vec![0, 0, 0xff, 0xff]].concat();
    let mut inflated = Vec::with_capacity(long.len() + 1);
    inflate.decompress_vec(&compressed, &mut inflated, flate2::FlushDecompress::Sync).unwrap();
    assert_eq!(inflated, long);
}

fn compressor_output(message: &[u8]) -> Vec<u8> {
    Compressor::default().compress(message)
}

#[test]
fn handshakes() {
    let script = Script::new().opening_handshake_with("X: y\r\n", "Z: 1\r\n");
    let said = client_payloads(&script).remove(0);
    assert!(said.ends_with("Version: 13\r\nX: y\r\n\r\n") && said.starts_with("GET /chat"), "{said}");
    assert_eq!(switching_protocols("dGhlIHNhbXBsZSBub25jZQ=="), Script::RESPONSE);
}

#[test]
fn a_savefile_holds_every_packet() {
    let script = Script::new().opening_handshake();
    let (file, packets) = (script.pcap(), script.packets());
    assert_eq!(file[..4], 0xa1b2_3c4d_u32.to_le_bytes());
    let le32 = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let mut at = 24;
    for packet in &packets {
        let nanos = u64::from(le32(at)) * 1_000_000_000 + u64::from(le32(at + 4));
        assert_eq!((nanos, le32(at + 8), le32(at + 12)), (packet.at.as_nanos(), packet.length, packet.length));
        assert_eq!(file[at + 16..at + 16 + packet.data.len()], packet.data);
        at += 16 + packet.data.len();
    }
    assert_eq!(at, file.len());
}

/// What the program's own readers hear of the client: its bytes, and what is missing.
fn heard(script: &Script) -> String {
    use crate::limits::Limits;
    use crate::packet::Moment;
    use crate::stream::{Side, StreamEvent};
    use crate::tcp::connection::Connection;
    use crate::tcp::table::Table;
    use crate::wire::{Dissected, Dissector};

    #[derive(Default)]
    struct Ear(String);
    impl crate::tcp::Listener for Ear {
        type Stream = ();
        fn opened(&mut self, _: &Connection, (): &mut (), _: Moment) {}
        fn established(&mut self, _: &Connection, (): &mut (), _: Moment) {}
        fn stream(&mut self, _: &Connection, (): &mut (), side: Side, _: Moment, event: StreamEvent<'_>) {
            match event {
                _ if side == Side::Responder => {}
                StreamEvent::Data(bytes) => self.0.push_str(&String::from_utf8_lossy(bytes)),
                StreamEvent::Gap(missing, _) => self.0.push_str(&format!("[{missing} missing]")),
                StreamEvent::Finished => self.0.push_str("[FIN]"),
                StreamEvent::Reset => self.0.push_str("[RST]"),
            }
        }
        fn ended(&mut self, _: &Connection, (): &mut (), _: Moment) {}
        fn forgotten(&mut self, _: Connection, (): (), _: Timestamp) {}
    }
    let limits = Limits::default();
    let (mut dissector, mut table, mut ear) = (Dissector::new(&limits), Table::new(&limits), Ear::default());
    for packet in script.packets() {
        match dissector.dissect(&packet.packet()) {
            Dissected::Tcp(segment) => table.handle(&segment, &mut ear),
            other => panic!("not a segment: {other:?}"),
        }
    }
    table.finish(&mut ear);
    ear.0
}

#[test]
fn what_is_scripted_is_heard() {
    let two = || Script::new().client("abcd").client("efgh");
    let end = |script: Script| script.client("ij").client_fin().server_fin();
    let whole = "abcdefghij[FIN]";
    for script in [
        two(),
        two().timestamps(),
        two().initial_seq(u32::MAX - 5, u32::MAX),
        two().duplicated(),
        two().retransmitted(),
        two().reordered(),
        two().overlapping(),
        two().conflicting(),
        two().coalesced(),
        two().split_at(1).split_at(3).reordered(),
        two().in_pieces_of(1),
        two().keep_alive(Role::Client),
        two().window(Role::Server, 0).window(Role::Server, 500),
    ] {
        assert_eq!(heard(&end(script)), whole);
    }
    assert_eq!(heard(&end(two().lost())), "abcd[4 missing]ij[FIN]");
    assert_eq!(heard(&end(two().snapped(56))), "abcdef[2 missing]ij[FIN]");
    assert_eq!(heard(&two().client_rst()), "abcdefgh[RST]");
    assert_eq!(heard(&Script::new().mid_stream().client("abc")), "abc");
}
