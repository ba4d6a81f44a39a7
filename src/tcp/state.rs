//! The states of RFC 9293 §3.3.2, as far as a third party can tell them.

use std::fmt;

use crate::stream::Side;
use crate::tcp::connection::Connection;
use crate::tcp::facts::EndKind;
use crate::tcp::half::Half;

/// The state of one side of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Is asked for a connection and has not answered.
    Listen,
    /// Has sent a SYN.
    SynSent,
    /// Has answered a SYN.
    SynReceived,
    /// Open.
    Established,
    /// Has sent a FIN.
    FinWait1,
    /// Has sent a FIN that was acknowledged.
    FinWait2,
    /// Has received a FIN.
    CloseWait,
    /// Both FINs crossed.
    Closing,
    /// Has received a FIN, then sent one.
    LastAck,
    /// Has sent a FIN first, then received one.
    TimeWait,
    /// Over.
    Closed,
}

impl State {
    /// As RFC 9293 writes it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
            State::Closed => "CLOSED",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Connection {
    /// The state of one side.
    pub fn state(&self, side: Side) -> State {
        if Side::BOTH.into_iter().any(|side| self.has_end(side, EndKind::Rst)) {
            return State::Closed;
        }
        if !self.established_seen() {
            return self.opening_state(side);
        }
        let (own, peer) = (&self.halves[side], &self.halves[side.peer()]);
        let acknowledged = own.is(Half::ACKED) && own.acked.distance(own.next) >= 0;
        match (own.is(Half::FINISHED), peer.is(Half::FINISHED)) {
            (false, false) => State::Established,
            (false, true) => State::CloseWait,
            (true, false) if acknowledged => State::FinWait2,
            (true, false) => State::FinWait1,
            (true, true) => {
                let first = self.ends().find(|end| end.kind == EndKind::Fin).is_some_and(|end| end.side == side);
                match (first, acknowledged) {
                    (true, true) => State::TimeWait,
                    (true, false) => State::Closing,
                    (false, true) => State::Closed,
                    (false, false) => State::LastAck,
                }
            }
        }
    }

    fn opening_state(&self, side: Side) -> State {
        let answered = self.halves[side.peer()].is(Half::SYN);
        match (side, self.halves[side].is(Half::SYN)) {
            // Until its ACK is seen, nobody can tell whether the SYN-ACK has arrived.
            (Side::Originator, _) => State::SynSent,
            (Side::Responder, true) if answered => State::SynReceived,
            (Side::Responder, true) => State::SynSent,
            (Side::Responder, false) => State::Listen,
        }
    }
}
