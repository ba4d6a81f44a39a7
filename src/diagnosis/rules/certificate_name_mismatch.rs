//! The certificate is for somebody else.

use crate::diagnosis::certificates::{self, Objection};
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `certificate-name-mismatch`.
pub const RULE: Rule = Rule {
    id: "certificate-name-mismatch",
    severity: Severity::Error,
    stage: Stage::Tls,
    title: "The server's certificate is for another name",
    explanation: "The client asked for one name and got a certificate for others. The server has no certificate for this \
        name and sent its default one, or the client uses an address that is not in the certificate.",
    signature: "the client's alert 42, 43 or 46, and a certificate without the name of the ClientHello",
    fix: "Use a certificate that has this name, or connect by a name that the certificate has.\n\
        nginx: the server block with this server_name needs its own ssl_certificate; nginx, as the client of a backend, \
        sends no name unless proxy_ssl_server_name is on\n\
        HAProxy: put the certificate into the directory of crt; crt-list picks it by name",
    look_alikes: "A wildcard stands for one label: *.example.com is not for a.b.example.com.",
    reference: "RFC 9525 §6, RFC 6066 §3",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refused = certificates::refused(facts.session).filter(|refused| refused.objection == Objection::Name)?;
    let failure = &refused.failure;
    let asked = quote(failure.tls.sni.as_deref().unwrap_or_default());
    let names = failure.tls.certificate.as_ref().map(|certificate| certificate.names.join(", ")).unwrap_or_default();
    let (names, said, outcome) = (quote(&names), &refused.said, failure.outcome());
    Some(
        Evidence::on(failure.index, format!("the client asked for {asked}, the certificate is for {names}; {said}"))
            .packet_if(failure.tls.client_hello, "the name asked for")
            .packet_if(failure.tls.server_hello, "the server's flight")
            .packet_if(refused.moment, "the client refuses")
            .confidence(refused.confidence)
            .verdict(format!(
                "{} asked {} for {asked} and got a certificate for {names} ({said}){outcome}",
                failure.client(),
                failure.server()
            )),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::leg::Certificate;
    use crate::stream::Role;

    fn refusing(asked: &str, description: u8) -> TestSession {
        session().client_leg(|leg| {
            leg.tls(|tls| tls.sni = Some(asked.into()))
                .server_hello("TLS 1.2")
                .tls(|tls| {
                    let names = vec!["lab.test".into(), "*.lab.test".into()];
                    tls.certificate = Some(Certificate { names, ..Certificate::default() });
                })
                .alert(Role::Client, description)
                .fin(Role::Client)
        })
    }

    pub(crate) fn example() -> TestSession {
        refusing("other.test", 46)
    }

    #[test]
    fn an_alert_that_names_another_reason_wins() {
        assert_eq!(refusing("other.test", 48).cause(), Some("certificate-untrusted"));
    }

    #[test]
    fn is_the_only_finding_of_its_session() {
        assert_eq!(example().ids(), [RULE.id]);
    }

    #[test]
    fn is_silent_when_the_name_fits() {
        assert!(refusing("www.lab.test", 46).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
