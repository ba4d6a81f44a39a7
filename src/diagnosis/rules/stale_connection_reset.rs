//! After a silence the peer no longer knew the connection.

use std::time::Duration;

use crate::diagnosis::ending::named;
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Confidence;
use crate::tcp::EndKind;

/// `stale-connection-reset`.
pub const RULE: Rule = Rule {
    id: "stale-connection-reset",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "After a silence the connection was no longer known",
    explanation: "Nothing was said for a while, then the first bytes were answered by an RST: the peer, or \
        something between that keeps state, had forgotten the connection. Load balancers do so without a \
        word (an AWS network load balancer after 350 s), hosts that restarted do as well.",
    signature: "a long silence, data, and an RST in answer to it, with no FIN before",
    fix: "Send a heartbeat more often than the shortest timer on the way; 30 s are safe nearly everywhere.",
    look_alikes: "A reset while data flows is reset-without-close. With another TTL than its sender's it is \
        middlebox-reset.",
    reference: "RFC 9293 §3.10.7.1",
    check,
};

/// Shorter silences are forgotten by nothing.
const SILENCE: Duration = Duration::from_secs(2);

/// An RST that answers data comes within a round trip.
const ANSWER: Duration = Duration::from_millis(1500);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let end = facts.ending_without_close().filter(|end| end.end.kind == EndKind::Rst)?;
    let (silence, resumed) = end.tunnel()?.last_silence.filter(|(silence, _)| *silence >= SILENCE)?;
    let sent = end.on().half(end.end.by.peer()).last_data?;
    let answered = end.end.moment.at.since(sent.at) <= ANSWER && end.end.moment.at.since(resumed.at) <= ANSWER;
    let spoke_since = end.on().half(end.end.by).last_data.is_some_and(|last| last >= resumed);
    if !answered || spoke_since {
        return None;
    }
    let (who, peer) = (end.name(), named(facts.session, end.leg, end.end.by.peer()));
    let known = if silence >= Duration::from_secs(30) { Confidence::High } else { Confidence::Medium };
    Some(
        Evidence::on(end.leg, format!("after {} of silence {peer} sent data, and an RST came back", Span(silence)))
            .packet(resumed, "the first data after the silence")
            .packet(end.end.moment, "the RST")
            .confidence(known)
            .verdict(format!(
                "after {} of silence {peer} sent data and {who}, or something in its name, answered with RST, as a host does \
                 that no longer knows the connection",
                Span(silence)
            )),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::session::Outcome;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        session()
            .client_leg(|leg| {
                let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Server, 1).after_ms(400_000);
                let leg = leg.messages(Role::Client, 1);
                let now = leg.now();
                let leg = leg.with(|leg| {
                    if let Some(tunnel) = &mut leg.tunnel {
                        tunnel.last_silence = Some((Duration::from_secs(400), now));
                    }
                });
                leg.rst(Role::Server)
            })
            .outcome(Outcome::Aborted)
    }

    #[test]
    fn tells_the_silence() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("6 min 40 s"), "{}", diagnosis.verdict);
    }

    #[test]
    fn is_silent_when_the_one_who_reset_had_spoken() {
        assert!(example().client_leg(|leg| leg.messages(Role::Server, 1)).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
