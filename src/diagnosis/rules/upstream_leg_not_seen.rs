//! The leg behind the proxy was not captured.

use crate::diagnosis::proxies;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `upstream-leg-not-seen`.
pub const RULE: Rule = Rule {
    id: "upstream-leg-not-seen",
    severity: Severity::Note,
    stage: Stage::Capture,
    title: "The leg behind the proxy was not captured",
    explanation: "A proxy answered with an error of its own, and the capture has nothing of its way to the \
        backend. Which of several reasons it was cannot be told from this side.",
    signature: "an error page of a recognised proxy, and no leg or attempt behind it",
    fix: "Capture the proxy's way to the backend as well: `wsflow -i any port FRONT or port BACK` on the \
        proxy's host. A backend behind a unix socket cannot be captured.",
    look_alikes: "A proxy that answers by itself: a redirect, a page, a limit.",
    reference: "tcpdump(1), wireshark(1)",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let (index, leg) = facts.session.legs.iter().enumerate().next_back()?;
    let response = leg.response.as_deref().filter(|response| (502..=504).contains(&response.head.status))?;
    let proxy = proxies::error_page(response).or_else(|| proxies::named_by(response).map(|print| print.software))?;
    let detail =
        format!("{} answered {}; its way to the backend is not in the capture", proxy.name(), response.head.status);
    Some(Evidence::on(index, detail).packet(response.moment, "the proxy's answer").not_cause())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        answered(NGINX_502)
    }

    #[test]
    fn names_the_proxy() {
        assert!(example().check(&RULE).is_some_and(|evidence| evidence.detail.starts_with("nginx answered 502")));
    }

    #[test]
    fn is_silent_when_the_attempt_was_seen() {
        let seen = example().attempt(|leg| leg.refused());
        assert!(seen.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
