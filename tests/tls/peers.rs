//! Two rustls peers in memory that write down what they send.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, DigitallySignedStruct, NamedGroup, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme, SupportedProtocolVersion,
};
use wsflow::stream::{ByRole, Role};

const CERTIFICATE: &[u8] = include_bytes!("../data/tls/server-ec.der");
const KEY: &[u8] = include_bytes!("../data/tls/server-ec.key.der");

/// What two peers said, as it was on the wire.
#[derive(Clone, Debug, Default)]
pub struct Dialogue {
    /// What each side sent, in order; one entry is one flight.
    pub sent: Vec<(Role, Vec<u8>)>,
    /// The client's key log.
    pub keys: String,
    /// The application data of each side.
    pub plain: ByRole<Vec<u8>>,
}

/// How the peers are set up.
#[derive(Clone)]
pub struct Setup {
    pub version: &'static SupportedProtocolVersion,
    pub suite: Option<CipherSuite>,
    pub retry: bool,
    pub tickets: bool,
    pub early_data: bool,
    pub client_certificate: bool,
    pub protocols: Vec<Vec<u8>>,
}

impl Setup {
    pub fn tls13() -> Setup {
        Setup {
            version: &rustls::version::TLS13,
            suite: None,
            retry: false,
            tickets: false,
            early_data: false,
            client_certificate: false,
            protocols: vec![b"http/1.1".to_vec()],
        }
    }

    pub fn tls12() -> Setup {
        Setup { version: &rustls::version::TLS12, ..Setup::tls13() }
    }

    /// The configurations of both sides, to be used for several connections when sessions are to be resumed.
    pub fn configure(&self) -> Configured {
        let log = Arc::new(Log::default());
        let mut provider = ring::default_provider();
        if let Some(suite) = self.suite {
            provider.cipher_suites.retain(|supported| supported.suite() == suite);
        }
        let mut for_server = provider.clone();
        if self.retry {
            // The client sends a key share of its first group, which is not the server's.
            provider.kx_groups.sort_by_key(|group| group.name() != NamedGroup::X25519);
            for_server.kx_groups.retain(|group| group.name() == NamedGroup::secp256r1);
        }
        let mut client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[self.version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustAll))
            .with_no_client_auth();
        client.key_log = log.clone();
        client.enable_early_data = self.early_data;
        client.alpn_protocols = self.protocols.clone();
        let mut server = self.server(Arc::new(for_server));
        server.alpn_protocols = self.protocols.clone();
        if self.tickets {
            server.ticketer = ring::Ticketer::new().unwrap();
        }
        if self.early_data {
            server.max_early_data_size = 1 << 14;
        }
        Configured { client: Arc::new(client), server: Arc::new(server), log }
    }

    fn server(&self, provider: Arc<CryptoProvider>) -> ServerConfig {
        let certificate = CertificateDer::from(CERTIFICATE);
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[self.version]).unwrap();
        let builder = if self.client_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(certificate.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
        builder.with_single_cert(vec![certificate], key).unwrap()
    }
}

/// Both configurations; sessions are remembered in them.
pub struct Configured {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    log: Arc<Log>,
}

impl Configured {
    /// Another server, that knows nothing of the first one's sessions.
    pub fn forget_sessions(&mut self, setup: &Setup) {
        self.server = setup.configure().server;
    }

    pub fn connect(&self) -> Peers {
        self.log.0.lock().unwrap().clear();
        let name = ServerName::try_from("chat.test").unwrap();
        let mut client = ClientConnection::new(self.client.clone(), name).unwrap();
        let mut server = ServerConnection::new(self.server.clone()).unwrap();
        client.set_buffer_limit(None);
        server.set_buffer_limit(None);
        Peers { client, server, log: self.log.clone(), dialogue: Dialogue::default() }
    }
}

/// Two connected peers.
pub struct Peers {
    pub client: ClientConnection,
    pub server: ServerConnection,
    log: Arc<Log>,
    dialogue: Dialogue,
}

impl Peers {
    /// `role` sends application data; the other side gets it.
    pub fn say(&mut self, role: Role, bytes: &[u8]) -> &mut Peers {
        self.shake_hands();
        self.say_without_reading(role, bytes);
        self.shake_hands()
    }

    /// `role` will send application data with the next flight.
    pub fn say_without_reading(&mut self, role: Role, bytes: &[u8]) {
        match role {
            Role::Client => self.client.writer().write_all(bytes).unwrap(),
            Role::Server => self.server.writer().write_all(bytes).unwrap(),
        }
        self.dialogue.plain[role].extend_from_slice(bytes);
    }

    /// The client sends data before the server has answered. Whether it may.
    pub fn say_early(&mut self, bytes: &[u8]) -> bool {
        let Some(mut early) = self.client.early_data() else { return false };
        early.write_all(bytes).unwrap();
        self.shake_hands();
        true
    }

    /// What was said early counts as said.
    pub fn count_early(&mut self, bytes: &[u8]) {
        self.dialogue.plain.client.splice(0..0, bytes.iter().copied());
    }

    pub fn update_keys(&mut self, role: Role) -> &mut Peers {
        match role {
            Role::Client => self.client.refresh_traffic_keys().unwrap(),
            Role::Server => self.server.refresh_traffic_keys().unwrap(),
        }
        self.shake_hands()
    }

    pub fn close(&mut self, role: Role) -> &mut Peers {
        match role {
            Role::Client => self.client.send_close_notify(),
            Role::Server => self.server.send_close_notify(),
        }
        self.shake_hands()
    }

    /// Carries over what is to be sent until nobody has more.
    pub fn shake_hands(&mut self) -> &mut Peers {
        loop {
            let mut flight = Vec::new();
            let mut moved = false;
            while self.client.wants_write() {
                self.client.write_tls(&mut flight).unwrap();
            }
            if !flight.is_empty() {
                moved = true;
                let mut rest = &flight[..];
                while !rest.is_empty() {
                    self.server.read_tls(&mut rest).unwrap();
                    self.server.process_new_packets().unwrap();
                    read_all(&mut self.server.reader());
                }
                self.dialogue.sent.push((Role::Client, flight));
            }
            let mut flight = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut flight).unwrap();
            }
            if !flight.is_empty() {
                moved = true;
                let mut rest = &flight[..];
                while !rest.is_empty() {
                    self.client.read_tls(&mut rest).unwrap();
                    self.client.process_new_packets().unwrap();
                    read_all(&mut self.client.reader());
                }
                self.dialogue.sent.push((Role::Server, flight));
            }
            if !moved {
                return self;
            }
        }
    }

    pub fn dialogue(&self) -> Dialogue {
        Dialogue { keys: self.log.0.lock().unwrap().clone(), ..self.dialogue.clone() }
    }
}

/// A usual dialogue: an opening handshake, small and large messages, a close on both sides.
pub fn usual(setup: &Setup) -> Dialogue {
    let configured = setup.configure();
    let mut peers = configured.connect();
    speak(&mut peers);
    peers.dialogue()
}

pub fn speak(peers: &mut Peers) {
    let long: Vec<u8> = (0..100_000u32).map(|index| (index * 7 + index / 256) as u8).collect();
    peers.say(Role::Client, b"GET /ws HTTP/1.1\r\nHost: chat.test\r\n\r\n");
    peers.say(Role::Server, b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
    peers.say(Role::Server, b"");
    peers.say(Role::Client, &long[..70_000]).say(Role::Server, b"x").say(Role::Server, &long);
    peers.say(Role::Client, b"bye").say(Role::Server, b"bye");
    peers.close(Role::Client).close(Role::Server);
}

fn read_all(reader: &mut dyn Read) {
    let mut sink = [0; 4096];
    while reader.read(&mut sink).is_ok_and(|length| length > 0) {}
}

/// The client's key log as text.
#[derive(Debug, Default)]
struct Log(Mutex<String>);

impl rustls::KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut text = self.0.lock().unwrap();
        write!(text, "{label} ").unwrap();
        client_random.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push(' ');
        secret.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
    }
}

#[derive(Debug)]
struct TrustAll;

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
