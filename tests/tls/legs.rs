//! TLS as legs of sessions: the same peers, in packets, through the whole engine.

use std::io;
use std::net::SocketAddr;

use wsflow::engine::{Engine, EngineOptions, Event, Sink, Wants};
use wsflow::limits::Limits;
use wsflow::script::Script;
use wsflow::session::Session;
use wsflow::stream::Role;
use wsflow::tls::Origin;

use crate::peers::{Configured, Peers};

/// What the engine told.
#[derive(Default)]
pub struct Told {
    pub sessions: Vec<(Session, Vec<&'static str>)>,
    pub messages: Vec<String>,
    /// Sessions that were joined before they were over.
    pub joined: usize,
    pub limits: Vec<(&'static str, u64)>,
}

impl Sink for Told {
    fn wants(&self) -> Wants {
        Wants { messages: true, progress: true }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Session(session, diagnosis) => {
                let findings = diagnosis.findings.iter().map(|finding| finding.id).collect();
                self.sessions.push(((*session).clone(), findings));
            }
            Event::Message(_, _, message) => {
                self.messages.push(String::from_utf8_lossy(message.preview).into_owned());
            }
            Event::Joined { .. } => self.joined += 1,
            Event::Summary(summary) => self.limits.clone_from(&summary.limits),
            _ => {}
        }
        Ok(())
    }
}

/// Takes a script through the engine; `secrets` is called before the packet of each index, and behind the last.
pub fn run_with(script: &Script, live: bool, mut secrets: impl FnMut(&mut Engine, &mut Told, usize)) -> Told {
    let mut told = Told::default();
    let options = EngineOptions { live, ..EngineOptions::default() };
    let mut engine = Engine::new(&Limits::default(), options, told.wants());
    let packets = script.packets();
    for (index, packet) in packets.iter().enumerate() {
        secrets(&mut engine, &mut told, index);
        engine.packet(&packet.packet(), &mut told).unwrap();
    }
    secrets(&mut engine, &mut told, packets.len());
    engine.finish(&mut told).unwrap();
    told
}

/// Takes a script through the engine, with these keys from the beginning.
pub fn run(script: &Script, keys: &str) -> Told {
    run_with(script, false, |engine, told, index| {
        if index == 0 && !keys.is_empty() {
            engine.secrets(Origin::KeyLog, keys.as_bytes(), told).unwrap();
        }
    })
}

/// One connection with TLS on it.
pub struct TlsLeg {
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub peers: Peers,
    passed: usize,
}

impl TlsLeg {
    pub fn new(configured: &Configured, client: &str, server: &str) -> TlsLeg {
        let peers = configured.connect();
        TlsLeg { client: client.parse().unwrap(), server: server.parse().unwrap(), peers, passed: 0 }
    }

    /// The TCP connection and the TLS handshake.
    pub fn connect(&mut self, script: Script) -> Script {
        self.peers.shake_hands();
        let script = script.leg(self.client, self.server).connect();
        self.pass(script)
    }

    /// `role` says this.
    pub fn say(&mut self, script: Script, role: Role, bytes: &[u8]) -> Script {
        self.peers.say(role, bytes);
        self.pass(script)
    }

    /// `role` says goodbye, as TLS and as TCP.
    pub fn close(&mut self, script: Script, role: Role) -> Script {
        self.peers.close(role);
        let script = self.pass(script);
        match role {
            Role::Client => script.client_fin(),
            Role::Server => script.server_fin(),
        }
    }

    /// Puts what the peers have sent meanwhile into the script.
    pub fn pass(&mut self, mut script: Script) -> Script {
        let sent = self.peers.dialogue().sent;
        script = script.leg(self.client, self.server);
        for (role, bytes) in &sent[self.passed..] {
            script = match role {
                Role::Client => script.client(bytes.clone()),
                Role::Server => script.server(bytes.clone()),
            };
        }
        self.passed = sent.len();
        script
    }

    /// The same, but the capture lacks what the server sent.
    pub fn pass_lost(&mut self, mut script: Script) -> Script {
        let sent = self.peers.dialogue().sent;
        for (role, bytes) in &sent[self.passed..] {
            script = match role {
                Role::Client => script.client(bytes.clone()),
                Role::Server => script.server(bytes.clone()).lost(),
            };
        }
        self.passed = sent.len();
        script
    }

    pub fn keys(&self) -> String {
        self.peers.dialogue().keys
    }
}
