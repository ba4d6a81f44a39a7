//! TLS that did not come up: on which leg, and what the two said to each other last.

use crate::diagnosis::parties::{self, Name};
use crate::session::leg::{TlsAlert, TlsFacts};
use crate::session::{Leg, Outcome, Session};
use crate::stream::Role;

/// A leg whose TLS handshake failed.
#[derive(Clone, Copy, Debug)]
pub struct TlsFailure<'a> {
    /// The session.
    pub session: &'a Session,
    /// The index of the leg.
    pub index: usize,
    /// The leg.
    pub leg: &'a Leg,
    /// Its TLS.
    pub tls: &'a TlsFacts,
}

/// The legs on which a ClientHello was sent and nothing of an application ever came: those first that decided.
pub fn tls_failures(session: &Session) -> impl Iterator<Item = TlsFailure<'_>> {
    parties::decisive_first(session).filter_map(move |(index, leg)| {
        let tls = leg.tls.as_deref()?;
        let failed = tls.client_hello.is_some()
            && leg.request.is_none()
            && leg.tunnel.is_none()
            && is_silent(leg, tls)
            && !matches!(leg.outcome, Outcome::Open | Outcome::Closed);
        failed.then_some(TlsFailure { session, index, leg, tls })
    })
}

/// Whether the server said nothing, or spoke to a client that had left without a word: some answer that with a 400.
fn is_silent(leg: &Leg, tls: &TlsFacts) -> bool {
    let spoke = tls.records.server.first();
    let left = || leg.first_end().filter(|end| end.by == Role::Client && tls.bytes.client == 0);
    tls.bytes.server == 0 || spoke.is_some_and(|&(at, _)| left().is_some_and(|end| end.moment.at <= at))
}

impl TlsFailure<'_> {
    /// The first alert of `by` with one of these descriptions.
    pub fn alert(&self, by: Role, descriptions: &[u8]) -> Option<TlsAlert> {
        let says = |alert: &&TlsAlert| {
            alert.by == by && alert.description.is_some_and(|description| descriptions.contains(&description))
        };
        self.tls.alerts.iter().find(says).copied()
    }

    /// Who began the handshake: the client, or a proxy on its way to its backend.
    pub fn client(&self) -> Name {
        let name = parties::client_of(self.session, self.index);
        name.unwrap_or(Name { word: "client", endpoint: self.leg.client })
    }

    /// Who answered it.
    pub fn server(&self) -> Name {
        let name = parties::server_of(self.session, self.index);
        name.unwrap_or(Name { word: "server", endpoint: self.leg.server })
    }

    /// What a proxy told its own client of it: `; it answered 502`.
    pub fn outcome(&self) -> String {
        let front = self.leg.behind.and_then(|front| self.session.legs.get(front));
        match front.and_then(Leg::status) {
            Some(status) => format!("; the proxy answered {status}"),
            None => String::new(),
        }
    }
}

/// An alert as a sentence has it: `alert 48 unknown_ca`.
pub fn alert_words(alert: &TlsAlert) -> String {
    match (alert.description, alert.name()) {
        (Some(number), Some(name)) => format!("alert {number} {name}"),
        (Some(number), None) => format!("alert {number}"),
        (None, _) => "an encrypted alert".to_owned(),
    }
}
