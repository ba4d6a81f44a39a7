//! Whether a connection can be decrypted, and if not, why.

use std::borrow::Cow;

use super::hello::ProtocolVersion;
use super::keys::Hellos;
use super::secrets::{Label, SecretStore};

/// How things stand with the secrets of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Prospect {
    /// They are there.
    Known,
    /// Some of them are there, and no more are expected. What is missing.
    Partial(&'static str),
    /// They may come: records wait.
    Awaited,
    /// There are none, and none are expected; or they would be of no use. Why, if there are secrets at all.
    Dark(Option<Cow<'static, str>>),
}

impl Prospect {
    /// For a connection that began with `hellos`. `waits`: whether records may wait for secrets.
    pub(super) fn of(hellos: &Hellos, secrets: &SecretStore, waits: bool) -> Prospect {
        let dark = |why| Prospect::Dark((!secrets.is_empty()).then_some(Cow::Borrowed(why)));
        let Some(random) = &hellos.client_random else {
            return dark(
                "the ClientHello was not captured: without its random value no secret can be chosen; \
                 start the capture before the connection",
            );
        };
        if let Some(why) = unsupported(hellos) {
            return Prospect::Dark(Some(Cow::Owned(why)));
        }
        let has = |label| secrets.has(random, label);
        if has_all(hellos, has) {
            Prospect::Known
        } else if waits {
            Prospect::Awaited
        } else if let Some(missing) = partly(hellos, has) {
            Prospect::Partial(missing)
        } else if has(Label::MasterSecret) || partly_tls13(has).is_some() {
            dark("the key log's secrets for this connection are of another protocol version")
        } else {
            dark("the key log has no secret for this connection")
        }
    }

    /// Whether records are to be tried.
    pub(super) fn is_bright(&self) -> bool {
        matches!(self, Prospect::Known | Prospect::Partial(_))
    }
}

/// Why no secret would help.
fn unsupported(hellos: &Hellos) -> Option<String> {
    let version = hellos.version?;
    if version < ProtocolVersion::TLS12 {
        return Some(format!("{} is not decrypted here", version.name().unwrap_or("this version")));
    }
    if hellos.compressed {
        return Some("TLS compression is not undone here".to_owned());
    }
    let suite = hellos.suite?;
    if suite.protection().is_none() {
        return Some(format!("the cipher suite {} is not decrypted here", suite.text()));
    }
    None
}

/// Whether both directions can be read.
fn has_all(hellos: &Hellos, has: impl Fn(Label) -> bool) -> bool {
    let tls13 = has(Label::ClientTraffic) && has(Label::ServerTraffic);
    match hellos.version {
        Some(_) if hellos.may_be_tls13() => tls13,
        Some(_) => has(Label::MasterSecret),
        None => tls13 || has(Label::MasterSecret),
    }
}

/// What is missing, if something is there.
fn partly(hellos: &Hellos, has: impl Fn(Label) -> bool) -> Option<&'static str> {
    hellos.may_be_tls13().then(|| partly_tls13(has)).flatten()
}

fn partly_tls13(has: impl Fn(Label) -> bool) -> Option<&'static str> {
    if has(Label::ClientTraffic) {
        Some("the key log has no secret for what the server sends")
    } else if has(Label::ServerTraffic) {
        Some("the key log has no secret for what the client sends")
    } else if has(Label::ClientHandshakeTraffic) || has(Label::ServerHandshakeTraffic) {
        Some("the key log has secrets for the handshake of this connection only")
    } else {
        None
    }
}
