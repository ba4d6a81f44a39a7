//! Which rules need not be asked about a session.
//!
//! Most sessions are well, and most rules are about handshakes that failed. One look at the legs spares all of them.

use crate::diagnosis::Stage;
use crate::session::Session;

/// The stages that can have something to say about a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scope(u16);

/// These judge what led to a WebSocket: there is nothing to judge when every leg has one.
const BEFORE_IT_WAS_OPEN: u16 =
    bit(Stage::Connect) | bit(Stage::ProxyHeader) | bit(Stage::Tls) | bit(Stage::Upstream) | bit(Stage::Response);

/// These compare the two sides of a proxy. A leg that failed may give its proxy away alone.
const BETWEEN_LEGS: u16 = bit(Stage::RequestDiff) | bit(Stage::ResponseDiff);

impl Scope {
    /// Of this session.
    pub fn of(session: &Session) -> Scope {
        if session.legs.iter().any(|leg| leg.tunnel.is_none()) {
            return Scope(u16::MAX);
        }
        let spared = if session.legs.len() > 1 { BEFORE_IT_WAS_OPEN } else { BEFORE_IT_WAS_OPEN | BETWEEN_LEGS };
        Scope(!spared)
    }

    /// Whether rules of this stage must be asked.
    pub const fn has(self, stage: Stage) -> bool {
        self.0 & bit(stage) != 0
    }
}

const fn bit(stage: Stage) -> u16 {
    1 << stage as u16
}
