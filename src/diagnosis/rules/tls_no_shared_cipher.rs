//! No cipher suite that both sides know.

use crate::diagnosis::tls_failure::{alert_words, tls_failures};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Confidence;
use crate::stream::Role;

/// `tls-no-shared-cipher`.
pub const RULE: Rule = Rule {
    id: "tls-no-shared-cipher",
    severity: Severity::Error,
    stage: Stage::Tls,
    title: "Client and server have no cipher suite in common",
    explanation: "The server could not pick a cipher suite, a group or a signature algorithm of those that the client \
        offers: an old client, a server with a short list, or a certificate of a kind (ECDSA, RSA) that the client does not \
        take. Some servers also say handshake_failure when the client sends no name.",
    signature: "alert 40 (handshake_failure) or 71 (insufficient_security) instead of a ServerHello",
    fix: "Widen the list of the stricter side.\n\
        in the nginx server: ssl_ciphers HIGH:!aNULL:!MD5;\n\
        HAProxy: ssl-default-bind-ciphers, and ssl-default-bind-ciphersuites for TLS 1.3",
    look_alikes: "handshake_failure behind a request for a client certificate is client-certificate-required.",
    reference: "RFC 8446 §6.2, §4.1.1",
    check,
};

const HANDSHAKE_FAILURE: u8 = 40;
const INSUFFICIENT_SECURITY: u8 = 71;

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let (failure, alert) =
        tls_failures(facts.session).filter(|failure| failure.tls.server_hello.is_none()).find_map(|failure| {
            Some((failure, failure.alert(Role::Server, &[HANDSHAKE_FAILURE, INSUFFICIENT_SECURITY])?))
        })?;
    let said = alert_words(&alert);
    let nameless = failure.tls.sni.is_none();
    let name = if nameless { "; the client sent no server name, which some servers refuse so" } else { "" };
    Some(
        Evidence::on(failure.index, format!("the ClientHello was answered with {said}{name}"))
            .packet_if(failure.tls.client_hello, "the ClientHello")
            .packet(alert.moment, "the alert")
            .confidence(if nameless { Confidence::Medium } else { Confidence::High })
            .verdict(format!(
                "{} takes none of the cipher suites that {} offers ({said}){name}{}",
                failure.server(),
                failure.client(),
                failure.outcome()
            )),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn refused(name: Option<&str>) -> TestSession {
        let name = name.map(str::to_owned);
        session().client_leg(|leg| leg.tls(|tls| tls.sni = name).alert(Role::Server, 40).fin(Role::Server))
    }

    pub(crate) fn example() -> TestSession {
        refused(Some("lab.test"))
    }

    #[test]
    fn is_less_sure_when_no_name_was_sent() {
        assert_eq!(refused(None).cause(), Some(RULE.id));
        assert_eq!(refused(None).finding(RULE.id).unwrap().evidence.confidence, Confidence::Medium);
    }

    #[test]
    fn is_silent_once_the_server_has_chosen() {
        let later = session()
            .client_leg(|leg| leg.tls(|_| {}).server_hello("TLS 1.2").alert(Role::Server, 40).fin(Role::Server));
        assert!(later.check(&RULE).is_none());
        assert_eq!(later.cause(), Some("tls-handshake-failed"));
        assert!(healthy().check(&RULE).is_none());
    }
}
