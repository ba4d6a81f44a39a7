//! The server wants a certificate of the client, and got none.

use crate::diagnosis::answer;
use crate::diagnosis::backends::Meaning;
use crate::diagnosis::parties;
use crate::diagnosis::tls_failure::alert_words;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::leg::{TlsAlert, TlsFacts};
use crate::session::{Confidence, Leg, Outcome, Session};
use crate::stream::Role;
use crate::tls::facts::OpeningLooks;

/// `client-certificate-required`.
pub const RULE: Rule = Rule {
    id: "client-certificate-required",
    severity: Severity::Error,
    stage: Stage::Tls,
    title: "The server wants a client certificate",
    explanation: "The server asks its clients for certificates (mutual TLS) and this one sent none, or none that it takes. A \
        browser must have one installed for the host before a page can open a WebSocket to it.",
    signature: "alert 116 (certificate_required); or a request for a certificate, an empty answer, and an alert; or nginx's \
        400 No required SSL certificate was sent",
    fix: "Give the client its certificate, or do not ask for one on this host.\n\
        in the nginx server: ssl_verify_client off;\n\
        in the nginx location, towards a backend: proxy_ssl_certificate /path/client.pem; proxy_ssl_certificate_key \
        /path/client.key;\n\
        HAProxy: verify none on the bind line; crt on the server line, towards a backend",
    look_alikes: "A server that asks and goes on without is in order: ssl_verify_client optional.",
    reference: "RFC 8446 §4.3.2, §6.2",
    check,
};

const CERTIFICATE_REQUIRED: u8 = 116;

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    by_alert(session).or_else(|| by_answer(session)).or_else(|| by_shape(session)).or_else(|| by_dismissal(session))
}

fn by_alert(session: &Session) -> Option<Evidence> {
    let (index, tls, alert) = parties::decisive_first(session).find_map(|(index, leg)| {
        let tls = leg.tls.as_deref().filter(|_| leg.tunnel.is_none())?;
        Some((index, tls, demand(tls)?))
    })?;
    let said = alert_words(alert);
    let sure = alert.description == Some(CERTIFICATE_REQUIRED);
    let how = if tls.client_certificate_empty {
        "asked for a certificate and got an empty list"
    } else {
        "got no certificate"
    };
    let (client, server) = (parties::client_of(session, index)?, parties::server_of(session, index)?);
    Some(
        Evidence::on(index, format!("the server {how}; it answered with {said}"))
            .packet_if(tls.server_hello, "the server's flight")
            .packet(alert.moment, "the alert")
            .confidence(if sure { Confidence::High } else { Confidence::Medium })
            .verdict(format!("{server} wants a certificate that {client} does not have: it {how} ({said})")),
    )
}

fn demand(tls: &TlsFacts) -> Option<&TlsAlert> {
    let asked_in_vain = tls.client_certificate_requested && tls.client_certificate_empty;
    // handshake_failure, bad_certificate and certificate_unknown mean this only behind an empty list.
    let means =
        |description| description == CERTIFICATE_REQUIRED || (asked_in_vain && matches!(description, 40 | 42 | 46));
    tls.alerts.iter().find(|alert| alert.by == Role::Server && alert.description.is_some_and(means))
}

fn by_answer(session: &Session) -> Option<Evidence> {
    let refusal = answer::refusal(session).filter(|refusal| refusal.meaning() == Some(Meaning::ClientCertificate))?;
    let (maker, status) = (refusal.maker(), refusal.status());
    let client = parties::client_of(session, refusal.made_on)?;
    Some(
        Evidence::on(refusal.made_on, format!("answered {}", refusal.said()))
            .packet_if(refusal.request.map(|request| request.moment), "the request")
            .packet(refusal.response.moment, "the refusal")
            .verdict(format!("{maker} wants a certificate that {client} did not send: it answered {status}")),
    )
}

/// nginx finishes the handshake without a certificate and refuses in HTTP, inside TLS: one short exchange, and the end.
fn by_shape(session: &Session) -> Option<Evidence> {
    let (index, leg, tls) = parties::decisive_first(session).find_map(|(index, leg)| {
        let tls = leg.tls.as_deref().filter(|tls| tls.client_certificate_requested && tls.client_certificate_empty)?;
        (leg.request.is_none() && leg.tunnel.is_none()).then_some((index, leg, tls))
    })?;
    let refused = tls.opening.filter(|opening| opening.looks == OpeningLooks::Refused)?;
    let end = leg.first_end().filter(|end| end.by == Role::Server)?;
    let (client, server) = (parties::client_of(session, index)?, parties::server_of(session, index)?);
    let what = "it asked for a certificate, got an empty list, answered once and closed";
    Some(
        Evidence::on(index, format!("the server wants a certificate: {what}"))
            .packet_if(tls.server_hello, "the server's flight")
            .packet(refused.replied, "its only answer")
            .packet(end.moment, "it closes")
            .confidence(Confidence::Medium)
            .verdict(format!("{server} wants a certificate that {client} does not have: {what}")),
    )
}

/// In TLS 1.3 the alert is encrypted, and comes when the client believes the handshake done.
fn by_dismissal(session: &Session) -> Option<Evidence> {
    let unread = |leg: &Leg| leg.request.is_none() && leg.tunnel.is_none() && !leg.has_holes();
    // What ends TLS for a backend that it does not reach sends its client away as well.
    let unreached = |index| {
        parties::behind(session, index).is_some_and(|behind| session.legs[behind].outcome == Outcome::Unreachable)
    };
    let legs = parties::decisive_first(session).filter(|&(index, leg)| unread(leg) && !unreached(index));
    let dismissed = |tls: &TlsFacts| {
        let alert = tls.server_dismissed_client().filter(|_| !tls.client_certificate_unasked)?;
        Some((tls.server_hello, alert))
    };
    let (index, hello, alert) = legs
        .filter_map(|(index, leg)| dismissed(leg.tls.as_deref()?).map(|(hello, alert)| (index, hello, alert)))
        .next()?;
    let (client, server) = (parties::client_of(session, index)?, parties::server_of(session, index)?);
    let what = "an encrypted alert right behind the client's Finished, and no answer to its data";
    Some(
        Evidence::on(index, format!("{what}: in TLS 1.3 so does a server that lacks the client's certificate"))
            .packet_if(hello, "the server's flight")
            .packet(alert, "the alert")
            .confidence(Confidence::Low)
            .verdict(format!("{server} sent {client} away with {what}: it probably wants a client certificate")),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::tls::facts::OpeningShape;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| leg.tls(|_| {}).server_hello("TLS 1.3").alert(Role::Server, 116).fin(Role::Server))
    }

    #[test]
    fn an_empty_list_and_a_failure_mean_the_same() {
        let session = session().client_leg(|leg| {
            let leg = leg.tls(|_| {}).server_hello("TLS 1.2").tls(|tls| {
                tls.client_certificate_requested = true;
                tls.client_certificate_empty = true;
            });
            leg.alert(Role::Server, 40).fin(Role::Server)
        });
        assert_eq!(session.ids(), [RULE.id]);
    }

    #[test]
    fn nginx_says_it_inside_tls_where_only_the_shape_is_seen() {
        let session = session().client_leg(|leg| {
            let leg = leg.tls(|_| {}).server_hello("TLS 1.2");
            let replied = leg.now();
            let leg = leg.tls(|tls| {
                (tls.client_certificate_requested, tls.client_certificate_empty) = (true, true);
                tls.handshake_done = Some(replied);
                (tls.bytes.client, tls.bytes.server) = (174, 413);
                tls.opening = Some(OpeningShape { request: 174, reply: 413, replied, looks: OpeningLooks::Refused });
            });
            leg.fin(Role::Server)
        });
        assert_eq!(session.cause(), Some(RULE.id));
    }

    #[test]
    fn nginx_says_it_in_http() {
        let page = "HTTP/1.1 400 Bad Request\nServer: nginx\n\n<center>No required SSL certificate was sent</center>";
        assert_eq!(answered(page).ids(), [RULE.id]);
    }

    #[test]
    fn an_encrypted_alert_behind_the_finished_is_told_as_a_guess() {
        let dismissed = |answer: u64| {
            session().client_leg(|leg| {
                let leg = leg.tls(|_| {}).server_hello("TLS 1.3");
                let now = leg.now();
                let leg = leg.tls(|tls| {
                    (tls.handshake_done, tls.bytes.client, tls.bytes.server) = (Some(now), 155, answer);
                    let (level, description) = (None, None);
                    tls.alerts.push(TlsAlert { by: Role::Server, level, description, moment: now });
                });
                leg.fin(Role::Server)
            })
        };
        assert_eq!(dismissed(0).finding(RULE.id).map(|finding| finding.evidence.confidence), Some(Confidence::Low));
        assert!(dismissed(389).check(&RULE).is_none(), "it answered, and said goodbye");
        let unasked = |leg: TestLeg| leg.tls(|tls| tls.client_certificate_unasked = true);
        assert!(dismissed(0).client_leg(unasked).check(&RULE).is_none(), "it never asked for one");
        let session = dismissed(0).backend_leg(|leg| leg.refused());
        assert_eq!(session.ids(), ["upstream-refused", "encrypted-no-keys"], "it could not do anything for its client");
    }

    #[test]
    fn is_silent_where_the_server_goes_on_without() {
        let optional = session().client_leg(|leg| {
            let leg = leg.tls(|tls| tls.client_certificate_requested = true).server_hello("TLS 1.2");
            leg.request(ASKED).response(SWITCHED).open()
        });
        assert!(optional.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
