//! An observer between the peers, and what it saw.

use wsflow::limits::Limits;
use wsflow::packet::{Moment, PacketNumber};
use wsflow::stream::{ByRole, Role};
use wsflow::time::Timestamp;
use wsflow::tls::{Observer, Origin, SecretStore, TlsFacts, TlsOutput};

/// Part of what one side said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    Bytes(Vec<u8>),
    Hole { bytes: u64, exact: bool },
}

/// What came out of an observer.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// In order of output, neighbours of one side put together.
    pub order: Vec<(Role, Vec<u8>)>,
    /// By side, with holes.
    pub pieces: ByRole<Vec<Piece>>,
    pub ends: ByRole<u32>,
}

impl Seen {
    pub fn take(&mut self, role: Role, output: TlsOutput<'_>) {
        let pieces = &mut self.pieces[role];
        match output {
            TlsOutput::Plain(plain) => {
                assert!(!plain.is_empty());
                match pieces.last_mut() {
                    Some(Piece::Bytes(bytes)) => bytes.extend_from_slice(plain),
                    _ => pieces.push(Piece::Bytes(plain.to_vec())),
                }
                match self.order.last_mut() {
                    Some((last, bytes)) if *last == role => bytes.extend_from_slice(plain),
                    _ => self.order.push((role, plain.to_vec())),
                }
            }
            TlsOutput::Gap { bytes, exact } => {
                assert!(bytes > 0);
                pieces.push(Piece::Hole { bytes, exact });
            }
            TlsOutput::End => self.ends[role] += 1,
        }
    }

    /// All bytes of one side; there must be no hole.
    pub fn whole(&self, role: Role) -> &[u8] {
        match &self.pieces[role][..] {
            [] => &[],
            [Piece::Bytes(bytes)] => bytes,
            pieces => panic!("holes: {}", pieces.len()),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.client.is_empty() && self.pieces.server.is_empty()
    }
}

/// An observer with its store.
pub struct Watch {
    pub observer: Observer,
    pub store: SecretStore,
    pub seen: Seen,
    packet: u64,
}

impl Watch {
    /// Without secrets, and without hope for some.
    pub fn new() -> Watch {
        Watch::with(&Limits::default())
    }

    pub fn with(limits: &Limits) -> Watch {
        Watch { observer: Observer::new(limits), store: SecretStore::new(limits), seen: Seen::default(), packet: 0 }
    }

    /// With all secrets from the beginning.
    pub fn knowing(keys: &str) -> Watch {
        let mut watch = Watch::new();
        watch.store.feed(Origin::KeyLog, keys.as_bytes());
        watch.store.end(Origin::KeyLog);
        watch
    }

    fn moment(&mut self) -> Moment {
        self.packet += 1;
        Moment { at: Timestamp::from_nanos(self.packet * 1_000_000), packet: PacketNumber(self.packet) }
    }

    pub fn handle(&mut self, role: Role, bytes: &[u8]) -> &mut Watch {
        let moment = self.moment();
        let seen = &mut self.seen;
        self.observer.handle(role, bytes, moment, &self.store, &mut |role, _, output| seen.take(role, output));
        self
    }

    pub fn all(&mut self, sent: &[(Role, Vec<u8>)]) -> &mut Watch {
        for (role, bytes) in sent {
            self.handle(*role, bytes);
        }
        self
    }

    pub fn gap(&mut self, role: Role, bytes: u64) -> &mut Watch {
        let moment = self.moment();
        let seen = &mut self.seen;
        self.observer.gap(role, bytes, moment, &self.store, &mut |role, _, output| seen.take(role, output));
        self
    }

    pub fn retry(&mut self) -> &mut Watch {
        let seen = &mut self.seen;
        self.observer.retry(&self.store, &mut |role, _, output| seen.take(role, output));
        self
    }

    pub fn finish(&mut self) -> &mut Watch {
        for role in Role::BOTH {
            self.finish_one(role);
        }
        let moment = self.moment();
        let seen = &mut self.seen;
        self.observer.give_up(moment, &self.store, &mut |role, _, output| seen.take(role, output));
        self
    }

    pub fn finish_one(&mut self, role: Role) -> &mut Watch {
        let moment = self.moment();
        let seen = &mut self.seen;
        self.observer.finish(role, moment, &self.store, &mut |role, _, output| seen.take(role, output));
        self
    }

    pub fn facts(&self) -> TlsFacts {
        self.observer.facts()
    }
}
