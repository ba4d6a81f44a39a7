//! Every fact that the rules read, from packets that show it.

use std::time::Duration;

use wsflow::stream::Side::{Originator, Responder};

use crate::trace::{after_handshake, trace};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn of_a_healthy_connection() {
    let seen = after_handshake(
        r#"
        1    >  P.  seq 1 ack 1 len 300
        2    <  .   seq 1 ack 301
        3    <  P.  seq 1 ack 301 len 120
        4    >  P.  seq 301 ack 121 len 20
        5    <  P.  seq 121 ack 321 len 10
        6    >  .   seq 321 ack 131
    "#,
    );
    let facts = &seen.facts[0];
    assert_eq!((facts.first.packet.0, facts.last.packet.0), (1, 9));
    assert_eq!([facts.syn, facts.syn_ack, facts.established].map(|moment| moment.unwrap().packet.0), [1, 2, 3]);
    assert_eq!((facts.refused, facts.icmp.len(), facts.ends.len(), facts.unseen_side()), (None, 0, 0, None));
    let (client, server) = (seen.client(), seen.server());
    assert_eq!((client.packets, server.packets), (5, 4));
    assert_eq!((client.bytes, client.acknowledged, server.bytes, server.acknowledged), (320, 320, 130, 130));
    let moments = [client.first_data, client.last_data, server.first_data, server.last_data];
    assert_eq!(moments.map(|moment| moment.unwrap().packet.0), [4, 7, 6, 8]);
    assert_eq!((client.mss, server.mss, client.ttl), (Some(1460), Some(1400), Some(64)));
    assert_eq!((client.largest_acknowledged, server.largest_acknowledged), (300, 120));
    for half in [client, server] {
        assert_eq!((half.retransmissions, half.out_of_order, half.duplicates, half.keep_alives), (0, 0, 0, 0));
        assert_eq!((half.conflicts, half.late, half.gap_bytes, half.cut_bytes), (0, 0, 0, 0));
        assert_eq!((half.unacknowledged_since, half.unanswered_retransmissions, half.largest_lost), (None, 0, 0));
        assert_eq!((half.longest_recovery, half.zero_window.count, half.zero_window.open), (Duration::ZERO, 0, false));
    }
}

#[test]
fn a_peer_that_vanishes() {
    // As Linux retransmits: once, then together with what came in between, in growing distances.
    let seen = after_handshake(
        r#"
        1     >  P.  seq 1 ack 1 len 155
        2     <  P.  seq 1 ack 156 len 129
        3     >  .   seq 156 ack 130
        793   <  P.  seq 130 ack 156 len 8
        1001  <  P.  seq 130 ack 156 len 8
        1043  <  P.  seq 138 ack 156 len 8
        1213  <  P.  seq 130 ack 156 len 16
        1629  <  P.  seq 130 ack 156 len 16
        2457  <  P.  seq 130 ack 156 len 16
    "#,
    );
    let server = seen.server();
    assert_eq!(server.unacknowledged_since.map(|moment| moment.packet.0), Some(7));
    assert_eq!((server.unanswered_retransmissions, server.retransmissions), (4, 4));
    assert_eq!((server.bytes, server.acknowledged), (145, 129));
    assert!(server.largest_lost <= server.largest_acknowledged, "small segments were lost: no matter of size");
    assert_eq!(server.last_data.map(|moment| moment.packet.0), Some(9));
    assert_eq!(seen.client().unacknowledged_since, None);
}

#[test]
fn a_path_that_swallows_large_segments() {
    let seen = after_handshake(
        r#"
        1     >  P.  seq 1 ack 1 len 155
        2     <  P.  seq 1 ack 156 len 129
        3     >  P.  seq 156 ack 130 len 13
        3.1   >  .   seq 169 ack 130 len 1448
        3.2   >  .   seq 1617 ack 130 len 1448
        3.3   >  P.  seq 3065 ack 130 len 112
        3.4   <  .   seq 130 ack 169
        8     >  .   seq 169 ack 130 len 1448
        8.1   >  P.  seq 1617 ack 130 len 1448
        208   >  .   seq 169 ack 130 len 1448
        632   >  .   seq 169 ack 130 len 1448
    "#,
    );
    let client = seen.client();
    assert_eq!((client.largest_lost, client.largest_acknowledged), (1448, 155));
    assert_eq!((client.retransmissions, client.unanswered_retransmissions), (4, 3));
    assert_eq!(client.unacknowledged_since.map(|moment| moment.packet.0), Some(7), "the first large one");
}

#[test]
fn a_recovery_takes_until_the_retransmission_that_gets_through() {
    let seen = after_handshake(
        r#"
        1     >  .   seq 1 ack 1 len 100
        2     >  .   seq 101 ack 1 len 100
        3     <  .   seq 1 ack 101
        202   >  .   seq 101 ack 1 len 100
        602   >  .   seq 101 ack 1 len 100
        612   <  .   seq 1 ack 201
    "#,
    );
    let client = seen.client();
    assert_eq!((client.longest_recovery, client.retransmissions), (ms(600), 2));
    assert_eq!((client.largest_lost, client.unanswered_retransmissions, client.unacknowledged_since), (0, 0, None));
}

#[test]
fn a_loss_before_the_capture_is_a_retransmission_too() {
    let seen = after_handshake(
        r#"
        1     >  .   seq 101 ack 1 len 100
        240   >  .   seq 1 ack 1 len 100
        241   <  .   seq 1 ack 201
    "#,
    );
    assert_eq!((seen.client().retransmissions, seen.client().longest_recovery), (1, ms(239)));
}

#[test]
fn a_retransmission_that_was_not_needed_recovers_nothing() {
    let seen = after_handshake(
        r#"
        1     >  .   seq 1 ack 1 len 100
        2     <  .   seq 1 ack 101
        300   >  .   seq 1 ack 1 len 100
    "#,
    );
    let client = seen.client();
    assert_eq!((client.retransmissions, client.unanswered_retransmissions), (1, 0));
    assert_eq!((client.longest_recovery, client.unacknowledged_since), (Duration::ZERO, None));
}

#[test]
fn keep_alives_are_neither_data_nor_retransmissions() {
    let seen = after_handshake(
        r#"
        1      >  .   seq 1 ack 1 "abc"
        2      <  .   seq 1 ack 4
        60000  >  .   seq 3 ack 1
        60001  <  .   seq 1 ack 4
        120000 >  .   seq 3 ack 1 "c"
        120001 <  .   seq 1 ack 4
        121000 <  .   seq 0 ack 4
    "#,
    );
    let (client, server) = (seen.client(), seen.server());
    assert_eq!((client.keep_alives, client.retransmissions, server.keep_alives), (2, 0, 1));
    assert_eq!(client.last_data.map(|moment| moment.packet.0), Some(4));
}

#[test]
fn one_byte_sent_again_is_no_keep_alive() {
    let seen = after_handshake("1 > . seq 1 ack 1 \"a\"\n201 > . seq 1 ack 1 \"a\"\n601 > . seq 1 ack 1 \"a\"");
    let client = seen.client();
    assert_eq!((client.keep_alives, client.retransmissions, client.unanswered_retransmissions), (0, 2, 2));
}

#[test]
fn a_receiver_that_does_not_read() {
    let seen = after_handshake(
        r#"
        1     <  .   seq 1 ack 1 len 1000
        2     >  .   seq 1 ack 1001 win 0
        202   <  .   seq 1000 ack 1
        203   >  .   seq 1 ack 1001 win 0
        1002  >  .   seq 1 ack 1001 win 500
        1003  <  .   seq 1001 ack 1 len 1000
        2000  >  .   seq 1 ack 2001 win 0
        2500  <  .   seq 2000 ack 1
    "#,
    );
    let zero = seen.client().zero_window;
    assert_eq!((zero.count, zero.total, zero.longest), (2, ms(1500), ms(1000)));
    assert_eq!((zero.first.map(|moment| moment.packet.0), zero.open), (Some(5), true));
    assert_eq!((seen.server().keep_alives, seen.server().retransmissions), (0, 0), "it was asked for its window");
}

#[test]
fn a_window_of_zero_in_an_rst_or_behind_a_fin_says_nothing() {
    let reset = after_handshake("1 > . seq 1 ack 1 len 9\n2 < R. seq 1 ack 10 win 0");
    assert_eq!(reset.server().zero_window.count, 0);
    let closed = after_handshake("1 > F. seq 1 ack 1\n2 < . seq 1 ack 2 win 0");
    assert_eq!(closed.server().zero_window.count, 0);
}

#[test]
fn a_byte_that_tries_the_window_is_no_sign_of_life() {
    let seen = after_handshake(
        r#"
        1     <  .   seq 1 ack 1 "abc"
        2     >  .   seq 1 ack 4 win 0
        200   <  .   seq 4 ack 1 "d"
        201   >  .   seq 1 ack 4 win 0
        600   <  .   seq 4 ack 1 "d"
        601   >  .   seq 1 ack 4 win 0
        900   >  .   seq 1 ack 4 win 500
        901   <  .   seq 4 ack 1 "def"
        902   >  .   seq 1 ack 7 win 500
    "#,
    );
    let server = seen.server();
    assert_eq!(seen.stream(Responder), "abcdef");
    assert_eq!((server.retransmissions, server.keep_alives, server.conflicts), (0, 0, 0));
    assert_eq!(server.last_data.map(|moment| moment.packet.0), Some(11));
    assert_eq!(server.unacknowledged_since, None);
}

#[test]
fn the_usual_time_to_live_is_not_that_of_a_forged_reset() {
    let seen = after_handshake(
        r#"
        1    <  .   seq 1 ack 1 ttl 57 "abc"
        2    <  .   seq 4 ack 1 ttl 57 "abc"
        3    <  .   seq 7 ack 1 ttl 57 "abc"
        4    <  R   seq 10 ttl 255
    "#,
    );
    assert_eq!((seen.server().ttl, seen.facts[0].ends[0].ttl), (Some(57), 255));
}

#[test]
fn acknowledgments_of_one_direction_alone_are_not_missed() {
    let seen = trace(
        r#"
        0    <  S.  seq 0 ack 1
        1    <  .   seq 1 ack 1 len 100
        2    <  .   seq 101 ack 1 len 100
        3    <  .   seq 101 ack 1 len 100
    "#,
    );
    let server = seen.server();
    assert_eq!((seen.facts[0].unseen_side(), server.retransmissions), (Some(Originator), 1));
    assert_eq!((server.acknowledged, server.unacknowledged_since, server.unanswered_retransmissions), (0, None, 0));
}

#[test]
fn moments_far_from_the_first_packet_are_kept() {
    let seen = trace(
        r#"
        0          >  S   seq 0
        127000     <  S.  seq 0 ack 1
        127001     >  .   seq 1 ack 1
        9000000000 >  .   seq 1 ack 1 "abc"
    "#,
    );
    let facts = &seen.facts[0];
    assert_eq!(facts.handshake_rtt(), Some(Duration::from_secs(127)));
    assert_eq!(facts.last.at.since(facts.first.at), Duration::from_secs(9_000_000));
    assert_eq!(seen.client().first_data, Some(facts.last));
}
