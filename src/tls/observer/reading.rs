//! What the records of a connection say, one after another, and where each of them goes.

use std::mem;

use super::{Observer, Out, is_sealed};
use crate::packet::Moment;
use crate::stream::Role;
use crate::tls::TlsOutput;
use crate::tls::facts::EarlyData;
use crate::tls::half::{Loss, Opened};
use crate::tls::handshake::HandshakeType;
use crate::tls::keys::Stage;
use crate::tls::negotiation::Effect;
use crate::tls::prospect::Prospect;
use crate::tls::record::{ContentType, RecordHeader, Step};
use crate::tls::secrets::SecretStore;

impl Observer {
    /// Takes what the record layer found.
    pub(super) fn step(
        &mut self,
        role: Role,
        moment: Moment,
        step: Step<'_>,
        secrets: &SecretStore,
        out: &mut Out<'_>,
    ) {
        let keyed = self.directions[role].keyed;
        match step {
            Step::Record(header, body) if !is_sealed(keyed, header) => {
                self.in_clear(role, moment, header.content, &body, secrets, out);
            }
            Step::Record(header, body) => {
                self.visible.sealed(role, moment, header, &self.negotiation.hellos);
                self.sealed(role, moment, header, &body, secrets, out);
            }
            Step::Damaged(header, body) if !is_sealed(keyed, header) => {
                self.directions[role].holes = true;
                self.in_clear(role, moment, header.content, &body, secrets, out);
            }
            Step::Passed(header) | Step::Damaged(header, _) => {
                self.visible.sealed(role, moment, header, &self.negotiation.hellos);
                self.lose_record(role, header, secrets);
            }
            Step::Lost(bytes) => {
                self.directions[role].holes = true;
                self.lose(role, Loss { unknown: bytes, ..Loss::default() }, secrets);
            }
            Step::NotTls => self.visible.facts.not_tls = Some(role),
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
        match (content, body) {
            (ContentType::CHANGE_CIPHER_SPEC, _) => self.change_cipher_spec(role),
            (ContentType::ALERT, &[level, description]) => {
                let closes = self.visible.alert(role, moment, level, description, self.is_tls13());
                if closes {
                    out(role, moment, TlsOutput::End);
                }
            }
            (ContentType::HANDSHAKE, _) => {
                let mut reader = mem::take(&mut self.directions[role].messages);
                let limit = self.handshake_bytes;
                reader.read(body, limit, |kind, body| self.message(role, moment, kind, body, secrets, out));
                self.directions[role].messages = reader;
            }
            _ => {}
        }
    }

    /// A message of which the end is missing. A hello says the most in its beginning: where the snap length cuts it.
    pub(super) fn cut_message(&mut self, role: Role, moment: Moment, secrets: &SecretStore, out: &mut Out<'_>) {
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
            self.negotiation.server_changes_keys(&mut self.visible.facts, direction.holes);
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
        match self.negotiation.message(role, moment, kind, body, &mut self.visible.facts) {
            Effect::None => {}
            Effect::ClientHello { early_data } => {
                if early_data && !self.directions.client.half.is_reading() {
                    self.directions.client.half.begin(Stage::Early);
                }
                self.find_secrets(secrets, secrets.expects_more());
            }
            Effect::ServerHello => self.find_secrets(secrets, secrets.expects_more()),
            Effect::EarlyData { accepted } => self.settle_early_data(accepted, out),
            Effect::EndOfEarlyData => {
                self.settle_early_data(true, out);
                self.directions[role].half.begin(Stage::Handshake);
            }
            Effect::Finished if self.is_tls13() => {
                self.directions[role].half.begin(Stage::Application);
                if role == Role::Client {
                    self.visible.facts.handshake_done = Some(moment);
                }
            }
            Effect::Finished => {}
            Effect::KeyUpdate => self.directions[role].half.update_keys(),
        }
    }

    /// An encrypted record: reads it, lets it wait, or loses it.
    fn sealed(
        &mut self,
        role: Role,
        moment: Moment,
        header: RecordHeader,
        body: &[u8],
        secrets: &SecretStore,
        out: &mut Out<'_>,
    ) {
        match self.prospect {
            Prospect::Known | Prospect::Partial(_) => self.open(role, moment, header, body, secrets, out),
            Prospect::Awaited => {
                let loss = self.directions[role].half.loss_of(header, &self.negotiation.hellos);
                self.waiting.push((role, moment, header), body, loss, self.held_bytes, secrets.room());
            }
            Prospect::Dark(_) => self.lose_record(role, header, secrets),
        }
    }

    /// Decrypts a record and passes on what is in it.
    pub(super) fn open(
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
        self.visible.facts.decrypted_by = Some(opened.origin.name());
        self.directions[role].read |= opened.stage == Stage::Application;
        if let Some(missing) = opened.missing {
            self.tell_gap(role, moment, missing, out);
        }
        if opened.content != ContentType::APPLICATION_DATA {
            self.in_clear(role, moment, opened.content, plain, secrets, out);
        } else if opened.stage == Stage::Early {
            self.early.push(moment, plain, self.held_bytes);
        } else if !plain.is_empty() {
            out(role, moment, TlsOutput::Plain(plain));
        }
    }

    /// RFC 8446 §4.2.10: the server takes the early data or ignores it.
    fn settle_early_data(&mut self, accepted: bool, out: &mut Out<'_>) {
        let held = mem::take(&mut self.early);
        if self.visible.facts.early_data != Some(EarlyData::Offered) {
            return;
        }
        self.visible.facts.early_data = Some(if accepted { EarlyData::Accepted } else { EarlyData::Rejected });
        if accepted {
            let mut last = Moment::default();
            for (moment, plain) in held.pieces() {
                last = moment;
                out(Role::Client, moment, TlsOutput::Plain(plain));
            }
            if held.dropped() > 0 {
                self.tell_gap(Role::Client, last, (held.dropped(), true), out);
            }
        }
    }
}
