//! What is visible of a connection whether it is decrypted or not: sizes, times, alerts, who left.

use super::alert::CLOSE_NOTIFY;
use super::facts::{ALERTS_KEPT, Sizes, TlsAlert, TlsFacts};
use super::keys::Hellos;
use super::record::{ContentType, RecordHeader};
use super::shape::{Sealed, Shape};
use crate::packet::Moment;
use crate::stream::{ByRole, Role};

/// The facts of a connection while they are gathered.
#[derive(Default)]
pub(super) struct Visible {
    pub(super) facts: TlsFacts,
    shape: Shape,
}

impl Visible {
    /// An encrypted record was captured; it may be read now, later or never.
    pub(super) fn sealed(&mut self, role: Role, moment: Moment, header: RecordHeader, hellos: &Hellos) {
        let facts = &mut self.facts;
        let encrypted_alert = TlsAlert { by: role, level: None, description: None, moment };
        match header.content {
            ContentType::APPLICATION_DATA => {
                let tls13 = hellos.may_be_tls13();
                if tls13 {
                    match self.shape.sealed_tls13(role, moment, header.length, hellos.suite, facts) {
                        Sealed::Data => {}
                        Sealed::Handshake => return,
                        Sealed::Rejection => {
                            facts.client_left_after_server_flight = true;
                            return self.note(encrypted_alert);
                        }
                    }
                }
                let (least, _) = hellos.overhead();
                self.shape.data(role, moment, header.length.saturating_sub(least).into(), tls13, facts);
            }
            ContentType::HANDSHAKE => self.shape.finished_tls12(role, moment, facts),
            ContentType::ALERT => {
                if facts.handshake_done.is_some() {
                    facts.close_notify[role] = Some(moment);
                }
                self.note(encrypted_alert);
            }
            _ => {}
        }
    }

    /// An alert in clear, or decrypted: level and description. Whether it is close_notify.
    pub(super) fn alert(&mut self, role: Role, moment: Moment, level: u8, description: u8, tls13: bool) -> bool {
        let alert = TlsAlert { by: role, level: Some(level), description: Some(description), moment };
        // It was noted as an encrypted one when it was captured.
        let same = |noted: &&mut TlsAlert| noted.by == role && noted.moment == moment && noted.description.is_none();
        match self.facts.alerts.iter_mut().find(same) {
            Some(noted) => *noted = alert,
            None => {
                self.note(alert);
                if tls13 && self.facts.last_record[role] == Some((moment, 2)) {
                    self.shape.take_back(role, &mut self.facts);
                }
            }
        }
        let closes = description == CLOSE_NOTIFY;
        if closes {
            self.facts.close_notify[role] = Some(moment);
        } else if self.facts.close_notify[role] == Some(moment) {
            self.facts.close_notify[role] = None;
        }
        closes
    }

    /// `role` ends, `peer_ended` before it. `server_done`: whether the server's flight was seen to its end in clear.
    pub(super) fn ends(&mut self, role: Role, peer_ended: bool, server_done: bool, tls13: bool) {
        let facts = &mut self.facts;
        let flight = self.shape.saw_server_flight() || server_done;
        if role == Role::Client && flight && facts.handshake_done.is_none() && !peer_ended {
            facts.client_left_after_server_flight = true;
        }
        // TLS 1.3: an alert has two bytes of plaintext. So has an empty ping of a server; but that is no last word.
        let Some((at, 2)) = facts.last_record[role].filter(|_| tls13 && facts.decrypted_by.is_none()) else { return };
        let said_more = facts.record_count[role] > 1;
        self.shape.take_back(role, facts);
        if said_more {
            facts.close_notify[role] = Some(at);
        } else {
            self.note(TlsAlert { by: role, level: None, description: None, moment: at });
        }
    }

    /// Record sizes so far, as if nothing were missing.
    pub(super) fn sizes(&self, tls13: bool) -> Sizes<'_> {
        let facts = &self.facts;
        let (request, answered) = self.shape.request();
        let asked = facts.records.client.iter().take_while(|(at, _)| answered.is_none_or(|answer| *at <= answer));
        let padding = facts.record_overhead.map_or(0, |(least, most)| u64::from(most - least));
        let slack = |role: Role| {
            // An alert of TLS 1.3 looks like two bytes of data, and is the last thing that is said.
            let alert = tls13 && facts.last_record[role].is_some_and(|(_, size)| size == 2);
            padding * facts.record_count[role] + if alert { 2 } else { 0 }
        };
        Sizes {
            asked: asked.last().map(|&(at, _)| at),
            first_asked: true,
            request,
            answered,
            records: &facts.records,
            bytes: facts.bytes,
            slack: ByRole { client: slack(Role::Client), server: slack(Role::Server) },
            count: facts.record_count.client + facts.record_count.server,
            last: facts.last_record,
            whole: true,
            may_be_http: facts.alpn.as_deref().is_none_or(|protocol| protocol.starts_with("http/1")),
        }
    }

    /// The facts, with what follows from all of them. `ended` says which sides have ended.
    pub(super) fn conclude(&self, ended: ByRole<bool>) -> TlsFacts {
        let mut facts = self.facts.clone();
        self.shape.conclude(ended, &mut facts);
        facts
    }

    fn note(&mut self, alert: TlsAlert) {
        if self.facts.alerts.len() < ALERTS_KEPT {
            self.facts.alerts.push(alert);
        }
    }
}
