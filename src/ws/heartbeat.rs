//! Heartbeats that application protocols send as text messages.

use crate::stream::Role;
use crate::ws::facts::HeartbeatProtocol;

/// One heartbeat.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Heartbeat {
    /// Whose.
    pub protocol: HeartbeatProtocol,
    /// Whether it asks for an answer, is one, or neither.
    pub kind: HeartbeatKind,
}

/// What a heartbeat is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HeartbeatKind {
    /// The peer has to answer.
    Ping,
    /// The answer.
    Pong,
    /// A sign of life that nobody answers.
    Beat,
}

/// Recognises a heartbeat in the whole text of a message that `sender` sent.
pub fn recognise(_sender: Role, _text: &[u8]) -> Option<Heartbeat> {
    None
}
