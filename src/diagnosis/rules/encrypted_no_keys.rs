//! TLS, and no secrets to look into it.

use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::leg::TlsFacts;

/// `encrypted-no-keys`.
pub const RULE: Rule = Rule {
    id: "encrypted-no-keys",
    severity: Severity::Note,
    stage: Stage::Capture,
    title: "This leg is encrypted, and its keys are not known",
    explanation: "Nothing above TLS can be read here. What is left: the name asked for, who closed, sizes and times of \
        records, and from these whether it is likely a WebSocket and whether something keeps it alive.",
    signature: "TLS that came up, without secrets for it",
    fix: "Start the client with SSLKEYLOGFILE=/path/keys.log and run wsflow --keylog /path/keys.log; or capture the plaintext \
        leg behind the proxy too: -i any.",
    look_alikes: "TLS that never came up has findings of its own.",
    reference: "RFC 9850",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let (index, tls) = facts.session.legs.iter().enumerate().find_map(|(index, leg)| {
        let tls = leg.tls.as_deref()?;
        let hidden = tls.decrypted_by.is_none()
            && leg.request.is_none()
            && leg.tunnel.is_none()
            && tls.bytes.client + tls.bytes.server > 0;
        hidden.then_some((index, tls))
    })?;
    let leg = &facts.session.legs[index];
    let moment = tls.server_hello.or(tls.client_hello).unwrap_or(leg.tcp.first);
    let evidence = Evidence::on(index, describe(tls)).packet(moment, "encrypted from here on").not_cause();
    Some(evidence)
}

fn describe(tls: &TlsFacts) -> String {
    let mut text = format!("{} without keys", tls.version.unwrap_or("TLS"));
    if let Some(why) = &tls.not_decrypted {
        text.push_str(&format!(" ({why})"));
    }
    if !tls.likely_websocket.is_empty() {
        text.push_str(&format!("; likely a WebSocket: {}", tls.likely_websocket.join(", ")));
    }
    if let Some(period) = tls.heartbeat {
        text.push_str(&format!("; small records every {}", Span(period)));
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::Outcome;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| {
            let leg = leg.tls(|_| {}).server_hello("TLS 1.3");
            let now = leg.now();
            leg.tls(|tls| {
                tls.handshake_done = Some(now);
                (tls.bytes.client, tls.bytes.server) = (900, 400);
                tls.likely_websocket = vec!["only http/1.1 is offered".into()];
                tls.heartbeat = Some(Duration::from_secs(20));
            })
        })
    }

    #[test]
    fn is_a_note_and_never_a_cause() {
        assert_eq!(example().session.outcome, Outcome::Encrypted);
        assert_eq!((example().cause(), example().ids()), (None, vec![RULE.id]));
    }

    #[test]
    fn is_silent_where_the_leg_was_decrypted_or_never_came_up() {
        let decrypted = example().client_leg(|leg| leg.tls(|tls| tls.decrypted_by = Some("keylog")));
        assert!(decrypted.check(&RULE).is_none());
        assert!(session().client_leg(|leg| leg.tls(|_| {})).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
