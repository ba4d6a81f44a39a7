//! The path to the backend says no.

use crate::diagnosis::upstream::last_attempts;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::wire::{IcmpError, IcmpKind};

/// `upstream-unreachable`.
pub const RULE: Rule = Rule {
    id: "upstream-unreachable",
    severity: Severity::Error,
    stage: Stage::Upstream,
    title: "The network could not reach the backend",
    explanation: "A router, a firewall or the host itself answered the proxy's SYN with an ICMP error: there is no route, \
        no such host, or a rule that rejects.",
    signature: "behind the proxy: SYN answered by ICMP destination unreachable or time exceeded; in front: 502 or 503",
    fix: "Check the backend's address, the route to it, and firewall rules of the kind reject at the address that sent the \
        ICMP error.",
    look_alikes: "A host that answers with RST is upstream-refused.",
    reference: "RFC 792, RFC 4443 §3.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let (attempt, error) = last_attempts(facts.session)
        .filter(|attempt| !attempt.back.tcp.came_up() && attempt.back.tcp.refused.is_none())
        .find_map(|attempt| Some((attempt, unreachable(&attempt.back.tcp.icmp)?)))?;
    let server = attempt.back.server;
    let what = format!("{} says {}", error.from, meaning(error));
    Some(
        Evidence::on(attempt.back_index, format!("SYN to {server}: {what}; {}", attempt.outcome()))
            .packet_if(attempt.back.tcp.syn, "the proxy's SYN")
            .packet(error.moment, "the ICMP error")
            .packet_if(attempt.answered(), "the proxy's answer")
            .verdict(format!("{} could not reach {server}: {what}; {}", attempt.proxy(), attempt.outcome())),
    )
}

/// The first ICMP error that says that a packet does not arrive.
pub(super) fn unreachable(errors: &[IcmpError]) -> Option<&IcmpError> {
    errors.iter().find(|error| matches!(error.kind, IcmpKind::Unreachable(_) | IcmpKind::TimeExceeded))
}

/// What the code means (RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1, RFC 4443 §3.1).
pub(super) fn meaning(error: &IcmpError) -> &'static str {
    let IcmpKind::Unreachable(code) = error.kind else { return "the hop limit ran out on the way: a loop of routes" };
    match (error.from.is_ipv4(), code) {
        (true, 0) | (false, 0) => "no route to the network",
        (true, 1) | (false, 3) => "no such host",
        (true, 3) | (false, 4) => "nothing listens on the port",
        (true, 9 | 10 | 13) | (false, 1 | 5 | 6) => "prohibited by a firewall",
        _ => "destination unreachable",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| leg.request(ASKED).response(NGINX_502)).backend_leg(|leg| leg.unreachable(1))
    }

    #[test]
    fn says_what_the_code_means() {
        assert!(example().diagnose().verdict.contains("10.0.0.254 says no such host"));
        let filtered =
            session().client_leg(|leg| leg.request(ASKED).response(NGINX_502)).backend_leg(|leg| leg.unreachable(13));
        assert!(filtered.diagnose().verdict.contains("firewall"));
    }

    #[test]
    fn outranks_the_status() {
        assert_eq!(example().ids(), [RULE.id]);
    }

    #[test]
    fn is_silent_when_the_connection_came_up_in_spite_of_it() {
        let session = example().backend_leg(|leg| {
            let now = leg.now();
            leg.with(|leg| leg.tcp.syn_ack = Some(now))
        });
        assert!(session.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
