//! HTTP stands where a frame should begin.

use crate::diagnosis::violation::{evidence, find};
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::ws::facts::ViolationKind;

/// `http-in-tunnel`.
pub const RULE: Rule = Rule {
    id: "http-in-tunnel",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "HTTP stands where a frame should begin",
    explanation: "After the 101 only frames may follow. Here a line of HTTP does: a server that had already switched wrote \
        an error page, a middleware answered as well, or a client used the connection again for another request. The other \
        side reads the letters as a frame header and closes with 1002.",
    signature: "`HTTP/1.` or a request line at the place of a frame header",
    fix: "Find what writes a second answer on the upgraded connection: an error handler or a middleware that does not know \
        of the upgrade.",
    look_alikes: "An answer other than 101 is a rejected handshake.",
    reference: "RFC 6455 §4.1, §5.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, |_, kind| kind == ViolationKind::Http)?;
    let tunnel = facts.session.legs[found.leg].tunnel.as_deref()?;
    if found.violation.moment < tunnel.opened {
        return None; // The request itself: the capture lacks what would have shown that.
    }
    let text = &tunnel.sides[found.by].first_bytes;
    let what = match quote(text) {
        line if line.is_empty() => "HTTP inside the tunnel".to_owned(),
        line => format!("HTTP inside the tunnel: \"{line}\""),
    };
    Some(evidence(facts, &found, &what))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| {
            let leg = leg.request(ASKED).response(SWITCHED).open().violation(Role::Server, ViolationKind::Http);
            leg.close(Role::Client, 1002, "").fin(Role::Client)
        })
    }

    #[test]
    fn is_the_cause() {
        assert_eq!(example().cause(), Some(RULE.id));
    }

    #[test]
    fn is_silent_about_what_came_before_the_101() {
        let mut session = example();
        let tunnel = session.session.legs[0].tunnel.as_mut().unwrap();
        let opened = tunnel.opened;
        tunnel.sides.server.violations[0].moment = crate::packet::Moment { at: START, ..opened };
        assert!(session.check(&RULE).is_none());
    }

    /// Some servers write the answer of their request handler when the WebSocket is over.
    #[test]
    fn is_silent_behind_the_close() {
        let closed = healthy().backend_leg(|leg| leg.violation(Role::Server, ViolationKind::Http));
        assert!(closed.check(&RULE).is_none());
    }

    #[test]
    fn is_silent_on_frames() {
        assert!(healthy().check(&RULE).is_none());
    }
}
