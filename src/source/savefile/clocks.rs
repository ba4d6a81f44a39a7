//! The clocks of several files: captures of two hosts are merged by time, and their clocks differ.
//!
//! What both files saw tells by how much. A connection's SYN comes to the server's host later than it left the client's,
//! its SYN-ACK the other way round; so the difference of the clocks lies between the differences of the two. A proxy's leg
//! to its backend is asked later and answered earlier than the client's leg of the same Sec-WebSocket-Key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use super::Savefiles;
use super::file::File;
use crate::limits::Limits;
use crate::packet::Packet;
use crate::source::{Input, Source};
use crate::time::Timestamp;
use crate::wire::{Dissected, Dissector, Endpoint, Flags, Segment};

/// Packets looked at of each file: a fraction of a second.
const PACKETS: usize = 200_000;

/// Exchanges remembered of each file.
const EXCHANGES: usize = 1 << 16;

/// Clocks that agree like this are taken for one: packets do not overtake each other by as much, and it harms nothing.
const AGREED: i64 = 1_000_000;

/// A proxy that waits for nothing forwards a request within this time.
const AT_ONCE: i64 = 1_000_000;

/// A busy one within this time.
const SOON: i64 = 250_000_000;

/// A key that was asked with further apart may have been used twice: people type the same key into curl again and again.
const SAME_KEY: i64 = 2_000_000_000;

/// What was said, and what came back: a SYN and its SYN-ACK, or an opening handshake.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    /// From where to where, and with which sequence number.
    Syn(Endpoint, Endpoint, u32),
    /// The first bytes of a Sec-WebSocket-Key.
    Key([u8; 16]),
}

/// When it was.
#[derive(Clone, Copy)]
struct Exchange {
    client: IpAddr,
    server: Endpoint,
    asked: Timestamp,
    answered: Option<Timestamp>,
    /// Seen once. A key on two connections of one file says nothing of another file.
    once: bool,
}

/// What one file shows.
#[derive(Default)]
struct Exchanges(HashMap<What, Exchange, foldhash::fast::RandomState>);

/// How far the clock of a file may be ahead of another one, in nanoseconds.
type Span = (i64, i64);

/// By how much the clock of each file is ahead of that of the first one it has something in common with; 0 where they agree
/// or nothing tells.
pub(super) fn differences(files: Vec<File>) -> Vec<i64> {
    let seen: Vec<Exchanges> = files.into_iter().map(Exchanges::of).collect();
    let mut ahead = vec![0; seen.len()];
    for index in 1..seen.len() {
        let spans = (0..index).flat_map(|other| {
            let shift = ahead[other];
            seen[other]
                .spans(&seen[index])
                .map(move |(from, to)| (from.saturating_add(shift), to.saturating_add(shift)))
        });
        ahead[index] = difference(&spans.collect::<Vec<_>>());
    }
    ahead
}

/// What all spans allow; where no difference fits all of them, what most are near to.
fn difference(spans: &[Span]) -> i64 {
    let (Some(from), Some(to)) = (spans.iter().map(|span| span.0).max(), spans.iter().map(|span| span.1).min()) else {
        return 0;
    };
    let middle = |(from, to): Span| from.midpoint(to);
    if from <= to {
        return if agree(&(from, to)) { 0 } else { middle((from, to)) };
    }
    let mut middles: Vec<i64> = spans.iter().copied().map(middle).collect();
    let (_, median, _) = middles.select_nth_unstable(spans.len() / 2);
    if median.abs() <= AGREED { 0 } else { *median }
}

impl Exchanges {
    /// Of the beginning of a file. What is wrong with it shows when it is read.
    fn of(file: File) -> Exchanges {
        let (mut source, mut dissector) = (Savefiles::new(vec![file], None), Dissector::new(&Limits::default()));
        let (mut exchanges, mut asked) = (Exchanges::default(), HashMap::default());
        let mut left = PACKETS;
        while left > 0 {
            match source.next(left) {
                Ok(Some(Input::Packets(packets))) => {
                    left -= packets.len();
                    packets.for_each(|(packet, _)| exchanges.packet(&packet, &mut dissector, &mut asked));
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        exchanges
    }

    fn packet(&mut self, packet: &Packet<'_>, dissector: &mut Dissector, asked: &mut Asked) {
        let Dissected::Tcp(segment) = dissector.dissect(packet) else { return };
        if segment.flags.has(Flags::SYN) {
            self.syn(&segment);
        } else if let Some(key) = key_in(segment.payload) {
            self.request(&segment, key, asked);
        } else if segment.payload.starts_with(b"HTTP/1.") {
            self.response(&segment, asked);
        }
    }

    fn syn(&mut self, segment: &Segment<'_>) {
        let (from, to) = (segment.ends.source(), segment.ends.destination());
        if segment.flags.has(Flags::ACK) {
            self.answered(What::Syn(to, from, segment.ack.0.wrapping_sub(1)), segment.moment.at);
        } else if let Some(Entry::Vacant(entry)) = self.entry(What::Syn(from, to, segment.seq.0)) {
            entry.insert(Exchange::begun(segment));
        }
    }

    fn request(&mut self, segment: &Segment<'_>, key: [u8; 16], asked: &mut Asked) {
        let (from, to) = (segment.ends.source(), segment.ends.destination());
        match self.entry(What::Key(key)) {
            Some(Entry::Vacant(entry)) => {
                entry.insert(Exchange::begun(segment));
                asked.insert((from, to), key);
            }
            // The same packet once more, or another leg.
            Some(Entry::Occupied(mut entry)) => entry.get_mut().once &= asked.get(&(from, to)) == Some(&key),
            None => {}
        }
    }

    fn response(&mut self, segment: &Segment<'_>, asked: &mut Asked) {
        if let Some(key) = asked.get(&(segment.ends.destination(), segment.ends.source())) {
            self.answered(What::Key(*key), segment.moment.at);
        }
    }

    fn answered(&mut self, what: What, at: Timestamp) {
        if let Some(exchange) = self.0.get_mut(&what) {
            exchange.answered.get_or_insert(at);
        }
    }

    /// `None` when there is no room for another one.
    fn entry(&mut self, what: What) -> Option<Entry<'_, What, Exchange>> {
        let room = self.0.len() < EXCHANGES || self.0.contains_key(&what);
        room.then(|| self.0.entry(what))
    }

    /// How far the clock of `other` may be ahead, by each exchange that both have.
    fn spans<'a>(&'a self, other: &'a Exchanges) -> impl Iterator<Item = Span> + 'a {
        self.0.iter().filter_map(|(what, ours)| {
            let theirs = other.0.get(what).filter(|theirs| theirs.once && ours.once)?;
            match what {
                What::Syn(..) => ours.passed_on_as(theirs),
                What::Key(_) if ours.server.ip == theirs.client || theirs.server.ip == ours.client => {
                    ours.on_the_other_side_as(theirs)
                }
                What::Key(_) if ours.client != theirs.client && ours.server != theirs.server => {
                    ours.passed_on_as(theirs).filter(within_reason)
                }
                What::Key(_) => None,
            }
        })
    }
}

/// Whether the clocks may be one.
fn agree(&(from, to): &Span) -> bool {
    from <= AGREED && to >= -AGREED
}

/// Whether a key is likely to have been used once.
fn within_reason(&(from, to): &Span) -> bool {
    from > -SAME_KEY && to < SAME_KEY
}

/// On which connections keys were asked with.
type Asked = HashMap<(Endpoint, Endpoint), [u8; 16], foldhash::fast::RandomState>;

impl Exchange {
    fn begun(segment: &Segment<'_>) -> Exchange {
        let (client, server) = (segment.ends.source().ip, segment.ends.destination());
        Exchange { client, server, asked: segment.moment.at, answered: None, once: true }
    }

    /// How far the clock of `other` may be ahead, where one of them is what a proxy asked when it was asked the other one. On one
    /// host either may be in front: the clock is one, and tells.
    fn on_the_other_side_as(&self, other: &Exchange) -> Option<Span> {
        let asks = |front: &Exchange, back: &Exchange| {
            (front.server.ip == back.client).then(|| front.forwarded_as(back)).flatten()
        };
        let turned = asks(other, self).map(|(from, to)| (to.saturating_neg(), from.saturating_neg()));
        turned.filter(agree).or(asks(self, other)).or(turned)
    }

    /// How far the clock of `other` may be ahead, which saw the same: one of them was nearer to the client.
    fn passed_on_as(&self, other: &Exchange) -> Option<Span> {
        let asked = ahead(other.asked, self.asked);
        let answered = ahead(other.answered?, self.answered?);
        Some((asked.min(answered), asked.max(answered)))
    }

    /// Likewise, where this is what a proxy was asked, and `back` what it asked then. It may have answered on its own, or its
    /// backend never did: then it asked at once, or not much later by clocks that agree.
    fn forwarded_as(&self, back: &Exchange) -> Option<Span> {
        let asked = ahead(back.asked, self.asked);
        let answered = back.answered.zip(self.answered).map(|(back, front)| ahead(back, front));
        let at_once = if (0..SOON).contains(&asked) { 0 } else { asked.saturating_sub(AT_ONCE) };
        let from = answered.filter(|answered| *answered <= asked).unwrap_or(at_once);
        Some((from, asked)).filter(within_reason)
    }
}

/// By how much one instant is later than another, in nanoseconds.
fn ahead(one: Timestamp, other: Timestamp) -> i64 {
    i64::try_from(i128::from(one.as_nanos()) - i128::from(other.as_nanos())).unwrap_or(0)
}

/// The beginning of the Sec-WebSocket-Key in a request.
fn key_in(payload: &[u8]) -> Option<[u8; 16]> {
    const NAME: &[u8] = b"sec-websocket-key:";
    /// A head is rarely longer.
    const HEAD: usize = 8 << 10;
    if !payload.starts_with(b"GET ") {
        return None;
    }
    let head = &payload[..payload.len().min(HEAD)];
    let at = head.windows(NAME.len()).position(|window| window.eq_ignore_ascii_case(NAME))?;
    head[at + NAME.len()..].trim_ascii_start().first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::script::{Script, text};

    const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 7], 40_001);
    const FRONT: ([u8; 4], u16) = ([10, 0, 0, 1], 80);
    const DIAL: ([u8; 4], u16) = ([10, 0, 0, 1], 50_001);
    const BACKEND: ([u8; 4], u16) = ([10, 0, 0, 9], 9000);

    /// One leg with its opening handshake, which begins so many milliseconds after an instant, by the clock of its file.
    fn leg(client: ([u8; 4], u16), server: ([u8; 4], u16), millis: i64) -> Vec<u8> {
        let start = Timestamp::from_parts(1_700_000_000, 0).moved(millis * 1_000_000);
        Script::new().starting_at(start).leg(client, server).opening_handshake().client(text("hello")).pcap()
    }

    fn differences_of(files: &[Vec<u8>]) -> Vec<i64> {
        differences(files.iter().map(|file| File::new(String::new(), Box::new(Cursor::new(file.clone())))).collect())
    }

    #[test]
    fn two_hosts_that_saw_one_connection() {
        for millis in [-7_200_000, -20, 20, 86_400_000] {
            let files = [leg(CLIENT, FRONT, 0), leg(CLIENT, FRONT, millis)];
            assert_eq!(differences_of(&files), [0, millis * 1_000_000], "by the SYN");
        }
    }

    #[test]
    fn the_two_sides_of_a_proxy() {
        for millis in [-900, -20, 20, 900] {
            let files = [leg(CLIENT, FRONT, 0), leg(DIAL, BACKEND, millis)];
            assert_eq!(differences_of(&files), [0, millis * 1_000_000], "by the key");
        }
    }

    #[test]
    fn on_one_host_either_may_be_in_front() {
        const HERE: [u8; 4] = [127, 0, 0, 1];
        let start = Timestamp::from_parts(1_700_000_000, 0);
        let front = Script::new().starting_at(start).leg((HERE, 40_001), (HERE, 80)).request(Script::REQUEST);
        let front = front.after_ms(60).response(Script::RESPONSE).pcap();
        let back = leg((HERE, 50_001), (HERE, 9000), 30);
        assert_eq!(differences_of(&[front.clone(), back.clone()]), [0, 0]);
        assert_eq!(differences_of(&[back, front.clone()]), [0, 0]);
        let unanswered = Script::new().starting_at(start.moved(30_000_000)).leg((HERE, 50_001), (HERE, 9000));
        let unanswered = unanswered.request(Script::REQUEST).server_rst().pcap();
        assert_eq!(differences_of(&[front.clone(), unanswered.clone()]), [0, 0]);
        assert_eq!(differences_of(&[unanswered, front]), [0, 0]);
    }

    #[test]
    fn a_third_file_is_compared_with_those_that_it_has_something_in_common_with() {
        let files = [leg(CLIENT, FRONT, 0), leg(DIAL, BACKEND, 300), leg(DIAL, BACKEND, -300)];
        assert_eq!(differences_of(&files), [0, 300_000_000, -300_000_000]);
    }

    #[test]
    fn clocks_that_nearly_agree_are_left_alone() {
        assert_eq!(differences_of(&[leg(CLIENT, FRONT, 0), leg(CLIENT, FRONT, 1)]), [0, 0]);
        assert_eq!(differences_of(&[leg(CLIENT, FRONT, 0), leg(DIAL, BACKEND, 1)]), [0, 0]);
    }

    #[test]
    fn a_key_that_is_used_again_says_nothing() {
        let later = [leg(CLIENT, FRONT, 0), leg(DIAL, BACKEND, 5_000)];
        assert_eq!(differences_of(&later), [0, 0], "somebody asked again, somewhere else");
        let one_client = [leg(CLIENT, FRONT, 0), leg((CLIENT.0, 40_002), BACKEND, 500)];
        assert_eq!(differences_of(&one_client), [0, 0], "nobody asks itself");
        let script =
            Script::new().starting_at(Timestamp::from_parts(1_700_000_000, 0)).leg(CLIENT, FRONT).opening_handshake();
        let twice = script.leg((CLIENT.0, 40_002), FRONT).opening_handshake().pcap();
        assert_eq!(differences_of(&[twice, leg(DIAL, BACKEND, 500)]), [0, 0], "of which of them?");
    }

    #[test]
    fn captures_that_contradict_each_other_are_taken_as_most_say() {
        let spans = [(19, 21), (20, 22), (900, 901), (20, 20), (18, 22)].map(|(from, to)| (from * AGREED, to * AGREED));
        assert_eq!(difference(&spans), 20 * AGREED);
        assert_eq!(difference(&[]), 0);
    }
}
