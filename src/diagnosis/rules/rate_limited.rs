//! Too many at once.

use std::time::Duration;

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::complaint::Complaint;
use crate::diagnosis::proxies::{self, Software};
use crate::diagnosis::wording::Count;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Confidence;

/// `rate-limited`.
pub const RULE: Rule = Rule {
    id: "rate-limited",
    severity: Severity::Error,
    stage: Stage::Response,
    title: "The handshake was refused because of a limit",
    explanation: "A limit of requests or connections was reached. A WebSocket holds its place in a connection limit for as \
        long as it lives, so limits that suit pages do not suit it.",
    signature: "429, or a proxy's own 503 without a request to a backend while other WebSockets are open",
    fix: "in the nginx location: limit_conn ZONE 100; limit_conn_status 429; with the ZONE of limit_conn_zone, or for a rate \
        limit_req zone=ZONE burst=50 nodelay; with that of limit_req_zone\n\
        HAProxy: raise maxconn of the server, or the limit of the stick-table rule\n\
        Traefik: raise average and burst of the rateLimit middleware, or amount of inFlightReq\n\
        Envoy: raise max_connections of the cluster's circuit breaker",
    look_alikes: "503 is also what maintenance pages and proxies without a live backend say.",
    reference: "RFC 6585 §4, RFC 9110 §15.6.4",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refusal = answer::refusal(facts.session)?;
    let said = refusal.said();
    let (detail, likely, confidence) = match refusal.complains_about(Complaint::TooMany) {
        Some(confidence) => (format!("answered {said}"), "", confidence),
        None => {
            let open = open_meanwhile(facts, &refusal)?;
            let others = Count(open, "other WebSocket");
            (format!("answered {said} itself while {others} of this server had room"), "likely ", Confidence::Medium)
        }
    };
    let wait = refusal.response.head.fields.first("Retry-After").map(|wait| format!("; retry after {wait}"));
    let wait = wait.unwrap_or_default();
    Some(
        Evidence::on(refusal.made_on, format!("{detail}{wait}"))
            .packet_if(refusal.request.map(|request| request.moment), "the request")
            .packet(refusal.response.moment, "the refusal")
            .confidence(confidence)
            .verdict(format!(
                "{} refused the handshake {likely}because of a limit: it {detail}{wait}",
                refusal.maker()
            )),
    )
}

/// Requests that were accepted so short a time before count too: a limit of the rate, not of the number.
const BURST: Duration = Duration::from_secs(2);

/// A herd comes at once: those that were let in get their answer from the backend later than the others theirs from the proxy.
const ANSWER: Duration = Duration::from_millis(500);

/// nginx answers 503 for a limit, and says 502 where it has no backend. How many WebSockets were open then.
fn open_meanwhile(facts: &Facts<'_>, refusal: &Refusal<'_>) -> Option<u64> {
    let is_nginx = proxies::error_page(refusal.response) == Some(Software::Nginx);
    if refusal.status() != 503 || facts.session.legs.len() > 1 || !is_nginx {
        return None;
    }
    let server = facts.session.legs[refusal.made_on].server;
    let at = refusal.response.moment.at;
    let open = facts.neighbours.endings.open_at(server, at, BURST, ANSWER);
    (open > 0).then_some(open)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::SessionId;
    use crate::session::neighbours::Ending;

    const PAGE: &str = "HTTP/1.1 503 Service Temporarily Unavailable\nServer: nginx/1.22.1\n\n\
        <center><h1>503</h1></center>\n<hr><center>nginx/1.22.1</center>";

    pub(crate) fn example() -> TestSession {
        answered("HTTP/1.1 429 Too Many Requests\nServer: nginx/1.22.1\nRetry-After: 30\n\n")
    }

    #[test]
    fn a_503_of_nginx_while_others_are_open_is_a_limit() {
        let session = answered(PAGE);
        let other = Ending { session: SessionId(2), opened: Some(START), ..ending(&session.session) };
        let session = session.neighbours(|neighbours| _ = neighbours.endings.add(&other));
        assert_eq!(session.cause(), Some(RULE.id));
    }

    #[test]
    fn is_dropped_behind_a_cause_that_lies_before() {
        let stripped = replaced(FORWARDED, "Upgrade", "");
        let session = refused_with("HTTP/1.1 429 Too Many Requests\n\n").backend_leg(|leg| leg.request(&stripped));
        assert!(!session.ids().contains(&RULE.id));
    }

    #[test]
    fn is_silent_about_a_503_that_nothing_explains() {
        assert!(answered(PAGE).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
