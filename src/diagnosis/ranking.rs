//! Which finding is the cause, and in which order the others follow.

use std::cmp::Reverse;

use crate::diagnosis::ending::{first_close, who};
use crate::diagnosis::parties;
use crate::diagnosis::{Evidence, Rule, Severity, Stage, rules};
use crate::packet::PacketNumber;
use crate::session::{Confidence, Outcome, Session, Who};

/// A rule, and what it found.
#[derive(Clone)]
pub struct Found {
    /// The rule.
    pub rule: &'static Rule,
    /// Why.
    pub evidence: Evidence,
}

impl Found {
    /// How bad it is here.
    pub fn severity(&self) -> Severity {
        self.evidence.severity.unwrap_or(self.rule.severity)
    }
}

/// Orders what was found: the cause first, then by severity and stage. Drops what only says the cause again. Returns the
/// index of the cause, which is 0.
pub fn rank(session: &Session, found: &mut Vec<Found>) -> Option<usize> {
    if found.is_empty() {
        return None;
    }
    let cause = cause_of(session, found).map(|index| found[index].rule.id);
    if let Some(id) = cause {
        let stage = stage_of(found, id);
        found.retain(|other| other.rule.id == id || !restates(other, id, stage));
    }
    found.sort_by_key(|found| {
        (Some(found.rule.id) != cause, Reverse(found.severity()), found.rule.stage, rules::position(found.rule.id))
    });
    cause.map(|_| 0)
}

/// The order of decision: the earlier stage explains the later one; within a stage the surer finding, then the earlier frame,
/// then the worse finding, then the one that stands first in the catalogue. A fallback only when nothing else explains.
fn cause_of(session: &Session, found: &[Found]) -> Option<usize> {
    let least = least_severity(session);
    let explains = |found: &Found| match least {
        Some(least) => found.severity() >= least,
        None => spoils_a_good_end(found),
    };
    let explaining = (0..found.len()).filter(|&index| found[index].evidence.may_be_cause && explains(&found[index]));
    let order = |index: usize| order_of_decision(session, &found[index]);
    explaining.min_by(|&one, &other| order(one).cmp(&order(other))) // most often there is one, and nothing to compare
}

type Order = (bool, bool, Stage, Reverse<Confidence>, Option<PacketNumber>, Reverse<Severity>, usize);

fn order_of_decision(session: &Session, found: &Found) -> Order {
    let rule = found.rule;
    (
        FALLBACKS.contains(&rule.id),
        decided_nothing(session, found),
        stage_of_decision(found),
        Reverse(found.evidence.confidence),
        first_frame(found),
        Reverse(found.severity()),
        rules::position(rule.id),
    )
}

/// A connection of a proxy did not come up, and the proxy made another: what its client got came of that one.
fn decided_nothing(session: &Session, found: &Found) -> bool {
    let connecting = matches!(found.rule.stage, Stage::ProxyHeader | Stage::Tls);
    connecting && found.evidence.leg.is_some_and(|leg| parties::was_followed(session, leg))
}

/// Nobody read the request: what is wrong in it, and what a proxy made of it, has had no effect yet.
const NOBODY_READ_THE_REQUEST: &[&str] = &[
    "upstream-refused",
    "upstream-connect-timeout",
    "upstream-unreachable",
    "upstream-not-dialled",
    "wrong-upstream-protocol",
];

fn stage_of_decision(found: &Found) -> Stage {
    let sure = found.evidence.confidence == Confidence::High;
    if sure && NOBODY_READ_THE_REQUEST.contains(&found.rule.id) { Stage::Connect } else { found.rule.stage }
}

/// Behind a frame that broke the protocol nothing is what it seems: of several the first counts.
fn first_frame(found: &Found) -> Option<PacketNumber> {
    let packets = found.evidence.packets.first().filter(|_| found.rule.stage == Stage::Frames);
    packets.map(|(packet, _)| *packet)
}

/// How bad a finding must be to explain what became of the session; `None` when there is nothing to explain.
fn least_severity(session: &Session) -> Option<Severity> {
    match session.outcome {
        Outcome::Closed if closed_normally(session) => None,
        // It works, or nobody knows: only what is broken for certain counts.
        Outcome::Open | Outcome::Encrypted => Some(Severity::Error),
        _ => Some(Severity::Warning),
    }
}

/// Whether a session suffered of this even when it was closed in good order at last: a peer was lenient with broken frames,
/// or a proxy that makes Close frames of its own told its client nothing of a backend that had gone.
fn spoils_a_good_end(found: &Found) -> bool {
    let broken = found.rule.stage == Stage::Frames && found.severity() == Severity::Error;
    broken || matches!(found.rule.id, "slow-consumer" | "fin-without-close" | "reset-without-close")
}

/// Whether the session was closed in good order: every Close frame says 1000 or nothing, or 1001 after a client that
/// left (RFC 6455 §7.4.1).
pub fn closed_normally(session: &Session) -> bool {
    let client_left = first_close(session).is_some_and(|(leg, role, _)| who(session, leg, role) == Who::Client);
    session.legs.iter().filter_map(|leg| leg.tunnel.as_ref()).all(|tunnel| {
        let codes = [&tunnel.sides.client.close, &tunnel.sides.server.close];
        codes.into_iter().flatten().all(|close| match close.code {
            None | Some(1000) => true,
            Some(1001) => client_left,
            _ => false,
        })
    })
}

/// Rules that say what happened in general: they explain only when no other does.
const FALLBACKS: &[&str] = &[
    "handshake-rejected",
    "no-answer",
    "tls-handshake-failed",
    "proxy-closed",
    "fin-without-close",
    "reset-without-close",
    "close-handshake-incomplete",
    "close-going-away",
    "close-policy-violation",
    "close-internal-error",
    "close-service-restart",
    "close-try-again-later",
    "close-unsupported-data",
    "close-protocol-error",
    "close-application-code",
];

/// Findings that read the answer. A cause that lies before the answer explains it.
const READ_FROM_THE_ANSWER: &[&str] = &[
    "redirected",
    "upgrade-ignored",
    "endpoint-not-found",
    "authentication-required",
    "origin-rejected",
    "forbidden",
    "rate-limited",
    "engine-io-error",
    "no-answer",
];

/// Findings that say less than these causes, about the same thing.
const SAYS_LESS: &[(&str, &[&str])] = &[
    ("connection-header-replaced", &["upgrade-headers-stripped"]),
    ("upstream-http10", &["upgrade-headers-stripped", "connection-header-replaced"]),
    ("invalid-upgrade-response", &["accept-mismatch"]),
    ("accept-mismatch", &["invalid-upgrade-response"]),
    ("client-rejected-answer", &["invalid-upgrade-response", "accept-mismatch", "subprotocol-mismatch"]),
    ("upstream-premature-close", &["upstream-keepalive-race", "wrong-upstream-protocol"]),
    ("wrong-upstream-protocol", &["plain-to-tls-port", "tls-to-plain-port"]),
];

fn restates(other: &Found, cause: &str, cause_stage: Stage) -> bool {
    let id = other.rule.id;
    FALLBACKS.contains(&id)
        || (cause_stage < Stage::Response && READ_FROM_THE_ANSWER.contains(&id))
        // What comes of a broken connection is no news about the proxy behind it.
        || (cause_stage <= Stage::Tls && other.rule.stage == Stage::Upstream)
        || SAYS_LESS.iter().any(|(less, causes)| *less == id && causes.contains(&cause))
}

fn stage_of(found: &[Found], id: &str) -> Stage {
    found.iter().find(|found| found.rule.id == id).map_or(Stage::Capture, |found| found.rule.stage)
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;
    use crate::ws::facts::ViolationKind;

    #[test]
    fn a_backend_that_is_not_there_explains_more_than_what_it_would_have_been_sent() {
        let stripped = replaced(FORWARDED, "Upgrade", "");
        let chain = refused_with(NGINX_502).backend_leg(|leg| leg.request(&stripped)).leg(2, TestLeg::refused);
        assert_eq!(chain.ids()[..2], ["upstream-refused", "upgrade-headers-stripped"]);
    }

    #[test]
    fn an_attempt_that_was_followed_by_another_explains_only_what_nothing_else_does() {
        let alert = |leg: TestLeg| leg.tls(|_| {}).alert(Role::Server, 70).fin(Role::Server);
        let asked = || session().client_leg(|leg| leg.request(ASKED).after_ms(100).response(NGINX_502));
        let refused = asked().attempt(alert).attempt(TestLeg::refused);
        assert_eq!(refused.cause(), Some("upstream-refused"));
        let both = asked().attempt(alert).attempt(alert);
        assert_eq!(both.cause(), Some("tls-version-mismatch"));
        assert_eq!(both.finding("tls-version-mismatch").unwrap().evidence.leg, Some(2), "the last one decided");
        let unclear = asked().attempt(alert).attempt(|leg| leg.tls(|_| {}).server_hello("TLS 1.3"));
        assert_eq!(unclear.cause(), Some("tls-version-mismatch"));
    }

    #[test]
    fn of_several_broken_frames_the_first_counts() {
        let broken = |first, second| {
            session().client_leg(|leg| {
                let leg = leg.request(ASKED).response(SWITCHED).open();
                leg.violation(Role::Client, first).violation(Role::Client, second).fin(Role::Server)
            })
        };
        let (opcode, unmasked) = (ViolationKind::ReservedOpcode(3), ViolationKind::Unmasked);
        assert_eq!(broken(opcode, unmasked).cause(), Some("reserved-opcode"));
        assert_eq!(broken(unmasked, opcode).cause(), Some("unmasked-client-frame"));
    }
}
