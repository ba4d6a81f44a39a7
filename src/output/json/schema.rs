//! The public types of the JSON Lines format. They are apart from the core's, so that the core may change.
//!
//! Additions keep [`VERSION`]; a change that breaks a field raises it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::diagnosis;
use crate::engine::event;
use crate::h2::ErrorCode;
use crate::http::handshake::Accept;
use crate::http::head::Fields;
use crate::output::clock;
use crate::output::mask::Mask;
use crate::output::phrase;
use crate::session::{self, leg};
use crate::stream::{ByRole, Role};
use crate::tcp::EndKind;
use crate::time::Timestamp;
use crate::tls::alert;
use crate::wire;
use crate::ws::facts;

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
            verdict: mask.text(&diagnosis.verdict),
            target: request.map(|request| mask.text(&request.head.target)),
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

type Headers<'a> = Vec<(&'a str, Cow<'a, str>)>;

fn headers(fields: &Fields, mask: Mask) -> Headers<'_> {
    fields.iter().map(|field| (field.name, mask.field(field.name, field.value))).collect()
}

#[derive(Serialize)]
struct Request<'a> {
    packet: u64,
    at: At,
    method: &'a str,
    target: Cow<'a, str>,
    version: Option<&'static str>,
    headers: Headers<'a>,
}

impl<'a> Request<'a> {
    fn new(request: &'a leg::Request, mask: Mask) -> Request<'a> {
        Request {
            packet: request.moment.packet.0,
            at: At(request.moment.at),
            method: &request.head.method,
            target: mask.text(&request.head.target),
            version: request.head.version.map(phrase::version),
            headers: headers(&request.head.fields, mask),
        }
    }
}

#[derive(Serialize)]
struct Response<'a> {
    packet: u64,
    at: At,
    status: u16,
    reason: Cow<'a, str>,
    version: &'static str,
    headers: Headers<'a>,
    body: Cow<'a, str>,
    latency_ms: Option<Ms>,
}

impl<'a> Response<'a> {
    fn new(response: &'a leg::Response, request: Option<&leg::Request>, mask: Mask) -> Response<'a> {
        Response {
            packet: response.moment.packet.0,
            at: At(response.moment.at),
            status: response.head.status,
            reason: mask.text(&response.head.reason),
            version: phrase::version(response.head.version),
            headers: headers(&response.head.fields, mask),
            body: mask.text(&response.body),
            latency_ms: request.map(|request| Ms(response.begun.at.since(request.moment.at))),
        }
    }
}

#[derive(Serialize)]
struct WebSocket<'a> {
    key: Option<&'a str>,
    accept: Option<&'a str>,
    accept_valid: Option<bool>,
    version: Option<&'a str>,
    subprotocols_offered: Vec<Cow<'a, str>>,
    subprotocol: Option<Cow<'a, str>>,
    extensions_offered: Vec<&'a str>,
    extensions: Vec<&'a str>,
}

impl<'a> WebSocket<'a> {
    /// `None` where no handshake was seen: no request, or one that has nothing of a WebSocket in it.
    fn new(leg: &'a leg::Leg, mask: Mask) -> Option<WebSocket<'a>> {
        let request = leg.request.as_deref()?;
        let extended_connect = &*request.head.method == "CONNECT";
        if !request.offer.is_attempt() && !extended_connect {
            return None;
        }
        let offered = &request.head.fields;
        let (answered, answer) =
            leg.response.as_deref().map(|response| (&response.head.fields, &response.answer)).unzip();
        Some(WebSocket {
            key: offered.first("Sec-WebSocket-Key"),
            accept: answered.and_then(|fields| fields.first("Sec-WebSocket-Accept")),
            accept_valid: answer.and_then(|answer| match answer.accept {
                Accept::Valid => Some(true),
                Accept::Wrong => Some(false),
                Accept::Absent | Accept::Unknown => None,
            }),
            version: offered.first("Sec-WebSocket-Version"),
            subprotocols_offered: subprotocols(offered, mask),
            subprotocol: answered.and_then(|fields| {
                fields.first("Sec-WebSocket-Protocol").map(|value| mask.field("Sec-WebSocket-Protocol", value))
            }),
            extensions_offered: offered.list("Sec-WebSocket-Extensions").collect(),
            extensions: answered.map_or_else(Vec::new, |fields| fields.list("Sec-WebSocket-Extensions").collect()),
        })
    }
}

fn subprotocols(fields: &Fields, mask: Mask) -> Vec<Cow<'_, str>> {
    let mut before = None;
    let offered = fields.list("Sec-WebSocket-Protocol");
    offered.map(|subprotocol| mask.subprotocol(before.replace(subprotocol), subprotocol)).collect()
}

/// One thing for each side.
#[derive(Serialize)]
struct Sides<T> {
    client: T,
    server: T,
}

impl<T> Sides<T> {
    fn new(of: impl Fn(Role) -> T) -> Sides<T> {
        Sides { client: of(Role::Client), server: of(Role::Server) }
    }
}

#[derive(Serialize)]
struct Frames {
    text: u64,
    binary: u64,
    continuation: u64,
    ping: u32,
    pong: u32,
    close: u32,
    other: u32,
}

impl Frames {
    fn new(frames: &facts::FrameCounts) -> Frames {
        let &facts::FrameCounts { text, binary, continuation, ping, pong, close, other } = frames;
        Frames { text, binary, continuation, ping, pong, close, other }
    }
}

#[derive(Serialize)]
struct Messages {
    text: u64,
    binary: u64,
    bytes: u64,
}

impl Messages {
    fn new(messages: &facts::MessageCounts) -> Messages {
        let &facts::MessageCounts { text, binary, bytes } = messages;
        Messages { text, binary, bytes }
    }
}

#[derive(Serialize)]
struct Closes<'a> {
    client: Option<Close<'a>>,
    server: Option<Close<'a>>,
    first: Option<&'static str>,
}

impl<'a> Closes<'a> {
    fn new(tunnel: &'a leg::Tunnel, mask: Mask) -> Closes<'a> {
        let close = |role: Role| tunnel.sides[role].close.as_ref().map(|close| Close::new(close, mask));
        Closes { client: close(Role::Client), server: close(Role::Server), first: tunnel.first_close.map(Role::name) }
    }
}

#[derive(Serialize)]
struct Close<'a> {
    code: Option<u16>,
    reason: Cow<'a, str>,
    at: At,
    packet: u64,
}

impl<'a> Close<'a> {
    fn new(close: &'a facts::Close, mask: Mask) -> Close<'a> {
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
struct PingRtt {
    min: Option<Ms>,
    avg: Option<Ms>,
    max: Option<Ms>,
    unanswered: u32,
}

impl PingRtt {
    /// `None` when nobody sent a ping.
    fn new(tunnel: &leg::Tunnel) -> Option<PingRtt> {
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

#[derive(Serialize)]
struct Tls<'a> {
    version: Option<&'static str>,
    sni: Option<&'a str>,
    alpn: Option<&'a str>,
    cipher: Option<&'a str>,
    decrypted_by: Option<&'static str>,
    alerts: Vec<Alert>,
}

impl<'a> Tls<'a> {
    fn new(tls: &'a leg::TlsFacts) -> Tls<'a> {
        Tls {
            version: tls.version,
            sni: tls.sni.as_deref(),
            alpn: tls.alpn.as_deref(),
            cipher: tls.cipher.as_deref(),
            decrypted_by: tls.decrypted_by,
            alerts: tls.alerts.iter().map(Alert::new).collect(),
        }
    }
}

/// A TLS alert: level, name and number as in RFC 8446 §6; `null` when it is encrypted.
#[derive(Serialize)]
struct Alert {
    by: &'static str,
    level: Option<&'static str>,
    description: Option<&'static str>,
    code: Option<u8>,
    at: At,
    packet: u64,
}

impl Alert {
    fn new(tls_alert: &leg::TlsAlert) -> Alert {
        Alert {
            by: tls_alert.by.name(),
            level: tls_alert.level.map(|level| if level == 2 { "fatal" } else { "warning" }),
            description: tls_alert.description.and_then(alert::name),
            code: tls_alert.description,
            at: At(tls_alert.moment.at),
            packet: tls_alert.moment.packet.0,
        }
    }
}

#[derive(Serialize)]
struct H2 {
    stream_id: u32,
    /// Whether the server's SETTINGS allow an extended CONNECT.
    connect_protocol: Option<bool>,
    ends: Vec<StreamEnd>,
}

/// What ended a stream: END_STREAM, or RST_STREAM or GOAWAY with its error.
#[derive(Serialize)]
struct StreamEnd {
    #[serde(flatten)]
    end: End,
    error: Option<String>,
}

impl H2 {
    fn new(h2: &leg::H2Facts) -> H2 {
        let end = |end: leg::LegEnd| StreamEnd {
            error: h2.reset.filter(|_| end.kind == EndKind::Rst).map(|(_, code, _)| ErrorCode(code).to_string()),
            end: End::new(end),
        };
        H2 {
            stream_id: h2.stream_id,
            connect_protocol: h2.connect_protocol_enabled,
            ends: h2.ends().map(end).collect(),
        }
    }
}

#[derive(Serialize)]
struct Tcp {
    ends: Vec<End>,
    handshake_rtt_ms: Option<Ms>,
    retransmissions: Sides<u32>,
    out_of_order: Sides<u32>,
    gap_bytes: Sides<u64>,
    zero_window_ms: Sides<Ms>,
}

impl Tcp {
    fn new(leg: &leg::Leg) -> Tcp {
        Tcp {
            ends: leg.tcp_ends().map(End::new).collect(),
            handshake_rtt_ms: leg.tcp.handshake_rtt().map(Ms),
            retransmissions: Sides::new(|role| leg.half(role).retransmissions),
            out_of_order: Sides::new(|role| leg.half(role).out_of_order),
            gap_bytes: Sides::new(|role| leg.half(role).gap_bytes),
            zero_window_ms: Sides::new(|role| Ms(leg.half(role).zero_window.total)),
        }
    }
}

#[derive(Serialize)]
struct End {
    by: &'static str,
    flag: &'static str,
    at: At,
    packet: u64,
}

impl End {
    fn new(end: leg::LegEnd) -> End {
        End { by: end.by.name(), flag: end.flag(), at: At(end.moment.at), packet: end.moment.packet.0 }
    }
}

/// One judgement: on a session, or a line of its own on several.
#[derive(Serialize)]
pub struct Finding<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    id: &'static str,
    severity: &'static str,
    title: &'static str,
    detail: Cow<'a, str>,
    /// Of a session; `null` when it is about no leg, or about all.
    #[serde(skip_serializing_if = "Option::is_none")]
    leg: Option<Option<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<Ids<'a>>,
    evidence: Vec<Packet<'a>>,
    fix: Cow<'a, str>,
    reference: &'static str,
    confidence: &'static str,
}

impl<'a> Finding<'a> {
    /// On several sessions, as the format says it.
    pub fn of_group(group: &'a diagnosis::GroupFinding, mask: Mask) -> Finding<'a> {
        Finding {
            r#type: Some("finding"),
            leg: None,
            sessions: Some(Ids(&group.sessions)),
            ..Finding::of_session(&group.finding, mask)
        }
    }

    fn of_session(finding: &'a diagnosis::Finding, mask: Mask) -> Finding<'a> {
        let evidence = &finding.evidence;
        Finding {
            r#type: None,
            id: finding.id,
            severity: finding.severity.name(),
            title: finding.title,
            detail: mask.text(&evidence.detail),
            leg: Some(evidence.leg),
            sessions: None,
            evidence: evidence.packets.iter().map(|(packet, note)| Packet { packet: packet.0, note }).collect(),
            fix: mask.text(&finding.fix),
            reference: finding.reference,
            confidence: evidence.confidence.name(),
        }
    }
}

#[derive(Serialize)]
struct Packet<'a> {
    packet: u64,
    note: &'a str,
}

struct Ids<'a>(&'a [session::SessionId]);

impl Serialize for Ids<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|id| id.0))
    }
}

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
            first: summary.first.map(At),
            last: summary.last.map(At),
            duration_ms: Ms(summary.duration),
        }
    }
}

#[derive(Serialize)]
struct Ignored {
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
    fn new(ignored: &event::IgnoredCounts) -> Ignored {
        let &event::IgnoredCounts {
            not_ip,
            not_tcp,
            cut,
            malformed,
            unknown_link,
            fragments,
            duplicates,
            not_websocket,
            filtered,
        } = ignored;
        Ignored { not_ip, not_tcp, cut, malformed, unknown_link, fragments, duplicates, not_websocket, filtered }
    }
}

#[derive(Serialize)]
struct Loss {
    kernel: u64,
    interface: u64,
    wsflow: u64,
    gaps: u64,
}

impl Loss {
    fn new(loss: &event::Loss) -> Loss {
        Loss { kernel: loss.kernel, interface: loss.interface, wsflow: loss.wsflow, gaps: loss.gap_bytes }
    }
}

/// Numbers by name, in their order.
struct Counts<'a>(&'a [(&'static str, u64)]);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
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
