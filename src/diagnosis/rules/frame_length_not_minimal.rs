//! A frame's length is written in more bytes than it needs.

use crate::diagnosis::violation::{evidence, find};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;
use crate::ws::facts::ViolationKind;

/// `frame-length-not-minimal`.
pub const RULE: Rule = Rule {
    id: "frame-length-not-minimal",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "A frame writes its length in a form that is not allowed",
    explanation: "A payload of up to 125 bytes has its length in 7 bits, one of up to 65535 in 16, and only longer ones have it in \
        64, of which the first is zero. A hand-written sender always uses the same form. Many receivers take it all the \
        same, strict ones close with 1002.",
    signature: "a length below 126 in 16 or 64 bits, one below 65536 in 64, or one with the highest of 64 bits set",
    fix: "Mend the sender: choose the form of the length by the length.",
    look_alikes: "Zeros in front of a length also come of frames that got out of step: a wrong length makes payload look like a \
        header.",
    reference: "RFC 6455 §5.2",
    check,
};

fn is_meant(_: Role, kind: ViolationKind) -> bool {
    matches!(kind, ViolationKind::Length)
}

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, is_meant)?;
    let evidence = evidence(facts, &found, "a frame whose length is not in its shortest form");
    let tunnel = facts.session.legs[found.leg].tunnel.as_deref()?;
    let code = tunnel.sides[found.by.peer()].close.as_ref().and_then(|close| close.code);
    // Most receivers do not mind.
    Some(if code == Some(1002) { evidence } else { evidence.severity(Severity::Note).not_cause() })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        violated(Role::Client, ViolationKind::Length)
    }

    #[test]
    fn is_a_note_where_the_receiver_did_not_mind() {
        let session = session().client_leg(|leg| {
            let leg = leg.request(ASKED).response(SWITCHED).open().violation(Role::Server, ViolationKind::Length);
            leg.messages(Role::Client, 1).close(Role::Client, 1000, "").close(Role::Server, 1000, "").fin(Role::Server)
        });
        assert_eq!((session.cause(), session.finding(RULE.id).unwrap().severity), (None, Severity::Note));
    }
}
