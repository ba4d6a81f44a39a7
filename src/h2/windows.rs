//! Flow control: how many bytes each side may still send (RFC 9113 §5.2, §6.9).

use std::collections::BTreeMap;

use crate::h2::event::Stall;
use crate::h2::frame::StreamId;
use crate::packet::Moment;
use crate::stream::{ByRole, Role};

/// What a side may send until the peer says otherwise, on the connection and on each stream.
const INITIAL: i64 = 65_535;

/// The windows of a connection and of those streams that are watched.
#[derive(Debug)]
pub(super) struct Windows {
    /// What each side may send on the connection.
    connection: ByRole<i64>,
    /// What each side may send on a new stream.
    initial: ByRole<i64>,
    streams: BTreeMap<StreamId, ByRole<Window>>,
    /// Whether every byte that matters was seen.
    reliable: bool,
}

/// What one side may send on one stream.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    left: i64,
    stalled: Option<Moment>,
}

impl Windows {
    /// Of a connection that was seen from its beginning, or not.
    pub(super) fn new(reliable: bool) -> Windows {
        Windows {
            connection: ByRole { client: INITIAL, server: INITIAL },
            initial: ByRole { client: INITIAL, server: INITIAL },
            streams: BTreeMap::new(),
            reliable,
        }
    }

    /// Bytes were missed: nothing is known any more.
    pub(super) fn lose(&mut self) {
        self.reliable = false;
        self.streams.clear();
    }

    /// This stream is watched from its beginning.
    pub(super) fn watch(&mut self, stream: StreamId) {
        if self.reliable {
            let window = |left| Window { left, stalled: None };
            let windows = ByRole { client: window(self.initial.client), server: window(self.initial.server) };
            self.streams.insert(stream, windows);
        }
    }

    /// A DATA frame: its padding counts.
    pub(super) fn sent(&mut self, by: Role, stream: StreamId, bytes: u32, moment: Moment) {
        let bytes = i64::from(bytes);
        self.connection[by] = self.connection[by].saturating_sub(bytes);
        let nothing = self.connection[by] <= 0;
        // A stream that has nothing to send does not mind that others used the connection's window up.
        let Some(windows) = self.streams.get_mut(&stream) else { return };
        let window = &mut windows[by];
        window.left = window.left.saturating_sub(bytes);
        if nothing || window.left <= 0 {
            window.stalled.get_or_insert(moment);
        }
    }

    /// The peer of `sender` takes more, on a stream or on the connection.
    pub(super) fn update(
        &mut self,
        sender: Role,
        stream: StreamId,
        bytes: u32,
        moment: Moment,
        tell: &mut dyn FnMut(StreamId, Stall),
    ) {
        let bytes = i64::from(bytes & 0x7fff_ffff);
        if stream.0 == 0 {
            self.connection[sender] = self.connection[sender].saturating_add(bytes);
        } else if let Some(windows) = self.streams.get_mut(&stream) {
            windows[sender].left = windows[sender].left.saturating_add(bytes);
        }
        self.tell_open(sender, moment, tell);
    }

    /// The peer of `sender` says another initial size: it changes the windows of all streams (RFC 9113 §6.9.2).
    pub(super) fn resize(&mut self, sender: Role, initial: u32, moment: Moment, tell: &mut dyn FnMut(StreamId, Stall)) {
        let change = i64::from(initial) - self.initial[sender];
        self.initial[sender] = i64::from(initial);
        for windows in self.streams.values_mut() {
            windows[sender].left = windows[sender].left.saturating_add(change);
        }
        self.tell_open(sender, moment, tell);
    }

    /// A stream is over, or the connection is: stalls that nothing ended.
    pub(super) fn end(&mut self, stream: StreamId) -> impl Iterator<Item = (Role, Stall)> {
        let windows = self.streams.remove(&stream).unwrap_or_default();
        Role::BOTH
            .into_iter()
            .filter_map(move |role| Some((role, Stall { since: windows[role].stalled?, until: None })))
    }

    fn tell_open(&mut self, sender: Role, moment: Moment, tell: &mut dyn FnMut(StreamId, Stall)) {
        if self.connection[sender] <= 0 {
            return;
        }
        for (&stream, windows) in &mut self.streams {
            let window = &mut windows[sender];
            if window.left > 0
                && let Some(since) = window.stalled.take()
            {
                tell(stream, Stall { since, until: Some(moment) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PacketNumber;

    fn at(packet: u64) -> Moment {
        Moment { packet: PacketNumber(packet), ..Moment::default() }
    }

    fn watched() -> Windows {
        let mut windows = Windows::new(true);
        windows.watch(StreamId(1));
        windows
    }

    #[test]
    fn a_window_that_is_used_up_stalls_its_stream() {
        let mut windows = watched();
        let mut told = Vec::new();
        windows.sent(Role::Server, StreamId(1), 65_535, at(1));
        windows.update(Role::Server, StreamId(1), 100, at(2), &mut |stream, stall| told.push((stream, stall)));
        assert!(told.is_empty(), "the connection's window is used up too");
        windows.update(Role::Server, StreamId(0), 100, at(3), &mut |stream, stall| told.push((stream, stall)));
        assert_eq!(told, [(StreamId(1), Stall { since: at(1), until: Some(at(3)) })]);
        assert_eq!(windows.end(StreamId(1)).count(), 0);
    }

    #[test]
    fn a_stall_may_last_to_the_end() {
        let mut windows = watched();
        windows.sent(Role::Client, StreamId(1), 70_000, at(4));
        let stalls: Vec<_> = windows.end(StreamId(1)).collect();
        assert_eq!(stalls, [(Role::Client, Stall { since: at(4), until: None })]);
    }

    /// RFC 9113 §6.9.2: a smaller initial window may make windows negative.
    #[test]
    fn rfc9113_6_9_2_initial_window() {
        let mut windows = watched();
        let mut told = 0;
        windows.resize(Role::Server, 10, at(1), &mut |_, _| told += 1);
        windows.sent(Role::Server, StreamId(1), 20, at(2));
        windows.resize(Role::Server, 15, at(3), &mut |_, _| told += 1);
        assert_eq!((told, windows.streams[&StreamId(1)].server.left), (0, -5));
        windows.resize(Role::Server, 100, at(4), &mut |_, _| told += 1);
        assert_eq!(told, 1);
    }

    #[test]
    fn after_a_loss_nothing_is_claimed() {
        let mut windows = watched();
        windows.lose();
        windows.watch(StreamId(3));
        windows.sent(Role::Server, StreamId(3), 70_000, at(1));
        assert_eq!(windows.end(StreamId(3)).count(), 0);
    }
}
