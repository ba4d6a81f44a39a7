//! Closed for a protocol error that no other finding names.

use crate::diagnosis::close_code::by_code;
use crate::diagnosis::violation::{self, Found};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::ws::facts::ViolationKind;

/// `close-protocol-error`.
pub const RULE: Rule = Rule {
    id: "close-protocol-error",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "Closed for a protocol error",
    explanation: "One side says that the other broke the protocol, and the frames in this capture look right to most \
        receivers. It may be stricter: a length that is not in its shortest form, as hand-written senders make it, is \
        taken by many and refused by some. It may be wrong, or something between changed what it got: compare the other \
        leg.",
    signature: "a Close frame with 1002, 1007 or 1010 and no other violation before it",
    fix: "Capture the leg next to the one who complains; look into its log for what it did not like.",
    look_alikes: "With another violation in the capture, that violation is the cause.",
    reference: "RFC 6455 §7.4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let evidence = by_code(facts, |code| [1002, 1007, 1010, 1015].contains(&code))?;
    match long_length(facts) {
        Some(found) => Some(
            violation::evidence(facts, &found, "a frame whose length is not in its shortest form (RFC 6455 §5.2)")
                .fix("Mend the sender: lengths up to 125 stand in 7 bits, up to 65535 in 16, only longer ones in 64."),
        ),
        None => Some(evidence),
    }
}

/// A length in more bytes than it needs, sent to the one who closed with 1002 then.
fn long_length(facts: &Facts<'_>) -> Option<Found> {
    let (_, role, close) = facts.first_close()?;
    let found = violation::find(facts.session, |by, kind| by == role.peer() && kind == ViolationKind::Length)?;
    (close.code == Some(1002) && found.violation.moment <= close.moment).then_some(found)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        closed_with(1002, "why")
    }

    #[test]
    fn a_length_in_a_longer_form_than_it_needs_is_named() {
        let refused = violated(Role::Client, ViolationKind::Length);
        assert_eq!(refused.cause(), Some(RULE.id));
        let verdict = refused.diagnose().verdict;
        assert!(verdict.contains("not in its shortest form") && verdict.contains("closed with 1002"), "{verdict}");
        let taken = session().client_leg(|leg| {
            let leg = leg.request(ASKED).response(SWITCHED).open().violation(Role::Server, ViolationKind::Length);
            leg.messages(Role::Client, 1).close(Role::Client, 1000, "").close(Role::Server, 1000, "").fin(Role::Server)
        });
        assert!(taken.ids().is_empty(), "who takes it has no trouble with it");
    }
}
