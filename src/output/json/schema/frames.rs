//! What went through a WebSocket: frames, messages, closes, pings.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use super::{At, Ms};
use crate::output::mask::Mask;
use crate::session::leg;
use crate::stream::Role;
use crate::ws::facts;

/// One thing for each side.
#[derive(Serialize)]
pub(super) struct Sides<T> {
    client: T,
    server: T,
}

impl<T> Sides<T> {
    pub(super) fn new(of: impl Fn(Role) -> T) -> Sides<T> {
        Sides { client: of(Role::Client), server: of(Role::Server) }
    }
}

#[derive(Serialize)]
pub(super) struct Frames {
    text: u64,
    binary: u64,
    continuation: u64,
    ping: u32,
    pong: u32,
    close: u32,
    other: u32,
}

impl Frames {
    pub(super) fn new(frames: &facts::FrameCounts) -> Frames {
        let &facts::FrameCounts { text, binary, continuation, ping, pong, close, other } = frames;
        Frames { text, binary, continuation, ping, pong, close, other }
    }
}

#[derive(Serialize)]
pub(super) struct Messages {
    text: u64,
    binary: u64,
    bytes: u64,
}

impl Messages {
    pub(super) fn new(messages: &facts::MessageCounts) -> Messages {
        let &facts::MessageCounts { text, binary, bytes } = messages;
        Messages { text, binary, bytes }
    }
}

#[derive(Serialize)]
pub(super) struct Closes<'a> {
    client: Option<Close<'a>>,
    server: Option<Close<'a>>,
    first: Option<&'static str>,
}

impl<'a> Closes<'a> {
    pub(super) fn new(tunnel: &'a leg::Tunnel, mask: Mask) -> Closes<'a> {
        let close = |role: Role| tunnel.sides[role].close.as_ref().map(|close| Close::new(close, mask));
        Closes { client: close(Role::Client), server: close(Role::Server), first: tunnel.first_close.map(Role::name) }
    }
}

#[derive(Serialize)]
pub(super) struct Close<'a> {
    code: Option<u16>,
    reason: Cow<'a, str>,
    at: At,
    packet: u64,
}

impl<'a> Close<'a> {
    pub(super) fn new(close: &'a facts::Close, mask: Mask) -> Close<'a> {
        Close {
            code: close.code,
            reason: mask.text(&close.reason),
            at: At(close.moment.at),
            packet: close.moment.packet.0,
        }
    }
}

/// From a ping to its pong, both sides' pings together.
#[derive(Serialize)]
pub(super) struct PingRtt {
    min: Option<Ms>,
    avg: Option<Ms>,
    max: Option<Ms>,
    unanswered: u32,
}

impl PingRtt {
    /// `None` when nobody sent a ping.
    pub(super) fn new(tunnel: &leg::Tunnel) -> Option<PingRtt> {
        let pings = Role::BOTH.map(|role| &tunnel.sides[role].pings);
        let answered: u32 = pings.iter().map(|pings| pings.answered).sum();
        let total: Duration = pings.iter().map(|pings| pings.total).sum();
        (pings.iter().any(|pings| pings.sent > 0)).then(|| PingRtt {
            min: pings.iter().filter_map(|pings| pings.min).min().map(Ms),
            avg: total.checked_div(answered).map(Ms),
            max: pings.iter().filter_map(|pings| pings.max).max().map(Ms),
            unanswered: pings.iter().map(|pings| pings.unanswered).sum(),
        })
    }
}
