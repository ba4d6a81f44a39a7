//! What record sizes and their timing tell without any secret: the end of the handshake, the first exchange,
//! heartbeats, who left when.

use std::time::Duration;

use super::exchange::Exchange;
use super::facts::{OpeningLooks, OpeningShape, RECORDS_KEPT, TlsFacts};
use super::suite::CipherSuite;
use crate::packet::Moment;
use crate::stream::{ByRole, Role};
use crate::time::Timestamp;

/// The plaintext of an alert: level and description.
const ALERT: u32 = 2;

/// The plaintext of a Certificate message without a certificate: a header of four bytes, no context, an empty list
/// (RFC 8446 §4.4.2). The answer of a client that was asked for one and has none.
const NO_CERTIFICATE: usize = 8;

/// Both session tickets that a server sends at once have the same size, and come together: the second may wait until the first
/// is acknowledged (RFC 9293 §3.7.4), which Linux delays by 40 ms.
const TICKETS_APART: Duration = Duration::from_millis(50);

/// Pings and application heartbeats are short.
const SMALL: u32 = 160;

/// Faster repetition is traffic, not a heartbeat.
const FASTEST_BEAT: Duration = Duration::from_secs(1);

/// Matching intervals that make a steady pace.
const STEADY: u32 = 2;

/// The shape of one connection.
#[derive(Default)]
pub(super) struct Shape {
    /// TLS 1.3: an encrypted record of the server came: its flight is on.
    server_flight: bool,
    /// TLS 1.3: encrypted records of the client before its Finished, as far as their sizes tell.
    client_flight: u8,
    /// TLS 1.2: encrypted handshake records, one a side, end the handshake.
    finished: ByRole<bool>,
    first: Option<Exchange>,
    last: Option<Timestamp>,
    beats: Vec<Beat>,
}

/// Records of one size from one side, at intervals.
#[derive(Clone, Copy)]
struct Beat {
    by: Role,
    size: u32,
    first: Timestamp,
    last: Timestamp,
    period: Duration,
    steady: u32,
}

/// What an encrypted record of TLS 1.3 is, by its size and place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sealed {
    /// Part of the handshake.
    Handshake,
    /// An alert where the client's Finished should be.
    Rejection,
    /// Application data, or what looks like it.
    Data,
}

impl Shape {
    /// An encrypted record of TLS 1.3 of `length` bytes.
    pub(super) fn sealed_tls13(
        &mut self,
        role: Role,
        moment: Moment,
        length: u16,
        suite: Option<CipherSuite>,
        facts: &mut TlsFacts,
    ) -> Sealed {
        if facts.handshake_done.is_some() {
            return Sealed::Data;
        }
        if role == Role::Server {
            self.server_flight = true;
            if self.client_flight > 0 {
                // The client's flight went by in records that no size gave away: a certificate, all in one record.
                facts.handshake_done = Some(moment);
                return Sealed::Data;
            }
            return Sealed::Handshake;
        }
        if !self.server_flight && facts.server_hello.is_none() {
            return Sealed::Handshake; // early data
        }
        // Finished: a header of four bytes and a hash (RFC 8446 §4.4.4); content type and tag behind it.
        let tag = suite.and_then(CipherSuite::protection).map_or(16, |(cipher, _)| cipher.tag_length());
        let finished = |hash: usize| usize::from(length) == 4 + hash + 1 + tag;
        let is_finished = match suite.and_then(CipherSuite::protection) {
            Some((_, hash)) => finished(hash.length()),
            None => finished(32) || finished(48),
        };
        if is_finished {
            facts.handshake_done = Some(moment);
            // Who was asked answers, with an empty list if it has none (RFC 8446 §4.4.2).
            facts.client_certificate_unasked = self.client_flight == 0 && suite.is_some();
        } else if usize::from(length) == ALERT as usize + 1 + tag {
            return Sealed::Rejection;
        } else {
            if self.client_flight == 0 && usize::from(length) == NO_CERTIFICATE + 1 + tag && facts.early_data.is_none()
            {
                facts.client_certificate_requested = true;
                facts.client_certificate_empty = true;
            }
            self.client_flight = self.client_flight.saturating_add(1);
        }
        Sealed::Handshake
    }

    /// An encrypted handshake record of TLS 1.2: a Finished, when it is the first.
    pub(super) fn finished_tls12(&mut self, role: Role, moment: Moment, facts: &mut TlsFacts) {
        self.finished[role] = true;
        if self.finished.client && self.finished.server {
            facts.handshake_done.get_or_insert(moment);
        }
    }

    /// Whether the server's flight of TLS 1.3 was seen.
    pub(super) fn saw_server_flight(&self) -> bool {
        self.server_flight
    }

    /// The first request so far: its plaintext bytes, and when its answer began.
    pub(super) fn request(&self) -> (u64, Option<Timestamp>) {
        self.first.map_or((0, None), |first| (first.request, first.replied.map(|replied| replied.at)))
    }

    /// Application data of `size` plaintext bytes at most.
    pub(super) fn data(&mut self, role: Role, moment: Moment, size: u32, tls13: bool, facts: &mut TlsFacts) {
        if tls13 && role == Role::Server && self.is_ticket(moment, size, facts) {
            return;
        }
        facts.record_count[role] += 1;
        facts.bytes[role] += u64::from(size);
        if facts.records[role].len() < RECORDS_KEPT {
            facts.records[role].push((moment.at, size));
        }
        facts.last_record[role] = Some((moment, size));
        if let Some(last) = self.last.replace(moment.at) {
            facts.longest_silence = facts.longest_silence.max(moment.at.since(last));
        }
        // A client's frames are masked, none is so short (RFC 6455 §5.3): it takes its leave.
        if !(tls13 && role == Role::Client && size == ALERT) {
            self.exchange(role, moment, size);
        }
        if size <= SMALL {
            self.beat(role, moment.at, size);
        }
    }

    /// The last record of `role` was no application data after all: an alert of TLS 1.3, which looks the same.
    pub(super) fn take_back(&mut self, role: Role, facts: &mut TlsFacts) {
        let Some((moment, size)) = facts.last_record[role] else { return };
        facts.record_count[role] = facts.record_count[role].saturating_sub(1);
        facts.bytes[role] = facts.bytes[role].saturating_sub(u64::from(size));
        facts.records[role].pop_if(|last| *last == (moment.at, size));
        if let Some(first) = self.first.as_mut().filter(|first| role == Role::Server && !first.went_on) {
            first.reply = first.reply.saturating_sub(u64::from(size));
        }
    }

    /// Whether a record of the server is a session ticket (RFC 8446 §4.6.1): it comes before any request, or it is one
    /// of two of the same size at once where the answer should begin.
    fn is_ticket(&mut self, moment: Moment, size: u32, facts: &mut TlsFacts) -> bool {
        let Some(first) = &mut self.first else { return true };
        let pair = facts.record_count.server == 1
            && facts
                .records
                .server
                .first()
                .is_some_and(|&(at, other)| other == size && size > SMALL && moment.at.since(at) <= TICKETS_APART)
            && !first.went_on;
        if pair {
            facts.record_count.server = 0;
            facts.bytes.server = 0;
            facts.records.server.clear();
            facts.last_record.server = None;
            first.reply = 0;
            first.replied = None;
        }
        pair
    }

    fn exchange(&mut self, role: Role, moment: Moment, size: u32) {
        let first = self.first.get_or_insert_with(|| Exchange::new(moment.at));
        match role {
            Role::Client => first.client(size),
            Role::Server => first.server(moment, size),
        }
    }

    fn beat(&mut self, by: Role, at: Timestamp, size: u32) {
        let fresh = Beat { by, size, first: at, last: at, period: Duration::ZERO, steady: 0 };
        if let Some(beat) = self.beats.iter_mut().find(|beat| beat.by == by && beat.size == size) {
            let interval = at.since(beat.last);
            let tolerance = (beat.period / 8).max(Duration::from_millis(300));
            beat.last = at;
            if interval < FASTEST_BEAT {
                *beat = fresh;
            } else if beat.period != Duration::ZERO && interval.abs_diff(beat.period) <= tolerance {
                beat.steady += 1;
            } else {
                beat.period = interval;
                beat.steady = 0;
            }
            return;
        }
        // A handful of sizes: pings, pongs, and heartbeats of the application, of both sides.
        const KEPT: usize = 8;
        if self.beats.len() < KEPT {
            self.beats.push(fresh);
        } else if let Some(oldest) =
            self.beats.iter_mut().filter(|beat| beat.steady < STEADY).min_by_key(|beat| beat.last)
        {
            *oldest = fresh;
        }
    }

    /// Writes what follows from all of it into `facts`. `ended` says which sides have ended.
    pub(super) fn conclude(&self, ended: ByRole<bool>, facts: &mut TlsFacts) {
        if let Some(beat) = self.steadiest() {
            facts.heartbeat = Some(beat.period);
            facts.heartbeat_by = Some(beat.by);
        }
        facts.opening = self.first.and_then(|first| {
            let looks = first.looks(self.steadiest().is_some(), ended);
            first.replied.map(|replied| OpeningShape { request: first.request, reply: first.reply, replied, looks })
        });
        facts.likely_websocket = self.reasons(facts);
    }

    fn steadiest(&self) -> Option<&Beat> {
        let steady = self.beats.iter().filter(|beat| beat.steady >= STEADY);
        // Of ping and pong, which are equally steady, the ping came first.
        steady.max_by_key(|beat| (beat.steady, std::cmp::Reverse(beat.first)))
    }

    fn reasons(&self, facts: &TlsFacts) -> Vec<String> {
        let mut reasons = Vec::new();
        // What TLS 1.3 chose of an offer is not seen: requests, answers and pings of HTTP/2 have sizes like these.
        let may_be_another = match facts.alpn.as_deref() {
            Some(protocol) => protocol != "http/1.1",
            None => facts.alpn_offered.iter().any(|protocol| protocol != "http/1.1"),
        };
        if may_be_another {
            return reasons;
        }
        if facts.alpn_offered == ["http/1.1"] && !self.first.is_some_and(|first| first.is_plain_http()) {
            reasons.push("the client offers http/1.1 alone, as browsers do for a WebSocket".to_owned());
        }
        if let Some(opening) = facts.opening.filter(|opening| opening.looks == OpeningLooks::Accepted) {
            reasons.push(format!(
                "a request of {} bytes got an answer of {} bytes, the size of a 101, and both sides went on",
                opening.request, opening.reply
            ));
        }
        if let Some(beat) = self.steadiest() {
            let period = beat.period.as_secs_f64();
            reasons.push(format!("the {} sends {} bytes every {period:.1} s", beat.by.name(), beat.size));
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PacketNumber;

    /// Records by who sent them, their plaintext size, and the milliseconds before them.
    fn facts(records: &[(Role, u32, u64)], tls13: bool, ended: ByRole<bool>) -> TlsFacts {
        let (mut shape, mut facts) = (Shape::default(), TlsFacts::default());
        follow(&mut shape, &mut facts, records, tls13, ended);
        facts
    }

    fn follow(shape: &mut Shape, facts: &mut TlsFacts, records: &[(Role, u32, u64)], tls13: bool, ended: ByRole<bool>) {
        let mut at = Timestamp::from_parts(1, 0);
        for &(role, size, pause) in records {
            at = at.plus(Duration::from_millis(pause));
            shape.data(role, Moment { at, packet: PacketNumber(1) }, size, tls13, facts);
        }
        shape.conclude(ended, facts);
    }

    use Role::{Client, Server};

    const OPEN: ByRole<bool> = ByRole { client: false, server: false };

    #[test]
    fn tickets_are_not_taken_for_the_answer() {
        let before = [(Server, 250, 0), (Server, 250, 0), (Client, 500, 1), (Server, 190, 20)];
        let behind = [(Client, 500, 0), (Server, 250, 1), (Server, 250, 0), (Server, 190, 20)];
        for records in [before, behind] {
            let facts = facts(&records, true, OPEN);
            assert_eq!((facts.bytes.server, facts.record_count.server), (190, 1));
            assert_eq!(facts.opening.map(|opening| opening.reply), Some(190));
        }
        // In TLS 1.2 they are no application data, and two records of one size are what they are.
        assert_eq!(facts(&behind, false, OPEN).bytes.server, 690);
    }

    #[test]
    fn a_ping_and_its_pong_are_one_heartbeat_of_the_one_that_asks() {
        let mut records = vec![(Client, 500, 0), (Server, 190, 20)];
        for round in 0..4 {
            records.extend([(Server, 2, 30_000 + round * 50), (Client, 6, 40)]);
            // Traffic of other sizes in between does not matter.
            records.push((Server, 1_000 + round as u32, 10));
        }
        let facts = facts(&records, false, OPEN);
        assert_eq!(facts.heartbeat_by, Some(Server));
        assert!(facts.heartbeat.is_some_and(|period| period.abs_diff(Duration::from_secs(30)) < FASTEST_BEAT));
    }

    #[test]
    fn irregular_or_fast_records_are_no_heartbeat() {
        for pauses in [[3_000, 9_000, 4_000, 20_000, 7_000], [400, 400, 400, 400, 400]] {
            let records: Vec<_> = pauses.into_iter().map(|pause| (Client, 20, pause)).collect();
            assert_eq!(facts(&records, false, OPEN).heartbeat, None);
        }
    }

    #[test]
    fn an_answer_that_ends_the_connection_is_a_refusal() {
        let records = [(Client, 500, 0), (Server, 600, 20)];
        let looks = |ended| facts(&records, false, ended).opening.map(|opening| opening.looks);
        assert_eq!(looks(OPEN), Some(OpeningLooks::Unclear));
        assert_eq!(looks(ByRole { client: false, server: true }), Some(OpeningLooks::Refused));
    }

    /// Records of a client's flight with TLS_AES_256_GCM_SHA384, as OpenSSL 3 made them.
    #[test]
    fn a_flight_that_is_a_finished_alone_says_that_no_certificate_was_asked_for() {
        let flight = |records: &[u16]| {
            let (mut shape, mut facts) = (Shape::default(), TlsFacts::default());
            facts.server_hello = Some(Moment::default());
            for &length in records {
                shape.sealed_tls13(Client, Moment::default(), length, Some(CipherSuite(0x1302)), &mut facts);
            }
            (facts.handshake_done.is_some(), facts.client_certificate_unasked, facts.client_certificate_empty)
        };
        assert_eq!(flight(&[69]), (true, true, false));
        assert_eq!(flight(&[25, 69]), (true, false, true), "an empty list in front of it");
        assert_eq!(flight(&[1_100, 281, 69]), (true, false, false), "a certificate, and its proof");
    }

    /// Sizes and pauses as Node's `https` and an API made them, with `keepAlive`.
    #[test]
    fn requests_one_after_the_other_are_no_websocket() {
        let api = |reply| (0..4).flat_map(move |_| [(Client, 339, 2_000), (Server, reply, 3)]).collect::<Vec<_>>();
        let headers_and_body = || (0..4).flat_map(|_| [(Client, 300, 90), (Client, 8, 0), (Server, 190, 3)]);
        let one = vec![(Client, 75, 0), (Server, 1_256, 100)];
        let page = vec![(Client, 339, 0), (Server, 16_384, 3), (Server, 9_000, 0)];
        for records in [api(193), api(5_180), headers_and_body().collect(), one, page] {
            let mut facts = facts_of_http1_alone(&records);
            assert_eq!(facts.likely_websocket, [""; 0], "{records:?}");
            facts.opening = facts.opening.filter(|opening| opening.looks != OpeningLooks::Unclear);
            assert_eq!(facts.opening, None, "{records:?}");
        }
    }

    #[test]
    fn messages_behind_a_switch_are_a_websocket_whoever_sends_them() {
        let said = [(Client, 500, 0), (Server, 190, 3), (Client, 30, 500), (Server, 600, 2), (Client, 700, 90)];
        assert_eq!(facts_of_http1_alone(&said).likely_websocket.len(), 2);
        let refused = [(Client, 500, 0), (Server, 700, 3)];
        let pushed = [(Client, 500, 0), (Server, 190, 3), (Server, 16_384, 1), (Server, 16_384, 1)];
        for records in [&refused[..], &pushed] {
            assert_eq!(facts_of_http1_alone(records).likely_websocket.len(), 1, "only what the client offers");
        }
    }

    /// Sizes and pauses as Node's `http2` made them: a request, its answer, pings.
    #[test]
    fn what_may_be_http2_is_not_guessed_at() {
        let mut records = vec![(Client, 169, 0), (Server, 182, 3)];
        records.extend((0..5).flat_map(|_| [(Client, 17, 2_000), (Server, 17, 1)]));
        assert_eq!(facts_of_client(&["h2", "http/1.1"], &records).likely_websocket, [""; 0]);
        assert_eq!(facts_of_client(&[], &records).likely_websocket.len(), 2, "nobody said that it may be");
    }

    fn facts_of_http1_alone(records: &[(Role, u32, u64)]) -> TlsFacts {
        facts_of_client(&["http/1.1"], records)
    }

    /// Of a client that offers these protocols, in TLS 1.3.
    fn facts_of_client(offered: &[&str], records: &[(Role, u32, u64)]) -> TlsFacts {
        let (mut shape, mut facts) = (Shape::default(), TlsFacts::default());
        facts.alpn_offered = offered.iter().map(|&protocol| protocol.to_owned()).collect();
        follow(&mut shape, &mut facts, records, false, OPEN);
        facts
    }

    #[test]
    fn sizes_that_are_kept_are_bounded() {
        let records: Vec<_> = (0..1_000).map(|round| (Client, 200 + round, 2)).collect();
        let facts = facts(&records, false, OPEN);
        assert_eq!((facts.records.client.len(), facts.record_count.client), (RECORDS_KEPT, 1_000));
    }
}
