//! One direction of a TLS connection: which keys are in use, and which sequence number comes next.
//!
//! The sequence number is nowhere on the wire. As long as every record was seen it is counted; over holes it is found
//! again by trying: a record authenticates with one number only.

use super::decryptor::take_inner_type;
use super::keys::{Hellos, Keys, Stage, candidates};
use super::record::{ContentType, RecordHeader};
use super::secrets::{Origin, SecretStore};
use crate::stream::Role;

/// Sequence numbers tried ahead of the first possible one when a hole hides how many records it swallowed.
const AHEAD: u64 = 64;

/// Records that the unread part of a handshake may consist of.
const HANDSHAKE_RECORDS: u64 = 16;

/// KeyUpdates that may have been in a hole.
const GENERATIONS: usize = 2;

/// Records tried in vain before the direction is given up, until new secrets come.
const FAILURES: u32 = 32;

/// Encrypted records that were not read, since the last one that was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Loss {
    /// Those whose boundaries are known.
    pub(super) records: u64,
    /// Plaintext bytes of these, if none is padded and all are application data.
    pub(super) plain: u64,
    /// Bytes on the wire, headers included, of those whose boundaries are not known.
    pub(super) unknown: u64,
}

impl Loss {
    pub(super) fn add(&mut self, other: Loss) {
        self.records = self.records.saturating_add(other.records);
        self.plain = self.plain.saturating_add(other.plain);
        self.unknown = self.unknown.saturating_add(other.unknown);
    }

    fn is_none(&self) -> bool {
        *self == Loss::default()
    }

    /// The application data in all of it, when those records whose boundaries are not known were `unseen` many.
    fn plaintext(&self, unseen: u64, hellos: &Hellos) -> u64 {
        let costs = unseen.saturating_mul(record_cost(hellos));
        self.plain.saturating_add(self.unknown.saturating_sub(costs))
    }
}

/// A record that was decrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Opened {
    /// What it carries.
    pub(super) content: ContentType,
    /// By which keys.
    pub(super) stage: Stage,
    /// Application data that is missing before it: how many bytes, and whether that is exact.
    pub(super) missing: Option<(u64, bool)>,
    /// Who the secret came from.
    pub(super) origin: Origin,
}

/// The encrypted part of one direction.
pub(super) struct Half {
    role: Role,
    stage: Stage,
    /// The keys that read the last record.
    keys: Option<Box<Keys>>,
    /// The number of the next record, if none was missed.
    seq: u64,
    loss: Loss,
    failures: u32,
    /// Whether any record of application data was padded (RFC 8446 §5.4): sizes are not to be trusted.
    padded: bool,
}

impl Half {
    pub(super) fn new(role: Role) -> Half {
        Half { role, stage: Stage::Handshake, keys: None, seq: 0, loss: Loss::default(), failures: 0, padded: false }
    }

    /// The keys change: those of `stage` begin, with sequence number 0. What was lost before goes.
    pub(super) fn begin(&mut self, stage: Stage) {
        *self = Half { stage, padded: self.padded, ..Half::new(self.role) };
    }

    /// Whether some record was read with the keys in use.
    pub(super) fn is_reading(&self) -> bool {
        self.keys.is_some()
    }

    /// Whether so many records were tried in vain that no more will be.
    pub(super) fn has_given_up(&self) -> bool {
        self.failures >= FAILURES
    }

    /// Whether records were tried in vain since the last one that was read.
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// New secrets came: trying begins anew.
    pub(super) fn try_again(&mut self) {
        self.failures = 0;
    }

    /// These records go unread.
    pub(super) fn lose(&mut self, loss: Loss) {
        self.loss.add(loss);
    }

    /// A record of that header goes unread.
    pub(super) fn loss_of(&self, header: RecordHeader, hellos: &Hellos) -> Loss {
        let plain = if header.content == ContentType::APPLICATION_DATA {
            u64::from(header.length).saturating_sub(hellos.overhead().0.into())
        } else {
            0
        };
        Loss { records: 1, plain, unknown: 0 }
    }

    /// The stream ends: application data that is still missing, as an estimate.
    pub(super) fn finish(&mut self, hellos: &Hellos) -> Option<(u64, bool)> {
        let loss = std::mem::take(&mut self.loss);
        let per_record = record_cost(hellos);
        let records = loss.unknown / (per_record + (1 << 14));
        let bytes = loss.plain.saturating_add(loss.unknown.saturating_sub(records * per_record));
        (bytes > 0 && self.stage == Stage::Application).then_some((bytes, loss.unknown == 0 && self.is_exact(hellos)))
    }

    /// Decrypts a record into `plain`, or counts it as lost.
    pub(super) fn open(
        &mut self,
        hellos: &Hellos,
        secrets: &SecretStore,
        header: RecordHeader,
        body: &[u8],
        plain: &mut Vec<u8>,
    ) -> Option<Opened> {
        if !self.has_given_up() {
            let opened = self
                .open_with_current(hellos, header, body, plain)
                .or_else(|| self.open_with_next_generation(hellos, header, body, plain))
                .or_else(|| self.open_with_new(hellos, secrets, header, body, plain));
            if let Some(missing) = opened {
                self.failures = 0;
                return self.describe(header, missing, plain);
            }
        }
        self.failures = self.failures.saturating_add(1);
        self.loss.add(self.loss_of(header, hellos));
        None
    }

    /// With the keys that read the last record. Without a hole this takes one try.
    fn open_with_current(
        &mut self,
        hellos: &Hellos,
        header: RecordHeader,
        body: &[u8],
        plain: &mut Vec<u8>,
    ) -> Option<Missing> {
        let keys = self.keys.as_mut()?;
        let next = self.seq.saturating_add(self.loss.records);
        let mut found = keys.decryptor.open(next, header, body, plain).then_some(next);
        if found.is_none() && !self.loss.is_none() {
            // What is missing fills records of 16 KiB at best.
            let least = next.saturating_add(self.loss.unknown / (record_cost(hellos) + (1 << 14)));
            let numbers = (next..=next.saturating_add(ahead(&self.loss, hellos))).skip(1);
            found = keys
                .by_explicit_nonce(body)
                .chain(numbers)
                .chain(least..=least.saturating_add(AHEAD))
                .find(|&seq| keys.decryptor.open(seq, header, body, plain));
        }
        let seq = found?;
        if let Some(explicit) = keys.decryptor.explicit_nonce(body) {
            keys.explicit = Some((seq, explicit));
        }
        Some(self.advance(seq, hellos))
    }

    /// With the keys after a KeyUpdate that fell into a hole.
    fn open_with_next_generation(
        &mut self,
        hellos: &Hellos,
        header: RecordHeader,
        body: &[u8],
        plain: &mut Vec<u8>,
    ) -> Option<Missing> {
        if self.stage != Stage::Application || self.loss.is_none() || !hellos.may_be_tls13() {
            return None;
        }
        let keys = self.keys.as_ref()?;
        let last = self.loss.records.saturating_add(ahead(&self.loss, hellos));
        let mut next = keys.next_generation()?;
        for _ in 0..GENERATIONS {
            if let Some(seq) = (0..=last.min(AHEAD)).find(|&seq| next.decryptor.open(seq, header, body, plain)) {
                self.keys = Some(Box::new(next));
                // How many records of the old keys were lost is not known: as if the new ones were all.
                let bytes = self.loss.plaintext(seq.saturating_sub(self.loss.records), hellos);
                self.loss = Loss::default();
                self.seq = seq.wrapping_add(1);
                return Some(Missing { bytes, exact: false });
            }
            next = next.next_generation()?;
        }
        None
    }

    /// With keys that have not read anything yet: of this stage, or of a later one whose beginning was not seen.
    fn open_with_new(
        &mut self,
        hellos: &Hellos,
        secrets: &SecretStore,
        header: RecordHeader,
        body: &[u8],
        plain: &mut Vec<u8>,
    ) -> Option<Missing> {
        let stages = [Stage::Early, Stage::Handshake, Stage::Application];
        let last = self.loss.records.saturating_add(ahead(&self.loss, hellos));
        for stage in
            stages.into_iter().filter(|&stage| stage > self.stage || (stage == self.stage && self.keys.is_none()))
        {
            // Records lost at the end of what was lost; or all of it was of the stages before.
            let numbers = (0..=last.min(HANDSHAKE_RECORDS))
                .chain(last.saturating_sub(HANDSHAKE_RECORDS + AHEAD).max(HANDSHAKE_RECORDS + 1)..=last);
            for mut keys in candidates(self.role, stage, hellos, secrets) {
                let Some(seq) = numbers.clone().find(|&seq| keys.decryptor.open(seq, header, body, plain)) else {
                    continue;
                };
                keys.explicit = keys.decryptor.explicit_nonce(body).map(|nonce| (seq, nonce));
                self.keys = Some(Box::new(keys));
                self.stage = stage;
                return Some(self.arrive(seq, hellos));
            }
        }
        None
    }

    /// Record `seq` was read with the keys in use: what is missing before it.
    fn advance(&mut self, seq: u64, hellos: &Hellos) -> Missing {
        let loss = std::mem::take(&mut self.loss);
        let unseen = seq.saturating_sub(self.seq.saturating_add(loss.records));
        self.seq = seq.wrapping_add(1);
        Missing { bytes: loss.plaintext(unseen, hellos), exact: self.is_exact(hellos) }
    }

    /// Record `seq` was the first to be read with its keys. Lost records before it were of this stage as far as `seq`
    /// says, the others of the handshake.
    fn arrive(&mut self, seq: u64, hellos: &Hellos) -> Missing {
        let loss = std::mem::take(&mut self.loss);
        self.seq = seq.wrapping_add(1);
        // In TLS 1.2 the first record behind the change of keys is the Finished message.
        let handshake = if hellos.may_be_tls13() { 0 } else { 1 };
        if seq <= handshake {
            return Missing { bytes: 0, exact: true };
        }
        let all = loss.records.max(seq);
        let bytes = loss.plaintext(seq.saturating_sub(loss.records), hellos);
        let share = u128::from(bytes) * u128::from(seq - handshake) / u128::from(all);
        Missing { bytes: u64::try_from(share).unwrap_or(bytes), exact: false }
    }

    fn is_exact(&self, hellos: &Hellos) -> bool {
        let (least, most) = hellos.overhead();
        least == most && !self.padded
    }

    fn describe(&mut self, header: RecordHeader, missing: Missing, plain: &mut Vec<u8>) -> Option<Opened> {
        let keys = self.keys.as_ref()?;
        let origin = keys.origin;
        let mut content = header.content;
        if keys.decryptor.is_tls13() {
            // A record of nothing but padding is a fault of the sender (RFC 8446 §5.4); it carries nothing.
            let (inner, padding) = take_inner_type(plain).unwrap_or((ContentType::APPLICATION_DATA, 0));
            content = inner;
            self.padded |= padding > 0 && content == ContentType::APPLICATION_DATA;
        }
        let missing = (missing.bytes > 0 && self.stage == Stage::Application).then_some((missing.bytes, missing.exact));
        Some(Opened { content, stage: self.stage, missing, origin })
    }

    /// A KeyUpdate was read: the records after it have the next keys (RFC 8446 §4.6.3).
    pub(super) fn update_keys(&mut self) {
        if let Some(next) = self.keys.as_ref().and_then(|keys| keys.next_generation()) {
            self.keys = Some(Box::new(next));
            self.seq = 0;
        }
    }
}

struct Missing {
    bytes: u64,
    exact: bool,
}

/// What a record costs on the wire above its plaintext.
fn record_cost(hellos: &Hellos) -> u64 {
    RecordHeader::LENGTH as u64 + u64::from(hellos.overhead().0)
}

/// How many records may lie in what is lost with unknown boundaries, at most, and no more than will be tried.
fn ahead(loss: &Loss, hellos: &Hellos) -> u64 {
    if loss.unknown == 0 { 0 } else { (loss.unknown / (record_cost(hellos) + 1) + 1).min(AHEAD) }
}
