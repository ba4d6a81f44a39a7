//! What a client does not like about a certificate: by its alert, and by the certificate where it can be read.

use std::time::Duration;

use crate::diagnosis::tls_failure::{TlsFailure, alert_words, tls_failures};
use crate::diagnosis::wording::quote;
use crate::packet::Moment;
use crate::session::leg::{Certificate, TlsFacts};
use crate::session::{Confidence, Session};
use crate::stream::Role;
use crate::time::Timestamp;

/// Why a certificate was refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Objection {
    /// Nobody the client trusts has signed it, or it was revoked.
    Untrusted,
    /// It is over, or not valid yet.
    Expired,
    /// It is for other names.
    Name,
}

/// A refused certificate.
#[derive(Clone, Debug)]
pub struct Refused<'a> {
    /// The leg.
    pub failure: TlsFailure<'a>,
    /// Why.
    pub objection: Objection,
    /// How that was said: `alert 48 unknown_ca`.
    pub said: String,
    /// By which packet.
    pub moment: Option<Moment>,
    /// How sure that is.
    pub confidence: Confidence,
}

/// RFC 8446 §6.2.
const BAD_CERTIFICATE: u8 = 42;
const UNSUPPORTED_CERTIFICATE: u8 = 43;
const CERTIFICATE_REVOKED: u8 = 44;
const CERTIFICATE_EXPIRED: u8 = 45;
const CERTIFICATE_UNKNOWN: u8 = 46;
const UNKNOWN_CA: u8 = 48;

/// The certificate that a client of this session refused.
pub fn refused(session: &Session) -> Option<Refused<'_>> {
    let by_client = |failure| by_alert(failure).or_else(|| by_shape(failure)).or_else(|| behind_the_handshake(failure));
    let by_client = tls_failures(session).find_map(by_client);
    by_client.or_else(|| tls_failures(session).find_map(by_proxy))
}

fn by_alert(failure: TlsFailure<'_>) -> Option<Refused<'_>> {
    let about_certificates = [
        BAD_CERTIFICATE,
        UNSUPPORTED_CERTIFICATE,
        CERTIFICATE_REVOKED,
        CERTIFICATE_EXPIRED,
        CERTIFICATE_UNKNOWN,
        UNKNOWN_CA,
    ];
    let alert = failure.alert(Role::Client, &about_certificates)?;
    let (objection, confidence) = match alert.description {
        Some(CERTIFICATE_EXPIRED) => (Objection::Expired, Confidence::High),
        Some(UNKNOWN_CA | CERTIFICATE_REVOKED) => (Objection::Untrusted, Confidence::High),
        // These say only that it is no good.
        _ => match flaw(failure.tls, alert.moment.at) {
            Some(objection) => (objection, Confidence::High),
            None => (Objection::Untrusted, Confidence::Medium),
        },
    };
    let said = alert_words(&alert);
    Some(Refused { failure, objection, said, moment: Some(alert.moment), confidence })
}

/// In TLS 1.3 browsers encrypt their alert: what is left is a client that goes away behind the server's flight.
fn by_shape(failure: TlsFailure<'_>) -> Option<Refused<'_>> {
    let tls = failure.tls;
    if failure.leg.has_holes() || !tls.alerts.iter().all(|alert| alert.by == Role::Client) {
        return None;
    }
    // It has not seen the certificate.
    if failure.leg.half(Role::Server).largest_lost > 0 {
        return None;
    }
    let left = failure.leg.first_end().filter(|end| end.by == Role::Client && tls.client_left_after_server_flight);
    // A server that gets the alert may be the first to close.
    let moment = left.map(|end| end.moment).or_else(|| encrypted_alert_instead_of_finished(&failure))?;
    let (objection, confidence) = match flaw(failure.tls, moment.at) {
        Some(objection) => (objection, Confidence::Medium),
        None => (Objection::Untrusted, Confidence::Low),
    };
    let said = "an encrypted alert, to judge by its shape".to_owned();
    Some(Refused { failure, objection, said, moment: Some(moment), confidence })
}

fn encrypted_alert_instead_of_finished(failure: &TlsFailure<'_>) -> Option<Moment> {
    let tls = failure.tls;
    let alert = tls.alerts.iter().find(|alert| alert.description.is_none())?;
    let behind_the_flight = tls.server_hello.is_some_and(|hello| hello < alert.moment);
    (behind_the_flight && tls.handshake_done.is_none()).then_some(alert.moment)
}

/// A client may look at the certificate when the handshake is done, as node does: it leaves at once, without an alert or a
/// byte of a request. So does a health check, which nobody sees a reason for.
fn behind_the_handshake(failure: TlsFailure<'_>) -> Option<Refused<'_>> {
    let (leg, tls) = (failure.leg, failure.tls);
    let end = leg.first_end().filter(|end| end.by == Role::Client && leg.behind.is_none() && !leg.has_holes())?;
    let objection = left_for(tls, end.moment)?;
    let said = "it left behind the handshake, without a request, as node does".to_owned();
    Some(Refused { failure, objection, said, moment: Some(end.moment), confidence: Confidence::Medium })
}

/// What is visibly wrong with the certificate that a client left for, at `left`, when the handshake was done. A client that
/// names no server does not care who that is.
pub fn left_for(tls: &TlsFacts, left: Moment) -> Option<Objection> {
    if tls.sni.is_none() || !is_unused(tls, left) {
        return None;
    }
    let self_signed = || tls.certificate.as_ref()?.self_signed.then_some(Objection::Untrusted);
    flaw(tls, left.at).or_else(self_signed)
}

/// nginx looks at its backend's certificate when the handshake is done: it leaves at once, without a byte of a request, and
/// answers 502.
fn by_proxy(failure: TlsFailure<'_>) -> Option<Refused<'_>> {
    let (leg, tls) = (failure.leg, failure.tls);
    let front = failure.session.legs.get(leg.behind?)?;
    let end = leg.first_end().filter(|end| end.by == Role::Client)?;
    if !is_unused(tls, end.moment) || front.status() != Some(502) || leg.has_holes() {
        return None;
    }
    let objection = flaw(tls, end.moment.at).unwrap_or(Objection::Untrusted);
    let said = "it left behind the handshake, without a request, as nginx does".to_owned();
    Some(Refused { failure, objection, said, moment: Some(end.moment), confidence: Confidence::Medium })
}

/// Whether a client left right behind the handshake, at `left`, and had said nothing. A server that sent it away says so.
fn is_unused(tls: &TlsFacts, left: Moment) -> bool {
    const AT_ONCE: Duration = Duration::from_millis(100);
    let at_once = tls.handshake_done.is_some_and(|done| done <= left && left.at.since(done.at) < AT_ONCE);
    let sent_away = || tls.alerts.iter().any(|alert| alert.by == Role::Server && alert.moment < left);
    let greeted = || tls.records.server.first().is_some_and(|&(at, _)| at < left.at);
    at_once && tls.bytes.client == 0 && !sent_away() && !greeted()
}

/// What is visibly wrong with the certificate.
fn flaw(tls: &TlsFacts, at: Timestamp) -> Option<Objection> {
    let certificate = tls.certificate.as_ref()?;
    if certificate.not_after.is_some_and(|end| end < at) || certificate.not_before.is_some_and(|begin| begin > at) {
        return Some(Objection::Expired);
    }
    let name = tls.sni.as_deref()?;
    (!certificate.names.is_empty() && !is_for(certificate, name)).then_some(Objection::Name)
}

/// Whether a certificate is for a name (RFC 9525 §6.3): a wildcard stands for one whole label.
pub fn is_for(certificate: &Certificate, name: &str) -> bool {
    certificate.names.iter().any(|pattern| match pattern.strip_prefix("*.") {
        Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => pattern.eq_ignore_ascii_case(name),
    })
}

/// The certificate in words, where it was read: `; the certificate of CN=a is issued by CN=b`.
pub fn words(failure: &TlsFailure<'_>) -> String {
    match &failure.tls.certificate {
        Some(certificate) if certificate.subject.is_empty() => String::new(),
        Some(certificate) if certificate.self_signed => {
            format!("; the certificate of {} is signed by itself", quote(&certificate.subject))
        }
        Some(certificate) => {
            format!("; the certificate of {} is issued by {}", quote(&certificate.subject), quote(&certificate.issuer))
        }
        None if failure.leg.half(Role::Server).has_holes() => {
            "; the certificate is not in the capture as a whole".to_owned()
        }
        None => "; the certificate is encrypted here and was not read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_one_label() {
        let certificate =
            Certificate { names: vec!["*.example.com".into(), "a.test".into()], ..Certificate::default() };
        assert!(is_for(&certificate, "www.EXAMPLE.com") && is_for(&certificate, "A.test"));
        assert!(!is_for(&certificate, "a.b.example.com") && !is_for(&certificate, "example.com"));
    }
}
