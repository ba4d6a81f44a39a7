//! One TLS connection: records in, application data and facts out.

mod reading;

use std::mem;

use super::TlsOutput;
use super::early::EarlyDataHeld;
use super::facts::{Sizes, TlsFacts};
use super::half::{Half, Loss};
use super::handshake::MessageReader;
use super::negotiation::Negotiation;
use super::prospect::Prospect;
use super::record::{ContentType, RecordHeader, RecordReader};
use super::secrets::SecretStore;
use super::visible::Visible;
use super::waiting::{Item, Waiting};
use crate::limits::Limits;
use crate::packet::Moment;
use crate::stream::{ByRole, Role};

/// One TLS connection.
///
/// Costs little while there are no secrets: bodies of encrypted records are passed over without being copied.
pub struct Observer {
    handshake_bytes: usize,
    held_bytes: usize,
    directions: ByRole<Direction>,
    negotiation: Negotiation,
    visible: Visible,
    prospect: Prospect,
    /// The store's generation when `prospect` was found out.
    generation: Option<u64>,
    /// How many secrets there were for this connection then.
    secrets_known: usize,
    waiting: Waiting,
    early: EarlyDataHeld,
    /// Bytes of the client are missing in front of its first record of application data.
    opening_torn: bool,
    scratch: Vec<u8>,
}

/// One direction of it.
struct Direction {
    records: RecordReader,
    messages: MessageReader,
    half: Half,
    /// TLS 1.2: the sender has changed to keys.
    keyed: bool,
    /// Bytes are missing from what was in clear.
    holes: bool,
    /// Application data of it was read.
    read: bool,
    ended: bool,
}

type Out<'o> = dyn FnMut(Role, Moment, TlsOutput<'_>) + 'o;

impl Observer {
    /// A connection that is seen from its first byte.
    pub fn new(limits: &Limits) -> Observer {
        Observer::with(limits, RecordReader::new)
    }

    /// A connection that was open before the capture began: the first bytes may lie in the middle of a record.
    pub fn joined(limits: &Limits) -> Observer {
        Observer::with(limits, RecordReader::joined)
    }

    fn with(limits: &Limits, records: fn() -> RecordReader) -> Observer {
        let direction = |role| Direction {
            records: records(),
            messages: MessageReader::default(),
            half: Half::new(role),
            keyed: false,
            holes: false,
            read: false,
            ended: false,
        };
        Observer {
            handshake_bytes: limits.tls_handshake_bytes,
            held_bytes: limits.tls_held_bytes,
            directions: ByRole { client: direction(Role::Client), server: direction(Role::Server) },
            negotiation: Negotiation::default(),
            visible: Visible::default(),
            prospect: Prospect::Dark(None),
            generation: None,
            secrets_known: 0,
            waiting: Waiting::default(),
            early: EarlyDataHeld::default(),
            opening_torn: false,
            scratch: Vec::new(),
        }
    }

    /// Takes the next bytes that `role` sent.
    pub fn handle(
        &mut self,
        role: Role,
        mut bytes: &[u8],
        moment: Moment,
        secrets: &SecretStore,
        out: &mut impl FnMut(Role, Moment, TlsOutput<'_>),
    ) {
        self.look_again(secrets, out);
        loop {
            let reads = self.reads(role);
            let direction = &mut self.directions[role];
            let keyed = direction.keyed;
            match direction.records.next(&mut bytes, |header| reads || !is_sealed(keyed, header)) {
                Some(step) => self.step(role, moment, step, secrets, out),
                None => break,
            }
        }
        // Kept for the next record of a chat, given back after one of a download.
        if self.scratch.capacity() > 4096 {
            self.scratch = Vec::new();
        }
    }

    /// `bytes` of what `role` sent are missing here.
    pub fn gap(
        &mut self,
        role: Role,
        bytes: u64,
        moment: Moment,
        secrets: &SecretStore,
        out: &mut impl FnMut(Role, Moment, TlsOutput<'_>),
    ) {
        self.look_again(secrets, out);
        self.opening_torn |= role == Role::Client && self.visible.facts.records.client.is_empty();
        if let Some(step) = self.directions[role].records.gap(bytes) {
            self.step(role, moment, step, secrets, out);
        }
        self.cut_message(role, moment, secrets, out);
    }

    /// `role` sends nothing more (FIN or RST), or the capture is over. What waits for secrets still waits: a key log may
    /// be read later than a short connection is over.
    pub fn finish(
        &mut self,
        role: Role,
        moment: Moment,
        secrets: &SecretStore,
        out: &mut impl FnMut(Role, Moment, TlsOutput<'_>),
    ) {
        if mem::replace(&mut self.directions[role].ended, true) {
            return;
        }
        self.look_again(secrets, out);
        let cut = self.directions[role].records.finish();
        if cut > 0 {
            self.lose(role, Loss { unknown: cut, ..Loss::default() }, secrets);
        }
        let peer_ended = self.directions[role.peer()].ended;
        self.visible.ends(role, peer_ended, self.negotiation.server_is_done(), self.is_tls13());
        if self.waiting.is_empty() {
            self.tell_what_is_missing(role, moment, out);
        }
    }

    /// The connection is about to be forgotten: what waits for secrets waits no longer.
    pub fn give_up(
        &mut self,
        moment: Moment,
        secrets: &SecretStore,
        out: &mut impl FnMut(Role, Moment, TlsOutput<'_>),
    ) {
        if self.prospect == Prospect::Awaited {
            self.find_secrets(secrets, false);
            self.drain(secrets, out);
        }
        for role in Role::BOTH {
            self.tell_what_is_missing(role, moment, out);
        }
    }

    /// Looks for secrets again: for a connection that is silent while [`SecretStore::generation`] changed. `handle`
    /// does so by itself. Records that waited come out with the moments at which they were captured.
    pub fn retry(&mut self, secrets: &SecretStore, out: &mut impl FnMut(Role, Moment, TlsOutput<'_>)) {
        self.look_again(secrets, out);
    }

    /// Whether application data came out, or will as soon as some is sent.
    pub fn is_decrypting(&self) -> bool {
        let facts = &self.visible.facts;
        let read = self.directions.client.read || self.directions.server.read;
        read || facts.decrypted_by.is_some() && self.prospect == Prospect::Known && !self.has_failed()
    }

    /// Whether records wait for secrets.
    pub fn is_waiting(&self) -> bool {
        self.prospect == Prospect::Awaited
    }

    /// Record sizes so far.
    pub fn sizes(&self) -> Sizes<'_> {
        let seen = |role: Role| !self.directions[role].holes;
        let from_the_start = self.negotiation.hellos.client_random.is_some();
        let whole = seen(Role::Client) && seen(Role::Server) && from_the_start;
        Sizes { whole, first_asked: from_the_start && !self.opening_torn, ..self.visible.sizes(self.is_tls13()) }
    }

    /// All that is known now.
    pub fn facts(&self) -> TlsFacts {
        let ended = ByRole { client: self.directions.client.ended, server: self.directions.server.ended };
        let mut facts = self.visible.conclude(ended);
        facts.client_random = self.negotiation.hellos.client_random;
        facts.not_decrypted = self.why_not_decrypted();
        let said = facts.record_count.client + facts.record_count.server;
        if said > 0 && facts.not_decrypted.is_some() && !self.is_decrypting() {
            // The secrets of the handshake do not open what was said after it.
            facts.decrypted_by = None;
        }
        facts
    }

    /// Whether bodies of encrypted records of that direction are of use.
    fn reads(&self, role: Role) -> bool {
        match self.prospect {
            Prospect::Known | Prospect::Partial(_) => !self.directions[role].half.has_given_up(),
            Prospect::Awaited => true,
            Prospect::Dark(_) => false,
        }
    }

    fn is_tls13(&self) -> bool {
        self.negotiation.hellos.may_be_tls13()
    }

    fn lose_record(&mut self, role: Role, header: RecordHeader, secrets: &SecretStore) {
        let loss = self.directions[role].half.loss_of(header, &self.negotiation.hellos);
        self.lose(role, loss, secrets);
    }

    /// Behind records that wait, a loss waits too.
    fn lose(&mut self, role: Role, loss: Loss, secrets: &SecretStore) {
        if self.waiting.is_empty() {
            self.directions[role].half.lose(loss);
        } else {
            self.waiting.lose(role, loss, self.held_bytes, secrets.room());
        }
    }

    fn look_again(&mut self, secrets: &SecretStore, out: &mut Out<'_>) {
        if self.generation == Some(secrets.generation()) {
            return;
        }
        self.find_secrets(secrets, secrets.expects_more());
        if !self.waiting.is_empty() {
            self.drain(secrets, out);
        }
    }

    /// Reads what waited, in order of capture, as long as its secrets are there: a renegotiation asks for others.
    fn drain(&mut self, secrets: &SecretStore, out: &mut Out<'_>) {
        while self.prospect != Prospect::Awaited
            && let Some(item) = self.waiting.pop()
        {
            match item {
                Item::Record(role, moment, header, body) if self.prospect.is_bright() => {
                    self.open(role, moment, header, &body, secrets, out);
                }
                Item::Record(role, _, header, _) => {
                    let loss = self.directions[role].half.loss_of(header, &self.negotiation.hellos);
                    self.directions[role].half.lose(loss);
                }
                Item::Lost(role, loss) => self.directions[role].half.lose(loss),
            }
        }
    }

    /// Finds out how things stand with the secrets.
    fn find_secrets(&mut self, secrets: &SecretStore, waits: bool) {
        self.generation = Some(secrets.generation());
        let hellos = &self.negotiation.hellos;
        self.prospect = Prospect::of(hellos, secrets, waits);
        let known = hellos.client_random.as_ref().map_or(0, |random| secrets.count(random));
        if mem::replace(&mut self.secrets_known, known) != known {
            self.directions.client.half.try_again();
            self.directions.server.half.try_again();
        }
    }

    fn why_not_decrypted(&self) -> Option<String> {
        match &self.prospect {
            Prospect::Dark(_) if self.is_decrypting() => None,
            Prospect::Dark(why) => why.as_deref().map(str::to_owned),
            Prospect::Awaited if self.is_decrypting() => None,
            Prospect::Awaited => Some("no secret for this connection has come yet".to_owned()),
            Prospect::Partial(missing) => Some((*missing).to_owned()),
            Prospect::Known => {
                let half = |role: Role| &self.directions[role].half;
                let role = Role::BOTH.into_iter().find(|&role| half(role).has_failed())?;
                let name = role.name();
                Some(if self.negotiation.hellos.version.is_none() {
                    "the ServerHello was not captured: the secrets alone are not enough".to_owned()
                } else if half(role).is_reading() {
                    format!("the {name}'s records cannot be read after a hole in the capture")
                } else {
                    format!("the secrets do not fit: no record of the {name} authenticates")
                })
            }
        }
    }

    fn has_failed(&self) -> bool {
        Role::BOTH.into_iter().any(|role| self.directions[role].half.has_failed())
    }

    /// `role` has ended, or will not be heard of again: what could not be read at its end. Of a direction that could not be read at all that is all of
    /// it, when the other one could.
    fn tell_what_is_missing(&mut self, role: Role, moment: Moment, out: &mut Out<'_>) {
        if !self.is_decrypting() {
            return;
        }
        let direction = &mut self.directions[role];
        let mut missing = direction.half.finish(&self.negotiation.hellos);
        if !mem::replace(&mut direction.read, true) && direction.half.has_failed() && missing.is_none() {
            let bytes = self.visible.facts.bytes[role];
            missing = (bytes > 0).then_some((bytes, false));
        }
        if let Some(missing) = missing {
            self.tell_gap(role, moment, missing, out);
        }
    }

    fn tell_gap(&mut self, role: Role, moment: Moment, (bytes, exact): (u64, bool), out: &mut Out<'_>) {
        let unread = &mut self.visible.facts.unread_bytes[role];
        *unread = unread.saturating_add(bytes);
        out(role, moment, TlsOutput::Gap { bytes, exact });
    }
}

/// Whether a record is encrypted. In TLS 1.3 that is what application_data means; in TLS 1.2 everything is that follows
/// a change_cipher_spec. Two bytes are an alert in clear: encrypted it would be longer.
#[inline]
fn is_sealed(keyed: bool, header: RecordHeader) -> bool {
    header.content == ContentType::APPLICATION_DATA || keyed && header.length > 2
}
