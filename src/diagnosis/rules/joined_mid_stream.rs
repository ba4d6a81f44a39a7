//! The capture began when the session was already open.

use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `joined-mid-stream`.
pub const RULE: Rule = Rule {
    id: "joined-mid-stream",
    severity: Severity::Note,
    stage: Stage::Capture,
    title: "The capture began when the session was already open",
    explanation: "The opening handshake is not in the capture: what was asked, answered and agreed is not known. \
        Frames are recognised by their shape.",
    signature: "frames on a connection without an opening handshake",
    fix: "Start the capture before the client connects, or let it connect again.",
    look_alikes: "A handshake that was lost from the capture.",
    reference: "tcpdump(1), wireshark(1)",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let leg = facts.session.legs.iter().position(|leg| {
        leg.tunnel.as_ref().is_some_and(|tunnel| !tunnel.handshake_seen)
            && leg.request.is_none()
            && leg.response.is_none()
    })?;
    let first = facts.session.legs[leg].tcp.first;
    Some(
        Evidence::on(leg, "the opening handshake was before the capture began")
            .packet(first, "the first packet")
            .not_cause(),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| {
            let leg = leg.open().messages(Role::Client, 3).close(Role::Client, 1000, "");
            leg.close(Role::Server, 1000, "").fin(Role::Server)
        })
    }

    #[test]
    fn is_a_note() {
        assert_eq!(example().finding(RULE.id).map(|finding| finding.severity), Some(Severity::Note));
    }

    #[test]
    fn is_silent_when_the_handshake_was_seen() {
        assert!(healthy().check(&RULE).is_none());
    }
}
