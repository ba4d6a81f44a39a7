//! The backend compares Origin with a Host that the proxy replaced.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::backends::Meaning;
use crate::diagnosis::hops::{self, Hop};
use crate::diagnosis::origin::fits;
use crate::diagnosis::parties;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::{Confidence, Session};

/// `host-rewritten`.
pub const RULE: Rule = Rule {
    id: "host-rewritten",
    severity: Severity::Error,
    stage: Stage::RequestDiff,
    title: "The proxy replaced Host, so Origin looks foreign",
    explanation: "A backend that guards against other sites compares Origin with Host. The browser sent both with the same \
        name; the proxy put the backend's own address into Host, and the two no longer fit: 403.",
    signature: "in front of the proxy Host, or the name in a ClientHello that cannot be read on, is the Origin's host; behind it Host is \
        another one, and the answer is 403",
    fix: "in the nginx location: proxy_set_header Host $http_host;\n\
        Apache: ProxyPreserveHost On\n\
        Caddy: remove header_up Host from reverse_proxy: it keeps Host by itself\n\
        Traefik: passHostHeader: true\n\
        HAProxy: remove http-request set-header Host\n\
        Envoy: remove host_rewrite_literal or auto_host_rewrite from the route\n\
        Or allow the origin in the application; never blank Origin in the proxy.",
    look_alikes: "An Origin that is foreign in front of the proxy too is origin-rejected.",
    reference: "RFC 6455 §4.2.2, §10.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let Some((hop, change)) = hops::hops(session).find_map(|hop| Some((hop, Change::of(&hop)?))) else {
        return behind_tls(session);
    };
    let Change { origin, after } = change;
    let after = match after {
        Some(host) => format!("Host: {}", quote(host)),
        None => "no Host".to_owned(),
    };
    let origin = quote(origin);
    let detail = format!("Origin is {origin}; client sent the Host that fits, upstream got {after}");
    let evidence = Evidence::on(hop.back_index, detail)
        .packet(hop.asked.moment, "request whose Host fits its Origin")
        .packet(hop.forwarded.moment, "the proxy's request, with another Host");
    let Some(refusal) = answer::refusal(session).filter(may_be_about_origin) else {
        return Some(evidence.severity(Severity::Note).not_cause());
    };
    let sure = refusal.meaning() == Some(Meaning::Origin);
    Some(evidence.confidence(if sure { Confidence::High } else { Confidence::Medium }).verdict(format!(
        "{} replaced the Host header: {} got {after} with Origin: {origin}; {}",
        hop.proxy(),
        hop.back.server,
        hop.reaction()
    )))
}

fn may_be_about_origin(refusal: &Refusal<'_>) -> bool {
    let about_origin = refusal.meaning() == Some(Meaning::Origin);
    about_origin || (refusal.status() == 403 && refusal.meaning().is_none())
}

/// The same behind TLS that nobody can read: the name in the ClientHello is the Origin's, and Host has another.
fn behind_tls(session: &Session) -> Option<Evidence> {
    let refusal = answer::refusal(session).filter(may_be_about_origin)?;
    let (proxy, request, name) = hops::behind_tls(session)
        .filter(|(proxy, request)| proxy.back_index <= refusal.made_on && !request.cut)
        .find_map(|(proxy, request)| Some((proxy, request, proxy.front.tls.as_deref()?.sni.as_deref()?)))?;
    let (origin, host) = (request.head.fields.first("Origin")?, request.head.host()?);
    let is_asked =
        origin.strip_prefix("https://").is_some_and(|authority| name_in(authority).eq_ignore_ascii_case(name));
    if !is_asked || name_in(host).eq_ignore_ascii_case(name) {
        return None;
    }
    let (named, origin, host) = (parties::server_of(session, proxy.front_index)?, quote(origin), quote(host));
    let asked = format!("the client asked for {} in TLS", quote(name));
    Some(
        Evidence::on(proxy.back_index, format!("Origin is {origin}; {asked}, upstream got Host: {host}"))
            .packet_if(proxy.front.tls.as_deref().and_then(|tls| tls.client_hello), "the name in TLS")
            .packet(request.moment, "the proxy's request, with another Host")
            .confidence(Confidence::Medium)
            .verdict(format!(
                "{named} replaced the Host header: {} got Host: {host} with Origin: {origin}, and {asked}; {}",
                proxy.back.server,
                answer::reaction(session, proxy.back_index)
            )),
    )
}

/// The name in an authority, without its port.
fn name_in(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

/// Host fitted Origin in front of the proxy, and does not behind it.
struct Change<'a> {
    origin: &'a str,
    after: Option<&'a str>,
}

impl<'a> Change<'a> {
    fn of(hop: &Hop<'a>) -> Option<Change<'a>> {
        let (origin, before) = (hop.before().first("Origin")?, hop.asked.head.host()?);
        if !fits(origin, before) {
            return None;
        }
        let after = hop.forwarded.head.host();
        (!after.is_some_and(|host| fits(origin, host))).then_some(Change { origin, after })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn with_backend_host() -> String {
        replaced(FORWARDED, "Host", "Host: 127.0.0.1:9000")
    }

    pub(crate) fn example() -> TestSession {
        let answer =
            "HTTP/1.1 403 Forbidden\nContent-Type: text/plain; charset=utf-8\nSec-Websocket-Version: 13\n\nForbidden";
        let passed_on = with_field(answer, "Server: nginx/1.22.1");
        refused_with(answer)
            .client_leg(|leg| leg.response(&passed_on))
            .backend_leg(|leg| leg.request(&with_backend_host()))
    }

    #[test]
    fn behind_tls_the_name_in_the_client_hello_tells() {
        let forbidden = "HTTP/1.1 403 Forbidden\nSec-Websocket-Version: 13\n\nForbidden";
        let cause = |asked: &str, origin: &str, host: &str| {
            let request = replaced(FORWARDED, "Host", &format!("Host: {host}"));
            let request = replaced(&request, "Origin", &format!("Origin: {origin}"));
            session()
                .client_leg(|leg| leg.tls(|tls| tls.sni = Some(asked.to_owned())))
                .backend_leg(|leg| leg.request(&request).response(forbidden))
                .cause()
        };
        assert_eq!(cause("app.example", "https://app.example", "backend:9000"), Some(RULE.id));
        assert_eq!(cause("app.example", "https://evil.example", "backend:9000"), Some("origin-rejected"));
        assert_eq!(
            cause("app.example", "https://app.example", "App.example:8443"),
            Some("origin-rejected"),
            "only a port"
        );
    }

    #[test]
    fn is_less_sure_of_a_403_that_does_not_say_why() {
        let bare = "HTTP/1.1 403 Forbidden\n\n";
        let session = example().client_leg(|leg| leg.response(bare)).backend_leg(|leg| leg.response(bare));
        assert_eq!(session.cause(), Some(RULE.id));
        assert_eq!(session.finding(RULE.id).unwrap().evidence.confidence, Confidence::Medium);
    }

    #[test]
    fn is_a_note_while_it_works_or_when_another_thing_was_refused() {
        let session = healthy().backend_leg(|leg| leg.request(&with_backend_host()));
        assert_eq!((session.cause(), session.finding(RULE.id).unwrap().severity), (None, Severity::Note));
        let session =
            refused_with("HTTP/1.1 401 Unauthorized\n\n").backend_leg(|leg| leg.request(&with_backend_host()));
        assert_eq!(session.cause(), Some("authentication-required"));
    }

    #[test]
    fn is_silent_when_the_origin_was_foreign_from_the_start() {
        let foreign = replaced(ASKED, "Origin", "Origin: http://evil.example");
        assert!(example().client_leg(|leg| leg.request(&foreign)).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
