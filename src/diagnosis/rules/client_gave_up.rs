//! The client left before the answer came.

use std::time::Duration;

use crate::diagnosis::hops::{self, asks_for_websocket};
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::diagnosis::{answer, parties};
use crate::packet::Moment;
use crate::session::{Confidence, Leg, Outcome, Session};
use crate::stream::Role;
use crate::time::Timestamp;

/// `client-gave-up`.
pub const RULE: Rule = Rule {
    id: "client-gave-up",
    severity: Severity::Error,
    stage: Stage::Request,
    title: "The client left before it was answered",
    explanation: "The client closed while its request was still waiting (nginx logs 499). Either its own timeout is shorter \
        than the backend takes, or the page went away: a reload, a navigation, or React's StrictMode, which opens every \
        WebSocket twice in development and closes the first one at once.",
    signature: "FIN or RST from the client before any byte of the response",
    fix: "Make the handshake of the backend faster, or the client's timeout longer. In a page, close the WebSocket only \
        when it is open.",
    look_alikes: "A proxy that leaves its backend while the client still waits is upstream-response-timeout.",
    reference: "RFC 6455 §4.1",
    check,
};

/// A twin handshake follows within this time when a page opens its WebSocket twice.
const TWIN: Duration = Duration::from_secs(2);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let leg = session.first_leg();
    let late = leg.response.as_ref().filter(|response| answer::came_too_late(leg, response));
    let unread = unread_request(session);
    if late.is_none() && unread.is_none() && (leg.outcome != Outcome::Unanswered || leg.response.is_some()) {
        return None;
    }
    let asked = unread.or(leg.request.as_deref().map(|request| request.moment))?;
    let end = leg.first_end().filter(|end| end.by == Role::Client)?;
    let server = leg.half(Role::Server);
    let may_be_answered = leg.odd_answer.is_some() || server.has_holes() || !leg.is_readable();
    if (may_be_answered && late.is_none() && unread.is_none()) || server.packets == 0 {
        return None;
    }
    let waited = Span(end.moment.at.since(asked.at));
    let flag = end.flag();
    let twin = twin(facts, end.moment.at);
    let followed = match twin {
        Some(twin) => {
            let gap = Span(twin.distance(end.moment.at));
            let when = if twin < end.moment.at { "before" } else { "later" };
            format!("; the same client asked again {gap} {when}, as a page does that opens its WebSocket twice")
        }
        None => String::new(),
    };
    let behind = behind(session);
    let dropped = drops_the_upgrade(session).then(|| DROPPED.to_owned());
    let evidence =
        Evidence::on(0, format!("{flag} from the client {waited} after its request, no answer yet{behind}{followed}"))
            .packet(asked, "the request")
            .packet(end.moment, "the client leaves")
            .fix_if(dropped)
            .confidence(if twin.is_some() { Confidence::High } else { Confidence::Medium })
            .verdict(format!(
                "{} gave up after {waited} without an answer{behind}{followed}",
                parties::client_of(session, 0)?
            ));
    // A proxy that never reached its backend had nothing to answer.
    let unreachable = session.legs.iter().any(|leg| leg.behind.is_some() && leg.outcome == Outcome::Unreachable);
    let hung_up = parties::behind(session, 0).is_some_and(|index| hung_up_before(session, &session.legs[index]));
    Some(if unreachable || hung_up || asked_in_vain(session) { evidence.not_cause() } else { evidence })
}

/// Whether the proxy had asked its backend for something else than a WebSocket: no patience would have helped.
fn asked_in_vain(session: &Session) -> bool {
    hops::hops(session)
        .any(|hop| hop.is_sure() && asks_for_websocket(hop.asked) && !asks_for_websocket(hop.forwarded) && !hop.works())
}

/// Whether the backend had left its proxy without an answer long before the client left: what it waited for could not come.
fn hung_up_before(session: &Session, back: &Leg) -> bool {
    const LONG: Duration = Duration::from_millis(500);
    let left = back.first_end().filter(|end| end.by == Role::Server && back.response.is_none() && !back.answer_begun());
    let gave_up = session.first_leg().first_end();
    left.zip(gave_up).is_some_and(|(left, gave_up)| gave_up.moment.at.since(left.moment.at) >= LONG)
}

/// When a request was passed on that cannot be read where the client sent it, and neither the backend nor, by the sizes of
/// its records, the proxy had answered.
fn unread_request(session: &Session) -> Option<Moment> {
    let front = session.first_leg();
    let tls = front.tls.as_deref().filter(|_| front.outcome == Outcome::Encrypted && !front.has_holes())?;
    let back = &session.legs[parties::behind(session, 0)?];
    let request = back.request.as_deref().filter(|_| back.response.is_none() && !back.answer_begun())?;
    let end = front.first_end()?.moment;
    // A proxy may answer a client that has left.
    let unanswered = tls.records.server.first().is_none_or(|&(at, _)| at > end.at);
    (unanswered && end > request.moment).then_some(request.moment)
}

/// What the backend was doing meanwhile.
fn behind(session: &Session) -> String {
    let Some(index) = parties::behind(session, 0) else { return String::new() };
    let leg: &Leg = &session.legs[index];
    let Some(name) = parties::server_of(session, index) else { return String::new() };
    match (&leg.request, &leg.response) {
        (Some(_), None) if hung_up_before(session, leg) => format!("; {name} had closed without an answer before"),
        (Some(_), None) => format!("; {name} had the request and had not answered either"),
        (Some(_), Some(response)) => {
            let hung_up = if drops_the_upgrade(session) { ", and the proxy hung up on that" } else { "" };
            format!("; {name} had answered {}{hung_up}", response.head.status)
        }
        (None, _) => String::new(),
    }
}

const DROPPED: &str = "The proxy asks its backend for the upgrade and does not pass it on. Turn on its handling of upgrades (in \
    Node: server.on('upgrade', ...), ws: true), or use a proxy that knows WebSockets.";

/// Whether the proxy left the WebSocket that its backend had opened for it, without a frame, while its own client waited.
fn drops_the_upgrade(session: &Session) -> bool {
    const AT_ONCE: Duration = Duration::from_millis(100);
    let Some(back) = parties::behind(session, 0).map(|index| &session.legs[index]) else { return false };
    let Some((tunnel, end)) = back.tunnel.as_deref().zip(back.first_end()) else { return false };
    let left = end.by == Role::Client && end.moment.at.since(tunnel.opened.at) <= AT_ONCE;
    let waits = session.first_leg().first_end().is_none_or(|front| front.moment.at.since(end.moment.at) > AT_ONCE);
    left && waits && tunnel.sides.client.first_frame.is_none()
}

/// When the same client asked for the same again, if that was when this session ended, or soon behind it. One that went on beside it
/// for long is no second try.
fn twin(facts: &Facts<'_>, left: Timestamp) -> Option<Timestamp> {
    const BESIDE: Duration = Duration::from_millis(200);
    let own = facts.own_ending();
    let begins = |start: &Timestamp| start.plus(BESIDE) >= left && start.distance(left) < TWIN;
    facts.neighbours.endings.next_attempt(own, own.start).filter(begins)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::SessionId;
    use crate::session::neighbours::Ending;

    pub(crate) fn example() -> TestSession {
        session()
            .client_leg(|leg| leg.request(ASKED).after_ms(1500).fin(Role::Client))
            .backend_leg(|leg| leg.request(FORWARDED).after_ms(1500).fin(Role::Client))
    }

    #[test]
    fn a_proxy_that_does_not_pass_the_upgrade_on_is_to_mend() {
        let left_after = |milliseconds: u64| {
            let session =
                session().client_leg(|leg| leg.request(ASKED).after_ms(7000).fin(Role::Client)).backend_leg(|leg| {
                    leg.request(FORWARDED).response(SWITCHED).open().after_ms(milliseconds).fin(Role::Client)
                });
            let diagnosis = session.diagnose();
            (diagnosis.cause().map(|cause| (cause.id, cause.fix.contains("ws: true"))), diagnosis.verdict)
        };
        let (cause, verdict) = left_after(3);
        assert_eq!(cause, Some((RULE.id, true)));
        assert!(verdict.ends_with("had answered 101, and the proxy hung up on that"), "{verdict}");
        assert_eq!(left_after(6999).0, Some((RULE.id, false)));
    }

    #[test]
    fn a_backend_that_had_hung_up_is_the_cause_before_the_client_that_heard_nothing_of_it() {
        let hung_up = |milliseconds: u64| {
            let session = session()
                .client_leg(|leg| leg.request(ASKED).after_ms(7000).fin(Role::Client))
                .backend_leg(|leg| leg.request(FORWARDED).after_ms(milliseconds).fin(Role::Server));
            session.cause()
        };
        assert_eq!((hung_up(40), hung_up(6990)), (Some("upstream-premature-close"), Some(RULE.id)));
    }

    #[test]
    fn no_patience_helps_where_the_upgrade_was_lost() {
        let stripped = example().backend_leg(|leg| leg.request(&replaced(FORWARDED, "Upgrade", "")));
        assert_eq!((stripped.cause(), example().cause()), (Some("upgrade-headers-stripped"), Some(RULE.id)));
        assert!(stripped.ids().contains(&RULE.id));
    }

    #[test]
    fn a_request_that_only_the_proxy_could_read_is_one_too() {
        let waiting = |answer: u64| {
            let front = |leg: TestLeg| {
                let leg = leg.tls(|_| {}).server_hello("TLS 1.3");
                let now = leg.now();
                let answered = now.at.plus(Duration::from_millis(answer));
                let leg = leg.tls(|tls| {
                    tls.handshake_done = Some(now);
                    tls.records.server.push((answered, 300));
                });
                leg.after_ms(1500).fin(Role::Client)
            };
            session()
                .client_leg(front)
                .backend_leg(|leg| leg.request(FORWARDED).after_ms(1600).fin(Role::Client))
                .cause()
        };
        assert_eq!((waiting(1600), waiting(300)), (Some(RULE.id), None));
    }

    #[test]
    fn a_twin_handshake_tells_of_a_page_that_opens_twice() {
        let verdict = |waited: u64, again: u64| {
            let alone = session().client_leg(|leg| leg.request(ASKED).after_ms(waited).fin(Role::Client));
            let twin = Ending {
                session: SessionId(2),
                client: alone.session.legs[0].client.ip,
                start: START.plus(Duration::from_millis(again)),
                ..ending(&alone.session)
            };
            alone.neighbours(|neighbours| _ = neighbours.endings.add(&twin)).diagnose().verdict
        };
        assert!(verdict(5, 9).contains("opens its WebSocket twice"), "{}", verdict(5, 9));
        assert!(!verdict(1500, 9).contains("twice"), "it asked for two at once: {}", verdict(1500, 9));
    }

    #[test]
    fn an_answer_that_comes_when_the_client_has_left_is_none() {
        let late = session().client_leg(|leg| {
            leg.request(ASKED).after_ms(1200).fin(Role::Client).response("HTTP/1.1 200 OK\nServer: Caddy\n\n")
        });
        assert_eq!(late.ids(), [RULE.id]);
        let half_closed = session().client_leg(|leg| {
            leg.request(ASKED).fin(Role::Client).after_ms(1200).response("HTTP/1.1 200 OK\nServer: Caddy\n\n")
        });
        assert_eq!(half_closed.cause(), Some("upgrade-ignored"));
    }

    #[test]
    fn is_a_consequence_when_the_proxy_could_not_connect() {
        let session = session()
            .client_leg(|leg| leg.request(ASKED).after_ms(5000).fin(Role::Client))
            .backend_leg(|leg| leg.unanswered_syn(2));
        assert!(!session.finding(RULE.id).unwrap().evidence.may_be_cause);
    }

    #[test]
    fn is_silent_when_the_server_left_first_or_was_not_captured() {
        let asked = || session().client_leg(|leg| leg.request(ASKED).after_ms(10));
        assert!(asked().client_leg(|leg| leg.fin(Role::Server).fin(Role::Client)).check(&RULE).is_none());
        assert!(asked().client_leg(|leg| leg.fin(Role::Client).unseen(Role::Server)).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
