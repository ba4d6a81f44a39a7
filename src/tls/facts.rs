//! What is known of TLS on one connection, for those who judge it.

use std::time::Duration;

use super::secrets::ClientRandom;
use crate::packet::Moment;
use crate::stream::{ByRole, Role};
use crate::time::Timestamp;

/// TLS as a connection shows it, with secrets or without.
#[derive(Clone, Debug, Default)]
pub struct TlsFacts {
    /// `TLS 1.3`.
    pub version: Option<&'static str>,
    /// The random value of the ClientHello: by it key logs name the connection. No secret.
    pub client_random: Option<ClientRandom>,
    /// The server name that the client asked for. Hostile text.
    pub sni: Option<String>,
    /// The application protocols that the client offered. Hostile text.
    pub alpn_offered: Vec<String>,
    /// The one that the server chose, where it is in clear (TLS 1.2) or was decrypted. Hostile text.
    pub alpn: Option<String>,
    /// The cipher suite's name.
    pub cipher: Option<String>,
    /// How the leg was decrypted: `keylog`, `secrets block`; `None` when it was not.
    pub decrypted_by: Option<&'static str>,
    /// Why it was not although there are secrets. For a person.
    pub not_decrypted: Option<String>,
    /// Alerts in order: who, level, description; `None` for encrypted ones.
    pub alerts: Vec<TlsAlert>,
    /// The ClientHello.
    pub client_hello: Option<Moment>,
    /// The ServerHello.
    pub server_hello: Option<Moment>,
    /// Whether both Finished messages went by, as far as can be told.
    pub handshake_done: Option<Moment>,
    /// Whether the server asked for a client certificate: read in TLS 1.2 or where it was decrypted; in TLS 1.3 by the
    /// size of an answer without one.
    pub client_certificate_requested: bool,
    /// Whether the client sent an empty list of certificates; known as above.
    pub client_certificate_empty: bool,
    /// TLS 1.3: the client's flight was its Finished alone, so no certificate was asked for.
    pub client_certificate_unasked: bool,
    /// The server's certificate, where it is in clear (TLS 1.2) or was decrypted.
    pub certificate: Option<Certificate>,
    /// Whether the session was resumed.
    pub resumed: bool,
    /// Whether the server asked for another ClientHello (RFC 8446 §4.1.4).
    pub hello_retry: bool,
    /// What became of early data, when the client offered some (RFC 8446 §2.3).
    pub early_data: Option<EarlyData>,
    /// Handshakes on this connection after the first one (TLS 1.2).
    pub renegotiations: u32,
    /// What a record costs above its plaintext, in bytes, at least and at most: the two differ where padding hides it.
    pub record_overhead: Option<(u16, u16)>,
    /// Application data records and their plaintext sizes after the handshake, by side: the first
    /// [`RECORDS_KEPT`] each. Where padding hides the size, it is the greatest that fits.
    pub records: ByRole<Vec<(Timestamp, u32)>>,
    /// How many such records there were.
    pub record_count: ByRole<u64>,
    /// Application data bytes, by side, as far as record sizes tell.
    pub bytes: ByRole<u64>,
    /// Bytes of records that were lost or could not be read although the leg was decrypted otherwise, by side.
    pub unread_bytes: ByRole<u64>,
    /// The last application data record and its plaintext size, by side.
    pub last_record: ByRole<Option<(Moment, u32)>>,
    /// The longest time without an application data record in either direction, the time before the end aside.
    pub longest_silence: Duration,
    /// Why this may be a WebSocket, in words; empty when nothing says so.
    pub likely_websocket: Vec<String>,
    /// How the exchange right after the TLS handshake went, by sizes alone.
    pub opening: Option<OpeningShape>,
    /// The period of small records at a steady pace, if there is one.
    pub heartbeat: Option<Duration>,
    /// Who sends those first.
    pub heartbeat_by: Option<Role>,
    /// Whether the client left first, behind the server's flight and without finishing the handshake: so does one that
    /// does not like the certificate, also when its alert is encrypted.
    pub client_left_after_server_flight: bool,
    /// close_notify, by side: read, or by its shape (an encrypted alert as the last record).
    pub close_notify: ByRole<Option<Moment>>,
    /// Which side spoke something that is not TLS.
    pub not_tls: Option<Role>,
}

impl TlsFacts {
    /// The alert with which the server sent the client away right behind its Finished, without a byte of an answer: in
    /// TLS 1.3 the first chance to refuse the client's certificate, or the lack of one (RFC 8446 §4.4.2.4).
    pub fn server_dismissed_client(&self) -> Option<Moment> {
        const AT_ONCE: Duration = Duration::from_secs(1);
        let done = self.handshake_done.filter(|_| self.version == Some("TLS 1.3"))?;
        let alert = self.alerts.iter().find(|alert| alert.by == Role::Server && alert.description.is_none())?;
        let at_once = alert.moment >= done && alert.moment.at.since(done.at) < AT_ONCE;
        (at_once && self.bytes.server == 0 && self.bytes.client > 0).then_some(alert.moment)
    }

    /// Whether the server wanted a certificate that the client does not have, and let it come to nothing: an alert
    /// behind the handshake, or a short answer and the end.
    pub fn lacks_certificate(&self) -> bool {
        /// The pages that say so are shorter.
        const PAGE: u64 = 1024;
        let by_alert = self.bytes.server == 0 && self.alerts.iter().any(|alert| alert.by == Role::Server);
        let by_page =
            self.opening.is_some_and(|opening| opening.looks == OpeningLooks::Refused && opening.reply < PAGE);
        self.client_certificate_requested && self.client_certificate_empty && (by_alert || by_page)
    }
}

/// Records whose sizes are kept for each direction: enough to recognise the same bytes on another connection.
pub const RECORDS_KEPT: usize = 32;

/// Alerts that are kept. A handshake has one or two; more is a flood.
pub const ALERTS_KEPT: usize = 8;

/// The record sizes of a connection while it lives, to compare it with others; [`TlsFacts`] has them in the end.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// The last record of the first request.
    pub asked: Option<Timestamp>,
    /// Whether every record of the client in front of that was seen, from the ClientHello on.
    pub first_asked: bool,
    /// Plaintext bytes of that request.
    pub request: u64,
    /// The first record of the answer to it.
    pub answered: Option<Timestamp>,
    /// See [`TlsFacts::records`].
    pub records: &'a ByRole<Vec<(Timestamp, u32)>>,
    /// See [`TlsFacts::bytes`].
    pub bytes: ByRole<u64>,
    /// By how much these numbers may be too large: padding, and a close_notify that is not known as one yet.
    pub slack: ByRole<u64>,
    /// How many records there were on both sides.
    pub count: u64,
    /// See [`TlsFacts::last_record`].
    pub last: ByRole<Option<(Moment, u32)>>,
    /// Whether every record was seen, from the ClientHello on.
    pub whole: bool,
    /// Whether HTTP/1 may be spoken, as far as ALPN tells (RFC 7301).
    pub may_be_http: bool,
}

/// What became of early data (RFC 8446 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EarlyData {
    /// Offered; the answer is encrypted.
    Offered,
    /// The server took it.
    Accepted,
    /// The server ignored it; the client sent the same again later.
    Rejected,
}

/// The exchange right after the TLS handshake, as sizes show it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpeningShape {
    /// Plaintext bytes that the client sent before the server answered.
    pub request: u64,
    /// Plaintext bytes of the answer, until the client spoke again.
    pub reply: u64,
    /// When the answer began.
    pub replied: Moment,
    /// What the sizes look like.
    pub looks: OpeningLooks,
}

/// What an encrypted first exchange looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpeningLooks {
    /// A request of the right size, an answer of the size of a 101, and the connection goes on.
    Accepted,
    /// A request of the right size, a longer answer, and the end.
    Refused,
    /// Neither.
    Unclear,
}

/// One TLS alert.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlsAlert {
    /// Who sent it.
    pub by: Role,
    /// 1 warning, 2 fatal; `None` when it is encrypted.
    pub level: Option<u8>,
    /// What it says (RFC 8446 §6); `None` when it is encrypted.
    pub description: Option<u8>,
    /// When, and in which packet.
    pub moment: Moment,
}

impl TlsAlert {
    /// What it says, by its name in RFC 8446 §6; `None` when it is encrypted or the number is unknown.
    pub fn name(&self) -> Option<&'static str> {
        self.description.and_then(super::alert::name)
    }
}

/// What matters of a certificate.
#[derive(Clone, Debug, Default)]
pub struct Certificate {
    /// Subject, as text. Hostile.
    pub subject: String,
    /// Issuer, as text. Hostile.
    pub issuer: String,
    /// DNS names and addresses it is for. Hostile.
    pub names: Vec<String>,
    /// Not valid before.
    pub not_before: Option<Timestamp>,
    /// Not valid after.
    pub not_after: Option<Timestamp>,
    /// Whether issuer and subject are the same.
    pub self_signed: bool,
    /// How many certificates the server sent.
    pub chain: usize,
}
