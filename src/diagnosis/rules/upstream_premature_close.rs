//! The backend took the request and hung up.

use std::time::Duration;

use crate::diagnosis::rules::no_answer::as_engine_io_does;
use crate::diagnosis::upstream::{LastAttempt, last_attempts};
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::packet::Moment;
use crate::session::leg::{LegEnd, Request};
use crate::stream::Role;

/// `upstream-premature-close`.
pub const RULE: Rule = Rule {
    id: "upstream-premature-close",
    severity: Severity::Error,
    stage: Stage::Upstream,
    title: "The backend closed without an answer",
    explanation: "The backend accepted the connection, got the handshake, and closed without a byte: it crashed on it, \
        refuses silently, expects TLS or a PROXY header, or engine.io does not know the path. nginx logs \"upstream \
        prematurely closed connection while reading response header from upstream\" for a FIN, \"recv() failed (104: \
        Connection reset by peer)\" for an RST.",
    signature: "behind the proxy: request, then FIN or RST from the backend and no byte of an answer; in front: 502",
    fix: "Look at the backend: its log at this very time, the path that it serves, whether it expects TLS (https:// in the \
        proxy) or a PROXY header.",
    look_alikes: "A proxy that leaves first is upstream-response-timeout. A reused connection that the backend was about to \
        close is upstream-keepalive-race.",
    reference: "RFC 9110 §15.6.3",
    check,
};

/// A backend that closes a connection that was used before within this time closed it for being idle.
pub(super) const RACE: Duration = Duration::from_millis(50);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    last_attempts(facts.session)
        .find_map(|attempt| closed_behind_the_request(&attempt).or_else(|| closed_before_it(&attempt)))
}

/// The backend took the request, and closed.
fn closed_behind_the_request(attempt: &LastAttempt<'_>) -> Option<Evidence> {
    let (asked, request, end) = match closed_without_answer(attempt) {
        Some((request, end)) => (request.moment, Some(request), end),
        None => {
            let (asked, end) = closed_without_a_record(attempt)?;
            (asked, None, end)
        }
    };
    let is_race = request.is_some()
        && attempt.back.earlier_requests > 0
        && !attempt.back.answer_begun()
        && end.moment.at.since(asked.at) <= RACE;
    if is_race {
        return None;
    }
    let after = Span(end.moment.at.since(asked.at));
    let flag = end.deed();
    let backend = attempt.backend();
    let (without, before) = match attempt.back.answer_begun() {
        true => ("in the middle of its answer", "before its answer was complete"),
        false => ("no byte of an answer", "without an answer"),
    };
    let as_engine_io = request.map(|request| as_engine_io_does(request, end.moment)).unwrap_or_default();
    // Behind a sentence about the backend, "it" would be the backend.
    let outcome = attempt.outcome();
    let outcome = outcome.strip_prefix("it ").map(|deed| format!("the proxy {deed}")).unwrap_or(outcome);
    Some(
        Evidence::on(
            attempt.back_index,
            format!("{backend} {flag} {after} after the request, {without}{as_engine_io}"),
        )
        .packet(asked, "the proxy's request")
        .packet(end.moment, "the backend closes")
        .packet_if(attempt.answered(), "the proxy's answer")
        .verdict(format!(
            "{backend} took the request of {} and {flag} {after} later {before}{as_engine_io}; {outcome}",
            attempt.proxy(),
        )),
    )
}

/// The backend closed a new connection before anything was said on it: it has too many, or nobody is behind what accepts them.
fn closed_before_it(attempt: &LastAttempt<'_>) -> Option<Evidence> {
    let (front, back) = (attempt.front, attempt.back);
    let refused = front.status().is_some_and(|status| status >= 500);
    let silent = Role::BOTH.into_iter().all(|role| back.half(role).bytes == 0 && !back.half(role).has_holes());
    let up = back.tcp.established.filter(|_| refused && silent)?;
    let end = back.first_end().filter(|end| end.by == Role::Server)?;
    let what = format!(
        "{} {} after the connection came up, before it was asked",
        end.deed(),
        Span(end.moment.at.since(up.at))
    );
    Some(
        Evidence::on(attempt.back_index, format!("{} {what}", attempt.backend()))
            .packet(up, "the connection is up")
            .packet(end.moment, "the backend closes")
            .packet_if(attempt.answered(), "the proxy's answer")
            .fix(
                "Look at the backend's limit of connections and of open files; where a forwarder accepts the connections (a \
                 container's port, a tunnel), look whether its target listens.",
            )
            .verdict(format!("{} accepted {} and {what}; {}", attempt.backend(), attempt.proxy(), attempt.outcome())),
    )
}

/// The same in TLS that cannot be read: the last record of the proxy, and the end that the backend made without any of its own.
fn closed_without_a_record(attempt: &LastAttempt<'_>) -> Option<(Moment, LegEnd)> {
    let (back, tls) = (attempt.back, attempt.back.tls.as_deref()?);
    let refused = attempt.front.status().is_some_and(|status| status >= 500);
    let unread = back.request.is_none() && tls.decrypted_by.is_none() && !back.has_holes();
    let end = back.first_end().filter(|end| end.by == Role::Server && unread && refused && tls.bytes.server == 0)?;
    // Behind the end a proxy says close_notify, which is a record too.
    let said = tls.last_record.client.map(|(asked, _)| asked).filter(|asked| *asked < end.moment);
    let begun = tls.records.client.first().is_some_and(|&(at, _)| at <= end.moment.at);
    let asked = tls.handshake_done.filter(|_| begun)?;
    Some((said.unwrap_or(asked), end))
}

/// The request, and the end that the backend made of it.
pub(super) fn closed_without_answer<'a>(attempt: &LastAttempt<'a>) -> Option<(&'a Request, LegEnd)> {
    let back = attempt.back;
    let asked = back.request.as_deref()?;
    // What the capture lacks may be the answer.
    let answered = back.response.is_some() || back.answer_is_alien() || back.half(Role::Server).has_holes();
    if answered || !back.is_readable() {
        return None;
    }
    let end = back.first_end().filter(|end| end.by == Role::Server)?;
    Some((asked, end))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::Confidence;

    pub(crate) fn example() -> TestSession {
        session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502).fin(Role::Client))
            .backend_leg(|leg| leg.request(FORWARDED).after_ms(3).fin(Role::Server))
    }

    #[test]
    fn a_backend_that_says_nothing_in_tls_does_it_too() {
        let back = |answer: u64| {
            session().client_leg(|leg| leg.request(ASKED).after_ms(200).response(NGINX_502)).backend_leg(|leg| {
                let leg = leg.tls(|_| {}).server_hello("TLS 1.2");
                let now = leg.now();
                let leg = leg.tls(|tls| {
                    (tls.handshake_done, tls.last_record.client) = (Some(now), Some((now, 155)));
                    (tls.bytes.client, tls.bytes.server) = (155, answer);
                    tls.records.client.push((now.at, 155));
                });
                leg.after_ms(50).fin(Role::Server)
            })
        };
        assert_eq!(back(0).cause(), Some(RULE.id));
        assert_eq!(back(400).cause(), Some("handshake-rejected"), "it answered, nobody knows what");
    }

    #[test]
    fn a_backend_may_close_before_it_is_asked() {
        let back = |answer: &str| {
            session()
                .client_leg(|leg| leg.request(ASKED).after_ms(5).response(answer))
                .backend_leg(|leg| leg.after_ms(1).rst(Role::Server))
        };
        let diagnosis = back(NGINX_502).diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("before it was asked"), "{}", diagnosis.verdict);
        assert!(back("HTTP/1.1 404 Not Found\n\n").check(&RULE).is_none(), "the answer has another reason");
        let asked =
            back(NGINX_502).backend_leg(|leg| leg.with(|leg| leg.tcp.halves.originator.bytes = 10).rst(Role::Server));
        assert!(asked.check(&RULE).is_none(), "something was said");
    }

    #[test]
    fn another_protocol_is_no_answer_that_broke_off() {
        let alien = example().backend_leg(|leg| {
            let leg = leg.with(|leg| leg.first_bytes.server = Some(crate::session::leg::FirstBytes::Http2));
            leg.after_ms(3).fin(Role::Server)
        });
        assert!(alien.check(&RULE).is_none());
    }

    #[test]
    fn outranks_the_status_and_tells_fin_from_rst() {
        assert_eq!(example().ids(), [RULE.id]);
        let reset = session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502))
            .backend_leg(|leg| leg.request(FORWARDED).rst(Role::Server));
        assert!(reset.diagnose().verdict.contains("reset the connection (RST)"));
    }

    #[test]
    fn is_a_consequence_of_a_stripped_upgrade() {
        let session = example().backend_leg(|leg| leg.request(&replaced(FORWARDED, "Upgrade", "")));
        assert_eq!(session.cause(), Some("upgrade-headers-stripped"));
    }

    #[test]
    fn is_less_sure_when_the_capture_has_holes() {
        let session = example().backend_leg(|leg| leg.hole(Role::Client, 300));
        let finding = session.finding(RULE.id).unwrap();
        assert_eq!(finding.evidence.confidence, Confidence::Medium);
        assert!(finding.evidence.detail.ends_with("the capture lacks bytes of this leg"));
    }

    #[test]
    fn is_silent_when_the_proxy_left_first_or_an_answer_came() {
        let proxy_left = session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502))
            .backend_leg(|leg| leg.request(FORWARDED).fin(Role::Client).fin(Role::Server));
        assert!(proxy_left.check(&RULE).is_none());
        assert!(refused_with("HTTP/1.1 500 x\n\n").check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }

    #[test]
    fn is_silent_where_the_capture_lacks_what_the_backend_said() {
        let holed = |leg: TestLeg| leg.request(FORWARDED).hole(Role::Server, 62).fin(Role::Server);
        let session = session().client_leg(|leg| leg.request(ASKED).response(NGINX_502)).backend_leg(holed);
        assert!(session.check(&RULE).is_none());
    }

    #[test]
    fn a_client_without_an_answer_is_told_in_a_sentence() {
        let verdict = |leg: fn(TestLeg) -> TestLeg| {
            let session = session().client_leg(|front| leg(front.request(ASKED)));
            session.backend_leg(|leg| leg.request(FORWARDED).after_ms(3).fin(Role::Server)).diagnose().verdict
        };
        assert!(verdict(|leg| leg).ends_with("without an answer; its client got no answer"));
        assert!(verdict(|leg| leg.response(NGINX_502)).ends_with("without an answer; the proxy answered 502"));
    }
}
