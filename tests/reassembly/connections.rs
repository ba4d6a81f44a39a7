//! How connections begin, end and begin again.

use std::net::Ipv4Addr;
use std::time::Duration;

use wsflow::limits::Limits;
use wsflow::packet::{Moment, PacketNumber};
use wsflow::stream::Side::{self, Originator, Responder};
use wsflow::tcp::{EndKind, State, Table};
use wsflow::time::Timestamp;
use wsflow::wire::{Endpoint, Flags, IcmpError, IcmpKind};

use crate::trace::{HANDSHAKE, Line, START, Seen, after_handshake, parse, trace, trace_with};

#[track_caller]
fn check(seen: &Seen, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(seen.log().lines().collect::<Vec<_>>(), expected);
}

fn ends(seen: &Seen) -> Vec<(Side, EndKind, u64)> {
    seen.facts[0].ends.iter().map(|end| (end.side, end.kind, end.moment.packet.0)).collect()
}

#[test]
fn a_refused_connection() {
    let seen = trace(
        "
        0    >  S   seq 0
        1    <  R.  seq 0 ack 1
    ",
    );
    check(&seen, "1 opened\n1 ended\n1 forgotten");
    let facts = &seen.facts[0];
    assert_eq!((facts.refused.map(|moment| moment.packet.0), facts.came_up()), (Some(2), false));
    assert_eq!(ends(&seen), [(Responder, EndKind::Rst, 2)]);
}

#[test]
fn an_rst_that_does_not_acknowledge_the_syn_refuses_nothing() {
    let seen = trace(
        "
        0    >  S   seq 0
        1    <  R   seq 0
        2    <  R.  seq 0 ack 900000000
        3    <  S.  seq 0 ack 1
        4    >  .   seq 1 ack 1
    ",
    );
    check(&seen, "1 opened\n1 up\n1 forgotten");
    assert_eq!((seen.facts[0].refused, seen.counters.invalid_resets), (None, 2));
}

#[test]
fn a_handshake_with_losses() {
    let seen = trace(
        "
        0    >  S   seq 0
        1000 >  S   seq 0
        1000 <  S.  seq 0 ack 1
        2000 <  S.  seq 0 ack 1
        2001 >  .   seq 1 ack 1
        2002 <  S.  seq 0 ack 1
        2003 >  .   seq 1 ack 1
    ",
    );
    check(&seen, "1 opened\n1 up\n1 forgotten");
    let facts = &seen.facts[0];
    assert_eq!(facts.syn_retransmissions, 1);
    let packets = [facts.syn, facts.syn_ack, facts.established].map(|moment| moment.unwrap().packet.0);
    assert_eq!(packets, [1, 3, 5]);
    assert_eq!(facts.handshake_rtt(), Some(Duration::from_secs(1)));
}

#[test]
fn a_syn_that_nobody_answers() {
    let seen = trace("0 > S seq 0\n1000 > S seq 0\n3000 > S seq 0\n7000 > S seq 0");
    let facts = &seen.facts[0];
    assert_eq!((facts.syn_retransmissions, facts.came_up(), facts.unseen_side()), (3, false, Some(Responder)));
}

#[test]
fn a_simultaneous_open() {
    let seen = trace(
        r#"
        0    >  S   seq 0
        0.5  <  S   seq 0
        1    >  S.  seq 0 ack 1
        1.5  <  S.  seq 0 ack 1
        2    >  .   seq 1 ack 1 "abc"
        3    <  .   seq 1 ack 4 "def"
    "#,
    );
    check(&seen, "1 opened\n1 up\n1 > \"abc\"\n1 < \"def\"\n1 forgotten");
    assert_eq!(seen.facts[0].syn_retransmissions, 0);
}

#[test]
fn a_syn_ack_may_be_captured_behind_its_acknowledgment() {
    let seen = trace(
        r#"
        0    >  S   seq 0 scale 7
        1    >  .   seq 1 ack 1
        1.1  <  S.  seq 0 ack 1 mss 1400 scale 7
        2    >  .   seq 1 ack 1 "abc"
    "#,
    );
    check(&seen, "1 opened\n1 up\n1 > \"abc\"\n1 forgotten");
    assert_eq!((seen.facts[0].syn_ack.map(|moment| moment.packet.0), seen.server().mss), (Some(3), Some(1400)));
}

#[test]
fn a_lost_syn_ack_does_not_lose_the_beginning_of_the_answer() {
    let seen = trace(
        r#"
        0    >  S   seq 0
        1    >  .   seq 1 ack 1
        2    >  .   seq 1 ack 1 "GET"
        3    >  .   seq 4 ack 4
        9    <  .   seq 4 ack 4 "frame"
    "#,
    );
    assert_eq!(seen.stream(Responder), "~~~frame");
}

#[test]
fn a_challenge_is_not_an_answer() {
    // RFC 9293 §3.5.1: the server still knows the old connection, the client resets it and asks again.
    let seen = trace(
        r#"
        0    >  S   seq 0
        1    <  .   seq 3000 ack 2000000000
        2    >  R   seq 2000000000
        1000 >  S   seq 0
        1001 <  S.  seq 0 ack 1
        1002 >  .   seq 1 ack 1 "abc"
    "#,
    );
    check(&seen, "1 opened\n1 up\n1 > \"abc\"\n1 forgotten");
}

#[test]
fn ports_that_are_used_again() {
    let again = r#"
        100  >  S   isn 77000000 seq 0
        101  <  S.  isn 88000000 seq 0 ack 1
        102  >  .   seq 1 ack 1 "new"
    "#;
    for end in ["50 > R. seq 1 ack 1", "50 > F. seq 7 ack 1\n51 < F. seq 1 ack 1", "50 < . seq 1 ack 1"] {
        let seen = after_handshake(&format!("1 > . seq 4 ack 1 \"def\"\n{end}\n{again}"));
        let log = seen.log();
        assert!(log.contains("1 > gap 3 GivenUp\n1 > \"def\""), "what waited is told first: {log}");
        assert!(log.contains("1 forgotten\n2 opened\n2 up\n2 > \"new\"\n2 forgotten"), "{log}");
        assert_eq!((seen.facts.len(), seen.facts[1].id.0), (2, 2));
    }
}

#[test]
fn ports_that_are_used_the_other_way_round() {
    let seen = after_handshake(
        r#"
        50   >  R.  seq 1 ack 1
        100  <  S   isn 88000000 seq 0
        101  >  S.  isn 77000000 seq 0 ack 1
        102  <  .   seq 1 ack 1 "new"
    "#,
    );
    assert_eq!(seen.facts[1].endpoints.originator, seen.facts[0].endpoints.responder);
    assert_eq!(seen.heard.streams[1][0], b"new");
}

#[test]
fn ports_that_are_used_again_without_a_syn() {
    let seen = after_handshake(
        r#"
        50   >  R.  seq 1 ack 1
        51   <  .   seq 1 ack 1 "late"
        100  >  .   isn 77000000 seq 1 ack 1 "new"
    "#,
    );
    assert_eq!((seen.heard.streams.len(), seen.server().late), (2, 1));
    assert_eq!(seen.heard.streams[1][0], b"new");
}

#[test]
fn a_syn_inside_the_window_changes_nothing() {
    let seen = after_handshake(
        r#"
        1    >  S   seq 500
        2    >  .   seq 1 ack 1 "abc"
    "#,
    );
    check(&seen, "1 opened\n1 up\n1 > \"abc\"\n1 forgotten");
}

#[test]
fn an_attempt_with_another_number_is_another_attempt() {
    let seen = trace("0 > S seq 0\n1000 > S seq 0\n5000 > S isn 5 seq 0");
    check(&seen, "1 opened\n1 forgotten\n2 opened\n2 forgotten");
    assert_eq!(seen.facts[0].syn_retransmissions, 1);
}

#[test]
fn an_rst_ends_both_directions() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 1 ack 1 "abc"
        2    <  R.  seq 1 ack 4
        2.1  >  .   seq 4 ack 1 "more"
        2.2  <  R   seq 1
    "#,
    );
    check(&seen, "1 opened\n1 up\n1 > \"abc\"\n1 < reset\n1 ended\n1 forgotten");
    assert_eq!((ends(&seen), seen.client().late), (vec![(Responder, EndKind::Rst, 5)], 1));
}

#[test]
fn an_rst_far_outside_the_window_is_counted_and_not_believed() {
    let seen = after_handshake(
        r#"
        1    <  R   seq 1500000000
        2    >  .   seq 1 ack 1 "abc"
    "#,
    );
    check(&seen, "1 opened\n1 up\n1 > \"abc\"\n1 forgotten");
    assert_eq!((ends(&seen), seen.counters.invalid_resets), (vec![], 1));
}

#[test]
fn ends_are_noted_in_order_of_capture() {
    let seen = after_handshake(
        "
        1    <  F.  seq 1 ack 1 ttl 60 id 7
        2    >  .   seq 1 ack 2
        3    <  F.  seq 1 ack 1
        4    >  F.  seq 1 ack 2
        5    <  .   seq 2 ack 2
        6    >  R   seq 2
    ",
    );
    let expected = [(Responder, EndKind::Fin, 4), (Originator, EndKind::Fin, 7), (Originator, EndKind::Rst, 9)];
    assert_eq!(ends(&seen), expected);
    assert_eq!((seen.facts[0].ends[0].ttl, seen.facts[0].ends[0].ip_id), (60, 7));
    check(&seen, "1 opened\n1 up\n1 < finished\n1 > finished\n1 ended\n1 forgotten");
}

#[test]
fn an_ended_connection_lingers_for_late_packets() {
    let text = format!(
        r#"{HANDSHAKE}
        10   >  F.  seq 1 ack 1
        11   <  F.  seq 1 ack 2
        12   >  .   seq 2 ack 2
        900  <  F.  seq 1 ack 2
        2500 <  F.  seq 1 ack 2
        2600 >  .   seq 2 ack 2
    "#
    );
    let seen = trace_with(&text, &Limits { linger: Duration::from_secs(2), ..Limits::default() });
    assert_eq!(seen.heard.log.last().unwrap(), "1 forgotten @2011", "at its deadline");
    assert_eq!((seen.facts.len(), seen.counters.strays), (1, 2), "a FIN or an ACK alone begins nothing");
}

#[test]
fn states_have_the_names_of_the_standard() {
    let mut seen = Seen::default();
    let mut table: Table<u64> = Table::new(&Limits::default());
    let text = "
        0    >  S   seq 0
        0.1  <  S.  seq 0 ack 1
        0.2  >  .   seq 1 ack 1
        1    >  F.  seq 1 ack 1
        2    <  .   seq 1 ack 2
        3    <  F.  seq 1 ack 2
        4    >  .   seq 2 ack 2
    ";
    let expected = [
        (State::SynSent, State::Listen),
        (State::SynSent, State::SynReceived),
        (State::Established, State::Established),
        (State::FinWait1, State::CloseWait),
        (State::FinWait2, State::CloseWait),
        (State::TimeWait, State::LastAck),
        (State::TimeWait, State::Closed),
    ];
    for (number, (line, expected)) in parse(text, [0, 0]).iter().zip(expected).enumerate() {
        table.handle(&line.segment(number as u64), &mut seen);
        let connection = table.iter().next().unwrap().0;
        assert_eq!((connection.state(Originator), connection.state(Responder)), expected, "after packet {number}");
    }
    assert_eq!(State::FinWait1.to_string(), "FIN-WAIT-1");
}

#[test]
fn the_same_packet_twice_is_one() {
    let seen = trace(
        r#"
        0     >  S   seq 0 id 1
        0.01  >  S   seq 0 id 1 ttl 63 if 2
        0.1   <  S.  seq 0 ack 1 id 0 ts 9
        0.11  <  S.  seq 0 ack 1 id 0 ts 9 ttl 63 if 2
        0.2   >  .   seq 1 ack 1 id 2
        0.21  >  .   seq 1 ack 1 id 2 ttl 63 if 2
        1     >  P.  seq 1 ack 1 "abc" id 3
        1.5   >  P.  seq 1 ack 1 "abc" id 3 ttl 63 if 2
        2     >  F.  seq 4 ack 1 id 4
        2.1   >  F.  seq 4 ack 1 id 4 ttl 63 if 2
    "#,
    );
    let client = seen.client();
    assert_eq!((client.packets, client.duplicates, client.retransmissions), (4, 4, 0));
    assert_eq!((seen.server().packets, seen.server().duplicates), (1, 1));
    assert_eq!((seen.facts[0].syn_retransmissions, seen.counters.duplicates), (0, 5));
    assert_eq!(client.ttl, Some(64));
}

#[test]
fn duplicates_may_be_interleaved() {
    let seen = after_handshake(
        r#"
        1     >  .   seq 1 ack 1 "abc" id 1
        1.1   >  .   seq 4 ack 1 "def" id 2
        1.2   >  .   seq 1 ack 1 "abc" id 1
        1.3   >  .   seq 4 ack 1 "def" id 2
        2     >  .   seq 7 ack 1 "g" id 3
        2.1   >  .   seq 8 ack 1 "h" id 4
        2.2   >  .   seq 9 ack 1 "i" id 5
        2.3   >  .   seq 10 ack 1 "j" id 6
        2.4   >  .   seq 7 ack 1 "g" id 3
        2.5   >  .   seq 8 ack 1 "h" id 4
        2.6   >  .   seq 9 ack 1 "i" id 5
        2.7   >  .   seq 10 ack 1 "j" id 6
    "#,
    );
    assert_eq!((seen.client().duplicates, seen.client().retransmissions), (6, 0));
    assert_eq!(seen.stream(Originator), "abcdefghij");
}

#[test]
fn a_retransmission_is_no_duplicate() {
    let seen = after_handshake(
        r#"
        1     >  .   seq 1 ack 1 "abc" id 1
        2     >  .   seq 1 ack 1 "abc" id 2
        3     >  .   seq 4 ack 1 "def" id 0 ts 7
        4     >  .   seq 4 ack 1 "def" id 0 ts 8
        5     >  .   seq 7 ack 1 "ghi" id 0
        300   >  .   seq 7 ack 1 "ghi" id 0
        301   >  .   seq 10 ack 1 "j" id 9
        501   >  .   seq 10 ack 1 "j" id 9
    "#,
    );
    assert_eq!((seen.client().duplicates, seen.client().retransmissions), (0, 4));
}

#[test]
fn repeated_acknowledgments_are_no_duplicates() {
    let seen = after_handshake("1 < . seq 1 ack 1 id 5\n1.1 < . seq 1 ack 1 id 6\n1.2 < . seq 1 ack 1 id 7");
    assert_eq!((seen.server().packets, seen.counters.duplicates), (4, 0));
}

#[test]
fn icmp_errors_find_their_connection() {
    let (mut seen, mut table) = (Seen::default(), Table::<u64>::new(&Limits::default()));
    let line = &parse("0 > S seq 0", [0, 0])[0];
    let segment = line.segment(1);
    table.handle(&segment, &mut seen);
    let error = |port, packet| IcmpError {
        moment: Moment { at: Timestamp::from_nanos(START + packet), packet: PacketNumber(packet) },
        from: Ipv4Addr::new(10, 0, 0, 254).into(),
        source: Endpoint { port, ..segment.ends.source() },
        destination: segment.ends.destination(),
        kind: IcmpKind::Unreachable(1),
    };
    for packet in 2..9 {
        table.icmp(&error(segment.ends.ports[0], packet), &mut seen);
    }
    table.icmp(&error(9, 9), &mut seen);
    table.finish(&mut seen);
    let packets: Vec<u64> = seen.facts[0].icmp.iter().map(|error| error.moment.packet.0).collect();
    assert_eq!((packets, table.counters().strays), (vec![2, 3, 4, 5], 1));
}

/// One packet from each of many clients.
fn clients(ports: impl IntoIterator<Item = u16>, millis: u64, flags: u8) -> Vec<Line> {
    let line = |port| Line { port, ip_id: port, ..Line::new(millis * 1_000_000, Originator, flags) };
    ports.into_iter().map(line).collect()
}

#[test]
fn the_longest_silent_connection_makes_room() {
    let limits = Limits { connections: 4, idle: Duration::from_secs(10), ..Limits::default() };
    let mut lines = clients([1, 2, 3, 4], 0, Flags::SYN);
    lines.extend(clients([1], 5, Flags::SYN)); // speaks again
    lines.extend(clients([5], 6, Flags::SYN)); // 2 goes
    lines.extend(clients([3], 7, Flags::SYN));
    lines.extend(clients([6], 8, Flags::SYN)); // 4 goes
    lines.extend(clients([7], 20_000, Flags::SYN)); // 1 goes, silent since 5
    lines.extend(clients([8], 20_001, Flags::SYN)); // 5 goes, silent since 6
    let seen = crate::trace::play(&lines, &limits);
    let order: Vec<u16> = seen.facts.iter().map(|facts| facts.endpoints.originator.port).collect();
    assert_eq!(order, [2, 4, 1, 5, 3, 6, 7, 8]);
    assert_eq!((seen.counters.evicted_active, seen.counters.evicted_idle), (2, 2));
}

#[test]
fn what_has_ended_makes_room_first() {
    let limits = Limits { connections: 3, ..Limits::default() };
    let mut lines = clients([1, 2, 3], 0, Flags::SYN);
    lines.extend(clients([3], 1, Flags::RST));
    lines.extend(clients([2], 2, Flags::RST));
    lines.extend(clients([4, 5, 6], 3, Flags::SYN));
    let seen = crate::trace::play(&lines, &limits);
    let order: Vec<u16> = seen.facts.iter().map(|facts| facts.endpoints.originator.port).collect();
    assert_eq!(order, [3, 2, 1, 4, 5, 6]);
    assert_eq!((seen.counters.evicted_ended, seen.counters.evicted_active), (2, 1));
}

#[test]
fn the_end_of_the_capture_comes_in_order_of_connections() {
    let seen = crate::trace::play(&clients((1..200).rev(), 0, Flags::SYN), &Limits::default());
    let ids: Vec<u64> = seen.facts.iter().map(|facts| facts.id.0).collect();
    assert!(ids.is_sorted() && ids.len() == 199);
}
