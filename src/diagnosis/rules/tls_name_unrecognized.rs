//! The server does not know the name, or wants one.

use crate::diagnosis::tls_failure::{alert_words, tls_failures};
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;

/// `tls-name-unrecognized`.
pub const RULE: Rule = Rule {
    id: "tls-name-unrecognized",
    severity: Severity::Error,
    stage: Stage::Tls,
    title: "The server does not know the name in the ClientHello",
    explanation: "The client names the host that it wants before anything is encrypted (SNI). The server has no host of \
        that name, or none was sent and it refuses that (nginx: ssl_reject_handshake).",
    signature: "alert 112 (unrecognized_name) in answer to the ClientHello",
    fix: "Connect by a name that the server has, or add the name to the server.\n\
        in the nginx location, towards a backend: proxy_ssl_server_name on; proxy_ssl_name $host;\n\
        HAProxy: sni req.hdr(host) on the server line, towards a backend",
    look_alikes: "A server that answers an unknown name with its default certificate is certificate-name-mismatch.",
    reference: "RFC 6066 §3, RFC 8446 §6.2",
    check,
};

const UNRECOGNIZED_NAME: u8 = 112;

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let (failure, alert) = tls_failures(facts.session)
        .find_map(|failure| Some((failure, failure.alert(Role::Server, &[UNRECOGNIZED_NAME])?)))?;
    let asked = match &failure.tls.sni {
        Some(name) => format!("asked for {}", quote(name)),
        None => "sent no server name".to_owned(),
    };
    let said = alert_words(&alert);
    Some(
        Evidence::on(failure.index, format!("the client {asked}; the server answered with {said}"))
            .packet_if(failure.tls.client_hello, "the ClientHello")
            .packet(alert.moment, "the alert")
            .verdict(format!(
                "{} {asked}, and {} has no such host ({said}){}",
                failure.client(),
                failure.server(),
                failure.outcome()
            )),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| {
            leg.tls(|tls| tls.sni = Some("other.test".into())).alert(Role::Server, 112).fin(Role::Server)
        })
    }

    #[test]
    fn a_proxy_that_sends_no_name_is_told_how() {
        let session = session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502))
            .backend_leg(|leg| leg.tls(|_| {}).alert(Role::Server, 112).fin(Role::Server));
        assert_eq!(session.ids(), [RULE.id]);
        assert!(session.diagnose().findings[0].fix.contains("proxy_ssl_server_name on;"));
    }

    #[test]
    fn a_warning_that_the_client_ignored_is_no_failure() {
        let works = session().client_leg(|leg| {
            let leg = leg.tls(|_| {}).alert(Role::Server, 112).server_hello("TLS 1.2");
            let now = leg.now();
            leg.tls(|tls| {
                tls.handshake_done = Some(now);
                tls.bytes.server = 100;
            })
        });
        assert!(works.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
