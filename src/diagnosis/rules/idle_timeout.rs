//! A proxy ended a silent session when its timer ran out.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::diagnosis::ending::Ending;
use crate::diagnosis::groups::Shared;
use crate::diagnosis::proxies::Software;
use crate::diagnosis::timers::{self, Fit};
use crate::diagnosis::wording::{Between, Span};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::neighbours::recurrence::{Instant, Recurrence};
use crate::session::{Confidence, LegRole, Who};

/// `idle-timeout`.
pub const RULE: Rule = Rule {
    id: "idle-timeout",
    severity: Severity::Error,
    stage: Stage::Timers,
    title: "The proxy closed the session because nothing was said",
    explanation: "Nothing was said in either direction for the time of the proxy's idle timer, and the proxy \
        closed both legs without a Close frame; the client reports 1006. nginx logs this at level info \
        only: `upstream timed out ... while proxying upgraded connection`. Any byte in either direction \
        sets nginx's timer anew.",
    signature: "the proxy ends both legs within milliseconds, no Close frame, after a silence of a timer's \
        length that is longer than any before it",
    fix: "Send a ping from the application or the server more often than half of that time, and raise the \
        timer.\n\
        in the nginx location: proxy_read_timeout 3600s; proxy_send_timeout 3600s;\n\
        ingress-nginx: the annotations nginx.ingress.kubernetes.io/proxy-read-timeout: \"3600\" and \
        nginx.ingress.kubernetes.io/proxy-send-timeout: \"3600\"\n\
        HAProxy: timeout tunnel 1h\n\
        Apache: ProxyTimeout 3600\n\
        Varnish: varnishd -p pipe_timeout=3600\n\
        Envoy: stream_idle_timeout: 3600s in the HTTP connection manager",
    look_alikes: "A proxy that was killed or reloaded: the silence before it has any length. A limit on the age of \
        a session: traffic does not help against it.",
    reference: "nginx: proxy_read_timeout; HAProxy: timeout tunnel",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let end = facts.ending_without_close()?;
    let alone = facts.session.legs.len() == 1;
    let software = end.software();
    // On one leg the closer may be a proxy only where it says so itself: by its name, or by whom it forwards for.
    let is_proxy = match end.who {
        Who::Proxy => true,
        Who::Server => alone && software.is_some(),
        Who::Client => alone && end.on().role == LegRole::ProxyBackend,
        _ => false,
    };
    // Caddy has no idle timer for tunnels, only one for their age.
    if !is_proxy || software == Some(Software::Caddy) {
        return None;
    }
    // It was not idle: there was more to say than one end took. That is send-timeout.
    if end.who == Who::Proxy && end.shut().is_some() {
        return None;
    }
    let idle = end.idle();
    let fit = timers::fit(idle, end.talk(), software)?;
    // A longer silence was survived before: then no timer of this length is there.
    if end.survived() > idle + Duration::from_millis(400) {
        return None;
    }
    let (own, endings) = (facts.own_ending(), &facts.neighbours.endings);
    let same = endings.as_silent_as(own);
    if is_shared_instant(&endings.at_the_instant_of(own), idle, same)
        || (alone && fit.known.is_none() && same.sessions < 3)
    {
        return None;
    }
    let timer = Recurring { same, all: endings.cut(own.server) };
    let shared = Shared {
        place: (own.server.ip, own.server.port),
        time: None,
        words: format!("{} closed them for an idle timer of {} s{timer}", end.name(), fit.seconds),
    };
    Some(evidence(end, idle, fit, &timer, alone).shared(shared))
}

/// Sessions of the same server that were cut off: after the same silence, and all.
struct Recurring {
    same: Recurrence,
    all: u32,
}

impl Recurring {
    fn others(&self) -> u32 {
        self.same.sessions.saturating_sub(1)
    }
}

impl Display for Recurring {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let silences = Between(self.same.shortest, self.same.longest);
        match (self.others(), self.all) {
            (0, _) => Ok(()),
            (1, 2) => write!(f, "; so did another session ({silences})"),
            _ => write!(
                f,
                "; {} of {} that it cut off ended {silences} after the last byte",
                self.same.sessions, self.all
            ),
        }
    }
}

fn evidence(end: &Ending<'_>, idle: Duration, fit: Fit, shared: &Recurring, alone: bool) -> Evidence {
    let proxy = end.name();
    let known = fit.known.map(|known| format!("; {} s is also {known}", fit.seconds)).unwrap_or_default();
    let confidence = match (alone, shared.others()) {
        (true, _) => Confidence::Medium,
        (false, 2..) => Confidence::High,
        (false, _) if fit.known.is_some() || fit.is_round() => Confidence::High,
        // Of ends that come by chance every few falls near a whole second.
        _ => Confidence::Medium,
    };
    let mut evidence = Evidence::on(
        end.leg,
        format!("{proxy} ended it with {} after {} of silence on all legs{shared}{known}", end.flag(), Span(idle)),
    )
    .packet(end.last_byte, "the last byte of either side")
    .packet(end.end.moment, "the proxy ends this leg");
    for (_, echo) in end.echoes().take(2) {
        evidence = evidence.packet(echo.moment, "the end of the other leg");
    }
    evidence.confidence(confidence).verdict(format!(
        "{proxy} closed the session after {} without a byte in either direction, {} after it was opened: an idle timer of \
         {} s; no Close frame, the client reports 1006",
        Span(idle),
        Span(end.age()),
        fit.seconds
    ))
}

/// Whether more sessions ended at this instant, after silences of every length, than share this silence: then it was no
/// timer of this one.
fn is_shared_instant(instant: &Instant, idle: Duration, same: Recurrence) -> bool {
    let (shortest, longest) = instant.silences;
    let differs = longest.saturating_sub(idle).max(idle.saturating_sub(shortest)) > Duration::from_millis(400);
    differs && instant.sessions > same.sessions
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    use crate::session::SessionId;
    use crate::session::neighbours::Ending;

    pub(crate) fn idle_for(milliseconds: u64) -> TestSession {
        let silent =
            |leg: TestLeg| leg.open().messages(Role::Client, 1).messages(Role::Server, 1).after_ms(milliseconds);
        session()
            .client_leg(|leg| {
                silent(leg.request(ASKED).response(SWITCHED)).after_ms(2).fin(Role::Server).fin(Role::Client)
            })
            .backend_leg(|leg| silent(leg.request(FORWARDED).response(SWITCHED)).fin(Role::Client).fin(Role::Server))
            .outcome(crate::session::Outcome::Aborted)
    }

    pub(crate) fn example() -> TestSession {
        idle_for(60_000)
    }

    #[test]
    fn names_the_timer() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("an idle timer of 60 s"), "{}", diagnosis.verdict);
    }

    #[test]
    fn a_silence_of_any_other_length_is_no_timer() {
        assert!(idle_for(3370).check(&RULE).is_none());
        assert_eq!(idle_for(3370).cause(), Some("proxy-closed"));
    }

    #[test]
    fn a_silence_that_is_too_short_for_what_set_the_timer_is_none() {
        assert_eq!(idle_for(1_770).cause(), Some("proxy-closed"), "killed while idle");
        let talked = |leg: TestLeg| {
            leg.with(|leg| {
                let request = leg.request.as_mut().unwrap();
                request.moment.at = request.moment.at.minus(Duration::from_millis(230));
            })
        };
        assert_eq!(idle_for(1_770).client_leg(talked).backend_leg(talked).cause(), Some(RULE.id));
    }

    #[test]
    fn one_silence_of_a_length_that_nobody_sets_is_less_sure() {
        let confidence = |milliseconds| idle_for(milliseconds).finding(RULE.id).unwrap().evidence.confidence;
        assert_eq!((confidence(15_000), confidence(100_000)), (Confidence::High, Confidence::High));
        assert_eq!(confidence(17_000), Confidence::Medium);
    }

    #[test]
    fn is_silent_when_others_ended_at_the_same_instant() {
        let session = example();
        let other = Ending { session: SessionId(9), idle: Duration::from_secs(5), ..ending(&session.session) };
        assert!(session.neighbours(|neighbours| _ = neighbours.endings.add(&other)).check(&RULE).is_none());
    }

    #[test]
    fn counts_those_that_share_the_silence() {
        let session = example();
        let template = ending(&session.session);
        let session = session.neighbours(|neighbours| {
            for n in 2..41_u64 {
                let idle = Duration::from_millis(if n < 38 { 59_700 + n * 8 } else { n * 100 });
                let end = template.end.map(|end| end.plus(Duration::from_secs(n)));
                neighbours.endings.add(&Ending { session: SessionId(n), idle, end, ..template.clone() });
            }
        });
        let detail = session.finding(RULE.id).unwrap().evidence.detail;
        assert!(detail.contains("; 37 of 40 that it cut off ended 59.7-60 s after the last byte"), "{detail}");
    }

    #[test]
    fn a_receiver_that_took_nothing_more_was_not_idle() {
        let shut = |leg: TestLeg| {
            leg.with(|leg| {
                let opened = leg.tunnel.as_deref().map(|tunnel| tunnel.opened);
                let side = leg.side(Role::Client);
                let window = &mut leg.tcp.halves[side].zero_window;
                (window.count, window.first, window.open) = (1, opened, true);
            })
        };
        let session = example().client_leg(shut);
        assert!(session.check(&RULE).is_none());
    }

    #[test]
    fn is_silent_when_the_client_or_the_backend_left() {
        let left = session().client_leg(|leg| {
            leg.request(ASKED).response(SWITCHED).open().messages(Role::Client, 1).after_ms(60_000).fin(Role::Client)
        });
        assert!(left.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
