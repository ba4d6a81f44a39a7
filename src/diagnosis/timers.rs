//! Timers that end silent WebSockets: the known ones, and what a silence says about the one that ended it.

use std::time::Duration;

use crate::diagnosis::proxies::Software;

/// Idle timers that software and services have by default, in seconds. A silence of the same length is a hint, never a
/// proof: sixty seconds is everybody's favourite number.
const KNOWN: &[(u64, &str)] = &[
    (50, "HAProxy's timeout client or server in Debian's configuration"),
    (55, "Heroku's router"),
    (60, "nginx's proxy_read_timeout, an AWS load balancer, Apache's Timeout"),
    (100, "Cloudflare"),
    (230, "Azure App Service"),
    (240, "Azure's load balancer"),
    (300, "Envoy's stream_idle_timeout, Apache's Timeout in Debian's configuration"),
    (350, "an AWS network load balancer"),
    (600, "API Gateway, CloudFront"),
    (3600, "Envoy's idle timeout for TCP, or an hour that somebody configured"),
];

/// How well a silence fits a timer of whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fit {
    /// The timer.
    pub seconds: u64,
    /// Whether it is a usual default, and whose.
    pub known: Option<&'static str>,
}

impl Fit {
    /// Whether people set timers to that.
    pub const fn is_round(self) -> bool {
        self.seconds.is_multiple_of(5)
    }
}

/// nginx does not set a timer anew within 300 ms of the last time, so that it may fire that much early
/// (NGX_TIMER_LAZY_DELAY). It was set by a byte all the same: no earlier than the first of those that came last.
const NGINX_EARLY: Duration = Duration::from_millis(300);

/// Timers of others never fire early; clocks and captures differ by little.
const EARLY: Duration = Duration::from_millis(10);

/// How much later than its time a timer fires on a busy machine.
const LATE: Duration = Duration::from_millis(120);

/// The timer of whole seconds that a silence of this length fits, if one does. `talk` is how long bytes had come, without a
/// pause of a second, when it began.
pub fn fit(silence: Duration, talk: Duration, software: Option<Software>) -> Option<Fit> {
    let early = match software {
        Some(Software::Nginx | Software::IngressNginx) | None => NGINX_EARLY.min(talk.saturating_add(EARLY)),
        Some(_) => EARLY,
    };
    let seconds = (silence + early).as_secs();
    let timer = Duration::from_secs(seconds);
    // Long timers are looked at less often by those who keep them.
    let late = LATE.max(timer / 100);
    let fits = seconds > 0 && silence + early >= timer && silence <= timer + late;
    fits.then(|| Fit { seconds, known: KNOWN.iter().find(|(known, _)| *known == seconds).map(|(_, name)| *name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(silence: f64, software: Option<Software>) -> Option<u64> {
        fit(Duration::from_secs_f64(silence), Duration::MAX, software).map(|fit| fit.seconds)
    }

    #[test]
    fn nginx_fires_early_and_nobody_fires_late() {
        assert_eq!(seconds(2.81, Some(Software::Nginx)), Some(3));
        assert_eq!(seconds(3.0, Some(Software::Nginx)), Some(3));
        assert_eq!(seconds(59.8, Some(Software::IngressNginx)), Some(60), "it is nginx");
        assert_eq!(seconds(2.81, Some(Software::HaProxy)), None);
        assert_eq!(seconds(2.004, Some(Software::HaProxy)), Some(2));
        assert_eq!(seconds(2.4, None), None);
        assert_eq!(seconds(0.05, None), None);
    }

    #[test]
    fn nginx_fires_no_earlier_than_its_first_byte_allows() {
        let after_talk_of = |millis| fit(Duration::from_millis(2_810), Duration::from_millis(millis), None).is_some();
        assert!(after_talk_of(190) && after_talk_of(5_000));
        assert!(!after_talk_of(1), "one message set the timer");
    }

    #[test]
    fn defaults_are_known() {
        let after = |millis: u64| fit(Duration::from_millis(millis), Duration::MAX, None);
        assert!(after(59_900).is_some_and(|fit| fit.known.is_some()));
        assert!(after(2_000).is_some_and(|fit| fit.known.is_none()));
        let round = |seconds: u64| after(seconds * 1000).is_some_and(Fit::is_round);
        assert!(round(15) && round(90) && !round(17));
    }
}
