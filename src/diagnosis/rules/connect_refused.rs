//! Nobody listens where the client knocks.

use crate::diagnosis::parties;
use crate::diagnosis::rules::upstream_unreachable::{meaning, unreachable};
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `connect-refused`.
pub const RULE: Rule = Rule {
    id: "connect-refused",
    severity: Severity::Error,
    stage: Stage::Connect,
    title: "The connection was refused",
    explanation: "The SYN was answered by an RST: nothing listens at this address and port, or a firewall answers in its place. \
        Or by an ICMP error: a firewall rejects, or there is no way to the host. Mostly the server is down, the port is \
        wrong, or it listens on another address (127.0.0.1 only, IPv4 only).",
    signature: "SYN answered by RST, or by ICMP destination unreachable",
    fix: "Start the server, or correct host and port in the client; check on the server with ss -ltn on which address it \
        listens.",
    look_alikes: "A SYN without an answer is connect-timeout. A proxy whose backend refuses is upstream-refused.",
    reference: "RFC 9293 §3.5.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let leg = facts.session.first_leg();
    let tcp = &leg.tcp;
    let (what, moment) = match (tcp.refused, unreachable(&tcp.icmp)) {
        (Some(refused), _) => ("answered by RST".to_owned(), refused),
        (None, Some(error)) if !tcp.came_up() => (format!("{} says {}", error.from, meaning(error)), error.moment),
        (None, _) => return None,
    };
    let after = tcp.syn.map(|syn| format!(" after {}", Span(moment.at.since(syn.at)))).unwrap_or_default();
    let client = parties::client_of(facts.session, 0)?;
    let server = leg.server;
    let why = match tcp.refused {
        Some(_) => format!("the connection was refused (RST to its SYN{after})"),
        None => format!("{what}{after}"),
    };
    Some(
        Evidence::on(0, format!("SYN to {server}: {what}{after}"))
            .packet_if(tcp.syn, "the SYN")
            .packet(moment, "the refusal")
            .verdict(format!("{client} could not connect to {server}: {why}")),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| leg.refused())
    }

    #[test]
    fn an_icmp_error_refuses_too() {
        let session = session().client_leg(|leg| leg.unreachable(13));
        assert_eq!(session.ids(), [RULE.id]);
        assert!(session.diagnose().verdict.contains("prohibited by a firewall"));
    }

    #[test]
    fn is_no_finding_on_the_leg_behind_a_proxy() {
        let session =
            session().client_leg(|leg| leg.request(ASKED).response(NGINX_502)).backend_leg(|leg| leg.refused());
        assert!(session.check(&RULE).is_none());
        assert_eq!(session.cause(), Some("upstream-refused"));
    }

    #[test]
    fn is_silent_about_a_reset_later_on() {
        let reset = session().client_leg(|leg| leg.request(ASKED).rst(crate::stream::Role::Server));
        assert!(reset.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
