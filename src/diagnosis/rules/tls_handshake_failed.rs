//! TLS did not come up, for a reason that no other rule knows.

use std::time::Duration;

use crate::diagnosis::nearby;
use crate::diagnosis::tls_failure::{TlsFailure, alert_words, tls_failures};
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::packet::Moment;
use crate::session::Confidence;
use crate::session::leg::TlsAlert;
use crate::stream::Role;
use crate::tcp::EndKind;

/// `tls-handshake-failed`.
pub const RULE: Rule = Rule {
    id: "tls-handshake-failed",
    severity: Severity::Error,
    stage: Stage::Tls,
    title: "The TLS handshake did not come to its end",
    explanation: "A ClientHello was sent and the connection ended, or fell silent, before anything of the application was \
        said. A silence right behind a large ClientHello may be an MTU that is too small on the way, or a server that does \
        not speak TLS and waits for a line of text.",
    signature: "a ClientHello, and an alert, FIN, RST or silence before any application data",
    fix: "Try the same with openssl s_client -connect HOST:PORT -servername HOST and read what it says.",
    look_alikes: "Alerts with a known meaning have findings of their own.",
    reference: "RFC 8446 §6.2",
    check,
};

/// A handshake that has not moved for this long at the end of the capture has stalled.
const STALLED: Duration = Duration::from_secs(5);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let (failure, what, moment) = tls_failures(facts.session).find_map(|failure| {
        if failure.tls.handshake_done.is_some() || !failure.leg.both_directions_seen() {
            return None;
        }
        let (what, moment) = how_it_ended(facts, &failure)?;
        Some((failure, what, moment))
    })?;
    let server = failure.leg.half(Role::Server);
    let progress = match (failure.tls.server_hello, server.bytes) {
        (Some(_), _) => "after the ServerHello",
        (None, _) if server.gap_bytes > 0 => "and what came back for the ClientHello is not in the capture",
        (None, 0) => "and no byte came back for the ClientHello",
        (None, _) => "before a ServerHello",
    };
    let until = moment.map_or(facts.neighbours.span.1, |moment| moment.at);
    let hello = failure.tls.client_hello.map(|hello| hello.at).filter(|_| failure.tls.server_hello.is_none());
    let vain = hello.and_then(|hello| nearby::dialled_in_vain(facts.neighbours, failure.leg.server.ip, hello, until));
    let meanwhile = vain
        .map(|vain| format!("; meanwhile {} could not connect to {}", vain.client.ip, vain.server))
        .unwrap_or_default();
    Some(
        Evidence::on(failure.index, format!("{what}, {progress}{meanwhile}"))
            .packet_if(failure.tls.client_hello, "the ClientHello")
            .packet_if(vain.map(|vain| vain.syn), "a connection that its server tried to make")
            .packet_if(moment, "the end")
            .confidence(if moment.is_some() { Confidence::High } else { Confidence::Medium })
            .verdict(format!(
                "TLS between {} and {} did not come up: {what}, {progress}{meanwhile}{}",
                failure.client(),
                failure.server(),
                failure.outcome()
            )),
    )
}

fn how_it_ended(facts: &Facts<'_>, failure: &TlsFailure<'_>) -> Option<(String, Option<Moment>)> {
    let missed = Role::BOTH.into_iter().any(|role| failure.leg.half(role).gap_bytes > 0);
    let is_fatal = |alert: &&TlsAlert| match alert.description {
        Some(description) => description != 0 && alert.level != Some(1),
        // Behind a handshake that is complete in what the capture lacks it would be a close_notify.
        None => !missed,
    };
    if let Some(alert) = failure.tls.alerts.iter().find(is_fatal) {
        return Some((format!("the {} sent {}", alert.by.name(), alert_words(alert)), Some(alert.moment)));
    }
    if missed {
        // The handshake may be complete in what the capture lacks.
        return None;
    }
    if let Some(end) = failure.leg.first_end() {
        let flag = match end.kind {
            EndKind::Fin => "closed (FIN)",
            EndKind::Rst => "reset (RST)",
        };
        return Some((format!("the {} {flag}", end.by.name()), Some(end.moment)));
    }
    let silence = facts.neighbours.span.1.since(failure.leg.tcp.last.at);
    let since = facts.neighbours.span.1.since(failure.tls.client_hello?.at);
    let waited = silence.max(since);
    (waited >= STALLED).then(|| (format!("nothing more came in {}", Span(waited)), None))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| leg.tls(|_| {}).rst(Role::Server))
    }

    #[test]
    fn a_stall_is_a_failure_after_a_while() {
        let stalled = |leg: TestLeg| leg.tls(|_| {}).server_hello("TLS 1.3").after_ms(30_000);
        assert_eq!(session().client_leg(stalled).cause(), Some(RULE.id));
        assert!(session().client_leg(|leg| leg.tls(|_| {}).after_ms(100)).check(&RULE).is_none());
    }

    #[test]
    fn is_dropped_when_the_alert_has_a_meaning() {
        let session = session().client_leg(|leg| leg.tls(|_| {}).alert(Role::Server, 70).fin(Role::Server));
        assert_eq!(session.ids(), ["tls-version-mismatch"]);
    }

    #[test]
    fn is_silent_about_tls_that_came_up_and_one_direction() {
        let up = session().client_leg(|leg| {
            let leg = leg.tls(|_| {}).server_hello("TLS 1.3");
            let now = leg.now();
            leg.tls(|tls| tls.handshake_done = Some(now)).fin(Role::Client)
        });
        assert!(up.check(&RULE).is_none());
        assert!(example().client_leg(|leg| leg.unseen(Role::Server)).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }

    #[test]
    fn is_silent_about_an_unread_alert_behind_a_hole() {
        let unread = |leg: TestLeg| {
            leg.with(|leg| {
                let moment = leg.tcp.last;
                let alert = TlsAlert { by: Role::Client, level: None, description: None, moment };
                leg.tls.as_mut().expect("it has TLS").alerts.push(alert);
            })
        };
        let failed = |hole: u64| {
            let hello = |leg: TestLeg| leg.tls(|_| {}).hole(Role::Server, hole);
            session().client_leg(|leg| unread(hello(leg)).fin(Role::Client))
        };
        assert!(failed(1235).check(&RULE).is_none(), "a close_notify looks like that");
        assert_eq!(failed(0).cause(), Some(RULE.id));
    }
}
