//! The server sent a masked frame.

use crate::diagnosis::violation::{evidence, find};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;
use crate::ws::facts::ViolationKind;

/// `masked-server-frame`.
pub const RULE: Rule = Rule {
    id: "masked-server-frame",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "The server sent a masked frame",
    explanation: "A server must not mask its frames; a client must close with 1002 when it gets one. The server \
        uses code that was written for clients.",
    signature: "a frame from the server with its mask bit set",
    fix: "Mend the server: frames from a server are sent without a mask.",
    look_alikes: "A capture that takes client for server, because it began in mid-stream.",
    reference: "RFC 6455 §5.1",
    check,
};

fn is_meant(by: Role, kind: ViolationKind) -> bool {
    matches!((by, kind), (Role::Server, ViolationKind::Masked))
}

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, is_meant)?;
    Some(evidence(facts, &found, "a masked frame"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        let broken = |leg: TestLeg| {
            let leg = leg.open().violation(Role::Server, ViolationKind::Masked);
            leg.close(Role::Client, 1002, "").fin(Role::Client)
        };
        session().client_leg(|leg| broken(leg.request(ASKED).response(SWITCHED)))
    }

    #[test]
    fn is_the_cause_and_names_the_sender() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("closed with 1002"), "{}", diagnosis.verdict);
    }

    #[test]
    fn is_silent_on_frames_as_they_should_be() {
        assert!(healthy().check(&RULE).is_none());
    }
}
