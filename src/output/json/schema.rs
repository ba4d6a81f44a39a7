//! The public types of the JSON Lines format. They are apart from the core's, so that the core may change.
//!
//! Additions keep [`VERSION`]; a change that breaks a field raises it.

mod connection;
mod finding;
mod frames;
mod http;
mod summary;

pub use finding::Finding;
pub use summary::Summary;

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use connection::{H2, Tcp, Tls};
use frames::{Closes, Frames, Messages, PingRtt, Sides};
use http::{Request, Response, WebSocket};

use crate::diagnosis;
use crate::output::clock;
use crate::output::mask::Mask;
use crate::session::{self, leg};
use crate::stream::ByRole;
use crate::time::Timestamp;
use crate::wire;

/// The version of the schema.
pub const VERSION: u32 = 1;

/// One WebSocket as its users see it.
#[derive(Serialize)]
pub struct Session<'a> {
    r#type: &'static str,
    schema: u32,
    id: u64,
    start: At,
    end: At,
    duration_ms: Ms,
    outcome: &'static str,
    cause: Option<&'static str>,
    verdict: Cow<'a, str>,
    target: Option<Cow<'a, str>>,
    host: Option<&'a str>,
    ended_by: Option<EndedBy>,
    legs: Vec<Leg<'a>>,
    findings: Vec<Finding<'a>>,
}

impl<'a> Session<'a> {
    /// As the format says it.
    pub fn new(session: &'a session::Session, diagnosis: &'a diagnosis::Diagnosis, mask: Mask) -> Session<'a> {
        let request = session.legs.iter().find_map(|leg| leg.request.as_deref());
        let sni = || session.legs.iter().find_map(|leg| leg.tls.as_ref()?.sni.as_deref());
        Session {
            r#type: "session",
            schema: VERSION,
            id: session.id.0,
            start: At(session.start),
            end: At(session.end),
            duration_ms: Ms(session.end.since(session.start)),
            outcome: session.outcome.name(),
            cause: diagnosis.cause().map(|finding| finding.id),
            verdict: mask.sentence(diagnosis.verdict(session)),
            target: request.map(|request| mask.text(request.head.target())),
            host: request.and_then(|request| request.head.host()).or_else(sni),
            ended_by: session.ended_by.map(EndedBy::new),
            legs: session.legs.iter().map(|leg| Leg::new(leg, mask)).collect(),
            findings: diagnosis.findings.iter().map(|finding| Finding::of_session(finding, mask)).collect(),
        }
    }
}

#[derive(Serialize)]
struct EndedBy {
    who: &'static str,
    via: &'static str,
    phase: &'static str,
    confidence: &'static str,
}

impl EndedBy {
    fn new(ended_by: session::EndedBy) -> EndedBy {
        EndedBy {
            who: ended_by.who.name(),
            via: ended_by.via.name(),
            phase: ended_by.phase.name(),
            confidence: ended_by.confidence.name(),
        }
    }
}

#[derive(Serialize)]
struct Leg<'a> {
    role: &'static str,
    client: Endpoint,
    server: Endpoint,
    joined_by: Option<&'static str>,
    outcome: &'static str,
    request: Option<Request<'a>>,
    response: Option<Response<'a>>,
    websocket: Option<WebSocket<'a>>,
    frames: Option<Sides<Frames>>,
    messages: Option<Sides<Messages>>,
    close: Option<Closes<'a>>,
    ping_rtt_ms: Option<PingRtt>,
    tls: Option<Tls<'a>>,
    h2: Option<H2>,
    tcp: Tcp,
    process: Option<()>,
}

impl<'a> Leg<'a> {
    fn new(leg: &'a leg::Leg, mask: Mask) -> Leg<'a> {
        let tunnel = leg.tunnel.as_deref();
        // What an encrypted leg carries cannot be told; a leg that never became a WebSocket carried no frames.
        let readable = tunnel.is_some() || leg.outcome != session::Outcome::Encrypted;
        // A count of a part would pass for the count of the whole: what the capture cannot tell is null.
        let countable = readable && leg.frames_are_complete();
        let none = ByRole::<Box<leg::Direction>>::default();
        let sides = tunnel.map_or(&none, |tunnel| &tunnel.sides);
        Leg {
            role: leg.role.name(),
            client: leg.client.into(),
            server: leg.server.into(),
            joined_by: leg.joined_by.map(leg::JoinReason::name),
            outcome: leg.outcome.name(),
            request: leg.request.as_deref().map(|request| Request::new(request, mask)),
            response: leg.response.as_deref().map(|response| Response::new(response, leg.request.as_deref(), mask)),
            websocket: WebSocket::new(leg, mask),
            frames: countable.then(|| Sides::new(|role| Frames::new(&sides[role].frames))),
            messages: countable.then(|| Sides::new(|role| Messages::new(&sides[role].messages))),
            close: tunnel.map(|tunnel| Closes::new(tunnel, mask)),
            ping_rtt_ms: tunnel.and_then(PingRtt::new),
            tls: leg.tls.as_deref().map(Tls::new),
            h2: leg.h2.as_deref().map(H2::new),
            tcp: Tcp::new(leg),
            process: None,
        }
    }
}

#[derive(Serialize)]
struct Endpoint {
    ip: IpAddr,
    port: u16,
}

impl From<wire::Endpoint> for Endpoint {
    fn from(endpoint: wire::Endpoint) -> Endpoint {
        Endpoint { ip: endpoint.ip, port: endpoint.port }
    }
}

/// An instant: RFC 3339 in UTC with nanoseconds.
struct At(Timestamp);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&clock::rfc3339(self.0))
    }
}

/// A duration: milliseconds, to the microsecond.
struct Ms(Duration);

impl Serialize for Ms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_micros() as f64 / 1000.0)
    }
}
