//! Neighbours that are near in time. The lists may be long, and every failed session asks: so a look is bounded.

use std::time::Duration;

use crate::session::Neighbours;
use crate::session::neighbours::{Ending, FailedConnection, PlainExchange};
use crate::time::Timestamp;
use crate::wire::DnsMessage;

/// How far a look goes.
const REACH: usize = 500;

/// Sessions that ended shortly before this time or at some time after it, the next to end first.
pub fn endings(neighbours: &Neighbours, at: Timestamp) -> impl Iterator<Item = &Ending> {
    let endings = &neighbours.endings;
    let ended = endings.partition_point(|ending| ending.end.is_some_and(|end| end <= at));
    endings[ended..].iter().take(REACH).chain(endings[..ended].iter().rev().take(REACH))
}

/// Sessions that ended within `span` of this time. They are listed when they are over for good, which may be seconds later:
/// the order of their ends is nearly kept.
pub fn ended_at(neighbours: &Neighbours, at: Timestamp, span: Duration) -> impl Iterator<Item = &Ending> {
    const DISORDER: Duration = Duration::from_secs(5);
    let endings = &neighbours.endings;
    let before = |bound: Timestamp| endings.partition_point(|ending| ending.end.is_some_and(|end| end < bound));
    let earliest = Timestamp::from_nanos(at.as_nanos().saturating_sub((span + DISORDER).as_nanos() as u64));
    let range = before(earliest)..before(at.plus(span + DISORDER)).max(before(earliest));
    endings[range].iter().filter(move |ending| ending.end.is_some_and(|end| end.distance(at) < span))
}

/// Plain exchanges that began before this time, the last first.
pub fn exchanges(neighbours: &Neighbours, before: Timestamp) -> impl Iterator<Item = &PlainExchange> {
    let exchanges = &neighbours.exchanges;
    let count = exchanges.partition_point(|exchange| exchange.request.at <= before);
    exchanges[..count].iter().rev().take(REACH)
}

/// Connections that were tried in vain before this time, the last first.
pub fn failures(neighbours: &Neighbours, before: Timestamp) -> impl Iterator<Item = &FailedConnection> {
    // They are listed when they are given up: the order of their beginnings is not quite kept.
    neighbours.failures.iter().rev().filter(move |failure| failure.syn.at <= before).take(REACH)
}

/// DNS messages before this time, the last first.
pub fn dns(neighbours: &Neighbours, before: Timestamp) -> impl Iterator<Item = &DnsMessage> {
    let count = neighbours.dns.partition_point(|message| message.moment.at <= before);
    neighbours.dns[..count].iter().rev().take(REACH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::test_session::{START, ending, healthy};

    #[test]
    fn those_that_ended_next_come_first() {
        let one = healthy().session;
        let second = |number| START.plus(Duration::from_secs(number));
        let ended = |number| Ending { end: Some(second(number)), ..ending(&one) };
        let open = Ending { end: None, ..ending(&one) };
        let neighbours = Neighbours { endings: vec![ended(1), ended(2), ended(3), open], ..Neighbours::default() };
        let ends: Vec<Option<Timestamp>> = endings(&neighbours, second(2)).map(|ending| ending.end).collect();
        assert_eq!(ends, [Some(second(3)), None, Some(second(2)), Some(second(1))]);
        let together = ended_at(&neighbours, second(2), Duration::from_millis(1500));
        assert_eq!(together.count(), 3);
    }
}
