//! No version of TLS that both sides speak.

use crate::diagnosis::tls_failure::{alert_words, tls_failures};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;

/// `tls-version-mismatch`.
pub const RULE: Rule = Rule {
    id: "tls-version-mismatch",
    severity: Severity::Error,
    stage: Stage::Tls,
    title: "Client and server have no TLS version in common",
    explanation: "The server answered the ClientHello with protocol_version: the client offers only versions that the server \
        has turned off (an old client), or the server speaks only old ones.",
    signature: "alert 70 (protocol_version) right behind the ClientHello, or behind the ServerHello from the client",
    fix: "Update the older side.\n\
        in the nginx server: ssl_protocols TLSv1.2 TLSv1.3;\n\
        in the nginx location, towards a backend: proxy_ssl_protocols TLSv1.2 TLSv1.3;\n\
        HAProxy: ssl-min-ver TLSv1.2 on the bind or server line",
    look_alikes: "No cipher suite in common is tls-no-shared-cipher (alert 40).",
    reference: "RFC 8446 §6.2, §4.2.1",
    check,
};

const PROTOCOL_VERSION: u8 = 70;

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let (failure, alert) = tls_failures(facts.session).find_map(|failure| {
        let by_server = failure.alert(Role::Server, &[PROTOCOL_VERSION]);
        Some((failure, by_server.or_else(|| failure.alert(Role::Client, &[PROTOCOL_VERSION]))?))
    })?;
    let (who, whom) = match alert.by {
        Role::Server => (failure.server(), failure.client()),
        Role::Client => (failure.client(), failure.server()),
    };
    let said = alert_words(&alert);
    Some(
        Evidence::on(failure.index, format!("the {} answered with {said}", alert.by.name()))
            .packet_if(failure.tls.client_hello, "the ClientHello")
            .packet(alert.moment, "the alert")
            .verdict(format!("{who} speaks no TLS version that {whom} offers ({said}){}", failure.outcome())),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn refused(description: u8) -> TestSession {
        session().client_leg(|leg| leg.tls(|_| {}).alert(Role::Server, description).fin(Role::Server))
    }

    pub(crate) fn example() -> TestSession {
        refused(70)
    }

    #[test]
    fn explains_the_502_of_a_proxy() {
        let session = session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502))
            .backend_leg(|leg| leg.tls(|_| {}).alert(Role::Server, 70).fin(Role::Server));
        assert_eq!(session.ids(), [RULE.id]);
    }

    #[test]
    fn is_silent_about_other_alerts() {
        assert!(refused(40).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
