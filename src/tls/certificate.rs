//! What matters of the certificates that a server shows (RFC 5280), read with x509-parser.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::facts::Certificate;
use super::handshake::Fields;
use super::hello::ProtocolVersion;
use crate::time::Timestamp;

/// Names kept of one certificate: those of large sites have hundreds.
const NAMES: usize = 64;

/// Bytes kept of one name.
const NAME: usize = 255;

/// Reads the body of a Certificate message: the end-entity certificate comes first (RFC 8446 §4.4.2). `None` when the
/// list is empty; a certificate that cannot be read gives its place in the chain and nothing else.
pub fn read(body: &[u8], version: ProtocolVersion) -> Option<Certificate> {
    let tls13 = version >= ProtocolVersion::TLS13;
    let mut fields = Fields(body);
    if tls13 {
        fields.vector8()?; // certificate_request_context
    }
    let mut list = fields.vector24()?;
    let mut certificate = None;
    let mut chain = 0;
    while let Some(der) = list.vector24() {
        chain += 1;
        if certificate.is_none() {
            certificate = Some(X509Certificate::from_der(der.0).map(|(_, x509)| describe(&x509)).unwrap_or_default());
        }
        if tls13 && list.vector16().is_none() {
            break;
        }
    }
    certificate.map(|certificate| Certificate { chain, ..certificate })
}

/// Whether a Certificate message carries no certificate: what a client says that has none.
pub fn is_empty(body: &[u8], version: ProtocolVersion) -> bool {
    let mut fields = Fields(body);
    if version >= ProtocolVersion::TLS13 && fields.vector8().is_none() {
        return false;
    }
    fields.vector24().is_some_and(|list| list.is_empty())
}

fn describe(x509: &X509Certificate<'_>) -> Certificate {
    let names = x509
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|names| names.value.general_names.iter().filter_map(name).take(NAMES).collect())
        .unwrap_or_default();
    Certificate {
        subject: cut(x509.subject().to_string()),
        issuer: cut(x509.issuer().to_string()),
        names,
        not_before: timestamp(x509.validity().not_before.timestamp()),
        not_after: timestamp(x509.validity().not_after.timestamp()),
        self_signed: x509.subject().as_raw() == x509.issuer().as_raw(),
        chain: 0,
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(cut((*name).to_owned())),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| Ipv4Addr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| Ipv6Addr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn cut(mut text: String) -> String {
    let end = (0..=NAME.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.truncate(end);
    text
}

/// `None` for dates before 1970.
fn timestamp(seconds: i64) -> Option<Timestamp> {
    u64::try_from(seconds).ok().map(|seconds| Timestamp::from_parts(seconds, 0))
}
