//! Nobody whom the client trusts has signed the certificate.

use crate::diagnosis::certificates::{self, Objection};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `certificate-untrusted`.
pub const RULE: Rule = Rule {
    id: "certificate-untrusted",
    severity: Severity::Error,
    stage: Stage::Tls,
    title: "The client does not trust the server's certificate",
    explanation: "The client got the certificate and ended the handshake: it is self-signed, its issuer is unknown to the \
        client, or the server does not send the intermediate certificates. A page shows a warning that one can click away; \
        a WebSocket just fails.",
    signature: "the client's alert 48 (unknown_ca), 42, 43, 44 or 46 behind the server's certificate; in TLS 1.3 a client \
        that leaves right there",
    fix: "Use a certificate of an authority that the client knows, with its whole chain; or give the client the authority's \
        certificate.\n\
        in the nginx server: ssl_certificate /path/fullchain.pem;\n\
        HAProxy: put certificate, intermediates and key into the one file of crt\n\
        Apache: SSLCertificateFile with the whole chain\n\
        nginx, as the client of a backend: proxy_ssl_trusted_certificate names the authority",
    look_alikes: "certificate-expired and certificate-name-mismatch, where the alert or the certificate says so.",
    reference: "RFC 8446 §6.2, RFC 5280 §6",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refused = certificates::refused(facts.session).filter(|refused| refused.objection == Objection::Untrusted)?;
    let failure = &refused.failure;
    let (said, words, outcome) = (&refused.said, certificates::words(failure), failure.outcome());
    Some(
        Evidence::on(failure.index, format!("the client refused the certificate: {said}{words}"))
            .packet_if(failure.tls.server_hello, "the server's flight")
            .packet_if(refused.moment, "the client refuses")
            .confidence(refused.confidence)
            .verdict(format!(
                "{} does not trust the certificate of {} ({said}){words}{outcome}",
                failure.client(),
                failure.server()
            )),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::Confidence;
    use crate::session::leg::Certificate;
    use crate::stream::Role;

    fn refusing(description: u8) -> TestSession {
        session().client_leg(|leg| {
            leg.tls(|tls| tls.sni = Some("lab.test".into()))
                .server_hello("TLS 1.2")
                .tls(|tls| {
                    let names = vec!["lab.test".into()];
                    let (subject, issuer) = ("CN=lab.test".into(), "CN=lab CA".into());
                    tls.certificate = Some(Certificate { subject, issuer, names, ..Certificate::default() });
                })
                .alert(Role::Client, description)
                .rst(Role::Client)
        })
    }

    pub(crate) fn example() -> TestSession {
        refusing(48)
    }

    #[test]
    fn an_alert_that_names_no_reason_is_less_sure() {
        assert_eq!(refusing(46).cause(), Some(RULE.id));
        assert_eq!(refusing(46).finding(RULE.id).unwrap().evidence.confidence, Confidence::Medium);
    }

    #[test]
    fn an_encrypted_alert_is_known_by_its_shape() {
        let session = session().client_leg(|leg| {
            let leg = leg.tls(|_| {}).server_hello("TLS 1.3");
            leg.tls(|tls| tls.client_left_after_server_flight = true).fin(Role::Client)
        });
        assert_eq!(session.cause(), Some(RULE.id));
        assert_eq!(session.finding(RULE.id).unwrap().evidence.confidence, Confidence::Low);
    }

    #[test]
    fn a_client_that_leaves_a_finished_handshake_has_seen_a_flaw() {
        let leaving = |names: &str, self_signed: bool| {
            session().client_leg(|leg| {
                let leg = leg.tls(|tls| tls.sni = Some("lab.test".into())).server_hello("TLS 1.2");
                let done = leg.now();
                let leg = leg.tls(|tls| {
                    tls.handshake_done = Some(done);
                    tls.certificate =
                        Some(Certificate { names: vec![names.into()], self_signed, ..Certificate::default() });
                });
                leg.fin(Role::Client)
            })
        };
        assert_eq!(leaving("lab.test", true).cause(), Some(RULE.id));
        assert_eq!(leaving("other.test", true).cause(), Some("certificate-name-mismatch"));
        assert_eq!(leaving("lab.test", false).cause(), None, "nothing is wrong with it: a health check");
    }

    #[test]
    fn a_client_that_never_got_the_flight_refuses_nothing() {
        let session = session().client_leg(|leg| {
            let leg = leg.tls(|_| {}).server_hello("TLS 1.3");
            let leg = leg.tls(|tls| tls.client_left_after_server_flight = true).fin(Role::Client);
            leg.with(|leg| {
                let side = leg.side(Role::Server);
                leg.tcp.halves[side].largest_lost = 1448;
            })
        });
        assert_eq!(session.cause(), Some("tls-handshake-failed"));
    }

    #[test]
    fn a_proxy_that_refuses_its_backends_certificate_explains_the_502() {
        let session = session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502))
            .backend_leg(|leg| leg.tls(|_| {}).server_hello("TLS 1.2").alert(Role::Client, 48).fin(Role::Client));
        assert_eq!(session.ids(), [RULE.id]);
        assert!(session.diagnose().verdict.starts_with("the proxy 10.0.0.1:80 does not trust"));
    }

    #[test]
    fn is_silent_about_a_close_notify_and_about_other_objections() {
        assert!(refusing(0).check(&RULE).is_none());
        assert!(refusing(45).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
