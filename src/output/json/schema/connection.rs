//! What carries a leg: TLS, HTTP/2, TCP.

use serde::Serialize;

use super::frames::Sides;
use super::{At, Ms};
use crate::h2::ErrorCode;
use crate::session::leg;
use crate::tcp::EndKind;
use crate::tls::alert;

#[derive(Serialize)]
pub(super) struct Tls<'a> {
    version: Option<&'static str>,
    sni: Option<&'a str>,
    alpn: Option<&'a str>,
    cipher: Option<&'a str>,
    decrypted_by: Option<&'static str>,
    alerts: Vec<Alert>,
}

impl<'a> Tls<'a> {
    pub(super) fn new(tls: &'a leg::TlsFacts) -> Tls<'a> {
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
pub(super) struct Alert {
    by: &'static str,
    level: Option<&'static str>,
    description: Option<&'static str>,
    code: Option<u8>,
    at: At,
    packet: u64,
}

impl Alert {
    pub(super) fn new(tls_alert: &leg::TlsAlert) -> Alert {
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

/// What ended a stream: END_STREAM, or RST_STREAM or GOAWAY with its error.
#[derive(Serialize)]
pub(super) struct StreamEnd {
    #[serde(flatten)]
    end: End,
    error: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Tcp {
    ends: Vec<End>,
    handshake_rtt_ms: Option<Ms>,
    retransmissions: Sides<u32>,
    out_of_order: Sides<u32>,
    gap_bytes: Sides<u64>,
    zero_window_ms: Sides<Ms>,
}

impl Tcp {
    pub(super) fn new(leg: &leg::Leg) -> Tcp {
        Tcp {
            ends: leg.tcp_ends().map(End::new).collect(),
            handshake_rtt_ms: leg.tcp.handshake_rtt().map(Ms),
            retransmissions: Sides::new(|role| leg.half(role).retransmissions),
            out_of_order: Sides::new(|role| leg.half(role).out_of_order),
            gap_bytes: Sides::new(|role| leg.half(role).gap_bytes),
            zero_window_ms: Sides::new(|role| Ms(leg.zero_window(role).total)),
        }
    }
}

#[derive(Serialize)]
pub(super) struct End {
    by: &'static str,
    flag: &'static str,
    at: At,
    packet: u64,
}

impl End {
    pub(super) fn new(end: leg::LegEnd) -> End {
        End { by: end.by.name(), flag: end.flag(), at: At(end.moment.at), packet: end.moment.packet.0 }
    }
}

#[derive(Serialize)]
pub(super) struct H2 {
    stream_id: u32,
    /// Whether the server's SETTINGS allow an extended CONNECT.
    connect_protocol: Option<bool>,
    ends: Vec<StreamEnd>,
}

impl H2 {
    pub(super) fn new(h2: &leg::H2Facts) -> H2 {
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
