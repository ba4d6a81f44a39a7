//! The certificate's time is over.

use crate::diagnosis::certificates::{self, Objection};
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::leg::Certificate;
use crate::time::Timestamp;

/// `certificate-expired`.
pub const RULE: Rule = Rule {
    id: "certificate-expired",
    severity: Severity::Error,
    stage: Stage::Tls,
    title: "The server's certificate has expired",
    explanation: "The client refused the certificate because its time is over, or has not begun. Either nobody renewed it, \
        the server was not reloaded after renewal, or the client's clock is wrong.",
    signature: "the client's alert 45 (certificate_expired), or another one and a certificate whose time is over",
    fix: "Renew the certificate, and reload the server: certbot renew && nginx -s reload. If the certificate is good, check \
        the clock of the client.",
    look_alikes: "A certificate that is in time and not trusted is certificate-untrusted.",
    reference: "RFC 8446 §6.2, RFC 5280 §4.1.2.5",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refused = certificates::refused(facts.session).filter(|refused| refused.objection == Objection::Expired)?;
    let failure = &refused.failure;
    let at = refused.moment.map_or(facts.session.end, |moment| moment.at);
    let when = failure.tls.certificate.as_ref().and_then(|certificate| when(certificate, at)).unwrap_or_default();
    let (said, words, outcome) = (&refused.said, certificates::words(failure), failure.outcome());
    Some(
        Evidence::on(failure.index, format!("the client refused the certificate: {said}{words}{when}"))
            .packet_if(failure.tls.server_hello, "the server's flight")
            .packet_if(refused.moment, "the client refuses")
            .confidence(refused.confidence)
            .verdict(format!(
                "{} refused the certificate of {} as expired ({said}){when}{outcome}",
                failure.client(),
                failure.server()
            )),
    )
}

fn when(certificate: &Certificate, at: Timestamp) -> Option<String> {
    if let Some(end) = certificate.not_after.filter(|end| *end < at) {
        return Some(format!("; it ended {} ago", Span(at.since(end))));
    }
    let begin = certificate.not_before.filter(|begin| *begin > at)?;
    Some(format!("; it begins only in {}", Span(begin.since(at))))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    fn refusing(description: u8, not_after: Timestamp) -> TestSession {
        session().client_leg(|leg| {
            leg.tls(|_| {})
                .server_hello("TLS 1.2")
                .tls(|tls| tls.certificate = Some(Certificate { not_after: Some(not_after), ..Certificate::default() }))
                .alert(Role::Client, description)
                .fin(Role::Client)
        })
    }

    fn yesterday() -> Timestamp {
        Timestamp::from_nanos(START.as_nanos() - Duration::from_secs(86_400).as_nanos() as u64)
    }

    pub(crate) fn example() -> TestSession {
        refusing(45, yesterday())
    }

    #[test]
    fn the_certificate_tells_where_the_alert_does_not() {
        assert_eq!(refusing(42, yesterday()).cause(), Some(RULE.id));
    }

    #[test]
    fn is_silent_about_a_certificate_that_is_in_time() {
        let tomorrow = START.plus(Duration::from_secs(86_400));
        let session = refusing(42, tomorrow);
        assert!(session.check(&RULE).is_none());
        assert_eq!(session.cause(), Some("certificate-untrusted"));
        assert!(healthy().check(&RULE).is_none());
    }

    #[test]
    fn tls_that_was_refused_has_no_other_cause() {
        assert_eq!(example().ids(), [RULE.id]);
    }
}
