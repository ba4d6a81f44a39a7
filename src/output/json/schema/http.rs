//! The opening handshake: request, answer, what both say of a WebSocket.

use std::borrow::Cow;

use serde::Serialize;

use super::{At, Ms};
use crate::http::handshake::Accept;
use crate::http::head::Fields;
use crate::output::mask::Mask;
use crate::output::phrase;
use crate::session::leg;

pub(super) type Headers<'a> = Vec<(&'a str, Cow<'a, str>)>;

pub(super) fn headers(fields: &Fields, mask: Mask) -> Headers<'_> {
    fields.iter().map(|field| (field.name, mask.field(field.name, field.value))).collect()
}

#[derive(Serialize)]
pub(super) struct Request<'a> {
    packet: u64,
    at: At,
    method: &'a str,
    target: Cow<'a, str>,
    version: Option<&'static str>,
    headers: Headers<'a>,
}

impl<'a> Request<'a> {
    pub(super) fn new(request: &'a leg::Request, mask: Mask) -> Request<'a> {
        Request {
            packet: request.moment.packet.0,
            at: At(request.moment.at),
            method: request.head.method(),
            target: mask.text(request.head.target()),
            version: request.head.version().map(phrase::version),
            headers: headers(&request.head.fields, mask),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Response<'a> {
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
    pub(super) fn new(response: &'a leg::Response, request: Option<&leg::Request>, mask: Mask) -> Response<'a> {
        Response {
            packet: response.moment.packet.0,
            at: At(response.moment.at),
            status: response.head.status,
            reason: mask.text(response.head.reason()),
            version: phrase::version(response.head.version),
            headers: headers(&response.head.fields, mask),
            body: mask.text(&response.body),
            latency_ms: request.map(|request| Ms(response.begun.at.since(request.moment.at))),
        }
    }
}

#[derive(Serialize)]
pub(super) struct WebSocket<'a> {
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
    pub(super) fn new(leg: &'a leg::Leg, mask: Mask) -> Option<WebSocket<'a>> {
        let request = leg.request.as_deref()?;
        let extended_connect = request.head.method() == "CONNECT";
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

pub(super) fn subprotocols(fields: &Fields, mask: Mask) -> Vec<Cow<'_, str>> {
    let mut before = None;
    let offered = fields.list("Sec-WebSocket-Protocol");
    offered.map(|subprotocol| mask.subprotocol(before.replace(subprotocol), subprotocol)).collect()
}
