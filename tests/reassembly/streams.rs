//! Order, overlap, loss: what the streams say.

use std::time::Duration;

use wsflow::limits::Limits;
use wsflow::stream::Side::{Originator, Responder};

use crate::trace::{HANDSHAKE, after_handshake, trace, trace_with};

#[track_caller]
fn check(seen: &crate::trace::Seen, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(seen.log().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_whole_connection() {
    let seen = after_handshake(
        r#"
        1    >  P.  seq 1 ack 1 "GET"
        2    <  .   seq 1 ack 4
        3    <  P.  seq 1 ack 4 "101"
        4    >  F.  seq 4 ack 4
        5    <  F.  seq 4 ack 5
        6    >  .   seq 5 ack 5
    "#,
    );
    check(
        &seen,
        r#"
        1 opened
        1 up
        1 > "GET"
        1 < "101"
        1 > finished
        1 < finished
        1 ended
        1 forgotten
    "#,
    );
}

#[test]
fn bytes_out_of_order_wait_and_keep_their_moment() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 4 ack 1 "def"
        2    >  .   seq 7 ack 1 "ghi"
        2.5  >  .   seq 1 ack 1 "abc"
    "#,
    );
    assert_eq!(seen.heard.log[2..5], [r#"1 > "abc" @2.5"#, r#"1 > "def" @1"#, r#"1 > "ghi" @2"#]);
    assert_eq!((seen.client().out_of_order, seen.client().retransmissions), (2, 0));
}

#[test]
fn overlaps_are_delivered_once() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 1 ack 1 "abc"
        2    >  .   seq 2 ack 1 "bcde"
        3    >  .   seq 8 ack 1 "hi"
        4    >  .   seq 5 ack 1 "efghij"
        5    >  .   seq 10 ack 1 "jk"
    "#,
    );
    assert_eq!(seen.stream(Originator), "abcdefghijk");
}

#[test]
fn of_conflicting_copies_the_first_wins() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 4 ack 1 "def"
        2    >  .   seq 1 ack 1 "abcXXXg"
    "#,
    );
    assert_eq!((seen.stream(Originator), seen.client().conflicts), ("abcdefg", 1));
}

#[test]
fn a_hole_that_the_peer_acknowledged_is_a_loss_of_the_capture() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 1 ack 1 "abc"
        2    >  .   seq 7 ack 1 "ghi"
        2.1  <  .   seq 1 ack 10
        5    >  .   seq 10 ack 1 "jkl"
    "#,
    );
    check(
        &seen,
        r#"
        1 opened
        1 up
        1 > "abc"
        1 > gap 3 NotCaptured
        1 > "ghi"
        1 > "jkl"
        1 forgotten
    "#,
    );
    assert_eq!((seen.client().gap_bytes, seen.client().bytes, seen.client().acknowledged), (3, 12, 9));
    assert_eq!((seen.client().out_of_order, seen.client().retransmissions), (0, 0), "the network did no wrong");
}

#[test]
fn an_acknowledgment_alone_shows_a_loss() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 1 ack 1 "abc"
        2    <  .   seq 1 ack 10
        9    >  .   seq 10 ack 1 "jkl"
    "#,
    );
    assert_eq!(seen.stream(Originator), "abc~~~~~~jkl");
    assert_eq!(seen.heard.log[3], "1 > gap 6 NotCaptured @2", "with the moment of the acknowledgment");
}

#[test]
fn an_acknowledgment_may_run_ahead_of_its_data() {
    let seen = after_handshake(
        r#"
        1    <  .   seq 1 ack 4
        1.1  <  .   seq 1 ack 7
        1.2  >  .   seq 1 ack 1 "abc"
        1.3  <  .   seq 1 ack 10
        1.4  >  .   seq 4 ack 1 "def"
        2.2  <  .   seq 1 ack 13
        2.25 >  .   seq 7 ack 1 "ghi"
        2.9  >  .   seq 10 ack 1 "jkl"
        9    >  .   seq 13 ack 1 "m"
    "#,
    );
    assert_eq!((seen.stream(Originator), seen.client().gap_bytes), ("abcdefghijklm", 0));
}

#[test]
fn data_that_comes_after_its_gap_is_late() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 4 ack 1 "def"
        1.1  <  .   seq 1 ack 7
        5    >  .   seq 1 ack 1 "abc"
        6    >  .   seq 4 ack 1 "def"
    "#,
    );
    assert_eq!(seen.stream(Originator), "~~~def");
    assert_eq!((seen.client().late, seen.client().retransmissions), (1, 1));
}

#[test]
fn the_last_acknowledged_byte_may_be_a_fin_that_was_not_captured() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 1 ack 1 "abc"
        2    <  .   seq 1 ack 5
        900  <  .   seq 1 ack 5
    "#,
    );
    assert_eq!((seen.stream(Originator), seen.client().gap_bytes), ("abc", 0));
}

#[test]
fn a_hole_that_nobody_acknowledges_is_given_up_in_time() {
    let text = format!(
        r#"{HANDSHAKE}
        1    >  .   seq 4 ack 1 "def"
        4000 >  .   seq 9 ack 1 "ij"
        8000 <  .   seq 1 ack 1
        9500 <  .   seq 1 ack 1
    "#
    );
    let seen = trace_with(&text, &Limits { held_time: Duration::from_secs(5), ..Limits::default() });
    check(
        &seen,
        r#"
        1 opened
        1 up
        1 > gap 3 GivenUp
        1 > "def"
        1 > gap 2 GivenUp
        1 > "ij"
        1 forgotten
    "#,
    );
    assert_eq!(seen.counters.held_time, 2);
}

#[test]
fn too_many_held_segments_give_a_hole_up() {
    let mut text = HANDSHAKE.to_owned();
    for i in 0..5 {
        text += &format!("{} > . seq {} ack 1 \"ab\"\n", i + 1, 10 + 4 * i);
    }
    let seen = trace_with(&text, &Limits { held_segments: 3, ..Limits::default() });
    assert_eq!(seen.stream(Originator), "~~~~~~~~~ab~~ab~~ab~~ab~~ab");
    assert_eq!(seen.counters.held_segments, 2, "three may wait");
}

#[test]
fn holes_at_the_end_of_the_capture_are_told() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 4 ack 1 "def"
        1    <  F.  seq 4 ack 1
    "#,
    );
    check(
        &seen,
        r#"
        1 opened
        1 up
        1 > gap 3 GivenUp
        1 > "def"
        1 < gap 3 GivenUp
        1 < finished
        1 forgotten
    "#,
    );
}

#[test]
fn a_fin_waits_for_the_bytes_before_it() {
    let seen = after_handshake(
        r#"
        1    >  F.  seq 4 ack 1 "def"
        2    >  .   seq 1 ack 1 "abc"
        3    <  .   seq 1 ack 8
    "#,
    );
    check(
        &seen,
        r#"
        1 opened
        1 up
        1 > "abc"
        1 > "def"
        1 > finished
        1 forgotten
    "#,
    );
}

#[test]
fn what_the_snap_length_cut_off_is_a_gap_of_its_own() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 1 ack 1 "abcdef" cut 2
        2    >  .   seq 11 ack 1 "klm" cut 1
        3    >  .   seq 7 ack 1 "ghij" cut 0
        4    >  .   seq 14 ack 1 "n"
    "#,
    );
    check(
        &seen,
        r#"
        1 opened
        1 up
        1 > "ab"
        1 > gap 4 Cut
        1 > gap 4 Cut
        1 > "k"
        1 > gap 2 Cut
        1 > "n"
        1 forgotten
    "#,
    );
    assert_eq!((seen.client().cut_bytes, seen.client().gap_bytes, seen.client().bytes), (10, 0, 14));
}

#[test]
fn data_on_a_syn_is_delivered_when_the_connection_is_up() {
    // RFC 7413: the server takes the data with its SYN-ACK, and answers before the handshake is over.
    let seen = trace(
        r#"
        0    >  S   seq 0 "GET"
        1    <  S.  seq 0 ack 4
        2    <  P.  seq 1 ack 4 "101"
        3    >  .   seq 4 ack 4
    "#,
    );
    check(
        &seen,
        r#"
        1 opened
        1 up
        1 > "GET"
        1 < "101"
        1 forgotten
    "#,
    );
    let refused = trace(
        r#"
        0    >  S   seq 0 "GET"
        1    <  S.  seq 0 ack 1
        2    >  P.  seq 1 ack 1 "GET"
        3    <  P.  seq 1 ack 4 "101"
    "#,
    );
    assert_eq!((refused.stream(Originator), refused.stream(Responder)), ("GET", "101"));
    assert_eq!(refused.client().gap_bytes, 0);
}

#[test]
fn one_direction_alone_flows() {
    let server_only = trace(
        r#"
        0    <  S.  seq 0 ack 1
        1    <  .   seq 1 ack 100
        2    <  P.  seq 1 ack 100 "abc"
        3    <  P.  seq 7 ack 200 "ghi"
        4    <  P.  seq 4 ack 200 "def"
        5    <  F.  seq 10 ack 300
        6    <  .   seq 11 ack 301
    "#,
    );
    check(
        &server_only,
        r#"
        1 opened
        1 up
        1 < "abc"
        1 < "def"
        1 < "ghi"
        1 < finished
        1 ended
        1 forgotten
    "#,
    );
    let client_only = trace(
        r#"
        0    >  S   seq 0
        1    >  .   seq 1 ack 1
        2    >  P.  seq 1 ack 1 "abc"
        3    >  .   seq 4 ack 5000
    "#,
    );
    assert_eq!((client_only.stream(Originator), client_only.server().gap_bytes), ("abc", 0));
    assert!(client_only.facts[0].established.is_some());
}

#[test]
fn a_connection_in_mid_stream_begins_with_its_first_bytes() {
    let seen = trace(
        r#"
        0    <  P.  seq 5000 ack 700 "abc"
        1    >  .   seq 700 ack 5003
        2    >  P.  seq 700 ack 5003 "xyz"
        3    <  P.  seq 5003 ack 703 "def"
    "#,
    );
    check(
        &seen,
        r#"
        1 opened
        1 up
        1 < "abc"
        1 > "xyz"
        1 < "def"
        1 forgotten
    "#,
    );
    assert_eq!(seen.facts[0].endpoints.responder.port, 8080, "the lower port is taken for the server's");
}

#[test]
fn what_was_under_way_when_the_capture_began_is_not_missed() {
    let seen = trace(
        r#"
        0    >  P.  seq 700 ack 5000 "x"
        1    <  .   seq 8000 ack 701 "abc"
        2    >  .   seq 701 ack 6000
        3    >  .   seq 701 ack 8003
        9    <  .   seq 8003 ack 701 "def"
    "#,
    );
    assert_eq!((seen.stream(Responder), seen.server().gap_bytes), ("abcdef", 0));
    assert_eq!(seen.server().acknowledged, 3);
}

#[test]
fn a_keep_alive_may_be_the_first_packet_of_a_side() {
    let seen = trace(
        r#"
        0    >  P.  seq 700 ack 5000 "x"
        1    <  .   seq 4999 ack 701
        2    >  .   seq 701 ack 5000
        3    <  .   seq 5000 ack 701 "abc"
    "#,
    );
    assert_eq!(seen.stream(Responder), "abc");
}

#[test]
fn data_behind_a_fin_is_counted_and_ignored() {
    let seen = after_handshake(
        r#"
        1    >  F.  seq 1 ack 1 "abc"
        2    >  .   seq 5 ack 1 "de"
        3    >  .   seq 1 ack 1 "abc"
    "#,
    );
    assert_eq!(seen.stream(Originator), "abc");
    assert_eq!((seen.client().late, seen.client().retransmissions), (1, 1));
}

#[test]
fn a_segment_far_outside_the_window_is_not_believed() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 900000000 ack 1 "forged"
        2    >  .   seq 1 ack 1 "abc"
        7000 >  .   seq 4 ack 1 "def"
        7001 >  .   seq 7 ack 2000000000
        9000 <  .   seq 1 ack 7
    "#,
    );
    assert_eq!((seen.stream(Originator), seen.counters.out_of_window), ("abcdef", 2));
}

#[test]
fn a_forged_acknowledgment_loses_nothing() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 1 ack 1 "abc"
        2    <  .   seq 1 ack 800000000
        9    >  .   seq 4 ack 1 "def"
        10   <  .   seq 1 ack 7
    "#,
    );
    assert_eq!((seen.stream(Originator), seen.client().gap_bytes, seen.client().acknowledged), ("abcdef", 0, 6));
}

#[test]
fn a_capture_that_paused_finds_its_place_again() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 1 ack 1 "abc"
        1.1  <  .   seq 1 ack 4
        9000 >  .   seq 500000000 ack 1 "x"
        9001 <  .   seq 1 ack 500000001
        9001.1 > .  seq 500000001 ack 1 "y"
        9002 <  .   seq 1 ack 500000002
        9009 >  .   seq 500000002 ack 1 "z"
    "#,
    );
    let log = seen.log();
    assert!(log.ends_with("1 > gap 499999998 NotCaptured\n1 > \"z\"\n1 forgotten"), "{log}");
}

#[test]
fn giants_of_segmentation_offload_are_acknowledged_in_parts() {
    let seen = after_handshake(
        r#"
        1    >  .   seq 1 ack 1 len 65160
        2    <  .   seq 1 ack 20001
        3    >  .   seq 65161 ack 1 len 65160
        4    <  .   seq 1 ack 65161
        5    <  .   seq 1 ack 130321
    "#,
    );
    assert_eq!((seen.client().bytes, seen.client().largest_acknowledged), (130_320, 65_160));
    assert_eq!(seen.client().unacknowledged_since, None);
}
