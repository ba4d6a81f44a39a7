//! The whole run in numbers.

use serde::{Serialize, Serializer};

use super::{At, Ms};
use crate::engine::event;

/// The whole run in numbers.
#[derive(Serialize)]
pub struct Summary<'a> {
    r#type: &'static str,
    packets: u64,
    bytes: u64,
    sessions: Counts<'a>,
    findings: Counts<'a>,
    connections: u64,
    ignored: Ignored,
    loss: Loss,
    limits: Counts<'a>,
    forgotten: Counts<'a>,
    first: Option<At>,
    last: Option<At>,
    duration_ms: Ms,
}

impl<'a> Summary<'a> {
    /// As the format says it.
    pub fn new(summary: &'a event::Summary) -> Summary<'a> {
        Summary {
            r#type: "summary",
            packets: summary.packets,
            bytes: summary.bytes,
            sessions: Counts(&summary.sessions),
            findings: Counts(&summary.findings),
            connections: summary.connections,
            ignored: Ignored::new(&summary.ignored),
            loss: Loss::new(&summary.loss),
            limits: Counts(&summary.limits),
            forgotten: Counts(&summary.forgotten),
            first: summary.first.map(At),
            last: summary.last.map(At),
            duration_ms: Ms(summary.duration),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Ignored {
    not_ip: u64,
    not_tcp: u64,
    cut: u64,
    malformed: u64,
    unknown_link: u64,
    fragments: u64,
    duplicates: u64,
    not_websocket: u64,
    filtered: u64,
}

impl Ignored {
    pub(super) fn new(ignored: &event::IgnoredCounts) -> Ignored {
        let &event::IgnoredCounts {
            not_ip,
            not_tcp,
            cut,
            malformed,
            unknown_link,
            fragments,
            duplicates,
            not_websocket,
            cut_bytes: _,
            filtered,
        } = ignored;
        Ignored { not_ip, not_tcp, cut, malformed, unknown_link, fragments, duplicates, not_websocket, filtered }
    }
}

#[derive(Serialize)]
pub(super) struct Loss {
    kernel: u64,
    interface: u64,
    wsflow: u64,
    gaps: u64,
}

impl Loss {
    pub(super) fn new(loss: &event::Loss) -> Loss {
        Loss { kernel: loss.kernel, interface: loss.interface, wsflow: loss.wsflow, gaps: loss.gap_bytes }
    }
}

/// Numbers by name, in their order.
pub(super) struct Counts<'a>(&'a [(&'static str, u64)]);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
