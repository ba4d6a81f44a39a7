//! One TLS connection: records in, application data and facts out.

use std::borrow::Cow;
use std::mem;

use zeroize::Zeroizing;

use super::facts::{ALERTS_KEPT, EarlyData, TlsAlert, TlsFacts};
use super::half::{Half, Loss, Opened, Stage};
use super::handshake::{HandshakeType, MessageReader};
use super::hello::ProtocolVersion;
use super::negotiation::{Effect, Negotiation};
use super::record::{ContentType, RecordHeader, RecordReader, Step};
use super::secrets::{Label, SecretStore};
use super::shape::{Sealed, Shape};
use super::waiting::{Item, Waiting};
use super::{TlsOutput, alert};
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
    secrets: Secrets,
    /// The store's generation when `secrets` was found out.
    generation: Option<u64>,
    /// How many secrets there were for this connection then.
    known: usize,
    waiting: Waiting,
    /// Early data whose fate is not known yet: what the server ignores is sent again.
    early: Vec<(Moment, Zeroizing<Vec<u8>>)>,
    early_bytes: usize,
    scratch: Vec<u8>,
    shape: Shape,
    facts: TlsFacts,
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
    /// Nothing of it was read so far.
    unread: bool,
    ended: bool,
}

/// How things stand with the secrets of this connection.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Secrets {
    /// They are there.
    Known,
    /// They may come: records wait.
    Awaited,
    /// There are none, and none are expected; or they would be of no use. Why, if there are secrets at all.
    Missing(Option<Cow<'static, str>>),
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
            unread: true,
            ended: false,
        };
        Observer {
            handshake_bytes: limits.tls_handshake_bytes,
            held_bytes: limits.tls_held_bytes,
            directions: ByRole { client: direction(Role::Client), server: direction(Role::Server) },
            negotiation: Negotiation::default(),
            secrets: Secrets::Missing(None),
            generation: None,
            known: 0,
            waiting: Waiting::default(),
            early: Vec::new(),
            early_bytes: 0,
            scratch: Vec::new(),
            shape: Shape::default(),
            facts: TlsFacts::default(),
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
            let wanted = |header: RecordHeader| {
                reads || !(keyed && header.length > 2 || header.content == ContentType::APPLICATION_DATA)
            };
            match direction.records.next(&mut bytes, wanted) {
                Some(step) => self.step(role, moment, step, secrets, out),
                None => break,
            }
        }
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
        if let Some(step) = self.directions[role].records.gap(bytes) {
            self.step(role, moment, step, secrets, out);
        }
        self.cut_message(role, moment, secrets, out);
    }

    /// `role` sends nothing more (FIN or RST), or the capture is over.
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
        if self.directions[role.peer()].ended && self.secrets == Secrets::Awaited {
            // What has not come by now is not waited for.
            self.secrets = Secrets::Known;
            self.drain(secrets, out);
        }
        self.leave(role);
        if self.is_decrypting() && self.waiting.is_empty() {
            self.tell_what_is_missing(role, moment, out);
            if self.directions[role.peer()].ended {
                self.tell_what_is_missing(role.peer(), moment, out);
            }
        }
    }

    /// Looks for secrets again: for a connection that is silent while [`SecretStore::generation`] changed. `handle`
    /// does so by itself. Records that waited come out with the moments at which they were captured.
    pub fn retry(&mut self, secrets: &SecretStore, out: &mut impl FnMut(Role, Moment, TlsOutput<'_>)) {
        self.look_again(secrets, out);
    }

    /// Whether plaintext came out, or will as soon as application data is sent.
    pub fn is_decrypting(&self) -> bool {
        self.facts.decrypted_by.is_some()
    }

    /// All that is known now.
    pub fn facts(&self) -> TlsFacts {
        let mut facts = self.facts.clone();
        let ended = ByRole { client: self.directions.client.ended, server: self.directions.server.ended };
        self.shape.conclude(ended, &mut facts);
        facts.not_decrypted = self.why_not_decrypted();
        facts
    }

    /// Whether bodies of encrypted records of that direction are of use.
    fn reads(&self, role: Role) -> bool {
        match self.secrets {
            Secrets::Known => !self.directions[role].half.has_given_up(),
            Secrets::Awaited => true,
            Secrets::Missing(_) => false,
        }
    }

    fn step(&mut self, role: Role, moment: Moment, step: Step<'_>, secrets: &SecretStore, out: &mut Out<'_>) {
        match step {
            Step::Record(header, body) if !self.is_sealed(role, header) => {
                self.in_clear(role, moment, header.content, &body, secrets, out);
            }
            Step::Record(header, body) => {
                self.note(role, moment, header);
                match self.secrets {
                    Secrets::Known => self.open(role, moment, header, &body, secrets, out),
                    Secrets::Awaited => {
                        let loss = self.directions[role].half.loss_of(header, &self.negotiation.hellos);
                        let room = secrets.room();
                        self.waiting.push((role, moment, header), &body, loss, self.held_bytes, room);
                    }
                    Secrets::Missing(_) => self.lose_record(role, header, secrets),
                }
            }
            Step::Passed(header) => {
                self.note(role, moment, header);
                self.lose_record(role, header, secrets);
            }
            Step::Damaged(header, _) if self.is_sealed(role, header) => {
                self.note(role, moment, header);
                self.lose_record(role, header, secrets);
            }
            Step::Damaged(header, body) => {
                self.directions[role].holes = true;
                self.in_clear(role, moment, header.content, &body, secrets, out);
            }
            Step::Lost(bytes) => {
                self.directions[role].holes = true;
                self.lose(role, Loss { unknown: bytes, ..Loss::default() }, secrets);
            }
            Step::NotTls => self.facts.not_tls = Some(role),
        }
    }

    /// Whether a record is encrypted. In TLS 1.3 that is what application_data means; in TLS 1.2 everything is that
    /// follows a change_cipher_spec.
    fn is_sealed(&self, role: Role, header: RecordHeader) -> bool {
        header.content == ContentType::APPLICATION_DATA || self.directions[role].keyed && header.length > 2
    }

    fn is_tls13(&self) -> bool {
        self.negotiation.hellos.may_be_tls13()
    }

    /// Notes size and time of an encrypted record when it is captured, whether it will be read or not.
    fn note(&mut self, role: Role, moment: Moment, header: RecordHeader) {
        let tls13 = self.is_tls13();
        match header.content {
            ContentType::APPLICATION_DATA => {
                let suite = self.negotiation.hellos.suite;
                if tls13 {
                    match self.shape.sealed_tls13(role, moment, header.length, suite, &mut self.facts) {
                        Sealed::Data => {}
                        Sealed::Handshake => return,
                        Sealed::Rejection => {
                            return self.note_alert(TlsAlert { by: role, level: None, description: None, moment });
                        }
                    }
                }
                let (least, _) = self.negotiation.hellos.overhead();
                let size = u32::from(header.length.saturating_sub(least));
                self.shape.data(role, moment, size, tls13, &mut self.facts);
            }
            ContentType::HANDSHAKE => self.shape.finished_tls12(role, moment, &mut self.facts),
            ContentType::ALERT => {
                self.note_alert(TlsAlert { by: role, level: None, description: None, moment });
                if self.facts.handshake_done.is_some() {
                    self.facts.close_notify[role] = Some(moment);
                }
            }
            _ => {}
        }
    }

    fn note_alert(&mut self, alert: TlsAlert) {
        if self.facts.alerts.len() < ALERTS_KEPT {
            self.facts.alerts.push(alert);
        }
    }

    /// A record that is not encrypted, or was decrypted.
    fn in_clear(
        &mut self,
        role: Role,
        moment: Moment,
        content: ContentType,
        body: &[u8],
        secrets: &SecretStore,
        out: &mut Out<'_>,
    ) {
        match content {
            ContentType::CHANGE_CIPHER_SPEC => self.change_cipher_spec(role),
            ContentType::ALERT => self.alert(role, moment, body, out),
            ContentType::HANDSHAKE => {
                let mut reader = mem::take(&mut self.directions[role].messages);
                let limit = self.handshake_bytes;
                reader.read(body, limit, |kind, body| self.message(role, moment, kind, body, secrets, out));
                self.directions[role].messages = reader;
            }
            _ => {}
        }
    }

    /// A message of which the end is missing. A hello says the most in its beginning: where the snap length cuts it.
    fn cut_message(&mut self, role: Role, moment: Moment, secrets: &SecretStore, out: &mut Out<'_>) {
        let mut reader = mem::take(&mut self.directions[role].messages);
        reader.cut(|kind, body| {
            if matches!(kind, HandshakeType::CLIENT_HELLO | HandshakeType::SERVER_HELLO) {
                self.message(role, moment, kind, body, secrets, out);
            }
        });
    }

    /// RFC 5246 §7.1: the sender's next record has the new keys. TLS 1.3 sends it for the middleboxes only.
    fn change_cipher_spec(&mut self, role: Role) {
        if self.is_tls13() {
            return;
        }
        let direction = &mut self.directions[role];
        direction.keyed = true;
        direction.half.begin(Stage::Application);
        if role == Role::Server {
            self.negotiation.server_changes_keys(&mut self.facts, direction.holes);
        }
    }

    fn alert(&mut self, role: Role, moment: Moment, body: &[u8], out: &mut Out<'_>) {
        let &[level, description] = body else { return };
        let alert = TlsAlert { by: role, level: Some(level), description: Some(description), moment };
        // Noted already as an encrypted one, before it was decrypted.
        let noted = self
            .facts
            .alerts
            .iter_mut()
            .find(|noted| noted.by == role && noted.moment == moment && noted.description.is_none());
        match noted {
            Some(noted) => *noted = alert,
            None => {
                self.note_alert(alert);
                if self.facts.last_record[role] == Some((moment, 2)) && self.is_tls13() {
                    self.shape.take_back(role, &mut self.facts);
                }
            }
        }
        if description == alert::CLOSE_NOTIFY {
            self.facts.close_notify[role] = Some(moment);
            out(role, moment, TlsOutput::End);
        } else if self.facts.close_notify[role] == Some(moment) {
            self.facts.close_notify[role] = None;
        }
    }

    fn message(
        &mut self,
        role: Role,
        moment: Moment,
        kind: HandshakeType,
        body: &[u8],
        secrets: &SecretStore,
        out: &mut Out<'_>,
    ) {
        match self.negotiation.message(role, moment, kind, body, &mut self.facts) {
            Effect::None => {}
            Effect::ClientHello { early_data } => {
                if early_data && !self.directions.client.half.is_reading() {
                    self.directions.client.half.begin(Stage::Early);
                }
                self.find_secrets(secrets);
            }
            Effect::ServerHello => self.find_secrets(secrets),
            Effect::EarlyData { accepted } => self.settle_early_data(accepted, out),
            Effect::EndOfEarlyData => {
                self.settle_early_data(true, out);
                self.directions[role].half.begin(Stage::Handshake);
            }
            Effect::Finished if self.is_tls13() => {
                self.directions[role].half.begin(Stage::Application);
                if role == Role::Client {
                    self.facts.handshake_done = Some(moment);
                }
            }
            Effect::Finished => {}
            Effect::KeyUpdate => self.directions[role].half.update_keys(),
        }
    }

    /// Decrypts a record and passes on what is in it.
    fn open(
        &mut self,
        role: Role,
        moment: Moment,
        header: RecordHeader,
        body: &[u8],
        secrets: &SecretStore,
        out: &mut Out<'_>,
    ) {
        let mut plain = mem::take(&mut self.scratch);
        let half = &mut self.directions[role].half;
        if let Some(opened) = half.open(&self.negotiation.hellos, secrets, header, body, &mut plain) {
            self.opened(role, moment, opened, &plain, secrets, out);
        }
        self.scratch = plain;
    }

    fn opened(
        &mut self,
        role: Role,
        moment: Moment,
        opened: Opened,
        plain: &[u8],
        secrets: &SecretStore,
        out: &mut Out<'_>,
    ) {
        self.facts.decrypted_by = Some(opened.origin.name());
        if opened.stage == Stage::Application {
            self.directions[role].unread = false;
        }
        if let Some((bytes, exact)) = opened.missing {
            self.facts.unread_bytes[role] += bytes;
            out(role, moment, TlsOutput::Gap { bytes, exact });
        }
        if opened.content != ContentType::APPLICATION_DATA {
            self.in_clear(role, moment, opened.content, plain, secrets, out);
        } else if opened.stage == Stage::Early {
            self.hold_early_data(moment, plain);
        } else if !plain.is_empty() {
            out(role, moment, TlsOutput::Plain(plain));
        }
    }

    fn hold_early_data(&mut self, moment: Moment, plain: &[u8]) {
        if self.early_bytes + plain.len() <= self.held_bytes {
            self.early_bytes += plain.len();
            self.early.push((moment, Zeroizing::new(plain.to_vec())));
        }
    }

    /// RFC 8446 §4.2.10: the server takes the early data or ignores it.
    fn settle_early_data(&mut self, accepted: bool, out: &mut Out<'_>) {
        let early = mem::take(&mut self.early);
        if self.facts.early_data != Some(EarlyData::Offered) {
            return;
        }
        self.facts.early_data = Some(if accepted { EarlyData::Accepted } else { EarlyData::Rejected });
        for (moment, plain) in early.iter().filter(|_| accepted) {
            out(Role::Client, *moment, TlsOutput::Plain(plain));
        }
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
        self.find_secrets(secrets);
        if self.secrets != Secrets::Awaited && !self.waiting.is_empty() {
            self.drain(secrets, out);
        }
    }

    /// Reads what waited, in order of capture, as long as its secrets are there: a renegotiation asks for others.
    fn drain(&mut self, secrets: &SecretStore, out: &mut Out<'_>) {
        while self.secrets != Secrets::Awaited
            && let Some(item) = self.waiting.pop()
        {
            match item {
                Item::Record(role, moment, header, body) => self.open(role, moment, header, &body, secrets, out),
                Item::Lost(role, loss) => self.directions[role].half.lose(loss),
            }
        }
    }

    /// Finds out how things stand with the secrets.
    fn find_secrets(&mut self, secrets: &SecretStore) {
        self.generation = Some(secrets.generation());
        let hellos = &self.negotiation.hellos;
        let missing = |why| Secrets::Missing((!secrets.is_empty()).then_some(Cow::Borrowed(why)));
        let Some(random) = &hellos.client_random else {
            self.secrets = missing(
                "the ClientHello was not captured: without its random value no secret can be chosen; \
                 start the capture before the connection",
            );
            return;
        };
        let known = secrets.count(random);
        if mem::replace(&mut self.known, known) != known {
            self.directions.client.half.try_again();
            self.directions.server.half.try_again();
        }
        self.secrets = if let Some(why) = self.cannot_be_decrypted() {
            Secrets::Missing(Some(Cow::Owned(why)))
        } else if has_all(secrets, random, hellos) || !secrets.expects_more() && has_any(secrets, random, hellos) {
            Secrets::Known
        } else if secrets.expects_more() {
            Secrets::Awaited
        } else {
            missing("the key log has no secret for this connection")
        };
    }

    /// Why no secret would help.
    fn cannot_be_decrypted(&self) -> Option<String> {
        let hellos = &self.negotiation.hellos;
        let version = hellos.version?;
        if version < ProtocolVersion::TLS12 {
            return Some(format!("{} is not decrypted here", version.name().unwrap_or("this version")));
        }
        let suite = hellos.suite?;
        if suite.protection().is_none() {
            let name = suite.name().map_or_else(|| format!("{:#06x}", suite.0), str::to_owned);
            return Some(format!("the cipher suite {name} is not decrypted here"));
        }
        None
    }

    fn why_not_decrypted(&self) -> Option<String> {
        let half = |role: Role| &self.directions[role].half;
        match &self.secrets {
            Secrets::Missing(why) => why.as_deref().filter(|_| !self.is_decrypting()).map(str::to_owned),
            Secrets::Awaited if self.is_decrypting() => None,
            Secrets::Awaited => Some("no secret for this connection has come yet".to_owned()),
            Secrets::Known => {
                let role = Role::BOTH.into_iter().find(|&role| half(role).has_failed())?;
                let name = role.name();
                Some(if half(role).is_reading() {
                    format!("the {name}'s records cannot be read after a hole in the capture")
                } else {
                    format!("the secrets do not fit: no record of the {name} authenticates")
                })
            }
        }
    }

    /// `role` has ended: what could not be read at its end.
    fn tell_what_is_missing(&mut self, role: Role, moment: Moment, out: &mut Out<'_>) {
        let direction = &mut self.directions[role];
        let missing = direction.half.finish(&self.negotiation.hellos).or_else(|| {
            // Only the other direction could be read.
            let never = mem::take(&mut direction.unread);
            let bytes = self.facts.bytes[role];
            (never && bytes > 0).then_some((bytes, false))
        });
        if let Some((bytes, exact)) = missing {
            self.facts.unread_bytes[role] += bytes;
            out(role, moment, TlsOutput::Gap { bytes, exact });
        }
    }

    /// What it means that `role` ends now.
    fn leave(&mut self, role: Role) {
        let facts = &mut self.facts;
        let flight = self.shape.saw_server_flight() || self.negotiation.server_is_done();
        if role == Role::Client && flight && facts.handshake_done.is_none() && !self.directions.server.ended {
            facts.client_left_after_server_flight = true;
        }
        // TLS 1.3: an alert has two bytes of plaintext; so has an empty ping of a server, but not as its last word
        // before the end.
        let last = facts.last_record[role].filter(|&(_, size)| size == 2);
        if let Some((at, _)) = last.filter(|_| self.negotiation.hellos.may_be_tls13() && facts.decrypted_by.is_none()) {
            let was_first = facts.record_count[role] == 1;
            self.shape.take_back(role, facts);
            if !was_first {
                facts.close_notify[role] = Some(at);
            } else {
                self.note_alert(TlsAlert { by: role, level: None, description: None, moment: at });
            }
        }
    }
}

/// Whether both directions can be read.
fn has_all(secrets: &SecretStore, random: &[u8; 32], hellos: &super::half::Hellos) -> bool {
    if hellos.may_be_tls13() {
        secrets.has(random, Label::ClientTraffic) && secrets.has(random, Label::ServerTraffic)
            || hellos.version.is_none() && secrets.has(random, Label::MasterSecret)
    } else {
        secrets.has(random, Label::MasterSecret)
    }
}

/// Whether something can be read.
fn has_any(secrets: &SecretStore, random: &[u8; 32], hellos: &super::half::Hellos) -> bool {
    has_all(secrets, random, hellos)
        || hellos.may_be_tls13()
            && [
                Label::ClientTraffic,
                Label::ServerTraffic,
                Label::ClientHandshakeTraffic,
                Label::ServerHandshakeTraffic,
            ]
            .into_iter()
            .any(|label| secrets.has(random, label))
}
