//! Sessions are ended at a fixed age.

use std::time::Duration;

use crate::diagnosis::groups::Shared;
use crate::diagnosis::proxies::Software;
use crate::diagnosis::wording::{Between, Span};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::{Confidence, Who};

/// `lifetime-cap`.
pub const RULE: Rule = Rule {
    id: "lifetime-cap",
    severity: Severity::Error,
    stage: Stage::Timers,
    title: "Sessions are ended at a fixed age, whatever is said",
    explanation: "Several sessions ended at the same age although data was flowing: something limits the lifetime \
        of a connection, and no heartbeat helps. Google's HTTP load balancer does so after 30 s by \
        default, API Gateway after two hours.",
    signature: "no Close frame; the same age at the end in several sessions; bytes in the last moments",
    fix: "Raise the limit where it is (backend service timeout of the load balancer, max_stream_duration of Envoy, \
        a maximum connection age), or let clients reconnect before it.\n\
        Caddy: stream_timeout of reverse_proxy is the limit",
    look_alikes: "An idle timer: the silence before the end is the same, not the age. A reload: the instant is the \
        same.",
    reference: "Google Cloud load balancing: backend service timeout",
    check,
};

/// At so many different moments sessions must have ended at that age.
const LEAST: u32 = 3;

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let end = facts.ending_without_close()?;
    let (age, silent) = (end.age(), end.idle() * 2 > end.age());
    // A silence would explain it as well, but of a proxy that has no timer for that: Caddy (stream_timeout counts from the 101).
    let only_counts_age = end.who == Who::Proxy && end.software() == Some(Software::Caddy);
    if end.who == Who::Client || age < Duration::from_secs(1) || (silent && !only_counts_age) {
        return None;
    }
    let (own, endings) = (facts.own_ending(), &facts.neighbours.endings);
    own.cut_at()?;
    let same = endings.as_old_as(own);
    let recurs = same.moments >= LEAST;
    let is_a_limit = recurs || (only_counts_age && is_whole_seconds(age));
    if !is_a_limit {
        return None;
    }
    let who = end.name();
    let (others, all) = (same.sessions.saturating_sub(1), endings.cut(own.server));
    let ages = Between(same.shortest, same.longest);
    let of_all = format!("{} of {all} that it cut off", same.sessions);
    let (also, like) = match (recurs, silent) {
        (true, false) => (
            format!("; {of_all} were {ages} old"),
            format!(" although data was flowing, and {others} others at the same age ({ages})"),
        ),
        (true, true) => {
            (format!("; {of_all} were {ages} old"), format!(", and {others} others at the same age ({ages})"))
        }
        (false, _) => (String::new(), format!(": a limit of {} s", age.as_secs())),
    };
    let evidence = Evidence::on(end.leg, format!("{who} ended it {} after it was opened{also}", Span(age)))
        .packet(end.opened, "opened")
        .packet(end.end.moment, "the end")
        .confidence(if same.moments > LEAST { Confidence::High } else { Confidence::Medium })
        .verdict(format!("{who} ended the session {} after it was opened{like}", Span(age)));
    let words = format!("{who} ended {of_all} when they were {ages} old");
    Some(match recurs {
        true => evidence.shared(Shared { place: (own.server.ip, own.server.port), time: None, words }),
        false => evidence,
    })
}

/// Whether a timer of whole seconds may have run out then, on a machine that has more to do.
fn is_whole_seconds(age: Duration) -> bool {
    age.subsec_millis() <= 40
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::session::{Outcome, SessionId};
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        let busy = |leg: TestLeg| leg.open().messages(Role::Client, 300).fin(Role::Server);
        let session = session().client_leg(|leg| busy(leg.request(ASKED).response(SWITCHED))).outcome(Outcome::Aborted);
        let end = crate::diagnosis::ending::ending(&session.session).expect("it ended");
        let (age, start) = (end.age(), end.opened.at);
        let template = crate::diagnosis::test_session::ending(&session.session);
        session.neighbours(|neighbours| {
            for n in 2..6u32 {
                let mut other = template.clone();
                other.session = SessionId(n.into());
                other.opened = Some(start.plus(Duration::from_secs(n.into())));
                other.end = other.opened.map(|opened| opened.plus(age));
                neighbours.endings.add(&other);
            }
        })
    }

    #[test]
    fn counts_the_others() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("4 others"), "{}", diagnosis.verdict);
    }

    #[test]
    fn a_proxy_without_a_timer_for_silence_counts_from_the_start() {
        let as_caddy = with_field(FORWARDED, "Via: 1.1 Caddy");
        let silent_for = |milliseconds: u64, request: &str| {
            let session = session()
                .client_leg(|leg| leg.request(ASKED).response(SWITCHED).open().after_ms(milliseconds).fin(Role::Server))
                .backend_leg(|leg| {
                    leg.request(request).response(SWITCHED).open().after_ms(milliseconds).fin(Role::Client)
                });
            session.outcome(Outcome::Aborted).cause()
        };
        assert_eq!(silent_for(30_004, &as_caddy), Some(RULE.id));
        assert_eq!(silent_for(30_400, &as_caddy), Some("proxy-closed"));
        assert_eq!(silent_for(30_004, FORWARDED), Some("idle-timeout"));
    }

    #[test]
    fn is_silent_on_one_session() {
        assert!(example().alone().check(&RULE).is_none());
    }
}
