//! TLS secrets in one store, whoever they come from.
//!
//! The store is bounded: the oldest secrets give way. Nothing here ever prints a secret, and what held one is
//! overwritten before its memory is given back.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use zeroize::{Zeroize, Zeroizing};

use super::keylog::{self, Line, LineReader};
use crate::limits::Limits;

/// The random value of a ClientHello: what a secret is found by.
pub type ClientRandom = [u8; 32];

/// Who a secret came from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Origin {
    /// A key log file.
    KeyLog,
    /// A Decryption Secrets Block of a pcapng file.
    SecretsBlock,
    /// Probes in a running process.
    Probe,
}

impl Origin {
    /// Its word in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Origin::KeyLog => "keylog",
            Origin::SecretsBlock => "secrets block",
            Origin::Probe => "probe",
        }
    }
}

/// What a secret is for (RFC 9850 §2.1, §2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Label {
    /// `CLIENT_RANDOM`: the master secret of TLS 1.2 and before.
    MasterSecret,
    /// `CLIENT_EARLY_TRAFFIC_SECRET`.
    ClientEarlyTraffic,
    /// `CLIENT_HANDSHAKE_TRAFFIC_SECRET`.
    ClientHandshakeTraffic,
    /// `SERVER_HANDSHAKE_TRAFFIC_SECRET`.
    ServerHandshakeTraffic,
    /// `CLIENT_TRAFFIC_SECRET_0`.
    ClientTraffic,
    /// `SERVER_TRAFFIC_SECRET_0`.
    ServerTraffic,
}

impl Label {
    /// Whether a secret of this label may have so many bytes: 48 for a master secret (RFC 5246 §8.1), the length of
    /// the suite's hash for the others.
    fn allows(self, length: usize) -> bool {
        match self {
            Label::MasterSecret => length == 48,
            _ => length == 32 || length == 48,
        }
    }
}

/// One secret. Overwritten when it is dropped; its `Debug` shows no byte of it.
#[derive(Clone)]
pub struct Secret {
    client_random: ClientRandom,
    bytes: [u8; 48],
    length: u8,
    label: Label,
    origin: Origin,
    /// The serial number after that of the secret before this one with the same client random; 0 for none.
    before: u64,
}

impl Secret {
    const EMPTY: Secret = Secret {
        client_random: [0; 32],
        bytes: [0; 48],
        length: 0,
        label: Label::MasterSecret,
        origin: Origin::KeyLog,
        before: 0,
    };

    /// `None` when a secret of that label cannot have that length.
    pub fn new(label: Label, client_random: ClientRandom, secret: &[u8], origin: Origin) -> Option<Secret> {
        if !label.allows(secret.len()) {
            return None;
        }
        let mut bytes = [0; 48];
        bytes[..secret.len()].copy_from_slice(secret);
        Some(Secret { client_random, bytes, length: secret.len() as u8, label, origin, before: 0 })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// What it is for.
    pub fn label(&self) -> Label {
        self.label
    }

    /// Who it came from.
    pub fn origin(&self) -> Origin {
        self.origin
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("label", &self.label).field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// What was in the key logs, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyLogCounts {
    /// Lines that are not empty and no comment.
    pub lines: u64,
    /// Secrets taken from them.
    pub secrets: u64,
    /// Secrets that were there already.
    pub duplicates: u64,
    /// Lines with a label that decryption does not need: exporter secrets, ECH.
    pub other_labels: u64,
    /// Lines that are not of the format.
    pub malformed: u64,
    /// Secrets that gave way to newer ones because [`Limits::secrets`] was reached.
    pub evicted: u64,
    /// Secrets beyond [`SECRETS_EACH`] for one client random: dropped.
    pub excess: u64,
    /// Whether there were bytes that no text has: this is no key log.
    pub binary: bool,
}

/// Secrets kept for one client random: a handshake has up to five; the rest allows for conflicting ones.
pub const SECRETS_EACH: usize = 16;

/// Secrets in one piece of memory. Pieces never move, so that no copy of a secret is left behind.
const PIECE: usize = 256;

/// All secrets that are known, by client random. One for the whole program.
pub struct SecretStore {
    capacity: u64,
    pieces: Vec<Box<[Secret]>>,
    /// How many secrets were ever taken in. The secret with serial number `s` lies in slot `s % capacity`.
    taken: u64,
    /// The serial number of the newest secret for each client random.
    newest: HashTable<u64>,
    hasher: RandomState,
    readers: [LineReader; 3],
    expected: [bool; 3],
    generation: u64,
    room: Room,
    counts: KeyLogCounts,
}

impl SecretStore {
    /// An empty store that keeps [`Limits::secrets`].
    pub fn new(limits: &Limits) -> SecretStore {
        SecretStore {
            capacity: limits.secrets.max(1) as u64,
            pieces: Vec::new(),
            taken: 0,
            newest: HashTable::new(),
            hasher: RandomState::default(),
            readers: Default::default(),
            expected: [false; 3],
            generation: 0,
            room: Room { left: Arc::new(AtomicUsize::new(limits.tls_held_total)) },
            counts: KeyLogCounts::default(),
        }
    }

    /// Takes the next bytes of a key log. A line may be split anywhere; each origin has its own unfinished line.
    /// Returns how many new secrets there are.
    pub fn feed(&mut self, origin: Origin, text: &[u8]) -> u64 {
        self.expect(origin);
        let before = self.taken;
        let mut reader = std::mem::take(&mut self.readers[origin as usize]);
        reader.read(text, |line| self.line(origin, line));
        self.readers[origin as usize] = reader;
        self.taken - before
    }

    /// Nothing more comes from `origin`: its last line counts although it has no end, and records no longer wait for
    /// its secrets.
    pub fn end(&mut self, origin: Origin) -> u64 {
        let before = self.taken;
        let mut reader = std::mem::take(&mut self.readers[origin as usize]);
        reader.finish(|line| self.line(origin, line));
        self.expected[origin as usize] = false;
        self.generation += 1;
        self.taken - before
    }

    /// Secrets may come from `origin`: from now on records wait for them.
    pub fn expect(&mut self, origin: Origin) {
        if !std::mem::replace(&mut self.expected[origin as usize], true) {
            self.generation += 1;
        }
    }

    /// Whether more secrets may come.
    pub fn expects_more(&self) -> bool {
        self.expected.contains(&true)
    }

    /// Takes one secret. Whether it is new.
    pub fn add(&mut self, mut secret: Secret) -> bool {
        let mut known = 0;
        let mut duplicate = false;
        for other in self.of(&secret.client_random) {
            known += 1;
            duplicate |= other.label == secret.label && other.bytes() == secret.bytes();
        }
        if duplicate {
            self.counts.duplicates += 1;
            return false;
        }
        if known >= SECRETS_EACH {
            self.counts.excess += 1;
            return false;
        }
        self.make_room();
        let serial = self.taken;
        let hash = self.hasher.hash_one(secret.client_random);
        let (pieces, capacity, hasher) = (&self.pieces, self.capacity, &self.hasher);
        let random_of = |serial: u64| &slot(pieces, capacity, serial).client_random;
        match self.newest.find_mut(hash, |&other| *random_of(other) == secret.client_random) {
            Some(newest) => {
                secret.before = *newest + 1;
                *newest = serial;
            }
            None => {
                self.newest.insert_unique(hash, serial, |&other| hasher.hash_one(random_of(other)));
            }
        }
        let index = (serial % self.capacity) as usize;
        self.pieces[index / PIECE][index % PIECE] = secret;
        self.taken += 1;
        self.generation += 1;
        self.counts.secrets += 1;
        true
    }

    /// The secrets of one label for a client random, the newest first. There is more than one when sources disagree.
    pub fn secrets(&self, client_random: &ClientRandom, label: Label) -> impl Iterator<Item = &Secret> {
        self.of(client_random).filter(move |secret| secret.label == label)
    }

    /// All secrets for these client randoms, in key log format, to be written where somebody asked for it.
    pub fn key_log(&self, client_randoms: &[ClientRandom]) -> Zeroizing<Vec<u8>> {
        let lines = client_randoms.iter().map(|random| self.count(random)).sum::<usize>();
        let mut text = Zeroizing::new(Vec::with_capacity(lines * keylog::LINE));
        for random in client_randoms {
            // The oldest first: what conflicts with it came later.
            let secrets: Vec<&Secret> = self.of(random).collect();
            secrets.into_iter().rev().for_each(|secret| keylog::write_line(secret, random, &mut text));
        }
        text
    }

    /// Whether there is a secret of that label.
    pub fn has(&self, client_random: &ClientRandom, label: Label) -> bool {
        self.secrets(client_random, label).next().is_some()
    }

    /// How many secrets there are for a client random.
    pub fn count(&self, client_random: &ClientRandom) -> usize {
        self.of(client_random).count()
    }

    /// Changes with every new secret, and when it changes whether more may come: whoever looked in vain need not look
    /// again before it does.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The room for all records that wait for secrets of this store.
    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    /// How many secrets are kept.
    pub fn len(&self) -> usize {
        self.taken.min(self.capacity) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// What was read, in numbers.
    pub fn counts(&self) -> KeyLogCounts {
        self.counts
    }

    /// All secrets for a client random, the newest first.
    fn of(&self, client_random: &ClientRandom) -> impl Iterator<Item = &Secret> {
        let hash = self.hasher.hash_one(client_random);
        let oldest = self.taken.saturating_sub(self.capacity);
        let newest =
            self.newest.find(hash, |&serial| slot(&self.pieces, self.capacity, serial).client_random == *client_random);
        let mut next = newest.map_or(0, |serial| serial + 1);
        std::iter::from_fn(move || {
            let serial = next.checked_sub(1)?;
            if serial < oldest {
                return None;
            }
            let secret = slot(&self.pieces, self.capacity, serial);
            next = secret.before;
            Some(secret)
        })
    }

    /// Makes a slot for the next serial number: a new piece of memory, or the slot of the oldest secret.
    fn make_room(&mut self) {
        let index = (self.taken % self.capacity) as usize;
        if self.taken < self.capacity {
            if index / PIECE >= self.pieces.len() {
                self.pieces.push(vec![Secret::EMPTY; PIECE].into_boxed_slice());
            }
            return;
        }
        let evicted = self.taken - self.capacity;
        let hash = self.hasher.hash_one(slot(&self.pieces, self.capacity, evicted).client_random);
        // Where a newer secret has the same client random, its chain ends by itself before the one that goes.
        if let Ok(entry) = self.newest.find_entry(hash, |&serial| serial == evicted) {
            entry.remove();
        }
        self.counts.evicted += 1;
    }

    fn line(&mut self, origin: Origin, line: &[u8]) {
        let Some(line) = keylog::content(line) else { return };
        self.counts.lines += 1;
        self.counts.binary |= line.iter().any(|&byte| byte < b' ' && byte != b'\t');
        match keylog::parse_line(origin, line) {
            Line::Secret(secret) => {
                self.add(secret);
            }
            Line::Other => self.counts.other_labels += 1,
            Line::Malformed => self.counts.malformed += 1,
        }
    }
}

impl fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretStore").field("secrets", &self.len()).finish_non_exhaustive()
    }
}

/// A number of bytes that all connections share: [`Limits::tls_held_total`].
#[derive(Clone)]
pub(super) struct Room {
    left: Arc<AtomicUsize>,
}

impl Room {
    /// Whether there was so much room; it is taken then.
    pub(super) fn take(&self, bytes: usize) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    /// Gives back what was taken.
    pub(super) fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn slot(pieces: &[Box<[Secret]>], capacity: u64, serial: u64) -> &Secret {
    let index = (serial % capacity) as usize;
    &pieces[index / PIECE][index % PIECE]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(secrets: usize) -> SecretStore {
        SecretStore::new(&Limits { secrets, ..Limits::default() })
    }

    fn master(random: u8, secret: u8) -> String {
        format!("CLIENT_RANDOM {} {}\n", format!("{random:02x}").repeat(32), format!("{secret:02X}").repeat(48))
    }

    #[test]
    fn a_line_may_be_split_anywhere() {
        let text = format!("# comment\r\n\r\n{}{}", master(1, 2), master(3, 4).trim_end());
        for cut in 0..text.len() {
            let mut store = store(10);
            store.feed(Origin::KeyLog, &text.as_bytes()[..cut]);
            // Another source in between does not mix with the unfinished line.
            store.feed(Origin::SecretsBlock, master(9, 9).as_bytes());
            store.feed(Origin::KeyLog, &text.as_bytes()[cut..]);
            assert!(!store.has(&[3; 32], Label::MasterSecret));
            assert_eq!(store.end(Origin::KeyLog), 1);
            let secret = store.secrets(&[1; 32], Label::MasterSecret).next().unwrap();
            assert_eq!((secret.bytes(), secret.origin()), (&[2; 48][..], Origin::KeyLog));
            assert_eq!(store.counts(), KeyLogCounts { lines: 3, secrets: 3, ..Default::default() });
        }
    }

    #[test]
    fn what_is_not_a_secret_is_counted_and_skipped() {
        let mut store = store(10);
        let random = "ab".repeat(32);
        let text = format!(
            "CLIENT_RANDOM {random} 0011\nCLIENT_RANDOM {random}\nCLIENT_RANDOM xx yy\nhello world again\n\
             EXPORTER_SECRET {random} 0011\nCLIENT_TRAFFIC_SECRET_0 {random} {}\n{}\n{}{}",
            "cd".repeat(33),
            "x".repeat(10_000),
            master(1, 1),
            master(1, 1),
        );
        store.feed(Origin::KeyLog, text.as_bytes());
        let counts = KeyLogCounts {
            lines: 9,
            secrets: 1,
            duplicates: 1,
            other_labels: 1,
            malformed: 6,
            ..KeyLogCounts::default()
        };
        assert_eq!(store.counts(), counts);
    }

    #[test]
    fn a_binary_file_is_told() {
        let mut store = store(10);
        let bytes: Vec<u8> = (0..=255u8).cycle().take(100_000).collect();
        store.feed(Origin::KeyLog, &bytes);
        assert!(store.counts().binary && store.is_empty());
    }

    #[test]
    fn the_oldest_give_way() {
        let mut store = store(3);
        for round in 0..5u8 {
            store.feed(Origin::KeyLog, master(round, round).as_bytes());
        }
        assert_eq!((store.len(), store.counts().evicted), (3, 2));
        assert!(!store.has(&[1; 32], Label::MasterSecret) && store.has(&[2; 32], Label::MasterSecret));
        // The same client random again and again: the chain ends where its older members are gone.
        for round in 0..10u8 {
            store.feed(Origin::KeyLog, master(7, round).as_bytes());
        }
        let left: Vec<u8> = store.secrets(&[7; 32], Label::MasterSecret).map(|secret| secret.bytes()[0]).collect();
        assert_eq!(left, [9, 8, 7]);
        assert!(!store.has(&[4; 32], Label::MasterSecret));
    }

    #[test]
    fn one_client_random_cannot_fill_the_store() {
        let mut store = store(1000);
        for round in 0..100 {
            store.feed(Origin::KeyLog, master(7, round).as_bytes());
        }
        assert_eq!((store.len(), store.counts().excess), (SECRETS_EACH, 100 - SECRETS_EACH as u64));
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut store = store(10);
        store.feed(Origin::KeyLog, master(1, 0xEE).as_bytes());
        let secret = store.secrets(&[1; 32], Label::MasterSecret).next().unwrap();
        let shown = format!("{store:?} {secret:?}").to_lowercase();
        assert!(!shown.contains("ee, ") && !shown.contains("eeee") && !shown.contains("238"));
    }
}
