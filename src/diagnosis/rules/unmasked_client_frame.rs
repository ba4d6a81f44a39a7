//! The client sent a frame without a mask.

use crate::diagnosis::violation::{Found, evidence, find};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Session;
use crate::session::neighbours::ending::Ended;
use crate::stream::Role;
use crate::ws::facts::ViolationKind;

/// `unmasked-client-frame`.
pub const RULE: Rule = Rule {
    id: "unmasked-client-frame",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "The client sent a frame without a mask",
    explanation: "Every frame of a client must be masked, so that what it sends cannot be mistaken for something \
        else by caches on the way. A server must close with 1002. A hand-written client forgot it, or a \
        proxy wrote frames of its own.",
    signature: "a frame from the client with its mask bit clear",
    fix: "Mend the client: every frame needs the mask bit and a fresh masking key. Use a library.",
    look_alikes: "Frames of a server are never masked. A stream that lost its frame boundary looks random, not \
        unmasked.",
    reference: "RFC 6455 §5.1",
    check,
};

fn is_meant(by: Role, kind: ViolationKind) -> bool {
    matches!((by, kind), (Role::Client, ViolationKind::Unmasked))
}

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let found = find(facts.session, is_meant)?;
    if let Some(code) = farewell(facts.session, &found) {
        return Some(evidence(facts, &found, &format!("its own Close {code} unmasked")).not_cause());
    }
    Some(evidence(facts, &found, "an unmasked frame"))
}

/// The code with which a proxy closed both its legs at once, when the frame in question is the one behind it: it ended the
/// session anyway. Caddy 2.6.2 forgets the mask there.
fn farewell(session: &Session, found: &Found) -> Option<u16> {
    let leg = &session.legs[found.leg];
    let front = session.legs.get(leg.behind?)?;
    let (ours, theirs) = (leg.close(Role::Client)?, front.close(Role::Server)?);
    let unasked = leg.close(Role::Server).is_none_or(|answer| answer.moment > ours.moment)
        && front.close(Role::Client).is_none_or(|answer| answer.moment > theirs.moment);
    ours.code.filter(|_| unasked && ours.moment == found.violation.moment && ours.code == theirs.code)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::ws::facts::Violation;

    pub(crate) fn example() -> TestSession {
        violated(Role::Client, ViolationKind::Unmasked)
    }

    #[test]
    fn is_not_the_cause_where_a_proxy_says_goodbye_to_both_sides() {
        let goodbye = |code: u16| {
            session()
                .client_leg(|leg| leg.request(ASKED).response(SWITCHED).open().close(Role::Server, code, ""))
                .backend_leg(|leg| {
                    let leg = leg.request(FORWARDED).response(SWITCHED).open().close(Role::Client, 1001, "");
                    leg.with(|leg| {
                        let tunnel = leg.tunnel.as_mut().expect("it is open");
                        let moment = tunnel.sides.client.close.as_ref().expect("it was closed").moment;
                        tunnel.sides.client.violations.push(Violation { kind: ViolationKind::Unmasked, moment });
                    })
                })
        };
        assert_eq!(goodbye(1001).cause(), Some("close-going-away"));
        assert_eq!(goodbye(1000).cause(), Some(RULE.id));
    }
}
