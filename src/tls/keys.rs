//! Which keys there may be: from the hellos and the secrets of one connection.

use zeroize::Zeroizing;

use super::decryptor::{Decryptor, Tls12Parameters};
use super::hello::ProtocolVersion;
use super::key_schedule::next_traffic_secret;
use super::secrets::{ClientRandom, Label, Origin, Secret, SecretStore};
use super::suite::{Cipher, CipherSuite, Hash};
use crate::stream::Role;

/// What both directions' keys are made from.
#[derive(Clone, Debug, Default)]
pub(super) struct Hellos {
    /// Of the ClientHello.
    pub(super) client_random: Option<ClientRandom>,
    /// Of the ServerHello.
    pub(super) server_random: [u8; 32],
    /// As negotiated; `None` before the ServerHello.
    pub(super) version: Option<ProtocolVersion>,
    /// As negotiated.
    pub(super) suite: Option<CipherSuite>,
    /// The suites of TLS 1.3 that the client offered: one of them it is when the ServerHello was not seen.
    pub(super) offered: Vec<CipherSuite>,
    /// RFC 7366.
    pub(super) encrypt_then_mac: bool,
    /// Whether the plaintext is compressed before it is encrypted (RFC 3749).
    pub(super) compressed: bool,
    /// What a record costs above its plaintext, the header aside: least and most. As [`Hellos::choose`] found it.
    overhead: Option<(u16, u16)>,
}

impl Hellos {
    /// What a ClientHello says.
    pub(super) fn of(client_random: ClientRandom, offered: Vec<CipherSuite>) -> Hellos {
        Hellos { client_random: Some(client_random), offered, ..Hellos::default() }
    }

    /// The server has chosen.
    pub(super) fn choose(&mut self, version: ProtocolVersion, suite: CipherSuite) {
        self.version = Some(version);
        self.suite = Some(suite);
        let cipher = suite.protection().map(|(cipher, _)| cipher);
        self.overhead = cipher.map(|cipher| cipher.overhead(version >= ProtocolVersion::TLS13));
    }

    /// What a record costs above its plaintext, the header aside: least and most. Before the suite is known, what
    /// AES-GCM costs, which most use.
    #[inline]
    pub(super) fn overhead(&self) -> (u16, u16) {
        self.overhead.unwrap_or(if self.may_be_tls13() { (17, 17) } else { (24, 24) })
    }

    /// Whether keys come from traffic secrets: TLS 1.3, or unknown with a client that offered it.
    pub(super) fn may_be_tls13(&self) -> bool {
        match self.version {
            Some(version) => version >= ProtocolVersion::TLS13,
            None => !self.offered.is_empty(),
        }
    }

    fn protections(&self) -> impl Iterator<Item = (Cipher, Hash)> {
        let suites = self.suite.as_ref().map_or(&self.offered[..], std::slice::from_ref);
        suites.iter().filter_map(|suite| suite.protection())
    }
}

/// Which secret protects records (RFC 8446 §7.1). TLS 1.2 knows only the last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Stage {
    /// Early data.
    Early,
    /// The rest of the handshake.
    Handshake,
    /// Everything else.
    Application,
}

impl Stage {
    /// The label of its secret; the server writes no early data.
    pub(super) fn label(self, role: Role) -> Option<Label> {
        match (self, role) {
            (Stage::Early, Role::Client) => Some(Label::ClientEarlyTraffic),
            (Stage::Early, Role::Server) => None,
            (Stage::Handshake, Role::Client) => Some(Label::ClientHandshakeTraffic),
            (Stage::Handshake, Role::Server) => Some(Label::ServerHandshakeTraffic),
            (Stage::Application, Role::Client) => Some(Label::ClientTraffic),
            (Stage::Application, Role::Server) => Some(Label::ServerTraffic),
        }
    }
}

/// Keys in use, and what is needed to find those that follow.
pub(super) struct Keys {
    pub(super) decryptor: Decryptor,
    hash: Hash,
    /// The traffic secret (TLS 1.3).
    secret: Zeroizing<[u8; 48]>,
    pub(super) origin: Origin,
    /// Number and explicit nonce of the last record (TLS 1.2).
    pub(super) explicit: Option<(u64, u64)>,
}

impl Keys {
    /// The keys after these (RFC 8446 §7.2); there are none in TLS 1.2.
    pub(super) fn next_generation(&self) -> Option<Keys> {
        if !self.decryptor.is_tls13() {
            return None;
        }
        let secret = next_traffic_secret(self.hash, &self.secret[..self.hash.length()]);
        let decryptor = Decryptor::tls13(self.decryptor.cipher(), self.hash, &secret[..self.hash.length()])?;
        Some(Keys { decryptor, hash: self.hash, secret, origin: self.origin, explicit: None })
    }

    /// The numbers that the explicit nonce suggests: senders count it up with the sequence number, or mix that in.
    pub(super) fn by_explicit_nonce(&self, body: &[u8]) -> impl Iterator<Item = u64> + use<> {
        let guesses = self.explicit.zip(self.decryptor.explicit_nonce(body)).map(|((seq, last), now)| {
            [seq.wrapping_add(now.wrapping_sub(last)), now ^ last ^ seq].into_iter().filter(move |&guess| guess > seq)
        });
        guesses.into_iter().flatten()
    }
}

/// All keys that may be those of `stage`: one for each secret that sources name, and for each suite that it may be.
pub(super) fn candidates(
    role: Role,
    stage: Stage,
    hellos: &Hellos,
    secrets: &SecretStore,
) -> impl Iterator<Item = Keys> {
    let tls13 = hellos.may_be_tls13();
    let label = if tls13 {
        stage.label(role)
    } else {
        // TLS 1.2 has one stage, and needs the ServerHello.
        (stage == Stage::Application && hellos.version.is_some()).then_some(Label::MasterSecret)
    };
    let found = hellos.client_random.as_ref().zip(label);
    let found = found
        .into_iter()
        .flat_map(move |(random, label)| secrets.secrets(random, label).map(move |secret| (random, secret)));
    found.flat_map(move |(random, secret)| {
        hellos.protections().filter_map(move |(cipher, hash)| {
            if tls13 {
                keys_of_tls13(cipher, hash, secret)
            } else {
                Some(keys_of_tls12(cipher, hash, secret, role, random, hellos))
            }
        })
    })
}

fn keys_of_tls13(cipher: Cipher, hash: Hash, secret: &Secret) -> Option<Keys> {
    let decryptor = Decryptor::tls13(cipher, hash, secret.bytes())?;
    let mut bytes = Zeroizing::new([0; 48]);
    bytes[..hash.length()].copy_from_slice(secret.bytes());
    Some(Keys { decryptor, hash, secret: bytes, origin: secret.origin(), explicit: None })
}

fn keys_of_tls12(
    cipher: Cipher,
    hash: Hash,
    secret: &Secret,
    role: Role,
    random: &ClientRandom,
    hellos: &Hellos,
) -> Keys {
    let with = Tls12Parameters {
        client_random: random,
        server_random: &hellos.server_random,
        encrypt_then_mac: hellos.encrypt_then_mac,
    };
    let decryptor = Decryptor::tls12(cipher, hash, secret.bytes(), with, role);
    Keys { decryptor, hash, secret: Zeroizing::new([0; 48]), origin: secret.origin(), explicit: None }
}
