//! Connections that carry TLS: what the observer reads goes on as if it were plain.

use crate::engine::tracker::Watch;
use crate::http::{self, FirstBytes};
use crate::packet::Moment;
use crate::session::flow::App;
use crate::session::neighbours::Note;
use crate::session::slab::FlowId;
use crate::stream::{ByRole, GapCause, Role, Side, StreamEvent};
use crate::tls::{Observer, Origin, SecretStore, TlsOutput};

/// What an observer tells: who said what, and when.
type Plaintext<'p> = dyn FnMut(Role, Moment, TlsOutput<'_>) + 'p;

impl Watch<'_> {
    /// A connection begins with TLS records.
    pub(super) fn tls_begins(&mut self, id: FlowId, role: Role, bytes: &[u8], moment: Moment) {
        let limits = &self.tracker.limits;
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let observer = if flow.syn_seen { Observer::new(limits) } else { Observer::joined(limits) };
        let (server, side) = (flow.server(), flow.side(role));
        flow.rare().tls = Some(Box::new(observer));
        flow.app = App::Waiting;
        self.tracker.note(Note::Tls(server));
        self.tracker.list_encrypted(id);
        self.encrypted(id, side, moment, StreamEvent::Data(bytes));
    }

    /// The stream of an encrypted connection goes on.
    pub(super) fn encrypted(&mut self, id: FlowId, side: Side, moment: Moment, event: StreamEvent<'_>) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let role = flow.role_of(side);
        if let StreamEvent::Data(bytes) = event {
            let first = flow.rare().first_bytes[role].is_none();
            if first {
                flow.rare().first_bytes[role] = Some(first_bytes(bytes));
            }
            let in_clear = flow.rare().first_bytes[role] == Some(FirstBytes::Http);
            if in_clear {
                // A server that takes a ClientHello for a bad request answers it in clear.
                if first {
                    flow.app = App::Http(Box::new(http::Dialogue::mid_stream()));
                }
                self.dialogue(id, role, moment, event);
            }
        }
        self.observe(id, role, moment, event);
        self.look_for_partner(id);
        if matches!(event, StreamEvent::Finished | StreamEvent::Reset) {
            self.application(id, side, moment, event);
        }
    }

    fn observe(&mut self, id: FlowId, role: Role, moment: Moment, event: StreamEvent<'_>) {
        self.with_observer(id, |observer, secrets, mut out| match event {
            StreamEvent::Data(bytes) => observer.handle(role, bytes, moment, secrets, &mut out),
            StreamEvent::Gap(bytes, _) => observer.gap(role, bytes, moment, secrets, &mut out),
            StreamEvent::Finished | StreamEvent::Reset => observer.finish(role, moment, secrets, &mut out),
        });
    }

    /// The connection is about to be forgotten.
    pub(super) fn encrypted_ends(&mut self, id: FlowId, moment: Moment) {
        self.with_observer(id, |observer, secrets, mut out| observer.give_up(moment, secrets, &mut out));
    }

    /// Takes the observer out of the flow while it works, so that its plaintext can change the flow.
    fn with_observer(&mut self, id: FlowId, work: impl FnOnce(&mut Observer, &SecretStore, &mut Plaintext<'_>)) {
        let Some(flow) = self.tracker.flows.find_mut(id) else { return };
        let sides = ByRole { client: flow.side(Role::Client), server: flow.side(Role::Server) };
        let Some(rare) = &mut flow.rare else { return };
        let Some(mut observer) = rare.tls.take() else { return };
        let Some(secrets) = self.tracker.secrets.take() else { return };
        work(&mut observer, &secrets, &mut |role, moment, output| {
            if let Some(event) = plaintext(output) {
                self.application(id, sides[role], moment, event);
            }
        });
        self.tracker.secrets = Some(secrets);
        if let Some(flow) = self.tracker.flows.find_mut(id) {
            flow.rare().tls = Some(observer);
        }
    }

    /// Takes secrets, and looks whether connections that are silent now have waited for them.
    pub(super) fn secrets(&mut self, origin: Origin, text: &[u8]) {
        self.change_secrets(|store| store.feed(origin, text));
    }

    /// No more secrets come from there: what waits for nothing else waits no longer.
    pub(super) fn secrets_end(&mut self, origin: Origin) {
        self.change_secrets(|store| store.end(origin));
    }

    fn change_secrets(&mut self, change: impl FnOnce(&mut SecretStore) -> u64) {
        let Some(store) = &mut self.tracker.secrets else { return };
        let before = store.generation();
        change(store);
        if store.generation() == before {
            return;
        }
        for id in self.tracker.partners.encrypted().collect::<Vec<_>>() {
            self.with_observer(id, |observer, secrets, mut out| observer.retry(secrets, &mut out));
        }
    }
}

/// What an observer reads, as the stream that it stands for.
fn plaintext(output: TlsOutput<'_>) -> Option<StreamEvent<'_>> {
    match output {
        TlsOutput::Plain(bytes) => Some(StreamEvent::Data(bytes)),
        TlsOutput::Gap { bytes, exact: true } => Some(StreamEvent::Gap(bytes, GapCause::NotCaptured)),
        TlsOutput::Gap { bytes, exact: false } => Some(StreamEvent::Gap(bytes, GapCause::Estimated)),
        TlsOutput::End => None,
    }
}

/// What the first bytes of a side are, on a connection where the other side speaks TLS.
fn first_bytes(bytes: &[u8]) -> FirstBytes {
    match bytes {
        [0x15, 0x03, _, 0, 2, level, description, ..] => FirstBytes::TlsAlert(*level, *description),
        [0x16, 0x03, ..] => FirstBytes::TlsHandshake,
        [0x14 | 0x15 | 0x17, 0x03, ..] => FirstBytes::TlsRecord,
        _ if bytes.starts_with(b"HTTP/") => FirstBytes::Http,
        _ if bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => FirstBytes::Text,
        _ => FirstBytes::Other,
    }
}
