//! What ClientHello, ServerHello and the extensions around them say (RFC 8446 §4.1, §4.2; RFC 5246 §7.4.1).

use super::handshake::Fields;
use super::suite::CipherSuite;

/// A protocol version, by its number on the wire. Unknown numbers keep their value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProtocolVersion(pub u16);

impl ProtocolVersion {
    /// TLS 1.2.
    pub const TLS12: ProtocolVersion = ProtocolVersion(0x0303);
    /// TLS 1.3.
    pub const TLS13: ProtocolVersion = ProtocolVersion(0x0304);

    /// Its name.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x0300 => "SSL 3.0",
            0x0301 => "TLS 1.0",
            0x0302 => "TLS 1.1",
            0x0303 => "TLS 1.2",
            0x0304 => "TLS 1.3",
            _ => return None,
        })
    }
}

/// Extension types that matter here (IANA registry).
mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const ALPN: u16 = 16;
    pub(super) const ENCRYPT_THEN_MAC: u16 = 22;
    pub(super) const PRE_SHARED_KEY: u16 = 41;
    pub(super) const EARLY_DATA: u16 = 42;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
}

/// Names that a client may offer by ALPN; more are not kept.
const PROTOCOLS: usize = 16;

/// A ClientHello.
#[derive(Clone, Debug, Default)]
pub struct ClientHello {
    /// Its random value.
    pub random: [u8; 32],
    /// The suites of TLS 1.3 that it offers.
    pub tls13_suites: Vec<CipherSuite>,
    /// The server name. Hostile text.
    pub server_name: Option<String>,
    /// The application protocols. Hostile text.
    pub protocols: Vec<String>,
    /// Whether it announces early data.
    pub early_data: bool,
}

impl ClientHello {
    /// Reads the body of a client_hello as far as it goes; `None` when not even the random value is there.
    pub fn parse(body: &[u8]) -> Option<ClientHello> {
        let mut fields = Fields(body);
        fields.u16()?; // legacy_version
        let mut hello = ClientHello { random: fields.array()?, ..ClientHello::default() };
        hello.rest(fields);
        Some(hello)
    }

    fn rest(&mut self, mut fields: Fields<'_>) -> Option<()> {
        fields.vector8()?; // legacy_session_id
        let mut suites = fields.vector16()?;
        while let Some(suite) = suites.u16().map(CipherSuite) {
            if suite.is_tls13() && suite.protection().is_some() && !self.tls13_suites.contains(&suite) {
                self.tls13_suites.push(suite);
            }
        }
        fields.vector8()?; // legacy_compression_methods
        each_extension(fields, |kind, content| match kind {
            extension::SERVER_NAME => self.server_name = server_name(content),
            extension::ALPN => self.protocols = protocols(content),
            extension::EARLY_DATA => self.early_data = true,
            _ => {}
        });
        Some(())
    }
}

/// A ServerHello, or a HelloRetryRequest, which has its form.
#[derive(Clone, Debug)]
pub struct ServerHello {
    /// The version that was chosen.
    pub version: ProtocolVersion,
    /// Its random value.
    pub random: [u8; 32],
    /// The suite that was chosen.
    pub suite: CipherSuite,
    /// Whether it is a HelloRetryRequest.
    pub retry: bool,
    /// Whether a compression method was chosen (RFC 3749); there is none in TLS 1.3.
    pub compressed: bool,
    /// Whether a pre-shared key was chosen: the session is resumed (TLS 1.3).
    pub pre_shared_key: bool,
    /// Whether encrypt_then_mac was agreed to.
    pub encrypt_then_mac: bool,
    /// The application protocol (TLS 1.2). Hostile text.
    pub protocol: Option<String>,
}

/// The random value that makes a ServerHello a HelloRetryRequest (RFC 8446 §4.1.3).
const RETRY: [u8; 32] = [
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2, 0x11,
    0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
];

impl ServerHello {
    /// Reads the body of a server_hello as far as it goes; `None` when it ends before the suite.
    pub fn parse(body: &[u8]) -> Option<ServerHello> {
        let mut fields = Fields(body);
        let legacy_version = ProtocolVersion(fields.u16()?);
        let random = fields.array()?;
        fields.vector8()?; // legacy_session_id_echo
        let suite = CipherSuite(fields.u16()?);
        // The extension below says the same, if it was captured.
        let version = if suite.is_tls13() { ProtocolVersion::TLS13 } else { legacy_version };
        let mut hello = ServerHello {
            version,
            random,
            suite,
            retry: random == RETRY,
            compressed: false,
            pre_shared_key: false,
            encrypt_then_mac: false,
            protocol: None,
        };
        hello.compressed = fields.u8().is_some_and(|method| method != 0);
        each_extension(fields, |kind, mut content| match kind {
            extension::SUPPORTED_VERSIONS => hello.version = content.u16().map_or(hello.version, ProtocolVersion),
            extension::PRE_SHARED_KEY => hello.pre_shared_key = true,
            extension::ENCRYPT_THEN_MAC => hello.encrypt_then_mac = true,
            extension::ALPN => hello.protocol = protocols(content).pop(),
            _ => {}
        });
        Some(hello)
    }
}

/// EncryptedExtensions, as far as they matter.
#[derive(Clone, Debug, Default)]
pub struct EncryptedExtensions {
    /// The application protocol. Hostile text.
    pub protocol: Option<String>,
    /// Whether the server takes the early data.
    pub early_data: bool,
}

impl EncryptedExtensions {
    /// Reads the body of an encrypted_extensions.
    pub fn parse(body: &[u8]) -> EncryptedExtensions {
        let mut extensions = EncryptedExtensions::default();
        each_extension(Fields(body), |kind, content| match kind {
            extension::ALPN => extensions.protocol = protocols(content).pop(),
            extension::EARLY_DATA => extensions.early_data = true,
            _ => {}
        });
        extensions
    }
}

/// Calls `each` for the extensions in the vector that `fields` begins with, as far as they are whole.
fn each_extension<'a>(mut fields: Fields<'a>, mut each: impl FnMut(u16, Fields<'a>)) {
    let Some(mut extensions) = fields.vector16() else { return };
    while let (Some(kind), Some(content)) = (extensions.u16(), extensions.vector16()) {
        each(kind, content);
    }
}

/// The host name of a server_name extension (RFC 6066 §3).
fn server_name(mut content: Fields<'_>) -> Option<String> {
    let mut list = content.vector16()?;
    while let (Some(kind), Some(name)) = (list.u8(), list.vector16()) {
        if kind == 0 {
            // A host name has at most 255 bytes (RFC 1035 §2.3.4).
            return Some(String::from_utf8_lossy(&name.0[..name.0.len().min(255)]).into_owned());
        }
    }
    None
}

/// The names of an application_layer_protocol_negotiation extension (RFC 7301 §3.1).
fn protocols(mut content: Fields<'_>) -> Vec<String> {
    let mut list = content.vector16().unwrap_or(Fields(&[]));
    std::iter::from_fn(|| list.vector8())
        .map(|name| String::from_utf8_lossy(name.0).into_owned())
        .take(PROTOCOLS)
        .collect()
}
