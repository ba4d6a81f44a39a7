//! The proxy had to ask more than once.

use crate::diagnosis::wording::Count;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, parties};
use crate::packet::Moment;
use crate::session::{Leg, Proxy, Session};
use crate::stream::Role;

/// `upstream-retried`.
pub const RULE: Rule = Rule {
    id: "upstream-retried",
    severity: Severity::Warning,
    stage: Stage::Upstream,
    title: "The proxy tried several backends for one request",
    explanation: "An attempt failed and the proxy went on to the next backend. The client notices a delay at most, and \
        one of the backends is down or refuses: when the others go, everything does.",
    signature: "one request in front of the proxy, several attempts behind it",
    fix: "Repair the backend that failed, or take it out.\n\
        nginx: the list is in the upstream block; max_fails and fail_timeout say how long a failed one is left out\n\
        HAProxy: add check to the server lines, so that servers that are down are not tried",
    look_alikes: "Several sessions with one key are a test tool that sends the same key again and again.",
    reference: "nginx: proxy_next_upstream",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    if session.legs.len() < 3 {
        return None;
    }
    let Proxy { front_index, front, back_index, back } = session.proxies().find(|proxy| {
        // Two that worked are two sessions of a tool that sends one key again and again.
        proxy.back.tunnel.is_none() && has_failed(proxy.back) && was_tried_again(session, proxy)
    })?;
    let attempts = session.proxies().filter(|proxy| proxy.front_index == front_index).count() as u64;
    let proxy = parties::server_of(session, front_index)?;
    let failed = format!("{} {}", back.server, how_it_failed(back));
    let worked = front.tunnel.is_some();
    let then = match parties::behind(session, front_index).map(|last| &session.legs[last]) {
        Some(last) if worked => format!(", then {} took it", last.server),
        _ => String::new(),
    };
    let evidence = Evidence::on(back_index, format!("{proxy} made {}: {failed}{then}", Count(attempts, "attempt")))
        .packet_if(back.tcp.syn.or(Some(back.tcp.first)), "the attempt that failed")
        .packet_if(back.first_end().map(|end| end.moment), "how it ended")
        .not_cause();
    Some(if worked { evidence } else { evidence.severity(Severity::Note) })
}

/// Whether an attempt came to nothing: a yes to a request for something else is no failure, and an answer that the capture lacks
/// is none that was not given.
fn has_failed(back: &Leg) -> bool {
    match back.status() {
        Some(status) => status >= 300,
        None => !back.has_holes(),
    }
}

/// Whether the proxy made another attempt when this one had failed. What went out meanwhile is no second one.
fn was_tried_again(session: &Session, proxy: &Proxy<'_>) -> bool {
    let failed = proxy.back.settled();
    let is_later = |other: &Proxy<'_>| other.front_index == proxy.front_index && other.back_index > proxy.back_index;
    session.proxies().filter(is_later).any(|other| failed.is_none_or(|failed| failed <= begun(other.back)))
}

/// When an attempt began: when its connection was dialled, or with the request on one that had been used before.
fn begun(leg: &Leg) -> Moment {
    let asked = leg.request.as_deref().map(|request| request.begun).filter(|_| leg.earlier_requests > 0);
    asked.or(leg.tcp.syn).unwrap_or(leg.tcp.first)
}

fn how_it_failed(back: &Leg) -> String {
    if back.tcp.refused.is_some() {
        return "refused the connection".to_owned();
    }
    if !back.tcp.came_up() {
        return "did not answer".to_owned();
    }
    match (&back.response, back.first_end()) {
        (Some(response), _) => format!("answered {}", response.head.status),
        (None, Some(end)) if end.by == Role::Server => "closed without an answer".to_owned(),
        _ => "gave no answer".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        session()
            .client_leg(|leg| leg.request(ASKED).response(SWITCHED).open())
            .backend_leg(|leg| leg.refused())
            .attempt(|leg| leg.request(FORWARDED).response(SWITCHED).open())
    }

    #[test]
    fn is_a_warning_on_a_session_that_works() {
        assert_eq!((example().cause(), example().ids()), (None, vec![RULE.id]));
        let detail = example().finding(RULE.id).unwrap().evidence.detail;
        assert!(detail.ends_with("127.0.0.1:9000 refused the connection, then 127.0.0.1:9001 took it"), "{detail}");
    }

    #[test]
    fn is_a_note_when_all_attempts_failed() {
        let session = session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502))
            .backend_leg(|leg| leg.refused())
            .attempt(|leg| leg.refused());
        assert_eq!(session.ids(), ["upstream-refused", RULE.id]);
        assert_eq!(session.finding(RULE.id).unwrap().severity, Severity::Note);
    }

    #[test]
    fn is_silent_where_the_other_request_went_out_before_this_one_failed() {
        let beside = |asked: u64| {
            session()
                .client_leg(|leg| leg.request(ASKED).response(SWITCHED).open())
                .backend_leg(|leg| leg.request(FORWARDED).after_ms(20).response("HTTP/1.1 404 Not Found\n\n"))
                .attempt(|leg| {
                    let leg = leg.after_ms(asked);
                    let now = leg.now();
                    let leg = leg.with(|leg| leg.tcp.syn = Some(now));
                    leg.request(FORWARDED).after_ms(50).response(SWITCHED).open()
                })
        };
        assert!(beside(100).check(&RULE).is_some());
        assert!(beside(10).check(&RULE).is_none());
    }

    #[test]
    fn is_silent_about_an_attempt_that_may_have_been_answered() {
        let first = |tell: fn(TestLeg) -> TestLeg| {
            session()
                .client_leg(|leg| leg.request(ASKED).response(SWITCHED).open())
                .backend_leg(tell)
                .attempt(|leg| leg.request(FORWARDED).response(SWITCHED).open())
        };
        assert!(first(|leg| leg.request(FORWARDED)).check(&RULE).is_some());
        assert!(first(|leg| leg.request(FORWARDED).response("HTTP/1.1 200 OK\n\nyes")).check(&RULE).is_none());
        let holes = |leg: TestLeg| leg.request(FORWARDED).with(|leg| leg.tcp.halves.responder.gap_bytes = 62);
        assert!(first(holes).check(&RULE).is_none());
    }

    #[test]
    fn is_silent_about_a_chain() {
        let chain = healthy().leg(2, |leg| leg.request(FORWARDED).response(SWITCHED).open());
        assert!(chain.check(&RULE).is_none());
    }
}
