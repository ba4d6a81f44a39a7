//! The request arrived, and nothing came back.

use std::time::Duration;

use crate::diagnosis::parties::{self, Name};
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, upstream};
use crate::packet::Moment;
use crate::session::leg::Request;
use crate::session::{Confidence, Leg, Outcome};
use crate::stream::Role;

/// `no-answer`.
pub const RULE: Rule = Rule {
    id: "no-answer",
    severity: Severity::Error,
    stage: Stage::Response,
    title: "The handshake was never answered",
    explanation: "The server took the request and sent no byte of an answer: it closed the connection, or is still silent. \
        It crashed or hangs in its handshake, does not listen for upgrades on this path (a bare node http server leaves \
        them open), or expects another protocol.",
    signature: "a request that was acknowledged, no byte of an answer, then FIN, RST or a long silence; or a FIN as soon as the \
        connection came up",
    fix: "Ask the server's log what it did with this request; try the same request against it without a proxy.",
    look_alikes: "A client that left first is client-gave-up. With the leg behind a proxy in the capture, an upstream \
        finding tells more. In a capture of one direction nothing can be said.",
    reference: "RFC 6455 §4.2.2",
    check,
};

/// A server that is still silent after this time at the end of the capture counts as one that does not answer.
const LONG: Duration = Duration::from_secs(10);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    if session.outcome != Outcome::Unanswered && session.first_leg().outcome != Outcome::Unanswered {
        return None;
    }
    // The deepest leg that got the request is where it was not answered.
    let (index, leg) = session.legs.iter().enumerate().rev().find(|(_, leg)| leg.request.is_some())?;
    let request = leg.request.as_deref()?;
    let server = leg.half(Role::Server);
    let begun = leg.answer_begun();
    let silent = leg.response.is_none() && !leg.answer_is_alien();
    let received = leg.half(Role::Client).unacknowledged_since.is_none_or(|since| since > request.moment);
    if !silent || server.packets == 0 || !leg.is_readable() {
        return None;
    }
    // What is missing may be the answer, or what was asked behind the request. A request that is cut is asked all the same.
    if server.has_holes() || leg.half(Role::Client).gap_bytes > 0 {
        return None;
    }
    let name = parties::server_of(session, index)?;
    if !received {
        return closed_before(index, leg, request, name);
    }
    let (what, moment, confidence) = ending(facts, leg)?;
    let until = facts.neighbours.span.1;
    if index > 0 && moment.is_some_and(|end| upstream::may_go_on(session.first_leg(), end, until)) {
        return None;
    }
    let without = if begun { "before its answer was complete" } else { "without a byte of an answer" };
    let never = if begun { "gave no complete answer" } else { "never answered" };
    let as_engine_io = moment.map_or("", |end| as_engine_io_does(request, end));
    Some(
        Evidence::on(index, format!("the request was received; {what}, {without}{as_engine_io}"))
            .packet(request.moment, "the request")
            .packet_if(moment, "the end")
            .confidence(confidence)
            .verdict(format!("{name} got the request and {never}: {what}{as_engine_io}")),
    )
}

/// A server that closes a new connection before it can have read the request: there are too many, or nobody is behind what
/// accepts them.
fn closed_before(index: usize, leg: &Leg, request: &Request, server: Name) -> Option<Evidence> {
    let end = leg.first_end().filter(|end| end.by == Role::Server && end.moment < request.moment)?;
    let up = leg.tcp.established.filter(|_| leg.earlier_requests == 0)?;
    let after = Span(end.moment.at.since(up.at));
    let what = format!("it {} {after} after the connection came up, before the request was there", end.deed());
    Some(
        Evidence::on(index, format!("{what}; nothing was read"))
            .packet(end.moment, "the end")
            .packet(request.moment, "the request")
            .fix(
                "Look at the server's limit of connections (node: server.maxConnections); where a forwarder accepts the \
                 connections (ssh -L, a container's port), look whether its target listens.",
            )
            .verdict(format!("{server} never read the request: {what}")),
    )
}

/// How engine.io leaves requests for upgrades of a path that is not its own: it waits a second, whether somebody else answers
/// (destroyUpgradeTimeout).
pub(super) fn as_engine_io_does(request: &Request, end: Moment) -> &'static str {
    let second = Duration::from_millis(990)..Duration::from_millis(1100);
    let is_its_client = request.head.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("EIO=")));
    match is_its_client && second.contains(&end.at.since(request.moment.at)) {
        true => "; engine.io leaves so after a second when the path is not the one that it serves",
        false => "",
    }
}

fn ending(facts: &Facts<'_>, leg: &Leg) -> Option<(String, Option<Moment>, Confidence)> {
    let asked = leg.request.as_deref()?.moment.at;
    match leg.first_end() {
        Some(end) if end.by == Role::Server => {
            let flag = end.deed();
            let after = Span(end.moment.at.since(asked));
            Some((format!("it {flag} {after} later"), Some(end.moment), Confidence::High))
        }
        Some(_) => None,
        None => {
            let waited = facts.neighbours.span.1.since(asked);
            let text = format!("it was still silent {} later, when the capture ended", Span(waited));
            (waited >= LONG).then_some((text, None, Confidence::Medium))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| leg.request(ASKED).after_ms(1000).fin(Role::Server))
    }

    #[test]
    fn a_server_may_close_before_it_has_read_the_request() {
        let closed = |earlier_requests: u32| {
            session().client_leg(|leg| {
                let leg = leg.fin(Role::Server).after_ms(1).request(ASKED);
                leg.with(|leg| {
                    let asked = leg.request.as_deref().map(|request| request.moment);
                    leg.tcp.halves.originator.unacknowledged_since = asked;
                    leg.earlier_requests = earlier_requests;
                })
            })
        };
        let diagnosis = closed(0).diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(
            diagnosis.verdict.contains("never read the request: it closed the connection (FIN)"),
            "{}",
            diagnosis.verdict
        );
        // A kept connection that is closed while the next request is on its way is another matter.
        assert!(closed(1).check(&RULE).is_none());
    }

    #[test]
    fn who_ends_tls_leaves_first() {
        let ended_by = |by: Role| {
            let session = session().client_leg(|leg| {
                let leg = leg.tls(|tls| tls.decrypted_by = Some("keylog")).request(ASKED).after_ms(100);
                let notify = leg.now();
                leg.tls(|tls| tls.close_notify[by] = Some(notify)).after_ms(1).fin(Role::Client).fin(Role::Server)
            });
            session.cause()
        };
        assert_eq!((ended_by(Role::Server), ended_by(Role::Client)), (Some(RULE.id), Some("client-gave-up")));
    }

    #[test]
    fn the_beginning_of_an_answer_is_none() {
        let half = session().client_leg(|leg| {
            leg.request(ASKED).odd_answer(crate::session::leg::FirstBytes::Http, "HTTP/1.1 101 Swi").fin(Role::Server)
        });
        assert_eq!(half.cause(), Some(RULE.id));
        assert!(half.diagnose().verdict.contains("gave no complete answer"), "{}", half.diagnose().verdict);
    }

    #[test]
    fn engine_io_gives_a_path_that_is_not_its_own_a_second() {
        let left_after = |target: &str, milliseconds| {
            let asked = ASKED.replace("/ws ", target);
            let session = session().client_leg(|leg| leg.request(&asked).after_ms(milliseconds).fin(Role::Server));
            session.diagnose().verdict.contains("engine.io")
        };
        assert!(left_after("/io/?EIO=4&transport=websocket ", 1003));
        assert!(!left_after("/io/?EIO=4&transport=websocket ", 300) && !left_after("/ws ", 1003));
    }

    #[test]
    fn a_long_silence_is_no_answer_either() {
        let session = session().client_leg(|leg| leg.request(ASKED).after_ms(12_000));
        assert_eq!(session.cause(), Some(RULE.id));
        assert_eq!(session.finding(RULE.id).unwrap().evidence.confidence, Confidence::Medium);
    }

    #[test]
    fn what_a_proxy_does_about_it_is_waited_for() {
        let told_ms_later = |millis: u64| {
            session()
                .client_leg(|leg| leg.request(ASKED))
                .backend_leg(|leg| leg.request(FORWARDED).after_ms(5).fin(Role::Server))
                .neighbours(|others| others.span.1 = others.span.1.plus(Duration::from_millis(millis)))
                .check(&RULE)
                .is_some()
        };
        assert_eq!((told_ms_later(2), told_ms_later(2_000)), (false, true));
    }

    #[test]
    fn is_dropped_when_the_proxy_stripped_the_request() {
        let session = session()
            .client_leg(|leg| leg.request(ASKED).after_ms(20_000))
            .backend_leg(|leg| leg.request(&replaced(FORWARDED, "Upgrade", "")).after_ms(20_000));
        assert_eq!(session.ids(), ["upgrade-headers-stripped"]);
    }

    #[test]
    fn is_silent_when_nothing_can_be_said() {
        let short = session().client_leg(|leg| leg.request(ASKED).after_ms(50));
        assert!(short.check(&RULE).is_none(), "it may still come");
        let left = session().client_leg(|leg| leg.request(ASKED).after_ms(20_000).fin(Role::Client));
        assert!(left.check(&RULE).is_none(), "the client left first");
        assert!(example().client_leg(|leg| leg.unseen(Role::Server)).check(&RULE).is_none());
        assert!(example().client_leg(|leg| leg.hole(Role::Server, 100)).check(&RULE).is_none());
    }
}
