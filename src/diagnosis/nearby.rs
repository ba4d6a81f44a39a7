//! Neighbours that are near in time. The lists may be long, and every failed session asks: so a look is bounded.

use std::net::IpAddr;

use crate::session::Neighbours;
use crate::session::neighbours::{FailedConnection, PlainExchange};
use crate::time::Timestamp;
use crate::wire::DnsMessage;

/// How far a look goes.
const REACH: usize = 500;

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

/// A connection that this host tried to make in this time and did not get: what it would have passed on goes nowhere.
pub fn dialled_in_vain(
    neighbours: &Neighbours,
    host: IpAddr,
    from: Timestamp,
    to: Timestamp,
) -> Option<&FailedConnection> {
    failures(neighbours, to).find(|failure| failure.client.ip == host && failure.syn.at >= from)
}
