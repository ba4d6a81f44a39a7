//! The handshake as its messages tell it: what was offered, what was chosen, which keys come next.

use super::certificate;
use super::facts::{EarlyData, TlsFacts};
use super::handshake::HandshakeType;
use super::hello::{ClientHello, EncryptedExtensions, ProtocolVersion, ServerHello};
use super::keys::Hellos;
use crate::packet::Moment;
use crate::stream::Role;

/// What a message changes for the records after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// Other secrets are needed: a ClientHello, and whether early data comes behind it.
    ClientHello {
        /// Whether early data comes behind it.
        early_data: bool,
    },
    /// Version and suite are known.
    ServerHello,
    /// What becomes of the early data is known.
    EarlyData {
        /// Whether the server takes it.
        accepted: bool,
    },
    /// The client's early data is over; the server has taken it.
    EndOfEarlyData,
    /// The sender's handshake is over.
    Finished,
    /// The sender's next record has the next keys.
    KeyUpdate,
}

/// What the two sides have told each other so far.
#[derive(Default)]
pub(super) struct Negotiation {
    pub(super) hellos: Hellos,
    /// Whether the server's part was seen to its end (TLS 1.2).
    server_done: bool,
    /// Whether a HelloRetryRequest waits for its second ClientHello.
    retrying: bool,
}

impl Negotiation {
    /// Takes a message; writes into `facts` what it says.
    pub(super) fn message(
        &mut self,
        role: Role,
        moment: Moment,
        kind: HandshakeType,
        body: &[u8],
        facts: &mut TlsFacts,
    ) -> Effect {
        let version = self.hellos.version.unwrap_or(ProtocolVersion::TLS12);
        let tls13 = version >= ProtocolVersion::TLS13;
        match (role, kind) {
            (Role::Client, HandshakeType::CLIENT_HELLO) => return self.client_hello(moment, body, facts),
            (Role::Server, HandshakeType::SERVER_HELLO) => return self.server_hello(moment, body, facts),
            (Role::Server, HandshakeType::ENCRYPTED_EXTENSIONS) if tls13 => {
                let extensions = EncryptedExtensions::parse(body);
                facts.alpn = extensions.protocol;
                return Effect::EarlyData { accepted: extensions.early_data };
            }
            (Role::Server, HandshakeType::CERTIFICATE) => facts.certificate = certificate::read(body, version),
            (Role::Client, HandshakeType::CERTIFICATE) => {
                facts.client_certificate_empty = certificate::is_empty(body, version);
            }
            (Role::Server, HandshakeType::CERTIFICATE_REQUEST) => facts.client_certificate_requested = true,
            (Role::Server, HandshakeType::SERVER_HELLO_DONE) => self.server_done = true,
            (Role::Client, HandshakeType::END_OF_EARLY_DATA) => return Effect::EndOfEarlyData,
            (_, HandshakeType::FINISHED) => return Effect::Finished,
            (_, HandshakeType::KEY_UPDATE) if tls13 => return Effect::KeyUpdate,
            _ => {}
        }
        Effect::None
    }

    /// The server changes its keys (TLS 1.2). When it does so right behind its hello, the session is resumed
    /// (RFC 5246 §7.3).
    pub(super) fn server_changes_keys(&self, facts: &mut TlsFacts, holes: bool) {
        if facts.server_hello.is_some() && !self.server_done && facts.certificate.is_none() && !holes {
            facts.resumed = true;
        }
    }

    /// Whether the server's part of the handshake was seen to its end (TLS 1.2).
    pub(super) fn server_is_done(&self) -> bool {
        self.server_done
    }

    fn client_hello(&mut self, moment: Moment, body: &[u8], facts: &mut TlsFacts) -> Effect {
        let Some(hello) = ClientHello::parse(body) else { return Effect::None };
        if std::mem::take(&mut self.retrying) {
            // The second ClientHello differs in little (RFC 8446 §4.1.2), and has no early data.
            return Effect::ClientHello { early_data: false };
        }
        if facts.client_hello.is_some() {
            facts.renegotiations += 1;
        }
        facts.client_hello.get_or_insert(moment);
        facts.sni = hello.server_name;
        facts.alpn_offered = hello.protocols;
        if hello.early_data {
            facts.early_data = Some(EarlyData::Offered);
        }
        self.server_done = false;
        self.hellos = Hellos::of(hello.random, hello.tls13_suites);
        Effect::ClientHello { early_data: hello.early_data }
    }

    fn server_hello(&mut self, moment: Moment, body: &[u8], facts: &mut TlsFacts) -> Effect {
        let Some(hello) = ServerHello::parse(body) else { return Effect::None };
        facts.version = hello.version.name();
        facts.cipher = Some(hello.suite.text());
        self.hellos.choose(hello.version, hello.suite);
        facts.record_overhead = hello.suite.protection().map(|_| self.hellos.overhead());
        let tls13 = hello.version >= ProtocolVersion::TLS13;
        if hello.retry {
            self.retrying = true;
            facts.hello_retry = true;
            return Effect::EarlyData { accepted: false };
        }
        facts.server_hello.get_or_insert(moment);
        facts.resumed |= hello.pre_shared_key;
        if !tls13 {
            facts.alpn = hello.protocol;
        }
        self.hellos.server_random = hello.random;
        self.hellos.encrypt_then_mac = hello.encrypt_then_mac;
        self.hellos.compressed = hello.compressed;
        Effect::ServerHello
    }
}
